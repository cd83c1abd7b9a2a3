//! A time of the week in UTC, for prices that depend on the hour.

use std::time::SystemTime;

use crate::domain::price_sheet::OffPeak;

const MINUTES: u64 = 24 * 60;
/// 1 January 1970 was a Thursday, the fourth day of a week that begins on Monday.
const FIRST_DAY: u64 = 3;

/// A minute of a day of the week.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Moment {
    /// Since midnight.
    minute: u16,
    /// Monday is 0.
    day: usize,
}

impl Moment {
    /// In UTC. A time before 1970 is that year's beginning.
    pub(super) fn of(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH);
        let minutes = since.map_or(0, |since| since.as_secs() / 60);
        Self {
            minute: u16::try_from(minutes % MINUTES).unwrap_or(0),
            day: usize::try_from((minutes / MINUTES + FIRST_DAY) % 7).unwrap_or(0),
        }
    }

    /// Whether these hours hold. Those that go over midnight belong to the day on which they began; equal ends are all day.
    pub(super) fn is_within(self, hours: &OffPeak) -> bool {
        let (begin, end) = hours.minutes;
        let on = |day: usize| hours.days.get(day).copied().unwrap_or(false);
        let yesterday = (self.day + 6) % 7;
        let late = self.minute >= begin;
        let early = self.minute < end;
        if begin < end {
            late && early && on(self.day)
        } else {
            (late && on(self.day)) || (early && on(yesterday))
        }
    }
}
