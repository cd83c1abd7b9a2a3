//! The number of requests that one key takes at the same time, learned from refusals: additive increase, multiplicative
//! decrease, as in TCP (Chiu and Jain 1989) and in Netflix's concurrency-limits; beside it a gradient on the
//! time to first byte after Netflix's Gradient2.
//!
//! There is no limit until the upstream refuses, so clients without trouble are never limited; the first
//! limit is the number that was under way then. Each round trip counts once: refusals of attempts that were sent before
//! the last decrease are ignored. What counts is how many were under way when an attempt was *sent*: at its end,
//! minutes later, it would be too late. No I/O, no clock, no logging.

use std::time::Duration;

use super::time::Time;

/// Left of the limit after a complaint.
const DECREASE: f64 = 0.8;
/// With fewer requests under way a refusal makes no limit: nearly every API takes this many at once.
const FEW: u32 = 4;
/// A limit that was not in use for this long is forgotten.
const FORGET: Duration = Duration::from_secs(60);
/// The gradient is not used before this many first bytes.
const SAMPLES: u32 = 50;
/// A recent time to first byte up to this multiple of the usual one is no sign of a queue (Gradient2: 1.5).
const TOLERANCE: f64 = 1.5;
/// The requests that may queue at the upstream without harm (Gradient2: 4).
const QUEUE: f64 = 4.0;
/// How much of a change of the gradient is taken over at once (Gradient2: 0.2).
const SMOOTHING: f64 = 0.2;
/// Samples that the usual and the recent average span (Gradient2: 600; the recent one stands in for its
/// sampling window, so that one long prompt is not taken for a queue).
const USUAL: f64 = 600.0;
const RECENT: f64 = 10.0;

/// A key's limit of requests at the same time, as learned.
#[derive(Clone, Debug, Default)]
pub struct Concurrency {
    /// The limit, at least 1.
    limit: Option<f64>,
    decreased: Time,
    in_use: Time,
    samples: u32,
    usual: f64,
    recent: f64,
}

impl Concurrency {
    /// The limit, at least 1; `None` for as long as there is none.
    pub fn limit(&self) -> Option<u32> {
        // Between 1 and what was once under way: whole and positive.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        self.limit.map(|limit| limit.max(1.0) as u32)
    }

    /// Whether the limit delays others when `in_flight` requests are under way.
    pub fn is_in_use(&self, in_flight: u32) -> bool {
        self.limit
            .is_some_and(|limit| f64::from(in_flight) * 2.0 >= limit)
    }

    /// An attempt was good. `in_flight` counts those under way when it was sent, itself included.
    pub fn succeeded(&mut self, in_flight: u32, now: Time) {
        let Some(limit) = self.limit else { return };
        if self.is_in_use(in_flight) {
            self.in_use = now;
            self.limit = Some(limit + 1.0 / limit);
        } else if now.since(self.in_use) > FORGET {
            self.limit = None;
        }
    }

    /// The upstream complained of too much (429, 503, 529) about an attempt sent at `sent`, when `in_flight`
    /// were under way, itself included. A complaint about one that was alone is not about concurrency, and one when
    /// few were is rather about a rate: it makes no limit.
    pub fn overloaded(&mut self, sent: Time, in_flight: u32, now: Time) {
        let says_nothing = match self.limit {
            None => in_flight < FEW,
            Some(_) => in_flight <= 1 || sent < self.decreased,
        };
        if says_nothing {
            return;
        }
        let known = self.limit.unwrap_or(f64::INFINITY);
        self.limit = Some((known.min(in_flight.into()) * DECREASE).max(1.0));
        self.decreased = now;
        self.in_use = now;
    }

    /// A stream's first byte came `span` after it was sent, when `in_flight` were under way. Only ever lowers a
    /// limit that a complaint has set.
    pub fn first_byte(&mut self, span: Duration, in_flight: u32) {
        let sample = span.as_secs_f64().max(1e-6);
        self.samples = self.samples.saturating_add(1);
        let warmth = f64::from(self.samples);
        let blend = |average: f64, spans: f64| average + (sample - average) / spans.min(warmth);
        self.usual = blend(self.usual, USUAL);
        self.recent = blend(self.recent, RECENT);
        if self.samples < SAMPLES {
            return;
        }
        if self.usual > self.recent * 2.0 {
            // It has become much faster: the memory of slow times must not hide a queue.
            self.usual *= 0.95;
        }
        let Some(limit) = self.limit else { return };
        let gradient = (TOLERANCE * self.usual / self.recent).clamp(0.5, 1.0);
        if gradient < 1.0 && self.is_in_use(in_flight) {
            let lowered = (limit * gradient + QUEUE).min(limit);
            self.limit = Some((limit + SMOOTHING * (lowered - limit)).max(1.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: Duration = Duration::from_secs(1);
    const MS: Duration = Duration::from_millis(1);

    fn at(seconds: u32) -> Time {
        Time::ZERO + S * seconds
    }

    #[test]
    fn nobody_is_limited_before_the_first_complaint() {
        let mut key = Concurrency::default();
        for n in 1..10_000 {
            key.succeeded(n, at(n));
            key.first_byte(if n % 2 == 0 { 9 * S } else { MS }, n);
        }
        assert_eq!(key.limit(), None);
    }

    #[test]
    fn a_complaint_takes_a_fifth_of_what_was_under_way_once_per_round_trip() {
        let mut key = Concurrency::default();
        key.overloaded(at(1), 50, at(2));
        assert_eq!(key.limit(), Some(40));
        // The other 49 attempts of that burst are ignored.
        for _ in 0..49 {
            key.overloaded(at(1), 50, at(3));
        }
        assert_eq!(key.limit(), Some(40));
        key.overloaded(at(4), 40, at(5));
        assert_eq!(key.limit(), Some(32));
    }

    #[test]
    fn a_complaint_about_few_makes_no_limit_and_one_about_one_alone_lowers_none() {
        let mut key = Concurrency::default();
        key.overloaded(at(1), 3, at(2));
        assert_eq!(key.limit(), None);
        for n in 1..20 {
            key.overloaded(at(2 * n), 4, at(2 * n + 1));
        }
        assert_eq!(key.limit(), Some(1), "not below one");
        let mut key = Concurrency::default();
        key.overloaded(at(1), 10, at(2));
        key.overloaded(at(3), 1, at(4));
        assert_eq!(key.limit(), Some(8));
    }

    #[test]
    fn a_limits_worth_of_successes_in_use_adds_one_and_disuse_forgets_it() {
        let mut key = Concurrency::default();
        key.overloaded(at(1), 10, at(2));
        assert_eq!(key.limit(), Some(8));
        for _ in 0..9 {
            key.succeeded(8, at(3));
        }
        assert_eq!(key.limit(), Some(9));
        for _ in 0..100 {
            key.succeeded(2, at(4));
        }
        assert_eq!(key.limit(), Some(9), "not in use: no reason to grow");
        key.succeeded(2, at(120));
        assert_eq!(key.limit(), None);
    }

    #[test]
    fn first_bytes_that_come_much_later_than_usual_lower_a_limit_in_use() {
        let mut key = Concurrency::default();
        for _ in 0..100 {
            key.first_byte(200 * MS, 50);
        }
        key.overloaded(at(1), 50, at(2));
        for _ in 0..20 {
            key.first_byte(900 * MS, 40);
        }
        let lowered = key.limit().unwrap();
        assert!((8..30).contains(&lowered), "{lowered}");
        for _ in 0..100 {
            key.first_byte(900 * MS, 2);
        }
        assert_eq!(key.limit(), Some(lowered), "not in use");
    }

    /// A server that takes 20 at once: the limit settles around that and most of it is used.
    #[test]
    fn it_converges_on_what_the_upstream_takes() {
        let mut key = Concurrency::default();
        let (mut refused, mut served) = (0, 0);
        for round in 0..400 {
            let (sent, now) = (at(round * 2), at(round * 2 + 1));
            let burst = key.limit().unwrap_or(100).min(100);
            for n in 1..=burst {
                if n > 20 {
                    refused += 1;
                    key.overloaded(sent, n, now);
                } else {
                    served += 1;
                    key.succeeded(burst, now);
                }
            }
        }
        assert!(refused < 300, "{refused} of {served}");
        assert!(served > 400 * 17, "{served}");
    }

    proptest! {
        #[test]
        fn the_limit_is_at_least_one_and_only_complaints_and_slowness_lower_it(
            events in prop::collection::vec((0u8..3, 1u32..500, 0u64..5000), 1..300)) {
            let mut key = Concurrency::default();
            let mut now = Time::ZERO;
            for (what, in_flight, span) in events {
                let before = key.limit().unwrap_or(u32::MAX);
                let sent = now;
                now = now + MS * u32::try_from(span).unwrap();
                match what {
                    0 => {
                        key.succeeded(in_flight, now);
                        prop_assert!(key.limit().unwrap_or(u32::MAX) >= before);
                    }
                    1 => key.overloaded(sent, in_flight, now),
                    _ => key.first_byte(Duration::from_millis(span), in_flight),
                }
                prop_assert!(key.limit().is_none_or(|limit| limit >= 1), "one can always go");
            }
        }
    }
}
