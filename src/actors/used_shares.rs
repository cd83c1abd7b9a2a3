//! How much of a key's configured limits is used, as its actor publishes it with each attempt.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::domain::ids::ModelName;
use crate::domain::pace::LimitStatus;
use crate::domain::time::Time;

/// Both limits and the moment of that.
#[derive(Debug)]
pub(super) struct UsedShares {
    /// In millionths; `u32::MAX` for no limit.
    minute: AtomicU32,
    day: AtomicU32,
    at: AtomicU64,
}

impl Default for UsedShares {
    fn default() -> Self {
        Self {
            minute: AtomicU32::new(u32::MAX),
            day: AtomicU32::new(u32::MAX),
            at: AtomicU64::new(0),
        }
    }
}

const MINUTE: Duration = Duration::from_secs(60);

impl UsedShares {
    /// The used share of the tightest limit for a model, 0 to 1 and above, as of the last attempt, with limits that were
    /// learned; `None` where no limit is known.
    pub(super) fn tightest(
        &self,
        learned: &[LimitStatus],
        model: &ModelName,
        now: Time,
    ) -> Option<f64> {
        let learned = learned.iter().filter(|limit| limit.model == *model);
        let learned = learned.filter_map(|limit| {
            let (whole, left) = limit.limit.zip(limit.remaining)?;
            let is_over = limit.whole_at.is_some_and(|at| at <= now);
            Some(if is_over || whole <= 0.0 {
                0.0
            } else {
                1.0 - left / whole
            })
        });
        learned.chain(self.get(now)).reduce(f64::max)
    }

    pub(super) fn put(&self, [minute, day]: [Option<u32>; 2], now: Time) {
        let put = |place: &AtomicU32, share: Option<u32>| {
            place.store(share.unwrap_or(u32::MAX), Ordering::Relaxed);
        };
        put(&self.minute, minute);
        put(&self.day, day);
        self.at.store(now.as_nanos(), Ordering::Relaxed);
    }

    /// The tighter of both. What was used of a minute is taken to pass evenly while no further attempt tells.
    fn get(&self, now: Time) -> Option<f64> {
        let get = |place: &AtomicU32| {
            let share = Some(place.load(Ordering::Relaxed)).filter(|share| *share != u32::MAX);
            share.map(|share| f64::from(share) / 1e6)
        };
        let age = now.since(Time::from_nanos(self.at.load(Ordering::Relaxed)));
        let left = 1.0 - age.min(MINUTE).as_secs_f64() / MINUTE.as_secs_f64();
        let minute = get(&self.minute).map(|share| share * left);
        minute.into_iter().chain(get(&self.day)).reduce(f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_passes_and_a_day_does_not() {
        let shares = UsedShares::default();
        let at = |seconds: u64| Time::from_millis(seconds * 1000);
        assert_eq!(shares.get(at(5)), None);
        shares.put([Some(800_000), Some(100_000)], at(10));
        let near = |found: Option<f64>, expected: f64| {
            assert!(
                found.is_some_and(|found| (found - expected).abs() < 1e-9),
                "{found:?}"
            );
        };
        near(shares.get(at(10)), 0.8);
        near(shares.get(at(40)), 0.4);
        near(shares.get(at(1000)), 0.1);
    }
}
