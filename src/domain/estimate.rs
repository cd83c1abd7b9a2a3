//! The estimate of a rate limit that the upstream does not name, from the rate at which refusals come.
//!
//! The first refusal starts the counting, the second makes an estimate. From then on attempts are spaced evenly
//! at that rate (GCRA, the virtual scheduling algorithm of ATM, ITU-T I.371), so that a limit per second and
//! one per minute look alike. Each refusal while the estimate was in use lowers it: to a half at most when it comes
//! soon after the last one, since the estimate was far too high; to a little less than what the last minute took when
//! that minute was quiet. Then it recovers along a cubic with a plateau at the rate that failed, as TCP CUBIC
//! does (RFC 9438), over accepted attempts or over time. It is forgotten when it has far outgrown the plateau and
//! delays no request any more. No I/O, no clock, no logging.

use std::time::Duration;

use super::time::Time;
use super::window::RollingSum;

/// Accepted attempts from a refusal to the plateau: fewer than one refusal in a thousand at the limit.
const PLATEAU_ATTEMPTS: f64 = 1500.0;
/// The time to the plateau at high rates: each refusal costs a cooldown of a minute or so.
const PLATEAU_SOONEST: Duration = Duration::from_secs(15 * 60);
/// The time to the plateau at low rates.
const PLATEAU_TIME: Duration = Duration::from_secs(20 * 60);
/// What is left after a refusal at the limit.
const DECREASE: f64 = 0.95;
/// In multiples of the way to the plateau: well beyond it, the limit is gone.
const FORGET: f64 = 4.0;
/// A refusal so soon after the last one says that the estimate is far off.
const SOON: Duration = Duration::from_secs(75);
/// How early an attempt may come: timers are not exact.
const TOLERANCE: Duration = Duration::from_millis(20);
/// A hint of at least this length means a limit per minute.
const LONG_HINT: Duration = Duration::from_secs(10);
/// An estimate is a guess: it holds attempts apart by no more, so that no request is refused for it.
const LONGEST: Duration = Duration::from_secs(5);
/// Amounts per second; less than one request in five minutes is no rate.
const LEAST: f64 = 1.0 / 300.0;

/// The estimate of one limit, in attempts or in tokens.
#[derive(Clone, Debug)]
pub struct Estimate {
    minute: RollingSum,
    second: RollingSum,
    rate: Option<RateEstimate>,
    refused: Time,
    began: Time,
}

#[derive(Clone, Copy, Debug)]
struct RateEstimate {
    /// Amounts per second at the plateau.
    plateau: f64,
    since: Time,
    accepted: f64,
    /// When the next one may go.
    free_at: Time,
    /// When it last delayed a request.
    in_use: Time,
}

impl RateEstimate {
    fn at(&self, now: Time) -> Option<f64> {
        let progress = self.progress(now);
        let cubic = 1.0 + (1.0 - DECREASE) * (progress - 1.0).powi(3);
        // While it delays requests it only grows: without it they would all be sent at once.
        let needed = progress < FORGET || now.since(self.in_use) < SOON;
        needed.then_some((self.plateau * cubic).max(LEAST))
    }

    fn progress(&self, now: Time) -> f64 {
        let of = |span: Duration| now.since(self.since).as_secs_f64() / span.as_secs_f64();
        let attempts = self.accepted / PLATEAU_ATTEMPTS;
        of(PLATEAU_TIME).max(attempts.min(of(PLATEAU_SOONEST)))
    }
}

impl Estimate {
    /// Begins to count: there was a first refusal at `now`.
    pub fn new(now: Time) -> Self {
        Self {
            minute: RollingSum::new(Duration::from_secs(60), 60),
            second: RollingSum::new(Duration::from_secs(1), 4),
            rate: None,
            refused: now,
            began: now,
        }
    }

    /// The estimated rate per second.
    pub fn rate(&self, now: Time) -> Option<f64> {
        self.rate?.at(now)
    }

    /// Whether it can be dropped: no estimate, and no refusal for long.
    pub fn is_idle(&self, now: Time) -> bool {
        self.rate(now).is_none() && now.since(self.refused) > PLATEAU_TIME
    }

    /// Whether the next attempt may be sent.
    ///
    /// # Errors
    /// When it may.
    pub fn ready(&self, now: Time) -> Result<(), Time> {
        let Some(rate) = self.rate.filter(|rate| rate.at(now).is_some()) else {
            return Ok(());
        };
        match rate.free_at {
            free_at if free_at <= now + TOLERANCE => Ok(()),
            free_at => Err(free_at),
        }
    }

    /// Notes that it delayed a request.
    pub fn held_back(&mut self, now: Time) {
        if let Some(rate) = &mut self.rate {
            rate.in_use = now;
        }
    }

    /// An attempt that takes `amount` is sent.
    pub fn sent(&mut self, amount: u64, now: Time) {
        self.minute.add(amount, now);
        self.second.add(amount, now);
        let Some(per_second) = self.rate(now) else {
            self.rate = None;
            return;
        };
        // Counts far below 2^52.
        #[expect(clippy::cast_precision_loss)]
        let span = Duration::try_from_secs_f64(amount as f64 / per_second).unwrap_or_default();
        if let Some(rate) = &mut self.rate {
            rate.free_at = rate.free_at.max(now) + span.min(LONGEST);
        }
    }

    /// An attempt was accepted.
    pub fn accepted(&mut self) {
        if let Some(rate) = &mut self.rate {
            rate.accepted += 1.0;
        }
    }

    /// An attempt that took `amount` was refused, and nothing explains why; `hint` is the upstream's
    /// word on when to come back. `sent` is when it was sent: of one burst the first refusal counts. `bound` says that
    /// something else held attempts back, so that the estimate could not show that it is too high.
    pub fn refused(
        &mut self,
        amount: u64,
        hint: Option<Duration>,
        bound: bool,
        sent: Time,
        now: Time,
    ) {
        self.minute.take_back_from(sent, amount, now);
        self.second.take_back_from(sent, amount, now);
        if sent < self.refused {
            return;
        }
        let since = now.since(self.refused);
        let counted = now.since(self.began).as_secs_f64().clamp(1.0, 60.0);
        self.refused = now;
        // Counts far below 2^52.
        #[expect(clippy::cast_precision_loss)]
        let (minute, second) = (
            self.minute.total(now) as f64 / counted,
            self.second.total(now) as f64,
        );
        let old = self.rate.and_then(|rate| Some((rate.at(now)?, rate)));
        if old.is_none() && second <= 0.0 && minute <= 0.0 {
            // Nothing was accepted: that gives no rate.
            return;
        }
        let plateau = match old {
            None if hint.is_some_and(|hint| hint >= LONG_HINT) => minute,
            None => second.max(minute),
            Some((per_second, rate)) => {
                let in_use = bound || now.since(rate.in_use) < SOON || minute > 0.7 * per_second;
                if !in_use {
                    per_second
                } else if since < SOON {
                    // What came through in a minute, cooldowns included, can come through again: refusals may
                    // have other reasons than the rate.
                    (per_second * 0.5 / DECREASE).max(minute).min(per_second)
                } else if since < SOON * 2 {
                    (per_second * 0.9).max(minute).min(per_second)
                } else {
                    per_second.min(minute.max(per_second * 0.5))
                }
            }
        };
        self.rate = Some(RateEstimate {
            plateau: plateau.max(LEAST),
            since: now,
            accepted: 0.0,
            free_at: now,
            in_use: old.map_or(now, |(_, rate)| rate.in_use),
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: Duration = Duration::from_secs(1);

    /// Demand without end against a limit of `most` per `window`; a refusal cools for `cooldown`. Returns refusals and
    /// accepted attempts in the second half of `span`.
    fn play(most: u32, window: Duration, cooldown: Duration, span: Duration) -> (u32, u32) {
        let mut estimate: Option<Estimate> = None;
        let (mut now, end) = (Time::ZERO, Time::ZERO + span);
        let (mut window_ends, mut left) = (Time::ZERO + window, most);
        let (mut refused, mut accepted) = (0, 0);
        while now < end {
            if now >= window_ends {
                let gone = now.since(window_ends).as_nanos() / window.as_nanos() + 1;
                window_ends = window_ends + window * u32::try_from(gone).unwrap();
                left = most;
            }
            if let Some(Err(ready)) = estimate.as_ref().map(|estimate| estimate.ready(now)) {
                estimate.as_mut().unwrap().held_back(now);
                now = ready;
                continue;
            }
            let counts = u32::from(now > Time::ZERO + span / 2);
            if let Some(estimate) = &mut estimate {
                estimate.sent(1, now);
            }
            if left > 0 {
                left -= 1;
                accepted += counts;
                if let Some(estimate) = &mut estimate {
                    estimate.accepted();
                }
                now = now + Duration::from_millis(2);
            } else {
                refused += counts;
                estimate
                    .get_or_insert_with(|| Estimate::new(now))
                    .refused(1, None, false, now, now);
                now = now + cooldown;
            }
        }
        (refused, accepted)
    }

    #[test]
    fn it_converges_on_a_limit_per_minute_and_on_one_per_second() {
        for (most, window) in [(60, 60 * S), (600, 60 * S), (5, S), (1, S)] {
            let span = 8 * 3600 * S;
            let (refused, accepted) = play(most, window, 60 * S, span);
            let capacity = f64::from(most) * span.as_secs_f64() / 2.0 / window.as_secs_f64();
            let used = f64::from(accepted) / capacity;
            assert!(
                refused * 1000 <= accepted,
                "{most} in {window:?}: {refused} of {accepted}"
            );
            assert!(used > 0.9, "{most} in {window:?}: {used}");
        }
    }

    #[test]
    fn without_refusals_it_is_forgotten_in_time() {
        let mut estimate = Estimate::new(Time::ZERO);
        let sent = Time::ZERO + S;
        estimate.sent(1, sent);
        estimate.sent(1, sent);
        estimate.refused(1, None, false, sent, sent);
        assert!(estimate.rate(sent).is_some());
        assert!(estimate.rate(sent + 80 * 60 * S).is_none());
    }

    #[test]
    fn refusals_of_one_burst_count_once() {
        let mut estimate = Estimate::new(Time::ZERO);
        let sent = Time::ZERO + S;
        for _ in 0..60 {
            estimate.sent(1, sent);
        }
        estimate.refused(1, None, false, sent, sent + S);
        let first = estimate.rate(sent + S).unwrap();
        for _ in 0..30 {
            estimate.refused(1, None, false, sent, sent + S);
        }
        assert_eq!(estimate.rate(sent + S), Some(first));
    }

    #[test]
    fn a_refusal_that_comes_late_takes_nothing_from_what_was_sent_since() {
        let mut estimate = Estimate::new(Time::ZERO);
        let (early, late) = (Time::ZERO + S, Time::ZERO + 6 * S);
        estimate.sent(10, early);
        estimate.sent(10, late);
        estimate.refused(10, None, false, early, late);
        let rate = estimate.rate(late).unwrap();
        assert!((9.0..=10.0).contains(&rate), "{rate}");
    }

    proptest! {
        #[test]
        fn the_wait_is_bounded_whatever_happens(events in prop::collection::vec((0u8..3, 1u64..1_000_000, 0u64..100_000), 1..200)) {
            let mut now = Time::ZERO;
            let mut estimate = Estimate::new(now);
            for (what, amount, pause) in events {
                now = now + Duration::from_millis(pause);
                match what {
                    0 => if estimate.ready(now).is_ok() { estimate.sent(amount, now) },
                    1 => estimate.accepted(),
                    _ => estimate.refused(amount, None, false, now, now),
                }
                if let Err(ready) = estimate.ready(now) {
                    prop_assert!(ready > now && ready.since(now) <= LONGEST + S);
                }
            }
        }
    }
}
