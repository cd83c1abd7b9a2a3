//! What a kept answer costs: Pointsman that answers from its memory against itself when it relays the same answer of 2 KB.

use crate::load::{self, Shape};
use crate::process::{self, Kind};
use crate::{Column, Figures, Plan, RATE, median, plain};

pub async fn run(plan: &Plan) {
    let upstream = process::upstream();
    let mut relayed = Figures::default();
    let mut kept = Figures::default();
    for round in 1..=plan.rounds {
        eprintln!("round {round} of {}", plan.rounds);
        let relaying = process::start(Kind::Pointsman, &upstream.address);
        let keeping = process::start(Kind::Keeping, &upstream.address);
        let both = [&mut relayed, &mut kept];
        plain(&relaying, &keeping, Shape::Equal, plan, both).await;
        for _ in 0..plan.seconds {
            for (running, figures) in [(&relaying, &mut relayed), (&keeping, &mut kept)] {
                let answers = load::open_loop_of(&running.address, Shape::Equal, RATE, 1).await;
                let times: Vec<f64> = answers.into_iter().map(|(_, took)| took).collect();
                figures.rate_p50.push(load::percentile(&times, 50.0));
                figures.rate_p99.push(load::percentile(&times, 99.0));
            }
        }
    }
    println!(
        "{:<44} {:>10} {:>10} {:>8}",
        "median of all rounds", "relayed", "kept", "ratio"
    );
    let rows: [(&str, Column); 4] = [
        ("CPU µs per answer of 2 KB", |figures| &figures.plain_cpu),
        ("p99 ms, 64 connections", |figures| &figures.plain_p99),
        ("p50 ms, 3,000 requests/s", |figures| &figures.rate_p50),
        ("p99 ms, 3,000 requests/s", |figures| &figures.rate_p99),
    ];
    for (name, of) in rows {
        let (relayed, kept) = (median(of(&relayed)), median(of(&kept)));
        println!(
            "{name:<44} {relayed:>10.2} {kept:>10.2} {:>8.2}",
            kept / relayed
        );
    }
}
