//! Which key comes next.

use crate::support::client::tally;
use crate::support::{At, Behaviour, Gate, Gateway, Match, ScriptedUpstream};

fn three_keys(rotation: &str) -> String {
    format!(
        "
llm:
  providers:
    - {{name: a, base_url: <a>, model: m, api_keys: [k1, k2, k3], key_rotation: {rotation}, cooldown: {{default: 150ms}}}}
"
    )
}

async fn asked(gateway: &Gateway, target: &str, times: usize) {
    for _ in 0..times {
        assert_eq!(gateway.chat(target).send().await.status, 200);
    }
}

#[tokio::test]
async fn round_robin_is_the_default_and_takes_one_step_per_request() {
    let a = ScriptedUpstream::start().await;
    let yaml = three_keys("round_robin").replace("key_rotation: round_robin, ", "");
    let gateway = Gateway::start(&yaml, &[("a", &a)]).await;
    asked(&gateway, "a", 6).await;
    assert_eq!(a.keys(), ["k1", "k2", "k3", "k1", "k2", "k3"]);
}

#[tokio::test]
async fn the_turn_is_the_providers_whatever_model_is_asked_for() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(&three_keys("round_robin"), &[("a", &a)]).await;
    for target in ["a", "a:x", "a:y", "a"] {
        asked(&gateway, target, 1).await;
    }
    assert_eq!(a.keys(), ["k1", "k2", "k3", "k1"]);
    assert_eq!(a.models(), ["m", "x", "y", "m"]);
}

#[tokio::test]
async fn sticky_stays_with_a_key_until_it_is_refused_and_then_with_the_next() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(&three_keys("sticky"), &[("a", &a)]).await;
    asked(&gateway, "a", 2).await;
    a.on(
        Match::key("k1"),
        [Behaviour::rate_limited(), Behaviour::says("ok")],
    );
    asked(&gateway, "a", 3).await;
    assert_eq!(a.keys(), ["k1", "k1", "k1", "k2", "k2", "k2"]);
}

#[tokio::test]
async fn sequential_returns_to_the_first_key_as_soon_as_it_is_ready() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(
        &three_keys("sequential").replace("150ms", "800ms"),
        &[("a", &a)],
    )
    .await;
    a.on(
        Match::key("k1"),
        [Behaviour::rate_limited(), Behaviour::says("back")],
    );
    asked(&gateway, "a", 2).await;
    assert_eq!(a.keys(), ["k1", "k2", "k2"]);
    crate::support::until("the first key's return", async || {
        gateway.chat("a").send().await.says() == "back"
    })
    .await;
    let keys = a.keys();
    assert_eq!(tally(&keys).get("k3"), None, "{keys:?}");
    assert_eq!(keys.last().unwrap(), "k1");
}

const ACCOUNTS: &str = "
llm:
  providers:
    - name: a
      base_url: <a>
      model: m
      key_rotation: affinity
      cooldown: {default: 150ms}
      api_keys:
        - {key: sk-planted-k1, account: x}
        - {key: sk-planted-k2, account: x}
        - {key: sk-planted-k3, account: y}
        - sk-planted-k4
";

#[tokio::test]
async fn a_conversation_stays_with_its_key_and_comes_home() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(ACCOUNTS, &[("a", &a)]).await;
    let talk = async |name: &str| {
        let answer = gateway.chat("a").header("x-session-id", name);
        assert_eq!(answer.send().await.status, 200);
        a.keys().last().unwrap().clone()
    };
    let mut homes = Vec::new();
    for n in 0..24 {
        let name = format!("s{n}");
        let home = talk(&name).await;
        assert_eq!(talk(&name).await, home);
        homes.push((home, name));
    }
    for key in ["k1", "k2", "k3", "k4"] {
        assert!(homes.iter().any(|(home, _)| home == key), "{homes:?}");
    }
    // A key that is out hands its conversations to the other of its account, and has them back.
    let (_, name) = homes.iter().find(|(home, _)| home == "k1").unwrap();
    a.on(
        Match::key("k1"),
        [Behaviour::rate_limited(), Behaviour::says("back")],
    );
    assert_eq!(talk(name).await, "k2");
    crate::support::until("the conversation's return", async || {
        talk(name).await == "k1"
    })
    .await;
}

#[tokio::test]
async fn least_in_flight_takes_the_idlest_key() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(&three_keys("least_in_flight"), &[("a", &a)]).await;
    let gate = Gate::new();
    a.on(
        Match::any(),
        [Behaviour::says("ok").gate(At::BeforeHead, &gate)],
    );
    let mut running = Vec::new();
    for n in 1..=3 {
        running.push(gateway.chat("a").spawn());
        a.wait_for(n).await;
    }
    let mut keys = a.keys();
    keys.sort();
    assert_eq!(keys, ["k1", "k2", "k3"]);
    // One key has nothing to do: it is taken however often the turn comes to the others.
    a.on(Match::key("k2"), [Behaviour::says("idle")]);
    gate.open();
    for task in running {
        assert_eq!(task.await.unwrap().status, 200);
    }
    let shut = Gate::new();
    for key in ["k1", "k3"] {
        a.on(
            Match::key(key),
            [Behaviour::says("busy").gate(At::BeforeHead, &shut)],
        );
    }
    let mut busy = Vec::new();
    let mut idle = 0;
    while busy.len() + idle < 12 {
        let before = a.count();
        let task = gateway.chat("a").spawn();
        let requests = a.wait_for(before + 1).await;
        if requests[before].key.as_deref() == Some("k2") {
            assert_eq!(task.await.unwrap().says(), "idle");
            idle += 1;
        } else {
            busy.push(task);
        }
    }
    // In turn it would be a third. A key whose answer is just on its way back may still count as busy.
    assert!(idle > busy.len(), "{:?}", a.keys());
    shut.open();
}

#[tokio::test]
async fn two_keys_under_a_virtual_provider_alternate() {
    let a = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_keys: [k1, k2]}
  virtual:
    - {name: inner, upstreams: [{name: a}]}
    - {name: outer, upstreams: [{name: inner}]}
";
    let gateway = Gateway::start(yaml, &[("a", &a)]).await;
    asked(&gateway, "outer", 4).await;
    assert_eq!(a.keys(), ["k1", "k2", "k1", "k2"]);
}

#[tokio::test]
async fn two_models_of_one_provider_in_one_chain_keep_their_models() {
    let a = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_keys: [k1], retry: {same_upstream: 0}}
  virtual:
    - {name: v, upstreams: [{name: \"a:first\"}, {name: \"a:second\"}]}
";
    let gateway = Gateway::start(yaml, &[("a", &a)]).await;
    asked(&gateway, "v", 1).await;
    a.on(
        Match::model("first"),
        [Behaviour::fails(500), Behaviour::says("ok")],
    );
    asked(&gateway, "v", 2).await;
    assert_eq!(a.models(), ["first", "first", "second", "first"]);
}

#[tokio::test]
async fn a_pool_of_models_is_tried_in_its_order() {
    let a = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, models: [one, two, three], api_keys: [k1], retry: {same_upstream: 0}}
";
    let gateway = Gateway::start(yaml, &[("a", &a)]).await;
    a.on(Match::model("one"), [Behaviour::fails(500)]);
    a.on(Match::model("two"), [Behaviour::fails(503)]);
    asked(&gateway, "a", 1).await;
    assert_eq!(a.models(), ["one", "two", "three"]);
}

#[tokio::test]
async fn many_requests_at_once_spread_evenly_over_the_keys() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(&three_keys("round_robin"), &[("a", &a)]).await;
    let tasks: Vec<_> = (0..60).map(|_| gateway.chat("a").spawn()).collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().status, 200);
    }
    let keys = a.keys();
    assert!(
        tally(&keys).values().all(|count| *count == 20),
        "{:?}",
        tally(&keys)
    );
}
