//! Equal requests that are under way at the same time are one call.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Scene, question, result};
use crate::admin::side::Side;
use crate::support::behaviour::{DONE, chunk, event, finish, role};
use crate::support::client::{Answer, spoken};
use crate::support::{At, Behaviour, Gate, Match, ScriptedUpstream, until};

const ONLY_JOINED: &str = "dispatch: {coalesce: true}";

async fn scene(more: &str) -> Scene {
    Scene::new("enabled: false", &format!("{ONLY_JOINED}\n{more}")).await
}

fn tally(answers: &[Answer]) -> BTreeMap<(u16, &str), usize> {
    let mut counts = BTreeMap::new();
    for answer in answers {
        *counts.entry((answer.status, result(answer))).or_default() += 1;
    }
    counts
}

/// All of them, the gate being opened once they are under way.
async fn all(scene: &Scene, ask: &Value, count: usize, gate: &Gate) -> Vec<Answer> {
    let calls: Vec<_> = (0..count).map(|_| scene.ask(ask).spawn()).collect();
    until("all to wait for one call", async || {
        let stats = scene.side.get("/admin/v1/cache").send().await.json();
        stats["shared_calls"]["requests"] == json!(count)
    })
    .await;
    gate.open();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.unwrap());
    }
    answers
}

#[tokio::test]
async fn a_hundred_equal_requests_are_one_call() {
    let scene = scene("").await;
    let gate = Gate::new();
    scene.plays([
        Behaviour::says("x").gate(At::BeforeHead, &gate),
        Behaviour::says("y"),
    ]);
    let answers = all(&scene, &json!({}), 100, &gate).await;
    let wanted = BTreeMap::from([((200, "miss"), 1), ((200, "coalesced"), 99)]);
    assert_eq!(tally(&answers), wanted);
    assert!(answers.iter().all(|answer| answer.says() == "x"));
    assert_eq!(scene.upstream.count(), 1);
    let joined = answers
        .iter()
        .find(|answer| result(answer) == "coalesced")
        .unwrap();
    assert_eq!(joined.header("x-pointsman-cost"), "0");
    assert_eq!(joined.header("x-pointsman-attempts"), "0");
    // Nothing is kept: the next one is a call of its own.
    let next = scene.asked(&json!({})).await;
    assert_eq!((result(&next), next.says().as_str()), ("miss", "y"));
}

#[tokio::test]
async fn the_first_one_leaving_changes_nothing_and_the_last_one_cancels() {
    let scene = scene("").await;
    let gate = Gate::new();
    scene.plays([Behaviour::says("x").gate(At::BeforeHead, &gate)]);
    let first = scene.ask(&json!({})).spawn();
    scene.upstream.wait_for(1).await;
    let others: Vec<_> = (0..3).map(|_| scene.ask(&json!({})).spawn()).collect();
    until("all to wait", async || {
        scene.side.gateway.health("/in_flight").await == 4
    })
    .await;
    first.abort();
    until("it to be gone", async || {
        scene.side.gateway.health("/in_flight").await == 3
    })
    .await;
    gate.open();
    for call in others {
        let answer = call.await.unwrap();
        assert_eq!(
            (answer.says().as_str(), result(&answer)),
            ("x", "coalesced")
        );
    }
    assert_eq!(scene.upstream.count(), 1);
    scene.side.gateway.logged("caller_left").await;

    scene.plays([Behaviour::says("x").hang(At::BeforeHead)]);
    let calls: Vec<_> = (0..3)
        .map(|_| scene.ask(&json!({"seed": 7})).spawn())
        .collect();
    scene.upstream.wait_for(2).await;
    until("all to wait", async || {
        scene.side.gateway.health("/in_flight").await == 3
    })
    .await;
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    scene.upstream.cancelled().await;
    assert_eq!(scene.upstream.count(), 2);
}

#[tokio::test]
async fn a_fault_of_the_request_is_told_to_all() {
    let scene = scene("").await;
    let gate = Gate::new();
    scene.plays([Behaviour::error(400, "bad", "no such thing").gate(At::BeforeHead, &gate)]);
    let answers = all(&scene, &json!({}), 10, &gate).await;
    let wanted = BTreeMap::from([((400, "miss"), 1), ((400, "coalesced"), 9)]);
    assert_eq!(tally(&answers), wanted);
    assert!(
        answers
            .iter()
            .all(|answer| answer.text().contains("no such thing"))
    );
    assert_eq!(scene.upstream.count(), 1);
}

#[tokio::test]
async fn after_a_failure_another_one_asks_and_after_three_nobody_does() {
    let scene = scene("").await;
    let gate = Gate::new();
    let fails = || Behaviour::fails(503);
    scene.plays([fails().gate(At::BeforeHead, &gate), fails()]);
    let ask = json!({"model": "steady:m"});
    let answers = all(&scene, &ask, 10, &gate).await;
    assert!(
        answers.iter().all(|answer| answer.status == 502),
        "{:?}",
        tally(&answers)
    );
    assert_eq!(scene.upstream.count(), 3);

    let gate = Gate::new();
    scene.plays([fails().gate(At::BeforeHead, &gate), Behaviour::says("x")]);
    let ask = json!({"model": "steady:m", "seed": 1});
    let answers = all(&scene, &ask, 10, &gate).await;
    let served = answers.iter().filter(|answer| answer.status == 200);
    assert_eq!(
        served.count(),
        9,
        "all but the one that failed: {:?}",
        tally(&answers)
    );
}

#[tokio::test]
async fn an_answer_that_is_out_of_date_is_told_as_that_to_all() {
    let cache = "ttl: 1ms, stale_if_error: 1h";
    let scene = Scene::new(cache, ONLY_JOINED).await;
    let ask = json!({"model": "steady:m"});
    scene.plays([Behaviour::says("old")]);
    assert_eq!(result(&scene.asked(&ask).await), "miss");
    scene.until_out_of_date(&ask).await;
    let gate = Gate::new();
    let fails = || Behaviour::fails(503);
    scene.plays([fails().gate(At::BeforeHead, &gate), fails()]);
    let answers = all(&scene, &ask, 5, &gate).await;
    assert_eq!(tally(&answers), BTreeMap::from([((200, "stale"), 5)]));
    for answer in &answers {
        assert_eq!(answer.says(), "old");
        assert!(!answer.header("age").is_empty());
    }
}

#[tokio::test]
async fn nobody_waits_beyond_its_own_deadline() {
    let scene = scene("").await;
    let gate = Gate::new();
    scene.plays([Behaviour::says("x").gate(At::BeforeHead, &gate)]);
    // The one that makes the call has the shortest time.
    let first = scene
        .ask(&json!({}))
        .header("x-pointsman-deadline", "300ms")
        .spawn();
    scene.upstream.wait_for(1).await;
    let second = scene.ask(&json!({})).spawn();
    let third = scene
        .ask(&json!({}))
        .header("x-pointsman-deadline", "200ms")
        .spawn();
    first.await.unwrap().assert_error(504, "deadline_exceeded");
    third.await.unwrap().assert_error(504, "deadline_exceeded");
    gate.open();
    assert_eq!(second.await.unwrap().says(), "x");
    assert_eq!(scene.upstream.count(), 1);
}

#[tokio::test]
async fn who_comes_late_to_a_stream_gets_what_was_said_and_goes_on_live() {
    let scene = scene("").await;
    let (gate, last) = (Gate::new(), Gate::new());
    let events = Behaviour::events([
        role(),
        chunk("a"),
        chunk("b"),
        chunk("c"),
        finish("stop"),
        DONE.to_owned(),
    ]);
    scene.plays([events
        .gate(At::AfterPart(2), &gate)
        .gate(At::AfterPart(3), &last)]);
    let ask = || {
        scene
            .side
            .gateway
            .post_chat(question(&json!({"stream": true})).to_string())
    };
    let mut first = ask().stream().await;
    assert_eq!(first.header("x-pointsman-cache"), "miss");
    first.until("\"a\"").await;
    let mut late = ask().stream().await;
    assert_eq!(late.header("x-pointsman-cache"), "coalesced");
    late.until("\"a\"").await;
    gate.open();
    first.until("\"b\"").await;
    late.until("\"b\"").await;
    drop(first);
    last.open();
    let text = late.text().await;
    assert_eq!(spoken(&text), "abc");
    assert!(text.ends_with(DONE), "{text}");
    assert_eq!(scene.upstream.count(), 1);
}

#[tokio::test]
async fn what_joining_saves_is_counted() {
    let yaml = "
dispatch: {coalesce: true}
llm: {providers: [{name: a, base_url: <a>, api_key: k, price: {input: 1, output: 10}}]}
";
    let counts = event(
        r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#,
    );
    for streams in [false, true] {
        let upstream = ScriptedUpstream::start().await;
        let gate = Gate::new();
        let answer = match streams {
            false => Behaviour::says("x"),
            true => Behaviour::events([
                role(),
                chunk("x"),
                finish("stop"),
                counts.clone(),
                DONE.to_owned(),
            ]),
        };
        upstream.on(Match::any(), [answer.gate(At::BeforeHead, &gate)]);
        let side = Side::start(yaml, &[("a", &upstream)]).await;
        let scene = Scene { upstream, side };
        let options = json!({"include_usage": true});
        let ask = match streams {
            false => json!({}),
            true => json!({"stream": true, "stream_options": options}),
        };
        let answers = all(&scene, &ask, 3, &gate).await;
        assert!(answers.iter().all(|answer| answer.status == 200));
        let metrics = format!("http://{}/metrics", scene.side.address);
        for line in [
            "pointsman_cache_lookups_total{result=\"coalesced\"} 2",
            "pointsman_cache_saved_tokens_total 10",
            "pointsman_cache_saved_cost_total 0.000046",
        ] {
            until(line, async || {
                let text = reqwest::get(&metrics).await.unwrap().text().await.unwrap();
                text.lines().any(|it| it == line)
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_call_that_a_budget_sends_elsewhere_is_nobody_elses() {
    let yaml = "
dispatch: {coalesce: true, budgets: [{amount: 0.00001, every: day, mode: soft, then: free}]}
llm:
  providers:
    - {name: a, base_url: <a>, api_key: k, price: {input: 1, output: 10}}
    - {name: free, base_url: <a>, api_key: k, model: f, price: {input: 0, output: 0}}
";
    let upstream = ScriptedUpstream::start().await;
    let gate = Gate::new();
    upstream.on(Match::model("m"), [Behaviour::says("dear")]);
    upstream.on(
        Match::model("f"),
        [Behaviour::says("free").gate(At::BeforeHead, &gate)],
    );
    let side = Side::start(yaml, &[("a", &upstream)]).await;
    let scene = Scene { upstream, side };
    assert_eq!(scene.asked(&json!({})).await.says(), "dear");
    // More of them than calls that may follow a failed one: nothing has failed. The gate opens once each has made its call, so
    // that nobody waits for another one's.
    let calls: Vec<_> = (0..6)
        .map(|_| scene.ask(&json!({"seed": 1})).spawn())
        .collect();
    scene.upstream.wait_for(7).await;
    gate.open();
    for call in calls {
        let answer = call.await.unwrap();
        assert_eq!((answer.status, answer.says().as_str()), (200, "free"));
        assert_eq!(answer.header("x-pointsman-budget"), "soft");
    }
    assert_eq!(scene.upstream.count(), 7);
}

#[tokio::test]
async fn those_who_wait_are_served_while_the_process_ends() {
    let scene = scene("").await;
    let gate = Gate::new();
    scene.plays([Behaviour::says("x").gate(At::BeforeHead, &gate)]);
    let calls: Vec<_> = (0..3).map(|_| scene.ask(&json!({})).spawn()).collect();
    until("all to be under way", async || {
        scene.side.gateway.health("/in_flight").await == 3
    })
    .await;
    scene.side.gateway.signal("TERM");
    scene.side.gateway.logged("draining").await;
    gate.open();
    for call in calls {
        assert_eq!(call.await.unwrap().says(), "x");
    }
    assert_eq!(scene.upstream.count(), 1);
}

#[tokio::test]
async fn requests_that_differ_are_not_joined() {
    let scene = scene("").await;
    scene.plays([Behaviour::says("x")]);
    let asks: [Value; 4] = [
        json!({}),
        json!({"seed": 1}),
        json!({"temperature": null}),
        json!({"temperature": null}),
    ];
    let calls: Vec<_> = asks.iter().map(|ask| scene.ask(ask).spawn()).collect();
    for call in calls {
        assert_eq!(call.await.unwrap().status, 200);
    }
    assert_eq!(scene.upstream.count(), 4);
}
