//! What requests cost, wherever it is told: in the answer's head, the log, the metrics, the requests' records.

use serde_json::Value;

use super::{Side, after};
use crate::support::{At, Behaviour, Gate, Match, ScriptedUpstream, chat, chat_stream};

const COST: &str = "pointsman_cost_total";
const HEADER: &str = "x-pointsman-cost";

/// Two upstreams with prices, and `v` over both.
const TWO_PRICED: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k, retry: {same_upstream: 0}, price: {input: 1000, output: 1000}}
    - {name: b, base_url: <b>, model: m, api_key: k, price: {input: 2.5, output: 10, cached_input: 1.25}}
  virtual: [{name: v, upstreams: [a, b], rescue: restart}]
";

async fn two(yaml: &str) -> (ScriptedUpstream, ScriptedUpstream, Side) {
    let a = ScriptedUpstream::start().await;
    let b = ScriptedUpstream::start().await;
    let side = Side::start(yaml, &[("a", &a), ("b", &b)]).await;
    (a, b, side)
}

fn completion(usage: &str) -> Behaviour {
    let body = format!(
        r#"{{"id":"x","object":"chat.completion","choices":[{{"index":0,"message":{{"role":"assistant","content":"four words and more"}},"finish_reason":"stop"}}]{usage}}}"#
    );
    Behaviour::json(200, &body)
}

/// The newest request as the admin listener tells it.
async fn latest(side: &Side) -> Value {
    let listed = side.get("/admin/v1/requests?limit=1").send().await.json();
    let number = &listed["requests"][0]["number"];
    let path = format!("/admin/v1/requests/{number}");
    side.get(&path).send().await.json()
}

#[tokio::test]
async fn a_whole_answer_says_what_it_cost_with_all_its_attempts() {
    let (a, b, side) = two(TWO_PRICED).await;
    a.on(Match::any(), [Behaviour::fails(500)]);
    b.on(Match::any(), [
        completion(
            r#","usage":{"prompt_tokens":12000,"completion_tokens":1500,"prompt_tokens_details":{"cached_tokens":8000}}"#,
        ),
        completion(""),
    ]);
    let answer = side.gateway.post_chat(chat("v")).send().await;
    assert_eq!(answer.header(HEADER), "0.035000", "{}", answer.text());
    let told = after(&side, 1.0).await;
    assert_eq!(
        told.sum(COST, &[("upstream", "b:m"), ("kind", "real")]),
        0.035
    );
    assert_eq!(told.sum(COST, &[]), 0.035);
    let story = latest(&side).await;
    assert_eq!(story["cost"], "0.035000");
    assert_eq!(story["tries"][0]["cost"], Value::Null);
    assert_eq!(story["tries"][1]["cost"]["kind"], "real");

    // Without counts it is estimated, and said to be.
    let answer = side.gateway.post_chat(chat("b")).send().await;
    assert_eq!(answer.status, 200);
    let amount: f64 = answer.header(HEADER).parse().unwrap();
    assert!(amount > 0.0 && amount < 0.001, "{amount}");
    let told = after(&side, 2.0).await;
    let estimated = told.sum(COST, &[("upstream", "b:m"), ("kind", "estimated")]);
    assert!((estimated - amount).abs() < 1e-9, "{estimated} {amount}");
}

#[tokio::test]
async fn what_is_not_known_is_not_told() {
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k}
    - {name: b, base_url: <b>, model: m, api_key: k, price: {per_image: 0.04}}
";
    let (a, b, side) = two(yaml).await;
    let usage = r#","usage":{"prompt_tokens":12,"completion_tokens":15}"#;
    for upstream in [&a, &b] {
        upstream.on(Match::any(), [completion(usage)]);
    }
    for target in ["a", "b"] {
        let answer = side.gateway.post_chat(chat(target)).send().await;
        assert_eq!((answer.status, answer.header(HEADER)), (200, ""));
    }
    assert_eq!(after(&side, 2.0).await.sum(COST, &[]), 0.0);
}

#[tokio::test]
async fn an_upstreams_own_figure_counts_and_a_difference_is_told_once() {
    let (_, b, side) = two(TWO_PRICED).await;
    let usage = |cost: &str| {
        completion(&format!(
            r#","usage":{{"prompt_tokens":1000,"completion_tokens":0,"cost":{cost}}}"#
        ))
    };
    // By its price: 0.0025.
    b.on(Match::any(), [usage("0.0030"), usage("0.0031"), usage("0")]);
    for expected in ["0.003000", "0.003100", "0.002500"] {
        let answer = side.gateway.post_chat(chat("b")).send().await;
        assert_eq!(answer.header(HEADER), expected);
    }
    let told = after(&side, 3.0).await;
    let of = |kind: &str| told.sum(COST, &[("kind", kind)]);
    assert!((of("upstream") - 0.0061).abs() < 1e-12);
    assert_eq!(of("real"), 0.0025);
    let told = side.gateway.logged("charges something else").await;
    assert!(
        told.contains("0.002500") && told.contains("0.003000"),
        "{told}"
    );
    let logs = side.gateway.logs();
    let lines = logs
        .iter()
        .filter(|line| line.contains("charges something else"));
    assert_eq!(lines.count(), 1);
}

/// A stream that breaks off was not for free, and neither was the one that went on.
#[tokio::test]
async fn both_parts_of_a_rescued_stream_cost_something() {
    let (a, b, side) = two(TWO_PRICED).await;
    a.on(
        Match::any(),
        [Behaviour::streams(&["x", "y", "z"]).reset(At::AfterPart(3))],
    );
    b.on(Match::any(), [Behaviour::streams(&["x", "y", "z", "end"])]);
    let text = side
        .gateway
        .post_chat(chat_stream("v"))
        .stream()
        .await
        .text()
        .await;
    assert!(text.contains("[DONE]"), "{text}");
    let told = after(&side, 1.0).await;
    let of = |upstream: &str| told.sum(COST, &[("upstream", upstream), ("kind", "estimated")]);
    // At 1,000 per million: a few tokens of prompt and of answer.
    assert!((0.002..0.1).contains(&of("a:m")), "{}", of("a:m"));
    assert!(of("b:m") > 0.0);
    let line = side.gateway.logged(r#""cost":"#).await;
    assert!(line.contains(r#""cost_kind":"estimated""#), "{line}");
}

#[tokio::test]
async fn a_caller_who_leaves_a_stream_has_paid_for_what_came() {
    let (a, _, side) = two(TWO_PRICED).await;
    let gate = Gate::new();
    a.on(
        Match::any(),
        [Behaviour::streams(&["x", "y", "z"]).gate(At::AfterPart(2), &gate)],
    );
    let mut stream = side.gateway.post_chat(chat_stream("a")).stream().await;
    stream.until("x").await;
    drop(stream);
    let told = after(&side, 1.0).await;
    assert!(told.sum(COST, &[("upstream", "a:m"), ("kind", "estimated")]) > 0.0);
}
