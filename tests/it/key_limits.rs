//! Our own limits of a key, and those who wait for it.

use crate::support::{At, Behaviour, Gate, Gateway, Match, PATIENCE, ScriptedUpstream, until};

#[tokio::test]
async fn requests_beyond_a_keys_own_limit_go_to_the_next_key_or_wait() {
    let a = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_keys: [k1, k2], limits: {max_in_flight: 1}}
";
    let gateway = Gateway::start(yaml, &[("a", &a)]).await;
    let gate = Gate::new();
    a.on(
        Match::any(),
        [Behaviour::says("ok").gate(At::BeforeHead, &gate)],
    );
    let tasks: Vec<_> = (0..4).map(|_| gateway.chat("a").spawn()).collect();
    a.wait_for(2).await;
    until("two to wait", async || {
        gateway.health("/waiting").await == 2
    })
    .await;
    let mut keys = a.keys();
    keys.sort();
    assert_eq!(keys, ["k1", "k2"]);
    gate.open();
    for task in tasks {
        assert_eq!(task.await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn requests_per_minute_are_kept_without_asking_the_upstream() {
    let a = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_keys: [k1, k2], limits: {rpm: 2}}
";
    let gateway = Gateway::start(yaml, &[("a", &a)]).await;
    for _ in 0..4 {
        assert_eq!(gateway.chat("a").awaits("0").send().await.status, 200);
    }
    let answer = gateway.chat("a").awaits("0").send().await;
    assert_eq!((answer.status, a.count()), (429, 4), "{}", answer.text());
    assert!(answer.retry_after_ms() > 1000);
}

#[tokio::test]
async fn those_who_wait_for_one_key_are_all_served_in_the_order_of_their_coming() {
    let a = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_keys: [k1], limits: {max_in_flight: 1}}
";
    let gateway = Gateway::start(yaml, &[("a", &a)]).await;
    let gate = Gate::new();
    a.on(
        Match::any(),
        [
            Behaviour::rate_limited()
                .header("retry-after-ms", "200")
                .gate(At::BeforeHead, &gate),
            Behaviour::says("ok"),
        ],
    );
    let mut tasks = Vec::new();
    for n in 0..5 {
        let body = format!(r#"{{"model":"a","messages":[],"n":{n}}}"#);
        tasks.push(gateway.post_chat(body).spawn());
        if n == 0 {
            a.wait_for(1).await;
        } else {
            until("it to wait", async || gateway.health("/waiting").await == n).await;
        }
    }
    gate.open();
    let all = futures_util::future::join_all(tasks);
    for answer in tokio::time::timeout(PATIENCE, all).await.unwrap() {
        assert_eq!(answer.unwrap().status, 200);
    }
    let order: Vec<i64> = a
        .requests()
        .iter()
        .map(|request| request.json()["n"].as_i64().unwrap())
        .collect();
    let newcomers: Vec<i64> = order.into_iter().filter(|n| *n != 0).collect();
    assert_eq!(newcomers, [1, 2, 3, 4]);
}
