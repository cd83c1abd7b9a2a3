//! A rate per minute as one number: the generic cell rate algorithm (GCRA, as ITU-T I.371 defines it), which keeps
//! the *theoretical arrival time*, the moment at which everything taken so far is paid for. No I/O, no clock, no
//! logging.
//!
//! It is a bucket that holds one minute's allowance and fills without a break: in any span at most one full
//! bucket plus what the span itself brings. One number is one atomic, so that takers need no lock.

use std::num::NonZeroU64;
use std::time::Duration;

use super::time::Time;

const MINUTE: u64 = 60_000_000_000;
/// The largest debt, so that a wrong count cannot lock a client out for longer.
const MOST_AHEAD: Duration = Duration::from_secs(60 * 60);

/// How much may be taken per minute.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gcra {
    allowance: NonZeroU64,
}

impl Gcra {
    /// A rate of `allowance` per minute.
    pub const fn per_minute(allowance: NonZeroU64) -> Self {
        Self { allowance }
    }

    /// The allowance of a minute.
    pub const fn allowance(self) -> u64 {
        self.allowance.get()
    }

    /// What taking `amount` sets aside: more than a whole minute's allowance is never asked for at once, or it could
    /// never be had.
    pub fn share(self, amount: u64) -> u64 {
        amount.min(self.allowance())
    }

    /// Takes `amount` (its [`share`](Self::share)) at `now`. `paid` is the theoretical arrival time so far, at first
    /// [`Time::ZERO`]; the new one comes back.
    ///
    /// # Errors
    /// The first moment at which it could be taken, if nothing else is taken.
    pub fn take(self, paid: Time, now: Time, amount: u64) -> Result<Time, Time> {
        let next = paid.max(now) + self.span(self.share(amount));
        if next.since(now) <= Duration::from_nanos(MINUTE) {
            Ok(next)
        } else {
            Err(next - Duration::from_nanos(MINUTE))
        }
    }

    /// Corrects what was taken: `reserved` was set aside, after which everything taken was paid for at `taken` (the
    /// result of [`take`](Self::take)), and `used` was needed. What the bucket has gained since is not given back a
    /// second time; more than was set aside is a debt that delays the next taker.
    pub fn correct(self, paid: Time, now: Time, taken: Time, reserved: u64, used: u64) -> Time {
        if used <= reserved {
            let unused = self.span(reserved) - self.span(used);
            return paid - unused.min(taken.since(now));
        }
        let debt = self.span(used) - self.span(reserved);
        (paid.max(now) + debt).min((now + MOST_AHEAD).max(paid))
    }

    /// What is taken and not paid for at `now`, rounded up.
    pub fn level(self, paid: Time, now: Time) -> u64 {
        let nanos = paid.since(now).as_nanos();
        let level = (nanos * u128::from(self.allowance())).div_ceil(u128::from(MINUTE));
        u64::try_from(level).unwrap_or(u64::MAX)
    }

    /// When as much as that is paid for.
    pub fn paid_for(self, level: u64, now: Time) -> Time {
        now + self.span(level)
    }

    /// How long the bucket takes to bring `amount`. Rounded down: a full minute's allowance in single pieces must fit
    /// into a full bucket.
    fn span(self, amount: u64) -> Duration {
        let nanos = u128::from(amount) * u128::from(MINUTE) / u128::from(self.allowance());
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn gcra(allowance: u64) -> Gcra {
        Gcra::per_minute(NonZeroU64::new(allowance).unwrap())
    }

    fn secs(n: u64) -> Time {
        Time::from_millis(n * 1000)
    }

    #[test]
    fn a_whole_allowance_at_once_then_one_by_one() {
        let gcra = gcra(7);
        let mut paid = Time::ZERO;
        for _ in 0..7 {
            paid = gcra.take(paid, secs(100), 1).unwrap();
        }
        let ready = gcra.take(paid, secs(100), 1).unwrap_err();
        assert_eq!(ready.since(secs(100)).as_millis(), 8571);
        let paid = gcra.take(paid, ready, 1).unwrap();
        assert!(gcra.take(paid, ready, 1).is_err());
    }

    #[test]
    fn more_than_a_minutes_allowance_takes_a_full_bucket() {
        let gcra = gcra(100);
        let paid = gcra.take(Time::ZERO, secs(1), 5000).unwrap();
        assert_eq!(gcra.take(paid, secs(1), 5000), Err(secs(61)));
        let owing = gcra.correct(paid, secs(2), paid, gcra.share(5000), 200);
        assert_eq!(
            gcra.take(owing, secs(2), 1).unwrap_err(),
            Time::from_millis(61_600)
        );
    }

    #[test]
    fn a_correction_gives_back_what_was_not_needed() {
        let gcra = gcra(60);
        let paid = gcra.take(Time::ZERO, secs(10), 60).unwrap();
        assert_eq!(gcra.take(paid, secs(10), 30), Err(secs(40)));
        let paid = gcra.correct(paid, secs(10), paid, 60, 30);
        gcra.take(paid, secs(10), 30).unwrap();
    }

    #[test]
    fn a_debt_without_sense_is_over_after_an_hour() {
        let gcra = gcra(1);
        let paid = gcra.correct(Time::ZERO, secs(0), Time::ZERO, 1, u64::MAX);
        assert!(gcra.take(paid, secs(3600), 1).is_ok());
    }

    proptest! {
        /// Over any span from the beginning, never more than a full bucket and what the span brings.
        #[test]
        fn never_more_than_the_rate_allows(
            allowance in 1u64..500,
            steps in prop::collection::vec((0u64..20_000, 1u64..50), 1..200),
        ) {
            let gcra = gcra(allowance);
            let (mut paid, mut now, mut taken) = (Time::ZERO, Time::ZERO, 0u64);
            for (wait, amount) in steps {
                now = now + Duration::from_millis(wait);
                if let Ok(next) = gcra.take(paid, now, amount) {
                    paid = next;
                    taken += gcra.share(amount);
                }
                let brought = u128::from(allowance) * u128::from(now.as_nanos()) / u128::from(MINUTE);
                // One more for what rounding gives away.
                prop_assert!(u128::from(taken) <= u128::from(allowance) + brought + 1);
            }
        }

        /// What a refusal promises holds, and not a moment earlier.
        #[test]
        fn the_moment_named_is_the_first(
            allowance in 1u64..10_000,
            already in 0u64..10_000,
            amount in 1u64..20_000,
            at in 0u64..100_000,
        ) {
            let gcra = gcra(allowance);
            let now = Time::from_millis(at);
            let paid = gcra.take(Time::ZERO, now, already).unwrap();
            if let Err(ready) = gcra.take(paid, now, amount) {
                prop_assert!(ready > now);
                prop_assert!(gcra.take(paid, ready, amount).is_ok());
                let earlier = ready - Duration::from_nanos(1);
                prop_assert_eq!(gcra.take(paid, earlier, amount), Err(ready));
            }
        }

        /// With estimates that are corrected, some of them late, what was used in the end stays within the rate in the
        /// long run.
        #[test]
        fn corrections_do_not_make_it_more(
            allowance in 1u64..500,
            steps in prop::collection::vec((0u64..20_000, 1u64..300, 0u64..300, any::<bool>()), 1..200),
        ) {
            let gcra = gcra(allowance);
            let (mut paid, mut now, mut used) = (Time::ZERO, Time::ZERO, 0u64);
            let mut last = 0;
            let mut open: Option<(Time, u64, u64)> = None;
            for (wait, estimate, really, late) in steps {
                now = now + Duration::from_millis(wait);
                if let Ok(next) = gcra.take(paid, now, estimate) {
                    paid = next;
                    used += really;
                    last = last.max(really);
                    let this = (next, gcra.share(estimate), really);
                    let ended = if late { open.replace(this) } else { Some(this) };
                    if let Some((taken, reserved, really)) = ended {
                        paid = gcra.correct(paid, now, taken, reserved, really);
                    }
                }
                let brought = u128::from(allowance) * u128::from(now.as_nanos()) / u128::from(MINUTE);
                // The last ones may have used more than they reserved.
                prop_assert!(u128::from(used) <= u128::from(allowance) + brought + 2 * u128::from(last) + 2);
            }
        }
    }
}
