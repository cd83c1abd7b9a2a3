//! How long an upstream's latest answers took, and when it last gave one: the measure of its silence.
//!
//! All requests write it at once and without a lock: each number stands for itself, and one that is a moment old does no
//! harm. No I/O, no clock, no logging.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::time::Time;

/// The number of latest answers of a kind that count.
const KEPT: usize = 8;

/// The statistics of one upstream.
#[derive(Debug, Default)]
pub struct LatencyStats {
    streams: Latest,
    wholes: Latest,
    /// Nanoseconds since the process's start, plus one; 0 when it never served.
    served: AtomicU64,
}

/// Milliseconds plus one; 0 is a place not used yet.
#[derive(Debug, Default)]
struct Latest {
    millis: [AtomicU32; KEPT],
    next: AtomicUsize,
}

impl LatencyStats {
    /// Adds an answer: a stream began, or a whole answer was complete, this long after it was asked.
    pub fn served(&self, stream: bool, took: Duration, now: Time) {
        let latest = self.of(stream);
        let millis = u32::try_from(took.as_millis()).unwrap_or(u32::MAX - 1);
        let place = latest.next.fetch_add(1, Ordering::Relaxed) % KEPT;
        if let Some(sample) = latest.millis.get(place) {
            sample.store(millis.saturating_add(1), Ordering::Relaxed);
        }
        self.served.fetch_max(now.as_nanos() + 1, Ordering::Relaxed);
    }

    /// The longest that one of the latest answers of the kind took, to the millisecond; `None` before the first.
    pub fn slowest(&self, stream: bool) -> Option<Duration> {
        let millis = self.of(stream).millis.iter();
        let longest = millis.map(|one| one.load(Ordering::Relaxed)).max()?;
        let longest = longest.checked_sub(1)?;
        Some(Duration::from_millis(u64::from(longest)))
    }

    /// Whether it has served any request since then.
    pub fn served_since(&self, then: Time) -> bool {
        self.served.load(Ordering::Relaxed) > then.as_nanos()
    }

    fn of(&self, stream: bool) -> &Latest {
        if stream { &self.streams } else { &self.wholes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_of_the_latest_answers_of_a_kind_counts() {
        let pulse = LatencyStats::default();
        assert_eq!(pulse.slowest(false), None);
        for (n, millis) in [9000, 10, 20, 0, 40, 30, 20, 10].into_iter().enumerate() {
            let now = Time::from_millis(n as u64);
            pulse.served(false, Duration::from_millis(millis), now);
        }
        assert_eq!(pulse.slowest(false), Some(Duration::from_secs(9)));
        pulse.served(false, Duration::ZERO, Time::from_millis(8));
        assert_eq!(pulse.slowest(false), Some(Duration::from_millis(40)));
        assert_eq!(pulse.slowest(true), None, "streams are counted apart");
    }

    #[test]
    fn it_is_known_whether_anybody_was_served_meanwhile() {
        let pulse = LatencyStats::default();
        assert!(!pulse.served_since(Time::ZERO));
        pulse.served(true, Duration::ZERO, Time::from_millis(5));
        assert!(pulse.served_since(Time::from_millis(5)));
        assert!(!pulse.served_since(Time::from_millis(6)));
    }
}
