//! The process as the admin listener shows and steers it: events, log level, drain.

use reqwest::Method;
use serde_json::{Value, json};

use super::side::Side;
use super::{TWO_KEYS, two_keys};
use crate::support::{At, Behaviour, Gate, Match, ScriptedUpstream};

/// The events of a stream: name and data.
fn events(text: &str) -> Vec<(String, Value)> {
    let blocks = text.split("\n\n");
    let field = |block: &str, name: &str| {
        let found = block.lines().find_map(|line| line.strip_prefix(name));
        found.map(str::to_owned)
    };
    blocks
        .filter_map(|block| {
            let data = serde_json::from_str(&field(block, "data: ")?).unwrap();
            Some((field(block, "event: ")?, data))
        })
        .collect()
}

#[tokio::test]
async fn the_stream_of_events_tells_what_the_log_tells_and_goes_on_where_it_was_cut() {
    let a = ScriptedUpstream::start().await;
    a.on(Match::key("k1"), [Behaviour::rate_limited()]);
    let b = ScriptedUpstream::playing([Behaviour::fails(500)]).await;
    let side = Side::start(TWO_KEYS, &[("a", &a), ("b", &b)]).await;
    let mut stream = side.get("/admin/v1/events").stream().await;
    assert_eq!(stream.header("content-type"), "text/event-stream");
    stream.until(": listening").await;
    side.gateway.chat("a").send().await;
    side.gateway.chat("b").send().await;
    side.gateway.signal("HUP");
    stream.until("event: reloaded").await;
    stream.until("\"trigger\"").await;
    let seen = events(&stream.seen_text());
    let names: Vec<&str> = seen.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["key_cooling", "breaker_opened", "reloaded"]);
    let cooling = &seen[0].1;
    assert_eq!(
        (&cooling["key"], &cooling["model"]),
        (&json!("a#1"), &json!("m"))
    );
    assert_eq!(
        (&cooling["type"], &cooling["reason"]),
        (&json!("key_cooling"), &json!("rate_limited"))
    );
    let line: Value = serde_json::from_str(&side.gateway.logged("key cooling").await).unwrap();
    assert_eq!(
        line["for_seconds"].as_f64(),
        cooling["for_seconds"].as_f64()
    );
    for field in ["key", "model", "reason"] {
        assert_eq!(line[field], cooling[field], "{field}");
    }
    drop(stream);
    side.post("/admin/v1/keys/a%231/release", "").send().await;
    let id = seen[1].1["id"].as_str().unwrap();
    let again = side.get("/admin/v1/events").header("last-event-id", id);
    let mut again = again.stream().await;
    again.until("key_released").await;
    again.until("operator").await;
    let names: Vec<String> = events(&again.seen_text())
        .into_iter()
        .map(|it| it.0)
        .collect();
    assert_eq!(names, ["reloaded", "key_released"]);
    // Of an earlier process: all that is kept, after a word that some may be missing.
    let other = side.get("/admin/v1/events").header("last-event-id", "1-1");
    let mut other = other.stream().await;
    other.until("key_released").await;
    assert!(other.seen_text().contains("event: lagged"));
    assert!(other.seen_text().contains("event: key_cooling"));
}

#[tokio::test]
async fn who_reads_slowly_loses_events_and_is_told() {
    let (_a, _b, side) = two_keys().await;
    let first = side.get("/admin/v1/events").stream().await;
    drop(first);
    for n in 0..1100 {
        let verb = if n % 2 == 0 { "hold" } else { "release" };
        let path = format!("/admin/v1/keys/a%231/{verb}");
        assert_eq!(side.post(&path, "").send().await.status, 200);
    }
    let latest = side.get("/admin/v1/events").stream().await;
    drop(latest);
    // The id of an event long gone, of this process.
    let mut probe = side.get("/admin/v1/events").stream().await;
    probe.until("id: ").await;
    let text = probe.seen_text();
    let id = text
        .lines()
        .find_map(|line| line.strip_prefix("id: "))
        .unwrap();
    let (epoch, _) = id.split_once('-').unwrap();
    let old = format!("{epoch}-1");
    let mut stream = side
        .get("/admin/v1/events")
        .header("last-event-id", &old)
        .stream()
        .await;
    stream.until("event: lagged").await;
    stream.until(&format!("id: {id}")).await;
    let seen = events(&stream.seen_text());
    let missed = seen[0].1["missed"].as_u64().unwrap();
    assert!((76..=1100).contains(&missed), "{missed}");
}

#[tokio::test]
async fn the_log_level_changes_at_once() {
    let side = Side::start("llm: {providers: [{name: echo}]}", &[]).await;
    assert_eq!(side.state("/process/log_level").await, "info");
    let put = |level: &str| {
        let body = json!({"level": level}).to_string();
        side.change(Method::PUT, "/admin/v1/log-level", &body)
    };
    let requests = || {
        let logs = side.gateway.logs();
        logs.iter()
            .filter(|line| line.contains("\"message\":\"request\""))
            .count()
    };
    for bad in ["loud", "", "pointsman=loud", "["] {
        let answer = put(bad).send().await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "invalid_request"),
            "{bad}"
        );
    }
    side.gateway.chat("echo:x").send().await;
    side.gateway.logged("\"message\":\"request\"").await;
    let answer = put("error,pointsman::telemetry=warn").send().await;
    assert_eq!(answer.json()["level"], "error,pointsman::telemetry=warn");
    // Told although it is quiet from now on.
    side.gateway
        .logged("\"log_level\":\"error,pointsman::telemetry=warn\"")
        .await;
    side.gateway.chat("echo:x").send().await;
    assert_eq!(put("info").send().await.status, 200);
    side.gateway.logged("\"log_level\":\"info\"").await;
    assert_eq!(requests(), 1);
    side.gateway.chat("echo:x").send().await;
    crate::support::until("the line", async || requests() == 2).await;
    // The file's level is taken over by a reload once it changes there.
    let yaml = "log: {format: json, level: warn}\nllm: {providers: [{name: echo}]}";
    side.write(yaml, &[]);
    assert_eq!(side.post("/admin/v1/reload", "").send().await.status, 200);
    assert_eq!(side.state("/process/log_level").await, "warn");
}

#[tokio::test]
async fn drain_ends_the_process_in_order_and_a_signal_after_it_does_not_hurry() {
    let gate = Gate::new();
    let a = ScriptedUpstream::playing([Behaviour::says("late").gate(At::BeforeHead, &gate)]).await;
    let mut side = Side::start(TWO_KEYS, &[("a", &a), ("b", &a)]).await;
    let mut stream = side.get("/admin/v1/events").stream().await;
    stream.until(": listening").await;
    let slow = side.gateway.chat("a").spawn();
    a.wait_for(1).await;
    for _ in 0..2 {
        let answer = side.post("/admin/v1/drain", "").send().await;
        assert_eq!(
            (answer.status, answer.json()),
            (202, json!({"status": "draining"}))
        );
    }
    stream.until("drain_closed").await;
    // While it ends it can be watched.
    assert_eq!(side.get("/health/live").send().await.status, 200);
    assert_eq!(side.get("/health/ready").send().await.status, 503);
    let state = side.get("/admin/v1/state").send().await.json();
    assert_eq!(
        (
            &state["process"]["draining"],
            &state["process"]["in_flight"]
        ),
        (&json!(true), &json!(1))
    );
    let answer = side.post("/admin/v1/reload", "").send().await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "draining"));
    side.gateway.signal("TERM");
    gate.open();
    assert_eq!(slow.await.unwrap().says(), "late");
    let text = stream.text().await;
    let names: Vec<String> = events(&text).into_iter().map(|it| it.0).collect();
    assert_eq!(names, ["draining", "drain_closed", "stopped"]);
    assert_eq!(side.gateway.wait_exit().await.code(), Some(0));
}
