//! What is in the server: nothing that names a key, a prompt or a client, and nothing that others can put there.

use crate::support::{Match, until};

use super::{World, ask, becomes, fleet, key, limited, nodes};

#[tokio::test]
async fn nothing_in_the_server_names_a_key_a_prompt_or_a_client() {
    let Some(world) = World::new(&[]).await else {
        return;
    };
    let all = world.processes(2).await;
    world.upstream.on(Match::any(), [limited("60")]);
    ask(&all[0], "p:m").await;
    becomes(&all[1], 0, "cooling").await;
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
