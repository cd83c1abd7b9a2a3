//! Providers and keys that are added while the process runs, and taken away again.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use reqwest::Method;
use serde_json::{Value, json};

use super::schema;
use super::side::Side;
use crate::support::gateway::{Place, run};
use crate::support::planted::planted;
use crate::support::temp::TempDir;
use crate::support::{At, Behaviour, Gate, Match, ScriptedUpstream, until};

pub const YAML: &str = "
state: {path: <state>}
additions: {allow: true, exec: [<program>]}
llm:
  default_model: a
  providers:
    - {name: a, base_url: <a>, model: m, api_key: k1}
";

/// A folder that outlives the gateway, an upstream, and what may be added.
pub struct Room {
    pub dir: TempDir,
    upstream: ScriptedUpstream,
}

impl Room {
    pub async fn new() -> Self {
        let room = Self {
            dir: TempDir::new(),
            upstream: ScriptedUpstream::start().await,
        };
        room.dir.write("spare", &format!("{}\n", planted("spare")));
        room.program("printed");
        room
    }

    pub fn at(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// The program that may be run prints this key from now on; an empty one: it fails.
    fn program(&self, key: &str) {
        self.script(&match key {
            "" => "exit 7".to_owned(),
            key => format!("echo {}-$1", planted(key)),
        });
    }

    /// The program that may be run is this shell script from now on.
    pub fn script(&self, text: &str) {
        let text = format!("#!/bin/sh\n{text}\n");
        // In its place: a program that runs cannot be written.
        let path = self.dir.write("next", &text);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(path, self.at("key-of")).unwrap();
    }

    pub async fn start(&self) -> Side {
        self.start_as(YAML).await
    }

    async fn start_as(&self, yaml: &str) -> Side {
        let (state, program) = (self.at("state.json"), self.at("key-of"));
        let places: [(&str, &dyn Place); 3] = [
            ("a", &self.upstream),
            ("state", &state),
            ("program", &program),
        ];
        let env = [("EXTRA_API_KEY", "extra"), ("OTHER_API_KEY", "other")];
        Side::start_where(yaml, &places, &["--admin-listen", "127.0.0.1:0"], &env).await
    }

    /// Writes another configuration into the place of the one that serves.
    fn write(&self, side: &Side, yaml: &str) {
        let (state, program) = (self.at("state.json"), self.at("key-of"));
        let places: [(&str, &dyn Place); 3] = [
            ("a", &self.upstream),
            ("state", &state),
            ("program", &program),
        ];
        side.write(yaml, &places);
    }

    pub fn spare(&self) -> Value {
        json!({"key": format!("file:{}", self.at("spare"))})
    }

    fn provider(&self, reference: &str) -> Value {
        json!({"name": "b", "base_url": self.upstream.base_url(), "model": "mb", "keys": [reference]})
    }

    /// The keys of the requests that come while `count` are asked for.
    pub async fn keys_of(&self, side: &Side, target: &str, count: usize) -> Vec<String> {
        let before = self.upstream.count();
        for _ in 0..count {
            let answer = side.gateway.chat(target).send().await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        let mut keys = self.upstream.keys().split_off(before);
        keys.sort();
        keys.dedup();
        keys
    }
}

pub const KEYS: &str = "/admin/v1/providers/a/keys";

pub async fn add(side: &Side, path: &str, body: &Value) -> Value {
    let answer = side.post(path, &body.to_string()).send().await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

async fn refused(side: &Side, path: &str, body: &Value, status: u16, code: &str) -> Value {
    let before = side.state("/process/generation").await;
    let answer = side.post(path, &body.to_string()).send().await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (status, code),
        "{body}: {}",
        answer.text()
    );
    assert_eq!(
        side.state("/process/generation").await,
        before,
        "something has changed"
    );
    answer.json()["error"].clone()
}

pub async fn additions(side: &Side) -> Value {
    side.get("/admin/v1/additions").send().await.json()
}

async fn remove(side: &Side, path: &str) -> u16 {
    let answer = side.change(Method::DELETE, path, "").send().await;
    answer.status
}

pub async fn kill(mut side: Side) {
    side.gateway.signal("KILL");
    assert!(!side.gateway.wait_exit().await.success());
}

#[tokio::test]
async fn an_added_key_takes_its_turn_until_it_is_taken_away_and_attempts_under_way_go_on() {
    let room = Room::new().await;
    let side = room.start().await;
    assert_eq!(room.keys_of(&side, "a", 3).await, ["k1"]);
    let answer = add(&side, KEYS, &room.spare()).await;
    assert_eq!(answer["key"]["id"], "a1");
    assert_eq!(answer["key"]["keys"], json!(["a#2"]));
    assert_eq!(
        (&answer["kept"], &answer["generation"]),
        (&json!("state_file"), &json!(1))
    );
    assert_eq!(room.keys_of(&side, "a", 4).await, ["k1", "spare"]);
    // Both keys are busy while one of them is taken away.
    let gate = Gate::new();
    let held = Behaviour::says("late").gate(At::BeforeHead, &gate);
    room.upstream.on(Match::key("spare"), [held]);
    let before = room.upstream.count();
    let calls: Vec<_> = (0..2).map(|_| side.gateway.chat("a").spawn()).collect();
    room.upstream.wait_for(before + 2).await;
    assert_eq!(remove(&side, &format!("{KEYS}/a1")).await, 200);
    gate.open();
    for call in calls {
        assert_eq!(call.await.unwrap().status, 200);
    }
    assert_eq!(room.keys_of(&side, "a", 4).await, ["k1"]);
    assert_eq!(additions(&side).await["keys"], json!([]));
    assert_eq!(remove(&side, &format!("{KEYS}/a1")).await, 404);
    side.gateway.logged("added key taken away").await;
}

#[tokio::test]
async fn what_was_added_is_there_after_a_kill_right_behind_the_answer() {
    let room = Room::new().await;
    let side = room.start().await;
    let answer = add(
        &side,
        "/admin/v1/providers",
        &room.provider("env:EXTRA_API_KEY"),
    )
    .await;
    assert_eq!(answer["provider"]["state"], "active");
    assert_eq!(answer["provider"]["keys"][0]["keys"], json!(["b#1"]));
    add(&side, KEYS, &room.spare()).await;
    kill(side).await;
    let side = room.start().await;
    assert_eq!(room.keys_of(&side, "b", 2).await, ["extra"]);
    assert_eq!(room.keys_of(&side, "a", 4).await, ["k1", "spare"]);
    let model = room
        .upstream
        .requests()
        .iter()
        .any(|it| it.json()["model"] == "mb");
    assert!(model, "its own model is asked");
    assert_eq!(remove(&side, "/admin/v1/providers/b").await, 200);
    assert_eq!(side.gateway.chat("b").send().await.status, 404);
    kill(side).await;
    let side = room.start().await;
    assert_eq!(side.gateway.chat("b").send().await.status, 404);
    assert_eq!(room.keys_of(&side, "a", 4).await, ["k1", "spare"]);
    // Numbers are not given again, so an old DELETE never hits a new key.
    let answer = add(&side, KEYS, &json!({"key": "env:OTHER_API_KEY"})).await;
    assert_eq!(answer["key"]["id"], "a3");
    let kept = fs::read_to_string(room.at("state.json")).unwrap();
    assert!(
        !kept.contains("planted") && kept.contains("env:OTHER_API_KEY"),
        "{kept}"
    );
}

#[tokio::test]
async fn what_the_file_takes_up_later_comes_first() {
    let room = Room::new().await;
    let side = room.start().await;
    add(
        &side,
        "/admin/v1/providers",
        &room.provider("env:EXTRA_API_KEY"),
    )
    .await;
    let theirs = ScriptedUpstream::start().await;
    let more = format!(
        "{YAML}    - {{name: b, base_url: {}, model: from-the-file, api_key: in-the-file}}\n",
        theirs.base_url()
    );
    room.write(&side, &more);
    until("the reload", async || {
        additions(&side).await["providers"][0]["state"] == "shadowed"
    })
    .await;
    assert_eq!(side.gateway.chat("b").send().await.status, 200);
    assert_eq!(theirs.keys(), ["in-the-file"], "no key goes to a namesake");
    assert_eq!(additions(&side).await["keys"][0]["state"], "shadowed");
    side.gateway
        .logged("the provider b that was added is shadowed")
        .await;
    // `check` says the same of the file.
    let program = room.at("key-of");
    let text = more
        .replace("<state>", &room.at("state.json"))
        .replace("<a>", &room.upstream.base_url())
        .replace("<program>", &program);
    room.dir.write("pointsman.yaml", &text);
    let env = [("EXTRA_API_KEY", "extra")];
    let checked = run(room.dir.path(), &["check"], &env).await;
    let checked = String::from_utf8(checked.stdout).unwrap();
    assert!(
        checked.contains("  b  shadowed\n")
            && checked.contains("  b key a1  env:EXTRA_API_KEY  shadowed"),
        "{checked}"
    );
    room.write(&side, YAML);
    until("the reload", async || {
        additions(&side).await["providers"][0]["state"] == "active"
    })
    .await;
    assert_eq!(room.keys_of(&side, "b", 2).await, ["extra"]);
}

#[tokio::test]
async fn what_cannot_work_is_refused_and_changes_nothing() {
    let room = Room::new().await;
    let side = room.start().await;
    let provider = |name: &str, value: Value| {
        let mut body = room.provider("env:EXTRA_API_KEY");
        body[name] = value;
        body
    };
    let all = "/admin/v1/providers";
    for (path, body, status, code) in [
        (KEYS, json!({"key": "env:UNSET"}), 422, "invalid_addition"),
        (
            KEYS,
            json!({"key": "file:/no/such/file"}),
            422,
            "invalid_addition",
        ),
        (
            KEYS,
            json!({"key": "exec:/bin/echo k"}),
            403,
            "program_not_allowed",
        ),
        (
            KEYS,
            json!({"key": planted("typed-into-the-wrong-field")}),
            400,
            "invalid_request",
        ),
        (
            KEYS,
            json!({"key": "EXTRA_API_KEY"}),
            400,
            "invalid_request",
        ),
        (KEYS, json!({"secret": "two words"}), 400, "invalid_request"),
        (KEYS, json!({}), 400, "invalid_request"),
        (
            KEYS,
            json!({"key": "env:EXTRA_API_KEY", "model": "m"}),
            400,
            "invalid_request",
        ),
        (
            "/admin/v1/providers/zz/keys",
            json!({"key": "env:EXTRA_API_KEY"}),
            404,
            "not_found",
        ),
        (all, provider("name", json!("a")), 409, "conflict"),
        (all, provider("name", json!("")), 400, "invalid_request"),
        (
            all,
            provider("base_url", json!("nowhere")),
            422,
            "invalid_addition",
        ),
        (
            all,
            provider("base_url", json!("http://169.254.169.254/v1")),
            422,
            "invalid_addition",
        ),
        (
            all,
            provider("headers", json!({"x": "y"})),
            422,
            "invalid_addition",
        ),
        (
            all,
            provider("keys", json!(["env:UNSET"])),
            422,
            "invalid_addition",
        ),
    ] {
        let error = refused(&side, path, &body, status, code).await;
        let told = error.to_string();
        assert!(!told.contains("wrong-field"), "{told}");
    }
    let error = refused(
        &side,
        all,
        &provider("modell", json!("m")),
        422,
        "invalid_addition",
    )
    .await;
    assert_eq!(error["mistakes"][0]["suggestion"], "did you mean `model`?");
    for (path, status) in [
        ("/admin/v1/providers/a", 409),
        ("/admin/v1/providers/a/keys/1", 409),
        ("/admin/v1/providers/a/keys/a9", 404),
        ("/admin/v1/providers/zz", 404),
    ] {
        assert_eq!(remove(&side, path).await, status, "{path}");
    }
    assert_eq!(additions(&side).await["keys"], json!([]));
    assert_eq!(room.keys_of(&side, "a", 3).await, ["k1"]);
    // A program that fails.
    room.program("");
    let failing = json!({"key": format!("exec:{} a", room.at("key-of"))});
    refused(&side, KEYS, &failing, 422, "program_failed").await;
    // The file has mistakes by now.
    room.write(&side, &YAML.replace("model: m", "modell: m"));
    side.gateway.logged("configuration not reloaded").await;
    refused(&side, KEYS, &room.spare(), 422, "invalid_addition").await;
}

#[tokio::test]
async fn the_same_again_changes_nothing_and_other_settings_are_a_conflict() {
    let room = Room::new().await;
    let side = room.start().await;
    for (path, body) in [
        (KEYS, room.spare()),
        ("/admin/v1/providers", room.provider("env:EXTRA_API_KEY")),
    ] {
        let first = add(&side, path, &body).await;
        let again = side.post(path, &body.to_string()).send().await;
        assert_eq!((again.status, again.json()), (200, first), "{body}");
    }
    let mut other = room.provider("env:EXTRA_API_KEY");
    other["model"] = json!("another");
    refused(&side, "/admin/v1/providers", &other, 409, "conflict").await;
    // A key by its place.
    assert_eq!(remove(&side, &format!("{KEYS}/2")).await, 409);
    let of_added = "/admin/v1/providers/b/keys";
    let more = add(&side, of_added, &json!({"key": "env:OTHER_API_KEY"})).await;
    assert_eq!(more["key"]["keys"], json!(["b#2"]));
    assert_eq!(room.keys_of(&side, "b", 4).await, ["extra", "other"]);
}

#[tokio::test]
async fn a_key_that_is_given_as_it_is_ends_with_its_process() {
    let room = Room::new().await;
    let side = room.start().await;
    let answer = add(&side, KEYS, &json!({"secret": planted("typed")})).await;
    assert_eq!(
        (&answer["kept"], &answer["key"]["reference"]),
        (&json!("process"), &Value::Null)
    );
    assert!(
        answer["why_not_longer"]
            .as_str()
            .unwrap()
            .contains("written nowhere")
    );
    assert_eq!(room.keys_of(&side, "a", 4).await, ["k1", "typed"]);
    let answer = side.post("/admin/v1/reload", "").send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        room.keys_of(&side, "a", 4).await,
        ["k1", "typed"],
        "a reload keeps it"
    );
    let state = fs::read_to_string(room.at("state.json")).unwrap();
    assert!(!state.contains("typed"));
    side.gateway.finish().await;
    let side = room.start().await;
    assert_eq!(room.keys_of(&side, "a", 3).await, ["k1"]);
    // Without a state file nothing outlives the process, and the answer says so.
    let side = room
        .start_as(&YAML.replace("state: {path: <state>}\n", ""))
        .await;
    let answer = add(&side, KEYS, &room.spare()).await;
    assert_eq!(answer["kept"], "process");
    assert!(
        answer["why_not_longer"]
            .as_str()
            .unwrap()
            .contains("state.path")
    );
}

#[tokio::test]
async fn a_program_is_asked_again_with_each_reload_and_at_the_start() {
    let room = Room::new().await;
    let side = room.start().await;
    let reference = format!("exec:{} one", room.at("key-of"));
    add(&side, KEYS, &json!({"key": &reference})).await;
    assert_eq!(room.keys_of(&side, "a", 4).await, ["k1", "printed-one"]);
    room.program("turned");
    assert_eq!(side.post("/admin/v1/reload", "").send().await.status, 200);
    assert_eq!(room.keys_of(&side, "a", 4).await, ["k1", "turned-one"]);
    // A helper that is away for a moment takes no key out of service.
    room.program("");
    assert_eq!(side.post("/admin/v1/reload", "").send().await.status, 200);
    assert_eq!(room.keys_of(&side, "a", 4).await, ["k1", "turned-one"]);
    kill(side).await;
    let side = room.start().await;
    assert_eq!(additions(&side).await["keys"][0]["state"], "unusable");
    assert_eq!(
        room.keys_of(&side, "a", 3).await,
        ["k1"],
        "the process starts without it"
    );
    // The same once more is another try.
    room.program("again");
    let body = json!({"key": reference}).to_string();
    let again = side.post(KEYS, &body).send().await;
    assert_eq!(
        (again.status, &again.json()["key"]["state"]),
        (200, &json!("active"))
    );
    assert_eq!(room.keys_of(&side, "a", 4).await, ["again-one", "k1"]);
    room.program("back");
    assert_eq!(side.post("/admin/v1/reload", "").send().await.status, 200);
    assert_eq!(room.keys_of(&side, "a", 4).await, ["back-one", "k1"]);
    // What is not allowed any more is not run any more.
    let none = YAML.replace("exec: [<program>]", "exec: []");
    room.write(&side, &none);
    assert_eq!(side.post("/admin/v1/reload", "").send().await.status, 200);
    assert_eq!(room.keys_of(&side, "a", 3).await, ["k1"]);
}

#[tokio::test]
async fn a_file_with_another_key_is_taken_over_by_itself() {
    let room = Room::new().await;
    let side = room.start().await;
    add(&side, KEYS, &room.spare()).await;
    room.dir
        .write("spare", &format!("{}\n", planted("renewed")));
    until("the new key", async || {
        room.keys_of(&side, "a", 2).await == ["k1", "renewed"]
    })
    .await;
}

#[tokio::test]
async fn whoever_shows_no_token_adds_nothing_unless_that_is_allowed() {
    let room = Room::new().await;
    let side = room.start_as(&YAML.replace("allow: true, ", "")).await;
    let error = refused(&side, KEYS, &room.spare(), 403, "additions_not_allowed").await;
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("server.admin_token")
    );
    assert_eq!(remove(&side, &format!("{KEYS}/a1")).await, 403);
    assert_eq!(additions(&side).await["allowed"], false);
    let token = "server: {admin_token: a-token-that-is-long}\n";
    let side = room
        .start_as(&format!("{token}{}", YAML.replace("allow: true, ", "")))
        .await;
    let call = || side.post(KEYS, &room.spare().to_string());
    assert_eq!(call().send().await.status, 401);
    let call = call().header("authorization", "Bearer a-token-that-is-long");
    assert_eq!(call.send().await.status, 201);
    let foreign = side.post(KEYS, &room.spare().to_string());
    let foreign = foreign.header("authorization", "Bearer a-token-that-is-long");
    let foreign = foreign.header("origin", "http://evil.example");
    assert_eq!(foreign.send().await.status, 403);
}

#[tokio::test]
async fn answers_are_as_described_and_changes_are_events() {
    let room = Room::new().await;
    let side = room.start().await;
    let document = side.get("/admin/v1/openapi.json").send().await.json();
    let is_described = |method: &str, path: &str, status: &str, answer: &Value| {
        let described = &document["paths"][path][method]["responses"][status];
        let schema = &described["content"]["application/json"]["schema"];
        assert_eq!(schema::check(&document, schema, answer, path), [""; 0]);
    };
    let answer = add(&side, KEYS, &room.spare()).await;
    is_described(
        "post",
        "/admin/v1/providers/{provider}/keys",
        "201",
        &answer,
    );
    let answer = add(
        &side,
        "/admin/v1/providers",
        &room.provider("env:EXTRA_API_KEY"),
    )
    .await;
    is_described("post", "/admin/v1/providers", "201", &answer);
    is_described("get", "/admin/v1/additions", "200", &additions(&side).await);
    let path = format!("{KEYS}/a1");
    let answer = side.change(Method::DELETE, &path, "").send().await.json();
    is_described(
        "delete",
        "/admin/v1/providers/{provider}/keys/{number}",
        "200",
        &answer,
    );
    let path = "/admin/v1/providers/b";
    let answer = side.change(Method::DELETE, path, "").send().await.json();
    is_described("delete", "/admin/v1/providers/{provider}", "200", &answer);
    let events = side.get("/admin/v1/events").header("last-event-id", "0-0");
    let mut events = events.stream().await;
    events.until("provider_removed").await;
    let seen = events.seen_text();
    for name in [
        "key_added",
        "provider_added",
        "key_removed",
        "provider_removed",
    ] {
        assert!(seen.contains(&format!("event: {name}\n")), "{seen}");
    }
    assert!(
        seen.contains("file:") && !seen.contains("sk-planted"),
        "{seen}"
    );
}
