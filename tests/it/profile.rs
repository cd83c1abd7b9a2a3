//! `profile: interactive`: what one word changes for its target, and for no other.

use crate::support::behaviour::DONE;
use crate::support::client::{errors, spoken};
use crate::support::gateway::run;
use crate::support::temp::TempDir;
use crate::support::{At, Behaviour, Gateway, Match, ScriptedUpstream, ms};

const TWO: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, model: ma, api_key: ka, retry: {same_upstream: 0}}
    - {name: b, base_url: <b>, model: mb, api_key: kb, retry: {same_upstream: 0}}
  virtual:
    - {name: people, upstreams: [a, b], profile: interactive}
    - {name: jobs, upstreams: [a, b]}
";

async fn two() -> (ScriptedUpstream, ScriptedUpstream, Gateway) {
    let a = ScriptedUpstream::playing([Behaviour::says("a")]).await;
    let b = ScriptedUpstream::playing([Behaviour::says("b")]).await;
    let gateway = Gateway::start(TWO, &[("a", &a), ("b", &b)]).await;
    (a, b, gateway)
}

#[tokio::test]
async fn people_wait_a_little_for_what_they_prefer_and_jobs_go_on() {
    let (a, _b, gateway) = two().await;
    let limited = || Behaviour::rate_limited().header("retry-after-ms", "400");
    a.on(Match::any(), [limited(), Behaviour::says("a")]);
    assert_eq!(gateway.chat("people").send().await.says(), "a");
    let times = a.requests();
    assert!(times[1].at - times[0].at >= ms(400));
    a.on(Match::any(), [limited(), Behaviour::says("a")]);
    assert_eq!(gateway.chat("jobs").send().await.says(), "b");
}

#[tokio::test]
async fn a_stream_for_people_goes_on_where_it_broke_off() {
    let (a, b, gateway) = two().await;
    let whole = || Behaviour::streams(&["Hel", "lo", " there"]);
    a.on(Match::any(), [whole().reset(At::AfterPart(3))]);
    b.on(Match::any(), [whole()]);
    let text = gateway.chat_stream("people").stream().await.text().await;
    assert_eq!(spoken(&text), "Hello there");
    assert!(text.ends_with(DONE) && errors(&text).is_empty(), "{text}");
    let text = gateway.chat_stream("jobs").stream().await.text().await;
    assert!(!text.ends_with(DONE) && errors(&text).len() == 1, "{text}");
}

#[tokio::test]
async fn check_shows_what_the_word_sets() {
    let dir = TempDir::new();
    let text = TWO.replace("<a>", "http://127.0.0.1:1/v1");
    dir.write(
        "pointsman.yaml",
        &text.replace("<b>", "http://127.0.0.1:1/v1"),
    );
    let output = run(dir.path(), &["check"], &[]).await;
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    let expected = "people -> a:ma -> b:mb  (profile: interactive; rescue: continue; patience: 3s; first token: 10s, \
                    from models that do not reason; hedge: after p95)";
    assert!(shown.contains(expected), "{shown}");
    assert!(shown.contains("jobs -> a:ma -> b:mb\n"), "{shown}");
    let output = run(dir.path(), &["check", "--json"], &[]).await;
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let shown = &json["virtual"];
    let people = shown.as_array().unwrap();
    let people = people.iter().find(|it| it["name"] == "people").unwrap();
    assert_eq!(people["profile"], "interactive");
    assert_eq!(people["patience_seconds"], 3.0);
    assert_eq!(people["first_token_seconds"], 10.0);
    assert_eq!(people["hedge"]["after_seconds"], "p95");
    assert_eq!(json["dispatch"]["profile"], serde_json::Value::Null);
}
