//! A server with TLS and a user whose rights are those of `docs/fleet.md`, and no more; and one with fewer.

use crate::support::certs::Issuer;
use crate::support::temp::TempDir;
use crate::support::valkey::ValkeyProcess;
use crate::support::{Match, ScriptedUpstream, until};

use super::{SECRET, World, ask, fleet, key, limited, share};

const YAML: &str = "
fleet: {url: \"<valkey>\", name: test, secret_file: \"<secret>\", ca_file: \"<name>\"}
clients:
  - name: swordfish-client
    token: token-of-the-client
    limits: {rpm: 1000, max_in_flight: 50}
    budgets: [{amount: 100, every: day}]
llm:
  providers:
    - {name: p, base_url: <a>, model: m, api_keys: [k1, k2], limits: {rpm: 500}, cooldown: {scope: key},
       price: {input: 1, output: 1}}
";

/// The rights as the documentation states them, for this fleet.
fn rights() -> String {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/fleet.md"));
    let page = page.unwrap();
    let line = page.lines().find(|line| line.starts_with("user pointsman"));
    line.unwrap()
        .replace("{pm:prod}", "{pm:test}")
        .replace("PASSWORD", "hush-hush")
}

#[tokio::test]
async fn everything_is_shared_over_tls_by_a_user_with_the_rights_that_are_documented() {
    let (issuer, files) = (Issuer::new(), TempDir::new());
    issuer.server().write(&files);
    files.write("ca.pem", &issuer.pem());
    let ca = files.path().join("ca.pem").display().to_string();
    files.write("users.acl", &format!("{}\nuser default off\n", rights()));
    let options = [
        "--tls-port",
        "PORT",
        "--tls-cert-file",
        "cert.pem",
        "--tls-key-file",
        "key.pem",
        "--tls-ca-cert-file",
        "ca.pem",
        "--tls-auth-clients",
        "no",
        "--aclfile",
        "users.acl",
    ];
    let Some(valkey) = ValkeyProcess::start_in(files, &options).await else {
        return;
    };
    let dir = TempDir::new();
    dir.write("fleet.key", SECRET);
    let world = World {
        valkey,
        upstream: ScriptedUpstream::start().await,
        dir,
    };
    let url = format!(
        "rediss://pointsman:hush-hush@localhost:{}/0",
        world.valkey.port()
    );
    let mut all = Vec::new();
    for _ in 0..2 {
        all.push(world.process_with(YAML, &url, &ca, "fleet.key").await);
    }
    for side in &all {
        until("both", async || super::nodes(side).await == 2).await;
    }
    until("shares and claims", async || {
        for side in &all {
            ask(side, "p:m").await;
        }
        let told = fleet(&all[0]).await;
        let spent = told["budgets"][0]["spent_by_all"].is_string();
        spent && share(&all[0], "rpm").await > 60 && told["without_scripts"].is_null()
    })
    .await;
    world.upstream.on(Match::key("k1"), [limited("60")]);
    until("it to cool there too", async || {
        // The other key may be asked, and its share may be used up at first.
        ask(&all[0], "p:m").await;
        key(&all[1], 0).await == "cooling"
    })
    .await;
}

#[tokio::test]
async fn a_user_who_may_not_name_scripts_sends_them_whole() {
    let (files, fewer) = (TempDir::new(), rights().replace("+evalsha ", ""));
    assert_ne!(fewer, rights());
    files.write(
        "users.acl",
        &format!("{fewer}\nuser default on nopass ~* &* +@all\n"),
    );
    let Some(valkey) = ValkeyProcess::start_in(files, &["--aclfile", "users.acl"]).await else {
        return;
    };
    let dir = TempDir::new();
    dir.write("fleet.key", SECRET);
    let world = World {
        valkey,
        upstream: ScriptedUpstream::start().await,
        dir,
    };
    let url = format!(
        "redis://pointsman:hush-hush@127.0.0.1:{}/0",
        world.valkey.port()
    );
    let yaml = YAML.replace(", ca_file: \"<name>\"", "");
    let all = world.processes_with(&yaml, &url, 2).await;
    until("shares and claims", async || {
        for side in &all {
            ask(side, "p:m").await;
        }
        let told = fleet(&all[0]).await;
        let spent = told["budgets"][0]["spent_by_all"].is_string();
        spent && share(&all[0], "rpm").await > 60
    })
    .await;
    assert!(fleet(&all[0]).await["without_scripts"].is_null());
    world.upstream.on(Match::key("k1"), [limited("60")]);
    until("it to cool there too", async || {
        ask(&all[0], "p:m").await;
        key(&all[1], 0).await == "cooling"
    })
    .await;
}
