//! Callers that speak Gemini's API.

use serde_json::{Value, json};

use super::{BOTH, google_error, last, one, piece, retry_info, says};
use crate::support::{At, Behaviour, Gateway, Match, ScriptedUpstream, behaviour};

const OPENAI: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, model: big/model, api_key: k1, retry: {same_upstream: 0}}
";

async fn openai() -> (ScriptedUpstream, Gateway) {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(OPENAI, &[("a", &a)]).await;
    (a, gateway)
}

fn asks() -> String {
    json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}).to_string()
}

/// The answers in a stream's events.
fn data(stream: &str) -> Vec<Value> {
    let events = stream.split_terminator("\n\n");
    events
        .map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap())
        .collect()
}

#[tokio::test]
async fn contents_pass_to_gemini_byte_for_byte() {
    let (g, gateway) = one().await;
    let said =
        r#"{"candidates":[{"content":{"parts":[{"future":1.0}]},"finishReason":"STOP"}],"x":[ ]}"#;
    g.on(Match::any(), [Behaviour::json(200, said)]);
    let body = r#"{ "contents":[{"parts":[{"text":"hi  "}]}],"generation_config":{"top_p":1.0e0},"y":[ ] }"#;
    for root in ["/v1beta", "/v1", ""] {
        let path = format!("{root}/models/g:generateContent");
        let answer = gateway
            .post(&path, body)
            .header("x-goog-api-key", "mine")
            .send()
            .await;
        assert_eq!((answer.status, answer.text()), (200, said));
    }
    for request in g.requests() {
        assert_eq!(request.path, "/v1/models/gemini-3.5-flash:generateContent");
        assert_eq!(String::from_utf8_lossy(&request.body), body);
        assert_eq!(
            request
                .header("x-goog-api-key")
                .map(|key| key.contains("mine")),
            Some(false)
        );
    }
    let sent = [piece("Hel"), last("lo")];
    g.on(Match::any(), [Behaviour::events(sent.clone())]);
    let path = "/v1beta/models/g:streamGenerateContent?alt=sse";
    let got = gateway.post(path, body).stream().await;
    assert_eq!(got.header("content-type"), "text/event-stream");
    assert_eq!(got.text().await, sent.concat());
}

#[tokio::test]
async fn an_answer_of_chat_completions_comes_as_a_candidate() {
    let (a, gateway) = openai().await;
    a.on(Match::any(), [Behaviour::says("Hello")]);
    let body = json!({
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "systemInstruction": {"role": "user", "parts": [{"text": "S."}]},
        "generationConfig": {"maxOutputTokens": 9, "topK": 64}, "safetySettings": [{"category": "C", "threshold": "T"}],
    });
    // The model is not escaped, and may have colons and slashes.
    let path = "/v1beta/models/a:big/model:generateContent";
    let answer = gateway.post(path, body.to_string()).send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-pointsman-upstream"), "a:big/model");
    let dropped = answer.header("x-pointsman-dropped");
    assert!(dropped.contains("safetySettings"), "{dropped}");
    let said = answer.json();
    let candidate = &said["candidates"][0];
    assert_eq!(
        candidate["content"],
        json!({"role": "model", "parts": [{"text": "Hello"}]})
    );
    assert_eq!(
        (&candidate["finishReason"], &candidate["index"]),
        (&json!("STOP"), &json!(0))
    );
    assert_eq!(said["usageMetadata"]["promptTokenCount"], 3);
    let request = &a.requests()[0];
    assert_eq!(
        (request.path.as_str(), request.model.as_deref()),
        ("/v1/chat/completions", Some("big/model"))
    );
    let sent = request.json();
    assert_eq!(
        sent["messages"][0],
        json!({"role": "system", "content": "S."})
    );
    assert_eq!(sent["max_tokens"], 9);
}

#[tokio::test]
async fn a_stream_of_chunks_comes_as_answers_with_whole_calls_and_counts_at_the_end() {
    let (a, gateway) = openai().await;
    let delta = |call: &str| {
        behaviour::event(&format!(
            r#"{{"id":"c","choices":[{{"index":0,"delta":{{"tool_calls":[{call}]}}}}]}}"#
        ))
    };
    a.on(
        Match::any(),
        [Behaviour::events([
            behaviour::role(),
            behaviour::chunk("Look"),
            behaviour::chunk("ing."),
            delta(r#"{"index":0,"id":"call_1","type":"function","function":{"name":"w","arguments":""}}"#),
            delta(r#"{"index":0,"function":{"arguments":"{\"c\":"}}"#),
            delta(r#"{"index":0,"function":{"arguments":"1}"}}"#),
            behaviour::finish("tool_calls"),
            behaviour::event(r#"{"id":"c","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":9,"total_tokens":14}}"#),
            "data: [DONE]\n\n".to_owned(),
        ])],
    );
    let path = "/v1beta/models/a:streamGenerateContent?alt=sse";
    let text = gateway.post(path, asks()).stream().await.text().await;
    let events = data(&text);
    assert_eq!(
        a.requests()[0].json()["stream_options"]["include_usage"],
        true
    );
    let said: Vec<&Value> = events
        .iter()
        .map(|event| &event["candidates"][0]["content"]["parts"][0]["text"])
        .collect();
    assert_eq!(said[..2], [&json!("Look"), &json!("ing.")]);
    let end = events.last().unwrap();
    let candidate = &end["candidates"][0];
    assert_eq!(
        candidate["content"]["parts"][0]["functionCall"],
        json!({"id": "call_1", "name": "w", "args": {"c": 1}})
    );
    assert_eq!(candidate["finishReason"], "STOP");
    assert_eq!(end["usageMetadata"]["candidatesTokenCount"], 9);
    assert!(
        !text.contains("[DONE]") && !text.contains("event:"),
        "{text}"
    );
}

#[tokio::test]
async fn without_events_a_stream_is_one_list() {
    let (g, gateway) = one().await;
    g.on(
        Match::any(),
        [Behaviour::events([piece("Hel"), last("lo")])],
    );
    let path = "/v1beta/models/g:streamGenerateContent?key=mine";
    let got = gateway.post(path, asks()).stream().await;
    assert_eq!(got.header("content-type"), "application/json");
    let list: Vec<Value> = serde_json::from_str(&got.text().await).unwrap();
    assert_eq!(list.len(), 2);
    assert_eq!(list[1]["candidates"][0]["finishReason"], "STOP");
    g.on(
        Match::any(),
        [Behaviour::events([piece("Hel")]).close(At::AfterPart(1))],
    );
    let text = gateway.post(path, asks()).stream().await.text().await;
    let list: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(list[1]["error"]["status"], "UNAVAILABLE");
}

#[tokio::test]
async fn a_stream_that_breaks_ends_with_the_bare_error_in_a_piece_of_its_own() {
    let (a, gateway) = openai().await;
    let broken = Behaviour::events([
        behaviour::role(),
        behaviour::chunk("Hel"),
        behaviour::chunk("lo"),
    ]);
    a.on(Match::any(), [broken.close(At::AfterPart(3))]);
    let path = "/v1beta/models/a:streamGenerateContent?alt=sse";
    let mut got = gateway.post(path, asks()).stream().await;
    let mut pieces = Vec::new();
    while let Some(piece) = got.next().await {
        pieces.push(String::from_utf8(piece.to_vec()).unwrap());
    }
    let error: Value = serde_json::from_str(pieces.last().unwrap()).unwrap();
    assert_eq!(
        (&error["error"]["code"], &error["error"]["status"]),
        (&json!(503), &json!("UNAVAILABLE"))
    );
    assert!(!pieces.concat().contains("finishReason"), "{pieces:?}");
    let (g, gateway) = one().await;
    let inside = google_error(500, "INTERNAL", &json!([]));
    g.on(
        Match::any(),
        [Behaviour::events([
            piece("Hel"),
            format!("data: {inside}\n\n"),
        ])],
    );
    let path = "/v1beta/models/g:streamGenerateContent?alt=sse";
    let text = gateway.post(path, asks()).stream().await.text().await;
    let (_, bare) = text.rsplit_once("\r\n\r\n").unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(bare).unwrap()["error"]["status"],
        "INTERNAL"
    );
}

#[tokio::test]
async fn errors_have_googles_form_and_say_when_to_come_back() {
    let (a, gateway) = openai().await;
    let path = "/v1beta/models/a:generateContent";
    a.on(
        Match::any(),
        [Behaviour::error(400, "invalid_value", "bad thing")],
    );
    let refused = gateway.post(path, asks()).send().await;
    let error = &refused.json()["error"];
    assert_eq!(
        (refused.status, &error["code"], &error["status"]),
        (400, &json!(400), &json!("INVALID_ARGUMENT"))
    );
    assert!(error["message"].as_str().unwrap().contains("bad thing"));
    a.on(
        Match::any(),
        [Behaviour::rate_limited().header("retry-after", "17")],
    );
    for _ in 0..2 {
        let busy = gateway.post(path, asks()).awaits("0").send().await;
        let error = &busy.json()["error"];
        assert_eq!(
            (busy.status, &error["status"]),
            (429, &json!("RESOURCE_EXHAUSTED"))
        );
        let after: u64 = busy.header("retry-after").parse().unwrap();
        let details = error["details"].as_array().unwrap();
        let delay = details
            .iter()
            .find_map(|detail| detail["retryDelay"].as_str())
            .unwrap();
        assert!(
            (15..=17).contains(&after) && delay.ends_with('s'),
            "{delay} {error}"
        );
    }
    let unknown = gateway
        .post("/v1beta/models/nobody:generateContent", asks())
        .send()
        .await;
    assert_eq!(
        (unknown.status, &unknown.json()["error"]["status"]),
        (404, &json!("NOT_FOUND"))
    );
    let nothing = gateway
        .post("/v1beta/models/a:predict", asks())
        .send()
        .await;
    assert_eq!(
        (nothing.status, &nothing.json()["error"]["status"]),
        (404, &json!("NOT_FOUND"))
    );
    let broken = gateway.post(path, "{").send().await;
    assert_eq!(
        (broken.status, &broken.json()["error"]["code"]),
        (400, &json!(400))
    );
}

#[tokio::test]
async fn googles_own_refusal_passes_as_it_came() {
    let (g, gateway) = one().await;
    let busy = google_error(429, "RESOURCE_EXHAUSTED", &retry_info("3600s"));
    g.on(Match::any(), [Behaviour::json(429, &busy)]);
    let answer = gateway
        .post("/v1beta/models/g:generateContent", asks())
        .awaits("0")
        .send()
        .await;
    let details = answer.json()["error"]["details"].clone();
    assert!(details.to_string().contains("retryDelay"), "{details}");
    assert_eq!(answer.status, 429);
}

#[tokio::test]
async fn the_next_upstream_may_speak_another_dialect() {
    let g = ScriptedUpstream::playing([Behaviour::fails(503)]).await;
    let b = ScriptedUpstream::playing([Behaviour::says("b")]).await;
    let gateway = Gateway::start(BOTH, &[("g", &g), ("b", &b)]).await;
    let answer = gateway
        .post("/v1beta/models/v:generateContent", asks())
        .send()
        .await;
    assert_eq!(
        answer.json()["candidates"][0]["content"]["parts"][0]["text"],
        "b"
    );
    assert_eq!(b.requests()[0].path, "/v1/chat/completions");
}

#[tokio::test]
async fn a_cached_prompt_is_asked_of_gemini_alone() {
    let g = ScriptedUpstream::playing([Behaviour::fails(503)]).await;
    let b = ScriptedUpstream::start().await;
    let gateway = Gateway::start(BOTH, &[("g", &g), ("b", &b)]).await;
    let body =
        json!({"cachedContent": "cachedContents/a", "contents": [{"parts": [{"text": "hi"}]}]});
    let answer = gateway
        .post("/v1beta/models/v:generateContent", body.to_string())
        .send()
        .await;
    assert!(answer.status >= 400 && b.count() == 0);
    assert!(answer.json()["error"]["status"].is_string());
}

#[tokio::test]
async fn tokens_are_counted_by_gemini_or_else_here() {
    let (g, gateway) = one().await;
    g.on(
        Match::any(),
        [Behaviour::json(200, r#"{"totalTokens":403}"#)],
    );
    let body = json!({"generateContentRequest": {"model": "models/g", "contents": [{"parts": [{"text": "hi"}]}]}});
    let answer = gateway
        .post("/v1beta/models/g:countTokens", body.to_string())
        .send()
        .await;
    assert_eq!(
        (answer.status, &answer.json()["totalTokens"]),
        (200, &json!(403))
    );
    let request = &g.requests()[0];
    assert_eq!(request.path, "/v1/models/gemini-3.5-flash:countTokens");
    assert_eq!(
        request.json()["generateContentRequest"]["model"],
        "models/gemini-3.5-flash"
    );
    let (a, gateway) = openai().await;
    let words = "word ".repeat(50);
    let body = json!({"contents": [{"parts": [{"text": words}]}]});
    let answer = gateway
        .post("/v1beta/models/a:countTokens", body.to_string())
        .send()
        .await;
    let counted = answer.json()["totalTokens"].as_u64().unwrap();
    assert!((45..100).contains(&counted), "{counted}");
    assert_eq!(
        (answer.header("x-pointsman-counted-by"), a.count()),
        ("tokenizer", 0)
    );
}

const CLIENTS: &str = "
llm:
  providers:
    - {name: g, dialect: gemini, base_url: <g>, model: m, api_key: k1}
clients:
  - {name: app, token: secret-token-of-the-app-1}
";

#[tokio::test]
async fn a_client_token_comes_in_googles_header_or_in_the_query() {
    let g = ScriptedUpstream::playing([says("ok")]).await;
    let gateway = Gateway::start(CLIENTS, &[("g", &g)]).await;
    let path = "/v1beta/models/g:generateContent";
    let token = "secret-token-of-the-app-1";
    let named = gateway
        .post(path, asks())
        .header("x-goog-api-key", token)
        .send()
        .await;
    assert_eq!(named.status, 200, "{}", named.text());
    let asked = gateway
        .post(&format!("{path}?key={token}"), asks())
        .send()
        .await;
    assert_eq!(asked.status, 200);
    let nobody = gateway.post(path, asks()).send().await;
    assert_eq!(
        (nobody.status, &nobody.json()["error"]["status"]),
        (401, &json!("UNAUTHENTICATED"))
    );
    let listed = gateway
        .get(&format!("/v1beta/models?key={token}"))
        .send()
        .await;
    assert_eq!(listed.status, 200);
    for request in g.requests() {
        assert_eq!(request.key.as_deref(), Some("k1"));
        assert!(!request.path.contains("key="), "{}", request.path);
    }
    assert!(
        gateway
            .finish()
            .await
            .iter()
            .all(|line| !line.contains(token))
    );
}

#[tokio::test]
async fn models_are_listed_in_googles_form() {
    let (_g, gateway) = one().await;
    let list = gateway.get("/v1beta/models").send().await.json();
    let names: Vec<&Value> = list["models"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| &model["name"])
        .collect();
    assert!(
        names
            .iter()
            .any(|name| name.as_str().unwrap().starts_with("models/g")),
        "{names:?}"
    );
    let id = list["models"][0]["baseModelId"].as_str().unwrap();
    let single = gateway
        .get(&format!("/v1beta/models/{id}"))
        .send()
        .await
        .json();
    assert_eq!(single, list["models"][0]);
    assert!(
        single["supportedGenerationMethods"]
            .to_string()
            .contains("generateContent")
    );
    let missing = gateway.get("/v1beta/models/nothing").send().await;
    assert_eq!(
        (missing.status, &missing.json()["error"]["status"]),
        (404, &json!("NOT_FOUND"))
    );
    assert_eq!(
        gateway.get("/v1/models").send().await.json()["object"],
        "list"
    );
    let sdk = gateway
        .get("/v1/models")
        .header("x-goog-api-client", "google-genai-sdk/3.6.1");
    assert_eq!(sdk.send().await.json(), list);
}
