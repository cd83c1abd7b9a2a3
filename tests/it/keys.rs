//! `pointsman keys test`: which keys the providers take, told without showing one.

use std::process::Output;

use serde_json::Value;

use crate::support::gateway::{Place, filled, run};
use crate::support::temp::TempDir;
use crate::support::terminal::Term;
use crate::support::{At, Behaviour, Gate, Match, Refusing, ScriptedUpstream};

const SETUP: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_keys: [k1, k2, k3, k4]}
    - {name: away, base_url: <away>, model: m, api_keys: [k5, k6, k7, k8]}
    - {name: local, base_url: <open>, model: m}
";
const LIST: &str = r#"{"object": "list", "data": [{"id": "one"}, {"id": "two"}]}"#;

/// A provider that knows its keys.
async fn provider() -> ScriptedUpstream {
    let a = ScriptedUpstream::start().await;
    let path = || Match::path("/v1/models");
    a.on(path(), [Behaviour::error(401, "invalid_api_key", "who?")]);
    a.on(path().and_key("k1"), [Behaviour::json(200, LIST)]);
    a.on(path().and_key("k3"), [Behaviour::rate_limited()]);
    a.on(
        path().and_key("k4"),
        [Behaviour::error(402, "payment_required", "pay")],
    );
    a
}

async fn tested(yaml: &str, a: &ScriptedUpstream, arguments: &[&str]) -> Output {
    let dir = TempDir::new();
    let (away, open) = (Refusing::new(), ScriptedUpstream::start().await);
    open.on(Match::path("/v1/models"), [Behaviour::json(200, LIST)]);
    let places: [(&str, &dyn Place); 3] = [("a", a), ("away", &away), ("open", &open)];
    dir.write("p.yaml", &filled(yaml, &places));
    let all = [&["keys", "test", "--config", "p.yaml"], arguments].concat();
    run(dir.path(), &all, &[]).await
}

/// Status, code and notes of each key, by its name.
fn rows(output: &Output) -> Vec<(String, String, Value, String)> {
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let keys = json["keys"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rows = keys.iter().map(|key| {
        (
            text(&key["id"]),
            text(&key["status"]),
            key["http"].clone(),
            text(&key["note"]),
        )
    });
    rows.collect()
}

#[tokio::test]
async fn each_key_has_its_own_end_and_no_completion_is_asked_for() {
    let a = provider().await;
    let output = tested(SETUP, &a, &["a", "away", "--json"]).await;
    assert_eq!(output.status.code(), Some(1), "one is invalid");
    let rows = rows(&output);
    let ends: Vec<(&str, &str, Option<i64>)> = rows
        .iter()
        .map(|(id, status, http, _)| (id.as_str(), status.as_str(), http.as_i64()))
        .collect();
    let expected = [
        ("a#1", "ok", Some(200)),
        ("a#2", "invalid", Some(401)),
        ("a#3", "rate_limited", Some(429)),
        ("a#4", "no_credit", Some(402)),
        ("away#1", "unreachable", None),
        ("away#2", "unreachable", None),
        ("away#3", "unreachable", None),
        ("away#4", "unreachable", None),
    ];
    assert_eq!(ends, expected);
    assert!(rows[6].3.starts_with("not tried"), "{}", rows[6].3);
    let asked = a.requests();
    assert!(asked.iter().all(|call| call.path == "/v1/models"));
    assert_eq!(asked.len(), 5, "each key, and once without any");
}

#[tokio::test]
async fn people_get_a_table_with_masked_keys() {
    let a = provider().await;
    let output = tested(SETUP, &a, &[]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        "PROVIDER  KEY",
        "STATUS",
        "who?",
        "none needed",
        "p.yaml llm.providers[0].api_keys[1]",
        "9 keys: 2 ok, 1 rate_limited, 1 no_credit, 1 invalid, 4 unreachable\n",
    ] {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
    assert!(output.stderr.is_empty(), "nobody watches");
}

#[tokio::test]
async fn a_list_that_everyone_gets_proves_nothing_and_one_token_does() {
    let a = ScriptedUpstream::start().await;
    a.on(Match::path("/v1/models"), [Behaviour::json(200, LIST)]);
    let chat = || Match::path("/v1/chat/completions");
    a.on(chat(), [Behaviour::error(401, "invalid_api_key", "no")]);
    a.on(chat().and_key("k1"), [Behaviour::says("h")]);
    let yaml = "llm: {providers: [{name: a, base_url: <a>, api_keys: [k1, k2]}]}\n";
    let free = tested(yaml, &a, &["--json"]).await;
    let status = |output: &Output| {
        let all = rows(output).into_iter().map(|(_, status, ..)| status);
        all.collect::<Vec<_>>()
    };
    assert_eq!(status(&free), ["unproven", "unproven"]);
    assert_eq!(free.status.code(), Some(0));
    assert!(a.requests().iter().all(|call| call.method == "GET"));
    let live = tested(yaml, &a, &["--json", "--live"]).await;
    assert_eq!(status(&live), ["ok", "invalid"]);
    assert_eq!(live.status.code(), Some(1));
    let asked = a.requests();
    let paid: Vec<Value> = asked
        .iter()
        .filter(|call| call.method == "POST")
        .map(|call| call.json())
        .collect();
    assert_eq!(paid.len(), 2);
    let first = (&paid[0]["model"], &paid[0]["max_tokens"]);
    assert_eq!(first, (&Value::from("one"), &Value::from(1)));
}

#[tokio::test]
async fn an_account_is_asked_where_the_provider_has_a_call_for_it() {
    let a = ScriptedUpstream::start().await;
    let account = || Match::path("/v1/auth/key");
    let left = |dollars: &str| {
        let body = format!(r#"{{"data": {{"limit_remaining": {dollars}}}}}"#);
        Behaviour::json(200, &body)
    };
    a.on(account().and_key("k1"), [left("2.5")]);
    a.on(account().and_key("k2"), [left("0")]);
    a.on(
        account().and_key("k3"),
        [Behaviour::error(
            401,
            "",
            "the key sk-planted-k3 is not known",
        )],
    );
    a.on(Match::path("/v1/models"), [Behaviour::json(200, LIST)]);
    let yaml = "llm: {providers: [{name: openrouter, base_url: <a>, api_keys: [k1, k2, k3]}]}\n";
    let output = tested(yaml, &a, &["--json"]).await;
    let rows = rows(&output);
    let ends: Vec<(&str, &str)> = rows
        .iter()
        .map(|(_, status, _, note)| (status.as_str(), note.as_str()))
        .collect();
    assert_eq!(ends[0], ("ok", "$2.50 left"));
    assert_eq!(ends[1], ("no_credit", "$0.00 left"));
    assert_eq!(ends[2].0, "invalid", "and its words hide the key");
}

#[tokio::test]
async fn a_provider_that_is_not_configured_is_named_with_what_was_meant() {
    let a = provider().await;
    let output = tested(SETUP, &a, &["awya"]).await;
    assert_eq!(output.status.code(), Some(64));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("did you mean `away`?"), "{said}");
    assert_eq!(a.count(), 0);
}

#[tokio::test]
async fn one_key_at_a_time_unless_more_are_asked_for() {
    let a = provider().await;
    let many: Vec<String> = (0..40).map(|at| format!("m{at}")).collect();
    let path = || Match::path("/v1/models");
    for key in &many {
        let late = Behaviour::json(200, LIST).late(crate::support::ms(20));
        a.on(path().and_key(key), [late]);
    }
    let keys = many.join(", ");
    let yaml = format!("llm: {{providers: [{{name: a, base_url: <a>, api_keys: [{keys}]}}]}}\n");
    for (arguments, connections) in [
        (&["--json"][..], 1),
        (&["--json", "--per-provider", "4"], 4),
    ] {
        let before = a.connections();
        let output = tested(&yaml, &a, arguments).await;
        let rows = rows(&output);
        assert_eq!(rows.len(), 40);
        assert!(
            rows.iter().all(|(_, status, ..)| status == "ok"),
            "{rows:?}"
        );
        let made = a.connections() - before;
        assert!(made <= connections, "{made} connections");
    }
}

#[tokio::test]
async fn a_terminal_has_a_bar_while_keys_are_tested_and_nothing_else_has() {
    const BAR: &str = " of 2";
    const KEYS: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_keys: [k1, k2]}
";
    let a = ScriptedUpstream::start().await;
    let gates = [Gate::new(), Gate::new()];
    let path = || Match::path("/v1/models");
    let list = || Behaviour::json(200, LIST);
    for (key, gate) in ["k1", "k2"].into_iter().zip(&gates) {
        a.on(path().and_key(key), [list().gate(At::BeforeHead, gate)]);
    }
    let dir = TempDir::new();
    let file = dir.write("p.yaml", &filled(KEYS, &[("a", &a)]));
    let arguments = format!("keys test --config {}", file.display());
    let term = Term::start(&arguments, &[]);
    for (count, gate) in gates.iter().enumerate() {
        term.shows(&format!("{count}{BAR}")).await;
        gate.open();
    }
    term.shows("2 keys: 2 unproven").await;
    let shown = term.text();
    assert!(!shown.contains(BAR), "the bar is gone: {shown}");
    assert!(shown.contains("PROVIDER"), "{shown}");
    assert_eq!(term.ended().await.0, "0");
    a.on(path(), [list()]);
    for redirected in ["--json >report", "2>errors"] {
        let term = Term::start(&format!("{arguments} {redirected}"), &[]);
        term.shows("over").await;
        assert!(!term.got(BAR), "{redirected}");
        assert_eq!(term.ended().await.0, "0");
    }
    let piped = run(dir.path(), &["keys", "test", "--config", "p.yaml"], &[]).await;
    assert!(piped.stderr.is_empty(), "{:?}", piped.stderr);
}
