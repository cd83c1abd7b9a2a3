//! Programs that print keys take their time; nothing else waits for them.

use std::path::Path;

use serde_json::json;

use super::additions::{KEYS, Room, YAML, add, kill};
use super::side::Side;
use crate::support::gateway::{Place, command, filled, signal};
use crate::support::planted::planted;
use crate::support::until;
use crate::support::wait::bounded;

/// From now on the program tells that it runs, and prints this key when it is let go.
fn held(room: &Room, key: &str) {
    let (running, go) = (room.at("running"), room.at("go"));
    let wait = format!("while [ ! -e {go} ]; do sleep 0.05; done");
    room.script(&format!(
        "echo $$ > {running}\n{wait}\necho {}-$1",
        planted(key)
    ));
}

/// Completes when the program runs; with the id of its process.
async fn running(room: &Room) -> u32 {
    let file = room.at("running");
    let id = || std::fs::read_to_string(&file).ok()?.trim().parse().ok();
    until("the program to run", async || id().is_some()).await;
    id().unwrap()
}

/// A gateway with a key from a program, which is held up by the next reload.
async fn with_program(room: &Room) -> Side {
    let side = room.start().await;
    let reference = format!("exec:{} one", room.at("key-of"));
    add(&side, KEYS, &json!({ "key": reference })).await;
    held(room, "turned");
    side
}

async fn ended(process: u32) {
    let place = format!("/proc/{process}/exe");
    until("the program's end", async || !Path::new(&place).exists()).await;
}

#[tokio::test]
async fn a_signal_to_end_waits_for_no_program() {
    let room = Room::new().await;
    let mut side = with_program(&room).await;
    side.gateway.signal("HUP");
    let program = running(&room).await;
    side.gateway.signal("TERM");
    assert!(side.gateway.wait_exit().await.success());
    // Had it waited for the program it would have read the configuration then.
    let logs = side.gateway.finish_reading().await.join("\n");
    assert!(logs.contains("stopped"), "{logs}");
    assert!(!logs.contains("reloaded"), "{logs}");
    ended(program).await;
}

#[tokio::test]
async fn so_does_one_that_comes_before_the_process_serves() {
    let room = Room::new().await;
    kill(with_program(&room).await).await;
    let nowhere = "http://127.0.0.1:9/v1".to_owned();
    let (state, program) = (room.at("state.json"), room.at("key-of"));
    let places: [(&str, &dyn Place); 3] =
        [("a", &nowhere), ("state", &state), ("program", &program)];
    room.dir.write("gateway.yaml", &filled(YAML, &places));
    let arguments = [
        "serve",
        "--config",
        "gateway.yaml",
        "--listen",
        "127.0.0.1:0",
    ];
    let process = command(room.dir.path(), &arguments, &[]).spawn().unwrap();
    let program = running(&room).await;
    signal(process.id().unwrap(), "TERM");
    let output = bounded("the process's end", process.wait_with_output()).await;
    let output = output.unwrap();
    let logs = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{logs}");
    assert!(!logs.contains("\"listening\""), "{logs}");
    ended(program).await;
}

#[tokio::test]
async fn what_is_added_and_asked_for_meanwhile_waits_for_no_program() {
    let room = Room::new().await;
    let side = with_program(&room).await;
    let reload = side.post("/admin/v1/reload", "").spawn();
    running(&room).await;
    add(&side, KEYS, &room.spare()).await;
    assert_eq!(
        room.keys_of(&side, "a", 6).await,
        ["k1", "printed-one", "spare"]
    );
    // One more, which began after the program did.
    side.gateway.signal("HUP");
    room.dir.write("go", "");
    assert_eq!(reload.await.unwrap().status, 200);
    let turned = ["k1", "spare", "turned-one"];
    assert_eq!(room.keys_of(&side, "a", 6).await, turned);
    let told = |line: &&String| line.contains("configuration reloaded");
    until("the other reload", async || {
        side.gateway.logs().iter().filter(told).count() == 2
    })
    .await;
    assert_eq!(room.keys_of(&side, "a", 6).await, turned);
}
