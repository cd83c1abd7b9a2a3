//! Bedrock's Converse API behind callers of every kind.

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use serde_json::{Value, json};

use crate::support::client::{errors, spoken};
use crate::support::{At, Behaviour, Gateway, Match, ScriptedUpstream};

const FRAMES: &str = "application/vnd.amazon.eventstream";
const MODEL: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";

const ONE: &str = "
llm:
  providers:
    - name: br
      dialect: bedrock
      base_url: <b>
      model: \"anthropic.claude-sonnet-4-5-20250929-v1:0\"
      api_keys: [k1, k2]
      retry: {same_upstream: 0}
";

const CHAIN: &str = "
llm:
  providers:
    - {name: br, dialect: bedrock, base_url: <b>, model: amazon.nova-pro-v1:0, api_key: k1, retry: {same_upstream: 0}}
    - {name: other, base_url: <o>, model: mo, api_key: ko}
  virtual:
    - {name: v, upstreams: [{name: br}, {name: other}]}
";

async fn one() -> (ScriptedUpstream, Gateway) {
    let b = ScriptedUpstream::start().await;
    let gateway = Gateway::start(ONE, &[("b", &b)]).await;
    (b, gateway)
}

async fn chain() -> (ScriptedUpstream, ScriptedUpstream, Gateway) {
    let (b, o) = (
        ScriptedUpstream::start().await,
        ScriptedUpstream::start().await,
    );
    let gateway = Gateway::start(CHAIN, &[("b", &b), ("o", &o)]).await;
    (b, o, gateway)
}

/// An answer of these blocks.
fn answer(content: &Value, reason: &str) -> Behaviour {
    let body = json!({
        "output": {"message": {"role": "assistant", "content": content}}, "stopReason": reason, "metrics": {"latencyMs": 9},
        "usage": {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15, "cacheReadInputTokens": 100, "cacheWriteInputTokens": 0},
    });
    Behaviour::json(200, &body.to_string()).header("x-amzn-requestid", "req-1")
}

fn frame(kind: &str, name: &str, payload: &Value) -> Vec<u8> {
    let header = |name: &str, value: &str| {
        Header::new(
            name.to_owned(),
            HeaderValue::String(value.to_owned().into()),
        )
    };
    let message = Message::new(payload.to_string().into_bytes())
        .add_header(header(&format!(":{kind}-type"), name))
        .add_header(header(":content-type", "application/json"))
        .add_header(header(":message-type", kind));
    let mut raw = Vec::new();
    write_message_to(&message, &mut raw).unwrap();
    raw
}

fn event(name: &str, payload: &Value) -> Vec<u8> {
    frame("event", name, payload)
}

fn text(words: &str) -> Vec<u8> {
    event(
        "contentBlockDelta",
        &json!({"contentBlockIndex": 0, "delta": {"text": words}, "p": "abcdefgh"}),
    )
}

fn start() -> Vec<u8> {
    event("messageStart", &json!({"role": "assistant"}))
}

/// The end of a stream.
fn end(reason: &str) -> Vec<Vec<u8>> {
    let usage = json!({"inputTokens": 3, "outputTokens": 2, "totalTokens": 5});
    vec![
        event("contentBlockStop", &json!({"contentBlockIndex": 0})),
        event("messageStop", &json!({"stopReason": reason})),
        event(
            "metadata",
            &json!({"usage": usage, "metrics": {"latencyMs": 1}}),
        ),
    ]
}

fn streams(frames: Vec<Vec<u8>>) -> Behaviour {
    Behaviour::pieces(FRAMES, frames).header("x-amzn-requestid", "req-1")
}

#[tokio::test]
async fn a_chat_request_is_a_conversation_with_its_key_as_a_bearer() {
    let (b, gateway) = one().await;
    b.on(
        Match::any(),
        [answer(&json!([{"text": "Hello"}]), "end_turn")],
    );
    let body = json!({"model": "br", "max_tokens": 50, "seed": 7, "messages": [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]});
    let answer = gateway.post_chat(body.to_string()).send().await;
    assert_eq!((answer.status, answer.says().as_str()), (200, "Hello"));
    assert_eq!(answer.header("x-pointsman-dropped"), "seed");
    let said = answer.json();
    assert_eq!(said["id"], "req-1");
    assert_eq!(said["usage"]["prompt_tokens"], 110);
    assert_eq!(said["usage"]["prompt_tokens_details"]["cached_tokens"], 100);
    let [request] = &b.requests()[..] else {
        panic!("one request")
    };
    let escaped = MODEL.replace(':', "%3A");
    assert_eq!(request.path, format!("/v1/model/{escaped}/converse"));
    assert_eq!(request.key.as_deref(), Some("k1"));
    assert_eq!(
        request.json(),
        json!({
            "system": [{"text": "Be brief."}],
            "messages": [{"role": "user", "content": [{"text": "hi"}]}],
            "inferenceConfig": {"maxTokens": 50},
        })
    );
}

#[tokio::test]
async fn a_stream_of_frames_is_a_stream_of_chunks_however_it_is_cut() {
    let (b, gateway) = one().await;
    let frames = || {
        let mut frames = vec![start(), text("Hel"), text("lo\n"), text("\u{e9}")];
        frames.extend(end("end_turn"));
        frames
    };
    let whole = vec![frames().concat()];
    b.on(
        Match::any(),
        [
            streams(frames()),
            streams(frames()).slices(7),
            streams(whole),
        ],
    );
    for _ in 0..3 {
        let body = json!({"model": "br", "stream": true, "stream_options": {"include_usage": true},
            "messages": [{"role": "user", "content": "hi"}]});
        let stream = gateway.post_chat(body.to_string()).stream().await;
        assert_eq!(stream.status, 200);
        assert!(
            stream
                .header("content-type")
                .starts_with("text/event-stream")
        );
        let text = stream.text().await;
        assert_eq!(spoken(&text), "Hello\n\u{e9}");
        assert!(
            text.contains(r#""finish_reason":"stop""#) && text.contains(r#""prompt_tokens":3"#)
        );
        assert!(text.contains(r#""id":"req-1""#), "{text}");
        assert!(text.trim_end().ends_with("data: [DONE]"), "{text}");
    }
    let requests = b.requests();
    assert!(
        requests
            .iter()
            .all(|request| request.path.ends_with("/converse-stream"))
    );
    assert_eq!(requests[0].header("accept"), Some(FRAMES));
}

#[tokio::test]
async fn callers_of_messages_see_thoughts_and_calls_of_a_stream() {
    let (b, gateway) = one().await;
    let block = |index: u64, delta: Value| {
        event(
            "contentBlockDelta",
            &json!({"contentBlockIndex": index, "delta": delta}),
        )
    };
    let mut frames = vec![
        start(),
        block(0, json!({"reasoningContent": {"text": "hm"}})),
        block(0, json!({"reasoningContent": {"signature": "c2ln"}})),
        event("contentBlockStop", &json!({"contentBlockIndex": 0})),
        event(
            "contentBlockStart",
            &json!({"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "t1", "name": "w"}}}),
        ),
        block(1, json!({"toolUse": {"input": "{\"c\":"}})),
        block(1, json!({"toolUse": {"input": "1}"}})),
    ];
    frames.extend(end("tool_use"));
    b.on(
        Match::any(),
        [
            streams(frames),
            answer(&json!([{"text": "12"}]), "end_turn"),
        ],
    );
    let tools = json!([{"name": "w", "input_schema": {"type": "object"}}]);
    let user = json!({"role": "user", "content": "weather"});
    let body = json!({"model": "br", "max_tokens": 9000, "stream": true, "messages": [user], "tools": tools,
        "thinking": {"type": "enabled", "budget_tokens": 2000}});
    let stream = gateway
        .post("/v1/messages", body.to_string())
        .stream()
        .await
        .text()
        .await;
    assert!(stream.contains(r#""signature":"c2ln""#), "{stream}");
    assert!(stream.contains(r#""stop_reason":"tool_use""#) && stream.contains("message_stop"));
    let said = json!({"role": "assistant", "content": [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"}, {"type": "tool_use", "id": "t1", "name": "w", "input": {"c": 1}}]});
    let result = json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "12 degrees"}]});
    let body = json!({"model": "br", "max_tokens": 9000, "messages": [user, said, result], "tools": tools});
    let second = gateway.post("/v1/messages", body.to_string()).send().await;
    assert_eq!(second.json()["content"][0]["text"], "12");
    let messages = b.requests()[1].json()["messages"].clone();
    assert_eq!(
        messages[1]["content"][0]["reasoningContent"]["reasoningText"],
        json!({"text": "hm", "signature": "c2ln"})
    );
    assert_eq!(messages[2]["content"][0]["toolResult"]["toolUseId"], "t1");
}

#[tokio::test]
async fn a_throttled_key_cools_and_the_next_one_serves() {
    let (b, gateway) = one().await;
    let throttled = Behaviour::json(
        429,
        r#"{"message":"Too many tokens, please wait before trying again."}"#,
    )
    .header(
        "x-amzn-errortype",
        "ThrottlingException:http://internal.amazon.com/coral/",
    );
    b.on(Match::key("k1"), [throttled]);
    b.on(
        Match::key("k2"),
        [answer(&json!([{"text": "ok"}]), "end_turn")],
    );
    for _ in 0..2 {
        assert_eq!(gateway.chat("br").send().await.says(), "ok");
    }
    assert_eq!(b.keys(), ["k1", "k2", "k2"]);
}

#[tokio::test]
async fn an_exception_before_the_first_word_is_hidden_and_one_after_it_is_told() {
    let (b, o, gateway) = chain().await;
    let refused = |name: &str| frame("exception", name, &json!({"message": "no capacity"}));
    b.on(
        Match::any(),
        [
            streams(vec![start(), refused("serviceUnavailableException")]),
            streams(vec![
                start(),
                text("Hel"),
                refused("modelStreamErrorException"),
            ]),
        ],
    );
    o.on(Match::any(), [Behaviour::streams(&["there"])]);
    let first = gateway.chat_stream("v").stream().await.text().await;
    assert_eq!(spoken(&first), "there");
    let second = gateway.chat_stream("v").stream().await.text().await;
    assert_eq!(spoken(&second), "Hel");
    assert_eq!(errors(&second).len(), 1, "{second}");
    assert!(
        second.contains("no capacity") && !second.contains("[DONE]"),
        "{second}"
    );
}

#[tokio::test]
async fn a_damaged_frame_and_a_cut_one_are_failures() {
    let (b, o, gateway) = chain().await;
    let mut damaged = text("x");
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    let cut = streams(vec![start(), text("Hel"), text("lo")]).close(At::InsidePart(2));
    // What comes in front of the damage is told, also in one piece with it.
    let one = streams(vec![[start(), text("Hel"), damaged.clone()].concat()]);
    b.on(Match::any(), [streams(vec![start(), damaged]), cut, one]);
    o.on(Match::any(), [Behaviour::streams(&["there"])]);
    let first = gateway.chat_stream("v").stream().await.text().await;
    assert_eq!(spoken(&first), "there");
    for _ in 0..2 {
        let second = gateway.chat_stream("v").stream().await.text().await;
        assert_eq!(
            (spoken(&second).as_str(), errors(&second).len()),
            ("Hel", 1),
            "{second}"
        );
    }
}

#[tokio::test]
async fn a_stream_without_its_counts_is_whole() {
    let (b, gateway) = one().await;
    let frames = vec![
        start(),
        text("Hi"),
        event("messageStop", &json!({"stopReason": "end_turn"})),
    ];
    b.on(Match::any(), [streams(frames)]);
    let stream = gateway.chat_stream("br").stream().await.text().await;
    assert_eq!(spoken(&stream), "Hi");
    assert!(stream.trim_end().ends_with("data: [DONE]"), "{stream}");
}

#[tokio::test]
async fn tokens_are_counted_by_bedrock() {
    let (b, gateway) = one().await;
    b.on(
        Match::any(),
        [Behaviour::json(200, r#"{"inputTokens":403}"#)],
    );
    let body = json!({"model": "br", "messages": [{"role": "user", "content": "hi"}]});
    let count = gateway
        .post("/v1/messages/count_tokens", body.to_string())
        .send()
        .await;
    assert_eq!(count.json(), json!({"input_tokens": 403}));
    let request = &b.requests()[0];
    assert!(request.path.ends_with("/count-tokens"));
    assert_eq!(
        request.json(),
        json!({"input": {"converse": {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}}})
    );
}
