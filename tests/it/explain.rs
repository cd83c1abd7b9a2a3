//! `explain` tells the truth: in each situation it is asked first, then the request is sent, and both agree on where it
//! went, with which key, or with which code it was refused.

mod facts;

use std::time::Instant;

use serde_json::{Value, json};

use crate::admin::side::Side;
use crate::support::gateway::run;
use crate::support::temp::TempDir;
use crate::support::{Answer, At, Behaviour, Gate, Match, ScriptedUpstream, chat, until};

const TWO: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_keys: [k1, k2, k3], context_window: 1000, circuit_breaker: {failure_threshold: 1}, retry: {same_upstream: 0}}
    - {name: b, base_url: <b>, model: mb, api_keys: [kb1, kb2], key_rotation: sequential, context_window: 4000}
  virtual:
    - {name: smart, upstreams: [a, b]}
";

const FULL: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k1, limits: {max_in_flight: 1}}
";

struct Scene {
    a: ScriptedUpstream,
    side: Side,
    /// Of the client, where one has to identify.
    token: &'static str,
    question: Value,
    body: String,
    _b: ScriptedUpstream,
}

impl Scene {
    async fn new(yaml: &str, target: &str) -> Self {
        let (a, b) = (
            ScriptedUpstream::start().await,
            ScriptedUpstream::start().await,
        );
        let side = Side::start(yaml, &[("a", &a), ("b", &b)]).await;
        Self {
            a,
            side,
            token: "",
            question: json!({"target": target}),
            body: chat(target),
            _b: b,
        }
    }

    async fn explain(&self) -> Value {
        let question = self.question.to_string();
        let answer = self.side.post("/admin/v1/explain", &question).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    async fn order(&self, path: &str, body: &str) {
        let path = format!("/admin/v1/{path}");
        let answer = self.side.post(&path, body).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    async fn send(&self) -> Answer {
        let call = self.side.gateway.post_chat(self.body.clone());
        match self.token {
            "" => call.send().await,
            token => {
                let value = format!("Bearer {token}");
                call.header("authorization", &value).send().await
            }
        }
    }

    /// Asks, sends, and compares. What was told comes back as `code`, or as `upstream key`, behind `waits: ` if it had to.
    async fn agrees(&self) -> String {
        let told = self.explain().await;
        let asked = Instant::now();
        let answer = self.send().await;
        let seen = format!("{told:#}\n{} {}", answer.status, answer.text());
        let went = format!(
            "{} {}",
            answer.header("x-pointsman-upstream"),
            answer.header("x-pointsman-key")
        );
        match told["answer"].as_str().unwrap() {
            "goes_now" => {
                assert_eq!(told["would_wait_ms"], 0, "{seen}");
                assert_eq!(answer.header("x-pointsman-attempts"), "1", "{seen}");
                assert_eq!(went, chosen(&told), "{seen}");
                went
            }
            "waits" => {
                assert_eq!(answer.status, 200, "{seen}");
                if let Some(millis) = told["would_wait_ms"].as_f64() {
                    // It was asked a moment before the request came.
                    let took = asked.elapsed().as_secs_f64() * 1000.0;
                    assert!(took >= millis - 100.0, "{took}: {seen}");
                }
                format!("waits: {went}")
            }
            _ => {
                assert_eq!(answer.status, told["status"], "{seen}");
                assert_eq!(answer.code(), told["code"], "{seen}");
                assert_eq!(answer.header("x-pointsman-upstream"), "", "{seen}");
                let again = told["retry_after_ms"].as_f64();
                assert_eq!(again.is_some(), !answer.header("retry-after").is_empty());
                if let Some(again) = again {
                    let told = answer.retry_after_ms();
                    let told = f64::from(u32::try_from(told).unwrap());
                    assert!((told - again).abs() < 1000.0, "{again}: {seen}");
                }
                answer.code()
            }
        }
    }
}

/// The upstream that was chosen, and its first key.
fn chosen(told: &Value) -> String {
    let all = told["candidates"].as_array().unwrap();
    let one = all.iter().find(|one| one["verdict"] == "chosen").unwrap();
    let keys = one["keys"].as_array().unwrap();
    let key = keys.iter().find(|key| key["verdict"] == "first").unwrap();
    format!(
        "{} {}",
        one["upstream"].as_str().unwrap(),
        key["id"].as_str().unwrap()
    )
}

/// `verdict reason` of candidate `at`.
fn verdict(told: &Value, at: usize) -> String {
    let one = &told["candidates"][at];
    let text = |name: &str| one[name].as_str().unwrap_or("-").to_owned();
    format!("{} {}", text("verdict"), text("reason"))
}

#[tokio::test]
async fn when_all_is_well_it_names_the_next_key_of_the_rotation_again_and_again() {
    let scene = Scene::new(TWO, "smart").await;
    for key in [1, 2, 3, 1] {
        // Asking moves nothing.
        scene.explain().await;
        assert_eq!(scene.agrees().await, format!("a:m a#{key}"));
    }
    let told = scene.explain().await;
    assert_eq!(told["target"], "smart");
    assert_eq!(
        (verdict(&told, 0), verdict(&told, 1)),
        ("chosen -".into(), "next -".into())
    );
    let keys = told["candidates"][0]["keys"].as_array().unwrap();
    let keys: Vec<&Value> = keys.iter().map(|key| &key["id"]).collect();
    assert_eq!(keys, ["a#2", "a#3", "a#1"]);
}

#[tokio::test]
async fn a_key_that_cools_is_passed_over_and_told_until_when() {
    let scene = Scene::new(TWO, "smart").await;
    scene
        .order("keys/a%231/cooldown", r#"{"for": "30s", "model": "m"}"#)
        .await;
    let told = scene.explain().await;
    let key = &told["candidates"][0]["keys"][0];
    assert_eq!(
        (&key["id"], &key["reason"]),
        (&json!("a#1"), &json!("cooling"))
    );
    let left = key["seconds_left"].as_f64().unwrap();
    assert!((25.0..=30.0).contains(&left), "{left}");
    assert!(key["until"].as_str().unwrap().ends_with('Z'));
    assert_eq!(scene.agrees().await, "a:m a#2");
}

#[tokio::test]
async fn an_open_breaker_and_a_model_that_is_gone_lead_to_the_next_upstream() {
    for (failure, reason) in [
        (Behaviour::fails(500), "excluded breaker_open"),
        (
            Behaviour::error(404, "model_not_found", "The model does not exist"),
            "excluded model_gone",
        ),
    ] {
        let scene = Scene::new(TWO, "smart").await;
        scene.a.on(Match::any(), [failure]);
        assert_eq!(scene.send().await.header("x-pointsman-attempts"), "2");
        let told = scene.explain().await;
        assert_eq!(verdict(&told, 0), reason);
        assert!(told["candidates"][0]["seconds_left"].as_f64().unwrap() > 1.0);
        assert_eq!(scene.agrees().await, "b:mb b#1");
    }
}

#[tokio::test]
async fn the_probe_of_a_breaker_is_announced_and_no_second_one() {
    let text = TWO.replace("threshold: 1}", "threshold: 1, recovery_time: 400ms}");
    let scene = Scene::new(&text, "smart").await;
    let gate = Gate::new();
    let probe = Behaviour::says("back").gate(At::BeforeHead, &gate);
    scene.a.on(Match::any(), [Behaviour::fails(500), probe]);
    assert_eq!(scene.send().await.header("x-pointsman-attempts"), "2");
    assert_eq!(verdict(&scene.explain().await, 0), "excluded breaker_open");
    until("the breaker to be half-open", async || {
        verdict(&scene.explain().await, 0) == "chosen -"
    })
    .await;
    let told = scene.explain().await;
    let detail = told["candidates"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("would be the probe"), "{told:#}");
    let first = scene.side.gateway.chat("smart").spawn();
    until("the probe to be under way", async || scene.a.count() == 2).await;
    assert_eq!(verdict(&scene.explain().await, 0), "excluded breaker_open");
    assert_eq!(scene.agrees().await, "b:mb b#1");
    gate.open();
    assert_eq!(first.await.unwrap().says(), "back");
    let told = scene.explain().await;
    let detail = told["candidates"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("recovering: takes 10 %"), "{told:#}");
    assert_eq!(chosen(&told), scene.agrees().await);
}

#[tokio::test]
async fn what_is_too_large_for_one_goes_to_another_or_nowhere() {
    let mut scene = Scene::new(TWO, "smart").await;
    let long = |tokens: usize| {
        let text = "word ".repeat(tokens);
        json!({"model": "smart", "messages": [{"role": "user", "content": text}]}).to_string()
    };
    (scene.question["tokens"], scene.body) = (json!(2000), long(2000));
    let told = scene.explain().await;
    assert_eq!(verdict(&told, 0), "excluded too_large");
    assert!(
        told["candidates"][0]["detail"]
            .as_str()
            .unwrap()
            .contains("1000")
    );
    assert_eq!(scene.agrees().await, "b:mb b#1");
    (scene.question["tokens"], scene.body) = (json!(5000), long(5000));
    assert_eq!(scene.agrees().await, "context_length_exceeded");
    scene.question = json!({"target": "smart", "tokens": 10, "output_tokens": 9000});
    let body = json!({"model": "smart", "max_tokens": 9000, "messages": [{"role": "user", "content": "hi"}]});
    scene.body = body.to_string();
    // It is asked for less output.
    assert_eq!(scene.agrees().await, "a:m a#1");
}

#[tokio::test]
async fn when_all_cool_it_waits_as_long_as_that_helps() {
    let scene = Scene::new(FULL, "a").await;
    scene
        .order("keys/a%231/cooldown", r#"{"for": "600ms"}"#)
        .await;
    let told = scene.explain().await;
    let wait = told["would_wait_ms"].as_f64().unwrap();
    assert!((1.0..=600.0).contains(&wait), "{told:#}");
    assert_eq!(scene.agrees().await, "waits: a:m a#1");
    scene
        .order("keys/a%231/cooldown", r#"{"for": "10m"}"#)
        .await;
    assert_eq!(scene.agrees().await, "upstreams_rate_limited");
}

#[tokio::test]
async fn where_waiting_is_forbidden_it_is_refused_at_once() {
    let text = format!("{FULL}dispatch: {{await_cooldown: 0s}}\n");
    let scene = Scene::new(&text, "a").await;
    scene.order("keys/a%231/cooldown", r#"{"for": "2s"}"#).await;
    assert_eq!(scene.agrees().await, "cooling_down");
}

#[tokio::test]
async fn a_preferred_upstream_is_waited_for_with_patience() {
    let text = TWO.replace("[k1, k2, k3]", "[k1]") + "dispatch: {patience: 2s}\n";
    let scene = Scene::new(&text, "smart").await;
    scene
        .order("keys/a%231/cooldown", r#"{"for": "600ms"}"#)
        .await;
    let told = scene.explain().await;
    assert!(told["would_wait_ms"].as_f64().is_some(), "{told:#}");
    assert_eq!(verdict(&told, 1), "next -");
    assert_eq!(scene.agrees().await, "waits: a:m a#1");
    scene.order("keys/a%231/cooldown", r#"{"for": "1m"}"#).await;
    assert_eq!(scene.agrees().await, "b:mb b#1");
}

#[tokio::test]
async fn what_an_operator_took_out_is_out_for_both() {
    let scene = Scene::new(TWO, "a").await;
    scene.order("keys/a%231/hold", "").await;
    assert_eq!(scene.agrees().await, "a:m a#2");
    scene.order("keys/a%232/hold", "").await;
    scene.order("keys/a%233/hold", "").await;
    assert_eq!(verdict(&scene.explain().await, 0), "excluded held");
    assert_eq!(scene.agrees().await, "no_usable_keys");
    for key in 1..=3 {
        scene.order(&format!("keys/a%23{key}/release"), "").await;
    }
    assert_eq!(scene.agrees().await, "a:m a#3");
    scene.order("providers/a/hold", r#"{"for": "1h"}"#).await;
    let told = scene.explain().await;
    assert!(told["candidates"][0]["seconds_left"].as_f64().unwrap() > 3500.0);
    assert_eq!(scene.agrees().await, "no_usable_keys");
}

#[tokio::test]
async fn limits_that_only_the_key_itself_knows_are_told_too() {
    let text = FULL.replace("max_in_flight: 1", "rpm: 2");
    let scene = Scene::new(&text, "a").await;
    assert_eq!(scene.agrees().await, "a:m a#1");
    assert_eq!(scene.agrees().await, "a:m a#1");
    assert_eq!(verdict(&scene.explain().await, 0), "excluded limited");
    assert_eq!(scene.agrees().await, "upstreams_rate_limited");
}

#[tokio::test]
async fn a_full_key_is_waited_for_and_so_is_whoever_waits_already() {
    let scene = Scene::new(FULL, "a").await;
    let gate = Gate::new();
    let slow = Behaviour::says("slow").gate(At::BeforeHead, &gate);
    scene.a.on(Match::any(), [slow, Behaviour::says("ok")]);
    let first = scene.side.gateway.chat("a").spawn();
    until("the key to be full", async || {
        scene.side.state("/providers/0/keys/0/in_flight").await == 1
    })
    .await;
    let told = scene.explain().await;
    assert_eq!(
        (&told["answer"], &told["would_wait_ms"]),
        (&json!("waits"), &Value::Null)
    );
    assert_eq!(verdict(&told, 0), "excluded saturated");
    let second = scene.side.gateway.chat("a").spawn();
    scene.side.is("/router/waiting", json!(1)).await;
    let told = scene.explain().await;
    assert_eq!(verdict(&told, 0), "excluded contended");
    assert_eq!(told["answer"], "waits");
    gate.open();
    for answer in [first, second] {
        assert_eq!(answer.await.unwrap().status, 200);
    }
    assert_eq!(scene.agrees().await, "a:m a#1");
}

#[tokio::test]
async fn a_full_waiting_room_is_told() {
    let text = format!("{FULL}dispatch: {{max_waiting: 0}}\n");
    let scene = Scene::new(&text, "a").await;
    scene.order("keys/a%231/cooldown", r#"{"for": "5s"}"#).await;
    assert_eq!(scene.agrees().await, "waiting_room_full");
}

#[tokio::test]
async fn an_unknown_target_is_refused_with_the_names_that_are_near() {
    let scene = Scene::new(TWO, "smrt").await;
    let told = scene.explain().await;
    assert!(
        told["detail"].as_str().unwrap().contains("`smart`"),
        "{told:#}"
    );
    assert_eq!(told["candidates"], json!([]));
    assert_eq!(scene.agrees().await, "model_not_found");
    let mut scene = Scene::new(TWO, "x").await;
    scene.question = json!({});
    scene.body = r#"{"messages":[{"role":"user","content":"hi"}]}"#.to_owned();
    assert_eq!(scene.agrees().await, "no_default_model");
}

#[tokio::test]
async fn what_a_client_may_not_do_is_told_for_that_client() {
    let text = format!(
        "
clients:
  - {{name: ci, token: sk-planted-explain-ci-1, allow: [b], rpm: 2}}
  - {{name: web, token: sk-planted-explain-web-1}}
{TWO}"
    );
    let mut scene = Scene::new(&text, "smart").await;
    scene.token = "sk-planted-explain-ci-1";
    scene.question["client"] = json!("ci");
    assert_eq!(scene.agrees().await, "target_not_allowed");
    scene.question["target"] = json!("b");
    scene.body = chat("b");
    for _ in 0..2 {
        assert_eq!(scene.agrees().await, "b:mb b#1");
    }
    assert_eq!(scene.agrees().await, "client_rate_limited");
    scene.token = "sk-planted-explain-web-1";
    scene.question["client"] = json!("web");
    assert_eq!(scene.agrees().await, "b:mb b#1");
    let nobody = r#"{"client": "nobody"}"#;
    let answer = scene.side.post("/admin/v1/explain", nobody).send().await;
    assert_eq!((answer.status, answer.code()), (404, "not_found".into()));
    for wrong in [
        r#"{"tokens": -1}"#,
        r#"{"tokens": "many"}"#,
        r#"{"target": 7}"#,
        r#"{"targt": "a"}"#,
        r#"{"stream": "yes"}"#,
    ] {
        let answer = scene.side.post("/admin/v1/explain", wrong).send().await;
        let refused = (400, "invalid_request".to_owned());
        assert_eq!((answer.status, answer.code()), refused, "{wrong}");
    }
}

/// Exit code and output of `pointsman explain` with these arguments.
async fn told(arguments: &[&str], env: &[(&str, &str)]) -> (i32, String) {
    let dir = TempDir::new();
    let output = run(dir.path(), &[&["explain"], arguments].concat(), env).await;
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(text).unwrap(),
    )
}

#[tokio::test]
async fn the_command_prints_it_and_exits_by_it() {
    let text = format!("server: {{admin_token: sk-planted-explain-admin}}\n{TWO}");
    let scene = Scene::new(&text, "smart").await;
    let address = scene.side.address.to_string();
    let at = ["--admin", &address];
    let (code, text) = told(&[&["smart"], &at[..]].concat(), &[]).await;
    assert!(
        code == 69 && text.contains("POINTSMAN_ADMIN_TOKEN"),
        "{code} {text}"
    );
    let env = [("POINTSMAN_ADMIN_TOKEN", "sk-planted-explain-admin")];
    let (code, text) = told(&[&["smart"], &at[..]].concat(), &env).await;
    assert_eq!(code, 0, "{text}");
    assert!(
        text.starts_with("smart: goes to a:m\n  1. a:m   chosen"),
        "{text}"
    );
    assert!(text.contains("\n     b#2   ready\n"), "{text}");
    let dir = TempDir::new();
    let file = dir.write("token", "sk-planted-explain-admin\n");
    let file = file.to_str().unwrap();
    let more = ["smrt", "--token-file", file];
    let (code, text) = told(&[&more, &at[..]].concat(), &[]).await;
    assert!(
        code == 1 && text.contains("refused: 404 model_not_found") && text.contains("`smart`"),
        "{text}"
    );
    let more = ["smart", "--tokens", "2000", "--json"];
    let (code, text) = told(&[&more, &at[..]].concat(), &env).await;
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (code, &json["candidates"][0]["reason"]),
        (0, &json!("too_large"))
    );
    let (code, text) = told(&["smart", "--admin", "127.0.0.1"], &[]).await;
    assert!(code == 69 && text.contains("has no port"), "{text}");
}

#[tokio::test]
async fn the_command_finds_the_admin_listener_of_the_configuration() {
    let dir = TempDir::new();
    let socket = dir.path().join("admin.sock");
    let text = format!("server: {{admin_listen: \"unix:{}\"}}\n", socket.display());
    let file = dir.write("p.yaml", &text);
    let file = file.to_str().unwrap();
    let (code, text) = told(&["--config", file], &[]).await;
    assert!(
        code == 69 && text.contains("cannot ask unix:"),
        "{code} {text}"
    );
    let off = [("POINTSMAN__SERVER__ADMIN_LISTEN", "off")];
    let (code, text) = told(&[], &off).await;
    assert!(
        code == 69 && text.contains("the admin listener is off"),
        "{text}"
    );
}
