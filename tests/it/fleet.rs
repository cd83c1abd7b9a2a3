//! Fleets: several real processes with the same keys and one real server, as callers and operators see them. What
//! happens when the server is slow, frozen or gone is in `faults`, what is in it in `store`.

mod budgets;
mod faults;
mod limits;
mod proxy;
mod scripts;
mod secured;
mod store;

use serde_json::{Value, json};

use crate::admin::side::Side;
use crate::support::gateway::Place;
use crate::support::temp::TempDir;
use crate::support::valkey::ValkeyProcess;
use crate::support::{Answer, Behaviour, Match, ScriptedUpstream, until};

const YAML: &str = "
fleet: {url: \"<valkey>\", name: test, secret_file: \"<secret>\"}
clients:
  - {name: swordfish-client, token: token-of-the-client}
llm:
  providers:
    - {name: <name>, base_url: <a>, models: [m, n], api_keys: [k1, k2], cooldown: {scope: key}}
";
const SECRET: &str = "c2VjcmV0IG9mIHRoZSBmbGVldCBvZiBhIHRlc3QgISE=";
const OTHER_SECRET: &str = "b3RoZXIgc2VjcmV0IG9mIGEgZmxlZXQgb2YgdGVzdHM=";

/// The server, the upstream, and the file with the secret.
struct World {
    valkey: ValkeyProcess,
    upstream: ScriptedUpstream,
    dir: TempDir,
}

impl World {
    async fn new(options: &[&str]) -> Option<Self> {
        let valkey = ValkeyProcess::start(options).await?;
        let dir = TempDir::new();
        dir.write("fleet.key", SECRET);
        dir.write("other.key", OTHER_SECRET);
        let upstream = ScriptedUpstream::start().await;
        Some(Self {
            valkey,
            upstream,
            dir,
        })
    }

    /// A process of the fleet, whose provider has this name.
    async fn process(&self, name: &str, secret: &str) -> Side {
        self.process_with(YAML, &self.valkey.url(), name, secret)
            .await
    }

    /// A process with this configuration.
    async fn process_with(&self, yaml: &str, url: &str, name: &str, secret: &str) -> Side {
        let url = url.to_owned();
        let secret = self.dir.path().join(secret).display().to_string();
        let name = name.to_owned();
        let places: [(&str, &dyn Place); 4] = [
            ("a", &self.upstream),
            ("valkey", &url),
            ("secret", &secret),
            ("name", &name),
        ];
        Side::start(yaml, &places).await
    }

    /// So many, when all of them know of each other.
    async fn processes(&self, count: usize) -> Vec<Side> {
        self.processes_with(YAML, &self.valkey.url(), count).await
    }

    async fn processes_with(&self, yaml: &str, url: &str, count: usize) -> Vec<Side> {
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(self.process_with(yaml, url, "p", "fleet.key").await);
        }
        for side in &all {
            until("all to be there", async || nodes(side).await == count).await;
        }
        all
    }
}

async fn fleet(side: &Side) -> Value {
    let answer = side.get("/admin/v1/fleet").send().await.json();
    answer["fleet"].clone()
}

async fn nodes(side: &Side) -> usize {
    fleet(side).await["nodes"].as_array().unwrap().len()
}

async fn is_up(side: &Side) -> bool {
    fleet(side).await["up"] == true
}

/// What a process may use of a limit of that kind.
async fn share(side: &Side, kind: &str) -> u64 {
    let fleet = fleet(side).await;
    let all = fleet["limits"].as_array().unwrap();
    let one = all.iter().find(|it| it["limit"] == kind);
    one.map_or(0, |it| it["share"].as_u64().unwrap())
}

/// Asks each process so often, in turn; how many were served.
async fn served(all: &[Side], each: usize) -> usize {
    let mut served = 0;
    for _ in 0..each {
        for side in all {
            served += usize::from(ask(side, "p:m").await.status == 200);
        }
    }
    served
}

async fn ask(side: &Side, target: &str) -> Answer {
    let body =
        json!({"model": target, "messages": [{"role": "user", "content": "swordfish-prompt"}]});
    let call = side.gateway.post_chat(body.to_string());
    call.header("authorization", "Bearer token-of-the-client")
        .awaits("0s")
        .send()
        .await
}

/// The state of a provider's key, by its place from 0.
async fn key(side: &Side, place: usize) -> Value {
    side.state(&format!("/providers/0/keys/{place}/state"))
        .await
}

async fn becomes(side: &Side, place: usize, word: &str) {
    until("the key's state", async || key(side, place).await == word).await;
}

fn limited(seconds: &str) -> Behaviour {
    Behaviour::rate_limited().header("retry-after", seconds)
}

#[tokio::test]
async fn what_one_process_is_refused_the_others_do_not_ask() {
    let Some(world) = World::new(&[]).await else {
        return;
    };
    let all = world.processes(3).await;
    world.upstream.on(Match::key("k1"), [limited("60")]);
    assert_eq!(ask(&all[0], "p:m").await.status, 200, "by the other key");
    for side in &all {
        becomes(side, 0, "cooling").await;
    }
    let asked = world.upstream.requests().len();
    for side in &all {
        assert_eq!(ask(side, "p:m").await.status, 200);
    }
    let later = world.upstream.requests()[asked..].to_vec();
    assert!(later.iter().all(|it| it.key.as_deref() == Some("k2")));
    let told = fleet(&all[1]).await;
    let fact = &told["facts"][0];
    assert_eq!(fact["kind"], "cooling");
    assert_eq!(fact["key"], "p#1");
    assert_eq!(told["up"], true);
    assert!(
        told["lag_seconds"].as_f64().is_none_or(|lag| lag < 1.0),
        "{told}"
    );
}

#[tokio::test]
async fn a_release_by_one_operator_is_one_everywhere() {
    let Some(world) = World::new(&[]).await else {
        return;
    };
    let all = world.processes(2).await;
    world.upstream.on(Match::any(), [limited("60")]);
    ask(&all[0], "p:m").await;
    for side in &all {
        becomes(side, 0, "cooling").await;
    }
    world.upstream.on(Match::any(), [Behaviour::says("ok")]);
    let released = all[1].post("/admin/v1/keys/p%231/release", "").send().await;
    assert_eq!(released.status, 200, "{}", released.text());
    for side in &all {
        becomes(side, 0, "usable").await;
        assert_eq!(ask(side, "p:m").await.status, 200);
    }
}

#[tokio::test]
async fn an_invalid_key_and_a_used_up_quota_are_known_to_all() {
    let Some(world) = World::new(&[]).await else {
        return;
    };
    let all = world.processes(2).await;
    let invalid = Behaviour::error(401, "invalid_api_key", "Incorrect API key provided");
    let quota = Behaviour::error(429, "insufficient_quota", "You exceeded your current quota");
    world.upstream.on(Match::key("k1"), [invalid]);
    world.upstream.on(Match::key("k2"), [quota]);
    ask(&all[0], "p:m").await;
    becomes(&all[1], 0, "invalid").await;
    becomes(&all[1], 1, "quota_exhausted").await;
    let asked = world.upstream.requests().len();
    assert_ne!(ask(&all[1], "p:m").await.status, 200);
    assert_eq!(world.upstream.requests().len(), asked, "nobody is asked");
}

#[tokio::test]
async fn a_key_is_the_same_whatever_its_provider_is_called() {
    let Some(world) = World::new(&[]).await else {
        return;
    };
    let one = world.process("p", "fleet.key").await;
    let other = world.process("q", "fleet.key").await;
    until("both", async || nodes(&one).await == 2).await;
    until("both", async || nodes(&other).await == 2).await;
    world.upstream.on(Match::key("k1"), [limited("60")]);
    ask(&one, "p:m").await;
    becomes(&other, 0, "cooling").await;
}

#[tokio::test]
async fn a_process_that_starts_later_begins_with_what_the_others_know() {
    let Some(world) = World::new(&[]).await else {
        return;
    };
    let all = world.processes(1).await;
    world.upstream.on(Match::key("k1"), [limited("60")]);
    ask(&all[0], "p:m").await;
    until("it to be told", async || fleet(&all[0]).await["sent"] == 1).await;
    let later = world.process("p", "fleet.key").await;
    becomes(&later, 0, "cooling").await;
    let text = later.get("/metrics").send().await.text().to_owned();
    for line in [
        "pointsman_fleet_up 1",
        "pointsman_fleet_facts 1",
        "pointsman_fleet_unsent_facts 0",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}
