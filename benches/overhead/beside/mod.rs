//! Pointsman beside nginx and two bare relays, in one run: what a request costs each of them, in parts that can be chosen. At
//! the end the tables.

pub mod hyper_relay;

mod cells;
mod counters;
mod instructions;
mod peers;
mod rates;
mod reload;
mod resident;
mod scale;
mod table;

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::process;
use table::Table;

/// How much of it.
struct Effort {
    rounds: usize,
    /// A round is shorter by this.
    hurry: usize,
    /// Of each fixed rate.
    seconds: u32,
    idle_streams: usize,
    /// Requests of which instructions are counted.
    counted: usize,
}

const WHOLE: Effort = Effort {
    rounds: 5,
    hurry: 1,
    seconds: 3,
    idle_streams: 10_000,
    counted: 400,
};

const QUICK: Effort = Effort {
    rounds: 1,
    hurry: 2,
    seconds: 1,
    idle_streams: 2_000,
    counted: 100,
};

/// Names of parts as they are chosen; none chooses all.
const PARTS: [&str; 6] = [
    "--relays",
    "--rates",
    "--memory",
    "--instructions",
    "--keys",
    "--reload",
];

pub async fn run(quick: bool, arguments: &[String]) {
    let effort = if quick { QUICK } else { WHOLE };
    let is_chosen = |part: &str| arguments.iter().any(|argument| argument == part);
    let all = !PARTS.iter().any(|part| is_chosen(part));
    let does = |part: &str| all || is_chosen(part);
    raise_descriptors();
    let peers = peers::all();
    let upstream = process::upstream();
    let at = &upstream.address;
    let mut beside = Table::new(peers.iter().map(|peer| peer.name()), true);
    let mut direct = Table::new(["the upstream itself"], false);
    let (mut keys, mut virtuals) = scale::tables();
    let mut reloads = reload::table();
    if does("--relays") {
        cells::run(&peers, at, &effort, &mut beside).await;
    }
    if does("--rates") {
        rates::run(&peers, at, &effort, &mut beside, &mut direct).await;
    }
    if does("--memory") {
        resident::run(&peers, at, &effort, &mut beside).await;
    }
    if does("--instructions") {
        instructions::run(&peers, at, &effort, &mut beside).await;
    }
    if does("--keys") {
        scale::run(at, &effort, &mut keys, &mut virtuals).await;
    }
    if does("--reload") {
        reload::run(at, &effort, &mut reloads).await;
    }
    for table in [&beside, &direct, &keys, &virtuals, &reloads] {
        table.print();
    }
}

/// As many descriptors as this process may have; those that it starts have them too.
fn raise_descriptors() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        eprintln!("descriptors: {error}");
    }
}

#[expect(clippy::disallowed_methods, reason = "nothing else runs meanwhile")]
fn pause(span: Duration) {
    std::thread::sleep(span);
}
