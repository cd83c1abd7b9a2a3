//! How well keys keep to limits that nobody told them: refusals by the upstream and the share of the capacity
//! that is used, at three times the demand.
//!
//! `cargo run --example pacing` prints a line for each kind of upstream, in simulated time; with a
//! word after it only for those whose name has that word.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "an experiment: it may end at the first surprise, and prints"
)]

mod sim;

use std::time::Duration;

use sim::{Kind, Setup, play};

fn main() {
    let base = Setup {
        kind: Kind::Bucket,
        headers: true,
        learn: true,
        keys: 4,
        rpm: 60,
        tpm: 10_000_000,
        demand: 3.0,
        tokens: 2000,
        warm_up: Duration::from_secs(5 * 60),
        measured: Duration::from_secs(30 * 60),
    };
    let window = Setup {
        kind: Kind::Window,
        ..base
    };
    let of_tokens = |setup: Setup| Setup {
        rpm: 6000,
        tpm: 60_000,
        ..setup
    };
    let silent = |setup: Setup| Setup {
        headers: false,
        keys: 1,
        warm_up: Duration::from_secs(20 * 60),
        measured: Duration::from_secs(2 * 3600),
        ..setup
    };
    let unlearned = |setup: Setup| Setup {
        learn: false,
        ..setup
    };
    let all = [
        ("requests, bucket, headers", base),
        ("requests, window, headers", window),
        ("tokens, bucket, headers", of_tokens(base)),
        ("tokens, window, headers", of_tokens(window)),
        ("requests, bucket, no headers", silent(base)),
        ("requests, window, no headers", silent(window)),
        ("tokens, bucket, no headers", silent(of_tokens(base))),
        ("tokens, window, no headers", silent(of_tokens(window))),
        ("not learning: bucket", unlearned(base)),
        ("not learning: window", unlearned(window)),
    ];
    println!(
        "upstream                      429/1000   used  served   429s  turned away  429s in warm-up"
    );
    let wanted = std::env::args().nth(1).unwrap_or_default();
    for (name, setup) in all.into_iter().filter(|(name, _)| name.contains(&wanted)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let figures = runtime.block_on(play(setup));
        println!(
            "{name:<29} {:>8.2} {:>5.1}% {:>7} {:>6} {:>12} {:>16}",
            figures.per_thousand(),
            figures.used * 100.0,
            figures.served,
            figures.refused_by_upstream,
            figures.turned_away,
            figures.refused_in_warm_up,
        );
    }
}
