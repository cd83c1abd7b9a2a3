//! The waiting room with clients: whose turn comes first, and who gives way when it is full.

use super::By;
use crate::support::{Answer, At, Behaviour, Gate, Gateway, Match, ScriptedUpstream, until};
use tokio::task::JoinHandle;

const YAML: &str = "
clients:
  - {name: low, token: token-of-low-0123456789, priority: low}
  - {name: normal, token: token-of-normal-0123456789}
  - {name: other, token: token-of-other-0123456789}
  - {name: high, token: token-of-high-0123456789, priority: high}
llm:
  providers:
    - {name: a, base_url: <a>, api_key: k1, limits: {max_in_flight: 1}}
dispatch: {max_waiting: 4}
";

/// One request holds the only place; others come one after the other.
struct Busy {
    gateway: Gateway,
    a: ScriptedUpstream,
    gate: Gate,
    holder: JoinHandle<Answer>,
}

impl Busy {
    async fn new() -> Self {
        let a = ScriptedUpstream::start().await;
        let gate = Gate::new();
        let held = Behaviour::says("held").gate(At::BeforeHead, &gate);
        a.on(Match::any(), [held, Behaviour::says("ok")]);
        let gateway = Gateway::start(YAML, &[("a", &a)]).await;
        let holder = gateway
            .chat("a:first")
            .by("token-of-normal-0123456789")
            .spawn();
        a.wait_for(1).await;
        Self {
            gateway,
            a,
            gate,
            holder,
        }
    }

    /// A request of this client, its model named after it and a number. It waits.
    async fn comes(&self, client: &str, n: usize, waiting: i64) -> JoinHandle<Answer> {
        let token = format!("token-of-{client}-0123456789");
        let task = self
            .gateway
            .chat(&format!("a:{client}{n}"))
            .by(&token)
            .spawn();
        until("it to wait", async || {
            task.is_finished() || self.gateway.health("/waiting").await == waiting
        })
        .await;
        task
    }
}

#[tokio::test]
async fn a_higher_class_is_served_first_and_each_class_in_order() {
    let busy = Busy::new().await;
    let mut tasks = Vec::new();
    for (n, client) in ["low", "normal", "other", "high"].into_iter().enumerate() {
        tasks.push(busy.comes(client, n, n as i64 + 1).await);
    }
    busy.gate.open();
    for task in tasks {
        assert_eq!(task.await.unwrap().status, 200);
    }
    assert_eq!(
        busy.a.models(),
        ["first", "high3", "normal1", "other2", "low0"]
    );
    assert_eq!(busy.holder.await.unwrap().status, 200);
}

#[tokio::test]
async fn in_a_full_room_whoever_waits_for_most_gives_way() {
    let busy = Busy::new().await;
    let mut greedy = Vec::new();
    for n in 0..4 {
        greedy.push(busy.comes("normal", n, n as i64 + 1).await);
    }
    // Its own fifth is turned away as ever.
    let fifth = busy.comes("normal", 4, 4).await.await.unwrap();
    fifth.assert_error(429, "waiting_room_full");
    let token = "token-of-other-0123456789";
    let small = [
        busy.gateway.chat("a:other0").by(token).spawn(),
        busy.gateway.chat("a:other1").by(token).spawn(),
    ];
    for _ in 0..2 {
        let out = greedy.pop().unwrap().await.unwrap();
        out.assert_error(429, "waiting_room_full");
        assert!(out.retry_after_ms() > 0);
    }
    // Two each: that is fair.
    let third = busy.gateway.chat("a:other2").by(token).send().await;
    third.assert_error(429, "waiting_room_full");
    assert_eq!(busy.gateway.health("/waiting").await, 4);
    busy.gate.open();
    for task in greedy.into_iter().chain(small) {
        assert_eq!(task.await.unwrap().status, 200);
    }
    let mut models = busy.a.models();
    assert_eq!(models[..3], ["first", "normal0", "normal1"]);
    models.sort();
    assert_eq!(models, ["first", "normal0", "normal1", "other0", "other1"]);
}

#[tokio::test]
async fn a_lower_class_gives_way_to_a_higher_one_and_never_the_other_way() {
    let busy = Busy::new().await;
    let mut waiting = Vec::new();
    for (n, client) in ["low", "normal", "high", "high"].into_iter().enumerate() {
        waiting.push(busy.comes(client, n, n as i64 + 1).await);
    }
    let high = busy
        .gateway
        .chat("a:high4")
        .by("token-of-high-0123456789")
        .spawn();
    waiting
        .remove(0)
        .await
        .unwrap()
        .assert_error(429, "waiting_room_full");
    let low = busy
        .gateway
        .chat("a:low5")
        .by("token-of-low-0123456789")
        .send()
        .await;
    low.assert_error(429, "waiting_room_full");
    busy.gate.open();
    for task in waiting.into_iter().chain([high]) {
        assert_eq!(task.await.unwrap().status, 200);
    }
    assert_eq!(
        busy.a.models(),
        ["first", "high2", "high3", "high4", "normal1"]
    );
}
