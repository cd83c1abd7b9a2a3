//! Another configuration for a process that serves.

use crate::support::gateway::{Place, filled};
use crate::support::temp::TempDir;
use crate::support::{At, Behaviour, Gate, Gateway, Match, ScriptedUpstream, ms, until};

const ONE: &str = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_keys: [k1, k2]}
";

/// A gateway and its file, which the test may write anew.
struct Changing {
    gateway: Gateway,
    path: std::path::PathBuf,
}

impl Changing {
    async fn start(yaml: &str, places: &[(&str, &dyn Place)]) -> Self {
        let dir = TempDir::new();
        dir.write("gateway.yaml", &filled(yaml, places));
        let path = dir.path().join("gateway.yaml");
        let gateway = Gateway::start_in(dir, &["--config", "gateway.yaml"], &[]).await;
        Self { gateway, path }
    }

    /// Writes the file and waits until it was taken over, or refused.
    async fn write(&self, yaml: &str, places: &[(&str, &dyn Place)]) {
        let before = told(&self.gateway);
        std::fs::write(&self.path, filled(yaml, places)).unwrap();
        self.gateway.signal("HUP");
        until("the reload", async || told(&self.gateway) > before).await;
    }
}

/// How many reloads the log tells of.
fn told(gateway: &Gateway) -> usize {
    let told = |line: &&String| line.contains("configuration") && line.contains("reloaded");
    gateway.logs().iter().filter(told).count()
}

#[tokio::test]
async fn a_file_that_changes_is_taken_over_and_what_stays_keeps_its_cooldowns() {
    let a = ScriptedUpstream::start().await;
    let b = ScriptedUpstream::playing([Behaviour::says("b")]).await;
    a.on(Match::key("k1"), [Behaviour::rate_limited()]);
    let running = Changing::start(ONE, &[("a", &a)]).await;
    let gateway = &running.gateway;
    assert_eq!(
        gateway.chat("a").send().await.header("x-pointsman-key"),
        "a#2"
    );
    let more = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_keys: [k1, k3]}
    - {name: b, base_url: <b>, model: mb, api_key: kb}
";
    running.write(more, &[("a", &a), ("b", &b)]).await;
    assert_eq!(gateway.chat("b").send().await.says(), "b");
    for _ in 0..3 {
        assert_eq!(
            gateway.chat("a").send().await.header("x-pointsman-key"),
            "a#3"
        );
    }
    let listed = gateway.get("/v1/models").send().await;
    assert!(listed.text().contains("b:mb"), "{}", listed.text());
    running.write(ONE, &[("a", &a)]).await;
    gateway
        .chat("b")
        .send()
        .await
        .assert_error(404, "model_not_found");
}

#[tokio::test]
async fn requests_under_way_finish_with_what_they_began_with() {
    let a = ScriptedUpstream::start().await;
    let b = ScriptedUpstream::playing([Behaviour::says("moved")]).await;
    let gate = Gate::new();
    a.on(
        Match::any(),
        [
            Behaviour::fails(500).gate(At::BeforeHead, &gate),
            Behaviour::says("old"),
        ],
    );
    let running = Changing::start(ONE, &[("a", &a)]).await;
    let slow = running.gateway.chat("a").spawn();
    a.wait_for(1).await;
    running.write(ONE, &[("a", &b)]).await;
    assert_eq!(running.gateway.chat("a").send().await.says(), "moved");
    gate.open();
    // Its second try goes to the old address, with an old key.
    assert_eq!(slow.await.unwrap().says(), "old");
    assert_eq!((a.count(), b.count()), (2, 1));
}

#[tokio::test]
async fn a_file_with_mistakes_changes_nothing_and_says_which() {
    let a = ScriptedUpstream::start().await;
    let running = Changing::start(ONE, &[("a", &a)]).await;
    let wrong = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_keys: [k1, k2], retyr: {}}
";
    running.write(wrong, &[("a", &a)]).await;
    let line = running.gateway.logged("not reloaded").await;
    assert!(line.contains("retyr") && line.contains("retry"), "{line}");
    assert_eq!(running.gateway.chat("a").send().await.status, 200);
}

#[tokio::test]
async fn a_signal_reloads_and_a_file_of_keys_that_changes_is_noticed() {
    let a = ScriptedUpstream::start().await;
    let dir = TempDir::new();
    dir.write("keys", "sk-planted-k1\n");
    let yaml = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key_file: keys}
";
    dir.write("gateway.yaml", &filled(yaml, &[("a", &a)]));
    let keys = dir.path().join("keys");
    let gateway = Gateway::start_in(dir, &["--config", "gateway.yaml"], &[]).await;
    assert_eq!(gateway.chat("a").send().await.status, 200);
    std::fs::write(&keys, "sk-planted-k9\n").unwrap();
    gateway.logged("configuration reloaded").await;
    assert_eq!(gateway.chat("a").send().await.status, 200);
    assert_eq!(a.keys(), ["k1", "k9"]);
    gateway.signal("HUP");
    until("the second reload", async || told(&gateway) == 2).await;
}

#[tokio::test]
async fn reloads_under_load_fail_no_request() {
    let a = ScriptedUpstream::playing([Behaviour::says("a").late(ms(5))]).await;
    let b = ScriptedUpstream::playing([Behaviour::says("b").late(ms(5))]).await;
    let with = |keys: &str, place: &str| {
        format!(
            "
llm:
  providers:
    - {{name: a, base_url: <{place}>, model: m, api_keys: [{keys}]}}
"
        )
    };
    let places: &[(&str, &dyn Place)] = &[("a", &a), ("b", &b)];
    let running = Changing::start(&with("k1, k2", "a"), places).await;
    let gateway = &running.gateway;
    let done = std::cell::Cell::new(false);
    let load = async {
        let mut failed = Vec::new();
        while !done.get() {
            let calls = (0..8).map(|_| gateway.chat("a").send());
            let answers = futures_util::future::join_all(calls).await;
            failed.extend(answers.into_iter().filter(|answer| answer.status != 200));
        }
        failed
    };
    let changes = async {
        let turns = [("k2, k3", "a"), ("k3", "b"), ("k1", "a"), ("k1, k2", "b")];
        for (keys, place) in turns.iter().cycle().take(20) {
            running.write(&with(keys, place), places).await;
        }
        done.set(true);
    };
    let (failed, ()) = futures_util::future::join(load, changes).await;
    assert!(failed.is_empty(), "{failed:?}");
    assert!(b.count() > 0);
}

#[tokio::test]
async fn a_file_for_which_a_reload_was_refused_is_looked_at_again_when_it_changes() {
    let a = ScriptedUpstream::start().await;
    let running = Changing::start(ONE, &[("a", &a)]).await;
    let gateway = &running.gateway;
    let new = "
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_key_file: keys}
";
    running.write(new, &[("a", &a)]).await;
    gateway.logged("not reloaded").await;
    // Without a signal.
    let keys = running.path.with_file_name("keys");
    std::fs::write(keys, "sk-planted-k9\n").unwrap();
    gateway.logged("configuration reloaded").await;
    assert_eq!(gateway.chat("a").send().await.status, 200);
    assert_eq!(a.keys(), ["k9"]);
}
