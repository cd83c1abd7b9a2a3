//! Ten times more than can be served, for a minute: what a refusal takes, and whether memory stays bounded.

use std::time::Duration;

use crate::load::{self, Shape};
use crate::process;

/// An upstream that takes 200 ms with 100 places serves so many per second.
const CAPACITY: u32 = 500;
const TIMES: u32 = 10;

/// Where the load is shed, and the configuration for it.
const GATES: [(&str, &str, &str); 2] = [
    (
        "the waiting room is full (429)",
        "",
        "dispatch: {max_waiting: 50, await_cooldown: 1s}\n",
    ),
    (
        "the door is full (503)",
        "server: {max_in_flight: 150}\n",
        "",
    ),
];

pub async fn run(seconds: u32) {
    let upstream = process::upstream();
    for (name, server, dispatch) in GATES {
        let running = process::pointsman(&format!(
            "log: {{format: json}}\n{server}{dispatch}llm:\n  default_model: p\n  providers:\n    - {{name: p, base_url: 'http://{}/v1', model: m, api_key: key, limits: {{max_in_flight: 100}}}}\n",
            upstream.address
        ))
        .0;
        // Warm, and then as much as there is room for.
        load::open_loop_of(&running.address, Shape::Slow, CAPACITY / 2, 2).await;
        let rested = running.rss_kib();
        let cpu = running.cpu_micros();
        let mut most: f64 = 0.0;
        let mut served = Vec::new();
        let mut shed = Vec::new();
        for _ in 0..seconds {
            let answers =
                load::open_loop_of(&running.address, Shape::Slow, CAPACITY * TIMES, 1).await;
            for (status, took) in answers {
                if status == 200 {
                    &mut served
                } else {
                    &mut shed
                }
                .push(took);
            }
            most = most.max(running.rss_kib());
        }
        let cpu = (running.cpu_micros() - cpu) / (served.len() + shed.len()) as f64;
        tokio::time::sleep(Duration::from_secs(1)).await;
        println!("{name}, {seconds} s at {TIMES} x {CAPACITY}/s:");
        println!(
            "  served {} ({:.0} % of what there is room for), shed {}",
            served.len(),
            served.len() as f64 / f64::from(CAPACITY * seconds) * 100.0,
            shed.len()
        );
        println!(
            "  refused in p50 {:.2} ms, p99 {:.2} ms; served in p99 {:.0} ms; CPU {cpu:.1} µs per request",
            load::percentile(&shed, 50.0),
            load::percentile(&shed, 99.0),
            load::percentile(&served, 99.0),
        );
        println!(
            "  RSS before {:.1} MiB, at most {:.1} MiB, after {:.1} MiB",
            rested / 1024.0,
            most / 1024.0,
            running.rss_kib() / 1024.0
        );
    }
}
