//! How long an upstream's latest answers took, and when it last gave one: the measure of its silence, and of when a first
//! token is late. The provider's actor owns it. No I/O, no clock, no logging.

use std::time::Duration;

use super::hedge::FirstTokens;
use super::time::Time;

/// The number of latest answers of a kind that count.
const KEPT: usize = 8;

/// How long one attempt's upstream took.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LatencySample {
    /// Since the attempt's start.
    pub took: Duration,
    /// When it served, and how; `None` for an attempt that was abandoned before: `took` is then a lower bound.
    pub served: Option<Served>,
    /// Whether the caller asked for a stream: hedging uses these samples only.
    pub first_token: bool,
}

/// What an attempt served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Served {
    /// True when a stream began, false when a whole answer was complete.
    pub stream: bool,
    /// The moment of it.
    pub at: Time,
}

/// The statistics of one upstream.
#[derive(Debug, Default)]
pub struct LatencyStats {
    streams: Latest,
    wholes: Latest,
    served: Option<Time>,
    first_tokens: FirstTokens,
}

/// A ring.
#[derive(Debug, Default)]
struct Latest {
    took: [Option<Duration>; KEPT],
    next: usize,
}

impl Latest {
    fn add(&mut self, took: Duration) {
        if let Some(sample) = self.took.get_mut(self.next % KEPT) {
            *sample = Some(took);
        }
        self.next = (self.next + 1) % KEPT;
    }

    fn slowest(&self) -> Option<Duration> {
        self.took.iter().flatten().max().copied()
    }
}

impl LatencyStats {
    /// Adds a sample. Samples may come in another order than they were taken in.
    pub fn learn(&mut self, sample: &LatencySample) {
        if let Some(served) = sample.served {
            let latest = if served.stream {
                &mut self.streams
            } else {
                &mut self.wholes
            };
            latest.add(sample.took);
            self.served = self.served.max(Some(served.at));
        }
        if sample.first_token {
            self.first_tokens.learn(sample.took);
        }
    }

    /// What others need to know of it.
    pub fn snapshot(&self) -> LatencySnapshot {
        LatencySnapshot {
            slowest_stream: self.streams.slowest(),
            slowest_whole: self.wholes.slowest(),
            served: self.served,
            late_after: self.first_tokens.p95(),
        }
    }
}

/// What follows from an upstream's latest answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LatencySnapshot {
    /// The longest that one of the latest streams took to begin; `None` before the first.
    pub slowest_stream: Option<Duration>,
    /// The longest that one of the latest whole answers took; `None` before the first.
    pub slowest_whole: Option<Duration>,
    /// When it last served a request.
    pub served: Option<Time>,
    /// After so long a first token is late: see [`FirstTokens::p95`].
    pub late_after: Option<Duration>,
}

impl LatencySnapshot {
    /// The longest that one of the latest answers of the kind took; `None` before the first.
    pub fn slowest(&self, stream: bool) -> Option<Duration> {
        if stream {
            self.slowest_stream
        } else {
            self.slowest_whole
        }
    }

    /// Whether it served a request since then, that moment included.
    pub fn served_since(&self, then: Time) -> bool {
        self.served.is_some_and(|served| served >= then)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(stream: bool, took: u64, at: u64) -> LatencySample {
        LatencySample {
            took: Duration::from_millis(took),
            served: Some(Served {
                stream,
                at: Time::from_millis(at),
            }),
            first_token: stream,
        }
    }

    #[test]
    fn the_slowest_of_the_latest_answers_of_a_kind_counts() {
        let mut stats = LatencyStats::default();
        assert_eq!(stats.snapshot().slowest(false), None);
        for (n, millis) in [9000, 10, 20, 0, 40, 30, 20, 10].into_iter().enumerate() {
            stats.learn(&served(false, millis, n as u64));
        }
        let slowest = stats.snapshot().slowest(false);
        assert_eq!(slowest, Some(Duration::from_secs(9)));
        stats.learn(&served(false, 0, 8));
        let slowest = stats.snapshot().slowest(false);
        assert_eq!(slowest, Some(Duration::from_millis(40)));
        let streams = stats.snapshot().slowest(true);
        assert_eq!(streams, None, "streams are counted apart");
    }

    #[test]
    fn it_is_known_whether_anybody_was_served_meanwhile() {
        let mut stats = LatencyStats::default();
        assert!(!stats.snapshot().served_since(Time::ZERO));
        stats.learn(&served(true, 0, 5));
        stats.learn(&served(true, 0, 3));
        assert!(stats.snapshot().served_since(Time::from_millis(5)));
        assert!(!stats.snapshot().served_since(Time::from_millis(6)));
    }

    #[test]
    fn an_attempt_that_was_given_up_makes_first_tokens_later_and_serves_nobody() {
        let mut stats = LatencyStats::default();
        let given_up = LatencySample {
            served: None,
            ..served(true, 700, 0)
        };
        (0..20).for_each(|_| stats.learn(&given_up));
        let late_after = Some(Duration::from_millis(700));
        let expected = LatencySnapshot {
            late_after,
            ..LatencySnapshot::default()
        };
        assert_eq!(stats.snapshot(), expected);
    }
}
