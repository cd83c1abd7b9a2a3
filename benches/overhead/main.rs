//! What Pointsman costs on top of a call, against a bare relay of the same parts without any logic.
//!
//! `cargo bench --bench overhead` starts a fixed upstream, a bare relay (axum and reqwest) and Pointsman,
//! each in a process of its own, loads them in turn over equal connections and prints medians. `-- --quick`
//! takes seconds instead of minutes; `-- --overload` offers ten times what can be served; `-- --telemetry` compares
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

use std::time::Duration;

use load::Shape;
use process::{Kind, Running};

/// Connections of the closed loop.
const CONNECTIONS: usize = 64;
/// Slices of a round's plain requests.
const SLICES: usize = 10;
/// Streams held open at once to see what one costs.
const IDLE_STREAMS: usize = 1000;
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
    runtime.block_on(compare(&plan));
}

#[derive(Default)]
struct Figures {
    plain_cpu: Vec<f64>,
    plain_p50: Vec<f64>,
    plain_p99: Vec<f64>,
    stream_cpu: Vec<f64>,
    event_cpu: Vec<f64>,
    stream_p99: Vec<f64>,
    rate_cpu: Vec<f64>,
    rate_p50: Vec<f64>,
    rate_p99: Vec<f64>,
    rss_mib: Vec<f64>,
    idle_kib: Vec<f64>,
}

async fn compare(plan: &Plan) {
    let upstream = process::upstream();
    let mut direct = Figures::default();
    let mut relay = Figures::default();
    let mut pointsman = Figures::default();
    for round in 1..=plan.rounds {
        eprintln!("round {round} of {}", plan.rounds);
        let bare = process::start(Kind::Relay, &upstream.address);
        let ours = process::start(Kind::Pointsman, &upstream.address);
        // Slice by slice in turn: what else the machine does meets all of them alike.
        plain(
            &bare,
            &ours,
            Shape::Plain,
            plan,
            [&mut relay, &mut pointsman],
        )
        .await;
        for _ in 0..plan.seconds {
            open_loop(&upstream.address, &mut direct).await;
            open_loop(&bare.address, &mut relay).await;
            open_loop(&ours.address, &mut pointsman).await;
        }
        for (running, figures) in [(&bare, &mut relay), (&ours, &mut pointsman)] {
            streams(running, plan, figures).await;
        }
    }
    print(&direct, &relay, &pointsman);
    println!(
        "start to ready, 20 providers with 200 keys: {:.0} ms",
        process::start_to_ready()
    );
}

async fn open_loop(address: &str, figures: &mut Figures) {
    let times = load::open_loop(address, RATE, 1).await;
    figures.rate_p50.push(load::percentile(&times, 50.0));
    figures.rate_p99.push(load::percentile(&times, 99.0));
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
    figures
        .event_cpu
        .push(cpu / times.len() as f64 / upstream::EVENTS as f64);
    figures.stream_p99.push(load::percentile(&times, 99.0));
    figures.rss_mib.push(running.rss_kib() / 1024.0);
    let before = running.rss_kib();
    let held = load::hold_streams(at, IDLE_STREAMS).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    figures
        .idle_kib
        .push((running.rss_kib() - before) / IDLE_STREAMS as f64);
    drop(held);
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// One row's values, of each of the three.
type Column = fn(&Figures) -> &Vec<f64>;

fn print(direct: &Figures, relay: &Figures, pointsman: &Figures) {
    println!(
        "{:<44} {:>10} {:>10} {:>8}",
        "median of all rounds", "bare relay", "pointsman", "ratio"
    );
    let rows: [(&str, Column); 8] = [
        ("CPU µs per plain request", |f| &f.plain_cpu),
        ("p50 ms, plain, 64 connections", |f| &f.plain_p50),
        ("p99 ms, plain, 64 connections", |f| &f.plain_p99),
        ("CPU µs per streamed answer of 60 events", |f| {
            &f.stream_cpu
        }),
        ("CPU µs per streamed event", |f| &f.event_cpu),
        ("p99 ms, streamed, 64 connections", |f| &f.stream_p99),
        ("RSS MiB after the load", |f| &f.rss_mib),
        ("KiB per idle stream, 1,000 streams", |f| &f.idle_kib),
    ];
    for (name, of) in rows {
        let (bare, ours) = (median(of(relay)), median(of(pointsman)));
        println!("{name:<44} {bare:>10.2} {ours:>10.2} {:>8.2}", ours / bare);
    }
    for (name, of) in [
        (
            "added p50 ms at 3,000 requests/s",
            (|f| &f.rate_p50) as Column,
        ),
        ("added p99 ms at 3,000 requests/s", |f| &f.rate_p99),
    ] {
        let base = median(of(direct));
        let (bare, ours) = (median(of(relay)) - base, median(of(pointsman)) - base);
        println!("{name:<44} {bare:>10.3} {ours:>10.3} {:>8.2}", ours / bare);
    }
}
