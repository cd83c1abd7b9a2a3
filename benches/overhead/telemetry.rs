//! What telling costs: Pointsman with traces of one request in a hundred, metrics and stories of requests,
//! against itself without any of that. Metrics are counted in both; `cargo bench --bench telemetry` has their cost.

use crate::load::Shape;
use crate::process::{self, Kind};
use crate::{Figures, Plan, median};

pub async fn run(plan: &Plan) {
    let upstream = process::upstream();
    let mut silent = Figures::default();
    let mut telling = Figures::default();
    for round in 1..=plan.rounds {
        eprintln!("round {round} of {}", plan.rounds);
        let quiet = process::start(Kind::Silent, &upstream.address);
        let loud = process::start(Kind::Telling, &upstream.address);
        crate::plain(
            &quiet,
            &loud,
            Shape::Plain,
            plan,
            [&mut silent, &mut telling],
        )
        .await;
        for (running, figures) in [(&quiet, &mut silent), (&loud, &mut telling)] {
            crate::streams(running, plan, figures).await;
        }
    }
    println!(
        "{:<44} {:>10} {:>10} {:>8}",
        "median of all rounds", "silent", "telling", "ratio"
    );
    for (name, of) in [
        (
            "CPU µs per plain request",
            (|figures| &figures.plain_cpu) as crate::Column,
        ),
        ("p99 ms, plain, 64 connections", |figures| {
            &figures.plain_p99
        }),
        ("CPU µs per streamed answer of 60 events", |figures| {
            &figures.stream_cpu
        }),
        ("RSS MiB after the load", |figures| &figures.rss_mib),
    ] {
        let (quiet, loud) = (median(of(&silent)), median(of(&telling)));
        println!(
            "{name:<44} {quiet:>10.2} {loud:>10.2} {:>8.2}",
            loud / quiet
        );
    }
}
