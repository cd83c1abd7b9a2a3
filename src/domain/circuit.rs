//! The circuit breaker of one upstream: closed, open, half-open with exactly one probe.
//!
//! Two signals trip it: failures in a row (a hard outage shows at once) and the failure rate of a window
//! (a flapping upstream never fails often enough in a row). An average that decays was rejected: a burst of
//! good answers hides an outage in it. The same pair, for the same reason, is what linkerd2's unified
//! breaker settled on. No I/O, no clock, no logging.

use std::time::Duration;

use super::time::Time;
use super::window::RollingSum;

/// When an upstream is left alone, and for how long.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BreakerPolicy {
    /// Failures in a row that open it; zero switches this signal off.
    pub failure_threshold: u32,
    /// Share of failures in the window that opens it, 0..=1; zero switches this signal off.
    pub failure_rate: f64,
    /// The window's length.
    pub window: Duration,
    /// The window says nothing before it holds so many outcomes.
    pub min_requests: u32,
    /// From opening, or from the start of a probe that failed, until one probe is let through.
    pub recovery_time: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            failure_threshold: 3,
            failure_rate: 0.5,
            window: Duration::from_secs(30),
            min_requests: 10,
            recovery_time: Duration::from_secs(15),
        }
    }
}

/// What the breaker says to an attempt that wants to start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gate {
    /// Go ahead.
    Closed,
    /// The recovery time is over: exactly one attempt may go ahead, as the probe.
    Probe,
    /// The probe is under way: wait for its result.
    Probing {
        /// When it started.
        since: Time,
    },
    /// Leave the upstream alone until then.
    Open {
        /// When a probe will be let through.
        until: Time,
    },
}

/// What an attempt's outcome means to the breaker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// The upstream served.
    Success,
    /// The upstream failed.
    Failure,
    /// It says nothing about the upstream (the caller's fault, a refused key, a cancellation).
    Neutral,
}

/// A change of state, for logs and for those who wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// It opened; a probe goes through at that moment.
    Opened {
        /// When a probe will be let through.
        until: Time,
        /// Failures in a row, or the failure rate of the window.
        why: Trip,
    },
    /// It closed: the upstream is well again.
    Closed,
    /// A probe ended without a verdict: the next attempt is the probe.
    ProbeFree,
}

/// Which signal opened the breaker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trip {
    /// So many failures in a row.
    Consecutive,
    /// Too large a share of failures in the window.
    Rate,
    /// The half-open probe failed.
    Probe,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Closed {
        failures_in_a_row: u32,
    },
    Open {
        until: Time,
    },
    /// With the moment at which the probe started, if one is under way.
    HalfOpen {
        probing: Option<Time>,
    },
}

/// One upstream's breaker.
#[derive(Clone, Debug)]
pub struct Circuit {
    policy: BreakerPolicy,
    state: State,
    successes: RollingSum,
    failures: RollingSum,
}

impl Circuit {
    /// A closed breaker.
    pub fn new(policy: BreakerPolicy) -> Self {
        Self {
            policy,
            state: State::Closed {
                failures_in_a_row: 0,
            },
            successes: RollingSum::new(policy.window, 10),
            failures: RollingSum::new(policy.window, 10),
        }
    }

    /// The configuration says otherwise now. A window of another length begins anew.
    pub fn configure(&mut self, policy: BreakerPolicy) {
        if self.policy.window != policy.window {
            self.successes = RollingSum::new(policy.window, 10);
            self.failures = RollingSum::new(policy.window, 10);
        }
        self.policy = policy;
    }

    /// What an attempt that wants to start would hear. Changes nothing.
    pub fn gate(&self, now: Time) -> Gate {
        match self.state {
            State::Closed { .. } => Gate::Closed,
            State::Open { until } if now < until => Gate::Open { until },
            State::Open { .. } | State::HalfOpen { probing: None } => Gate::Probe,
            State::HalfOpen {
                probing: Some(since),
            } => Gate::Probing { since },
        }
    }

    /// An attempt starts as the probe. Call it only after [`Gate::Probe`].
    pub fn begin_probe(&mut self, now: Time) {
        self.state = State::HalfOpen { probing: Some(now) };
    }

    /// The probe ended without a word (its key declined, or it was lost): another may go.
    pub fn probe_lost(&mut self) {
        if let State::HalfOpen { probing } = &mut self.state {
            *probing = None;
        }
    }

    /// An attempt ended at `now`. `probe` says whether it was the probe.
    pub fn record(&mut self, signal: Signal, probe: bool, now: Time) -> Option<Change> {
        match signal {
            Signal::Success => self.successes.add(1, now),
            Signal::Failure => self.failures.add(1, now),
            Signal::Neutral => {}
        }
        match (self.state, signal) {
            (State::Closed { .. }, Signal::Success) => {
                self.state = State::Closed {
                    failures_in_a_row: 0,
                };
                None
            }
            (State::Closed { failures_in_a_row }, Signal::Failure) => {
                let failures_in_a_row = failures_in_a_row.saturating_add(1);
                self.state = State::Closed { failures_in_a_row };
                let why = self.trip(failures_in_a_row, now)?;
                Some(self.open(why, now, now))
            }
            (State::HalfOpen { probing: Some(_) }, Signal::Success) if probe => {
                self.close();
                Some(Change::Closed)
            }
            (
                State::HalfOpen {
                    probing: Some(began),
                },
                Signal::Failure,
            ) if probe => Some(self.open(Trip::Probe, began, now)),
            (State::HalfOpen { probing: Some(_) }, Signal::Neutral) if probe => {
                self.state = State::HalfOpen { probing: None };
                Some(Change::ProbeFree)
            }
            // Attempts that began before it opened tell an old story.
            (State::Closed { .. } | State::Open { .. } | State::HalfOpen { .. }, _) => None,
        }
    }

    /// Whether it is closed without any failure on record (then it need not be kept).
    pub fn is_pristine(&self, now: Time) -> bool {
        self.state
            == (State::Closed {
                failures_in_a_row: 0,
            })
            && self.failures.total(now) == 0
    }

    fn trip(&self, failures_in_a_row: u32, now: Time) -> Option<Trip> {
        if self.policy.failure_threshold > 0 && failures_in_a_row >= self.policy.failure_threshold {
            return Some(Trip::Consecutive);
        }
        let failures = self.failures.total(now);
        let all = failures + self.successes.total(now);
        let enough = all >= u64::from(self.policy.min_requests.max(1));
        // Counts of one window: far below 2^52, so the conversion is exact.
        #[expect(clippy::cast_precision_loss)]
        let rate = failures as f64 / all.max(1) as f64;
        (self.policy.failure_rate > 0.0 && enough && rate >= self.policy.failure_rate)
            .then_some(Trip::Rate)
    }

    /// The recovery time runs from `since`: for a probe from its start, for one that hung until its timeout has cost
    /// enough of it already.
    fn open(&mut self, why: Trip, since: Time, now: Time) -> Change {
        let until = now.max(since + self.policy.recovery_time);
        self.state = State::Open { until };
        Change::Opened { until, why }
    }

    /// Starts from nothing: old failures must not trip it again at once.
    fn close(&mut self) {
        *self = Self::new(self.policy);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn circuit(failure_threshold: u32, failure_rate: f64) -> Circuit {
        Circuit::new(BreakerPolicy {
            failure_threshold,
            failure_rate,
            recovery_time: Duration::from_secs(1),
            ..BreakerPolicy::default()
        })
    }

    #[test]
    fn opens_after_failures_in_a_row_and_closes_after_one_good_probe() {
        let mut breaker = circuit(2, 0.0);
        let start = Time::ZERO;
        assert_eq!(breaker.record(Signal::Failure, false, start), None);
        assert!(matches!(
            breaker.record(Signal::Failure, false, start),
            Some(Change::Opened {
                why: Trip::Consecutive,
                ..
            })
        ));
        assert!(matches!(breaker.gate(start), Gate::Open { .. }));
        let later = start + Duration::from_secs(1);
        assert_eq!(breaker.gate(later), Gate::Probe);
        breaker.begin_probe(later);
        let probing = Gate::Probing { since: later };
        assert_eq!(breaker.gate(later), probing, "only one probe");
        assert_eq!(
            breaker.record(Signal::Success, true, later),
            Some(Change::Closed)
        );
        assert_eq!(breaker.gate(later), Gate::Closed);
    }

    #[test]
    fn a_failed_probe_opens_it_again_for_the_same_time() {
        let mut breaker = circuit(1, 0.0);
        breaker.record(Signal::Failure, false, Time::ZERO);
        for round in 1..10u64 {
            let now = Time::from_millis(1000 * round);
            assert_eq!(breaker.gate(now), Gate::Probe);
            breaker.begin_probe(now);
            breaker.record(Signal::Failure, true, now);
            assert_eq!(
                breaker.gate(now),
                Gate::Open {
                    until: now + Duration::from_secs(1)
                }
            );
        }
    }

    #[test]
    fn a_success_between_failures_keeps_it_closed() {
        let mut breaker = circuit(2, 0.0);
        for _ in 0..10 {
            breaker.record(Signal::Failure, false, Time::ZERO);
            breaker.record(Signal::Success, false, Time::ZERO);
        }
        assert_eq!(breaker.gate(Time::ZERO), Gate::Closed);
    }

    #[test]
    fn the_failure_rate_of_the_window_opens_it_too() {
        let mut breaker = circuit(0, 0.5);
        for _ in 0..5 {
            breaker.record(Signal::Success, false, Time::ZERO);
        }
        for _ in 0..4 {
            assert_eq!(breaker.record(Signal::Failure, false, Time::ZERO), None);
        }
        assert!(matches!(
            breaker.record(Signal::Failure, false, Time::ZERO),
            Some(Change::Opened {
                why: Trip::Rate,
                ..
            })
        ));
    }

    #[test]
    fn a_probe_that_hung_has_served_its_part_of_the_recovery_time() {
        let mut breaker = circuit(1, 0.0);
        breaker.record(Signal::Failure, false, Time::ZERO);
        breaker.begin_probe(Time::from_millis(1000));
        breaker.record(Signal::Failure, true, Time::from_millis(1700));
        let until = Time::from_millis(2000);
        assert_eq!(breaker.gate(Time::from_millis(1999)), Gate::Open { until });
        assert_eq!(breaker.gate(until), Gate::Probe);
    }

    #[test]
    fn late_results_of_older_attempts_change_nothing() {
        let mut breaker = circuit(1, 0.0);
        breaker.record(Signal::Failure, false, Time::ZERO);
        assert_eq!(breaker.record(Signal::Success, false, Time::ZERO), None);
        assert!(matches!(breaker.gate(Time::ZERO), Gate::Open { .. }));
        let later = Time::from_millis(1000);
        breaker.begin_probe(later);
        breaker.record(Signal::Success, false, later);
        breaker.record(Signal::Failure, false, later);
        assert_eq!(breaker.gate(later), Gate::Probing { since: later });
    }

    #[test]
    fn a_probe_without_a_verdict_frees_its_place() {
        let mut breaker = circuit(1, 0.0);
        breaker.record(Signal::Failure, false, Time::ZERO);
        let later = Time::from_millis(1000);
        breaker.begin_probe(later);
        breaker.record(Signal::Neutral, true, later);
        assert_eq!(breaker.gate(later), Gate::Probe);
        breaker.begin_probe(later);
        breaker.probe_lost();
        assert_eq!(breaker.gate(later), Gate::Probe);
    }

    proptest! {
        /// Law L3: whatever happens, an open breaker lets at most one probe at a time through.
        #[test]
        fn never_two_probes(events in prop::collection::vec((0u8..5, 0u64..700), 1..200)) {
            let mut breaker = circuit(2, 0.5);
            let mut now = Time::ZERO;
            let mut probing = false;
            for (event, step) in events {
                now = now + Duration::from_millis(step);
                match event {
                    0 => { breaker.record(Signal::Failure, false, now); }
                    1 => { breaker.record(Signal::Success, false, now); }
                    2 => match breaker.gate(now) {
                        Gate::Probe => { prop_assert!(!probing); breaker.begin_probe(now); probing = true; }
                        Gate::Probing { .. } => prop_assert!(probing),
                        Gate::Closed | Gate::Open { .. } => prop_assert!(!probing),
                    },
                    3 if probing => { breaker.record(Signal::Failure, true, now); probing = false; }
                    4 if probing => { breaker.record(Signal::Success, true, now); probing = false; }
                    _ => {}
                }
            }
        }
    }
}
