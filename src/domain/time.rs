//! Monotonic time as a plain number, so that every machine can be driven by a test.
//! No I/O, no clock, no logging.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A point on the process's monotonic clock, in nanoseconds since the process started.
///
/// Only differences mean anything. Arithmetic saturates: a far deadline never wraps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(u64);

impl Time {
    /// The moment the process started.
    pub const ZERO: Self = Self(0);
    /// A moment that never comes.
    pub const NEVER: Self = Self(u64::MAX);

    /// The point `nanos` nanoseconds after the start.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The point `millis` milliseconds after the start (tests read better with it).
    #[cfg(feature = "internals")]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the start.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time from `earlier` to `self`; zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Time left until `self`, seen from `now`; zero once it has passed.
    pub const fn until(self, now: Self) -> Duration {
        self.since(now)
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

impl Sub<Duration> for Time {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(nanos))
    }
}

/// One moment on both clocks: with it, times get into a file and come back out of it in another process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Anchor {
    /// On this process's monotonic clock.
    pub time: Time,
    /// On the wall's clock, since the Unix epoch.
    pub wall: Duration,
}

impl Anchor {
    /// `time` in milliseconds since the Unix epoch, rounded up: what is to be waited for comes no sooner.
    pub fn wall_millis(&self, time: Time) -> u64 {
        let ahead = time.since(self.time);
        let behind = self.time.since(time);
        let wall = self.wall.saturating_add(ahead).saturating_sub(behind);
        u64::try_from(wall.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }

    /// The time of `millis` since the Unix epoch; what has passed becomes this moment.
    pub fn time_of(&self, millis: u64) -> Time {
        self.time + Duration::from_millis(millis).saturating_sub(self.wall)
    }

    /// How long ago `millis` since the Unix epoch was; zero when that is yet to come.
    pub fn since_millis(&self, millis: u64) -> Duration {
        self.wall.saturating_sub(Duration::from_millis(millis))
    }

    /// Not before `millis`: a wall that shows less than it did then was set back, and no time is known to have passed.
    #[must_use]
    pub fn not_before(self, millis: u64) -> Self {
        let wall = self.wall.max(Duration::from_millis(millis));
        Self { wall, ..self }
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NEVER {
            return f.write_str("never");
        }
        write!(f, "{:?}", Duration::from_nanos(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        assert_eq!(Time::NEVER + Duration::from_secs(1), Time::NEVER);
        assert_eq!(Time::ZERO - Duration::from_secs(1), Time::ZERO);
        assert_eq!(Time::ZERO.since(Time::from_millis(5)), Duration::ZERO);
    }
}
