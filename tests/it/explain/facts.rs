//! What `explain` and `check` tell of how a target is asked.

use serde_json::{Value, json};

use crate::admin::side::Side;
use crate::support::gateway::run;
use crate::support::temp::TempDir;
use crate::support::{Behaviour, Match, ScriptedUpstream};

const SETUP: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k1, unsupported: reject, responses: translate, fetch: stream}
    - {name: b, base_url: <a>, model: m, api_key: k2}
    - {name: c, base_url: <a>, model: m, dialect: anthropic, api_key: k3}
    - {name: g, base_url: <a>, model: m, dialect: gemini, auth: query, api_key: k4}
  virtual:
    - {name: all, upstreams: [a, b, c, g]}
    - {name: own, upstreams: [a, b], unsupported: drop, fetch: whole}
";

fn facts(one: &Value) -> [&str; 5] {
    ["dialect", "auth", "responses", "fetch", "unsupported"]
        .map(|name| one[name].as_str().unwrap_or("-"))
}

#[tokio::test]
async fn how_each_upstream_is_asked_is_told() {
    let a = ScriptedUpstream::start().await;
    let side = Side::start(SETUP, &[("a", &a)]).await;
    let explain = async |target: &str| {
        let question = json!({"target": target}).to_string();
        side.post("/admin/v1/explain", &question)
            .send()
            .await
            .json()
    };
    let told = explain("all").await;
    let all: Vec<_> = told["candidates"]
        .as_array()
        .unwrap()
        .iter()
        .map(facts)
        .collect();
    assert_eq!(
        all,
        [
            ["openai", "bearer", "translate", "stream", "reject"],
            ["openai", "bearer", "auto", "stream", "drop"],
            ["anthropic", "x-api-key", "-", "stream", "drop"],
            ["gemini", "query", "-", "stream", "drop"],
        ],
        "{told:#}"
    );
    let told = explain("own").await;
    let all: Vec<_> = told["candidates"]
        .as_array()
        .unwrap()
        .iter()
        .map(facts)
        .collect();
    assert_eq!(
        all,
        [
            ["openai", "bearer", "translate", "whole", "drop"],
            ["openai", "bearer", "auto", "whole", "drop"],
        ],
        "{told:#}"
    );
    // What was found out is told too.
    a.on(Match::any(), [Behaviour::says("ok")]);
    a.on(
        Match::path("/v1/responses"),
        [Behaviour::error(404, "not_found", "Not Found")],
    );
    let asked = json!({"model": "b", "input": "x"}).to_string();
    let answer = side.gateway.post("/v1/responses", asked).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let told = explain("b").await;
    assert_eq!(
        told["candidates"][0]["responses"], "auto: translate",
        "{told:#}"
    );
}

#[tokio::test]
async fn people_read_it_in_explain_and_in_check() {
    let a = ScriptedUpstream::start().await;
    let side = Side::start(SETUP, &[("a", &a)]).await;
    let dir = TempDir::new();
    let address = side.address.to_string();
    let explained = run(dir.path(), &["explain", "all", "--admin", &address], &[]).await;
    let text = String::from_utf8(explained.stdout).unwrap();
    for part in [
        "openai, auth bearer, responses translate, fetch stream, unsupported reject",
        "anthropic, auth x-api-key, fetch stream, unsupported drop",
        "gemini, auth query, fetch stream, unsupported drop",
    ] {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
    let yaml = SETUP.replace("<a>", "http://127.0.0.1:9/v1");
    dir.write("gateway.yaml", &yaml);
    let checked = run(dir.path(), &["check", "--config", "gateway.yaml"], &[]).await;
    let text = String::from_utf8(checked.stdout).unwrap();
    for part in [
        "asked   auth bearer, responses translate, fetch stream, unsupported reject",
        "asked   auth bearer, responses auto, fetch whole, unsupported drop",
        "asked   auth x-api-key, fetch whole, unsupported drop",
        "own -> a:m -> b:m  (unsupported: drop; fetch: whole)",
    ] {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
    let checked = run(
        dir.path(),
        &["check", "--config", "gateway.yaml", "--json"],
        &[],
    )
    .await;
    let told: Value = serde_json::from_slice(&checked.stdout).unwrap();
    let provider = &told["providers"][0];
    assert_eq!(
        facts(provider),
        ["openai", "bearer", "translate", "stream", "reject"]
    );
    assert_eq!(
        facts(&told["providers"][2]),
        ["anthropic", "x-api-key", "-", "whole", "drop"]
    );
    let own = told["virtual"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["name"] == "own");
    let own = own.unwrap();
    assert_eq!(
        (&own["unsupported"], &own["fetch"]),
        (&json!("drop"), &json!("whole"))
    );
}
