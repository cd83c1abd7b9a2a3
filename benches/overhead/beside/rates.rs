//! An open loop at fixed rates: how long answers take when requests come whether or not others wait.

use super::Effort;
use super::peers::{Peer, started};
use super::table::Table;
use crate::load;

const RATES: [u32; 3] = [500, 1000, 3000];

/// What the upstream takes when it is asked directly, which is what the load and the machine add to all, goes to `direct`.
pub async fn run(
    peers: &[Peer],
    upstream: &str,
    effort: &Effort,
    table: &mut Table,
    direct: &mut Table,
) {
    for round in 0..effort.rounds {
        eprintln!("fixed rates: round {} of {}", round + 1, effort.rounds);
        let served = started(peers, upstream);
        for peer in &served {
            load::closed_loop(&peer.running.address, load::Shape::Plain, 32, 2000).await;
        }
        for rate in RATES {
            measure(upstream, rate, effort, direct, 0).await;
            for turn in 0..served.len() {
                let which = (turn + round) % served.len();
                measure(&served[which].running.address, rate, effort, table, which).await;
            }
        }
    }
}

async fn measure(address: &str, rate: u32, effort: &Effort, table: &mut Table, column: usize) {
    let times = load::open_loop(address, rate, effort.seconds).await;
    for percent in [50.0, 99.0, 99.9] {
        let micros = load::percentile(&times, percent) * 1e3;
        table.add(&format!("{rate} requests/s: p{percent} µs"), column, micros);
    }
}
