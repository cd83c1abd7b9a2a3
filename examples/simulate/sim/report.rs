//! What a person reads: the figures of all runs, and a violation with its trace and the way to see it again.

use std::fmt::Write as _;

use super::run::{Outcome, run};
use super::state::Violation;
use super::tally::Tally;
use super::world::Setup;

/// Lines of the trace that are shown.
const SHOWN: usize = 40;

/// The figures.
pub fn figures(tally: &Tally) -> String {
    let mut out = String::new();
    let hours = tally.simulated.as_secs_f64() / 3600.0;
    let mut line = |name: &str, value: String| {
        let _ = writeln!(out, "{name:<46}{value:>14}");
    };
    line("seeds", tally.seeds.to_string());
    line("simulated hours", format!("{hours:.0}"));
    line("requests", tally.requests.to_string());
    line("attempts", tally.attempts.to_string());
    line("audits", tally.audits.to_string());
    line("clients that left", tally.left.to_string());
    line("slow readers", tally.slow_readers.to_string());
    line("readers that stopped for good", tally.stopped.to_string());
    line("second attempts beside the first", tally.races.to_string());
    line(
        "attempts to go on with a broken stream",
        tally.rescues.to_string(),
    );
    line(
        "streams that broke and were finished",
        tally.rescued.to_string(),
    );
    line("requests searched for keys", tally.listened.to_string());
    for (name, count) in &tally.endings {
        line(&format!("  end: {name}"), count.to_string());
    }
    for (fault, count) in &tally.faults {
        line(
            &format!("  upstream: {}", fault.as_str()),
            count.to_string(),
        );
    }
    for (trouble, count) in &tally.troubles {
        line(&format!("  trouble: {trouble}"), count.to_string());
    }
    for (fault, count) in &tally.own_faults {
        line(
            &format!("  everywhere for one request: {fault}"),
            count.to_string(),
        );
    }
    for (actor, count) in &tally.crashes {
        line(&format!("  crash: {actor}"), count.to_string());
    }
    line(
        "  crash: right after another",
        tally.double_crashes.to_string(),
    );
    line("reloads", tally.reloads.to_string());
    line("violations", tally.violations.to_string());
    line("nobody could have served", tally.hopeless.to_string());
    for (how, count) in &tally.missed_by {
        line(
            &format!("  could have been served: {how}"),
            count.to_string(),
        );
    }
    line("regret", format!("{:.4} %", tally.regret() * 100.0));
    if tally.fastest > 0 {
        let regret = tally.latency_regret() * 100.0;
        line("regret of latency", format!("{regret:.1} %"));
    }
    if tally.over_budget + tally.steered + tally.kills > 0 {
        line("refused for a budget", tally.over_budget.to_string());
        line("sent elsewhere by a budget", tally.steered.to_string());
        line("kills of the ledger's process", tally.kills.to_string());
        let over = tally.most_over as f64 / 10.0;
        line("most spent above a hard budget", format!("{over:.1} %"));
    }
    if tally.cacheable > 0 {
        let share = tally.cached_share() * 100.0;
        line("prompts in caches, of the ideal", format!("{share:.1} %"));
    }
    if tally.kept + tally.shared_calls > 0 {
        line("answers that were kept", tally.kept.to_string());
        line("served by kept answers", tally.hits.to_string());
        line("  by such that were out of date", tally.stale.to_string());
        line(
            "calls that others could join",
            tally.shared_calls.to_string(),
        );
        line("  served by having joined", tally.joined.to_string());
        let saved = tally.hits + tally.joined;
        line("calls saved", saved.to_string());
    }
    if tally.homes > 0 {
        let share = tally.home_share() * 100.0;
        line(
            "conversations home after an outage",
            format!("{share:.1} %"),
        );
    }
    line("amplification", format!("{:.4}", tally.amplification()));
    if tally.requests_in_outages > 0 {
        let during = tally.amplification_in_outages();
        line("  while a provider was out", format!("{during:.4}"));
        if !tally.back.is_zero() {
            let back = tally.back.as_secs_f64();
            line("  back after, seconds, at most", format!("{back:.3}"));
        }
    }
    line("  beyond failed attempts", format!("{:.4}", tally.excess()));
    out
}

/// Which law broke where.
pub fn headline(seed: u64, violation: &Violation) -> String {
    format!(
        "law {} broken by seed {seed} at {:?}, request {}: {}",
        violation.law, violation.at, violation.request, violation.what
    )
}

/// A violation, made as small as a few tries allow.
pub fn violation(outcome: &Outcome) -> Option<String> {
    let first = outcome.violation.as_ref()?;
    let (setup, violation) = smaller(outcome.setup, first.clone());
    let mut out = String::new();
    let _ = writeln!(out, "{}", headline(setup.seed, &violation));
    let own = violation
        .trace
        .iter()
        .filter(|event| event.request == violation.request);
    let _ = writeln!(out, "the request's own events:");
    own.for_each(|event| push(&mut out, event));
    let _ = writeln!(out, "the last {SHOWN} events:");
    let skipped = violation.trace.len().saturating_sub(SHOWN);
    violation
        .trace
        .iter()
        .skip(skipped)
        .for_each(|event| push(&mut out, event));
    let _ = writeln!(
        out,
        "again: cargo run --release --example simulate -- --scenario {} --seed {} --per-seed {}",
        setup.scenario.as_str(),
        setup.seed,
        setup.requests
    );
    Some(out)
}

fn push(out: &mut String, event: &super::state::Event) {
    let place = event.spot.map_or(String::new(), |spot| {
        format!("p{}#{} m{}", spot.maker, spot.key + 1, spot.model)
    });
    let _ = writeln!(
        out,
        "  {:>14} r{:<4} a{:<5} {:<10} {} {}",
        format!("{:?}", event.at),
        event.request,
        event.attempt,
        place,
        event.what,
        event.detail
    );
}

/// The same seed with fewer clients, as long as the same law breaks.
fn smaller(setup: Setup, violation: Violation) -> (Setup, Violation) {
    let mut best = (setup, violation);
    let mut low = 0;
    let mut high = setup.requests;
    while high - low > 1 {
        let requests = low + (high - low) / 2;
        let again = run(Setup { requests, ..setup });
        match again.violation {
            Some(violation) if violation.law == best.1.law => {
                best = (again.setup, violation);
                high = requests;
            }
            _ => low = requests,
        }
    }
    best
}
