//! What the tests stand on: scripted upstreams on one side, the real binary on the other.

pub mod behaviour;
pub mod certs;
pub mod client;
pub mod codings;
pub mod gateway;
pub mod planted;
pub mod raw;
pub mod receiver;
pub mod scripted;
pub mod temp;
pub mod terminal;
pub mod valkey;
pub mod wait;

use std::time::Duration;

pub use behaviour::{At, Behaviour, Gate};
pub use client::Answer;
pub use gateway::Gateway;
pub use scripted::{Match, Refusing, ScriptedUpstream};
pub use wait::until;

/// No test waits longer than this for anything: what takes longer hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// One provider `a` with one key, at `<a>`.
pub const ONE: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k1}
";

/// That provider behind a gateway with these settings of `server`.
pub async fn serving(server: &str) -> (ScriptedUpstream, Gateway) {
    let a = ScriptedUpstream::start().await;
    let yaml = format!("server: {{{server}}}{ONE}");
    let gateway = Gateway::start(&yaml, &[("a", &a)]).await;
    (a, gateway)
}

/// Milliseconds.
pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A chat request for `model`.
pub fn chat(model: &str) -> String {
    format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hi"}}]}}"#)
}

/// A streamed chat request for `model`.
pub fn chat_stream(model: &str) -> String {
    format!(r#"{{"model":"{model}","stream":true,"messages":[{{"role":"user","content":"hi"}}]}}"#)
}
