//! The Responses API: at providers that have it, at those that know chat completions alone, and for chat callers at
//! upstreams that have nothing else. What a translation leaves out is named.

mod callers;
mod upstreams;

use serde_json::{Value, json};

use crate::support::{Answer, Behaviour, Gateway, Match, ScriptedUpstream};

/// A provider `a` with these settings, and `b` behind it in the chain `v`.
async fn pair(a_more: &str, virtual_more: &str) -> (ScriptedUpstream, ScriptedUpstream, Gateway) {
    let (a, b) = (
        ScriptedUpstream::start().await,
        ScriptedUpstream::start().await,
    );
    let yaml = format!(
        "llm:
  providers:
    - {{name: a, base_url: <a>, model: m, api_key: k1, retry: {{same_upstream: 0}}{a_more}}}
    - {{name: b, base_url: <b>, model: m, api_key: k2, retry: {{same_upstream: 0}}}}
  virtual: [{{name: v, upstreams: [a, b]{virtual_more}}}]
dispatch: {{await_cooldown: 0s}}
"
    );
    let gateway = Gateway::start(&yaml, &[("a", &a), ("b", &b)]).await;
    (a, b, gateway)
}

/// It has chat completions and nothing else.
fn chat_only(upstream: &ScriptedUpstream, chat: impl IntoIterator<Item = Behaviour>) {
    upstream.on(
        Match::any(),
        [Behaviour::error(404, "not_found", "Not Found")],
    );
    upstream.on(Match::path("/v1/chat/completions"), chat);
}

fn paths(upstream: &ScriptedUpstream) -> Vec<String> {
    upstream
        .requests()
        .into_iter()
        .map(|request| request.path)
        .collect()
}

async fn ask(gateway: &Gateway, body: &Value) -> Answer {
    gateway.post("/v1/responses", body.to_string()).send().await
}

/// The events of a streamed response.
async fn stream(gateway: &Gateway, body: &Value) -> Vec<Value> {
    let stream = gateway
        .post("/v1/responses", body.to_string())
        .stream()
        .await;
    assert_eq!(stream.status, 200);
    let text = stream.text().await;
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).unwrap_or_else(|_| panic!("{text}")))
        .collect()
}

fn types(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect()
}

const NATIVE: &str = r#"{"id":"resp_1","object":"response","created_at":1,"status":"completed","model":"m","output":[{"id":"msg_1","type":"message","role":"assistant","status":"completed","content":[{"type":"output_text","text":"native","annotations":[]}]}],"usage":{"input_tokens":1,"output_tokens":1,"total_tokens":2}}"#;

#[tokio::test]
async fn a_provider_without_the_route_is_asked_for_it_once() {
    let (a, _b, gateway) = pair("", "").await;
    chat_only(&a, [Behaviour::says("hello")]);
    for _ in 0..3 {
        let answer = ask(&gateway, &json!({"model": "a", "input": "hi"})).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["output"][0]["content"][0]["text"], "hello");
        assert_eq!(answer.header("x-pointsman-attempts"), "1");
    }
    let (route, chat) = ("/v1/responses", "/v1/chat/completions");
    assert_eq!(paths(&a), [route, chat, chat, chat]);
}

#[tokio::test]
async fn a_provider_with_the_route_gets_bytes_as_they_came() {
    for (more, path) in [
        ("", "/v1/responses"),
        (", responses: native", "/v1/responses"),
        (", dialect: responses", "/v1/responses"),
        (", responses: translate", "/v1/chat/completions"),
    ] {
        let (a, _b, gateway) = pair(more, "").await;
        a.on(Match::path("/v1/responses"), [Behaviour::json(200, NATIVE)]);
        let body =
            r#"{"model":"m", "input":[{"type":"future","z":1.0}],"previous_response_id":null}"#;
        let answer = gateway
            .post("/v1/responses", body.replace("\"m\"", "\"a\""))
            .send()
            .await;
        assert_eq!(paths(&a), [path], "{more}");
        if path == "/v1/responses" {
            assert_eq!(answer.text(), NATIVE, "{more}");
            assert_eq!(
                String::from_utf8(a.requests()[0].body.clone()).unwrap(),
                body
            );
        }
    }
}

#[tokio::test]
async fn a_request_about_an_unknown_model_is_not_one_about_the_route() {
    let (a, b, gateway) = pair("", "").await;
    let gone = Behaviour::error(404, "model_not_found", "The model `m` does not exist");
    a.on(Match::any(), [gone]);
    b.on(Match::path("/v1/responses"), [Behaviour::json(200, NATIVE)]);
    let answer = ask(&gateway, &json!({"model": "v", "input": "hi"})).await;
    assert_eq!(answer.text(), NATIVE);
    assert_eq!(paths(&a), ["/v1/responses"]);
}

/// What Codex sends, but for the length of its texts.

#[tokio::test]
async fn what_an_upstream_has_nothing_like_is_not_supported() {
    let (a, b, gateway) = pair(", dialect: responses", "").await;
    let body = |model: &str| json!({"model": model, "input": "hi"}).to_string();
    let lone = gateway.post("/v1/embeddings", body("a")).send().await;
    assert_eq!(
        (lone.status, &*lone.code()),
        (501, "not_supported"),
        "{}",
        lone.text()
    );
    b.on(
        Match::any(),
        [Behaviour::json(200, r#"{"object":"list","data":[]}"#)],
    );
    let other = gateway.post("/v1/embeddings", body("v")).send().await;
    assert_eq!(other.status, 200);
    assert_eq!(a.count(), 0);
}

#[tokio::test]
async fn tokens_are_counted_by_who_can_and_else_here() {
    let (a, b, gateway) = pair(", dialect: responses", "").await;
    let counted = r#"{"object":"response.input_tokens","input_tokens":403}"#;
    a.on(
        Match::path("/v1/responses/input_tokens"),
        [Behaviour::json(200, counted)],
    );
    b.on(
        Match::any(),
        [Behaviour::error(404, "not_found", "Not Found")],
    );
    let count = |model: &str| json!({"model": model, "input": "hi"}).to_string();
    let route = "/v1/responses/input_tokens";
    let native = gateway.post(route, count("a")).send().await;
    assert_eq!(native.text(), counted);
    let messages = json!({"model": "a", "messages": [{"role": "user", "content": "hi"}]});
    let other = gateway.post("/v1/messages/count_tokens", messages.to_string());
    let other = other.send().await;
    assert_eq!(
        other.json(),
        json!({"input_tokens": 403}),
        "{}",
        other.text()
    );
    let sent = a.requests()[1].json();
    let names: Vec<&String> = sent.as_object().unwrap().keys().collect();
    assert_eq!(names, ["model", "input"]);
    let here = gateway.post(route, count("b")).send().await;
    assert_eq!(here.json()["object"], "response.input_tokens");
    assert_eq!(here.header("x-pointsman-counted-by"), "tokenizer");
}

#[tokio::test]
async fn a_choice_among_tools_is_written_as_each_dialect_has_it() {
    let (a, b, gateway) = pair(", dialect: responses", "").await;
    let tools = json!([{"type": "function", "function": {"name": "f"}}, {"type": "custom", "custom": {"name": "g"}}]);
    a.on(Match::any(), [Behaviour::json(200, NATIVE)]);
    let nested = json!({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [
        {"type": "function", "function": {"name": "f"}}, {"type": "custom", "custom": {"name": "g"}}]}});
    let flat = json!({"type": "allowed_tools", "mode": "required", "tools": [
        {"type": "function", "name": "f"}, {"type": "custom", "name": "g"}]});
    let body = json!({"model": "a", "messages": [{"role": "user", "content": "hi"}], "tools": tools, "tool_choice": nested});
    let answer = gateway.post_chat(body.to_string()).send().await;
    assert_eq!(
        (answer.status, answer.header("x-pointsman-dropped")),
        (200, "")
    );
    assert_eq!(a.requests()[0].json()["tool_choice"], flat);
    let tools = json!([{"type": "function", "name": "f"}, {"type": "custom", "name": "g"}]);
    chat_only(&b, [Behaviour::says("ok")]);
    let body = json!({"model": "b", "input": "hi", "tools": tools, "tool_choice": flat});
    let answer = ask(&gateway, &body).await;
    assert_eq!(
        (answer.status, answer.header("x-pointsman-dropped")),
        (200, "")
    );
    assert_eq!(b.requests()[1].json()["tool_choice"], nested);
}
