//! Pointsman by itself, with many keys and many virtual providers: what a request costs, and how long the start takes.

use std::fmt::Write;

use super::Effort;
use super::counters::Reading;
use super::table::Table;
use crate::load::{Callers, Shape};
use crate::process;

const KEYS: [usize; 3] = [10, 1_000, 10_000];
const VIRTUALS: [usize; 4] = [1, 10, 100, 1_000];
const CONNECTIONS: usize = 32;
const SLICE: usize = 2500;
const SLICES: usize = 4;

pub async fn run(upstream: &str, effort: &Effort, keys: &mut Table, virtuals: &mut Table) {
    for round in 0..effort.rounds {
        eprintln!("keys: round {} of {}", round + 1, effort.rounds);
        let of_keys = KEYS.map(|count| (with_keys(upstream, count, 0), Shape::Plain));
        compare(&of_keys, round, keys, "keys").await;
        let of_virtuals =
            VIRTUALS.map(|count| (with_virtuals(upstream, count), Shape::Among(count)));
        compare(&of_virtuals, round, virtuals, "virtual providers").await;
    }
}

/// The heads of both tables, with the number of each column.
pub fn tables() -> (Table, Table) {
    let keys = KEYS.map(|count| format!("{count} keys"));
    let virtuals = VIRTUALS.map(|count| format!("{count} virtual"));
    (Table::new(keys, true), Table::new(virtuals, true))
}

async fn compare(configs: &[(String, Shape)], round: usize, table: &mut Table, of: &str) {
    let mut started = Vec::new();
    for (column, (config, shape)) in configs.iter().enumerate() {
        let (running, ready) = process::pointsman(config);
        table.add("start to ready, ms", column, ready);
        let mut callers = Callers::connect(&running.address, CONNECTIONS).await;
        // Until each was used, and what it takes is made.
        callers.run(*shape, 10_000).await;
        started.push((running, callers, *shape));
    }
    let mut cpu = vec![0.0; started.len()];
    for slice in 0..SLICES {
        for turn in 0..started.len() {
            let which = (turn + slice + round) % started.len();
            let (running, callers, shape) = &mut started[which];
            let before = Reading::of(running);
            callers.run(*shape, SLICE).await;
            cpu[which] += before.spent(running).cpu_micros;
        }
    }
    for (column, (running, _, _)) in started.iter().enumerate() {
        let name = format!("CPU µs per plain request, 32 connections, by {of}");
        table.add(&name, column, cpu[column] / (SLICE * SLICES) as f64);
        table.add("RSS MiB after that", column, running.rss_kib() / 1024.0);
    }
}

/// One provider with so many keys, whose names begin with a number.
pub fn with_keys(upstream: &str, count: usize, first: usize) -> String {
    let keys: Vec<String> = (first..first + count)
        .map(|key| format!("key-{key}"))
        .collect();
    format!(
        "log: {{format: json}}\nllm:\n  default_model: p\n  providers:\n    - {{name: p, base_url: 'http://{upstream}/v1', model: m, api_keys: [{}]}}\n",
        keys.join(", ")
    )
}

/// So many virtual providers of one provider.
fn with_virtuals(upstream: &str, count: usize) -> String {
    let mut config = with_keys(upstream, 3, 0) + "  virtual:\n";
    for number in 0..count {
        writeln!(config, "    - {{name: v{number}, upstreams: [p]}}").expect("memory");
    }
    config
}
