//! Where it is told why a request went where it went: its story, its line of the log, metrics, `explain` and the figures.

use serde_json::{Value, json};

use super::{AGENTS, COST, explain, order};
use crate::admin::side::Side;
use crate::support::{At, Behaviour, Gate, Match, ScriptedUpstream, until};

/// The story of the request that was answered with this id, once it is kept.
pub(super) async fn story(side: &Side, id: &str) -> Value {
    let path = format!("/admin/v1/requests/{id}");
    until("the request to be kept", async || {
        side.get(&path).send().await.status == 200
    })
    .await;
    side.get(&path).send().await.json()
}

/// The line of the log for that request.
async fn line(side: &Side, id: &str) -> Value {
    let line = side
        .gateway
        .logged(&format!("\"request_id\":\"{id}\""))
        .await;
    serde_json::from_str(&line).unwrap()
}

fn names(step: &Value) -> Vec<&str> {
    let members = step["members"].as_array().unwrap().iter();
    members.map(|it| it["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_story_has_the_ranking_with_its_figures_and_a_seed_that_repeats_it() {
    let a = ScriptedUpstream::start().await;
    let more = "    - {name: drawn, policy: weighted, upstreams: [a, b, c, d]}\n    - {name: plain, upstreams: [a, b]}\n";
    let side = Side::start(
        &format!("{}{more}", COST.trim_end_matches(' ')),
        &[("a", &a)],
    )
    .await;
    let answer = side.gateway.chat("cheap").send().await;
    let id = answer.header("x-request-id").to_owned();
    let told = story(&side, &id).await["routing"].clone();
    let step = &told["ranking"][0];
    assert_eq!(
        (&step["target"], &step["policy"]),
        (&json!("cheap"), &json!("cost"))
    );
    assert_eq!(names(step), ["d", "a", "b", "c"]);
    assert_eq!(step["members"][0]["figure"]["cost"], "0.000000");
    assert_eq!(step["members"][3]["figure"]["cost"], Value::Null);
    assert_eq!((&told["place"], &told["budget"]), (&json!(1), &Value::Null));
    let logged = line(&side, &id).await;
    let ranking = logged["ranking"].as_str().unwrap();
    assert!(
        ranking.starts_with("cheap=cost(d:0.000000 a:0.000"),
        "{ranking}"
    );

    let answer = side.gateway.chat("drawn").send().await;
    let told = story(&side, answer.header("x-request-id")).await;
    let seed = told["routing"]["seed"].as_u64().unwrap();
    let again = explain(&side, json!({"target": "drawn", "seed": seed})).await;
    let drawn = names(&told["routing"]["ranking"][0]).concat();
    assert_eq!(order(&again), drawn);

    // Where the order is always the same, there is nothing to tell.
    let answer = side.gateway.chat("plain").send().await;
    let id = answer.header("x-request-id").to_owned();
    assert_eq!(story(&side, &id).await["routing"], Value::Null);
    assert_eq!(line(&side, &id).await.get("ranking"), None);
    let metrics = side.get("/metrics").send().await;
    let metrics = metrics.text();
    let place = "pointsman_ranking_place_bucket{target=\"cheap\",le=\"1\"} 1";
    assert!(metrics.contains(place), "{metrics}");
    assert!(!metrics.contains("pointsman_ranking_place_count{target=\"plain\"}"));
}

#[tokio::test]
async fn a_conversation_is_told_to_be_at_home_sent_away_or_moved() {
    let a = ScriptedUpstream::start().await;
    let side = Side::start(AGENTS, &[("a", &a)]).await;
    let ask = || {
        let messages = json!([{"role": "user", "content": "begin"}]);
        let body = json!({"model": "agents", "messages": messages}).to_string();
        side.gateway.post_chat(body)
    };
    let told = async |id: &str| story(&side, id).await["routing"]["affinity"].clone();
    let first = ask().send().await;
    let home = first.header("x-pointsman-upstream")[..1].to_owned();
    let affinity = told(first.header("x-request-id")).await;
    assert_eq!(
        affinity,
        json!({"home": home, "outcome": "home", "warm": false})
    );

    // The second of two at once is above home's share.
    let gate = Gate::new();
    a.on(
        Match::any(),
        [Behaviour::says("ok").gate(At::BeforeHead, &gate)],
    );
    let held = ask().spawn();
    a.wait_for(2).await;
    let second = ask().spawn();
    a.wait_for(3).await;
    let question = json!({"target": "agents"});
    let explained = explain(&side, question).await;
    assert_eq!(
        explained["ranking"][0]["affinity"],
        Value::Null,
        "no conversation was named"
    );
    gate.open();
    let (held, second) = (held.await.unwrap(), second.await.unwrap());
    assert_eq!(told(held.header("x-request-id")).await["outcome"], "home");
    let id = second.header("x-request-id").to_owned();
    let affinity = told(&id).await;
    assert_eq!(
        affinity,
        json!({"home": home, "outcome": "over_bound", "warm": true})
    );
    assert_eq!(line(&side, &id).await["affinity"], "over_bound");

    // While home cools, it is somewhere else.
    let model = format!("m{home}");
    a.on(Match::any(), [Behaviour::says("ok")]);
    a.on(
        Match::model(&model),
        [Behaviour::rate_limited(), Behaviour::says("ok")],
    );
    let moved = ask().send().await;
    assert_eq!(told(moved.header("x-request-id")).await["outcome"], "moved");
    let metrics = side.get("/metrics").send().await;
    for (result, count) in [("home", 2), ("over_bound", 1), ("moved", 1)] {
        let line =
            format!("pointsman_affinity_total{{result=\"{result}\",target=\"agents\"}} {count}");
        assert!(metrics.text().contains(&line), "{line}\n{}", metrics.text());
    }
}

const BOUNDED: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, model: ma, api_key: k, price: {input: 0, output: 1000}, limits: {rpm: 10}, budgets: [{amount: 0.15, every: total}]}
    - {name: b, base_url: <a>, model: mb, api_key: k, price: {input: 0, output: 1000}, capabilities: {tools: false}}
    - {name: c, base_url: <a>, model: mc, api_key: k, price: {input: 2.5, output: 10}}
  virtual:
    - {name: v, upstreams: [a, b, c]}
    - {name: l, policy: latency, upstreams: [a, {name: b, when: {header: {x-tier: gold}}}]}
    - {name: u, policy: usage, upstreams: [a, b]}
dispatch: {budgets: [{amount: 1, every: day}]}
";

/// An answer of so many tokens.
fn answers(tokens: u32) -> Behaviour {
    let body = json!({
        "id": "x", "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": tokens},
    });
    Behaviour::json(200, &body.to_string())
}

#[tokio::test]
async fn budgets_capabilities_and_costs_are_told_with_amounts() {
    let a = ScriptedUpstream::start().await;
    a.on(Match::any(), [answers(100)]);
    let side = Side::start(BOUNDED, &[("a", &a)]).await;
    let ask = async || {
        let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {}}}]);
        let messages = json!([{"role": "user", "content": "hi"}]);
        let body = json!({"model": "v", "max_tokens": 100, "tools": tools, "messages": messages});
        let answer = side.gateway.post_chat(body.to_string()).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let id = answer.header("x-request-id").to_owned();
        (answer, story(&side, &id).await)
    };
    let (answer, told) = ask().await;
    assert_eq!(answer.header("x-pointsman-upstream"), "a:ma");
    assert_eq!(
        (&told["cost"], &told["cost_kind"]),
        (&json!("0.100000"), &json!("real"))
    );
    let routing = &told["routing"];
    assert_eq!(
        routing["left_out"],
        json!([{"upstream": "b:mb", "reason": "lacks_tools"}])
    );
    assert_eq!(routing["budget"]["reserved"], "0.100000");
    let tightest = &routing["budget"]["tightest"];
    assert_eq!(
        (&tightest["spent"], &tightest["reserved"]),
        (&json!("0.000000"), &json!("0.000000"))
    );

    // The provider's budget has no room for another one; of the whole's, a tenth is spent.
    until("the first to be settled", async || {
        let spend = side.get("/admin/v1/spend").send().await.json();
        spend["budgets"]
            .as_array()
            .unwrap()
            .iter()
            .all(|it| it["spent"] == "0.100000")
    })
    .await;
    let (answer, told) = ask().await;
    assert_eq!(answer.header("x-pointsman-upstream"), "c:mc");
    let routing = &told["routing"];
    let left_out = json!([{"upstream": "a:ma", "reason": "budget"}, {"upstream": "b:mb", "reason": "lacks_tools"}]);
    assert_eq!(routing["left_out"], left_out);
    assert_eq!(routing["budget"]["tightest"]["spent"], "0.100000");
    assert_eq!(routing["budget"]["tightest"]["amount"], "1.000000");
    let logged = line(&side, answer.header("x-request-id")).await;
    assert_eq!(logged["left_out"], "a:ma=budget b:mb=lacks_tools");
    assert_eq!(logged["reserved"], routing["budget"]["reserved"]);

    let question = json!({"target": "v", "has": "tools", "output_tokens": 100, "tokens": 1000});
    let told = explain(&side, question).await;
    let candidates = told["candidates"].as_array().unwrap().iter();
    let seen: Vec<_> = candidates
        .map(|it| (&it["reason"], &it["estimate"]))
        .collect();
    assert_eq!(seen[0], (&json!("budget"), &json!("0.100000")), "{told}");
    assert_eq!(seen[1].0, "lacks_tools");
    // 1000 · 2.5 and 100 · 10 per million.
    assert_eq!(seen[2], (&Value::Null, &json!("0.003500")));
    assert_eq!(told["reserved"], "0.003500");
    let budgets = told["budgets"].as_array().unwrap().iter();
    let budgets: Vec<_> = budgets.map(|it| (&it["of"], &it["amount"])).collect();
    assert!(
        budgets.contains(&(&json!("all"), &json!("1.000000"))),
        "{budgets:?}"
    );
    assert!(
        budgets.contains(&(&json!("provider"), &json!("0.150000"))),
        "{budgets:?}"
    );
}

#[tokio::test]
async fn what_policies_rank_by_can_be_looked_at() {
    let a = ScriptedUpstream::start().await;
    a.on(Match::any(), [answers(1300)]);
    let side = Side::start(BOUNDED, &[("a", &a)]).await;
    let figures = async |name: &str| {
        let told = side.get("/admin/v1/routing").send().await.json();
        let mut all = told["upstreams"].as_array().unwrap().iter();
        let found = all.find(|it| it["upstream"] == name).unwrap().clone();
        (told, found)
    };
    let (_, before) = figures("a:ma").await;
    assert_eq!(before["whole_ms"], Value::Null);
    assert_eq!(
        (&before["expected_output_tokens"], &before["used_share"]),
        (&json!(500), &Value::Null)
    );
    let price = &before["price"];
    assert_eq!(
        (&price["input"], &price["output"]),
        (&json!("0"), &json!("1000"))
    );
    assert_eq!(price["source"], "configuration");

    let body =
        json!({"model": "a", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(
        side.gateway.post_chat(body.to_string()).send().await.status,
        200
    );
    // An eighth of the way from 500 to 1300.
    until("the answer to be learned from", async || {
        figures("a:ma").await.1["expected_output_tokens"] == 600
    })
    .await;
    let (told, after) = figures("a:ma").await;
    assert!(after["whole_ms"].as_f64().unwrap() > 0.0, "{after}");
    assert_eq!(after["stream_ms"], Value::Null);
    // One of ten a minute, which comes back by and by.
    let is_tenth = |share: &Value| (0.05..=0.1).contains(&share.as_f64().unwrap());
    assert!(is_tenth(&after["used_share"]), "{after}");
    let targets = told["targets"].as_array().unwrap().iter();
    let latency = targets.clone().find(|it| it["name"] == "l").unwrap();
    assert_eq!(latency["members"][1]["reason"], "when_header");
    let usage = targets.clone().find(|it| it["name"] == "u").unwrap();
    assert_eq!(names(usage), ["b", "a"]);
    let used = |at: usize| &usage["members"][at]["figure"]["used_share"];
    assert_eq!(used(0), 0.0);
    assert!(is_tenth(used(1)), "{usage}");
    // A condition on a header holds for a request that has it.
    let gold = json!({"target": "l", "headers": {"X-Tier": "gold"}});
    let gold = explain(&side, gold).await;
    let members = gold["ranking"][0]["members"].as_array().unwrap();
    assert!(members.iter().all(|it| it["reason"].is_null()), "{gold}");
}
