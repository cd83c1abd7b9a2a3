//! Azure: deployments, versions, keys of its own, and Microsoft Entra's tokens.

use serde_json::json;

use super::token;
use crate::admin::side::Side;
use crate::support::client::spoken;
use crate::support::{Behaviour, Gateway, Match, ScriptedUpstream};

const TOKEN: &str = "sk-planted-entra-token-0001";

const ENTRA: &str = "
llm:
  providers:
    - name: az
      base_url: <a>
      model: d
      auth: azure
      query: {api-version: 2024-10-21}
      credentials:
        - {tenant_id: t1, client_id: c1, client_secret: sk-planted-secret-1, token_url: <t>}
        - {tenant_id: t2, client_id: c2, client_secret: sk-planted-secret-2, token_url: <u>}
      retry: {same_upstream: 0}
";

async fn entra() -> (
    ScriptedUpstream,
    ScriptedUpstream,
    ScriptedUpstream,
    Gateway,
) {
    let (a, t, u) = (
        ScriptedUpstream::start().await,
        ScriptedUpstream::start().await,
        ScriptedUpstream::start().await,
    );
    let gateway = Gateway::start(ENTRA, &[("a", &a), ("t", &t), ("u", &u)]).await;
    (a, t, u, gateway)
}

#[tokio::test]
async fn a_deployment_stands_in_the_path_and_the_version_in_the_query() {
    let a = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - name: azure
      base_url: <a>/openai/deployments/{deployment}
      model: gpt 4o
      api_key: k1
      query: {api-version: 2024-10-21}
";
    let gateway = Gateway::start(yaml, &[("a", &a)]).await;
    a.on(
        Match::any(),
        [Behaviour::says("hi"), Behaviour::streams(&["a", "b"])],
    );
    assert_eq!(gateway.chat("azure").send().await.says(), "hi");
    let stream = gateway
        .chat_stream("azure:other")
        .stream()
        .await
        .text()
        .await;
    assert_eq!(spoken(&stream), "ab");
    let requests = a.requests();
    let path = |deployment: &str| {
        format!("/v1/openai/deployments/{deployment}/chat/completions?api-version=2024-10-21")
    };
    assert_eq!(requests[0].path, path("gpt%204o"));
    assert_eq!(requests[1].path, path("other"));
    assert!(
        requests[0]
            .header("api-key")
            .is_some_and(|key| key.ends_with("k1"))
    );
    assert_eq!(requests[0].header("authorization"), None);
}

#[tokio::test]
async fn what_the_vendors_tools_read_is_enough() {
    let a = ScriptedUpstream::start().await;
    a.on(Match::any(), [Behaviour::says("hi")]);
    let root = a.base_url();
    let root = root.trim_end_matches("/v1");
    let env = [
        ("AZURE_OPENAI_API_KEY", "sk-planted-azure-0001"),
        ("AZURE_OPENAI_ENDPOINT", root),
    ];
    let yaml = "llm: {providers: [{name: echo}]}";
    let gateway = Gateway::start_with(yaml, &[], &env).await;
    assert_eq!(gateway.chat("azure:gpt-4o").send().await.says(), "hi");
    assert_eq!(a.requests()[0].path, "/openai/v1/chat/completions");
}

#[tokio::test]
async fn a_filters_words_are_kept() {
    let a = ScriptedUpstream::start().await;
    let yaml =
        "llm: {providers: [{name: azure_openai, base_url: <a>/openai/v1, model: d, api_key: k1}]}";
    let gateway = Gateway::start(yaml, &[("a", &a)]).await;
    let refusal = json!({"error": {"message": "The response was filtered", "type": null, "param": "prompt", "code": "content_filter",
        "status": 400, "innererror": {"code": "ResponsibleAIPolicyViolation",
        "content_filter_result": {"hate": {"filtered": true, "severity": "high"}}}}});
    let annotated = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o",
        "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {"hate": {"filtered": false, "severity": "safe"}}}],
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "ok"},
            "content_filter_results": {"hate": {"filtered": false, "severity": "safe"}}}]});
    a.on(
        Match::any(),
        [
            Behaviour::json(400, &refusal.to_string()),
            Behaviour::json(200, &annotated.to_string()),
        ],
    );
    let refused = gateway.chat("azure_openai").send().await;
    assert_eq!((refused.status, refused.json()), (400, refusal));
    assert_eq!(gateway.chat("azure_openai").send().await.json(), annotated);
}

#[tokio::test]
async fn a_token_is_fetched_once_and_sent_as_a_bearer() {
    let (a, t, _, gateway) = entra().await;
    t.on(Match::any(), [token(TOKEN, 3600)]);
    a.on(Match::any(), [Behaviour::says("hi")]);
    // Keys take turns: the second one has a server of its own, which says `ok` and no token.
    for _ in 0..4 {
        assert_eq!(gateway.chat("az").send().await.says(), "hi");
    }
    assert_eq!(t.count(), 1);
    let asked = String::from_utf8(t.requests()[0].body.clone()).unwrap();
    assert!(
        asked.contains("grant_type=client_credentials")
            && asked.contains("client_secret=sk-planted-secret-1")
    );
    assert!(
        asked.contains("scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default"),
        "{asked}"
    );
    let requests = a.requests();
    assert!(requests.iter().all(|request| {
        request.header("authorization") == Some(&format!("Bearer {TOKEN}"))
            && request.path == "/v1/chat/completions?api-version=2024-10-21"
    }));
}

#[tokio::test]
async fn a_credential_that_entra_refuses_is_quarantined_and_the_next_one_serves() {
    let (a, t, u, gateway) = entra().await;
    let refusal = r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret sk-planted-secret-1"}"#;
    t.on(Match::any(), [Behaviour::json(401, refusal)]);
    u.on(Match::any(), [token(TOKEN, 3600)]);
    a.on(Match::any(), [Behaviour::says("hi")]);
    for _ in 0..3 {
        assert_eq!(gateway.chat("az").send().await.says(), "hi");
    }
    assert_eq!((t.count(), u.count(), a.count()), (1, 1, 3));
    gateway.logged("AADSTS7000215").await;
}

#[tokio::test]
async fn a_token_server_that_fails_is_named_and_its_key_is_not_rate_limited() {
    let (a, t, u) = (
        ScriptedUpstream::start().await,
        ScriptedUpstream::start().await,
        ScriptedUpstream::start().await,
    );
    let spare = "\n    - {name: spare, base_url: <a>, model: m, api_key: k}\n  virtual: [{name: v, upstreams: [az, spare]}]\n";
    let yaml = format!("{}{spare}", ENTRA.trim_end());
    let side = Side::start(&yaml, &[("a", &a), ("t", &t), ("u", &u)]).await;
    let says = r#"{"error":"temporarily_unavailable","error_description":"try later, sk-planted-secret-1 and sk-planted-secret-2"}"#;
    for server in [&t, &u] {
        server.on(Match::any(), [Behaviour::json(503, says)]);
    }
    let failed = side.gateway.chat("az").awaits("0").send().await;
    failed.assert_error(502, "upstreams_exhausted");
    assert_eq!(failed.attempts(), ["az:d: no_token", "az:d: no_token"]);
    let attempts = &failed.json()["error"]["attempts"];
    for attempt in attempts.as_array().unwrap() {
        let message = attempt["message"].as_str().unwrap();
        assert!(
            message.contains("token server at") && message.contains("try later"),
            "{message}"
        );
    }
    assert!(!failed.text().contains("planted"), "{}", failed.text());
    assert_eq!(a.count(), 0);
    // While nothing new may be asked, the reason is the same.
    let again = side.gateway.chat("az").awaits("0").send().await;
    again.assert_error(502, "upstreams_exhausted");
    let skipped = &again.json()["error"]["skipped"][0];
    assert_eq!(skipped["reason"], "no_token", "{}", again.text());
    assert!(
        skipped["ready_in_ms"]
            .as_u64()
            .is_some_and(|millis| millis <= 10_000)
    );
    assert_eq!((t.count(), u.count()), (1, 1));
    let told = side
        .post("/admin/v1/explain", r#"{"target":"az"}"#)
        .send()
        .await;
    let told = told.json();
    assert_eq!(told["candidates"][0]["reason"], "no_token", "{told:#}");
    let key = &told["candidates"][0]["keys"][0];
    assert_eq!(key["reason"], "no_token", "{told:#}");
    let detail = told["candidates"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("token"), "{told:#}");
    // Others serve.
    a.on(Match::any(), [Behaviour::says("hi")]);
    assert_eq!(side.gateway.chat("v").send().await.says(), "hi");
}

#[tokio::test]
async fn a_kept_token_that_is_refused_is_fetched_anew() {
    let (a, t, u, gateway) = entra().await;
    let next = "sk-planted-entra-token-0002";
    t.on(Match::any(), [token(TOKEN, 3600), token(next, 3600)]);
    u.on(Match::any(), [Behaviour::fails(503)]);
    a.on(Match::any(), [Behaviour::says("hi")]);
    // Both keys were tried when the first one has its token.
    for _ in 0..2 {
        assert_eq!(gateway.chat("az").send().await.says(), "hi");
    }
    let expired =
        format!(r#"{{"error":{{"code":"401","message":"Access token {TOKEN} has expired"}}}}"#);
    a.on(
        Match::key("entra-token-0001"),
        [Behaviour::json(401, &expired)],
    );
    let answer = gateway.chat("az").send().await;
    assert_eq!(answer.says(), "hi");
    assert_eq!(t.count(), 2);
    assert_eq!(
        a.requests().last().unwrap().header("authorization"),
        Some(&*format!("Bearer {next}"))
    );
}

#[tokio::test]
async fn a_token_that_an_upstream_repeats_is_masked() {
    let (a, t, _, gateway) = entra().await;
    t.on(Match::any(), [token(TOKEN, 3600)]);
    let echo = format!(r#"{{"error":{{"message":"what is {TOKEN}?","code":"bad"}}}}"#);
    a.on(Match::any(), [Behaviour::json(400, &echo)]);
    let answer = gateway.chat("az").send().await;
    assert_eq!(answer.status, 400);
    assert!(
        answer.text().contains("what is") && !answer.text().contains("0001"),
        "{}",
        answer.text()
    );
}
