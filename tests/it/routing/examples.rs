//! The examples of `config/examples` do what their names say: each is served as it is, with its providers' addresses changed to
//! those of scripted upstreams.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::deploy::files::data;
use crate::support::client::tally;
use crate::support::{Behaviour, Gateway, Match, ScriptedUpstream};

/// The example with every provider that it names at `<a>`.
fn example(name: &str) -> String {
    let mut whole = data(&format!("config/examples/{name}.yaml"));
    let llm = whole["llm"].as_object_mut().unwrap();
    let virtuals = llm["virtual"].as_array().unwrap().clone();
    let own: BTreeSet<&str> = virtuals
        .iter()
        .filter_map(|it| it["name"].as_str())
        .collect();
    let providers = llm.entry("providers").or_insert_with(|| json!([]));
    let providers = providers.as_array_mut().unwrap();
    let members = virtuals
        .iter()
        .flat_map(|it| it["upstreams"].as_array().unwrap());
    for member in members {
        let member = member.as_str().or(member["name"].as_str()).unwrap();
        let provider = member.split(':').next().unwrap();
        let is_there = |it: &Value| it["name"] == provider;
        if !own.contains(provider) && !providers.iter().any(is_there) {
            providers.push(json!({"name": provider}));
        }
    }
    for provider in providers {
        for (key, value) in [("base_url", "<a>"), ("dialect", "openai"), ("api_key", "k")] {
            provider[key] = json!(value);
        }
    }
    let parts = whole.as_object().unwrap().iter();
    parts
        .map(|(name, part)| format!("{name}: {part}\n"))
        .collect()
}

struct Example {
    upstream: ScriptedUpstream,
    gateway: Gateway,
    token: &'static str,
}

impl Example {
    async fn start(name: &str) -> Self {
        let upstream = ScriptedUpstream::start().await;
        let gateway = Gateway::start(&example(name), &[("a", &upstream)]).await;
        Self {
            upstream,
            gateway,
            token: "",
        }
    }

    /// Which upstream serves a request with this in its body.
    async fn went(&self, more: Value) -> String {
        let mut body = json!({"messages": [{"role": "user", "content": "hi"}]});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        let call = self.gateway.post_chat(body.to_string());
        let call = call.header("authorization", &format!("Bearer {}", self.token));
        let answer = call.send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.header("x-pointsman-upstream").to_owned()
    }
}

#[tokio::test]
async fn the_cheapest_that_can_do_tools() {
    let it = Example::start("cheapest").await;
    assert_eq!(it.went(json!({})).await, "local:gemma3:4b");
    let tools =
        json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]});
    assert_eq!(it.went(tools.clone()).await, "groq:openai/gpt-oss-20b");
    // When that one is out, the next cheapest.
    it.upstream.on(
        Match::model("openai/gpt-oss-20b"),
        [Behaviour::rate_limited()],
    );
    let next = it.went(tools).await;
    assert_eq!(next, "deepinfra:meta-llama/Llama-3.3-70B-Instruct");
}

#[tokio::test]
async fn the_fastest_with_a_floor() {
    let it = Example::start("fastest").await;
    let mut went = BTreeSet::new();
    for _ in 0..6 {
        went.insert(it.went(json!({})).await);
    }
    assert!(went.iter().all(|it| !it.starts_with("openai:")), "{went:?}");
    it.upstream.on(Match::any(), [Behaviour::rate_limited()]);
    it.upstream
        .on(Match::model("gpt-4o-mini"), [Behaviour::says("ok")]);
    assert_eq!(it.went(json!({})).await, "openai:gpt-4o-mini");
}

#[tokio::test]
async fn free_models_first() {
    let it = Example::start("free-first").await;
    let paid =
        |upstream: &str| upstream.starts_with("openai:") || upstream.starts_with("anthropic:");
    for _ in 0..4 {
        let upstream = it.went(json!({})).await;
        assert!(!paid(&upstream), "{upstream}");
    }
    for model in [
        "meta-llama/llama-3.3-70b-instruct:free",
        "deepseek/deepseek-chat-v3-0324:free",
        "llama-3.3-70b-versatile",
    ] {
        it.upstream
            .on(Match::model(model), [Behaviour::rate_limited()]);
    }
    let upstream = it.went(json!({})).await;
    assert!(paid(&upstream), "{upstream}");
}

#[tokio::test]
async fn a_canary_of_five_percent() {
    let it = Example::start("canary").await;
    let mut went = Vec::new();
    for _ in 0..200 {
        went.push(it.went(json!({})).await);
    }
    let counts = tally(&went);
    let canary = counts.get("openai:gpt-4.1").copied().unwrap_or(0);
    // Ten are expected; fewer than one or more than 30 come once in ten thousand runs.
    assert!((1..=30).contains(&canary), "{counts:?}");
    assert_eq!(canary + counts["openai:gpt-4o"], 200, "{counts:?}");
    it.upstream
        .on(Match::model("gpt-4.1"), [Behaviour::fails(503)]);
    it.upstream
        .on(Match::model("gpt-4o"), [Behaviour::fails(503)]);
    assert!(it.went(json!({})).await.starts_with("anthropic:"));
}

#[cfg(feature = "cel")]
#[tokio::test]
async fn expressions_choose_by_tags_sizes_and_headers() {
    let it = Example::start("expressions").await;
    assert_eq!(it.went(json!({})).await, "own:gemma3:4b");
    let guarded = || json!({"model": "guarded", "messages": [{"role": "user", "content": "hi"}]});
    let call = it.gateway.post_chat(guarded().to_string());
    let public = call.header("x-data", "public").send().await;
    let served = public.header("x-pointsman-upstream");
    assert_eq!(served, "groq:llama-3.3-70b-versatile");
    let call = it.gateway.post_chat(guarded().to_string()).send().await;
    let served = call.header("x-pointsman-upstream");
    assert_eq!(served, "own:gemma3:4b", "the first one is not in the EU");
    it.upstream
        .on(Match::model("gemma3:4b"), [Behaviour::fails(503)]);
    assert_eq!(it.went(json!({})).await, "groq:openai/gpt-oss-20b");
    let long = json!({"messages": [{"role": "user", "content": "word ".repeat(8000)}]});
    assert_eq!(it.went(long).await, "groq:llama-3.3-70b-versatile");
}

#[tokio::test]
async fn agents_stay_where_their_prompt_is_cached() {
    let it = Example::start("agents").await;
    let conversation = |n: u32, last: &str| {
        json!({"messages": [
            {"role": "system", "content": "You write programs."}, {"role": "user", "content": format!("task {n}")},
            {"role": "assistant", "content": "done"}, {"role": "user", "content": last},
        ]})
    };
    let mut homes = BTreeSet::new();
    for n in 0..12 {
        let home = it.went(conversation(n, "one")).await;
        for last in ["two", "three"] {
            assert_eq!(
                it.went(conversation(n, last)).await,
                home,
                "conversation {n}"
            );
        }
        homes.insert(home);
    }
    assert_eq!(homes.len(), 2, "conversations are spread: {homes:?}");
}

#[tokio::test]
async fn office_hours_hold_for_the_office() {
    let mut it = Example::start("office-hours").await;
    let is_open = || {
        let now = jiff::Zoned::now().in_tz("Europe/Berlin").unwrap();
        let is_workday = now.weekday().to_monday_zero_offset() < 5;
        is_workday && (8..18).contains(&now.hour())
    };
    it.token = "change-this-token-of-the-tests";
    assert_eq!(it.went(json!({})).await, "groq:openai/gpt-oss-20b");
    it.token = "change-this-token-of-the-office";
    // The hour may end while it is asked.
    let (before, upstream, after) = (is_open(), it.went(json!({})).await, is_open());
    let large = upstream == "openai:gpt-4o";
    assert!(large == before || large == after, "{upstream}");
    assert!(large || upstream == "groq:openai/gpt-oss-20b", "{upstream}");
}
