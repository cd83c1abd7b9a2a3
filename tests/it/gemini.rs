//! Gemini's API on both sides: as an upstream of OpenAI clients, and as the API of callers.

mod callers;

use serde_json::{Value, json};

use crate::support::client::{errors, spoken};
use crate::support::{At, Behaviour, Gateway, Match, ScriptedUpstream};

const ONE: &str = "
llm:
  providers:
    - name: g
      dialect: gemini
      base_url: <g>
      model: gemini-3.5-flash
      api_keys: [k1, k2]
      retry: {same_upstream: 0}
";

const BOTH: &str = "
llm:
  providers:
    - {name: g, dialect: gemini, base_url: <g>, model: gemini-3.5-flash, api_key: k1, retry: {same_upstream: 0}}
    - {name: b, base_url: <b>, model: mb, api_key: kb}
  virtual:
    - {name: v, upstreams: [{name: g}, {name: b}]}
";

async fn one() -> (ScriptedUpstream, Gateway) {
    let g = ScriptedUpstream::start().await;
    let gateway = Gateway::start(ONE, &[("g", &g)]).await;
    (g, gateway)
}

/// An answer of these parts.
fn answer(parts: &Value) -> Value {
    json!({
        "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {
            "promptTokenCount": 100, "cachedContentTokenCount": 40, "candidatesTokenCount": 20,
            "thoughtsTokenCount": 30, "totalTokenCount": 150,
        },
        "modelVersion": "gemini-3.5-flash", "responseId": "r1",
    })
}

fn says(text: &str) -> Behaviour {
    Behaviour::json(200, &answer(&json!([{"text": text}])).to_string())
}

fn event(data: &Value) -> String {
    format!("data: {data}\r\n\r\n")
}

fn piece(text: &str) -> String {
    event(&json!({
        "candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}],
        "usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 5}, "responseId": "r1",
    }))
}

fn last(text: &str) -> String {
    event(&json!({
        "candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}, "responseId": "r1",
    }))
}

fn google_error(code: u16, status: &str, details: &Value) -> String {
    json!({"error": {"code": code, "message": "no", "status": status, "details": details}})
        .to_string()
}

fn retry_info(delay: &str) -> Value {
    json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}])
}

#[tokio::test]
async fn a_chat_request_is_asked_as_contents_with_the_key_in_its_header() {
    let (g, gateway) = one().await;
    g.on(Match::any(), [says("Hello")]);
    let body = json!({"model": "g", "messages": [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}], "max_tokens": 50, "logit_bias": {"1": 1}});
    let answer = gateway.post_chat(body.to_string()).send().await;
    assert_eq!((answer.status, answer.says().as_str()), (200, "Hello"));
    assert_eq!(answer.header("x-pointsman-dropped"), "logit_bias");
    let said = answer.json();
    assert_eq!(said["usage"]["prompt_tokens"], 100);
    assert_eq!(said["usage"]["completion_tokens"], 50);
    assert_eq!(said["model"], "gemini-3.5-flash");
    let [request] = &g.requests()[..] else {
        panic!("one request")
    };
    assert_eq!(request.path, "/v1/models/gemini-3.5-flash:generateContent");
    assert_eq!(request.header("authorization"), None);
    assert_eq!(request.key.as_deref(), Some("k1"));
    assert_eq!(
        request.json(),
        json!({
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
            "generationConfig": {"maxOutputTokens": 50},
        })
    );
}

#[tokio::test]
async fn calls_of_tools_go_there_and_back_with_their_signature() {
    let (g, gateway) = one().await;
    let call = json!([
        {"functionCall": {"name": "w", "args": {"c": "Oslo"}}, "thoughtSignature": "c2lnLUE="},
        {"functionCall": {"name": "w", "args": {"c": "Rome"}}},
    ]);
    let calls = Behaviour::json(200, &answer(&call).to_string());
    g.on(Match::any(), [calls, says("cold, warm")]);
    let tools = json!([{"type": "function", "function": {"name": "w", "parameters": {"type": "object", "properties": {}}}}]);
    let user = json!({"role": "user", "content": "weather"});
    let body = json!({"model": "g", "messages": [user], "tools": tools});
    let first = gateway.post_chat(body.to_string()).send().await.json();
    assert_eq!(first["choices"][0]["finish_reason"], "tool_calls");
    let said = &first["choices"][0]["message"];
    let id = |at: usize| said["tool_calls"][at]["id"].clone();
    assert_ne!(id(0), id(1));
    let result =
        |id: Value, text: &str| json!({"role": "tool", "tool_call_id": id, "content": text});
    let messages = json!([user, said, result(id(1), "warm"), result(id(0), "cold")]);
    let body = json!({"model": "g", "messages": messages, "tools": tools});
    let second = gateway.post_chat(body.to_string()).send().await;
    assert_eq!(second.says(), "cold, warm");
    let contents = g.requests()[1].json()["contents"].clone();
    assert_eq!(contents[1]["parts"][0]["thoughtSignature"], "c2lnLUE=");
    assert_eq!(
        contents[1]["parts"][1]["functionCall"]["args"],
        json!({"c": "Rome"})
    );
    let results = contents[2]["parts"].as_array().unwrap();
    let told: Vec<&Value> = results
        .iter()
        .map(|part| &part["functionResponse"]["response"]["output"])
        .collect();
    assert_eq!(told, ["cold", "warm"]);
}

#[tokio::test]
async fn a_stream_comes_as_chunks_with_counts_for_who_asks() {
    let (g, gateway) = one().await;
    g.on(
        Match::any(),
        [Behaviour::events([piece("Hel"), last("lo")])],
    );
    let text = gateway.chat_stream("g").stream().await.text().await;
    assert_eq!(spoken(&text), "Hello");
    assert!(text.contains(r#""finish_reason":"stop""#), "{text}");
    assert!(
        text.ends_with("data: [DONE]\n\n") && !text.contains("prompt_tokens"),
        "{text}"
    );
    let path = &g.requests()[0].path;
    assert_eq!(
        path,
        "/v1/models/gemini-3.5-flash:streamGenerateContent?alt=sse"
    );
    let body = json!({"model": "g", "stream": true, "stream_options": {"include_usage": true},
        "messages": [{"role": "user", "content": "hi"}]});
    let text = gateway
        .post_chat(body.to_string())
        .stream()
        .await
        .text()
        .await;
    assert!(
        text.contains(r#""prompt_tokens":5"#) && text.contains(r#""completion_tokens":2"#),
        "{text}"
    );
    let done = text.find("[DONE]").unwrap();
    assert!(text.find(r#""choices":[]"#).unwrap() < done, "{text}");
}

#[tokio::test]
async fn a_blocked_prompt_is_an_answer_that_was_filtered() {
    let (g, gateway) = one().await;
    let blocked = json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 5}});
    g.on(Match::any(), [Behaviour::json(200, &blocked.to_string())]);
    let answer = gateway.chat("g").send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json()["choices"][0]["finish_reason"],
        "content_filter"
    );
    g.on(Match::any(), [Behaviour::events([event(&blocked)])]);
    let text = gateway.chat_stream("g").stream().await.text().await;
    assert!(
        text.contains(r#""finish_reason":"content_filter""#),
        "{text}"
    );
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
}

#[tokio::test]
async fn a_refusal_is_told_in_the_callers_form_and_the_key_waits_as_long_as_google_says() {
    let (g, gateway) = one().await;
    let invalid = google_error(400, "INVALID_ARGUMENT", &json!([]));
    g.on(Match::any(), [Behaviour::json(400, &invalid)]);
    let answer = gateway.chat("g").send().await;
    answer.assert_error(400, "400");
    assert_eq!(answer.json()["error"]["message"], "no");
    let busy = google_error(429, "RESOURCE_EXHAUSTED", &retry_info("17s"));
    g.on(Match::any(), [Behaviour::json(429, &busy)]);
    let answer = gateway.chat("g").awaits("0").send().await;
    assert_eq!(answer.status, 429);
    let after: u64 = answer.header("retry-after").parse().unwrap();
    assert!((15..=18).contains(&after), "{after}");
    let before = g.count();
    assert_eq!(gateway.chat("g").awaits("0").send().await.status, 429);
    assert_eq!(g.count(), before, "both keys cool");
}

#[tokio::test]
async fn an_invalid_key_is_found_by_googles_reason_and_the_next_one_is_taken() {
    let (g, gateway) = one().await;
    let reason =
        json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]);
    let invalid = google_error(400, "INVALID_ARGUMENT", &reason);
    g.on(Match::key("k1"), [Behaviour::json(400, &invalid)]);
    g.on(Match::key("k2"), [says("two")]);
    for _ in 0..2 {
        assert_eq!(gateway.chat("g").send().await.says(), "two");
    }
    assert_eq!(g.keys(), ["k1", "k2", "k2"]);
}

#[tokio::test]
async fn a_failure_before_content_goes_to_the_next_upstream() {
    let g = ScriptedUpstream::start().await;
    let b = ScriptedUpstream::playing([Behaviour::says("b"), Behaviour::streams(&["b"])]).await;
    let gateway = Gateway::start(BOTH, &[("g", &g), ("b", &b)]).await;
    let overloaded = google_error(503, "UNAVAILABLE", &json!([]));
    g.on(Match::any(), [Behaviour::json(503, &overloaded)]);
    let answer = gateway.chat("v").send().await;
    assert_eq!(
        (
            answer.says().as_str(),
            answer.header("x-pointsman-upstream")
        ),
        ("b", "b:mb")
    );
    g.on(
        Match::any(),
        [Behaviour::events([format!("data: {overloaded}\n\n")])],
    );
    let text = gateway.chat_stream("v").stream().await.text().await;
    assert_eq!(spoken(&text), "b");
}

#[tokio::test]
async fn an_error_in_mid_stream_is_an_error_event_without_an_end() {
    let (g, gateway) = one().await;
    let overloaded = google_error(503, "UNAVAILABLE", &json!([]));
    for words in [format!("data: {overloaded}\n\n"), format!("{overloaded}\n")] {
        g.on(Match::any(), [Behaviour::events([piece("Hel"), words])]);
        let text = gateway.chat_stream("g").stream().await.text().await;
        assert_eq!(
            (spoken(&text).as_str(), errors(&text).len()),
            ("Hel", 1),
            "{text}"
        );
        assert!(
            !text.contains("[DONE]") && text.contains("server error"),
            "{text}"
        );
    }
    g.on(
        Match::any(),
        [Behaviour::events([piece("Hel"), piece("lo")]).close(At::AfterPart(2))],
    );
    let text = gateway.chat_stream("g").stream().await.text().await;
    assert!(
        !text.contains("[DONE]") && errors(&text).len() == 1,
        "{text}"
    );
}

#[tokio::test]
async fn embeddings_are_made_of_all_inputs_at_once() {
    let (g, gateway) = one().await;
    let body = json!({"embeddings": [{"values": [0.5, -1]}, {"values": [0.25, 1]}]});
    g.on(Match::any(), [Behaviour::json(200, &body.to_string())]);
    let asked = json!({"model": "g", "input": ["a", "b"], "encoding_format": "float"});
    let answer = gateway
        .post("/v1/embeddings", asked.to_string())
        .send()
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    assert_eq!(answer["data"][1]["embedding"], json!([0.25, 1.0]));
    let request = &g.requests()[0];
    assert_eq!(
        request.path,
        "/v1/models/gemini-3.5-flash:batchEmbedContents"
    );
    assert_eq!(request.json()["requests"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_gemini_does_not_have_is_asked_of_the_next_upstream() {
    let g = ScriptedUpstream::start().await;
    let b = ScriptedUpstream::playing([Behaviour::json(200, r#"{"results":[]}"#)]).await;
    let gateway = Gateway::start(BOTH, &[("g", &g), ("b", &b)]).await;
    let asked = json!({"model": "v", "input": "a"});
    let answer = gateway
        .post("/v1/moderations", asked.to_string())
        .send()
        .await;
    assert_eq!((answer.status, g.count(), b.count()), (200, 0, 1));
}

#[tokio::test]
async fn a_compressed_answer_is_translated_and_goes_on_plain() {
    let (g, gateway) = one().await;
    g.on(Match::any(), [says("Hello").gzip()]);
    assert_eq!(gateway.chat("g").send().await.says(), "Hello");
}
