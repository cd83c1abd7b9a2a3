//! `pointsman top` in a terminal of its own: what it shows, what its keys do, and that it leaves the terminal as it was.

use serde_json::json;

use crate::admin::side::Side;
use crate::support::gateway::run;
use crate::support::temp::TempDir;
use crate::support::terminal::Term;
use crate::support::{Behaviour, Match, ScriptedUpstream};

const TWO: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_keys: [k1, k2], key_rotation: sequential}
    - {name: b, base_url: <a>, model: mb, api_key: kb}
";

/// `top` of that process.
fn top(side: &Side, env: &[(&str, &str)]) -> Term {
    Term::start(&format!("top --admin {}", side.address), env)
}

#[tokio::test]
async fn keys_are_seen_quarantined_released_and_the_terminal_is_left_as_it_was() {
    let a = ScriptedUpstream::start().await;
    let limited = Behaviour::rate_limited().header("retry-after", "100");
    a.on(Match::key("k2"), [limited]);
    let side = Side::start(TWO, &[("a", &a)]).await;
    let mut term = top(&side, &[]);
    term.shows("? help").await;
    assert!(term.is_full_screen());
    let text = term.text();
    for expected in ["pointsman 0.", "generation 0", "a#2", "b#1", "usable"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    // a, its upstream, its first key.
    term.press("jjQ").await;
    term.shows("hold a#1 until it is released?").await;
    term.press("n").await;
    term.hides("until it is released?").await;
    assert_eq!(side.state("/providers/0/keys/0/state").await, "usable");
    term.press("Q").await;
    term.shows("hold a#1 until it is released?").await;
    term.press("y").await;
    term.shows("held until").await;
    side.is("/providers/0/keys/0/state", json!("held")).await;
    // The other key is asked now, and cools.
    let refused = side.gateway.chat("a").awaits("0").send().await;
    assert_eq!(refused.status, 429, "{}", refused.text());
    term.shows("cooling for m").await;
    term.press("r").await;
    term.shows("release a#1?").await;
    term.press("y").await;
    term.shows("a#1 is released").await;
    side.is("/providers/0/keys/0/state", json!("usable")).await;
    term.press("q").await;
    assert_eq!(term.ended().await.0, "0");
}

#[tokio::test]
async fn help_filter_and_another_size() {
    let a = ScriptedUpstream::start().await;
    let side = Side::start(TWO, &[("a", &a)]).await;
    let mut term = top(&side, &[]);
    term.shows("? help").await;
    term.press("?").await;
    term.shows("hold the selected key").await;
    term.press("\x1b").await;
    term.hides("hold the selected key").await;
    term.press("/a#2\r").await;
    term.hides("b#1").await;
    term.shows("a#2").await;
    term.resize(40, 120).await;
    term.is("the footer in the last of 40 lines", |screen| {
        let last = screen.rows(0, 120).nth(39).unwrap_or_default();
        last.contains("? help")
    })
    .await;
    term.resize(10, 40).await;
    term.is("the frame in ten lines", |screen| {
        screen
            .rows(0, 40)
            .nth(2)
            .unwrap_or_default()
            .contains("providers")
    })
    .await;
    // Ctrl-C is a key here.
    term.press("\x03").await;
    assert_eq!(term.ended().await.0, "0");
}

#[tokio::test]
async fn a_signal_ends_it_in_order_and_colours_can_be_off() {
    let a = ScriptedUpstream::start().await;
    let side = Side::start(TWO, &[("a", &a)]).await;
    let mut coloured = Vec::new();
    for env in [&[][..], &[("NO_COLOR", "1")]] {
        let term = top(&side, env);
        term.shows("? help").await;
        coloured.push(term.is_coloured());
        // To all of the terminal's processes, of which the shell stays.
        let kill = format!("kill -s TERM -- -{}", term.id());
        let status = std::process::Command::new("sh")
            .args(["-c", &kill])
            .status();
        assert!(status.unwrap().success());
        assert_eq!(term.ended().await.0, "0");
    }
    assert_eq!(coloured, [true, false]);
}

#[tokio::test]
async fn it_ends_with_its_terminal() {
    let a = ScriptedUpstream::start().await;
    let side = Side::start(TWO, &[("a", &a)]).await;
    let binary = env!("CARGO_BIN_EXE_pointsman");
    let top = format!("{binary} top --admin {}", side.address);
    for script in [
        // The terminal's own process: it gets a signal.
        format!("exec {top}"),
        // One of another session, which gets none. The shell stays until it has ended.
        format!("trap '' HUP; setsid {top}; exit 0"),
    ] {
        let mut term = Term::run(&script, &[]);
        term.shows("? help").await;
        // Half of a key: what reads it waits for the rest.
        term.press("\x1b[").await;
        term.hang_up().await;
    }
}

#[tokio::test]
async fn a_process_that_ends_is_told_of_and_one_that_comes_back_is_shown_again() {
    let a = ScriptedUpstream::start().await;
    let side = Side::start(TWO, &[("a", &a)]).await;
    let address = side.address.to_string();
    let mut term = top(&side, &[]);
    term.shows("? help").await;
    drop(side);
    term.shows("NOT ANSWERING").await;
    assert!(term.text().contains("b#1"), "what was known stays");
    let arguments = ["--admin-listen", &address];
    let _side = Side::start_with(TWO, &[("a", &a)], &arguments).await;
    term.hides("NOT ANSWERING").await;
    term.press("q").await;
    assert_eq!(term.ended().await.0, "0");
}

#[tokio::test]
async fn what_cannot_be_shown_is_said_without_a_screen() {
    let a = ScriptedUpstream::start().await;
    let text = format!("server: {{admin_token: sk-planted-top-admin-1}}\n{TWO}");
    let side = Side::start(&text, &[("a", &a)]).await;
    let term = top(&side, &[("POINTSMAN_ADMIN_TOKEN", "sk-planted-top-wrong")]);
    term.shows("wants a token").await;
    let (code, bytes) = term.ended().await;
    assert_eq!(code, "69");
    assert!(!String::from_utf8_lossy(&bytes).contains("\x1b[?1049h"));
    let mut term = top(
        &side,
        &[("POINTSMAN_ADMIN_TOKEN", "sk-planted-top-admin-1")],
    );
    term.shows("? help").await;
    term.press("q").await;
    assert_eq!(term.ended().await.0, "0");
    let dir = TempDir::new();
    let output = run(dir.path(), &["top"], &[]).await;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(70) && text.contains("needs a terminal"),
        "{text}"
    );
}

/// A process that answers as the description of the admin listener says, with what is made up here.
async fn made_up() -> ScriptedUpstream {
    let process = ScriptedUpstream::start().await;
    let key = json!({"id": "groq#1", "life": "up", "state": "usable", "in_flight": 0, "attempts": 3, "hold": null,
        "invalid": null, "cooling": [], "limits": {}, "learned": {"max_in_flight": null, "limits": []}});
    let state = json!({
        "process": {"version": "9.9.9", "uptime_seconds": 5.0, "generation": 4, "draining": true, "in_flight": 2},
        "router": {"waiting": 7},
        "providers": [{"name": "groq", "life": "up", "hold": null, "cooling": null, "upstreams": [], "keys": [key]}],
    });
    let point = json!({"at": "2026-11-21T16:00:00.000Z", "requests": 100, "failed": 1, "failovers": 0, "p50_ms": 20.0,
        "p95_ms": 333.0, "p99_ms": 400.0, "first_token_p50_ms": null, "first_token_p95_ms": null});
    let history = json!({"step_seconds": 5, "points": [point], "flows": []});
    // A caller chose the name of what it asked for.
    let request = json!({"number": 1, "id": "req_1", "at": "2026-11-21T16:01:02.345Z", "client": null,
        "operation": "chat/completions", "stream": false, "target": "smart\u{1b}[2J", "outcome": "answered", "status": 200,
        "upstream": "groq:m", "key": "groq#1", "attempts": 2, "total_ms": 812.4, "first_token_ms": null,
        "prompt_tokens": 1, "completion_tokens": 2, "trace_id": null});
    let attempt = json!({"upstream": "groq:m", "key": "groq#1", "attempt_reason": "first", "passed_over": [], "asked_ms": 0.1,
        "waited_ms": 0.0, "started_ms": 0.2, "first_byte_ms": 1.0, "first_token_ms": null, "ended_ms": 2.0,
        "outcome": "success", "status": 200, "detail": null});
    let mut whole = request.clone();
    whole["chain"] = json!(["groq:m", "spare:m"]);
    whole["tries"] = json!([attempt]);
    let requests = json!({"kept": 1, "latest": 1, "requests": [request]});
    for (path, body) in [
        ("/admin/v1/state", state),
        ("/admin/v1/history", history),
        ("/admin/v1/requests?limit=50", requests),
        ("/admin/v1/requests/req_1", whole),
    ] {
        process.on(Match::path(path), [Behaviour::json(200, &body.to_string())]);
    }
    process
}

#[tokio::test]
async fn requests_are_listed_and_one_is_shown_whole() {
    let process = made_up().await;
    let address = process.base_url();
    let address = address.trim_start_matches("http://").split('/').next();
    let mut term = Term::start(&format!("top --admin {}", address.unwrap()), &[]);
    term.shows("? help").await;
    let text = term.text();
    for expected in [
        "20.0 req/s",
        "waiting 7",
        "p95 333 ms",
        "draining",
        r"smart\u{1b}",
        "answered 200",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    term.press("\t\r").await;
    term.shows("chain: groq:m → spare:m").await;
    term.press("\x1b").await;
    term.hides("spare:m").await;
    term.press("q").await;
    assert_eq!(term.ended().await.0, "0");
}
