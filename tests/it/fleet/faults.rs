//! A server that is frozen, gone, empty, or forbids scripts: requests notice nothing of it.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::admin::side::Side;
use crate::support::{Behaviour, Match, Refusing, until};

use super::proxy::Proxy;
use super::{World, YAML, ask, becomes, fleet, is_up, key, limited, nodes};

#[tokio::test]
async fn a_frozen_server_costs_no_request_time_and_changes_no_readiness() {
    let Some(world) = World::new(&[]).await else {
        return;
    };
    let all = world.processes(2).await;
    world.valkey.signal("STOP");
    world.upstream.on(Match::key("k1"), [limited("1")]);
    let slowest = slowest_of(&all, 20).await;
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    for side in &all {
        until("that to be noticed", async || !is_up(side).await).await;
        let ready = side.get("/health/ready").send().await;
        assert_eq!(ready.status, 200);
        assert_eq!(side.get("/health/live").send().await.status, 200);
    }
    all[0]
        .gateway
        .logged("the fleet's store can't be asked")
        .await;
    let slowest = slowest_of(&all, 20).await;
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    world.valkey.signal("CONT");
    for side in &all {
        until("it to be back", async || is_up(side).await).await;
    }
}

async fn slowest_of(all: &[Side], count: usize) -> Duration {
    let mut slowest = Duration::ZERO;
    for _ in 0..count {
        for side in all {
            let began = Instant::now();
            assert_eq!(ask(side, "p:m").await.status, 200);
            slowest = slowest.max(began.elapsed());
        }
    }
    slowest
}

#[tokio::test]
async fn what_a_process_finds_out_without_a_server_is_told_when_it_is_there() {
    let Some(mut world) = World::new(&[]).await else {
        return;
    };
    let all = world.processes(2).await;
    world.valkey.kill();
    for side in &all {
        until("it to be gone", async || !is_up(side).await).await;
    }
    world.upstream.on(Match::key("k1"), [limited("120")]);
    ask(&all[0], "p:m").await;
    becomes(&all[0], 0, "cooling").await;
    until("it to be kept", async || {
        fleet(&all[0]).await["unsent"] == 1
    })
    .await;
    assert_eq!(key(&all[1], 0).await, "usable");
    world.valkey.restart().await;
    becomes(&all[1], 0, "cooling").await;
}

#[tokio::test]
async fn a_server_that_comes_back_empty_gets_what_is_known_from_those_who_live() {
    let Some(mut world) = World::new(&[]).await else {
        return;
    };
    let mut all = world.processes(2).await;
    world.upstream.on(Match::key("k1"), [limited("120")]);
    ask(&all[0], "p:m").await;
    becomes(&all[1], 0, "cooling").await;
    world.valkey.kill();
    // Who found it out is gone too.
    drop(all.remove(0));
    world.valkey.restart().await;
    until("it to be back", async || {
        is_up(&all[0]).await && !world.valkey.names().await.is_empty()
    })
    .await;
    let later = world.process("p", "fleet.key").await;
    becomes(&later, 0, "cooling").await;
    until("both", async || nodes(&later).await == 2).await;
}

#[tokio::test]
async fn a_server_without_scripts_carries_facts_all_the_same() {
    let Some(world) = World::new(&["--rename-command", "EVAL", ""]).await else {
        return;
    };
    let all = world.processes(2).await;
    until("that to be told", async || {
        fleet(&all[0]).await["without_scripts"].is_string()
    })
    .await;
    world.upstream.on(Match::key("k1"), [limited("60")]);
    ask(&all[0], "p:m").await;
    becomes(&all[1], 0, "cooling").await;
}

/// Calls of a command, as the server counts them.
async fn calls(world: &World, command: &str) -> u64 {
    let said = world.valkey.says(&[b"INFO", b"commandstats"]).await;
    let text = String::from_utf8(said.concat()).unwrap();
    let start = format!("cmdstat_{command}:calls=");
    let count = text.lines().find_map(|line| line.strip_prefix(&start));
    let digits = count.and_then(|rest| rest.split(',').next());
    digits.map_or(0, |digits| digits.parse().unwrap())
}

#[tokio::test]
async fn scripts_go_over_once_and_again_to_a_server_that_has_forgotten_them() {
    let Some(world) = World::new(&[]).await else {
        return;
    };
    let yaml = YAML.replace("cooldown:", "limits: {rpm: 500}, cooldown:");
    let all = world.processes_with(&yaml, &world.valkey.url(), 2).await;
    until("scripts to be named", async || {
        ask(&all[0], "p:m").await;
        calls(&world, "evalsha").await > 20
    })
    .await;
    let whole = calls(&world, "eval").await;
    assert!(whole <= 8, "{whole}");
    world.valkey.says(&[b"SCRIPT", b"FLUSH"]).await;
    world.upstream.on(Match::key("k1"), [limited("60")]);
    until("the key to be refused", async || {
        ask(&all[0], "p:m").await;
        key(&all[0], 0).await == "cooling"
    })
    .await;
    becomes(&all[1], 0, "cooling").await;
    assert!(calls(&world, "eval").await > whole);
    let told = fleet(&all[0]).await;
    assert!(
        told["without_scripts"].is_null() && told["unsent"] == 0,
        "{told}"
    );
}

#[tokio::test]
async fn a_breaker_that_opened_elsewhere_is_tried_by_one_request() {
    let Some(world) = World::new(&[]).await else {
        return;
    };
    let all = world.processes(2).await;
    world.upstream.on(Match::any(), [Behaviour::fails(503)]);
    for _ in 0..3 {
        ask(&all[0], "p:m").await;
    }
    until("the hint", async || {
        let facts = fleet(&all[1]).await["facts"].clone();
        facts
            .as_array()
            .unwrap()
            .iter()
            .any(|it| it["kind"] == "breaker_open")
    })
    .await;
    world.upstream.on(Match::any(), [Behaviour::says("ok")]);
    // It is asked, not refused.
    assert_eq!(ask(&all[1], "p:m").await.status, 200);
}

#[tokio::test]
async fn each_part_of_a_parted_fleet_goes_on_and_afterwards_the_later_end_holds() {
    let Some(world) = World::new(&[]).await else {
        return;
    };
    let proxy = Proxy::to(world.valkey.port()).await;
    let mut all = vec![world.process("p", "fleet.key").await];
    for _ in 0..2 {
        all.push(
            world
                .process_with(YAML, &proxy.url(), "p", "fleet.key")
                .await,
        );
    }
    for side in &all {
        until("all to be there", async || nodes(side).await == 3).await;
    }
    let nowhere = Refusing::new();
    proxy.lead(nowhere.port());
    for side in &all[1..] {
        until("it to be cut off", async || !is_up(side).await).await;
    }
    // Each part finds out by itself, and is told of different ends.
    for (side, seconds) in [(&all[0], "40"), (&all[1], "400")] {
        world.upstream.on(Match::key("k1"), [limited(seconds)]);
        until("the key to be refused", async || {
            ask(side, "p:m").await;
            key(side, 0).await == "cooling"
        })
        .await;
    }
    assert_eq!(key(&all[2], 0).await, "usable", "nobody can tell it");
    assert_eq!(ask(&all[2], "p:m").await.status, 200);
    assert_eq!(all[2].get("/health/ready").send().await.status, 200);
    proxy.lead(world.valkey.port());
    for side in &all {
        until("the later end", async || {
            let cooling = side.state("/providers/0/keys/0/cooling").await;
            let left = cooling.pointer("/0/until/seconds_left");
            left.and_then(Value::as_f64)
                .is_some_and(|left| left > 300.0)
        })
        .await;
    }
}
