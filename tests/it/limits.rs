//! What bounds a request: attempts, refusals, time, places, and the caller's patience.

use std::time::Instant;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UnixStream};

use crate::support::gateway::filled;
use crate::support::raw::{kept, rest};
use crate::support::temp::TempDir;
use crate::support::wait::bounded;
use crate::support::{
    At, Behaviour, Gate, Gateway, Match, ScriptedUpstream, chat, chat_stream, ms, until,
};

/// A chain `v` of five providers `p1`… at one address, with extra settings.
fn five(extra: &str) -> String {
    let mut yaml = String::from("llm:\n  providers:\n");
    for n in 1..=5 {
        yaml.push_str(&format!(
            "    - {{name: p{n}, base_url: <a>, model: m{n}, api_key: k{n}, retry: {{same_upstream: 0}}}}\n"
        ));
    }
    yaml.push_str("  virtual:\n    - {name: v, upstreams: [p1, p2, p3, p4, p5]}\n");
    yaml.push_str(extra);
    yaml
}

fn one(extra: &str) -> String {
    format!("llm:\n  providers:\n    - {{name: a, base_url: <a>, model: m, api_key: k1}}\n{extra}")
}

#[tokio::test]
async fn a_request_makes_no_more_attempts_than_allowed() {
    let a = ScriptedUpstream::playing([Behaviour::fails(500)]).await;
    let gateway = Gateway::start(&five("dispatch: {max_attempts: 3}"), &[("a", &a)]).await;
    let answer = gateway.chat("v").send().await;
    answer.assert_error(502, "upstreams_exhausted");
    assert_eq!(answer.attempts().len(), 3);
    assert_eq!(a.models(), ["m1", "m2", "m3"]);
}

#[tokio::test]
async fn refused_keys_do_not_use_up_the_attempts() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(&five("dispatch: {max_attempts: 1}"), &[("a", &a)]).await;
    for key in ["k1", "k2", "k3", "k4"] {
        a.on(Match::key(key), [Behaviour::rate_limited()]);
    }
    let answer = gateway.chat("v").send().await;
    assert_eq!(
        (answer.status, answer.header("x-pointsman-attempts")),
        (200, "5")
    );
}

#[tokio::test]
async fn many_cold_keys_leave_the_fallback_its_chance() {
    let a =
        ScriptedUpstream::playing([Behaviour::rate_limited().header("retry-after", "30")]).await;
    let b = ScriptedUpstream::playing([Behaviour::says("b")]).await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_keys: [k1, k2, k3, k4, k5, k6, k7, k8, k9]}
    - {name: b, base_url: <b>, model: m, api_key: kb}
  virtual:
    - {name: v, upstreams: [a, b]}
dispatch: {max_key_refusals: 4}
";
    let gateway = Gateway::start(yaml, &[("a", &a), ("b", &b)]).await;
    let answer = gateway.chat("v").send().await;
    assert_eq!((answer.status, answer.says().as_str()), (200, "b"));
    assert!(a.count() <= 4, "{:?}", a.keys());
}

#[tokio::test]
async fn every_key_of_an_upstream_is_tried_before_the_chain_moves_on() {
    let a = ScriptedUpstream::playing([Behaviour::rate_limited()]).await;
    let b = ScriptedUpstream::start().await;
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_keys: [k1, k2, k3, k4]}
    - {name: b, base_url: <b>, model: m, api_key: kb}
  virtual:
    - {name: v, upstreams: [a, b]}
";
    let gateway = Gateway::start(yaml, &[("a", &a), ("b", &b)]).await;
    a.on(Match::key("k4"), [Behaviour::says("the last one")]);
    assert_eq!(gateway.chat("v").send().await.says(), "the last one");
    assert_eq!(a.keys(), ["k1", "k2", "k3", "k4"], "each once");
    assert_eq!(b.count(), 0);
}

#[tokio::test]
async fn a_request_out_of_time_is_a_504_and_its_attempt_is_cancelled() {
    let a = ScriptedUpstream::playing([Behaviour::says("late").hang(At::BeforeHead)]).await;
    let gateway = Gateway::start(&one("dispatch: {deadline: 10m}"), &[("a", &a)]).await;
    for (name, value) in [
        ("x-pointsman-deadline", "250ms"),
        ("x-pointsman-deadline", "0.25"),
        ("x-stainless-read-timeout", "0.25"),
    ] {
        let started = Instant::now();
        let answer = gateway.chat("a").header(name, value).send().await;
        answer.assert_error(504, "deadline_exceeded");
        let took = started.elapsed();
        assert!(took >= ms(250), "{name}: {took:?}");
    }
    a.cancelled().await;
    let wrong = gateway
        .chat("a")
        .header("x-pointsman-deadline", "soon")
        .send()
        .await;
    wrong.assert_error(400, "invalid_request");
}

#[tokio::test]
async fn the_configured_deadline_holds_over_all_attempts_and_for_longer_wishes() {
    let a = ScriptedUpstream::playing([Behaviour::fails(500).late(ms(120))]).await;
    let gateway = Gateway::start(&five("dispatch: {deadline: 300ms}"), &[("a", &a)]).await;
    let started = Instant::now();
    let answer = gateway
        .chat("v")
        .header("x-pointsman-deadline", "60s")
        .send()
        .await;
    answer.assert_error(504, "deadline_exceeded");
    assert!(started.elapsed() >= ms(300));
    assert!(a.count() < 5, "{}", a.count());
}

#[tokio::test]
async fn a_deadline_counts_while_waiting_for_a_key_too() {
    let a =
        ScriptedUpstream::playing([Behaviour::rate_limited().header("retry-after", "120")]).await;
    let gateway = Gateway::start(&one("dispatch: {await_cooldown: 5m}"), &[("a", &a)]).await;
    let answer = gateway
        .chat("a")
        .header("x-pointsman-deadline", "2s")
        .send()
        .await;
    assert!([429, 504].contains(&answer.status), "{}", answer.text());
    assert_eq!(a.count(), 1);
}

#[tokio::test]
async fn a_deadline_in_the_middle_of_a_stream_ends_it_with_an_error_event() {
    let a =
        ScriptedUpstream::playing([Behaviour::streams(&["x", "y"]).hang(At::AfterPart(2))]).await;
    let gateway = Gateway::start(&one(""), &[("a", &a)]).await;
    let call = gateway
        .chat_stream("a")
        .header("x-pointsman-deadline", "1s");
    let text = call.stream().await.text().await;
    assert_eq!(
        crate::support::client::errors(&text),
        ["deadline_exceeded"],
        "{text}"
    );
    assert!(text.contains('x') && !text.contains("[DONE]"));
    a.cancelled().await;
}

#[tokio::test]
async fn more_requests_at_once_than_allowed_are_turned_away_at_once() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(&one("server: {max_in_flight: 2}"), &[("a", &a)]).await;
    let gate = Gate::new();
    a.on(
        Match::any(),
        [Behaviour::says("ok").gate(At::BeforeHead, &gate)],
    );
    let inside = [gateway.chat("a").spawn(), gateway.chat("a").spawn()];
    a.wait_for(2).await;
    let answer = gateway.chat("a").send().await;
    answer.assert_error(503, "overloaded");
    assert!(answer.retry_after_ms() > 0);
    assert_eq!(
        gateway.get("/health/ready").send().await.status,
        200,
        "health has its own door"
    );
    gate.open();
    for task in inside {
        assert_eq!(task.await.unwrap().status, 200);
    }
    until("places to be free", async || {
        gateway.chat("a").send().await.status == 200
    })
    .await;
}

#[tokio::test]
async fn a_streams_place_is_taken_until_its_end() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(&one("server: {max_in_flight: 1}"), &[("a", &a)]).await;
    let gate = Gate::new();
    a.on(
        Match::any(),
        [Behaviour::streams(&["x", "y"]).gate(At::AfterPart(2), &gate)],
    );
    let mut stream = gateway.chat_stream("a").stream().await;
    stream.until("x").await;
    gateway
        .chat("a")
        .send()
        .await
        .assert_error(503, "overloaded");
    gate.open();
    stream.text().await;
    a.on(Match::any(), [Behaviour::says("ok")]);
    until("the place to be free", async || {
        gateway.chat("a").send().await.status == 200
    })
    .await;
}

const ONE_AT_A_TIME: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k1, limits: {max_in_flight: 1}}
";

/// A request that holds the only key until `gate` opens.
async fn holding(
    gateway: &Gateway,
    a: &ScriptedUpstream,
    gate: &Gate,
) -> tokio::task::JoinHandle<crate::support::Answer> {
    a.on(
        Match::any(),
        [
            Behaviour::says("held").gate(At::BeforeHead, gate),
            Behaviour::says("ok"),
        ],
    );
    let before = a.count();
    let task = gateway.chat("a").spawn();
    a.wait_for(before + 1).await;
    task
}

#[tokio::test]
async fn a_full_waiting_room_is_told_at_once() {
    let a = ScriptedUpstream::start().await;
    let yaml = format!("{ONE_AT_A_TIME}dispatch: {{max_waiting: 1}}\n");
    let gateway = Gateway::start(&yaml, &[("a", &a)]).await;
    let gate = Gate::new();
    let holder = holding(&gateway, &a, &gate).await;
    let waiter = gateway.chat("a").spawn();
    until("one to wait", async || {
        gateway.health("/waiting").await == 1
    })
    .await;
    // While both are held.
    let refused = gateway.chat("a").send().await;
    refused.assert_error(429, "waiting_room_full");
    assert_eq!(a.count(), 1);
    gate.open();
    for task in [holder, waiter] {
        assert_eq!(task.await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn of_many_refusals_few_are_logged_and_the_rest_is_counted() {
    let a = ScriptedUpstream::start().await;
    let yaml = format!("{ONE_AT_A_TIME}server: {{max_in_flight: 1}}\n");
    let gateway = Gateway::start(&yaml, &[("a", &a)]).await;
    let gate = Gate::new();
    let holder = holding(&gateway, &a, &gate).await;
    let started = Instant::now();
    for _ in 0..200 {
        let answer = gateway.chat("a").send().await;
        answer.assert_error(503, "overloaded");
    }
    let seconds = started.elapsed().as_secs() + 2;
    gate.open();
    assert_eq!(holder.await.unwrap().status, 200);
    let lines = gateway.finish().await;
    let logged = lines
        .iter()
        .filter(|line| line.contains("\"outcome\":\"overloaded\""))
        .count();
    assert!(logged >= 10 && logged as u64 <= 10 * seconds, "{logged}");
    let counted: u64 = lines
        .iter()
        .filter(|line| line.contains("refusals not logged"))
        .filter_map(|line| serde_json::from_str::<Value>(line).ok()?["overloaded"].as_u64())
        .sum();
    assert_eq!(logged as u64 + counted, 200);
}

#[tokio::test]
async fn a_waiter_whose_caller_leaves_gives_its_place_up() {
    let a = ScriptedUpstream::start().await;
    let yaml = format!("{ONE_AT_A_TIME}dispatch: {{max_waiting: 1}}\n");
    let gateway = Gateway::start(&yaml, &[("a", &a)]).await;
    let gate = Gate::new();
    let holder = holding(&gateway, &a, &gate).await;
    let leaver = gateway.chat("a").spawn();
    until("it to wait", async || gateway.health("/waiting").await == 1).await;
    leaver.abort();
    until("it to be gone", async || {
        gateway.health("/waiting").await == 0
    })
    .await;
    let stayer = gateway.chat("a").spawn();
    until("the next to wait", async || {
        gateway.health("/waiting").await == 1
    })
    .await;
    gate.open();
    assert_eq!(holder.await.unwrap().says(), "held");
    assert_eq!(stayer.await.unwrap().says(), "ok");
    assert_eq!(a.count(), 2, "nothing was sent for the one who left");
}

#[tokio::test]
async fn a_wait_that_proves_vain_ends_with_its_budget() {
    let a = ScriptedUpstream::start().await;
    let yaml = format!("{ONE_AT_A_TIME}dispatch: {{await_cooldown: 5m}}\n");
    let gateway = Gateway::start(&yaml, &[("a", &a)]).await;
    let gate = Gate::new();
    let holder = holding(&gateway, &a, &gate).await;
    let started = Instant::now();
    let answer = gateway.chat("a").awaits("200ms").send().await;
    answer.assert_error(429, "upstreams_rate_limited");
    let took = started.elapsed();
    assert!(took >= ms(200), "{took:?}");
    let at_once = gateway.chat("a").awaits("0").send().await;
    at_once.assert_error(429, "cooling_down");
    gate.open();
    assert_eq!(holder.await.unwrap().status, 200);
}

#[tokio::test]
async fn a_caller_who_hangs_up_cancels_the_upstreams_request_within_a_second() {
    for at in [At::BeforeHead, At::AfterHead] {
        let a = ScriptedUpstream::playing([Behaviour::says("x").hang(at)]).await;
        let gateway = Gateway::start(&one(""), &[("a", &a)]).await;
        let task = gateway.chat("a").spawn();
        a.wait_for(1).await;
        task.abort();
        let left = tokio::time::timeout(ms(1000), a.cancelled()).await;
        assert!(left.is_ok(), "{at:?}");
        gateway.logged("caller_left").await;
    }
}

#[tokio::test]
async fn a_stream_that_nobody_takes_in_and_that_never_began_is_told_of_as_late() {
    let a = ScriptedUpstream::playing([Behaviour::says("x").hang(At::BeforeHead)]).await;
    let dir = TempDir::new();
    let path = dir.path().join("p.sock");
    let yaml = one("server: {stream_keepalive: 1ms}");
    dir.write("gateway.yaml", &filled(&yaml, &[("a", &a)]));
    let listen = format!("unix:{}", path.display());
    let arguments = ["--config", "gateway.yaml", "--listen", &listen];
    let gateway = Gateway::start_in(dir, &arguments, &[]).await;
    // So small a socket that even comments fill it.
    let mut caller = UnixStream::connect(&path).await.unwrap();
    let asked = "host: localhost\r\nx-pointsman-deadline: 2s";
    let request =
        kept("/v1/chat/completions", &chat_stream("a")).replacen("host: localhost", asked, 1);
    caller.write_all(request.as_bytes()).await.unwrap();
    let line = gateway.logged("\"stream\":true").await;
    assert!(line.contains("\"outcome\":\"deadline_exceeded\""), "{line}");
    let sent = rest(&mut caller).await;
    assert!(
        sent.contains("keep-alive") && !sent.contains("data:"),
        "{sent}"
    );
}

#[tokio::test]
async fn a_caller_who_hangs_up_behind_an_empty_line_is_noticed_too() {
    let a = ScriptedUpstream::playing([Behaviour::says("x").hang(At::BeforeHead)]).await;
    let gateway = Gateway::start(&one(""), &[("a", &a)]).await;
    let mut caller = TcpStream::connect(gateway.address()).await.unwrap();
    // Some clients end every body with a line; it lies unread until the answer is there.
    let request = kept("/v1/chat/completions", &chat("a")) + "\r\n";
    caller.write_all(request.as_bytes()).await.unwrap();
    a.wait_for(1).await;
    drop(caller);
    bounded("the end of the upstream's request", a.cancelled()).await;
    gateway.logged("caller_left").await;
}

#[tokio::test]
async fn a_caller_who_left_leaves_the_key_free_and_nobody_blamed() {
    let a = ScriptedUpstream::start().await;
    let gateway = Gateway::start(ONE_AT_A_TIME, &[("a", &a)]).await;
    let gate = Gate::new();
    for _ in 0..4 {
        let leaver = holding(&gateway, &a, &gate).await;
        leaver.abort();
        assert_eq!(gateway.chat("a").awaits("5s").send().await.says(), "ok");
    }
}

/// Many callers, upstreams of all tempers: every request ends once, and what answers say they cost is what
/// the upstreams saw.
#[tokio::test]
async fn in_a_storm_every_request_ends_and_every_attempt_is_accounted_for() {
    let mut upstreams = Vec::new();
    let mut yaml = String::from("llm:\n  providers:\n");
    for n in 0..6 {
        let fine = || Behaviour::says("ok");
        let short = || Behaviour::rate_limited().header("retry-after-ms", "30");
        let script = match n {
            0 => vec![short(), fine(), fine(), short(), fine()],
            1 => vec![
                Behaviour::fails(500),
                fine(),
                fine(),
                Behaviour::fails(503),
                fine(),
            ],
            2 => vec![
                short(),
                short(),
                // Before its head it would be made once more where the connection was a kept one.
                Behaviour::says("").reset(At::AfterHead),
                fine(),
            ],
            3 => vec![Behaviour::body(200, "text/html", "<html>"), fine()],
            4 => vec![fine().late(ms(20)), short(), fine().late(ms(5))],
            _ => vec![fine()],
        };
        // Scripts repeat their last behaviour: play each many times over.
        let script: Vec<Behaviour> = script.iter().cycle().take(200).cloned().collect();
        upstreams.push(ScriptedUpstream::playing(script).await);
        yaml.push_str(&format!(
            "    - {{name: p{n}, base_url: <p{n}>, model: m, api_keys: [x{n}, y{n}], limits: {{max_in_flight: 4}}, \
             retry: {{waits: [5ms]}}, cooldown: {{default: 20ms}}, circuit_breaker: {{recovery_time: 50ms}}}}\n"
        ));
    }
    yaml.push_str("  virtual:\n    - {name: v, upstreams: [p0, p1, p2, p3, p4, p5]}\n");
    yaml.push_str("    - {name: w, upstreams: [p3, p2, p4]}\n");
    let names = ["p0", "p1", "p2", "p3", "p4", "p5"];
    let places: Vec<(&str, &dyn crate::support::gateway::Place)> = names
        .iter()
        .zip(&upstreams)
        .map(|(name, upstream)| (*name, upstream as _))
        .collect();
    let gateway = Gateway::start(&yaml, &places).await;
    let targets = ["v", "w", "p0", "p1", "p4", "v"];
    let tasks: Vec<_> = (0..300)
        .map(|n| gateway.chat(targets[n % 6]).spawn())
        .collect();
    let mut told = 0;
    for task in tasks {
        let answer = task.await.unwrap();
        told += match answer.header("x-pointsman-attempts") {
            "" => answer.attempts().len(),
            count => count.parse().unwrap(),
        };
        assert!(
            [200, 429, 502].contains(&answer.status),
            "{}",
            answer.text()
        );
    }
    let seen: usize = upstreams.iter().map(ScriptedUpstream::count).sum();
    assert_eq!(told, seen);
    assert_eq!(gateway.health("/in_flight").await, 0);
    assert_eq!(gateway.health("/waiting").await, 0);
}
