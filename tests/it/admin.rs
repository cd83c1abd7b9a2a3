//! The admin listener: what it shows, what it does, and whom it lets in.

mod additions;
mod doors;
mod page;
mod process;
mod programs;
mod reloads;
mod requests;
mod schema;
pub mod side;

use reqwest::Method;
use serde_json::{Value, json};

use self::side::Side;
use crate::support::{At, Behaviour, Match, ScriptedUpstream, until};

pub const TWO_KEYS: &str = "
llm:
  default_model: smart
  providers:
    - {name: a, base_url: <a>, model: m, api_keys: [k1, k2], limits: {rpm: 100}, key_rotation: sequential}
    - {name: b, base_url: <b>, model: mb, api_key: kb, circuit_breaker: {failure_threshold: 1}, retry: {same_upstream: 0}}
  virtual:
    - {name: smart, upstreams: [a, b]}
";

/// [`TWO_KEYS`] behind a gateway.
pub async fn two_keys() -> (ScriptedUpstream, ScriptedUpstream, Side) {
    let (a, b) = (
        ScriptedUpstream::start().await,
        ScriptedUpstream::start().await,
    );
    let side = Side::start(TWO_KEYS, &[("a", &a), ("b", &b)]).await;
    (a, b, side)
}

async fn served_by(side: &Side, target: &str) -> String {
    let answer = side.gateway.chat(target).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.header("x-pointsman-key").to_owned()
}

#[tokio::test]
async fn the_state_shows_keys_providers_chains_and_the_process() {
    let a = ScriptedUpstream::start().await;
    a.on(
        Match::key("k1"),
        [Behaviour::rate_limited().header("retry-after", "30")],
    );
    let b = ScriptedUpstream::playing([Behaviour::fails(500)]).await;
    let side = Side::start(TWO_KEYS, &[("a", &a), ("b", &b)]).await;
    assert_eq!(served_by(&side, "a").await, "a#2");
    side.gateway.chat("b").send().await;
    let seen = async || side.get("/admin/v1/state").send().await.json();
    // The actors publish what they know a moment after the answer.
    until("the breaker to be open", async || {
        seen().await["providers"][1]["upstreams"][0]["breaker"] == "open"
    })
    .await;
    let state = seen().await;
    let a = &state["providers"][0];
    assert_eq!(
        (&a["name"], &a["life"], &a["restarts"]),
        (&json!("a"), &json!("up"), &json!(0))
    );
    let key = &a["keys"][0];
    assert_eq!(
        (&key["id"], &key["state"]),
        (&json!("a#1"), &json!("usable"))
    );
    assert_eq!(
        (&key["attempts"], &key["in_flight"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(key["limits"]["rpm"], 100);
    let cooling = &key["cooling"][0];
    assert_eq!(
        (&cooling["model"], &cooling["reason"]),
        (&json!("m"), &json!("cooling"))
    );
    let left = cooling["until"]["seconds_left"].as_f64().unwrap();
    assert!((25.0..=30.0).contains(&left), "{left}");
    let upstream = &state["providers"][1]["upstreams"][0];
    assert_eq!(
        (&upstream["model"], &upstream["breaker"]),
        (&json!("mb"), &json!("open"))
    );
    assert_eq!(
        state["virtual"],
        json!([{
            "name": "smart",
            "upstreams": ["a:m", "b:mb"],
            "policy": "ordered",
            "members": [{"name": "a", "weight": 1}, {"name": "b", "weight": 1}],
        }])
    );
    assert_eq!(state["default"]["name"], "smart");
    assert_eq!(state["clients"], json!([]));
    assert_eq!(state["router"]["waiting"], 0);
    assert_eq!(state["process"]["pid"], side.gateway.pid());
    assert_eq!(state["process"]["last_reload"], Value::Null);
    assert!(state["process"]["started"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn clients_are_shown_without_their_tokens() {
    let a = ScriptedUpstream::start().await;
    let text = "
clients:
  - {name: web, token: sk-planted-web-token-1, rpm: 60, max_in_flight: 3}
  - {name: batch, tokens: [sk-planted-batch-tok-1, sk-planted-batch-tok-2], allow: [a], priority: low}
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k1}
";
    let side = Side::start(text, &[("a", &a)]).await;
    let clients = side.state("/clients").await;
    let limits = json!({"rpm": 60, "tpm": null, "max_in_flight": 3});
    let web = json!({"name": "web", "in_flight": 0, "priority": "normal", "allow": null, "limits": limits});
    assert_eq!(clients[1], web);
    assert_eq!(
        (&clients[0]["name"], &clients[0]["allow"]),
        (&json!("batch"), &json!(["a"]))
    );
    assert_eq!(clients.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_quarantined_key_is_out_at_once_and_a_release_brings_it_back() {
    let (_a, _b, side) = two_keys().await;
    assert_eq!(served_by(&side, "a").await, "a#1");
    // Twice is the same as once.
    for _ in 0..2 {
        let answer = side.post("/admin/v1/keys/a%231/hold", "").send().await;
        assert_eq!(
            (answer.status, &answer.json()["state"]),
            (200, &json!("held"))
        );
        assert_eq!(answer.json()["hold"], json!({"until": null}));
    }
    for _ in 0..3 {
        assert_eq!(served_by(&side, "a").await, "a#2");
    }
    // By the other route, and for a time.
    let path = "/admin/v1/providers/a/keys/2/hold";
    let answer = side.post(path, r#"{"for": "1h"}"#).send().await.json();
    assert!(answer["hold"]["until"]["seconds_left"].as_f64().unwrap() > 3500.0);
    assert_eq!(served_by(&side, "smart").await, "b#1");
    side.gateway
        .chat("a")
        .send()
        .await
        .assert_error(502, "no_usable_keys");
    let answer = side
        .post("/admin/v1/keys/a%231/release", "")
        .send()
        .await
        .json();
    assert_eq!(
        (&answer["state"], &answer["hold"]),
        (&json!("usable"), &Value::Null)
    );
    assert_eq!(served_by(&side, "smart").await, "a#1");
}

#[tokio::test]
async fn a_release_ends_what_upstreams_said_of_a_key() {
    for refusal in [
        Behaviour::rate_limited().header("retry-after", "600"),
        Behaviour::error(402, "insufficient_quota", "pay"),
        Behaviour::error(401, "invalid_api_key", "who"),
    ] {
        let (a, b) = (
            ScriptedUpstream::start().await,
            ScriptedUpstream::start().await,
        );
        a.on(Match::key("k1"), [refusal, Behaviour::says("again")]);
        let side = Side::start(TWO_KEYS, &[("a", &a), ("b", &b)]).await;
        assert_eq!(served_by(&side, "a").await, "a#2");
        assert_eq!(served_by(&side, "a").await, "a#2");
        let answer = side
            .post("/admin/v1/keys/a%231/release", "")
            .send()
            .await
            .json();
        assert_eq!(
            (&answer["state"], &answer["cooling"]),
            (&json!("usable"), &json!([]))
        );
        assert_eq!(answer["invalid"], Value::Null);
        assert_eq!(served_by(&side, "a").await, "a#1");
    }
}

#[tokio::test]
async fn a_cooldown_by_hand_ends_by_itself_and_waiting_requests_wait_for_it() {
    let (_a, _b, side) = two_keys().await;
    let body = r#"{"for": 0.4, "model": "m"}"#;
    let answer = side
        .post("/admin/v1/keys/b%231/cooldown", body)
        .send()
        .await
        .json();
    assert_eq!(answer["cooling"][0]["model"], "m");
    assert_eq!(served_by(&side, "b").await, "b#1", "of another model");
    let body = r#"{"for": "400ms"}"#;
    let answer = side
        .post("/admin/v1/keys/b%231/cooldown", body)
        .send()
        .await
        .json();
    assert_eq!(
        (&answer["state"], &answer["cooling"][0]["model"]),
        (&json!("cooling"), &Value::Null)
    );
    let refused = side.gateway.chat("b").awaits("0").send().await;
    refused.assert_error(429, "cooling_down");
    assert_eq!(served_by(&side, "b").await, "b#1");
    side.gateway.logged("key usable again").await;
    side.is("/providers/1/keys/0/state", json!("usable")).await;
}

#[tokio::test]
async fn a_release_wakes_those_who_wait() {
    let (_a, _b, side) = two_keys().await;
    side.post("/admin/v1/keys/b%231/cooldown", r#"{"for": "20s"}"#)
        .send()
        .await;
    let waiting = side.gateway.chat("b").spawn();
    side.is("/router/waiting", json!(1)).await;
    side.post("/admin/v1/keys/b%231/release", "").send().await;
    assert_eq!(waiting.await.unwrap().status, 200);
}

#[tokio::test]
async fn a_provider_is_taken_out_and_a_release_closes_its_breakers() {
    let a = ScriptedUpstream::start().await;
    let b = ScriptedUpstream::playing([Behaviour::fails(500), Behaviour::says("well")]).await;
    let side = Side::start(TWO_KEYS, &[("a", &a), ("b", &b)]).await;
    side.gateway.chat("b").send().await;
    side.is("/providers/1/upstreams/0/breaker", json!("open"))
        .await;
    let answer = side.post("/admin/v1/providers/b/release", "").send().await;
    assert_eq!(answer.json()["upstreams"][0]["breaker"], "closed");
    assert_eq!(side.gateway.chat("b").send().await.says(), "well");
    let answer = side
        .post("/admin/v1/providers/a/hold", r#"{"for": 60}"#)
        .send()
        .await;
    assert!(answer.json()["hold"]["until"]["at"].is_string());
    assert_eq!(served_by(&side, "smart").await, "b#1");
    assert_eq!(side.gateway.health("/upstreams/usable").await, 1);
    side.post("/admin/v1/providers/a/release", "").send().await;
    assert_eq!(served_by(&side, "smart").await, "a#1");
}

#[tokio::test]
async fn the_end_of_a_providers_quarantine_is_told() {
    let (_a, _b, side) = two_keys().await;
    let mut events = side.get("/admin/v1/events").stream().await;
    // The second one takes the first one's place, so only its end is one.
    for span in ["20s", "300ms"] {
        let body = format!(r#"{{"for": "{span}"}}"#);
        let path = "/admin/v1/providers/a/hold";
        assert_eq!(side.post(path, &body).send().await.status, 200);
    }
    events.until("event: provider_usable").await;
    side.gateway.logged("provider usable again").await;
    assert_eq!(side.state("/providers/0/hold").await, Value::Null);
    assert_eq!(served_by(&side, "smart").await, "a#1");
}

#[tokio::test]
async fn a_probe_that_is_under_way_is_shown() {
    let (a, b) = (
        ScriptedUpstream::start().await,
        ScriptedUpstream::start().await,
    );
    b.on(Match::any(), [Behaviour::fails(500)]);
    let yaml = TWO_KEYS.replace(
        "failure_threshold: 1",
        "failure_threshold: 1, recovery_time: 10ms",
    );
    let side = Side::start(&yaml, &[("a", &a), ("b", &b)]).await;
    side.gateway.chat("b").send().await;
    let upstream = "/providers/1/upstreams/0";
    side.is(&format!("{upstream}/breaker"), json!("half_open"))
        .await;
    assert_eq!(
        side.state(&format!("{upstream}/probe_since")).await,
        Value::Null,
        "the next request is the probe"
    );
    assert_eq!(side.gateway.health("/upstreams/usable").await, 2);
    b.on(Match::any(), [Behaviour::says("x").hang(At::BeforeHead)]);
    let probe = side.gateway.chat("b").spawn();
    b.wait_for(2).await;
    let shown = side.state(upstream).await;
    assert_eq!(shown["breaker"], "half_open");
    assert!(shown["probe_since"].as_str().unwrap().ends_with('Z'));
    assert_eq!(
        side.gateway.health("/upstreams/usable").await,
        1,
        "nobody else is let through"
    );
    probe.abort();
    side.is(&format!("{upstream}/probe_since"), Value::Null)
        .await;
    assert_eq!(side.gateway.health("/upstreams/usable").await, 2);
}

#[tokio::test]
async fn what_means_nothing_is_refused_and_changes_nothing() {
    let (_a, _b, side) = two_keys().await;
    for (path, body, status, code) in [
        ("keys/a%239/release", "", 404, "not_found"),
        ("keys/a%230/release", "", 404, "not_found"),
        ("keys/c%231/release", "", 404, "not_found"),
        ("keys/a/release", "", 404, "not_found"),
        ("keys/%ff/release", "", 400, "invalid_request"),
        ("providers/c/release", "", 404, "not_found"),
        ("providers/a/keys/x/release", "", 400, "invalid_request"),
        ("keys/a%231/cooldown", "", 400, "invalid_request"),
        (
            "keys/a%231/cooldown",
            r#"{"for": "soon"}"#,
            400,
            "invalid_request",
        ),
        (
            "keys/a%231/cooldown",
            r#"{"for": -1}"#,
            400,
            "invalid_request",
        ),
        (
            "keys/a%231/cooldown",
            r#"{"for": 1, "model": 7}"#,
            400,
            "invalid_request",
        ),
        (
            "keys/a%231/hold",
            r#"{"fro": "1h"}"#,
            400,
            "invalid_request",
        ),
        ("keys/a%231/hold", "[]", 400, "invalid_request"),
        ("keys/a%231/hold", "{", 400, "invalid_request"),
        ("nothing", "", 404, "not_found"),
        ("state", "", 405, "method_not_allowed"),
    ] {
        let answer = side.post(&format!("/admin/v1/{path}"), body).send().await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{path} {body}"
        );
    }
    assert_eq!(side.state("/providers/0/keys/0/state").await, "usable");
    let big = format!("{{\"for\": \"{}\"}}", "1".repeat(70_000));
    let answer = side.post("/admin/v1/keys/a%231/hold", &big).send().await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (413, "request_too_large")
    );
}

#[tokio::test]
async fn answers_are_as_described() {
    let (a, b) = (
        ScriptedUpstream::start().await,
        ScriptedUpstream::start().await,
    );
    a.on(Match::key("k1"), [Behaviour::rate_limited()]);
    let side = Side::start(TWO_KEYS, &[("a", &a), ("b", &b)]).await;
    side.gateway.chat("a").send().await;
    let document = side.get("/admin/v1/openapi.json").send().await.json();
    for (method, path, template, body) in [
        ("get", "/", "/", ""),
        ("get", "/health/live", "/health/live", ""),
        ("get", "/health/ready", "/health/ready", ""),
        (
            "post",
            "/admin/v1/keys/a%231/hold",
            "/admin/v1/keys/{id}/hold",
            r#"{"for": 9}"#,
        ),
        (
            "post",
            "/admin/v1/keys/a%232/cooldown",
            "/admin/v1/keys/{id}/cooldown",
            r#"{"for": 9}"#,
        ),
        ("get", "/admin/v1/state", "/admin/v1/state", ""),
        ("get", "/admin/v1/history", "/admin/v1/history", ""),
        ("post", "/admin/v1/explain", "/admin/v1/explain", ""),
        (
            "post",
            "/admin/v1/explain",
            "/admin/v1/explain",
            r#"{"target": "none"}"#,
        ),
        (
            "post",
            "/admin/v1/keys/a%231/release",
            "/admin/v1/keys/{id}/release",
            "",
        ),
        (
            "post",
            "/admin/v1/keys/x/release",
            "/admin/v1/keys/{id}/release",
            "",
        ),
        (
            "post",
            "/admin/v1/providers/a/release",
            "/admin/v1/providers/{provider}/release",
            "",
        ),
        (
            "put",
            "/admin/v1/log-level",
            "/admin/v1/log-level",
            r#"{"level": "info"}"#,
        ),
        (
            "put",
            "/admin/v1/log-level",
            "/admin/v1/log-level",
            r#"{"level": "loud"}"#,
        ),
        ("post", "/admin/v1/reload", "/admin/v1/reload", ""),
        ("get", "/admin/v1/state", "/admin/v1/state", ""),
        ("post", "/admin/v1/drain", "/admin/v1/drain", ""),
    ] {
        let answer = match method {
            "get" => side.get(path).send().await,
            method => {
                let method: Method = method.to_uppercase().parse().unwrap();
                side.change(method, path, body).send().await
            }
        };
        let response = &document["paths"][template][method]["responses"][answer.status.to_string()];
        let response = match response["$ref"].as_str() {
            Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
            None => response,
        };
        let schema = &response["content"]["application/json"]["schema"];
        assert!(
            schema.is_object(),
            "{method} {path}: {} is not described",
            answer.status
        );
        let wrong = schema::check(&document, schema, &answer.json(), path);
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
