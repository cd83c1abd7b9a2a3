//! Days, midnights and summer time, by arithmetic alone: the civil calendar after Howard Hinnant's `days_from_civil`
//! (<https://howardhinnant.github.io/date_algorithms.html>), the rule of the United States since 2007 (summer time
//! from the second Sunday of March to the first of November, at 2:00 local time) and that of the European Union
//! (from the last Sunday of March to the last of October, at 1:00 UTC).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(super) const DAY: i64 = 86_400;

/// How long until the next midnight in UTC; `None` before 1970.
pub(super) fn until_utc_midnight(wall_now: SystemTime) -> Option<Duration> {
    let since = wall_now.duration_since(UNIX_EPOCH).ok()?;
    let day = since.as_secs() / DAY.unsigned_abs();
    let midnight = Duration::from_secs((day + 1).checked_mul(DAY.unsigned_abs())?);
    midnight.checked_sub(since)
}

/// How long until the next midnight in Los Angeles; `None` before 1970.
pub(super) fn until_pacific_midnight(wall_now: SystemTime) -> Option<Duration> {
    let since = wall_now.duration_since(UNIX_EPOCH).ok()?;
    let now = i64::try_from(since.as_secs())
        .ok()
        .filter(|now| *now < 1_000_000 * DAY)?;
    let local = now - pacific_offset(now);
    let day = local.div_euclid(DAY) + 1;
    // Clocks change at 2:00, so the day's midnight still has the offset of the evening before.
    let summer = day * DAY + 7 * 3600;
    let midnight = day * DAY + pacific_offset(summer);
    Duration::from_secs(u64::try_from(midnight).ok()?).checked_sub(since)
}

/// What Los Angeles is behind UTC at a moment, in seconds.
fn pacific_offset(unix: i64) -> i64 {
    8 * 3600 - us_summer(8, unix)
}

/// What summer time adds in a zone of the United States that is `hours` behind UTC in winter, in seconds.
pub(super) fn us_summer(hours: i64, unix: i64) -> i64 {
    let year = year_of(unix.div_euclid(DAY));
    let starts = nth_sunday(year, 3, 2) * DAY + (hours + 2) * 3600;
    let ends = nth_sunday(year, 11, 1) * DAY + (hours + 1) * 3600;
    i64::from((starts..ends).contains(&unix)) * 3600
}

/// What summer time adds in the European Union, in seconds.
pub(super) fn eu_summer(unix: i64) -> i64 {
    let year = year_of(unix.div_euclid(DAY));
    // The last Sunday is the one that lies a week before the next month's first.
    let starts = (nth_sunday(year, 4, 1) - 7) * DAY + 3600;
    let ends = (nth_sunday(year, 11, 1) - 7) * DAY + 3600;
    i64::from((starts..ends).contains(&unix)) * 3600
}

/// The `nth` Sunday of a month, in days since 1970-01-01, which was a Thursday.
fn nth_sunday(year: i64, month: i64, nth: i64) -> i64 {
    let first = days_from_civil(year, month, 1);
    let weekday = (first + 4).rem_euclid(7);
    first + (7 - weekday).rem_euclid(7) + (nth - 1) * 7
}

/// The year of a day since 1970-01-01.
pub(super) fn year_of(day: i64) -> i64 {
    let guess = 1970 + day.div_euclid(365);
    // Leap days make the guess at most a few years too late within the range that callers allow.
    let mut year = guess;
    while days_from_civil(year, 1, 1) > day {
        year -= 1;
    }
    year
}

/// Days since 1970-01-01 of a date of the Gregorian calendar.
pub(super) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds since 1970 of a text such as `2026-01-15T12:00:00Z`.
    fn moment(text: &str) -> f64 {
        let numbers: Vec<i64> = text
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|part| part.parse().ok())
            .collect();
        let [year, month, day, hour, minute, second] = numbers[..] else {
            panic!("{text}");
        };
        let day = days_from_civil(year, month, day);
        let seconds = day * DAY + hour * 3600 + minute * 60 + second;
        f64::from(u32::try_from(seconds).unwrap())
    }

    /// The moment to which a wait leads from there.
    fn after(wait: fn(SystemTime) -> Option<Duration>, now: f64) -> f64 {
        let now = UNIX_EPOCH + Duration::from_secs_f64(now);
        (now + wait(now).unwrap())
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs_f64()
    }

    #[test]
    fn pacific_midnight_follows_summer_time() {
        for (now, midnight) in [
            ("2026-01-15T12:00:00Z", "2026-01-16T08:00:00Z"),
            ("2026-07-15T06:59:59Z", "2026-07-15T07:00:00Z"),
            ("2026-07-15T07:00:00Z", "2026-07-16T07:00:00Z"),
            // Clocks go forward on 8 March and back on 1 November 2026.
            ("2026-03-08T07:59:00Z", "2026-03-08T08:00:00Z"),
            ("2026-03-08T08:00:00Z", "2026-03-09T07:00:00Z"),
            ("2026-11-01T06:00:00Z", "2026-11-01T07:00:00Z"),
            ("2026-11-01T07:30:00Z", "2026-11-02T08:00:00Z"),
            ("2027-01-01T07:30:00Z", "2027-01-01T08:00:00Z"),
            ("2028-12-31T23:00:00Z", "2029-01-01T08:00:00Z"),
        ] {
            let reached = after(until_pacific_midnight, moment(now));
            assert!((reached - moment(midnight)).abs() < 0.001, "{now}");
        }
        let reached = after(until_utc_midnight, moment("2028-02-29T23:59:59Z") + 0.5);
        assert!((reached - moment("2028-03-01T00:00:00Z")).abs() < 0.001);
    }

    #[test]
    fn european_summer_time_is_between_the_last_sundays() {
        for (text, added) in [
            ("2026-03-29T00:59:59Z", 0),
            ("2026-03-29T01:00:00Z", 3600),
            ("2026-10-25T00:59:59Z", 3600),
            ("2026-10-25T01:00:00Z", 0),
        ] {
            #[expect(clippy::cast_possible_truncation, reason = "whole seconds")]
            let unix = moment(text) as i64;
            assert_eq!(eu_summer(unix), added, "{text}");
        }
    }
}
