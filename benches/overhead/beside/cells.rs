//! Closed loops: every peer in turn, slice by slice, at each number of connections and in each kind of answer.

use super::Effort;
use super::counters::{Reading, Spent, Tracer};
use super::peers::{Peer, Served, started};
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
        let served = started(peers, upstream);
        for kind in &KINDS {
            for connections in CONNECTIONS {
                let mut cell = Cell {
                    kind,
                    connections,
                    served: &served,
                    callers: Vec::new(),
                };
                cell.warm().await;
                cell.time(round, effort, table).await;
                // Every other round: strace makes all of it slow.
                if round % 2 == 0 {
                    cell.trace(&mut tracer, table).await;
                }
            }
        }
    }
    println!(
        "System calls: {}.",
        if tracer.is_allowed {
            "all, by `strace -c -f`, beside the slices that are timed"
        } else {
            "those that read and write, by /proc/PID/io"
        }
    );
}

/// One kind of answer at one number of connections.
struct Cell<'a> {
    kind: &'a Kind,
    connections: usize,
    served: &'a [Served],
    /// Of each peer.
    callers: Vec<Callers>,
}

impl Cell<'_> {
    /// Opens all connections, here and behind the peers.
    async fn warm(&mut self) {
        let total = self.connections.max((self.kind.slice)(1) / 2);
        for peer in self.served {
            let mut callers = Callers::connect(&peer.running.address, self.connections).await;
            callers.run(self.kind.shape, total).await;
            self.callers.push(callers);
        }
    }

    async fn time(&mut self, round: usize, effort: &Effort, table: &mut Table) {
        let count = self.served.len();
        let mut all: Vec<(Spent, f64)> = Vec::new();
        all.resize_with(count, Default::default);
        for slice in 0..self.kind.slices.div_ceil(effort.hurry) {
            for turn in 0..count {
                // Who goes first changes.
                let which = (turn + slice + round) % count;
                let running = &self.served[which].running;
                let before = Reading::of(running);
                let total = (self.kind.slice)(self.connections);
                let times = self.callers[which].run(self.kind.shape, total).await;
                let spent = before.spent(running);
                all[which].0.cpu_micros += spent.cpu_micros;
                all[which].0.switches += spent.switches;
                all[which].1 += (times.len() * self.kind.units) as f64;
            }
        }
        for (column, (spent, units)) in all.into_iter().enumerate() {
            table.add(&self.name("CPU µs"), column, spent.cpu_micros / units);
            table.add(
                &self.name("context switches"),
                column,
                spent.switches / units,
            );
        }
    }

    async fn trace(&mut self, tracer: &mut Tracer, table: &mut Table) {
        let name = self.name("system calls");
        let total = (self.kind.traced)(self.connections);
        for (column, callers) in self.callers.iter_mut().enumerate() {
            let work = callers.run(self.kind.shape, total);
            let calls = tracer.calls(&self.served[column].running, work).await;
            table.add(&name, column, calls / (total * self.kind.units) as f64);
        }
    }

    fn name(&self, what: &str) -> String {
        let Kind { name, unit, .. } = self.kind;
        format!("{name}, {}: {what} per {unit}", self.connections)
    }
}
