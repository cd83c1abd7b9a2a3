//! When a second attempt is started beside a slow first one, and how often that may happen.
//!
//! After Dean and Barroso, "The Tail at Scale": a copy after the 95th percentile costs about 5 % more load.
//! The budget is counted by all requests at once, without a lock. No I/O, no clock, no logging.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Fewer samples than this say nothing about the slowest twentieth.
pub const SAMPLES_TRUSTED: usize = 20;
/// A learned time below this is raised to it: a quick upstream's jitter is no reason to ask twice.
pub const SHORTEST_LEARNED: Duration = Duration::from_millis(100);
/// The number of latest samples that count.
const SAMPLES_KEPT: usize = 128;
/// One hedge, in units of the budget; a ratio is kept to a millionth.
const ONE: u64 = 1_000_000;
/// Hedges that may be saved up.
const MOST_SAVED: u64 = 10 * ONE;

/// A part of a request's time below this is too short to start anything in.
const SHORTEST_SHARE: Duration = Duration::from_millis(100);

/// When so large a share of the time `left` is gone that another upstream should be asked beside the first. `asked` is
/// the time that the caller gave. `None` when the first attempt's own timer, `longest`, is over before that share of it,
/// or nearly: what follows is the usual failover.
pub fn share_gone(
    asked: Duration,
    left: Duration,
    share: f64,
    longest: Duration,
) -> Option<Duration> {
    let share = share.clamp(0.0, 1.0);
    let hurries = share > 0.0 && asked.mul_f64(share) < longest / 10 * 9;
    Some(left.mul_f64(share)).filter(|gone| hurries && *gone >= SHORTEST_SHARE)
}

/// When a first token counts as late.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HedgeAfter {
    /// After this span.
    Span(Duration),
    /// After the 95th percentile of what was learned of the upstream.
    P95,
}

/// Whether and how requests are hedged.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct HedgePolicy {
    /// When the second attempt is started.
    pub after: HedgeAfter,
    /// Second attempts per request, over all requests, 0..=1.
    pub max_ratio: f64,
}

impl Default for HedgePolicy {
    fn default() -> Self {
        Self {
            after: HedgeAfter::P95,
            max_ratio: 0.05,
        }
    }
}

/// The latest times to the first token of one upstream.
#[derive(Debug, Default)]
pub struct FirstTokens {
    /// In the order in which they came.
    latest: VecDeque<Duration>,
    /// The same ones, shortest first: a percentile is looked up, and no request sorts.
    sorted: Vec<Duration>,
}

impl FirstTokens {
    /// Adds a sample.
    pub fn learn(&mut self, span: Duration) {
        if self.latest.len() >= SAMPLES_KEPT
            && let Some(oldest) = self.latest.pop_front()
            && let Ok(place) = self.sorted.binary_search(&oldest)
        {
            self.sorted.remove(place);
        }
        self.latest.push_back(span);
        let place = self.sorted.partition_point(|one| *one < span);
        self.sorted.insert(place, span);
    }

    /// The 95th percentile (nearest rank), not below [`SHORTEST_LEARNED`]; `None` before there are
    /// [`SAMPLES_TRUSTED`] samples.
    pub fn p95(&self) -> Option<Duration> {
        let known = self.sorted.len();
        if known < SAMPLES_TRUSTED {
            return None;
        }
        let rank = (known * 95).div_ceil(100).saturating_sub(1);
        self.sorted
            .get(rank)
            .map(|span| (*span).max(SHORTEST_LEARNED))
    }
}

/// A token bucket that is filled by requests and not by time: never more hedges than the ratio of requests.
#[derive(Debug)]
pub struct HedgeBudget {
    earned: u64,
    level: AtomicU64,
}

impl HedgeBudget {
    /// An empty budget.
    pub fn new(max_ratio: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let earned = (max_ratio.clamp(0.0, 1.0) * 1e6).round() as u64;
        Self {
            earned,
            level: AtomicU64::new(0),
        }
    }

    /// Counts a request, which earns its share.
    pub fn earn(&self) {
        self.add(self.earned);
    }

    /// Takes leave for one hedge, if there is any.
    pub fn take(&self) -> bool {
        let less = |level: u64| level.checked_sub(ONE);
        self.level
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    }

    /// A hedge that was taken leave for did not start after all.
    pub fn give_back(&self) {
        self.add(ONE);
    }

    fn add(&self, more: u64) {
        let more = |level: u64| Some(level.saturating_add(more).min(MOST_SAVED));
        // The update always has a value.
        let _ = self
            .level
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn learned(millis: impl IntoIterator<Item = u64>) -> FirstTokens {
        let mut tokens = FirstTokens::default();
        for one in millis {
            tokens.learn(Duration::from_millis(one));
        }
        tokens
    }

    #[test]
    fn only_who_hurries_has_its_time_shared() {
        let seconds = Duration::from_secs;
        let gone = |asked, left, share| share_gone(seconds(asked), left, share, seconds(300));
        assert_eq!(gone(10, seconds(10), 0.5), Some(seconds(5)));
        assert_eq!(
            gone(10, seconds(4), 0.5),
            Some(seconds(2)),
            "a later attempt"
        );
        assert_eq!(gone(600, seconds(600), 0.5), None);
        assert_eq!(
            gone(600, seconds(100), 0.5),
            None,
            "the caller does not hurry"
        );
        assert_eq!(gone(10, seconds(10), 0.0), None);
        assert_eq!(gone(10, Duration::from_millis(150), 0.5), None);
    }

    #[test]
    fn few_samples_are_not_trusted_and_the_slowest_twentieth_is_late() {
        assert_eq!(learned(0..19).p95(), None);
        let of_hundred = learned((1..=100).map(|one| one * 10)).p95();
        assert_eq!(of_hundred, Some(Duration::from_millis(950)));
    }

    #[test]
    fn a_quick_upstream_is_given_a_tenth_of_a_second() {
        assert_eq!(learned([3; 50]).p95(), Some(SHORTEST_LEARNED));
    }

    #[test]
    fn old_samples_are_forgotten() {
        let slow_then_quick = learned(std::iter::repeat_n(9000, 500).chain([200; SAMPLES_KEPT]));
        assert_eq!(slow_then_quick.p95(), Some(Duration::from_millis(200)));
    }

    #[test]
    fn what_was_given_back_may_be_taken_again() {
        let budget = HedgeBudget::new(1.0);
        assert!(!budget.take(), "nothing before the first request");
        budget.earn();
        assert!(budget.take() && !budget.take());
        budget.give_back();
        assert!(budget.take());
    }

    proptest! {
        #[test]
        fn there_are_never_more_hedges_than_the_ratio_of_requests(
            percent in 0u32..=100,
            wanted in prop::collection::vec(any::<bool>(), 0..300),
        ) {
            let budget = HedgeBudget::new(f64::from(percent) / 100.0);
            let mut hedges = 0usize;
            for (before, wanted) in wanted.into_iter().enumerate() {
                budget.earn();
                hedges += usize::from(wanted && budget.take());
                prop_assert!(hedges * 100 <= (before + 1) * percent as usize);
            }
        }

        #[test]
        fn the_learned_time_is_one_of_the_samples_or_the_floor(samples in prop::collection::vec(0u64..5000, 20..200)) {
            let p95 = learned(samples.iter().copied()).p95().unwrap();
            let is_sample = samples.iter().any(|one| Duration::from_millis(*one) == p95);
            prop_assert!(is_sample || p95 == SHORTEST_LEARNED);
        }
    }
}
