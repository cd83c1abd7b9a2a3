//! Reload on request, and many of them under load.

use std::cell::Cell;
use std::time::{Duration, Instant};

use futures_util::future::join;
use serde_json::{Value, json};

use super::TWO_KEYS;
use super::side::Side;
use crate::support::gateway::Place;
use crate::support::{Behaviour, ScriptedUpstream, ms};

#[tokio::test]
async fn a_reload_says_what_it_brought_and_what_takes_a_restart() {
    let a = ScriptedUpstream::start().await;
    let places: &[(&str, &dyn Place)] = &[("a", &a), ("b", &a)];
    let side = Side::start(TWO_KEYS, places).await;
    let answer = side.post("/admin/v1/reload", "").send().await;
    assert_eq!(answer.json(), json!({"generation": 1, "needs_restart": []}));
    let more = TWO_KEYS.replace("k2]", "k2, k3]");
    let moved =
        format!("server: {{listen: '127.0.0.1:1', admin_token: a-token-that-is-long}}\n{more}");
    // The command line comes first: nothing moves.
    side.write(&moved, places);
    let answer = side.post("/admin/v1/reload", "{}").send().await;
    assert_eq!(answer.json(), json!({"generation": 2, "needs_restart": []}));
    let token = ("authorization", "Bearer a-token-that-is-long");
    let state = side
        .get("/admin/v1/state")
        .header(token.0, token.1)
        .send()
        .await
        .json();
    assert_eq!(state["providers"][0]["keys"][2]["id"], "a#3");
    let last = &state["process"]["last_reload"];
    assert_eq!(
        (&last["trigger"], &last["result"]),
        (&json!("admin"), &json!("done"))
    );
    let limits = format!("server: {{max_connections: 7}}\n{more}");
    side.write(&limits, places);
    let call = side.post("/admin/v1/reload", "").header(token.0, token.1);
    let answer = call.send().await.json();
    assert!(
        answer["needs_restart"][0]
            .as_str()
            .unwrap()
            .contains("limits"),
        "{answer}"
    );
}

#[tokio::test]
async fn mistakes_change_nothing_and_are_told_one_by_one() {
    let a = ScriptedUpstream::start().await;
    let places: &[(&str, &dyn Place)] = &[("a", &a), ("b", &a)];
    let side = Side::start(TWO_KEYS, places).await;
    side.write(
        &TWO_KEYS
            .replace("rpm: 100", "rpmm: 100")
            .replace("upstreams: [a, b]", "upstreams: [a, z]"),
        places,
    );
    let answer = side.post("/admin/v1/reload", "").send().await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (422, "invalid_configuration")
    );
    let mistakes = answer.json()["error"]["mistakes"].clone();
    assert_eq!(mistakes.as_array().unwrap().len(), 2, "{mistakes}");
    assert!(
        mistakes[0]["place"].as_str().unwrap().contains("rpmm"),
        "{mistakes}"
    );
    let process = side.state("/process").await;
    assert_eq!(
        (&process["generation"], &process["last_reload"]["result"]),
        (&json!(0), &json!("refused"))
    );
    assert_eq!(process["last_reload"]["mistakes"], mistakes);
    assert_eq!(side.gateway.chat("a").send().await.status, 200);
    side.gateway.logged("configuration not reloaded").await;
}

#[tokio::test]
async fn a_key_in_a_wrong_place_is_told_to_nobody() {
    let a = ScriptedUpstream::start().await;
    let places: &[(&str, &dyn Place)] = &[("a", &a), ("b", &a)];
    let side = Side::start(TWO_KEYS, places).await;
    let misplaced = [
        ("api_key_env", "sk-live-0123456789abcdefghij"),
        ("api_key_env", "my-own-0123456789ghij"),
        ("api_key_file", "my-own-0123456789ghij"),
        ("sk-live-0123456789abcdefghij", "last"),
    ];
    for (field, key) in misplaced {
        let provider = format!("  providers:\n    - {{name: groq, model: m, {field}: {key}}}\n");
        side.write(&TWO_KEYS.replace("  providers:\n", &provider), places);
        let answer = side.post("/admin/v1/reload", "").send().await;
        assert_eq!(answer.status, 422, "{}", answer.text());
        let state = side.state("/process/last_reload").await.to_string();
        for told in [answer.text(), &state] {
            assert!(!told.contains("012345"), "{field}: {told}");
            assert!(told.contains("****ghij"), "{field}: {told}");
        }
    }
    let events = side.get("/admin/v1/events").header("last-event-id", "0-0");
    let mut events = events.stream().await;
    events.until("].****ghij").await;
    let events = events.seen_text();
    let lines = side.gateway.finish().await.join("\n");
    for told in [events, lines] {
        assert!(!told.contains("012345"), "{told}");
        assert!(
            told.matches("****ghij").count() >= misplaced.len(),
            "{told}"
        );
    }
}

fn changing(turn: usize) -> String {
    match turn % 4 {
        0 | 1 => TWO_KEYS.to_owned(),
        2 => TWO_KEYS
            .replace("k2]", "k2, k3]")
            .replace("key_rotation: sequential", "key_rotation: round_robin"),
        _ => TWO_KEYS
            .replace("k1, k2", "k2, k4")
            .replace("rpm: 100", "rpm: 100000"),
    }
}

struct Load {
    sent: usize,
    failed: Vec<String>,
    seconds: f64,
}

/// `reloads` of them while `rate` requests a second come in, evenly, whether earlier ones are answered or not.
async fn under_load(reloads: usize, rate: u32, pause: Duration) -> Load {
    let upstream = ScriptedUpstream::playing([Behaviour::says("ok").late(ms(5))]).await;
    let places: &[(&str, &dyn Place)] = &[("a", &upstream), ("b", &upstream)];
    let text = |turn: usize| {
        changing(turn)
            .replace("rpm: 100,", "rpm: 1000000,")
            .replace("rpm: 100}", "rpm: 1000000}")
    };
    let side = Side::start(&text(0), places).await;
    let (done, began) = (Cell::new(false), Instant::now());
    let load = async {
        let mut calls = Vec::new();
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
        while !done.get() {
            ticks.tick().await;
            let target = if calls.len() % 2 == 0 { "smart" } else { "a" };
            calls.push(side.gateway.chat(target).spawn());
        }
        let sent = calls.len();
        let mut failed = Vec::new();
        for call in calls {
            let answer = call.await.unwrap();
            if answer.status != 200 {
                failed.push(format!("{} {}", answer.status, answer.text()));
            }
        }
        Load {
            sent,
            failed,
            seconds: began.elapsed().as_secs_f64(),
        }
    };
    let changes = async {
        for turn in 1..=reloads {
            side.write(&text(turn), places);
            let answer = side.post("/admin/v1/reload", "").send().await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            tokio::time::sleep(pause).await;
        }
        done.set(true);
    };
    let (load, ()) = join(load, changes).await;
    let generation = side.state("/process/generation").await;
    assert!(
        generation
            .as_u64()
            .is_some_and(|it| it >= u64::try_from(reloads).unwrap()),
        "{generation}"
    );
    assert_ne!(side.state("/process/last_reload").await, Value::Null);
    load
}

#[tokio::test]
async fn reloads_on_request_under_load_fail_nothing() {
    let load = under_load(20, 150, ms(20)).await;
    assert!(load.failed.is_empty(), "{:?}", load.failed);
    assert!(load.sent > 20, "{}", load.sent);
}

/// The figure of the documentation: `cargo test --test it hundred_reloads -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "a measurement of about 20 s"]
#[expect(clippy::print_stdout, reason = "the figure is what it is for")]
async fn hundred_reloads_at_500_requests_a_second() {
    let load = under_load(100, 500, ms(200)).await;
    let Load {
        sent,
        failed,
        seconds,
    } = load;
    let rate = f64::from(u32::try_from(sent).unwrap()) / seconds;
    println!(
        "100 reloads, {sent} requests in {seconds:.1} s ({rate:.0} per second), {} failed",
        failed.len()
    );
    assert!(failed.is_empty(), "{failed:?}");
}
