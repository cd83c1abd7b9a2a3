//! What Pointsman costs on top of a call, against others that relay without any logic.
//!
//! `cargo bench --bench overhead` starts a fixed upstream, nginx (where it is installed), a bare relay of hyper, one of axum and
//! reqwest, and Pointsman, each in a process of its own, loads them in turn over equal connections and prints a table of medians
//! and of what they spread over; `docs/performance.md` says how to read it, and which flags choose its parts. `-- --quick` takes
//! minutes instead of a quarter of an hour; `-- --overload` offers ten times what can be served; `-- --telemetry` compares
//! Pointsman with itself, when it tells of nothing and when it sends traces and metrics; `-- --cache` when it relays an
//! answer and when it has kept it; `-- --fleet` alone and in a fleet. Timings are for reading, nothing asserts them.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a benchmark: it may end at the first surprise, and prints"
)]

mod beside;
mod caching;
mod fleet;
mod load;
mod overload;
mod process;
mod relay;
#[path = "../support/process.rs"]
mod support;
mod telemetry;
mod upstream;

use load::Shape;
use process::Running;

/// Connections of the closed loop.
const CONNECTIONS: usize = 64;
/// Slices of a round's plain requests.
const SLICES: usize = 10;
/// Requests per second of the open loop.
const RATE: u32 = 3000;

struct Plan {
    rounds: usize,
    plain: usize,
    streams: usize,
    seconds: u32,
}

fn main() {
    match std::env::var("OVERHEAD_ROLE").as_deref() {
        Ok("upstream") => return upstream::serve(),
        Ok("relay") => return relay::serve(),
        Ok("hyper") => return beside::hyper_relay::serve(),
        _ => {}
    }
    let arguments: Vec<String> = std::env::args().collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        // Run by `cargo test`: that it builds is all there is to see without a release build.
        return;
    }
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    if arguments.iter().any(|argument| argument == "--overload") {
        return runtime.block_on(overload::run(if quick { 5 } else { 60 }));
    }
    let told = arguments.iter().any(|argument| argument == "--telemetry");
    let plan = if quick {
        Plan {
            rounds: 1,
            plain: 10_000,
            streams: 640,
            seconds: 3,
        }
    } else {
        Plan {
            rounds: 5,
            plain: 40_000,
            streams: 1920,
            seconds: 10,
        }
    };
    if told {
        return runtime.block_on(telemetry::run(&plan));
    }
    if arguments.iter().any(|argument| argument == "--cache") {
        return runtime.block_on(caching::run(&plan));
    }
    if arguments.iter().any(|argument| argument == "--fleet") {
        return runtime.block_on(fleet::run(&plan));
    }
    runtime.block_on(beside::run(quick, &arguments));
}

#[derive(Default)]
struct Figures {
    plain_cpu: Vec<f64>,
    plain_p50: Vec<f64>,
    plain_p99: Vec<f64>,
    stream_cpu: Vec<f64>,
    rate_cpu: Vec<f64>,
    rate_p50: Vec<f64>,
    rate_p99: Vec<f64>,
    rss_mib: Vec<f64>,
}

/// Requests that are not streamed, in a closed loop.
async fn plain(
    bare: &Running,
    ours: &Running,
    shape: Shape,
    plan: &Plan,
    figures: [&mut Figures; 2],
) {
    for running in [bare, ours] {
        load::closed_loop(&running.address, shape, CONNECTIONS, 2000).await;
    }
    let mut cpu = [0.0; 2];
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..SLICES {
        for (turn, running) in [bare, ours].into_iter().enumerate() {
            let before = running.cpu_micros();
            let slice = plan.plain / SLICES;
            let more = load::closed_loop(&running.address, shape, CONNECTIONS, slice).await;
            cpu[turn] += running.cpu_micros() - before;
            times[turn].extend(more);
        }
    }
    for (figures, (cpu, times)) in figures.into_iter().zip(cpu.into_iter().zip(times)) {
        figures.plain_cpu.push(cpu / times.len() as f64);
        figures.plain_p50.push(load::percentile(&times, 50.0));
        figures.plain_p99.push(load::percentile(&times, 99.0));
    }
}

/// Streamed requests, then memory.
async fn streams(running: &Running, plan: &Plan, figures: &mut Figures) {
    let at = &running.address;
    let before = running.cpu_micros();
    let times = load::closed_loop(at, Shape::Stream, CONNECTIONS, plan.streams).await;
    let cpu = running.cpu_micros() - before;
    figures.stream_cpu.push(cpu / times.len() as f64);
    figures.rss_mib.push(running.rss_kib() / 1024.0);
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// One row's values, of each that is compared.
type Column = fn(&Figures) -> &Vec<f64>;
