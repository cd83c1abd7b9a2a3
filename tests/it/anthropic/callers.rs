//! Callers that speak Anthropic's API.

use serde_json::{Value, json};

use super::{BOTH, end, message, one, says, start, streams, text};
use crate::support::{At, Behaviour, Gateway, Match, ScriptedUpstream, behaviour};

const OPENAI: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, model: big-model, api_key: k1, retry: {same_upstream: 0}}
";

async fn openai() -> (ScriptedUpstream, Gateway) {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(OPENAI, &[("a", &a)]).await;
    (a, gateway)
}

fn asks(fields: &Value) -> String {
    let mut body =
        json!({"model": "a", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body.to_string()
}

/// The data of a stream's events; each is named by its type.
fn data(stream: &str) -> Vec<Value> {
    let events = stream
        .split("\n\n")
        .filter(|event| event.contains("data: "));
    events
        .map(|event| {
            let (name, data) = event.split_once("\ndata: ").unwrap();
            let data: Value = serde_json::from_str(data).unwrap();
            assert_eq!(name.strip_prefix("event: "), data["type"].as_str());
            data
        })
        .collect()
}

#[tokio::test]
async fn messages_pass_to_anthropic_byte_for_byte() {
    let (a, gateway) = one().await;
    let said = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"future","y":1.0}],"stop_reason":"pause_turn","usage":{"input_tokens":1,"output_tokens":2}}"#;
    a.on(Match::any(), [Behaviour::json(200, said)]);
    let body = r#"{ "max_tokens":1.0e2, "model":"a","messages":[{"role":"user","content":[{"type":"text","text":"hi  "}]}],"x":[ ] }"#;
    let answer = gateway
        .post("/v1/messages?beta=true", body)
        .header("anthropic-version", "2024-01-01")
        .send()
        .await;
    assert_eq!((answer.status, answer.text()), (200, said));
    let request = &a.requests()[0];
    assert_eq!(request.path, "/v1/messages");
    assert_eq!(request.header("anthropic-version"), Some("2024-01-01"));
    let expected = body.replace("\"a\"", "\"claude-haiku-4-5\"");
    assert_eq!(String::from_utf8_lossy(&request.body), expected);
    let stream = streams(&["Hel", "lo"]);
    let sent: String = [start(), super::begin(), says("Hel"), says("lo")]
        .into_iter()
        .chain(end())
        .collect();
    a.on(Match::any(), [stream]);
    let got = gateway
        .post("/v1/messages", asks(&json!({"stream": true})))
        .stream()
        .await;
    assert_eq!(got.text().await, sent);
}

#[tokio::test]
async fn an_answer_of_chat_completions_comes_as_a_message() {
    let (a, gateway) = openai().await;
    a.on(Match::any(), [Behaviour::says("Hello")]);
    let answer = gateway
        .post("/v1/messages", asks(&json!({"system": "S."})))
        .send()
        .await;
    assert_eq!(answer.status, 200);
    let said = answer.json();
    assert_eq!(said["type"], "message");
    assert_eq!(said["content"], text("Hello"));
    assert_eq!(said["stop_reason"], "end_turn");
    assert_eq!(
        (
            &said["usage"]["input_tokens"],
            &said["usage"]["output_tokens"]
        ),
        (&json!(3), &json!(2))
    );
    let request = &a.requests()[0];
    assert_eq!(request.path, "/v1/chat/completions");
    assert_eq!(
        request.json()["messages"][0],
        json!({"role": "system", "content": "S."})
    );
}

#[tokio::test]
async fn a_stream_of_chunks_comes_as_blocks_and_waits_for_its_counts() {
    let (a, gateway) = openai().await;
    let usage = behaviour::event(
        r#"{"id":"c","choices":[],"usage":{"prompt_tokens":100,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":75}}}"#,
    );
    let call = behaviour::event(
        r#"{"id":"c","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"bash","arguments":"{\"command\":\"ls\"}"}}]}}]}"#,
    );
    let parts = [
        behaviour::role(),
        behaviour::chunk("Running."),
        call,
        behaviour::finish("tool_calls"),
        usage,
        behaviour::DONE.to_owned(),
    ];
    a.on(Match::any(), [Behaviour::events(parts)]);
    let stream = gateway
        .post("/v1/messages", asks(&json!({"stream": true})))
        .stream()
        .await;
    let said = data(&stream.text().await);
    let kinds: Vec<&str> = said
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop"
        ]
    );
    assert_eq!(said[7]["delta"]["stop_reason"], "tool_use");
    assert_eq!(said[7]["usage"]["input_tokens"], 25);
    assert_eq!(said[7]["usage"]["output_tokens"], 7);
    assert_eq!(
        a.requests()[0].json()["stream_options"]["include_usage"],
        true
    );
}

#[tokio::test]
async fn errors_have_anthropics_form_before_and_inside_of_streams() {
    let (a, gateway) = openai().await;
    a.on(
        Match::any(),
        [Behaviour::error(400, "invalid_value", "bad thing")],
    );
    let answer = gateway.post("/v1/messages", asks(&json!({}))).send().await;
    assert_eq!(answer.status, 400);
    let error = answer.json();
    assert_eq!(
        (&error["type"], &error["error"]["type"]),
        (&json!("error"), &json!("invalid_request_error"))
    );
    assert!(
        error["error"]["message"]
            .as_str()
            .unwrap()
            .contains("bad thing")
    );
    let answer = gateway
        .post("/v1/messages", asks(&json!({"model": "nobody"})))
        .send()
        .await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["type"]),
        (404, &json!("not_found_error"))
    );
    let broken = Behaviour::events([
        behaviour::role(),
        behaviour::chunk("Once"),
        behaviour::error_event("boom"),
    ]);
    let cut = Behaviour::streams(&["Once", "more"]).reset(At::AfterPart(2));
    a.on(Match::any(), [broken, cut]);
    for _ in 0..2 {
        let stream = gateway
            .post("/v1/messages", asks(&json!({"stream": true})))
            .stream()
            .await;
        let said = data(&stream.text().await);
        let last = said.last().unwrap();
        assert_eq!(
            (&last["type"], &last["error"]["type"]),
            (&json!("error"), &json!("api_error"))
        );
        assert!(
            last["error"]["message"]
                .as_str()
                .unwrap()
                .contains("server error"),
            "{last}"
        );
        assert!(said.iter().all(|event| event["type"] != "message_stop"));
    }
}

#[tokio::test]
async fn one_chain_serves_messages_at_both_kinds_of_upstreams() {
    let (a, b) = (
        ScriptedUpstream::start().await,
        ScriptedUpstream::start().await,
    );
    let gateway = Gateway::start(BOTH, &[("a", &a), ("b", &b)]).await;
    a.on(Match::any(), [Behaviour::fails(500)]);
    b.on(Match::any(), [Behaviour::says("from b")]);
    let answer = gateway
        .post("/v1/messages", asks(&json!({"model": "v"})))
        .send()
        .await;
    assert_eq!(answer.json()["content"], text("from b"));
}

#[tokio::test]
async fn tokens_are_counted_by_an_upstream_or_here() {
    let (a, gateway) = one().await;
    a.on(
        Match::any(),
        [Behaviour::json(200, r#"{"input_tokens":403}"#)],
    );
    let body = json!({"model": "a", "messages": [{"role": "user", "content": "hi"}]}).to_string();
    let answer = gateway
        .post("/v1/messages/count_tokens?beta=true", body.clone())
        .send()
        .await;
    assert_eq!(
        (answer.status, answer.text()),
        (200, r#"{"input_tokens":403}"#)
    );
    assert_eq!(a.requests()[0].path, "/v1/messages/count_tokens");
    let (b, gateway) = openai().await;
    let answer = gateway.post("/v1/messages/count_tokens", body).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-pointsman-counted-by"), "tokenizer");
    assert!((1..50).contains(&answer.json()["input_tokens"].as_u64().unwrap()));
    assert!(b.requests().is_empty());
}

#[tokio::test]
async fn the_list_of_models_has_the_callers_form() {
    let (_a, gateway) = openai().await;
    let list = gateway
        .get("/v1/models?limit=1000")
        .header("anthropic-version", "2023-06-01")
        .send()
        .await
        .json();
    assert_eq!(list["has_more"], false);
    let ids: Vec<_> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["id"].clone())
        .collect();
    assert!(ids.contains(&json!("a:big-model")), "{ids:?}");
    assert!(
        list["data"]
            .as_array()
            .unwrap()
            .iter()
            .all(|model| model["type"] == "model")
    );
    let list = gateway.get("/v1/models").send().await.json();
    assert_eq!(list["object"], "list");
}

#[tokio::test]
async fn a_client_may_send_its_token_as_anthropics_key() {
    let a = ScriptedUpstream::start().await;
    let yaml = format!("{OPENAI}clients: [{{name: one, token: secret-of-one-1234567890}}]\n");
    let gateway = Gateway::start(&yaml, &[("a", &a)]).await;
    a.on(Match::any(), [Behaviour::says("ok")]);
    let call = || gateway.post("/v1/messages", asks(&json!({})));
    let answer = call()
        .header("x-api-key", "secret-of-one-1234567890")
        .send()
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = call().header("x-api-key", "wrong").send().await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["type"]),
        (401, &json!("authentication_error"))
    );
    assert_eq!(a.requests()[0].header("x-api-key"), None);
}

#[tokio::test]
async fn thoughts_of_another_host_come_back_to_it_and_never_to_anthropic() {
    let (a, gateway) = openai().await;
    let thought = r#"{"id":"c","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"ok","reasoning_content":"hm"},"finish_reason":"stop"}]}"#;
    a.on(
        Match::any(),
        [Behaviour::json(200, thought), Behaviour::says("more")],
    );
    let said = gateway
        .post("/v1/messages", asks(&json!({})))
        .send()
        .await
        .json();
    assert_eq!(said["content"][0]["thinking"], "hm");
    let turns = json!({"messages": [{"role": "user", "content": "hi"},
        {"role": "assistant", "content": said["content"]}, {"role": "user", "content": "and"}]});
    assert_eq!(
        gateway
            .post("/v1/messages", asks(&turns))
            .send()
            .await
            .status,
        200
    );
    assert_eq!(
        a.requests()[1].json()["messages"][1]["reasoning_content"],
        "hm"
    );
    let (a, gateway) = one().await;
    a.on(Match::any(), [message(&text("ok"), "end_turn")]);
    assert_eq!(
        gateway
            .post("/v1/messages", asks(&turns))
            .send()
            .await
            .status,
        200
    );
    assert_eq!(a.requests()[0].json()["messages"][1]["content"], text("ok"));
}
