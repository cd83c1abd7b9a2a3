//! Moments for people and machines: RFC 3339 in UTC, to the millisecond.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: u64 = 86_400;

/// Writes a moment as `2026-11-21T09:36:27.123Z`. One before 1970 is written as 1970.
///
/// The civil calendar after Howard Hinnant's `civil_from_days`
/// (<https://howardhinnant.github.io/date_algorithms.html>).
pub fn rfc3339(moment: SystemTime) -> String {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / DAY, since.as_secs() % DAY);
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    let (hour, minute) = (second / 3600, second % 3600 / 60);
    format!(
        "{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{:02}.{:03}Z",
        second % 60,
        since.subsec_millis()
    )
}

/// The same of seconds since 1970, to the second: `2026-11-21T09:36:27Z`.
pub fn rfc3339_of(unix: u64) -> String {
    let moment = UNIX_EPOCH.checked_add(Duration::from_secs(unix));
    let text = rfc3339(moment.unwrap_or(UNIX_EPOCH));
    text.replace(".000Z", "Z")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_that_are_easily_got_wrong() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (951_868_799, "2000-02-29T23:59:59.000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            let moment = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(rfc3339(moment), text);
        }
    }

    proptest! {
        /// Against the date of HTTP, which another library writes.
        #[test]
        fn it_agrees_with_another_calendar(seconds in 0u64..253_402_300_799) {
            let moment = UNIX_EPOCH + Duration::from_secs(seconds);
            let theirs = httpdate::fmt_http_date(moment);
            let ours = rfc3339(moment);
            prop_assert_eq!(&ours[8..10], &theirs[5..7]);
            prop_assert_eq!(&ours[0..4], &theirs[12..16]);
            prop_assert_eq!(&ours[11..19], &theirs[17..25]);
            let months = "JanFebMarAprMayJunJulAugSepOctNovDec";
            let month: usize = ours[5..7].parse().unwrap();
            prop_assert_eq!(&months[month * 3 - 3..month * 3], &theirs[8..11]);
        }
    }
}
