//! Conditions in the Common Expression Language.

use serde_json::{Value, json};

use super::explain;
use crate::admin::side::Side;
use crate::support::client::Call;
use crate::support::{ScriptedUpstream, until};

const YAML: &str = "
clients:
  - {name: ci, token: token-of-ci-0123456789, priority: low, budgets: [{amount: 0.001, every: total, mode: soft}]}
  - {name: team, token: token-of-team-0123456789, priority: high}
llm:
  providers:
    - {name: dear, base_url: <a>, model: md, api_key: k, price: {input: 1, output: 2000}}
    - {name: cheap, base_url: <a>, model: mc, api_key: k, price: {input: 0.15, output: 0}}
  virtual:
    - name: gold
      upstreams:
        - {name: dear, when: {cel: \"headers['x-tier'] == 'gold' && client.priority == 'high'\"}}
        - cheap
    - name: cold
      upstreams:
        - {name: dear, when: {cel: \"request.temperature < 0.5\"}}
        - cheap
    - name: low
      upstreams:
        - {name: dear, when: {cel: \"target.price_in <= 0.15\"}}
        - {name: cheap, when: {cel: \"target.price_in <= 0.15 && target.in_flight < 5\"}}
    - name: left
      upstreams:
        - {name: dear, when: {cel: \"!has(client.budget_left) || client.budget_left > 0.0\"}}
        - cheap
";

async fn start() -> (ScriptedUpstream, Side) {
    let a = ScriptedUpstream::start().await;
    let side = Side::start(YAML, &[("a", &a)]).await;
    (a, side)
}

fn ask<'a>(side: &'a Side, client: &str, model: &str, more: &Value) -> Call<'a> {
    let mut body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
    let fields = body.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    let token = format!("Bearer token-of-{client}-0123456789");
    let call = side.gateway.post_chat(body.to_string());
    call.header("authorization", &token)
}

async fn served(call: Call<'_>) -> String {
    let answer = call.send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.header("x-pointsman-upstream").to_owned()
}

#[tokio::test]
async fn expressions_choose_by_the_request_its_client_and_the_upstream() {
    let (_a, side) = start().await;
    let none = json!({});
    let gold = |client: &str| ask(&side, client, "gold", &none).header("x-tier", "gold");
    assert_eq!(served(gold("team")).await, "dear:md");
    assert_eq!(served(gold("ci")).await, "cheap:mc");
    assert_eq!(served(ask(&side, "team", "gold", &none)).await, "cheap:mc");
    let cold = |temperature: f64| ask(&side, "team", "cold", &json!({"temperature": temperature}));
    assert_eq!(served(cold(0.2)).await, "dear:md");
    assert_eq!(served(cold(1.0)).await, "cheap:mc");
    assert_eq!(served(ask(&side, "team", "low", &none)).await, "cheap:mc");
    assert_eq!(served(ask(&side, "team", "left", &none)).await, "dear:md");
    // The first one may cost more than the budget holds.
    assert_eq!(served(ask(&side, "ci", "left", &none)).await, "dear:md");
    until("the budget to be used up", async || {
        served(ask(&side, "ci", "left", &none)).await == "cheap:mc"
    })
    .await;
}

#[tokio::test]
async fn what_an_expression_leaves_out_is_explained_and_its_failures_are_counted() {
    let (_a, side) = start().await;
    let explained = explain(&side, json!({"target": "low", "client": "team"})).await;
    let reasons = explained["candidates"].as_array().unwrap().iter();
    let reasons: Vec<_> = reasons
        .map(|it| (it["upstream"].clone(), it["reason"].clone()))
        .collect();
    assert_eq!(reasons[0], (json!("cheap:mc"), Value::Null));
    assert_eq!(reasons[1], (json!("dear:md"), json!("when_cel")));
    // It has no temperature.
    let call = ask(&side, "team", "cold", &json!({}));
    assert_eq!(served(call).await, "cheap:mc");
    let failed = r#"pointsman_conditions_failed_total{target="cold"} 1"#;
    until("the failure to be counted", async || {
        let told = side.get("/metrics").send().await;
        told.text().lines().any(|line| line == failed)
    })
    .await;
    let said = side.gateway.logs();
    let warned = said
        .iter()
        .any(|line| line.contains("has(") && line.contains("temperature"));
    assert!(warned, "{said:?}");
}
