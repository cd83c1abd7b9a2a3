//! The slow start of an upstream whose breaker closed: a growing share of what is offered rather than
//! everything at once, after Envoy's slow start (linear, from a tenth, over ten seconds).
//!
//! Shares are dealt out by counting, not by chance. Below `FLOOR` requests a second nothing is held back: such a
//! load does no harm, and a quiet pool must not fail over without need. No I/O, no clock, no logging.

use std::time::Duration;

use super::time::Time;

/// From closing until everything is let through.
pub const WINDOW: Duration = Duration::from_secs(10);
/// The share at the beginning.
const FIRST_SHARE: f64 = 0.1;
/// Requests per second that are always let through.
const FLOOR: f64 = 10.0;
/// Of that, what may come at once.
const BURST: f64 = 10.0;

/// An upstream that takes a growing share of requests.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Recovery {
    /// From a tenth to 1.
    pub share: f64,
    /// Whether the next request is within it.
    pub admits: bool,
}

/// The slow start of one upstream.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Ramp {
    since: Time,
    /// The free requests that are left of the floor, and when that was computed.
    floor: f64,
    at: Time,
    /// Owed of the share: one is let through when it reaches 1.
    owed: f64,
}

impl Ramp {
    /// Begins at `now`.
    pub fn new(now: Time) -> Self {
        Self {
            since: now,
            floor: BURST,
            at: now,
            owed: 0.0,
        }
    }

    /// When it began.
    pub fn since(&self) -> Time {
        self.since
    }

    /// Whether it is over.
    pub fn is_over(&self, now: Time) -> bool {
        now.since(self.since) >= WINDOW
    }

    /// The share that is let through at `now`, from a tenth to 1.
    pub fn share(&self, now: Time) -> f64 {
        let elapsed = now.since(self.since).as_secs_f64() / WINDOW.as_secs_f64();
        elapsed.clamp(FIRST_SHARE, 1.0)
    }

    /// One request more: does it go through?
    pub fn admits(&mut self, now: Time) -> bool {
        if self.is_over(now) {
            return true;
        }
        let grown = self.floor + FLOOR * now.since(self.at).as_secs_f64();
        self.floor = grown.min(BURST);
        self.at = now;
        self.owed += self.share(now);
        if self.owed >= 1.0 {
            self.owed -= 1.0;
            // What the share let through is within the floor, as long as that lasts.
            self.floor = (self.floor - 1.0).max(0.0);
            return true;
        }
        if self.floor >= 1.0 {
            self.floor -= 1.0;
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// How many of `per_second` go through in each of the ten seconds.
    fn seconds(per_second: u32) -> Vec<u32> {
        let mut ramp = Ramp::new(Time::ZERO);
        (0..10)
            .map(|second| {
                let moments = (0..per_second)
                    .map(|n| Time::ZERO + MS * (second * 1000 + n * 1000 / per_second));
                u32::try_from(moments.filter(|now| ramp.admits(*now)).count()).unwrap()
            })
            .collect()
    }

    #[test]
    fn a_busy_upstream_gets_a_growing_share() {
        let through = seconds(1000);
        assert!((100..=125).contains(&through[0]), "{through:?}");
        assert!(through.is_sorted(), "{through:?}");
        assert!((930..=970).contains(&through[9]), "{through:?}");
    }

    #[test]
    fn a_quiet_one_gets_everything() {
        assert_eq!(seconds(10), [10; 10]);
        assert_eq!(seconds(3), [3; 10]);
    }

    #[test]
    fn after_ten_seconds_everything_goes_through() {
        let mut ramp = Ramp::new(Time::ZERO);
        let later = Time::ZERO + WINDOW;
        assert!((0..10_000).all(|_| ramp.admits(later)));
    }

    proptest! {
        #[test]
        fn at_least_the_share_and_at_most_the_share_and_the_floor(pauses in prop::collection::vec(0u64..40, 1..2000)) {
            let mut ramp = Ramp::new(Time::ZERO);
            let (mut now, mut owed, mut through) = (Time::ZERO, 0.0, 0.0);
            for pause in pauses {
                now = now + Duration::from_millis(pause);
                if ramp.is_over(now) { break; }
                owed += ramp.share(now);
                through += f64::from(u8::from(ramp.admits(now)));
                prop_assert!(through >= f64::floor(owed - 1e-6));
                let floor = BURST + FLOOR * now.since(Time::ZERO).as_secs_f64();
                prop_assert!(through <= owed + floor + 1.0);
            }
        }
    }
}
