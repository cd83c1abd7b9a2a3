//! What one client may do at once and per minute.

use super::{By, CI, WEB};
use crate::support::behaviour::{chunk, event, finish};
use crate::support::{At, Behaviour, Gate, Gateway, Match, ScriptedUpstream, until};

fn limited(limits: &str) -> String {
    format!(
        "
clients:
  - {{name: ci, token: {CI}, {limits}}}
  - {{name: web, token: {WEB}}}
llm:
  providers:
    - {{name: a, base_url: <a>, model: m, api_key: k1, retry: {{same_upstream: 0}}}}
"
    )
}

/// A request that says how much it may answer.
fn asks_for(tokens: u32) -> String {
    format!(
        r#"{{"model":"a","max_tokens":{tokens},"messages":[{{"role":"user","content":"hi"}}]}}"#
    )
}

#[tokio::test]
async fn requests_per_minute_are_bounded_and_the_wait_is_named() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(&limited("rpm: 3"), &[("a", &a)]).await;
    for _ in 0..2 {
        assert_eq!(gateway.chat("a").by(CI).send().await.status, 200);
    }
    // What is refused for other reasons does not count.
    gateway
        .post_chat("[]")
        .by(CI)
        .send()
        .await
        .assert_error(400, "invalid_request");
    gateway
        .chat("nowhere")
        .by(CI)
        .send()
        .await
        .assert_error(404, "model_not_found");
    assert_eq!(
        gateway
            .chat("a")
            .header("x-api-key", CI)
            .send()
            .await
            .status,
        200
    );
    let answer = gateway.chat("a").by(CI).send().await;
    answer.assert_error(429, "client_rate_limited");
    assert_eq!(answer.json()["error"]["type"], "rate_limit_error");
    assert!(
        answer
            .text()
            .contains("`ci` has used up its 3 requests a minute"),
        "{}",
        answer.text()
    );
    let wait = answer.retry_after_ms();
    assert!((10_000..=20_000).contains(&wait), "{wait}");
    let stream = gateway.chat_stream("a").by(CI).send().await;
    stream.assert_error(429, "client_rate_limited");
    assert_eq!(a.count(), 3);
    assert_eq!(
        gateway.chat("a").by(WEB).send().await.status,
        200,
        "the other one's own"
    );
}

#[tokio::test]
async fn tokens_are_set_aside_and_corrected_by_what_was_used() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(&limited("limits: {tpm: 1000}"), &[("a", &a)]).await;
    let gate = Gate::new();
    let slow = Behaviour::says("slow").gate(At::BeforeHead, &gate);
    a.on(Match::any(), [slow, Behaviour::says("ok")]);
    let holder = gateway.post_chat(asks_for(900)).by(CI).spawn();
    a.wait_for(1).await;
    let answer = gateway.post_chat(asks_for(900)).by(CI).send().await;
    answer.assert_error(429, "client_rate_limited");
    assert!(
        answer.text().contains("1000 tokens a minute"),
        "{}",
        answer.text()
    );
    let wait = answer.retry_after_ms();
    assert!((40_000..=60_000).contains(&wait), "{wait}");
    gate.open();
    assert_eq!(holder.await.unwrap().status, 200);
    // Five tokens were used.
    for _ in 0..20 {
        assert_eq!(
            gateway.post_chat(asks_for(800)).by(CI).send().await.status,
            200
        );
    }
}

#[tokio::test]
async fn failures_cost_no_tokens_and_much_used_is_paid_for() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(&limited("tpm: 1000"), &[("a", &a)]).await;
    let much = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1000,"completion_tokens":1500,"total_tokens":2500}}"#;
    a.on(
        Match::any(),
        [
            Behaviour::fails(500),
            Behaviour::error(400, "bad", "bad"),
            Behaviour::json(200, much),
        ],
    );
    assert_eq!(
        gateway.post_chat(asks_for(900)).by(CI).send().await.status,
        502
    );
    assert_eq!(
        gateway.post_chat(asks_for(900)).by(CI).send().await.status,
        400
    );
    assert_eq!(
        gateway.post_chat(asks_for(900)).by(CI).send().await.status,
        200
    );
    let answer = gateway.post_chat(asks_for(1)).by(CI).send().await;
    answer.assert_error(429, "client_rate_limited");
    // 2500 at 1000 a minute, of which one minute's worth was in the bucket.
    assert!(
        (85_000..=95_000).contains(&answer.retry_after_ms()),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_stream_without_usage_is_counted_by_its_text() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(&limited("tpm: 600"), &[("a", &a)]).await;
    let words = vec!["word "; 300];
    a.on(Match::any(), [Behaviour::streams(&words)]);
    let mut streamed = 0;
    let refused = loop {
        let stream = gateway.chat_stream("a").by(CI).stream().await;
        if stream.status != 200 {
            break stream;
        }
        drop(stream.text().await);
        streamed += 1;
    };
    assert_eq!((refused.status, streamed), (429, 2));
}

#[tokio::test]
async fn who_leaves_before_the_count_of_a_stream_pays_for_the_text_that_went_out() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(&limited("tpm: 1000"), &[("a", &a)]).await;
    // Many words in few events, and the count when the caller has left.
    let words = "word ".repeat(200);
    let mut events: Vec<String> = (0..10).map(|_| chunk(&words)).collect();
    events.push(finish("stop"));
    let gate = Gate::new();
    let stream = Behaviour::events(events).gate(At::AfterPart(11), &gate);
    a.on(Match::any(), [stream]);
    let mut left = gateway.chat_stream("a").by(CI).stream().await;
    left.until("\"stop\"").await;
    drop(left);
    until("the end of the request", async || {
        gateway.health("/in_flight").await == 0
    })
    .await;
    // 2,500 tokens at 1,000 a minute.
    let refused = gateway.chat_stream("a").by(CI).send().await;
    refused.assert_error(429, "client_rate_limited");
    let wait = refused.retry_after_ms();
    assert!((80_000..=100_000).contains(&wait), "{wait}");
    gate.open();
}

#[tokio::test]
async fn a_count_that_comes_with_the_beginning_does_not_pay_for_the_rest() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(&limited("tpm: 1000"), &[("a", &a)]).await;
    let early = event(
        r#"{"choices":[{"index":0,"delta":{"content":"x"}}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}"#,
    );
    let events = [early, chunk(&"word ".repeat(2000)), finish("stop")];
    let gate = Gate::new();
    a.on(
        Match::any(),
        [Behaviour::events(events).gate(At::AfterPart(3), &gate)],
    );
    let mut left = gateway.chat_stream("a").by(CI).stream().await;
    left.until("\"stop\"").await;
    drop(left);
    until("the end of the request", async || {
        gateway.health("/in_flight").await == 0
    })
    .await;
    let refused = gateway.chat_stream("a").by(CI).send().await;
    refused.assert_error(429, "client_rate_limited");
    gate.open();
}

#[tokio::test]
async fn a_whole_answer_without_usage_is_counted_by_its_text() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(&limited("tpm: 1000"), &[("a", &a)]).await;
    let text = "word ".repeat(1000);
    let answer = format!(
        r#"{{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}]}}"#
    );
    a.on(Match::any(), [Behaviour::json(200, &answer)]);
    assert_eq!(gateway.chat("a").by(CI).send().await.status, 200);
    let refused = gateway.chat("a").by(CI).send().await;
    refused.assert_error(429, "client_rate_limited");
}

#[tokio::test]
async fn so_many_at_the_same_time_and_no_more() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(&limited("max_in_flight: 2"), &[("a", &a)]).await;
    let (whole, rest) = (Gate::new(), Gate::new());
    a.on(
        Match::any(),
        [
            Behaviour::says("one").gate(At::BeforeHead, &whole),
            Behaviour::streams(&["t", "wo"]).gate(At::AfterPart(2), &rest),
            Behaviour::says("ok"),
        ],
    );
    let one = gateway.chat("a").by(CI).spawn();
    a.wait_for(1).await;
    let mut two = gateway.chat_stream("a").by(CI).stream().await;
    two.until("t").await;
    let answer = gateway.chat("a").by(CI).send().await;
    answer.assert_error(429, "client_overloaded");
    assert!(answer.retry_after_ms() > 0);
    assert!(answer.text().contains("`ci`"), "{}", answer.text());
    assert_eq!(
        gateway.chat("a").by(WEB).send().await.status,
        200,
        "the other one's own"
    );
    whole.open();
    assert_eq!(one.await.unwrap().status, 200);
    assert_eq!(gateway.chat("a").by(CI).send().await.status, 200);
    // A stream that is left gives its place back too.
    drop(two);
    until("the place", async || {
        gateway.health("/in_flight").await == 0
    })
    .await;
    rest.open();
    let (a1, a2) = (
        gateway.chat("a").by(CI).send(),
        gateway.chat("a").by(CI).send(),
    );
    let (a1, a2) = futures_util::future::join(a1, a2).await;
    assert_eq!((a1.status, a2.status), (200, 200));
}
