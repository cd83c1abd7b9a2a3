//! The whole dispatcher in simulated time: fixed seeds, fresh seeds, and bugs that must be found.

#[path = "../../examples/simulate/sim/mod.rs"]
mod sim;

use std::time::Duration;

use pointsman::domain::mutant::Mutant;
use sim::listen::Listener;
use sim::report;
use sim::run::run;
use sim::scenario::Scenario;
use sim::tally::Tally;
use sim::world::Setup;

fn setup(seed: u64) -> Setup {
    Setup {
        seed,
        requests: 300,
        scenario: Scenario::Swarm,
        mutant: None,
    }
}

/// Runs the seeds; a broken law ends the test with the seed and how to see it again.
fn hold(setups: impl Iterator<Item = Setup>) -> Tally {
    let mut total = Tally::default();
    for setup in setups {
        let outcome = run(setup);
        if let Some(text) = report::violation(&outcome) {
            panic!("{text}");
        }
        total.add(&outcome.tally);
    }
    total
}

#[test]
fn the_laws_hold_for_fixed_seeds() {
    let total = hold((1..=60).map(setup));
    assert!(total.requests > 15_000, "{}", report::figures(&total));
    assert!(total.faults.len() > 45, "{}", report::figures(&total));
    assert_eq!(total.crashes.len(), 4, "{}", report::figures(&total));
}

#[test]
fn the_laws_hold_for_fresh_seeds() {
    // The seed is part of the message when a law breaks.
    let first = fastrand::Rng::new().u64(1_000_000..u64::MAX / 2);
    hold((first..first + 20).map(setup));
}

#[test]
fn a_seed_tells_the_same_story_twice() {
    for seed in 1..=15 {
        let (first, second) = (run(setup(seed)), run(setup(seed)));
        assert_eq!(first.tally.hash, second.tally.hash, "seed {seed}");
        assert_ne!(first.tally.hash, run(setup(seed + 1)).tally.hash);
    }
}

#[test]
fn one_failing_attempt_in_ten_and_an_outage_are_hidden() {
    // Of n requests n / (1 - 0.1) attempts must be made when one in ten fails.
    let scenarios = [
        (Scenario::TenPercent, 1.13),
        (Scenario::Outage, 1.3),
        (Scenario::SilentOutage, 1.3),
    ];
    for (scenario, most) in scenarios {
        let named = |seed| Setup {
            scenario,
            ..setup(seed)
        };
        let total = hold((1..=8).map(named));
        let figures = report::figures(&total);
        assert!(total.regret() <= 0.001, "{figures}");
        // The breaker's recovery time and one second.
        assert!(total.back <= Duration::from_secs(16), "{figures}");
        let amplification = if scenario == Scenario::TenPercent {
            total.amplification()
        } else {
            total.amplification_in_outages()
        };
        assert!(amplification <= most, "{figures}");
    }
}

#[test]
fn a_key_in_the_log_would_be_heard() {
    let listener = Listener::default();
    let heard = listener.attach();
    tracing::trace!(headers = ?["Bearer sk-planted-0-1"], "calling");
    drop(heard);
    assert!(listener.leak().is_some());
    assert!(listener.leak().is_none(), "told once");
}

/// The first of the seeds that finds the bug, and the law that it breaks.
fn caught(mutant: Mutant) -> Option<(u64, &'static str)> {
    (1..=150).find_map(|seed| {
        let outcome = run(Setup {
            mutant: Some(mutant),
            ..setup(seed)
        });
        Some((seed, outcome.violation?.law))
    })
}

macro_rules! mutants {
    ($($name:ident $mutant:ident breaks $($law:literal)|+;)+) => {
        $(
            #[test]
            fn $name() {
                let caught = caught(Mutant::$mutant);
                assert!(matches!(caught, Some((_, $($law)|+))), "{caught:?}");
            }
        )+

        #[test]
        fn every_planted_bug_has_its_test() {
            assert_eq!([$(Mutant::$mutant),+].len(), Mutant::ALL.len());
        }
    };
}

mutants! {
    finds_a_lease_whose_end_tells_nobody SettleForgotten breaks "L2";
    finds_a_cancelled_stream_that_keeps_its_lease CancelledStreamKeepsLease breaks "L2" | "L10";
    finds_a_cooldown_that_is_ignored CooldownIgnored breaks "L3" | "L5";
    finds_a_cooldown_that_is_shortened CooldownShortened breaks "L3" | "L5";
    finds_a_hint_that_is_ignored HintIgnored breaks "L3" | "L5" | "L7";
    finds_an_invalid_key_that_stays_in_use InvalidKeyKept breaks "L3" | "L5";
    finds_an_open_breaker_that_lets_through BreakerIgnored breaks "L3";
    finds_a_second_probe TwoProbes breaks "L3";
    finds_callers_faults_that_open_a_breaker CallerFaultTrips breaks "L7";
    finds_a_poison_request_that_opens_breakers PoisonCounts breaks "L7";
    finds_an_attempt_too_many OneAttemptMore breaks "L4";
    finds_a_key_asked_again_after_it_refused RefusedKeyAgain breaks "L4";
    finds_a_retry_budget_that_is_ignored RetryBudgetIgnored breaks "L4";
    finds_a_wait_beyond_the_deadline DeadlineIgnored breaks "L1";
    finds_a_cut_stream_that_looks_complete CutLooksComplete breaks "L8";
    finds_an_event_that_goes_out_twice EventTwice breaks "L8";
    finds_an_attempt_that_is_not_told AttemptNotTold breaks "L11";
    finds_a_state_that_is_lost_in_a_crash StateLostAtCrash breaks "L2" | "L3" | "L5";
    finds_a_lost_route_that_gives_up LostRouteGivesUp breaks "L6";
    finds_a_loser_of_a_race_that_goes_on LoserGoesOn breaks "L10" | "L2";
    finds_a_rescue_that_mixes_two_answers DivergedGoesOn breaks "L8";
}
