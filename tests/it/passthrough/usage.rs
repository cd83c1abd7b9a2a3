//! Tokens of answers that are not looked into otherwise: counted where the answer says them, in whatever dialect.

use serde_json::{Value, json};

use crate::admin::side::Side;
use crate::support::{Behaviour, Match, ScriptedUpstream, until};

const SETUP: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, passthrough: true, api_key: sk-one-0123456789}
    - {name: ab, base_url: <a>, model: m, passthrough: true, api_keys: [sk-two-0123456789, sk-three-0123456789], key_rotation: sequential}
dispatch: {await_cooldown: 0s}
";

/// The line of this request.
async fn line(side: &Side, id: &str) -> Value {
    let line = side
        .gateway
        .logged(&format!("\"request_id\":\"{id}\",\"operation\""))
        .await;
    serde_json::from_str(&line).unwrap()
}

/// A call whose answer is `behaviour`, and the tokens that are told of it.
async fn told(
    side: &Side,
    a: &ScriptedUpstream,
    path: &str,
    body: &str,
    behaviour: Behaviour,
) -> (Value, Value) {
    a.on(Match::any(), [behaviour]);
    let call = side
        .gateway
        .post(path, body)
        .header("content-type", "application/json");
    let answer = call.send().await;
    assert_eq!(answer.status, 200, "{path}: {:?}", answer.body);
    let line = line(side, answer.header("x-request-id")).await;
    (
        line["prompt_tokens"].clone(),
        line["completion_tokens"].clone(),
    )
}

fn events(all: &[Value]) -> Behaviour {
    Behaviour::events(
        all.iter()
            .map(|event| format!("event: x\ndata: {event}\n\n")),
    )
}

fn passed() -> Vec<(&'static str, Behaviour)> {
    let whole = |body: Value| Behaviour::json(200, &body.to_string());
    let large = "x".repeat(2 * 1024 * 1024);
    vec![
        ("openai", whole(json!({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}}))),
        ("responses", whole(json!({"output": [], "usage": {"input_tokens": 7, "output_tokens": 5, "total_tokens": 12}}))),
        ("anthropic", whole(json!({"content": [], "usage": {"input_tokens": 4, "cache_creation_input_tokens": 1, "cache_read_input_tokens": 2, "output_tokens": 5}}))),
        ("gemini", whole(json!({"candidates": [], "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 3, "thoughtsTokenCount": 2, "totalTokenCount": 12}}))),
        ("bedrock", whole(json!({"output": {}, "usage": {"inputTokens": 7, "outputTokens": 5, "totalTokens": 12}}))),
        ("ollama", whole(json!({"message": {}, "done": true, "prompt_eval_count": 7, "eval_count": 5}))),
        ("compressed", whole(json!({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5}})).gzip()),
        ("large", whole(json!({"data": [{"b64_json": large}], "usage": {"input_tokens": 7, "output_tokens": 5}}))),
        ("large, at first", whole(json!({"a": {"usage": 1}, "usage": {"input_tokens": 7, "output_tokens": 5}, "z": large}))),
        ("openai's events", events(&[
            json!({"choices": [{"delta": {"content": "x"}}], "usage": null}),
            json!({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5}}),
        ]).slices(7)),
        ("responses' events", events(&[
            json!({"type": "response.created", "response": {"usage": null}}),
            json!({"type": "response.completed", "response": {"output": [], "usage": {"input_tokens": 7, "output_tokens": 5}}}),
        ])),
        ("anthropic's events", events(&[
            json!({"type": "message_start", "message": {"usage": {"input_tokens": 7, "output_tokens": 1}}}),
            json!({"type": "message_delta", "delta": {}, "usage": {"output_tokens": 5}}),
        ])),
        ("gemini's events", events(&[
            json!({"candidates": [], "usageMetadata": {"promptTokenCount": 7, "totalTokenCount": 7}}),
            json!({"candidates": [], "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 5, "totalTokenCount": 12}}),
        ]).gzip()),
        ("ollama's lines", Behaviour::pieces("application/x-ndjson", vec![
            b"{\"message\":{},\"done\":false}\n{\"mess".to_vec(),
            b"age\":{},\"done\":true,\"prompt_eval_count\":7,\"eval_count\":5}\n".to_vec(),
        ])),
    ]
}

#[tokio::test]
async fn what_passes_through_is_counted_in_every_dialect() {
    let a = ScriptedUpstream::start().await;
    let side = Side::start(SETUP, &[("a", &a)]).await;
    let mut answers = 0;
    for (what, behaviour) in passed() {
        let told = told(&side, &a, "/passthrough/a/x", "{}", behaviour).await;
        assert_eq!(told, (json!(7), json!(5)), "{what}");
        answers += 1;
    }
    // Some that say nothing, or something else.
    for body in [
        r#"{"usage":{"type":"duration","seconds":3}}"#,
        r#"{"usage":[]}"#,
        "no json",
        r#"{"id":"file-1"}"#,
    ] {
        let said = told(
            &side,
            &a,
            "/passthrough/a/x",
            "{}",
            Behaviour::json(200, body),
        )
        .await;
        assert_eq!(said, (Value::Null, Value::Null), "{body}");
    }
    let told = format!("}} {}", 7 * answers);
    until("the tokens to be counted", async || {
        let text = side.get("/metrics").send().await;
        let mut lines = text.text().lines();
        lines.any(|line| {
            line.starts_with("pointsman_tokens_total")
                && line.contains("\"a:")
                && line.contains(r#"type="input""#)
                && line.ends_with(&told)
        })
    })
    .await;
}

#[tokio::test]
async fn media_are_counted_where_they_say_so() {
    let a = ScriptedUpstream::start().await;
    let side = Side::start(SETUP, &[("a", &a)]).await;
    let usage = json!({"type": "tokens", "input_tokens": 7, "output_tokens": 5, "total_tokens": 12, "input_token_details": {"audio_tokens": 7}});
    for (path, behaviour) in [
        (
            "/v1/images/generations",
            Behaviour::json(
                200,
                &json!({"data": [{"b64_json": "AA"}], "usage": usage}).to_string(),
            ),
        ),
        (
            "/v1/audio/transcriptions",
            Behaviour::json(200, &json!({"text": "x", "usage": usage}).to_string()),
        ),
        (
            "/v1/images/generations",
            events(&[
                json!({"type": "image_generation.completed", "b64_json": "AA", "usage": usage}),
            ]),
        ),
        (
            "/v1/audio/transcriptions",
            events(&[
                json!({"type": "transcript.text.delta", "delta": "x"}),
                json!({"type": "transcript.text.done", "text": "x", "usage": usage}),
            ]),
        ),
        (
            "/v1/audio/speech",
            events(&[
                json!({"type": "speech.audio.delta", "audio": "AA"}),
                json!({"type": "speech.audio.done", "usage": usage}),
            ]),
        ),
    ] {
        let body = r#"{"model":"a","prompt":"x","input":"x","stream":true}"#;
        assert_eq!(
            told(&side, &a, path, body, behaviour).await,
            (json!(7), json!(5)),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_client_pays_for_what_passed_through() {
    let a = ScriptedUpstream::start().await;
    let yaml = format!(
        "clients: [{{name: ci, token: token-of-ci-0123456789, limits: {{tpm: 1000}}}}]\n{SETUP}"
    );
    let side = Side::start(&yaml, &[("a", &a)]).await;
    let much = json!({"choices": [], "usage": {"prompt_tokens": 2000, "completion_tokens": 500}})
        .to_string();
    a.on(Match::any(), [Behaviour::json(200, &much)]);
    let call = || {
        let post = side.gateway.post("/passthrough/a/chat/completions", "{}");
        post.header("authorization", "Bearer token-of-ci-0123456789")
    };
    assert_eq!(call().send().await.status, 200);
    call().send().await.assert_error(429, "client_rate_limited");
}

#[tokio::test]
async fn a_rate_limit_of_what_passes_through_cools_nothing_else() {
    let a = ScriptedUpstream::start().await;
    let side = Side::start(SETUP, &[("a", &a)]).await;
    let limited = || Behaviour::rate_limited().header("retry-after", "60");
    let pass = || side.gateway.post("/passthrough/ab/files", "{}");
    let chat = || side.gateway.chat("ab");
    a.on(
        Match::path("/v1/files").and_key("sk-two-0123456789"),
        [limited()],
    );
    a.on(
        Match::path("/v1/files").and_key("sk-three-0123456789"),
        [Behaviour::json(200, "{}")],
    );
    for _ in 0..2 {
        assert_eq!(pass().send().await.header("x-pointsman-key"), "ab#2");
    }
    assert_eq!(a.count(), 3, "the first key cools for what passes through");
    assert_eq!(chat().send().await.header("x-pointsman-key"), "ab#1");
    // And the other way about.
    a.on(
        Match::path("/v1/chat/completions").and_key("sk-two-0123456789"),
        [limited()],
    );
    assert_eq!(chat().send().await.header("x-pointsman-key"), "ab#2");
    a.on(
        Match::path("/v1/files").and_key("sk-three-0123456789"),
        [limited()],
    );
    assert_eq!(pass().send().await.status, 429);
    assert_eq!(chat().send().await.header("x-pointsman-key"), "ab#2");
    // What is used up, or wrong, is so for everything.
    a.on(
        Match::key("sk-one-0123456789"),
        [Behaviour::error(
            401,
            "invalid_api_key",
            "Incorrect API key provided",
        )],
    );
    let wrong = side.gateway.post("/passthrough/a/files", "{}").send().await;
    wrong.assert_error(502, "no_usable_keys");
    side.gateway
        .chat("a")
        .send()
        .await
        .assert_error(502, "no_usable_keys");
}
