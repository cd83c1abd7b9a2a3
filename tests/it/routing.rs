//! Where requests go by policy, condition, capability and conversation: what callers and operators see of it.

mod examples;
mod explained;
#[cfg(feature = "cel")]
mod expressions;
mod stories;

use serde_json::{Value, json};

use crate::admin::side::Side;
use crate::support::client::tally;
use crate::support::{At, Behaviour, Gate, Gateway, Match, ScriptedUpstream};

const COST: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k, price: {input: 0.15, output: 0.6}}
    - {name: b, base_url: <a>, model: m, api_key: k, price: {input: 0.1, output: 1}}
    - {name: c, base_url: <a>, model: m, api_key: k}
    - {name: d, base_url: <a>, model: m, api_key: k, price: {input: 0, output: 0}}
  virtual:
    - {name: cheap, policy: cost, upstreams: [a, b, c, d]}
    - {name: priced, policy: {kind: cost, unpriced: exclude}, upstreams: [c, a]}
";

async fn explain(side: &Side, question: Value) -> Value {
    let answer = side.post("/admin/v1/explain", &question.to_string());
    let answer = answer.send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn order(explained: &Value) -> String {
    let all = explained["candidates"].as_array().unwrap().iter();
    let names = all.map(|it| it["upstream"].as_str().unwrap()[..1].to_owned());
    names.collect()
}

#[tokio::test]
async fn the_cheapest_depends_on_the_requests_shape_and_figures_are_shown() {
    let a = ScriptedUpstream::start().await;
    let side = Side::start(COST, &[("a", &a)]).await;
    let short = explain(&side, json!({"target": "cheap", "tokens": 1000})).await;
    assert_eq!(order(&short), "dabc");
    let figures = short["ranking"][0]["members"].as_array().unwrap().iter();
    let figures = figures.map(|member| member["figure"]["cost"].clone());
    assert_eq!(
        figures.collect::<Vec<_>>(),
        [
            json!("0.000000"),
            json!("0.000450"),
            json!("0.000600"),
            Value::Null
        ]
    );
    let long = explain(
        &side,
        json!({"target": "cheap", "tokens": 10_000, "output_tokens": 100}),
    );
    assert_eq!(order(&long.await), "dbac");
    let priced = explain(&side, json!({"target": "priced"})).await;
    assert_eq!(priced["candidates"][1]["reason"], "unpriced");
    assert_eq!(priced["answer"], "goes_now");
}

#[tokio::test]
async fn a_seed_repeats_the_order() {
    let a = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k}
    - {name: b, base_url: <a>, model: m, api_key: k}
    - {name: c, base_url: <a>, model: m, api_key: k}
    - {name: d, base_url: <a>, model: m, api_key: k}
  virtual:
    - {name: v, policy: weighted, upstreams: [a, b, c, d]}
";
    let side = Side::start(yaml, &[("a", &a)]).await;
    let mut orders = Vec::new();
    for seed in 0..12 {
        let question = json!({"target": "v", "seed": seed});
        let first = explain(&side, question.clone()).await;
        assert_eq!(first["seed"], seed);
        assert_eq!(order(&first), order(&explain(&side, question).await));
        orders.push(order(&first));
    }
    orders.sort();
    orders.dedup();
    assert!(orders.len() > 3, "{orders:?}");
}

#[tokio::test]
async fn conditions_and_capabilities_leave_upstreams_out_and_say_why() {
    let a = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: ma, api_key: k, capabilities: {tools: false}}
    - {name: b, base_url: <a>, model: mb, api_key: k}
  virtual:
    - {name: gold, upstreams: [{name: b, when: {header: {x-tier: gold}}}, a]}
    - {name: only, upstreams: [{name: a}, {name: b, when: {stream: true}}]}
";
    let gateway = Gateway::start(yaml, &[("a", &a)]).await;
    let plain = gateway.chat("gold").send().await;
    assert_eq!(plain.header("x-pointsman-upstream"), "a:ma");
    let gold = gateway.chat("gold").header("x-tier", "gold").send().await;
    assert_eq!(gold.header("x-pointsman-upstream"), "b:mb");
    let message = json!([{"role": "user", "content": "x"}]);
    let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {}}}]);
    let body = json!({"model": "only", "messages": message, "tools": tools});
    let refused = gateway.post_chat(body.to_string()).send().await;
    refused.assert_error(400, "no_upstream_matches");
    let skipped = refused.json()["error"]["skipped"].clone();
    let reasons = skipped.as_array().unwrap().iter();
    let reasons: Vec<_> = reasons.map(|it| it["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["lacks_tools", "when_stream"]);
    // A provider that is asked for directly is no exception.
    let body = json!({"model": "a", "messages": message, "tools": tools});
    let refused = gateway.post_chat(body.to_string()).send().await;
    refused.assert_error(400, "no_upstream_matches");
}

#[tokio::test]
async fn turns_are_taken_one_after_the_other() {
    let a = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k}
    - {name: b, base_url: <a>, model: m, api_key: k}
    - {name: c, base_url: <a>, model: m, api_key: k}
  virtual:
    - {name: v, policy: round_robin, upstreams: [a, b, c]}
";
    let gateway = Gateway::start(yaml, &[("a", &a)]).await;
    let mut went = Vec::new();
    for _ in 0..6 {
        let answer = gateway.chat("v").send().await;
        went.push(answer.header("x-pointsman-upstream")[..1].to_owned());
    }
    assert_eq!(went.concat(), "abcabc");
}

const AGENTS: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, model: ma, api_key: k, cooldown: 300ms}
    - {name: b, base_url: <a>, model: mb, api_key: k, cooldown: 300ms}
    - {name: c, base_url: <a>, model: mc, api_key: k, cooldown: 300ms}
    - {name: d, base_url: <a>, model: md, api_key: k, cooldown: 300ms}
  virtual:
    - {name: agents, affinity: auto, upstreams: [a, b, c, d]}
dispatch: {await_cooldown: 0s}
";

#[tokio::test]
async fn a_conversation_stays_where_it_is_within_bounds_and_comes_home() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(AGENTS, &[("a", &a)]).await;
    let body = |last: &str| {
        let messages = json!([
            {"role": "system", "content": "You write programs."},
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": "done"},
            {"role": "user", "content": last},
        ]);
        json!({"model": "agents", "messages": messages}).to_string()
    };
    let went = async |last: &str| {
        let answer = gateway.post_chat(body(last)).send().await;
        answer.header("x-pointsman-upstream").to_owned()
    };
    let home = went("a").await;
    for last in ["b", "c", "d"] {
        assert_eq!(went(last).await, home);
    }
    // Ten at once: no upstream takes more than its cap.
    let gate = Gate::new();
    let held = Behaviour::says("ok").gate(At::BeforeHead, &gate);
    a.on(Match::any(), [held]);
    let before = a.count();
    let mut calls = Vec::new();
    for n in 1..=10 {
        calls.push(gateway.post_chat(body("x")).spawn());
        a.wait_for(before + n).await;
    }
    gate.open();
    let mut all = Vec::new();
    for call in calls {
        let answer = call.await.unwrap();
        all.push(answer.header("x-pointsman-upstream").to_owned());
    }
    let counts = tally(&all);
    assert_eq!(counts.get(home.as_str()), Some(&4), "{counts:?}");
    assert!(counts.values().all(|count| *count <= 4), "{counts:?}");
    // While its upstream cools, the conversation goes elsewhere at once; then it is back.
    let model = home.split_once(':').unwrap().1.to_owned();
    a.on(Match::any(), [Behaviour::says("ok")]);
    a.on(
        Match::model(&model),
        [Behaviour::rate_limited(), Behaviour::says("ok")],
    );
    let elsewhere = went("y").await;
    assert_ne!(elsewhere, home);
    loop {
        let next = went("z").await;
        if next == home {
            break;
        }
        assert_eq!(next, elsewhere);
    }
}
