//! What a kept answer costs: Pointsman that answers from its memory against itself when it relays the same answer of 2 KB.
//! Times at a fixed rate stand beside those of the upstream itself, asked directly: what the load and the machine add is in all.

use crate::load::{self, Shape};
use crate::process::{self, Kind};
use crate::{Column, Figures, Plan, RATE, median, plain};

pub async fn run(plan: &Plan) {
    let upstream = process::upstream();
    let mut direct = Figures::default();
    let mut relayed = Figures::default();
    let mut kept = Figures::default();
    for round in 1..=plan.rounds {
        eprintln!("round {round} of {}", plan.rounds);
        let relaying = process::start(Kind::Pointsman, &upstream.address);
        let keeping = process::start(Kind::Keeping, &upstream.address);
        let both = [&mut relayed, &mut kept];
        plain(&relaying, &keeping, Shape::Equal, plan, both).await;
        for _ in 0..plan.seconds {
            let processes = [
                (&upstream, &mut direct),
                (&relaying, &mut relayed),
                (&keeping, &mut kept),
            ];
            for (running, figures) in processes {
                let before = running.cpu_micros();
                let answers = load::open_loop_of(&running.address, Shape::Equal, RATE, 1).await;
                let cpu = running.cpu_micros() - before;
                figures.rate_cpu.push(cpu / answers.len() as f64);
                let times: Vec<f64> = answers.into_iter().map(|(_, took)| took).collect();
                figures.rate_p50.push(load::percentile(&times, 50.0));
                figures.rate_p99.push(load::percentile(&times, 99.0));
            }
        }
    }
    println!(
        "{:<44} {:>10} {:>10} {:>10} {:>8}",
        "median of all rounds", "upstream", "relayed", "kept", "ratio"
    );
    let rows: [(&str, Column); 5] = [
        ("CPU µs per answer of 2 KB, 64 connections", |figures| {
            &figures.plain_cpu
        }),
        ("p99 ms, 64 connections", |figures| &figures.plain_p99),
        ("CPU µs per answer, 3,000 requests/s", |figures| {
            &figures.rate_cpu
        }),
        ("p50 ms, 3,000 requests/s", |figures| &figures.rate_p50),
        ("p99 ms, 3,000 requests/s", |figures| &figures.rate_p99),
    ];
    for (name, of) in rows {
        let [direct, relayed, kept] = [&direct, &relayed, &kept].map(|it| median(of(it)));
        println!(
            "{name:<44} {direct:>10.2} {relayed:>10.2} {kept:>10.2} {:>8.2}",
            kept / relayed
        );
    }
}
