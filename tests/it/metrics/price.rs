//! How long targets take and what their tokens cost.

use super::{Side, after};
use crate::admin::TWO_KEYS;
use crate::support::{At, Behaviour, Match, ScriptedUpstream, chat, until};

const COST: &str = "pointsman_cost_total";
const DURATIONS: &str = "pointsman_request_duration_seconds";

/// An answer of which the upstream counted so many tokens.
fn used(prompt: u32, cached: u32, completion: u32) -> Behaviour {
    let body = format!(
        r#"{{"id":"x","object":"chat.completion","choices":[{{"index":0,"message":{{"role":"assistant","content":"a"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":{prompt},"completion_tokens":{completion},"prompt_tokens_details":{{"cached_tokens":{cached}}}}}}}"#
    );
    Behaviour::json(200, &body)
}

#[tokio::test]
async fn tokens_cost_what_the_configuration_says_also_when_that_changes() {
    let yaml = |price: &str| {
        format!(
            "
llm:
  providers:
    - {{name: a, base_url: <a>, model: m, api_key: k, price: {price}, prices: {{small: {{input: 0.5, output: 0}}}}}}
    - {{name: b, base_url: <a>, model: m, api_key: k}}
"
        )
    };
    let a = ScriptedUpstream::start().await;
    a.on(Match::any(), [used(1_000_000, 250_000, 500_000)]);
    let price = "{input: 4, output: 8, cached_input: 1}";
    let side = Side::start(&yaml(price), &[("a", &a)]).await;
    let ask = async |target: &str| assert_eq!(side.gateway.chat(target).send().await.status, 200);
    for target in ["a", "a", "a:small", "a:made-up", "b"] {
        ask(target).await;
    }
    let told = after(&side, 5.0).await;
    let of = |upstream: &str| told.sum(COST, &[("upstream", upstream)]);
    let one = 0.75 * 4.0 + 0.25 * 1.0 + 0.5 * 8.0;
    assert_eq!(of("a:m"), 2.0 * one);
    assert_eq!(of("a:small"), 0.5);
    assert_eq!(of("a:other"), one);
    // What one without a price costs is not known.
    assert_eq!(told.values(COST, "upstream"), ["a:m", "a:other", "a:small"]);
    assert_eq!(told.values(COST, "kind"), ["real"]);
    assert_eq!(told.values(COST, "client"), ["none"]);

    side.write(&yaml("{input: 1, output: 2}"), &[("a", &a)]);
    let answer = side.post("/admin/v1/reload", "").send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let generation = async || {
        after(&side, 5.0)
            .await
            .sum("pointsman_config_generation", &[])
    };
    until("the other prices", async || generation().await >= 1.0).await;
    ask("a").await;
    let told = after(&side, 6.0).await;
    let of = told.sum(COST, &[("upstream", "a:m")]);
    assert_eq!(of, 2.0 * one + 1.0 + 0.5 * 2.0);
}

#[tokio::test]
async fn requests_that_were_answered_or_failed_are_measured_by_target() {
    let a = ScriptedUpstream::start().await;
    let b = ScriptedUpstream::start().await;
    a.on(Match::any(), [Behaviour::says("a"), Behaviour::fails(500)]);
    b.on(Match::any(), [Behaviour::fails(500)]);
    let side = Side::start(TWO_KEYS, &[("a", &a), ("b", &b)]).await;
    let status = async |body: String| side.gateway.post_chat(body).send().await.status;
    assert_eq!(status(chat("smart")).await, 200);
    assert!(status(chat("b")).await >= 500);
    assert!(status(chat("a:made-up")).await >= 500);
    // These come no further than the door.
    assert_eq!(status(chat("nothing of the kind")).await, 404);
    assert_eq!(status("{".to_owned()).await, 400);
    let told = after(&side, 5.0).await;
    let count = |labels: &[(&str, &str)]| told.sum(&format!("{DURATIONS}_count"), labels);
    for target in ["smart", "b", "other"] {
        assert_eq!(count(&[("target", target)]), 1.0, "{target}");
    }
    assert_eq!(count(&[]), 3.0);
    let most = told.sum(
        &format!("{DURATIONS}_bucket"),
        &[("target", "smart"), ("le", "+Inf")],
    );
    assert_eq!(most, 1.0);
    assert!(told.sum(&format!("{DURATIONS}_sum"), &[]) > 0.0);
}

#[tokio::test]
async fn a_caller_who_leaves_says_nothing_of_how_long_a_target_takes() {
    let a = ScriptedUpstream::start().await;
    a.on(Match::any(), [Behaviour::says("a").hang(At::BeforeHead)]);
    let side = Side::start(TWO_KEYS, &[("a", &a), ("b", &a)]).await;
    let asking = side.gateway.chat("a").spawn();
    a.wait_for(1).await;
    asking.abort();
    let told = after(&side, 1.0).await;
    let left = told.sum("pointsman_requests_total", &[("outcome", "caller_left")]);
    assert_eq!(left, 1.0);
    assert_eq!(told.sum(&format!("{DURATIONS}_count"), &[]), 0.0);
}

/// What an upstream is said to have counted is what it counted, whoever went on with its answer.
#[tokio::test]
async fn a_rescued_stream_charges_nobody_for_anothers_tokens() {
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k, retry: {same_upstream: 0}}
    - {name: b, base_url: <b>, model: m, api_key: k, price: {input: 1000000, output: 1000000}}
  virtual: [{name: v, upstreams: [a, b], rescue: restart}]
";
    let a =
        ScriptedUpstream::playing([Behaviour::streams(&["x", "y", "z"]).reset(At::AfterPart(3))])
            .await;
    let usage = r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":3}}"#;
    let said = ["x", "y", "z"]
        .map(|word| format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{word}"}}}}]}}"#));
    let end = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
    let parts = said
        .iter()
        .map(String::as_str)
        .chain([end, usage, "[DONE]"]);
    let events: Vec<String> = parts.map(|data| format!("data: {data}\n\n")).collect();
    let b = ScriptedUpstream::playing([Behaviour::events(events)]).await;
    let side = Side::start(yaml, &[("a", &a), ("b", &b)]).await;
    let body = r#"{"model":"v","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    let text = side.gateway.post_chat(body).stream().await.text().await;
    assert!(text.contains("[DONE]"), "{text}");
    let told = after(&side, 1.0).await;
    let tokens = |upstream: &str| told.sum("pointsman_tokens_total", &[("upstream", upstream)]);
    assert_eq!((tokens("a:m"), tokens("b:m")), (0.0, 8.0));
    assert_eq!(told.sum(COST, &[("upstream", "b:m")]), 8.0);
}
