//! The one clock. It runs on tokio's time, so a test that pauses that pauses everything.

use std::time::SystemTime;

use tokio::time::Instant;

use crate::domain::time::{Anchor, Time};

/// The latest end of an answer: an extension of the response, from its handler to the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Until(pub Instant);

/// Reads monotonic and wall time. Cheap to copy; all copies agree.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
    wall_origin: SystemTime,
    /// Whether the wall's time is that of the system, and not made up.
    is_real: bool,
}

impl Clock {
    /// A clock whose [`Time::ZERO`] is now, and whose wall time is now `wall`, whatever the system's is.
    pub fn starting_at(wall: SystemTime) -> Self {
        Self {
            origin: Instant::now(),
            wall_origin: wall,
            is_real: false,
        }
    }

    /// A clock whose [`Time::ZERO`] is now.
    pub fn start() -> Self {
        Self {
            is_real: true,
            ..Self::starting_at(SystemTime::now())
        }
    }

    /// The present time.
    pub fn now(&self) -> Time {
        Time::ZERO + self.origin.elapsed()
    }

    /// The wall time of now, as counted from the start: a later jump of the system's clock is not followed.
    pub fn wall(&self) -> SystemTime {
        self.wall_origin + self.origin.elapsed()
    }

    /// The wall time of a moment, as counted from the start.
    pub fn wall_at(&self, time: Time) -> SystemTime {
        self.wall_origin + time.since(Time::ZERO)
    }

    /// Now on both clocks, the wall's as the system shows it at this moment.
    pub fn anchor(&self) -> Anchor {
        let wall = match self.is_real {
            true => SystemTime::now(),
            false => self.wall(),
        };
        Anchor {
            time: self.now(),
            // Before 1970 the clock was never set.
            wall: wall
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default(),
        }
    }

    /// `time` as tokio's timers want it; a time out of range becomes a year from the start.
    pub fn instant(&self, time: Time) -> Instant {
        const YEAR: std::time::Duration = std::time::Duration::from_secs(365 * 24 * 60 * 60);
        let span = time.since(Time::ZERO).min(YEAR);
        self.origin + span
    }

    /// Completes at `time`, or at once when it has passed.
    pub async fn sleep_until(&self, time: Time) {
        tokio::time::sleep_until(self.instant(time)).await;
    }
}
