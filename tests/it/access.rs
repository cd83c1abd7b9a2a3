//! Clients with tokens: who is let in, to what, and what is never told.

mod limits;
mod reload;
mod room;

use crate::support::client::Call;
use crate::support::{Answer, Behaviour, Gateway, Match, ScriptedUpstream};

pub(super) const CI: &str = "token-of-ci-0123456789";
pub(super) const WEB: &str = "token-of-web-0123456789";

/// Two clients in front of one provider.
const TWO: &str = "
clients:
  - {name: ci, token: token-of-ci-0123456789}
  - {name: web, token_sha256: a5444f9f1c5c0e0e1f8af5abd8c56da923a4df06e73b1e473675701451bc35e3}
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k1}
";

/// `printf %s token-of-web-0123456789 | sha256sum`
const WEB_SHA256: &str = "a5444f9f1c5c0e0e1f8af5abd8c56da923a4df06e73b1e473675701451bc35e3";

/// A call with a token.
pub(super) trait By {
    fn by(self, token: &str) -> Self;
}

impl By for Call<'_> {
    fn by(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }
}

#[tokio::test]
async fn without_a_token_nobody_gets_anything_but_health() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(TWO, &[("a", &a)]).await;
    let calls = || {
        [
            gateway.chat("a"),
            gateway.chat_stream("a"),
            gateway.post("/chat/completions", crate::support::chat("a")),
            gateway.post("/v1/embeddings", "{\"input\": \"x\"}"),
            gateway.post_chat("not even JSON"),
            gateway.get("/v1/models"),
            gateway.get("/models/a:m"),
        ]
    };
    let mut messages = Vec::new();
    for call in calls() {
        let answer = call.send().await;
        answer.assert_error(401, "invalid_client_token");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        assert_eq!(answer.json()["error"]["type"], "authentication_error");
        messages.push(message(&answer));
    }
    messages.dedup();
    assert_eq!(messages.len(), 1, "{messages:?}");
    for path in ["/health", "/health/live", "/health/ready"] {
        assert_eq!(gateway.get(path).send().await.status, 200, "{path}");
    }
    assert_eq!(a.count(), 0);
}

fn message(answer: &Answer) -> String {
    answer.json()["error"]["message"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn all_wrong_tokens_are_refused_alike_and_none_is_repeated() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(TWO, &[("a", &a)]).await;
    let digest = format!("Bearer {WEB_SHA256}");
    let mut messages = Vec::new();
    for (name, value) in [
        ("authorization", "Bearer token-of-ci-012345678"),
        ("authorization", "Bearer token-of-ci-0123456789x"),
        ("authorization", "Bearer TOKEN-OF-CI-0123456789"),
        ("authorization", "Bearer wrong"),
        ("authorization", &digest),
        ("x-api-key", "wrong-too"),
        ("x-api-key", "Bearer token-of-ci-0123456789"),
    ] {
        let answer = gateway.chat("a").header(name, value).send().await;
        answer.assert_error(401, "invalid_client_token");
        let head = format!("{:?}", answer.headers);
        for part in ["ci-0123", "wrong", WEB_SHA256] {
            assert!(
                !answer.text().contains(part) && !head.contains(part),
                "{head}"
            );
        }
        messages.push(message(&answer));
    }
    messages.dedup();
    assert_eq!(messages.len(), 1, "{messages:?}");
    let basic = gateway
        .chat("a")
        .header("authorization", "Basic dTpw")
        .send()
        .await;
    basic.assert_error(401, "invalid_client_token");
    assert_eq!(a.count(), 0);
}

#[tokio::test]
async fn either_header_will_do_and_none_goes_on() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(TWO, &[("a", &a)]).await;
    let basic = "Basic dTpw";
    let calls = [
        gateway.chat("a").by(CI),
        gateway.chat("a").by(WEB),
        gateway
            .chat("a")
            .header("authorization", &format!("bearer {CI}")),
        gateway.chat("a").header("x-api-key", CI),
        gateway
            .chat("a")
            .header("x-api-key", WEB)
            .header("authorization", basic),
        gateway.chat_stream("a:streams").header("x-api-key", CI),
    ];
    a.on(Match::model("streams"), [Behaviour::streams(&["ok"])]);
    let count = calls.len();
    for call in calls {
        let status = call.stream().await.status;
        assert_eq!(status, 200);
    }
    for request in a.wait_for(count).await {
        assert_eq!(request.key.as_deref(), Some("k1"));
        assert_eq!(request.header("x-api-key"), None);
        let head = format!("{:?}", request.headers);
        assert!(
            !head.contains("token-of") && !head.contains("dTpw"),
            "{head}"
        );
    }
}

const TARGETS: &str = "
clients:
  - {name: ci, token: token-of-ci-0123456789, allow: [smart, 'a:*']}
  - {name: web, token: token-of-web-0123456789}
  - {name: none, token: token-of-none-0123456789, allow: []}
  - {name: near, token: token-of-near-0123456789, allow: ['secret-x*']}
llm:
  default_model: b
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k1}
    - {name: b, base_url: <a>, model: secret-model, api_key: k2}
  virtual:
    - {name: smart, upstreams: [b, a]}
    - {name: both, upstreams: [a, b]}
    - {name: same, upstreams: [a]}
";

#[tokio::test]
async fn a_client_gets_what_it_may_have_and_hears_of_nothing_else() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(TARGETS, &[("a", &a)]).await;
    for model in ["smart", "a:m", "a:any", "a", "same"] {
        assert_eq!(
            gateway.chat(model).by(CI).send().await.status,
            200,
            "{model}"
        );
    }
    let before = a.count();
    for model in [
        "b",
        "b:other",
        "both",
        "secret-model",
        "nowhere",
        "secret-modle",
        "c:x",
    ] {
        let answer = gateway.chat(model).by(CI).send().await;
        answer.assert_error(403, "target_not_allowed");
        assert_eq!(answer.json()["error"]["type"], "permission_error");
        assert_eq!(answer.json()["error"]["param"], "model");
        let text = message(&answer).replace(model, "");
        assert!(!text.contains("secret") && text.contains("`ci`"), "{text}");
    }
    let default = gateway.post_chat("{\"messages\": []}").by(CI).send().await;
    default.assert_error(403, "target_not_allowed");
    assert!(!default.text().contains("secret"), "{}", default.text());
    gateway
        .chat("smart")
        .by("token-of-none-0123456789")
        .send()
        .await
        .assert_error(403, "target_not_allowed");
    // What it may ask for and does not exist: no hint at what it may not ask for.
    let near = gateway.chat("secret-xodel").by("token-of-near-0123456789");
    let near = near.send().await;
    near.assert_error(404, "model_not_found");
    assert!(!near.text().contains("secret-model"), "{}", near.text());
    let hint = gateway.chat("secret-xodel").by(WEB).send().await;
    assert!(hint.text().contains("secret-model"), "{}", hint.text());
    assert_eq!(a.count(), before);
    assert_eq!(gateway.chat("both").by(WEB).send().await.status, 200);
}

#[tokio::test]
async fn the_list_of_models_is_each_clients_own() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(TARGETS, &[("a", &a)]).await;
    let listed = async |token: &str| -> Vec<String> {
        let answer = gateway.get("/v1/models").by(token).send().await;
        let list = answer.json()["data"].as_array().unwrap().clone();
        list.iter()
            .map(|entry| entry["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(listed(CI).await, ["smart", "same", "a:m"]);
    assert_eq!(
        listed(WEB).await,
        ["smart", "both", "same", "a:m", "b:secret-model"]
    );
    assert!(listed("token-of-none-0123456789").await.is_empty());
    assert_eq!(
        gateway.get("/v1/models/a:m").by(CI).send().await.status,
        200
    );
    let hidden = gateway.get("/v1/models/b:secret-model").by(CI).send().await;
    hidden.assert_error(404, "model_not_found");
    assert_eq!(
        gateway
            .get("/v1/models/b:secret-model")
            .by(WEB)
            .send()
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn logs_name_the_client_and_never_its_token() {
    for format in ["json", "text"] {
        let a = ScriptedUpstream::start().await;
        let log = format!("{TWO}log: {{format: {format}, level: trace}}\n");
        let gateway = Gateway::start(&log, &[("a", &a)]).await;
        assert_eq!(gateway.chat("a").by(CI).send().await.status, 200);
        a.on(Match::model("streams"), [Behaviour::streams(&["ok"])]);
        let stream = gateway
            .chat_stream("a:streams")
            .header("x-api-key", WEB)
            .stream()
            .await;
        assert_eq!(stream.status, 200);
        drop(stream.text().await);
        gateway
            .post_chat("no JSON")
            .by(WEB)
            .send()
            .await
            .assert_error(400, "invalid_json");
        gateway
            .chat("a")
            .by("token-of-nobody")
            .send()
            .await
            .assert_error(401, "invalid_client_token");
        a.on(Match::any(), [Behaviour::fails(500)]);
        assert_eq!(gateway.chat("a").by(CI).send().await.status, 502);
        let lines = gateway.finish().await;
        let named = |name: &str| {
            let (json, text) = (
                format!("\"client\":\"{name}\""),
                format!("client=\"{name}\""),
            );
            lines
                .iter()
                .filter(|line| line.contains(&json) || line.contains(&text))
                .count()
        };
        let all = lines.join("\n");
        assert_eq!((named("ci"), named("web")), (2, 2), "{all}");
        assert!(
            !all.contains("token-of") && !all.contains(WEB_SHA256),
            "{all}"
        );
        assert!(all.contains("invalid_client_token"), "{all}");
    }
}

#[tokio::test]
async fn with_clients_everybody_may_connect() {
    let a = ScriptedUpstream::start().await;
    let dir = crate::support::temp::TempDir::new();
    dir.write(
        "gateway.yaml",
        &crate::support::gateway::filled(TWO, &[("a", &a)]),
    );
    let gateway = Gateway::start_in(
        dir,
        &["--config", "gateway.yaml", "--listen", "0.0.0.0:0"],
        &[],
    )
    .await;
    gateway.logged("0.0.0.0:").await;
    assert_eq!(gateway.chat("a").by(CI).send().await.status, 200);
}

#[tokio::test]
async fn no_other_field_leads_past_what_a_client_may_ask_for() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(TARGETS, &[("a", &a)]).await;
    let body = |more: &str| format!(r#"{{"model":"a:m","messages":[]{more}}}"#);
    for more in [r#","Model":"dear""#, ",\"\u{17f}tream\":true"] {
        for token in [CI, WEB] {
            let answer = gateway.post_chat(body(more)).by(token).send().await;
            answer.assert_error(400, "invalid_request");
        }
    }
    for more in [
        r#","models":["dear"]"#,
        r#","Fallbacks":["dear"]"#,
        r#","providerOptions":{"gateway":{"models":["dear"]}}"#,
        r#","extra_body":{"route":"fallback"}"#,
        r#","plugins":[{"id":"auto-router","allowed_models":["dear"]}]"#,
    ] {
        let answer = gateway.post_chat(body(more)).by(CI).send().await;
        answer.assert_error(403, "target_not_allowed");
    }
    assert_eq!(a.count(), 0);
    for more in [
        r#","models":null"#,
        r#","providerOptions":{"gateway":{"order":["x"]}}"#,
    ] {
        let harmless = gateway.post_chat(body(more)).by(CI);
        assert_eq!(harmless.send().await.status, 200, "{more}");
    }
    // Whoever may ask for everything may let the upstream choose.
    let free = gateway.post_chat(body(r#","models":["dear"]"#)).by(WEB);
    assert_eq!(free.send().await.status, 200);
}

#[tokio::test]
async fn one_clients_idempotency_key_is_never_another_ones() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(TWO, &[("a", &a)]).await;
    for token in [CI, WEB, CI] {
        let call = gateway.chat("a").by(token);
        let call = call.header("idempotency-key", "order-1");
        assert_eq!(call.send().await.status, 200);
    }
    let requests = a.requests();
    let keys: Vec<&str> = requests
        .iter()
        .filter_map(|request| request.header("idempotency-key"))
        .collect();
    let [first, other, again] = keys[..] else {
        panic!("{keys:?}");
    };
    assert!(first == again && first != other, "{keys:?}");
    assert!(first != "order-1" && other != "order-1");
}
