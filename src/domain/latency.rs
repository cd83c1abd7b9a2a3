//! How long an upstream's latest answers took, and when it last gave one: the measure of its silence, and of when a first
//! token is late. The provider's actor owns it. No I/O, no clock, no logging.

use std::time::Duration;

use super::hedge::FirstTokens;
use super::peak_ewma::PeakEwma;
use super::policy::Signal;
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
    /// When it ended.
    pub ended: Time,
    /// The upstream failed, in that time: nobody is to take it for fast.
    pub failed: bool,
    /// Tokens of a whole answer, if it says.
    pub completion: Option<u64>,
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
    averages: Averages,
}

/// Peak-sensitive averages, one for each kind of sample: kinds are never mixed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Averages {
    /// Until a stream's first token.
    pub stream: Option<PeakEwma>,
    /// Until the end of a whole answer.
    pub whole: Option<PeakEwma>,
    /// For each token of a whole answer.
    pub per_token: Option<PeakEwma>,
}

impl Averages {
    /// The average that a request of that kind goes by.
    pub fn of(&self, signal: Signal, stream: bool) -> Option<PeakEwma> {
        match (signal, stream) {
            (Signal::PerToken, _) => self.per_token.or(self.whole),
            (Signal::FirstToken, true) => self.stream,
            (Signal::FirstToken, false) => self.whole,
            (Signal::Total, _) => self.whole.or(self.stream),
        }
    }

    fn learn(&mut self, sample: &LatencySample, decay: Duration) {
        let (now, took) = (sample.ended, sample.took);
        let stream = sample
            .served
            .map_or(sample.first_token, |served| served.stream);
        let own = match stream {
            true => &mut self.stream,
            false => &mut self.whole,
        };
        let lower_bound = sample.served.is_none();
        let took = match own {
            // A failure counts as no faster than what is usual, so that an upstream that fails at once draws no requests.
            Some(average) if lower_bound => took.max(average.read(now, decay)),
            _ => took,
        };
        if sample.failed || !lower_bound || own.is_some_and(|own| took > own.read(now, decay)) {
            learn(own, took, now, decay);
        }
        let tokens = sample.completion.filter(|tokens| *tokens > 0);
        if let Some(tokens) = tokens.and_then(|tokens| u32::try_from(tokens).ok()) {
            learn(&mut self.per_token, took / tokens, now, decay);
        }
    }
}

fn learn(average: &mut Option<PeakEwma>, took: Duration, now: Time, decay: Duration) {
    match average {
        Some(average) => average.learn(took, now, decay),
        None => *average = Some(PeakEwma::new(took, now)),
    }
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
    /// Adds a sample. Samples may come in another order than they were taken in. `decay` is that of the averages.
    pub fn learn(&mut self, sample: &LatencySample, decay: Duration) {
        self.averages.learn(sample, decay);
        if let Some(served) = sample.served {
            let latest = if served.stream {
                &mut self.streams
            } else {
                &mut self.wholes
            };
            latest.add(sample.took);
            self.served = self.served.max(Some(served.at));
        }
        if sample.first_token && !sample.failed {
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
            averages: self.averages,
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
    /// Averages for those who choose by latency.
    pub averages: Averages,
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

    const DECAY: Duration = Duration::from_secs(10);

    fn served(stream: bool, took: u64, at: u64) -> LatencySample {
        LatencySample {
            took: Duration::from_millis(took),
            served: Some(Served {
                stream,
                at: Time::from_millis(at),
            }),
            first_token: stream,
            ended: Time::from_millis(at),
            failed: false,
            completion: None,
        }
    }

    #[test]
    fn the_slowest_of_the_latest_answers_of_a_kind_counts() {
        let mut stats = LatencyStats::default();
        assert_eq!(stats.snapshot().slowest(false), None);
        for (n, millis) in [9000, 10, 20, 0, 40, 30, 20, 10].into_iter().enumerate() {
            stats.learn(&served(false, millis, n as u64), DECAY);
        }
        let slowest = stats.snapshot().slowest(false);
        assert_eq!(slowest, Some(Duration::from_secs(9)));
        stats.learn(&served(false, 0, 8), DECAY);
        let slowest = stats.snapshot().slowest(false);
        assert_eq!(slowest, Some(Duration::from_millis(40)));
        let streams = stats.snapshot().slowest(true);
        assert_eq!(streams, None, "streams are counted apart");
    }

    #[test]
    fn it_is_known_whether_anybody_was_served_meanwhile() {
        let mut stats = LatencyStats::default();
        assert!(!stats.snapshot().served_since(Time::ZERO));
        stats.learn(&served(true, 0, 5), DECAY);
        stats.learn(&served(true, 0, 3), DECAY);
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
        (0..20).for_each(|_| stats.learn(&given_up, DECAY));
        let late_after = Some(Duration::from_millis(700));
        assert_eq!(stats.snapshot().late_after, late_after);
        assert_eq!(stats.snapshot().served, None);
    }

    #[test]
    fn streams_and_whole_answers_have_averages_of_their_own_and_failures_are_never_fast() {
        let mut stats = LatencyStats::default();
        stats.learn(&served(true, 200, 0), DECAY);
        stats.learn(&served(false, 3000, 0), DECAY);
        let read = |stats: &LatencyStats, stream| {
            let averages = stats.snapshot().averages;
            let average = averages.of(Signal::FirstToken, stream);
            average.unwrap().read(Time::ZERO, DECAY).as_millis()
        };
        assert_eq!((read(&stats, true), read(&stats, false)), (200, 3000));
        let failed = |took| LatencySample {
            served: None,
            failed: true,
            ..served(true, took, 0)
        };
        stats.learn(&failed(1), DECAY);
        assert_eq!(read(&stats, true), 200, "an instant failure is not fast");
        stats.learn(&failed(900), DECAY);
        assert_eq!(read(&stats, true), 900);
        let mut fresh = LatencyStats::default();
        fresh.learn(&failed(5), DECAY);
        assert!(fresh.snapshot().averages.stream.is_some());
        assert_eq!(fresh.snapshot().late_after, None);
        let tokens = LatencySample {
            completion: Some(100),
            ..served(false, 1000, 0)
        };
        stats.learn(&tokens, DECAY);
        let per_token = stats
            .snapshot()
            .averages
            .of(Signal::PerToken, false)
            .unwrap();
        assert_eq!(per_token.read(Time::ZERO, DECAY).as_millis(), 10);
    }
}
