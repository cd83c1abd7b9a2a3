//! Dates and midnights, by arithmetic alone: the civil calendar after Howard Hinnant's `days_from_civil`
//! (<https://howardhinnant.github.io/date_algorithms.html>), Pacific time after the rule of the United States
//! since 2007 (summer time from the second Sunday of March to the first of November, at 2:00 local time).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: i64 = 86_400;

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
    let year = year_of(unix.div_euclid(DAY));
    let starts = nth_sunday(year, 3, 2) * DAY + 10 * 3600;
    let ends = nth_sunday(year, 11, 1) * DAY + 9 * 3600;
    let hours = if (starts..ends).contains(&unix) { 7 } else { 8 };
    hours * 3600
}

/// The `nth` Sunday of a month, in days since 1970-01-01, which was a Thursday.
fn nth_sunday(year: i64, month: i64, nth: i64) -> i64 {
    let first = days_from_civil(year, month, 1);
    let weekday = (first + 4).rem_euclid(7);
    first + (7 - weekday).rem_euclid(7) + (nth - 1) * 7
}

/// The year of a day since 1970-01-01.
fn year_of(day: i64) -> i64 {
    let guess = 1970 + day.div_euclid(365);
    // Leap days make the guess at most a few years too late within the range that callers allow.
    let mut year = guess;
    while days_from_civil(year, 1, 1) > day {
        year -= 1;
    }
    year
}

/// Days since 1970-01-01 of a date of the Gregorian calendar.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// A moment of RFC 3339, such as `2026-11-20T12:00:00.5Z` or with an offset, in seconds since 1970.
pub(super) fn rfc3339(text: &str) -> Option<f64> {
    let (date, rest) = text.trim().split_once(['T', 't'])?;
    let [year, month, day] = numbers::<3>(date, '-')?;
    let end = rest.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = rest.split_at_checked(end)?;
    let (time, fraction) = match time.split_once('.') {
        Some((time, digits)) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
            (time, format!("0.{digits}").parse::<f64>().ok()?)
        }
        Some(_) => return None,
        None => (time, 0.0),
    };
    let [hour, minute, second] = numbers::<3>(time, ':')?;
    let behind = match (zone, zone.get(1..)) {
        ("Z" | "z", _) => 0,
        (_, Some(offset)) => {
            let [hours, minutes] = numbers::<2>(offset, ':')?;
            let seconds = hours * 3600 + minutes * 60;
            if zone.starts_with('-') {
                seconds
            } else {
                -seconds
            }
        }
        _ => return None,
    };
    let sane = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    let whole =
        days_from_civil(year, month, day) * DAY + hour * 3600 + minute * 60 + second + behind;
    let whole = u32::try_from(whole).ok().filter(|_| sane)?;
    Some(f64::from(whole) + fraction)
}

/// Exactly `N` numbers of one to four digits.
fn numbers<const N: usize>(text: &str, separator: char) -> Option<[i64; N]> {
    let digits = |part: &str| {
        let plain =
            (1..=4).contains(&part.len()) && part.bytes().all(|digit| digit.is_ascii_digit());
        plain.then(|| part.parse().ok()).flatten()
    };
    let parts: Option<Vec<i64>> = text.split(separator).map(digits).collect();
    parts?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The moment of an RFC 3339 text, and the one to which a wait leads from there.
    fn after(wait: fn(SystemTime) -> Option<Duration>, text: &str) -> f64 {
        let now = UNIX_EPOCH + Duration::from_secs_f64(rfc3339(text).unwrap());
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
            assert_eq!(
                Some(after(until_pacific_midnight, now)),
                rfc3339(midnight),
                "{now}"
            );
        }
        let next = rfc3339("2028-03-01T00:00:00Z");
        assert_eq!(
            Some(after(until_utc_midnight, "2028-02-29T23:59:59.5Z")),
            next
        );
    }

    #[test]
    fn reads_rfc_3339_alone() {
        assert_eq!(rfc3339("1970-01-02T00:00:01Z"), Some(86_401.0));
        assert_eq!(
            rfc3339("2024-02-29T12:00:00.25+02:00"),
            Some(1_709_200_800.25)
        );
        assert_eq!(rfc3339("2024-02-29T08:00:00-02:00"), Some(1_709_200_800.0));
        for text in [
            "",
            "T",
            "2024-13-01T00:00:00Z",
            "2024-01-01",
            "2024-01-01T00:00:00",
            "2024-01-01T25:00:00Z",
            "a-b-cTd:e:fZ",
            "2024-01-01T00:00:00+é",
        ] {
            assert_eq!(rfc3339(text), None, "{text}");
        }
    }
}
