//! Closed loops: every peer in turn, slice by slice, at each number of connections and in each kind of answer.

use super::Effort;
use super::counters::{Reading, Tracer};
use super::peers::{Launch, Peer};
use super::table::Table;
use crate::load::{Callers, Shape};
use crate::upstream::EVENTS;

const CONNECTIONS: [usize; 4] = [1, 8, 32, 256];

/// A kind of answer, and what is counted in it.
struct Kind {
    name: &'static str,
    unit: &'static str,
    shape: Shape,
    /// Units in one answer.
    units: usize,
    /// Answers in a slice, at so many connections.
    slice: fn(usize) -> usize,
    /// Slices of a round.
    slices: usize,
    /// Answers of which the system calls are counted.
    traced: fn(usize) -> usize,
}

const KINDS: [Kind; 3] = [
    Kind {
        name: "plain",
        unit: "request",
        shape: Shape::Plain,
        units: 1,
        slice: |connections| if connections == 1 { 800 } else { 2500 },
        slices: 4,
        traced: |connections| connections.max(400),
    },
    Kind {
        name: "streamed at a pace",
        unit: "event",
        shape: Shape::Stream,
        units: EVENTS,
        // About a second.
        slice: |connections| {
            if connections == 256 {
                256
            } else {
                4 * connections
            }
        },
        slices: 2,
        traced: |connections| connections.max(2),
    },
    Kind {
        name: "streamed at once",
        unit: "event",
        shape: Shape::Bulk,
        units: EVENTS,
        slice: |connections| if connections == 1 { 150 } else { 500 },
        slices: 4,
        traced: |connections| connections.max(60),
    },
];

pub async fn run(peers: &[Peer], upstream: &str, effort: &Effort, table: &mut Table) {
    let mut tracer = Tracer::new();
    for round in 0..effort.rounds {
        eprintln!("relays: round {} of {}", round + 1, effort.rounds);
        let served: Vec<_> = peers
            .iter()
            .map(|peer| peer.start(upstream, &Launch::Plain))
            .collect();
        for kind in &KINDS {
            for connections in CONNECTIONS {
                let mut callers = Vec::new();
                for peer in &served {
                    let mut of = Callers::connect(&peer.running.address, connections).await;
                    of.run(kind.shape, connections.max((kind.slice)(1) / 2))
                        .await;
                    callers.push(of);
                }
                let mut spent = vec![(0.0, 0.0, 0.0); served.len()];
                let slices = kind.slices.div_ceil(effort.hurry);
                for slice in 0..slices {
                    for turn in 0..served.len() {
                        // Who goes first changes.
                        let which = (turn + slice + round) % served.len();
                        let running = &served[which].running;
                        let before = Reading::of(running);
                        let total = (kind.slice)(connections);
                        let times = callers[which].run(kind.shape, total).await;
                        let more = before.spent(running);
                        spent[which].0 += more.cpu_micros;
                        spent[which].1 += more.switches;
                        spent[which].2 += (times.len() * kind.units) as f64;
                    }
                }
                let name = |what: &str| {
                    let (kind, unit) = (kind.name, kind.unit);
                    format!("{kind}, {connections} connections: {what} per {unit}")
                };
                for (column, (cpu, switches, units)) in spent.into_iter().enumerate() {
                    table.add(&name("CPU µs"), column, cpu / units);
                    table.add(&name("context switches"), column, switches / units);
                }
                // Every other round: strace makes all of it slow.
                if round % 2 == 0 {
                    let total = (kind.traced)(connections);
                    for (column, (peer, of)) in served.iter().zip(&mut callers).enumerate() {
                        let work = of.run(kind.shape, total);
                        let calls = tracer.calls(&peer.running, work).await;
                        let units = (total * kind.units) as f64;
                        table.add(&name("system calls"), column, calls / units);
                    }
                }
            }
        }
    }
    println!(
        "System calls: {}.",
        if tracer.is_allowed {
            "all, by `strace -c -f`, beside the rounds that are timed"
        } else {
            "those that read and write, by /proc/PID/io"
        }
    );
}
