//! Simulates the whole dispatcher for as many requests as asked for, and reports what it saw.
//!
//! `cargo run --release --example simulate -- --requests 10000000`; `--seeds 1..1000`, `--seed 7`, `--per-seed 300`,
//! `--threads 2`, `--scenario swarm | ten-percent | outage | fleet`, `--twice` to compare the traces of two runs of each seed,
//! `--world` to see what a seed draws, `--until-broken` to stop at the first law that breaks.

#![expect(
    clippy::print_stdout,
    clippy::panic,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a tool for developers that prints; its threads share one count, its state is shared by one thread"
)]

mod fleet;
mod sim;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use fleet::world::{FleetSetup, FleetTally};
use sim::report;
use sim::run::run;
use sim::scenario::Scenario;
use sim::tally::Tally;
use sim::world::{Setup, World};

#[derive(Parser)]
struct Arguments {
    /// Requests in all; a seed is run to its end.
    #[arg(long, default_value_t = 100_000)]
    requests: u64,
    /// One seed only.
    #[arg(long)]
    seed: Option<u64>,
    /// From the first to before the last.
    #[arg(long)]
    seeds: Option<String>,
    /// Requests per seed.
    #[arg(long, default_value_t = 300)]
    per_seed: u32,
    #[arg(long, default_value_t = 2)]
    threads: usize,
    #[arg(long, default_value = "swarm")]
    scenario: String,
    /// Runs each seed twice and compares.
    #[arg(long)]
    twice: bool,
    /// Shows the world of each seed.
    #[arg(long)]
    world: bool,
    /// Stops at the first law that breaks, and does not make its run smaller.
    #[arg(long)]
    until_broken: bool,
}

/// Fleets of 2 to 16 processes until there are enough requests, or for these seeds; then refusals by the number of processes.
fn fleets(arguments: &Arguments) -> ExitCode {
    let mut total = FleetTally::default();
    let seeds = match (arguments.seed, arguments.seeds.as_deref().and_then(range)) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(seeds)) => seeds,
        (None, None) => 1..u64::MAX,
    };
    let is_bounded = seeds.end < u64::MAX;
    for seed in seeds {
        let nodes = [2, 3, 5, 16][usize::try_from(seed % 4).unwrap_or(0)];
        let setup = FleetSetup {
            seed,
            nodes,
            faults: true,
            is_shared: true,
        };
        let calm = FleetSetup {
            faults: false,
            nodes: nodes.min(5),
            ..setup
        };
        total.add(&fleet::world::run(setup));
        total.add(&fleet::world::run(calm));
        total.add(&fleet::parts::run(setup));
        let is_enough = !is_bounded && total.requests >= arguments.requests;
        if is_enough || total.violation.is_some() {
            break;
        }
    }
    if let Some(violation) = &total.violation {
        println!("law {violation}");
    }
    println!("requests {}", total.requests);
    println!("{total:#?}");
    if arguments.until_broken {
        return match total.violation {
            None => ExitCode::SUCCESS,
            Some(_) => ExitCode::FAILURE,
        };
    }
    for nodes in [1, 4, 16, 64] {
        let refused = |is_shared: bool| {
            let setup = |seed| FleetSetup {
                seed,
                nodes,
                faults: false,
                is_shared,
            };
            let runs = (1..=10).map(|seed| fleet::world::run(setup(seed)).refused);
            runs.sum::<u64>()
        };
        println!(
            "{nodes} processes: {} refused calls, {} without a fleet",
            refused(true),
            refused(false)
        );
        let limited = |is_shared: bool| {
            let mut all = FleetTally::default();
            for seed in 1..=10 {
                all.add(&fleet::parts::run(FleetSetup {
                    seed,
                    nodes,
                    faults: false,
                    is_shared,
                }));
            }
            all
        };
        let (shared, alone) = (limited(true), limited(false));
        println!(
            "  one key with a configured limit: {} refused of {} served, {} of {} without a fleet",
            shared.refused, shared.served, alone.refused, alone.served
        );
    }
    match total.violation {
        None => ExitCode::SUCCESS,
        Some(_) => ExitCode::FAILURE,
    }
}

/// `FROM..TO`
fn range(text: &str) -> Option<std::ops::Range<u64>> {
    let (from, to) = text.split_once("..")?;
    Some(from.parse().ok()?..to.parse().ok()?)
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.scenario == "fleet" {
        return fleets(&arguments);
    }
    let named = Scenario::ALL
        .iter()
        .find(|(_, name)| *name == arguments.scenario);
    let Some((scenario, _)) = named.copied() else {
        println!("no scenario `{}`", arguments.scenario);
        return ExitCode::FAILURE;
    };
    let seeds = match (arguments.seed, &arguments.seeds) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(text)) => match range(text) {
            Some(seeds) => seeds,
            None => {
                println!("--seeds wants FROM..TO");
                return ExitCode::FAILURE;
            }
        },
        (None, None) => {
            1..1 + arguments
                .requests
                .div_ceil(u64::from(arguments.per_seed.max(1)))
        }
    };
    let began = Instant::now();
    let next = AtomicU64::new(seeds.start);
    let total = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let setup = Setup {
                        seed,
                        requests: arguments.per_seed,
                        scenario,
                    };
                    if arguments.world {
                        println!("{:#?}", World::draw(setup));
                    }
                    let mut outcome = run(setup);
                    if arguments.twice && outcome.tally.hash != run(setup).tally.hash {
                        println!("seed {seed}: two runs differ");
                        outcome.tally.violations += 1;
                    }
                    if arguments.until_broken {
                        if let Some(violation) = &outcome.violation {
                            println!("{}", report::headline(seed, violation));
                            next.store(seeds.end, Ordering::Relaxed);
                        }
                    } else if let Some(text) = report::violation(&outcome) {
                        println!("{text}");
                    }
                    if let Ok(mut total) = total.lock() {
                        total.add(&outcome.tally);
                    }
                }
            });
        }
    });
    let Ok(total) = total.into_inner() else {
        return ExitCode::FAILURE;
    };
    println!(
        "{}wall seconds {:.1}",
        report::figures(&total),
        began.elapsed().as_secs_f64()
    );
    if total.violations == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
