//! Anthropic's API on both sides: as an upstream of OpenAI clients, and as the API of callers.

mod callers;

use serde_json::{Value, json};

use crate::support::client::spoken;
use crate::support::{At, Behaviour, Gateway, Match, ScriptedUpstream};

const ONE: &str = "
llm:
  providers:
    - name: a
      dialect: anthropic
      base_url: <a>
      model: claude-haiku-4-5
      api_keys: [k1, k2]
";

async fn one() -> (ScriptedUpstream, Gateway) {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(ONE, &[("a", &a)]).await;
    (a, gateway)
}

/// An answer that says this.
fn message(content: &Value, reason: &str) -> Behaviour {
    let body = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5", "content": content,
        "stop_reason": reason, "stop_sequence": null,
        "usage": {"input_tokens": 10, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 50, "output_tokens": 20},
    });
    Behaviour::json(200, &body.to_string())
}

fn text(words: &str) -> Value {
    json!([{"type": "text", "text": words}])
}

fn event(data: &Value) -> String {
    format!(
        "event: {}\ndata: {data}\n\n",
        data["type"].as_str().unwrap()
    )
}

fn start() -> String {
    event(
        &json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
        "model": "m", "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": 5, "output_tokens": 1}}}),
    )
}

fn begin() -> String {
    event(
        &json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
    )
}

fn says(words: &str) -> String {
    event(
        &json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": words}}),
    )
}

fn end() -> [String; 3] {
    [
        event(&json!({"type": "content_block_stop", "index": 0})),
        event(
            &json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
            "usage": {"output_tokens": 9}}),
        ),
        event(&json!({"type": "message_stop"})),
    ]
}

/// A stream of these words.
fn streams(words: &[&str]) -> Behaviour {
    let words = words.iter().map(|words| says(words));
    Behaviour::events([start(), begin()].into_iter().chain(words).chain(end()))
}

#[tokio::test]
async fn a_chat_request_is_asked_as_messages_with_key_and_version() {
    let (a, gateway) = one().await;
    a.on(Match::any(), [message(&text("Hello"), "end_turn")]);
    let body = json!({"model": "a", "messages": [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}], "max_tokens": 50});
    let answer = gateway
        .post_chat(body.to_string())
        .header("anthropic-beta", "context-1m-2025-08-07")
        .send()
        .await;
    assert_eq!((answer.status, answer.says().as_str()), (200, "Hello"));
    let answer = answer.json();
    assert_eq!(answer["usage"]["prompt_tokens"], 160);
    assert_eq!(
        answer["usage"]["prompt_tokens_details"]["cached_tokens"],
        100
    );
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    let [request] = &a.requests()[..] else {
        panic!("one request")
    };
    assert_eq!(request.path, "/v1/messages");
    assert_eq!(request.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(
        request.header("anthropic-beta"),
        Some("context-1m-2025-08-07")
    );
    assert_eq!(request.header("authorization"), None);
    assert_eq!(request.key.as_deref(), Some("k1"));
    let body = request.json();
    assert_eq!(body["model"], "claude-haiku-4-5");
    assert_eq!(body["system"][0]["text"], "Be brief.");
    assert_eq!(body["max_tokens"], 50);
}

#[tokio::test]
async fn calls_of_tools_go_there_and_back() {
    let (a, gateway) = one().await;
    let call = json!([{"type": "tool_use", "id": "toolu_1", "name": "w", "input": {"c": "Oslo"}}]);
    a.on(
        Match::any(),
        [
            message(&call, "tool_use"),
            message(&text("3 degrees"), "end_turn"),
        ],
    );
    let tools = json!([{"type": "function", "function": {"name": "w", "parameters": {"type": "object", "properties": {}}}}]);
    let user = json!({"role": "user", "content": "weather"});
    let body = json!({"model": "a", "messages": [user], "tools": tools});
    let answer = gateway.post_chat(body.to_string()).send().await.json();
    assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls");
    let said = &answer["choices"][0]["message"];
    assert_eq!(
        said["tool_calls"][0]["function"]["arguments"],
        r#"{"c":"Oslo"}"#
    );
    let result = json!({"role": "tool", "tool_call_id": "toolu_1", "content": "3"});
    let body = json!({"model": "a", "messages": [user, said, result], "tools": tools});
    let answer = gateway.post_chat(body.to_string()).send().await;
    assert_eq!(answer.says(), "3 degrees");
    let messages = a.requests()[1].json()["messages"].clone();
    assert_eq!(messages[1]["content"], call);
    assert_eq!(messages[2]["content"][0]["tool_use_id"], "toolu_1");
}

#[tokio::test]
async fn a_stream_comes_as_chunks_with_counts_for_who_asks() {
    let (a, gateway) = one().await;
    a.on(
        Match::any(),
        [streams(&["Hel", "lo"]), streams(&["Hel", "lo"])],
    );
    let text = gateway.chat_stream("a").stream().await.text().await;
    assert_eq!(spoken(&text), "Hello");
    assert!(
        text.ends_with("data: [DONE]\n\n") && !text.contains("prompt_tokens"),
        "{text}"
    );
    assert_eq!(a.requests()[0].json()["stream"], true);
    let body = json!({"model": "a", "stream": true, "stream_options": {"include_usage": true},
        "messages": [{"role": "user", "content": "hi"}]});
    let text = gateway
        .post_chat(body.to_string())
        .stream()
        .await
        .text()
        .await;
    assert!(
        text.contains(r#""prompt_tokens":5"#) && text.contains(r#""completion_tokens":9"#),
        "{text}"
    );
}

#[tokio::test]
async fn a_stream_without_its_end_mark_is_ended_in_the_callers_form() {
    let (a, gateway) = one().await;
    let [stop, reason, _] = end();
    a.on(
        Match::any(),
        [Behaviour::events([
            start(),
            begin(),
            says("ok"),
            stop,
            reason,
        ])],
    );
    let text = gateway.chat_stream("a").stream().await.text().await;
    assert!(text.contains(r#""finish_reason":"stop""#), "{text}");
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
}

#[tokio::test]
async fn a_refusal_is_told_in_the_callers_form() {
    let (a, gateway) = one().await;
    let body = json!({"type": "error", "error": {"type": "invalid_request_error", "message": "messages.0: bad thing"},
        "request_id": "req_1"});
    a.on(Match::any(), [Behaviour::json(400, &body.to_string())]);
    let answer = gateway.chat("a").send().await;
    assert_eq!(answer.status, 400);
    let error = answer.json();
    assert_eq!(error["error"]["type"], "invalid_request_error");
    assert!(
        error["error"]["message"]
            .as_str()
            .unwrap()
            .contains("bad thing")
    );
    assert_eq!(error.get("type"), None);
}

#[tokio::test]
async fn a_stream_that_breaks_never_looks_whole() {
    let (a, gateway) = one().await;
    let error = event(
        &json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
    );
    let broken = Behaviour::events([start(), begin(), says("Once"), error]);
    let cut =
        Behaviour::events([start(), begin(), says("Once"), says("more")]).reset(At::AfterPart(3));
    a.on(Match::any(), [broken, cut]);
    for _ in 0..2 {
        let text = gateway.chat_stream("a").stream().await.text().await;
        assert_eq!(spoken(&text), "Once");
        assert!(text.contains(r#""error":{"#), "{text}");
        assert!(
            !text.contains("[DONE]") && !text.contains(r#""finish_reason":"stop""#),
            "{text}"
        );
    }
}

const BOTH: &str = "
llm:
  providers:
    - {name: a, dialect: anthropic, base_url: <a>, model: claude-haiku-4-5, api_key: ka, retry: {same_upstream: 0}}
    - {name: b, base_url: <b>, model: mb, api_key: kb}
  virtual:
    - {name: v, upstreams: [a, b]}
";

#[tokio::test]
async fn an_overload_in_the_first_event_is_hidden_by_another_upstream() {
    let (a, b) = (
        ScriptedUpstream::start().await,
        ScriptedUpstream::start().await,
    );
    let gateway = Gateway::start(BOTH, &[("a", &a), ("b", &b)]).await;
    let error = event(
        &json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
    );
    a.on(Match::any(), [Behaviour::events([error])]);
    b.on(Match::any(), [Behaviour::streams(&["from b"])]);
    let text = gateway.chat_stream("v").stream().await.text().await;
    assert_eq!(spoken(&text), "from b");
}

#[tokio::test]
async fn a_key_that_is_used_up_rests_as_long_as_its_headers_say() {
    let (a, gateway) = one().await;
    let limited =
        json!({"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}});
    let limited = Behaviour::json(429, &limited.to_string()).header("retry-after", "60");
    a.on(Match::key("k1"), [limited]);
    a.on(
        Match::key("k2"),
        [
            message(&text("2"), "end_turn"),
            message(&text("2"), "end_turn"),
        ],
    );
    assert_eq!(gateway.chat("a").send().await.says(), "2");
    assert_eq!(gateway.chat("a").send().await.says(), "2");
    let keys: Vec<_> = a
        .requests()
        .iter()
        .map(|request| request.key.clone().unwrap())
        .collect();
    assert_eq!(keys, ["k1", "k2", "k2"]);
}

#[tokio::test]
async fn a_key_may_be_carried_as_a_bearer_token() {
    let a = ScriptedUpstream::start().await;
    let yaml = ONE.replace(
        "dialect: anthropic",
        "dialect: anthropic\n      auth: bearer",
    );
    let gateway = Gateway::start(&yaml, &[("a", &a)]).await;
    a.on(Match::any(), [message(&text("ok"), "end_turn")]);
    assert_eq!(gateway.chat("a").send().await.says(), "ok");
    let request = &a.requests()[0];
    assert!(
        request
            .header("authorization")
            .unwrap()
            .starts_with("Bearer ")
    );
    assert_eq!(request.header("x-api-key"), None);
}

const RESCUED: &str = "
llm:
  providers:
    - name: a
      base_url: <a>
      model: ma
      api_key: ka
      retry: {same_upstream: 0}
      circuit_breaker: {failure_threshold: 1, recovery_time: 60s}
    - {name: b, dialect: anthropic, base_url: <b>, model: MODEL, api_key: kb, prefill: assistant, retry: {same_upstream: 0}}
  virtual:
    - {name: v, upstreams: [a, b], rescue: continue}
";

#[tokio::test]
async fn a_broken_answer_is_finished_by_a_model_that_takes_its_beginning() {
    for (model, asks_for_rest) in [("claude-haiku-4-5", true), ("claude-opus-4-8", false)] {
        let broken = Behaviour::streams(&["Hel", "lo", " there"]).reset(At::AfterPart(3));
        let a = ScriptedUpstream::playing([broken]).await;
        let rest = match asks_for_rest {
            true => streams(&[" world"]),
            false => streams(&["Hello world"]),
        };
        let b = ScriptedUpstream::playing([rest]).await;
        let yaml = RESCUED.replace("MODEL", model);
        let gateway = Gateway::start(&yaml, &[("a", &a), ("b", &b)]).await;
        let text = gateway.chat_stream("v").stream().await.text().await;
        assert_eq!(spoken(&text), "Hello world", "{text}");
        assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
        let messages = b.requests()[0].json()["messages"].clone();
        let last = messages.as_array().unwrap().last().unwrap().clone();
        assert_eq!(last["role"] == "assistant", asks_for_rest);
        if asks_for_rest {
            assert_eq!(last["content"][0]["text"], "Hello");
        }
    }
}
