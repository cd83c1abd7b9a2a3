//! The state of keys, upstreams, actors and the configuration, as metrics tell it.

use serde_json::json;

use super::{after, metrics};
use crate::admin::TWO_KEYS;
use crate::admin::side::Side;
use crate::support::{At, Behaviour, Gate, Match, ScriptedUpstream, until};

async fn two() -> (ScriptedUpstream, ScriptedUpstream, Side) {
    let a = ScriptedUpstream::start().await;
    let b = ScriptedUpstream::start().await;
    let side = Side::start(TWO_KEYS, &[("a", &a), ("b", &b)]).await;
    (a, b, side)
}

#[tokio::test]
async fn keys_that_are_out_are_told_with_the_time_that_is_left() {
    let (a, b, side) = two().await;
    a.on(
        Match::any(),
        [
            Behaviour::rate_limited().header("retry-after", "40"),
            Behaviour::error(401, "invalid_api_key", "no such key"),
        ],
    );
    b.on(Match::any(), [Behaviour::fails(500)]);
    side.gateway.chat("smart").send().await;
    let told = after(&side, 1.0).await;
    assert_eq!(
        told.sum("pointsman_upstream_usable_keys", &[("upstream", "a:m")]),
        0.0
    );
    assert_eq!(
        told.sum("pointsman_upstream_keys", &[("upstream", "a:m")]),
        2.0
    );
    let left = told.sum("pointsman_key_cooldown_seconds", &[("key", "a#1")]);
    assert!((30.0..=40.0).contains(&left), "{left}");
    let invalid = [("key", "a#2"), ("state", "invalid")];
    assert_eq!(told.sum("pointsman_key_state", &invalid), 1.0);
    // One state at a time.
    assert_eq!(told.sum("pointsman_key_state", &[]), 3.0);
    let open = [("upstream", "b:mb"), ("state", "open")];
    assert_eq!(told.sum("pointsman_breaker_state", &open), 1.0);
    assert_eq!(
        told.sum("pointsman_upstream_usable_keys", &[("upstream", "b:mb")]),
        0.0
    );
    for event in ["key_cooling", "key_invalid", "breaker_opened"] {
        assert_eq!(
            told.sum("pointsman_events_total", &[("event", event)]),
            1.0,
            "{event}"
        );
    }

    side.post("/admin/v1/keys/a%232/release", "").send().await;
    let told = metrics(&side).await;
    assert_eq!(
        told.sum("pointsman_upstream_usable_keys", &[("upstream", "a:m")]),
        1.0
    );
    assert!(told.samples("pointsman_key_state", &invalid).is_empty());
}

#[tokio::test]
async fn what_is_under_way_is_counted_while_it_is() {
    let (a, _b, side) = two().await;
    let gate = Gate::new();
    a.on(
        Match::any(),
        [Behaviour::says("x").gate(At::BeforeHead, &gate)],
    );
    let call = side.gateway.chat("a").spawn();
    a.wait_for(1).await;
    let told = metrics(&side).await;
    assert_eq!(told.sum("pointsman_requests_in_flight", &[]), 1.0);
    assert_eq!(told.sum("pointsman_key_in_flight", &[("key", "a#1")]), 1.0);
    gate.open();
    call.await.unwrap();
    let told = after(&side, 1.0).await;
    assert_eq!(told.sum("pointsman_key_in_flight", &[]), 0.0);
    // Every message was handled, and none is counted twice.
    let empty = async || metrics(&side).await.sum("pointsman_mailbox_depth", &[]) == 0.0;
    until("empty mailboxes", empty).await;
    assert_eq!(
        told.values("pointsman_mailbox_depth", "actor"),
        [
            "key a#1",
            "key a#2",
            "key b#1",
            "provider a",
            "provider b",
            "router"
        ]
    );
    let up = told.sum("pointsman_actor_state", &[("state", "up")]);
    assert_eq!(up, 7.0);
}

#[tokio::test]
async fn a_bad_file_is_seen_and_so_is_its_mending() {
    let (a, b, side) = two().await;
    let reload = async || side.post("/admin/v1/reload", "").send().await.status;
    let before = metrics(&side).await;
    let stamp = "pointsman_config_last_reload_success_timestamp_seconds";
    assert_eq!(
        before.sum("pointsman_config_last_reload_successful", &[]),
        1.0
    );

    side.write("llm: {providers: []", &[]);
    assert_eq!(reload().await, 422);
    let told = metrics(&side).await;
    assert_eq!(
        told.sum("pointsman_config_last_reload_successful", &[]),
        0.0
    );
    assert_eq!(told.sum("pointsman_config_generation", &[]), 0.0);
    assert_eq!(told.sum(stamp, &[]), before.sum(stamp, &[]));
    let refused = [("trigger", "admin"), ("result", "failure")];
    assert_eq!(told.sum("pointsman_config_reloads_total", &refused), 1.0);

    // Another one, in which a provider is gone: nothing is told of it any more.
    let yaml = "llm: {providers: [{name: b, base_url: <b>, model: mb, api_key: kb}]}";
    side.write(yaml, &[("a", &a), ("b", &b)]);
    assert_eq!(reload().await, 200);
    side.is("/providers/0/name", json!("b")).await;
    let told = metrics(&side).await;
    assert_eq!(
        told.sum("pointsman_config_last_reload_successful", &[]),
        1.0
    );
    assert!(told.sum("pointsman_config_generation", &[]) >= 1.0);
    assert!(told.sum(stamp, &[]) >= before.sum(stamp, &[]));
    assert_eq!(told.values("pointsman_key_state", "key"), ["b#1"]);
    // Counts go on under the new configuration.
    side.gateway.chat("b").send().await;
    let told = after(&side, 1.0).await;
    assert_eq!(
        told.sum("pointsman_attempts_total", &[("upstream", "b:mb")]),
        1.0
    );
}
