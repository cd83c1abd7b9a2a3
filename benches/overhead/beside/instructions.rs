//! Instructions by callgrind: the same from run to run. Each peer runs three times at once: with some requests, with twice as
//! many, and with as many and some streams; differences are what one costs.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::Effort;
use super::peers::{self, Launch, Peer};
use super::table::Table;
use crate::load::{Callers, Shape};
use crate::upstream::EVENTS;

/// How long a process may take to end and to write down what was counted, in looks of 100 ms.
const LOOKS: u32 = 600;

pub async fn run(peers: &[Peer], upstream: &str, effort: &Effort, table: &mut Table) {
    if !peers::installed("valgrind", "--version") {
        eprintln!("valgrind is not installed: no instructions");
        return;
    }
    let (some, streams) = (effort.counted, effort.counted / 10);
    for (column, peer) in peers.iter().enumerate() {
        eprintln!("instructions: {}", peer.name());
        let [once, twice, streamed] = [
            counted(*peer, upstream, some, 0),
            counted(*peer, upstream, 2 * some, 0),
            counted(*peer, upstream, some, streams),
        ];
        let (once, twice, streamed) = tokio::join!(once, twice, streamed);
        let request = (twice - once) / some as f64;
        let event = (streamed - once) / (streams * EVENTS) as f64;
        table.add(
            "instructions per plain request, thousands",
            column,
            request / 1e3,
        );
        table.add(
            "instructions per event, streamed at once, thousands",
            column,
            event / 1e3,
        );
    }
}

/// All instructions of a process that served so many requests and streams over one connection.
async fn counted(peer: Peer, upstream: &str, plain: usize, streams: usize) -> f64 {
    let files = tempfile::tempdir().expect("a directory");
    let file = files.path().join("callgrind.out");
    let launch = Launch::Counted(file.clone());
    let upstream = upstream.to_owned();
    let start = tokio::task::spawn_blocking(move || peer.start(&upstream, &launch));
    let served = start.await.expect("a process");
    let mut callers = Callers::connect(&served.running.address, 1).await;
    callers.run(Shape::Plain, plain).await;
    callers.run(Shape::Bulk, streams).await;
    drop(callers);
    let id = i32::try_from(served.running.process.id()).expect("a process");
    let id = Pid::from_raw(id).expect("a process");
    kill_process(id, Signal::TERM).expect("a signal");
    for _ in 0..LOOKS {
        if let Some(total) = total(&file) {
            return total;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    f64::NAN
}

/// What callgrind wrote last.
fn total(file: &Path) -> Option<f64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().rfind(|line| line.starts_with("totals:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
