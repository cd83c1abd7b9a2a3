//! What is in the server: nothing that names a key, a prompt or a client, and nothing that others can put there.

use crate::support::{Match, until};

/// With all that a process shares.
const EVERYTHING: &str = "
fleet: {url: \"<valkey>\", name: test, secret_file: \"<secret>\"}
clients:
  - name: swordfish-client
    token: token-of-the-client
    limits: {rpm: 1000, tpm: 1000000, max_in_flight: 50}
    budgets: [{amount: 100, every: day, targets: [p]}]
llm:
  providers:
    - {name: <name>, base_url: <a>, models: [m, n], api_keys: [k1, k2], cooldown: {scope: key},
       limits: {rpm: 500, tpm: 100000, rpd: 5000, max_in_flight: 9}, price: {input: 1, output: 1}}
";

use super::{World, ask, becomes, fleet, key, limited, nodes};

#[tokio::test]
async fn nothing_in_the_server_names_a_key_a_prompt_or_a_client() {
    let Some(world) = World::new(&[]).await else {
        return;
    };
    let all = world
        .processes_with(EVERYTHING, &world.valkey.url(), 2)
        .await;
    until("shares and claims", async || {
        ask(&all[0], "p:m").await;
        let fleet = fleet(&all[0]).await;
        let limits = fleet["limits"].as_array().unwrap();
        limits.iter().any(|it| it["processes"] == 2) && fleet["budgets"][0]["claimed"] != "0.000000"
    })
    .await;
    world.upstream.on(Match::any(), [limited("60")]);
    until("it to cool there too", async || {
        // Its share may be used up at first.
        ask(&all[0], "p:m").await;
        key(&all[1], 0).await == "cooling"
    })
    .await;
    let names = world.valkey.names().await;
    for kind in ["facts", "log", "nodes", "limits:", "budget:"] {
        let start = format!("{{pm:test}}:{kind}");
        assert!(names.iter().any(|name| name.starts_with(&start)), "{kind}");
    }
    let mut bytes = Vec::new();
    for name in world.valkey.names().await {
        assert!(name.starts_with("{pm:test}:"), "{name}");
        bytes.extend_from_slice(name.as_bytes());
        let of = name.as_bytes();
        for command in [
            &[&b"HGETALL"[..], of][..],
            &[b"XRANGE", of, b"-", b"+"],
            &[b"ZRANGE", of, b"0", b"-1"],
            &[b"GET", of],
            &[b"TYPE", of],
        ] {
            bytes.extend(world.valkey.says(command).await.concat());
        }
    }
    assert!(bytes.len() > 100);
    crate::support::planted::assert_clean("the server", &bytes);
    let text = String::from_utf8_lossy(&bytes);
    for word in ["swordfish", "token-of"] {
        assert!(!text.contains(word), "{word}");
    }
}

#[tokio::test]
async fn processes_with_another_secret_are_strangers() {
    let Some(world) = World::new(&[]).await else {
        return;
    };
    let all = world.processes(1).await;
    let stranger = world.process("p", "other.key").await;
    until("it to be there", async || nodes(&stranger).await == 1).await;
    world.upstream.on(Match::key("k1"), [limited("60")]);
    ask(&stranger, "p:m").await;
    becomes(&stranger, 0, "cooling").await;
    until("it to be ignored", async || {
        fleet(&all[0]).await["ignored"] != 0
    })
    .await;
    assert_eq!(key(&all[0], 0).await, "usable");
    assert_eq!(nodes(&all[0]).await, 1);
}
