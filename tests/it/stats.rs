//! What clients of older gateways read: `GET /stats`, and more of `GET /v1/models`; and what servers tell beside their list.

use serde_json::Value;

use crate::support::{Behaviour, Gateway, Match, ScriptedUpstream, until};

const TWO: &str = "
clients:
  - {name: all, token: token-of-all-0123456789}
  - {name: few, token: token-of-few-0123456789, allow: ['b:*']}
llm:
  providers:
    - {name: a, base_url: '<a>', model: llama-70b, api_key: secret-key-1, context_window: 1000, base_priority: 2}
    - {name: b, base_url: '<a>', model: mb, api_key: secret-key-2, priority: 7}
  virtual:
    - {name: smart, upstreams: [a, b]}
dispatch: {await_cooldown: 0s}
";

#[tokio::test]
async fn stats_tell_each_upstream_to_who_may_ask_for_it() {
    let a = ScriptedUpstream::playing([Behaviour::says("ok")]).await;
    let gateway = Gateway::start(TWO, &[("a", &a)]).await;
    let stats = async |client: &str| {
        let token = format!("Bearer token-of-{client}-0123456789");
        let answer = gateway.get("/stats").header("authorization", &token);
        let answer = answer.send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(!answer.text().contains("secret-key"));
        answer.json()["stats"].clone()
    };
    let nobody = gateway.get("/stats").send().await;
    nobody.assert_error(401, "invalid_client_token");
    let before = stats("all").await;
    assert_eq!(before["total_providers"], 2);
    assert_eq!(before["available_providers"], 2);
    assert!(before["timestamp"].as_f64().unwrap() > 1.7e9);
    a.on(Match::model("llama-70b"), [Behaviour::rate_limited()]);
    let token = "Bearer token-of-all-0123456789";
    let answer = gateway.chat("smart").header("authorization", token);
    let answer = answer.send().await;
    assert_eq!(answer.header("x-pointsman-upstream"), "b:mb");
    until("the request in the counts", async || {
        stats("all").await["overall"]["successful_calls"] == 1
    })
    .await;
    let all = stats("all").await;
    assert_eq!(all["available_providers"], 1);
    assert_eq!(all["overall"]["failed_calls"], 1);
    assert_eq!(all["overall"]["failure_rate"], 50.0);
    let [first, second] = all["providers"].as_array().unwrap().as_slice() else {
        panic!("{all}");
    };
    assert_eq!(first["model_name"], "llama-70b");
    assert_eq!(first["is_available"], false);
    assert!(
        first["base_url"]
            .as_str()
            .unwrap()
            .starts_with("http://127.0.0.1:")
    );
    assert_eq!(
        (&first["model_failures"], &first["failed_calls"]),
        (&1.into(), &1.into())
    );
    assert!(
        first["model_cooldown_remaining"].as_f64().unwrap() > 0.0,
        "{first}"
    );
    // (70 · 100/405 + 1,000 · 0.00005) · 2
    assert_eq!(first["priority"]["overall_score"], 34.6679);
    assert_eq!(
        (&second["successful_calls"], &second["is_available"]),
        (&1.into(), &true.into())
    );
    assert_eq!(second["latencies"].as_array().unwrap().len(), 1);
    assert_eq!(second["priority"]["tier"], 7);
    let few = stats("few").await;
    let names: Vec<&Value> = few["providers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["provider"])
        .collect();
    assert_eq!(names, ["b"]);
    assert_eq!(few["overall"]["failed_calls"], 0);
}

#[tokio::test]
async fn models_tell_hosts_and_providers() {
    let a = ScriptedUpstream::playing([Behaviour::says("ok")]).await;
    let yaml = TWO.replace("clients:", "unused:");
    let start = yaml.find("unused:").unwrap();
    let end = yaml.find("llm:").unwrap();
    let yaml = format!("{}{}", &yaml[..start], &yaml[end..]);
    let gateway = Gateway::start(&yaml, &[("a", &a)]).await;
    let model = async |id: &str| gateway.get(&format!("/v1/models/{id}")).send().await.json();
    let own = model("b:mb").await;
    assert!(
        own["host"].as_str().unwrap().starts_with("127.0.0.1:"),
        "{own}"
    );
    let smart = model("smart").await;
    assert_eq!(smart["providers"]["a"]["model"], "llama-70b", "{smart}");
    assert!(smart["providers"]["b"]["base_url"].is_string());
}

#[tokio::test]
async fn what_a_local_server_really_takes_is_asked_beside_its_list() {
    let a = ScriptedUpstream::playing([Behaviour::says("ok")]).await;
    a.on(
        Match::path("/v1/models"),
        [Behaviour::json(
            200,
            r#"{"data":[{"id":"qwen3:8b"},{"id":"gone","deprecation":"2026-12-01T00:00:00Z"}]}"#,
        )],
    );
    let show = r#"{"model_info":{"qwen3.context_length":40960},"parameters":"num_ctx 4096","capabilities":["completion"]}"#;
    a.on(
        Match::path("/api/show"),
        [Behaviour::json(200, show), Behaviour::json(404, "{}")],
    );
    let yaml = "
llm:
  providers:
    - {name: ollama, base_url: <a>, discover: true}
";
    let gateway = Gateway::start(yaml, &[("a", &a)]).await;
    let model = async |id: &str| gateway.get(&format!("/v1/models/{id}")).send().await.json();
    until("the window", async || {
        model("ollama:qwen3:8b").await["context_window"] == 4096
    })
    .await;
    let told = model("ollama:qwen3:8b").await;
    assert_eq!(told["capabilities"]["tools"], false, "{told}");
    let other = model("ollama:gone").await;
    assert_eq!(other["deprecation_date"], "2026-12-01", "{other}");
    assert!(other.get("context_window").is_none());
}
