//! Google's cloud: Gemini and Claude there, and Google's tokens.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::RsaKeyPair;
use data_encoding::BASE64;
use serde_json::{Value, json};

use super::token;
use crate::support::temp::TempDir;
use crate::support::{Behaviour, Gateway, Match, ScriptedUpstream};

const TOKEN: &str = "sk-planted-google-token-0001";

fn gemini(text: &str) -> Behaviour {
    let body = json!({"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}, "modelVersion": "m", "responseId": "r"});
    Behaviour::json(200, &body.to_string())
}

fn claude(text: &str) -> Behaviour {
    let body = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 1}});
    Behaviour::json(200, &body.to_string())
}

/// The file of a service account whose tokens come from there.
fn service_account(token_url: &str) -> String {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    let coded = BASE64.encode(der.as_ref());
    let lines: Vec<&str> = coded
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        lines.join("\n")
    );
    json!({"type": "service_account", "project_id": "p1", "private_key_id": "kid", "private_key": pem,
        "client_email": "robot@p1.iam.gserviceaccount.com", "token_uri": token_url})
    .to_string()
}

async fn serve(yaml: &str, file: &str) -> Gateway {
    let dir = TempDir::new();
    dir.write("sa.json", file);
    dir.write("gateway.yaml", yaml);
    Gateway::start_in(dir, &["--config", "gateway.yaml"], &[]).await
}

#[tokio::test]
async fn a_service_account_opens_gemini_and_claude_in_a_project() {
    let (v, t) = (
        ScriptedUpstream::start().await,
        ScriptedUpstream::start().await,
    );
    let root = format!("{}/projects/p1/locations/l1", v.base_url());
    let yaml = format!(
        "
llm:
  providers:
    - {{name: ge, dialect: gemini, base_url: \"{root}\", model: gemini-3.5-flash, auth: google, api_key: sa.json}}
    - {{name: cl, dialect: anthropic, base_url: \"{root}\", model: \"claude-sonnet-4-5@20250929\", credentials: {{file: sa.json}}}}
log: {{format: json}}
"
    );
    let gateway = serve(&yaml, &service_account(&t.base_url())).await;
    t.on(Match::any(), [token(TOKEN, 3600)]);
    v.on(Match::any(), [gemini("g"), claude("c"), claude("d")]);
    assert_eq!(gateway.chat("ge").send().await.says(), "g");
    assert_eq!(gateway.chat("cl").send().await.says(), "c");
    let body = json!({"model": "cl", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "future": 1});
    let own = gateway.post("/v1/messages", body.to_string()).send().await;
    assert_eq!(own.json()["content"][0]["text"], "d");
    let requests = v.requests();
    let below = "/v1/projects/p1/locations/l1/publishers";
    assert_eq!(
        requests[0].path,
        format!("{below}/google/models/gemini-3.5-flash:generateContent")
    );
    let raw = format!("{below}/anthropic/models/claude-sonnet-4-5@20250929:rawPredict");
    assert_eq!((&requests[1].path, &requests[2].path), (&raw, &raw));
    let bearer = format!("Bearer {TOKEN}");
    assert!(
        requests
            .iter()
            .all(|request| request.header("authorization") == Some(&bearer))
    );
    assert_eq!(
        requests[2].json(),
        json!({"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "future": 1, "anthropic_version": "vertex-2023-10-16"})
    );
    assert!(requests[1].json().get("model").is_none());
    let asked = String::from_utf8(t.requests()[0].body.clone()).unwrap();
    assert!(
        asked.starts_with(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion="
        ),
        "{asked}"
    );
    // Each provider has its own.
    assert_eq!(t.count(), 2);
}

#[tokio::test]
async fn claude_streams_there_and_tokens_are_counted() {
    let v = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - {name: cl, dialect: anthropic, base_url: <v>, model: claude-x, auth: google, api_key: ready-token}
";
    let gateway = Gateway::start(yaml, &[("v", &v)]).await;
    let event = |name: &str, data: Value| format!("event: {name}\ndata: {data}\n\n");
    let events = [
        event(
            "message_start",
            json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": {"input_tokens": 1, "output_tokens": 1}}}),
        ),
        event(
            "content_block_start",
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        ),
        event(
            "content_block_delta",
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hey"}}),
        ),
        event(
            "content_block_stop",
            json!({"type": "content_block_stop", "index": 0}),
        ),
        event(
            "message_delta",
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}),
        ),
        event("message_stop", json!({"type": "message_stop"})),
    ];
    v.on(
        Match::any(),
        [
            Behaviour::events(events),
            Behaviour::json(200, r#"{"input_tokens":7}"#),
        ],
    );
    let stream = gateway.chat_stream("cl").stream().await.text().await;
    assert!(
        stream.contains("hey") && stream.contains("[DONE]"),
        "{stream}"
    );
    let body = json!({"model": "cl", "messages": [{"role": "user", "content": "hi"}]});
    let count = gateway
        .post("/v1/messages/count_tokens", body.to_string())
        .send()
        .await;
    assert_eq!(count.json(), json!({"input_tokens": 7}));
    let requests = v.requests();
    assert_eq!(
        requests[0].path,
        "/v1/publishers/anthropic/models/claude-x:streamRawPredict"
    );
    assert_eq!(
        requests[1].path,
        "/v1/publishers/anthropic/models/count-tokens:rawPredict"
    );
    assert_eq!(requests[1].json()["model"], "claude-x");
    assert_eq!(requests[0].key.as_deref(), Some("ready-token"));
}

#[tokio::test]
async fn a_token_in_a_file_is_read_again_when_it_is_refused() {
    let v = ScriptedUpstream::start().await;
    let dir = TempDir::new();
    let file = dir.path().join("token");
    std::fs::write(&file, "sk-planted-file-1\n").unwrap();
    let yaml = format!(
        "
llm:
  providers:
    - {{name: ge, dialect: gemini, base_url: \"{}\", model: m, auth: google, credentials: {{token_file: token}}}}
log: {{format: json}}
",
        v.base_url()
    );
    dir.write("gateway.yaml", &yaml);
    let gateway = Gateway::start_in(dir, &["--config", "gateway.yaml"], &[]).await;
    v.on(Match::any(), [gemini("one")]);
    assert_eq!(gateway.chat("ge").send().await.says(), "one");
    std::fs::write(&file, "sk-planted-file-2\n").unwrap();
    let expired =
        json!({"error": {"code": 401, "message": "expired", "status": "UNAUTHENTICATED"}});
    v.on(
        Match::key("file-1"),
        [Behaviour::json(401, &expired.to_string())],
    );
    v.on(Match::key("file-2"), [gemini("two")]);
    assert_eq!(gateway.chat("ge").send().await.says(), "two");
}

#[tokio::test]
async fn a_key_in_the_query_and_the_metadata_service_open_it_too() {
    let (v, t) = (
        ScriptedUpstream::start().await,
        ScriptedUpstream::start().await,
    );
    let yaml = "
llm:
  providers:
    - {name: q, dialect: gemini, base_url: <v>, model: m, auth: query, api_key: k1}
    - {name: g, dialect: gemini, base_url: <v>, model: m, auth: google, credentials: {metadata: true, token_url: <t>}}
";
    let gateway = Gateway::start(yaml, &[("v", &v), ("t", &t)]).await;
    t.on(Match::any(), [token(TOKEN, 3600)]);
    v.on(Match::any(), [gemini("one")]);
    assert_eq!(gateway.chat("q").send().await.says(), "one");
    assert_eq!(gateway.chat("g").send().await.says(), "one");
    let requests = v.requests();
    assert!(
        requests[0]
            .path
            .starts_with("/v1/models/m:generateContent?key=sk-planted-k1"),
        "{}",
        requests[0].path
    );
    assert_eq!(requests[0].header("x-goog-api-key"), None);
    let asked = &t.requests()[0];
    assert_eq!(
        (asked.method.as_str(), asked.header("metadata-flavor")),
        ("GET", Some("Google"))
    );
    assert_eq!(
        requests[1].header("authorization"),
        Some(&*format!("Bearer {TOKEN}"))
    );
}
