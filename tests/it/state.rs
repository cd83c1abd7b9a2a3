//! What is known of keys outlives a restart, also one by SIGKILL.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::admin::side::Side;
use crate::support::gateway::{Place, filled, run};
use crate::support::temp::TempDir;
use crate::support::{Behaviour, Gateway, Match, ScriptedUpstream, until};

/// One provider with these keys, and a state file in a folder that outlives the gateway.
const YAML: &str = "
state: {path: <state>}
llm:
  providers:
    - {name: a, base_url: <a>, model: m, api_keys: [KEYS], cooldown: {max: 2h}}
";

struct Kept {
    dir: TempDir,
    upstream: ScriptedUpstream,
}

impl Kept {
    async fn new() -> Self {
        Self {
            dir: TempDir::new(),
            upstream: ScriptedUpstream::start().await,
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("state.json")
    }

    async fn start(&self, keys: &str) -> Gateway {
        let path = self.path().display().to_string();
        let places: [(&str, &dyn Place); 2] = [("a", &self.upstream), ("state", &path)];
        Gateway::start(&YAML.replace("KEYS", keys), &places).await
    }

    /// The same with an admin listener.
    async fn with_admin(&self) -> Side {
        let path = self.path().display().to_string();
        let places: [(&str, &dyn Place); 2] = [("a", &self.upstream), ("state", &path)];
        Side::start(&YAML.replace("KEYS", "k1, k2"), &places).await
    }

    /// What the file says, if it is whole.
    fn state(&self) -> Value {
        let text = std::fs::read_to_string(self.path()).unwrap_or_default();
        let file: Value = serde_json::from_str(&text).unwrap_or_default();
        file["state"].clone()
    }

    /// Completes when the file tells of so many keys.
    async fn holds(&self, count: usize) {
        until("the state to be written", async || {
            self.state()["keys"].as_array().map_or(0, Vec::len) == count
        })
        .await;
    }
}

async fn kill(mut gateway: Gateway) {
    gateway.signal("KILL");
    assert!(!gateway.wait_exit().await.success());
}

fn limited(seconds: u32) -> Behaviour {
    Behaviour::rate_limited().header("retry-after", &seconds.to_string())
}

#[tokio::test]
async fn a_rate_limited_key_is_not_asked_after_a_kill_and_the_caller_hears_how_long() {
    let kept = Kept::new().await;
    kept.upstream.on(Match::any(), [limited(3600)]);
    let gateway = kept.start("k1").await;
    gateway
        .chat("a")
        .send()
        .await
        .assert_error(429, "upstreams_rate_limited");
    kept.holds(1).await;
    kill(gateway).await;
    kept.upstream.on(Match::any(), [Behaviour::says("ok")]);
    let gateway = kept.start("k1").await;
    assert_eq!(gateway.health("/upstreams/usable").await, 0);
    let answer = gateway.chat("a").send().await;
    answer.assert_error(429, "upstreams_rate_limited");
    let left = answer.retry_after_ms();
    assert!((3_500_000..=3_600_000).contains(&left), "{left}");
    assert_eq!(kept.upstream.count(), 1, "asked before the kill only");
    let other = gateway.chat("a:other").send().await;
    assert_eq!(other.says(), "ok", "it is about one model");
}

#[tokio::test]
async fn keys_that_are_exhausted_or_invalid_stay_out_wherever_they_stand_in_the_list() {
    let kept = Kept::new().await;
    kept.upstream
        .on(Match::key("paid"), [Behaviour::fails(402)]);
    let invalid = Behaviour::error(401, "invalid_api_key", "Incorrect API key provided");
    kept.upstream.on(Match::key("wrong"), [invalid]);
    let gateway = kept.start("paid, wrong, good").await;
    assert_eq!(gateway.chat("a").send().await.says(), "ok");
    kept.holds(2).await;
    kill(gateway).await;
    for key in ["paid", "wrong"] {
        kept.upstream.on(Match::key(key), [Behaviour::says("ok")]);
    }
    let before = kept.upstream.count();
    let gateway = kept.start("good, wrong, new, paid").await;
    for _ in 0..8 {
        assert_eq!(gateway.chat("a:x").send().await.says(), "ok");
    }
    let keys = kept.upstream.keys().split_off(before);
    assert_eq!(keys.len(), 8);
    assert!(
        keys.iter().all(|key| key == "good" || key == "new"),
        "{keys:?}"
    );
    drop(gateway);
    let gateway = kept.start("wrong").await;
    let answer = gateway.chat("a").send().await;
    answer.assert_error(502, "no_usable_keys");
    assert_eq!(kept.upstream.count(), before + 8);
}

#[tokio::test]
async fn models_that_are_gone_and_limits_that_were_learned_are_remembered() {
    let kept = Kept::new().await;
    let gone = Behaviour::error(404, "model_not_found", "The model does not exist");
    kept.upstream.on(Match::model("old"), [gone]);
    let empty = Behaviour::says("ok")
        .header("x-ratelimit-limit-requests", "100")
        .header("x-ratelimit-remaining-requests", "0")
        .header("x-ratelimit-reset-requests", "600s");
    kept.upstream.on(Match::model("m"), [empty]);
    let gateway = kept.start("k1").await;
    assert_ne!(gateway.chat("a:old").send().await.status, 200);
    assert_eq!(gateway.chat("a").send().await.says(), "ok");
    kept.holds(1).await;
    until("the model", async || {
        kept.state()["providers"][0]["gone"][0]["model"] == "old"
    })
    .await;
    kill(gateway).await;
    let before = kept.upstream.count();
    let gateway = kept.start("k1").await;
    for (target, least) in [("a:old", 590_000), ("a", 590_000)] {
        let answer = gateway.chat(target).awaits("0").send().await;
        let left = answer.retry_after_ms();
        assert!((least..=600_001).contains(&left), "{target}: {left}");
    }
    assert_eq!(kept.upstream.count(), before);
}

#[tokio::test]
async fn a_clean_stop_writes_what_was_learned_last_and_a_key_that_serves_again_is_forgotten() {
    let kept = Kept::new().await;
    kept.upstream
        .on(Match::any(), [limited(3), Behaviour::says("ok")]);
    let gateway = kept.start("k1").await;
    gateway.chat("a").awaits("0").send().await;
    // At once: within the second after which it would have been written anyway.
    gateway.finish().await;
    assert_eq!(kept.state()["keys"].as_array().map(Vec::len), Some(1));
    let gateway = kept.start("k1").await;
    assert_eq!(gateway.chat("a").send().await.says(), "ok", "it waited");
    kept.upstream.on(Match::model("n"), [limited(3600)]);
    gateway.chat("a:n").awaits("0").send().await;
    gateway.finish().await;
    let models = kept.state()["keys"][0]["models"].clone();
    assert_eq!(models.as_array().map(Vec::len), Some(1), "{models}");
    assert_eq!(models[0]["model"], "n");
}

#[tokio::test]
async fn the_file_shows_no_key_and_without_a_path_there_is_none() {
    let kept = Kept::new().await;
    kept.upstream.on(Match::any(), [Behaviour::fails(402)]);
    let gateway = kept
        .start("sk-planted-alpha-0001, sk-planted-bravo-0002")
        .await;
    gateway.chat("a").send().await;
    kept.holds(2).await;
    let text = std::fs::read_to_string(kept.path()).unwrap();
    for part in ["planted", "alpha", "bravo", "0001", "0002"] {
        assert!(!text.contains(part), "{text}");
    }
    drop(gateway);
    let dir = TempDir::new();
    let yaml = YAML
        .replace("state: {path: <state>}", "")
        .replace("KEYS", "k1");
    dir.write("gateway.yaml", &filled(&yaml, &[("a", &kept.upstream)]));
    let folder = dir.path().to_owned();
    let mut gateway = Gateway::start_in(dir, &["--config", "gateway.yaml"], &[]).await;
    gateway.chat("a").send().await;
    gateway.signal("TERM");
    gateway.wait_exit().await;
    let names = std::fs::read_dir(folder).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["gateway.yaml"]);
}

#[tokio::test]
async fn a_second_process_leaves_the_file_alone_until_the_first_has_ended() {
    let kept = Kept::new().await;
    kept.upstream.on(Match::key("k1"), [limited(3600)]);
    kept.upstream.on(Match::key("k2"), [limited(1800)]);
    let first = kept.start("k1").await;
    first.chat("a").awaits("0").send().await;
    kept.holds(1).await;
    let second = kept.start("k1, k2").await;
    second.logged("another process keeps its state").await;
    let answer = second.chat("a").awaits("0").send().await;
    answer.assert_error(429, "cooling_down");
    assert_eq!(kept.upstream.keys(), ["k1", "k2"], "it has read the file");
    // A second passes in which the other one could have written as well.
    first.chat("a:n").awaits("0").send().await;
    until("the first one's news", async || {
        kept.state()["keys"][0]["models"].as_array().map(Vec::len) == Some(2)
    })
    .await;
    kept.holds(1).await;
    kill(first).await;
    second.logged("state is kept from now on").await;
    kept.holds(2).await;
}

#[tokio::test]
async fn nothing_in_the_file_keeps_it_from_starting_and_a_path_that_cannot_be_written_does() {
    let kept = Kept::new().await;
    for text in ["garbage", "", r#"{"format":"pointsman-state","version":9}"#] {
        std::fs::write(kept.path(), text).unwrap();
        let gateway = kept.start("k1").await;
        let line = gateway.logged("was set aside as").await;
        assert!(line.contains("WARN"), "{line}");
        assert_eq!(gateway.chat("a").send().await.says(), "ok");
        let aside = kept.dir.path().join("state.json.broken");
        assert_eq!(std::fs::read_to_string(aside).unwrap(), text);
        kill(gateway).await;
    }
    let nowhere = kept
        .dir
        .path()
        .join("none/state.json")
        .display()
        .to_string();
    let yaml = YAML.replace("KEYS", "k1");
    let places: [(&str, &dyn Place); 2] = [("a", &kept.upstream), ("state", &nowhere)];
    kept.dir.write("bad.yaml", &filled(&yaml, &places));
    let output = run(kept.dir.path(), &["serve", "--config", "bad.yaml"], &[]).await;
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(78), "{text}");
    assert!(
        text.contains("state.path") && text.contains("create it"),
        "{text}"
    );
}

#[tokio::test]
async fn what_an_operator_took_out_stays_out_after_a_kill_until_a_release_which_is_kept_as_well() {
    let kept = Kept::new().await;
    let side = kept.with_admin().await;
    side.post("/admin/v1/keys/a%231/hold", "").send().await;
    side.post("/admin/v1/keys/a%232/hold", r#"{"for": "1h"}"#)
        .send()
        .await;
    kept.holds(2).await;
    kill(side.gateway).await;

    let side = kept.with_admin().await;
    let answer = side.gateway.chat("a").send().await;
    answer.assert_error(502, "no_usable_keys");
    let keys = "/providers/0/keys";
    let first = side.state(&format!("{keys}/0/hold")).await;
    assert_eq!(first, json!({"until": null}));
    let second = side.state(&format!("{keys}/1/hold")).await;
    let left = second["until"]["seconds_left"].as_f64().unwrap();
    assert!((3500.0..=3600.0).contains(&left), "{left}");
    for number in 1..=2 {
        let path = format!("/admin/v1/keys/a%23{number}/release");
        side.post(&path, "").send().await;
    }
    side.post("/admin/v1/providers/a/hold", "").send().await;
    kept.holds(0).await;
    until("the provider", async || {
        kept.state()["providers"][0]["hold"] == json!({})
    })
    .await;
    kill(side.gateway).await;

    let side = kept.with_admin().await;
    assert_eq!(side.state(&format!("{keys}/0/state")).await, "usable");
    assert_eq!(side.gateway.health("/upstreams/usable").await, 0);
    assert_ne!(side.gateway.chat("a").send().await.status, 200);
    assert_eq!(kept.upstream.count(), 0);
    side.post("/admin/v1/providers/a/release", "").send().await;
    until("the release", async || {
        kept.state()["providers"] == json!([])
    })
    .await;
    kill(side.gateway).await;

    let side = kept.with_admin().await;
    assert_eq!(side.gateway.chat("a").send().await.status, 200);
}

#[tokio::test]
async fn a_file_that_cannot_be_written_later_is_told_once_and_tried_again() {
    let kept = Kept::new().await;
    kept.upstream.on(Match::any(), [limited(3600)]);
    let gateway = kept.start("k1").await;
    // A folder in the place of the temporary file.
    let temporary = kept.dir.path().join("state.json.tmp");
    std::fs::create_dir(&temporary).unwrap();
    gateway.chat("a").awaits("0").send().await;
    gateway.logged("state cannot be written").await;
    gateway.chat("a:other").awaits("0").send().await;
    std::fs::remove_dir(&temporary).unwrap();
    gateway.logged("state is written again").await;
    kept.holds(1).await;
    let told = gateway.logs();
    let told = told
        .iter()
        .filter(|line| line.contains("cannot be written"));
    assert_eq!(told.count(), 1);
}

#[tokio::test]
async fn a_key_that_comes_back_by_a_reload_is_out_still() {
    let kept = Kept::new().await;
    kept.upstream.on(Match::key("k1"), [limited(3600)]);
    let path = kept.path().display().to_string();
    let places: [(&str, &dyn Place); 2] = [("a", &kept.upstream), ("state", &path)];
    let text = |keys: &str| filled(&YAML.replace("KEYS", keys), &places);
    let dir = TempDir::new();
    let file = dir.write("gateway.yaml", &text("k1, k2"));
    let gateway = Gateway::start_in(dir, &["--config", "gateway.yaml"], &[]).await;
    assert_eq!(gateway.chat("a").send().await.says(), "ok");
    let reload = async |keys: &str, count: usize| {
        std::fs::write(&file, text(keys)).unwrap();
        until("the reload", async || {
            let logs = gateway.logs();
            logs.iter()
                .filter(|line| line.contains("configuration reloaded"))
                .count()
                == count
        })
        .await;
    };
    reload("k2", 1).await;
    reload("k2, k1", 2).await;
    let before = kept.upstream.count();
    for _ in 0..4 {
        assert_eq!(gateway.chat("a").send().await.says(), "ok");
    }
    assert_eq!(kept.upstream.keys().split_off(before), ["k2"; 4]);
}

#[tokio::test]
async fn kills_at_any_moment_leave_a_file_that_a_start_understands() {
    let kept = Kept::new().await;
    kept.upstream.on(Match::any(), [limited(3600)]);
    for round in 0..4_usize {
        let gateway = kept.start("k1").await;
        gateway
            .chat(&format!("a:m{round}"))
            .awaits("0")
            .send()
            .await;
        let name = format!("\"m{round}\"");
        until("the first of them to be written", async || {
            kept.state()["keys"].to_string().contains(&name)
        })
        .await;
        // So many more, until somewhere around the next version.
        for more in 0..30 + 60 * round {
            let target = format!("a:m{round}-{more}");
            gateway.chat(&target).awaits("0").send().await;
        }
        kill(gateway).await;
        let gateway = kept.start("k1").await;
        assert!(!gateway.logs().iter().any(|line| line.contains("aside")));
        let before = kept.upstream.count();
        for round in 0..=round {
            let target = format!("a:m{round}");
            gateway.chat(&target).awaits("0").send().await;
        }
        assert_eq!(kept.upstream.count(), before, "round {round}");
        kill(gateway).await;
    }
}
