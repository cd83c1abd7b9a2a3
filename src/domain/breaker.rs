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
    /// The outcomes that the window must hold before its share counts.
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
pub enum BreakerGate {
    /// Attempts may start.
    Closed,
    /// The recovery time is over: exactly one attempt may go ahead, as the probe.
    Probe,
    /// The probe is under way: wait for its result.
    Probing {
        /// When the probe started.
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
pub enum BreakerSignal {
    /// The upstream served.
    Success,
    /// The upstream failed.
    Failure,
    /// It says nothing about the upstream (the caller's fault, a refused key, a cancellation).
    Neutral,
}

/// A change of state, for logs and for waiting requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BreakerChange {
    /// It opened; a probe goes through at that moment.
    Opened {
        /// When a probe will be let through.
        until: Time,
        /// Failures in a row, or the failure rate of the window.
        why: TripReason,
    },
    /// It closed: the upstream is well again.
    Closed,
    /// A probe ended without a verdict: the next attempt is the probe.
    ProbeFree,
}

/// Which signal opened the breaker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TripReason {
    /// Too many failures in a row.
    Consecutive,
    /// Too large a share of failures in the window.
    Rate,
    /// The half-open probe failed.
    Probe,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum BreakerState {
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
pub struct Breaker {
    policy: BreakerPolicy,
    state: BreakerState,
    successes: RollingSum,
    failures: RollingSum,
    /// Half-open because another process found it unwell.
    suspected: bool,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(policy: BreakerPolicy) -> Self {
        Self {
            policy,
            state: BreakerState::Closed {
                failures_in_a_row: 0,
            },
            successes: RollingSum::new(policy.window, 10),
            failures: RollingSum::new(policy.window, 10),
            suspected: false,
        }
    }

    /// Another process found the upstream unwell: it is tried by one request before it is trusted. Changes nothing unless
    /// it is closed; says whether it was.
    pub fn suspect(&mut self) -> bool {
        let is_closed = matches!(self.state, BreakerState::Closed { .. });
        if is_closed {
            self.state = BreakerState::HalfOpen { probing: None };
            self.suspected = true;
        }
        is_closed
    }

    /// Another process found it well: what was only [`suspect`](Self::suspect)ed is trusted, unless it is being tried. Says
    /// whether that was so.
    pub fn trust(&mut self) -> bool {
        let waits = self.state == (BreakerState::HalfOpen { probing: None });
        let trusts = self.suspected && waits;
        if trusts {
            self.close();
        }
        trusts
    }

    /// Whether it is half-open by the word of another process alone.
    pub fn is_suspected(&self) -> bool {
        self.suspected
    }

    /// The configuration says otherwise now. A window of another length begins anew.
    pub fn configure(&mut self, policy: BreakerPolicy) {
        if self.policy.window != policy.window {
            self.successes = RollingSum::new(policy.window, 10);
            self.failures = RollingSum::new(policy.window, 10);
        }
        self.policy = policy;
    }

    /// Whether an attempt may start. Changes nothing.
    pub fn gate(&self, now: Time) -> BreakerGate {
        match self.state {
            BreakerState::Closed { .. } => BreakerGate::Closed,
            BreakerState::Open { until } if now < until => BreakerGate::Open { until },
            BreakerState::Open { .. } | BreakerState::HalfOpen { probing: None } => {
                BreakerGate::Probe
            }
            BreakerState::HalfOpen {
                probing: Some(since),
            } => BreakerGate::Probing { since },
        }
    }

    /// An attempt starts as the probe. Call it only after [`BreakerGate::Probe`].
    pub fn begin_probe(&mut self, now: Time) {
        self.state = BreakerState::HalfOpen { probing: Some(now) };
    }

    /// The probe ended without a word (its key declined, or it was lost): another may go.
    pub fn probe_lost(&mut self) {
        if let BreakerState::HalfOpen { probing } = &mut self.state {
            *probing = None;
        }
    }

    /// An attempt ended at `now`. `probe` says whether it was the probe.
    pub fn record(
        &mut self,
        signal: BreakerSignal,
        probe: bool,
        now: Time,
    ) -> Option<BreakerChange> {
        match signal {
            BreakerSignal::Success => self.successes.add(1, now),
            BreakerSignal::Failure => self.failures.add(1, now),
            BreakerSignal::Neutral => {}
        }
        match (self.state, signal) {
            (BreakerState::Closed { .. }, BreakerSignal::Success) => {
                self.state = BreakerState::Closed {
                    failures_in_a_row: 0,
                };
                None
            }
            (BreakerState::Closed { failures_in_a_row }, BreakerSignal::Failure) => {
                let failures_in_a_row = failures_in_a_row.saturating_add(1);
                self.state = BreakerState::Closed { failures_in_a_row };
                let why = self.trip(failures_in_a_row, now)?;
                Some(self.open(why, now, now))
            }
            (BreakerState::HalfOpen { probing: Some(_) }, BreakerSignal::Success) if probe => {
                self.close();
                Some(BreakerChange::Closed)
            }
            (
                BreakerState::HalfOpen {
                    probing: Some(began),
                },
                BreakerSignal::Failure,
            ) if probe => Some(self.open(TripReason::Probe, began, now)),
            (BreakerState::HalfOpen { probing: Some(_) }, BreakerSignal::Neutral) if probe => {
                self.state = BreakerState::HalfOpen { probing: None };
                Some(BreakerChange::ProbeFree)
            }
            // Outcomes of attempts that began before it opened are out of date.
            (
                BreakerState::Closed { .. }
                | BreakerState::Open { .. }
                | BreakerState::HalfOpen { .. },
                _,
            ) => None,
        }
    }

    /// Whether it is closed without any failure on record (then it need not be kept).
    pub fn is_pristine(&self, now: Time) -> bool {
        self.state
            == (BreakerState::Closed {
                failures_in_a_row: 0,
            })
            && self.failures.total(now) == 0
    }

    fn trip(&self, failures_in_a_row: u32, now: Time) -> Option<TripReason> {
        if self.policy.failure_threshold > 0 && failures_in_a_row >= self.policy.failure_threshold {
            return Some(TripReason::Consecutive);
        }
        let failures = self.failures.total(now);
        let all = failures + self.successes.total(now);
        let enough = all >= u64::from(self.policy.min_requests.max(1));
        // Counts of one window: far below 2^52, so the conversion is exact.
        #[expect(clippy::cast_precision_loss)]
        let rate = failures as f64 / all.max(1) as f64;
        (self.policy.failure_rate > 0.0 && enough && rate >= self.policy.failure_rate)
            .then_some(TripReason::Rate)
    }

    /// The recovery time runs from `since`: for a probe from its start, because one that hung until its timeout has
    /// used up recovery time already.
    fn open(&mut self, why: TripReason, since: Time, now: Time) -> BreakerChange {
        let until = now.max(since + self.policy.recovery_time);
        self.suspected = false;
        self.state = BreakerState::Open { until };
        BreakerChange::Opened { until, why }
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

    fn circuit(failure_threshold: u32, failure_rate: f64) -> Breaker {
        Breaker::new(BreakerPolicy {
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
        assert_eq!(breaker.record(BreakerSignal::Failure, false, start), None);
        assert!(matches!(
            breaker.record(BreakerSignal::Failure, false, start),
            Some(BreakerChange::Opened {
                why: TripReason::Consecutive,
                ..
            })
        ));
        assert!(matches!(breaker.gate(start), BreakerGate::Open { .. }));
        let later = start + Duration::from_secs(1);
        assert_eq!(breaker.gate(later), BreakerGate::Probe);
        breaker.begin_probe(later);
        let probing = BreakerGate::Probing { since: later };
        assert_eq!(breaker.gate(later), probing, "only one probe");
        assert_eq!(
            breaker.record(BreakerSignal::Success, true, later),
            Some(BreakerChange::Closed)
        );
        assert_eq!(breaker.gate(later), BreakerGate::Closed);
    }

    #[test]
    fn a_failed_probe_opens_it_again_for_the_same_time() {
        let mut breaker = circuit(1, 0.0);
        breaker.record(BreakerSignal::Failure, false, Time::ZERO);
        for round in 1..10u64 {
            let now = Time::from_millis(1000 * round);
            assert_eq!(breaker.gate(now), BreakerGate::Probe);
            breaker.begin_probe(now);
            breaker.record(BreakerSignal::Failure, true, now);
            assert_eq!(
                breaker.gate(now),
                BreakerGate::Open {
                    until: now + Duration::from_secs(1)
                }
            );
        }
    }

    #[test]
    fn a_success_between_failures_keeps_it_closed() {
        let mut breaker = circuit(2, 0.0);
        for _ in 0..10 {
            breaker.record(BreakerSignal::Failure, false, Time::ZERO);
            breaker.record(BreakerSignal::Success, false, Time::ZERO);
        }
        assert_eq!(breaker.gate(Time::ZERO), BreakerGate::Closed);
    }

    #[test]
    fn the_failure_rate_of_the_window_opens_it_too() {
        let mut breaker = circuit(0, 0.5);
        for _ in 0..5 {
            breaker.record(BreakerSignal::Success, false, Time::ZERO);
        }
        for _ in 0..4 {
            assert_eq!(
                breaker.record(BreakerSignal::Failure, false, Time::ZERO),
                None
            );
        }
        assert!(matches!(
            breaker.record(BreakerSignal::Failure, false, Time::ZERO),
            Some(BreakerChange::Opened {
                why: TripReason::Rate,
                ..
            })
        ));
    }

    #[test]
    fn a_probe_that_hung_has_served_its_part_of_the_recovery_time() {
        let mut breaker = circuit(1, 0.0);
        breaker.record(BreakerSignal::Failure, false, Time::ZERO);
        breaker.begin_probe(Time::from_millis(1000));
        breaker.record(BreakerSignal::Failure, true, Time::from_millis(1700));
        let until = Time::from_millis(2000);
        assert_eq!(
            breaker.gate(Time::from_millis(1999)),
            BreakerGate::Open { until }
        );
        assert_eq!(breaker.gate(until), BreakerGate::Probe);
    }

    #[test]
    fn late_results_of_older_attempts_change_nothing() {
        let mut breaker = circuit(1, 0.0);
        breaker.record(BreakerSignal::Failure, false, Time::ZERO);
        assert_eq!(
            breaker.record(BreakerSignal::Success, false, Time::ZERO),
            None
        );
        assert!(matches!(breaker.gate(Time::ZERO), BreakerGate::Open { .. }));
        let later = Time::from_millis(1000);
        breaker.begin_probe(later);
        breaker.record(BreakerSignal::Success, false, later);
        breaker.record(BreakerSignal::Failure, false, later);
        assert_eq!(breaker.gate(later), BreakerGate::Probing { since: later });
    }

    #[test]
    fn a_probe_without_a_verdict_frees_its_place() {
        let mut breaker = circuit(1, 0.0);
        breaker.record(BreakerSignal::Failure, false, Time::ZERO);
        let later = Time::from_millis(1000);
        breaker.begin_probe(later);
        breaker.record(BreakerSignal::Neutral, true, later);
        assert_eq!(breaker.gate(later), BreakerGate::Probe);
        breaker.begin_probe(later);
        breaker.probe_lost();
        assert_eq!(breaker.gate(later), BreakerGate::Probe);
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
                    0 => { breaker.record(BreakerSignal::Failure, false, now); }
                    1 => { breaker.record(BreakerSignal::Success, false, now); }
                    2 => match breaker.gate(now) {
                        BreakerGate::Probe => { prop_assert!(!probing); breaker.begin_probe(now); probing = true; }
                        BreakerGate::Probing { .. } => prop_assert!(probing),
                        BreakerGate::Closed | BreakerGate::Open { .. } => prop_assert!(!probing),
                    },
                    3 if probing => { breaker.record(BreakerSignal::Failure, true, now); probing = false; }
                    4 if probing => { breaker.record(BreakerSignal::Success, true, now); probing = false; }
                    _ => {}
                }
            }
        }
    }
}
