//! How long a reload of many keys takes, and how long it makes the slowest request wait.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::Effort;
use super::scale::with_keys;
use super::table::Table;
use crate::load::{self, Shape};
use crate::process::{Running, now};
use crate::support;

const KEYS: usize = 10_000;
const RATE: u32 = 1000;
const SECONDS: u32 = 3;

/// What a reload changes: how many keys are others than before.
const CHANGES: [(&str, usize); 2] = [("one key is another", 1), ("all keys are others", KEYS)];

pub fn table() -> Table {
    Table::new(["no reload", CHANGES[0].0, CHANGES[1].0], false)
}

pub async fn run(upstream: &str, effort: &Effort, table: &mut Table) {
    let files = tempfile::tempdir().expect("a directory");
    let path = files.path().join("pointsman.yaml");
    let mut first = 0;
    std::fs::write(&path, with_keys(upstream, KEYS, first)).expect("a file");
    let program = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    let (process, [address, admin]) = support::serve(program, &path, ["data", "admin"]);
    let running = Running { process, address };
    load::closed_loop(&running.address, Shape::Plain, 32, 20_000).await;
    let name = format!("longest request, {KEYS} keys, {RATE} requests/s, ms");
    for round in 0..effort.rounds {
        eprintln!("reload: round {} of {}", round + 1, effort.rounds);
        let times = load::open_loop(&running.address, RATE, SECONDS).await;
        table.add(&name, 0, load::percentile(&times, 100.0));
        for (column, (_, change)) in CHANGES.iter().enumerate() {
            first += change;
            let config = with_keys(upstream, KEYS, first);
            let (times, took) = tokio::join!(
                load::open_loop(&running.address, RATE, SECONDS),
                reload(&path, &config, &admin)
            );
            table.add(&name, column + 1, load::percentile(&times, 100.0));
            table.add("the reload itself, ms", column + 1, took);
        }
    }
}

/// Milliseconds of a reload in the middle of the load.
async fn reload(path: &Path, config: &str, admin: &str) -> f64 {
    tokio::time::sleep(Duration::from_secs(1)).await;
    std::fs::write(path, config).expect("a file");
    let started = now();
    let order = reqwest::Client::new()
        .post(format!("http://{admin}/admin/v1/reload"))
        .header("x-pointsman-admin", "1");
    let answer = order.send().await.expect("an answer");
    assert!(answer.status().is_success(), "{}", answer.status());
    started.elapsed().as_secs_f64() * 1e3
}
