//! Windows of time with numbers: from a moment to the number of its window, and from a number to the window's beginning.

use crate::domain::zone::Zone;

const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;
/// The Thursday on which 1970 began is the fourth day of its week (ISO 8601: weeks begin on Mondays).
const THURSDAY: i64 = 3;

/// How long the windows of a budget are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Period {
    /// So many hours, counted from the beginning of 1970 in UTC; at least 1.
    Hours(u32),
    /// A day.
    Day,
    /// A week, from Monday on.
    Week,
    /// A month.
    Month,
    /// One window without an end.
    Total,
}

impl Period {
    /// Those that are counted for each owner of a budget, whichever its budget has: so that a change of the period finds what
    /// the window has already cost.
    pub const COUNTED: [Self; 5] = [
        Self::Hours(1),
        Self::Day,
        Self::Week,
        Self::Month,
        Self::Total,
    ];

    /// The word in the configuration.
    pub fn word(self) -> String {
        match self {
            Self::Hours(1) => "hour".to_owned(),
            Self::Hours(hours) => format!("{hours}h"),
            Self::Day => "day".to_owned(),
            Self::Week => "week".to_owned(),
            Self::Month => "month".to_owned(),
            Self::Total => "total".to_owned(),
        }
    }

    /// The words for a window; a number of hours or days is read beside them.
    pub const WORDS: [(&str, Self); 15] = [
        ("hour", Self::Hours(1)),
        ("hourly", Self::Hours(1)),
        ("day", Self::Day),
        ("daily", Self::Day),
        ("1d", Self::Day),
        ("24h", Self::Day),
        ("week", Self::Week),
        ("weekly", Self::Week),
        ("7d", Self::Week),
        ("1w", Self::Week),
        ("month", Self::Month),
        ("monthly", Self::Month),
        ("1mo", Self::Month),
        ("total", Self::Total),
        ("forever", Self::Total),
    ];

    /// What a word means: `hour`, `day`, `week`, `month`, `total`, their adverbs, or a number of hours or days such as `5h`.
    pub fn read(word: &str) -> Option<Self> {
        let word = word.trim().to_ascii_lowercase();
        if let Some((_, period)) = Self::WORDS.iter().find(|(name, _)| *name == word) {
            return Some(*period);
        }
        let digits = word.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
        let number: u32 = digits.trim_end().parse().ok()?;
        let hours = match word.get(digits.len()..)? {
            "h" => number,
            "d" => number.checked_mul(24)?,
            _ => return None,
        };
        // A year.
        (1..=366 * 24)
            .contains(&hours)
            .then_some(Self::Hours(hours))
    }

    /// The number of the window of a moment in seconds since 1970.
    pub fn number(self, unix: i64, zone: &Zone) -> i64 {
        let day = || zone.local(unix).div_euclid(DAY);
        match self {
            Self::Hours(hours) => unix.div_euclid(HOUR * i64::from(hours.max(1))),
            Self::Day => day(),
            Self::Week => (day() + THURSDAY).div_euclid(7),
            Self::Month => month_of(day()),
            Self::Total => 0,
        }
    }

    /// The moment at which the window of this number begins; `None` where there is only one.
    pub fn begins(self, number: i64, zone: &Zone) -> Option<i64> {
        match self {
            Self::Hours(hours) => {
                Some(number.saturating_mul(HOUR.saturating_mul(i64::from(hours))))
            }
            Self::Day => Some(zone.unix(number.saturating_mul(DAY))),
            Self::Week => {
                let day = number.saturating_mul(7).saturating_sub(THURSDAY);
                Some(zone.unix(day.saturating_mul(DAY)))
            }
            Self::Month => Some(zone.unix(first_day(number).saturating_mul(DAY))),
            Self::Total => None,
        }
    }
}

/// The year, the month from 1 on, and the day from 1 on of a day counted from 1970 on (Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
pub(super) fn civil(day: i64) -> (i64, i64, i64) {
    let shifted = day.saturating_add(719_468);
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    // Months from March on.
    let month = (5 * of_year + 2) / 153;
    let in_month = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = match month {
        0..=9 => (year + era * 400, month + 3),
        _ => (year + era * 400 + 1, month - 9),
    };
    (year, month, in_month)
}

/// Months since the beginning of year 0.
fn month_of(day: i64) -> i64 {
    let (year, month, _) = civil(day);
    year * 12 + month - 1
}

/// The first day of such a month, counted from 1970 on (the same source, `days_from_civil`).
fn first_day(month: i64) -> i64 {
    let (year, month) = (month.div_euclid(12), month.rem_euclid(12) + 1);
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * from_march + 2) / 5;
    let day = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    era.saturating_mul(146_097) + day - 719_468
}

/// A day counted from 1970 on, as `2026-11-29`.
pub(super) fn date(day: i64) -> String {
    let (year, month, day) = civil(day);
    format!("{year:04}-{month:02}-{day:02}")
}

/// The day of a moment in seconds since 1970, in UTC.
pub(super) fn day_of(unix: i64) -> i64 {
    unix.div_euclid(DAY)
}
