//! Moments in the forms of RFC 3339, RFC 9110 and prose: `2026-11-28T17:00:00Z`, `Sat, 28 Nov 2026 17:00:00 GMT`,
//! `Nov 28, 2026, 5:00 PM`, `5pm (UTC)`, `Monday at 09:00`, `midnight UTC`, Unix seconds and milliseconds.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use regex::{Captures, Regex};

use super::calendar::{DAY, days_from_civil, year_of};
use super::{duration, zone};
use crate::wire::providers::traits_of;

/// When the answer came, and where its upstream's clocks are.
#[derive(Clone, Copy, Debug)]
pub(super) struct AnswerTime {
    /// Seconds since 1970.
    unix: f64,
    /// What clocks that name no zone are ahead of UTC, in seconds.
    ahead: i64,
}

impl AnswerTime {
    /// `kind` is the provider's name in the catalogue. `None` before 1970.
    pub(super) fn new(kind: &str, wall_now: SystemTime) -> Option<Self> {
        let ahead = traits_of(kind).clocks_ahead;
        let unix = duration::unix_seconds(wall_now)?;
        // Years that the calendar does not have are ignored.
        (unix < 2e11).then_some(Self { unix, ahead })
    }

    /// How long until a moment; zero when it has passed, `None` when it is too far away.
    pub(super) fn until(&self, unix: f64) -> Option<Duration> {
        duration::from_seconds((unix - self.unix).max(0.0))
    }

    /// The day and the second of the day that a clock so far ahead shows.
    fn local(&self, ahead: i64) -> (i64, i64) {
        #[expect(clippy::cast_possible_truncation, reason = "below 2e11, see `new`")]
        let local = self.unix as i64 + ahead;
        (local.div_euclid(DAY), local.rem_euclid(DAY))
    }
}

/// A number that can't be a span: seconds since 1970, or milli-, micro- or nanoseconds. In seconds.
pub(super) fn unix(number: f64) -> Option<f64> {
    const FORMS: [(f64, f64); 4] = [(1e18, 1e9), (1e15, 1e6), (1e12, 1e3), (1e9, 1.0)];
    let form = FORMS.iter().find(|(least, _)| number >= *least);
    form.map(|(_, scale)| number / scale)
}

/// The whole text as a moment: how long until then, zero when it has passed.
pub(super) fn parse(text: &str, now: &AnswerTime) -> Option<Duration> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        return now.until(unix(number)?);
    }
    if let Some(moment) = rfc3339(text) {
        return now.until(moment);
    }
    let (wait, rest) = read(text, now)?;
    rest.trim_matches([' ', '.', ')'])
        .is_empty()
        .then_some(wait)
}

/// The moment with which a text begins: how long until then, zero when it has passed.
pub(super) fn prefix(text: &str, now: &AnswerTime) -> Option<Duration> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    if let Some(number) = text.get(..digits).filter(|text| text.len() >= 10) {
        return now.until(unix(number.parse().ok()?)?);
    }
    Some(read(text, now)?.0)
}

/// A moment of RFC 3339, such as `2026-11-20T12:00:00.5Z` or with an offset, in seconds since 1970. Good answers have
/// such headers too, so it is read without a regular expression.
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

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
/// The first of January 1970 was a Thursday.
const WEEKDAYS: [&str; 7] = ["thu", "fri", "sat", "sun", "mon", "tue", "wed"];

const TIME: &str = r"(?P<h>\d{1,2})(?::(?P<min>\d{2})(?::(?P<s>\d{2})(?P<f>\.\d{1,9})?)?)?(?:\s*(?P<half>[ap])\.?m\b\.?)?";
const WEEKDAY: &str = r"(?:mon(?:day)?|tue(?:s(?:day)?)?|wed(?:nesday)?|thu(?:rs(?:day)?)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?)\b\.?";

static DATES: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let month = format!(r"(?P<mon>{})[a-z]*\.?", MONTHS.join("|"));
    let zone = format!(r"(?:\s*[(\[]?\s*(?P<zone>{})\)?)?", zone::pattern());
    let lead = format!(r"(?i)^(?:{WEEKDAY},?\s+)?(?:the\s+|on\s+)?");
    let time = format!(r"(?:(?:t|,|\s)\s*(?:at\s+)?{TIME})?{zone}");
    let forms = [
        format!(r"(?P<y>\d{{4}})[-/.](?P<mo>\d{{1,2}})[-/.](?P<d>\d{{1,2}}){time}"),
        format!(
            r"{month}\s+(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\b(?:,?\s+(?P<y>\d{{4}})\b)?{time}(?:\s+(?P<y2>\d{{4}})\b)?"
        ),
        format!(
            r"(?P<d>\d{{1,2}})(?:st|nd|rd|th)?[\s-]+(?:of\s+)?{month}(?:[\s,-]+(?P<y>\d{{4}}|\d{{2}})\b)?{time}"
        ),
    ];
    let compiled = forms
        .iter()
        .map(|form| Regex::new(&format!("{lead}{form}")));
    compiled.filter_map(Result::ok).collect()
});

/// A time of the day, after a day of the week or "tomorrow", before its date or alone.
static TIMES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let zone = format!(r"(?:\s*[(\[]?\s*(?P<zone>{})\)?)?", zone::pattern());
    let day = format!(r"(?:(?P<day>{WEEKDAY}|today\b|tomorrow\b),?\s*(?:at\s+)?)?");
    Regex::new(&format!(
        r"(?i)^{day}(?:(?P<midnight>midnight)\b|{TIME})?{zone}"
    ))
    .ok()
});

/// The moment with which a text begins, and what follows it.
fn read<'t>(text: &'t str, now: &AnswerTime) -> Option<(Duration, &'t str)> {
    for form in DATES.iter() {
        if let Some(found) = form.captures(text) {
            let rest = text.get(found.get(0)?.end()..)?;
            return Some((dated(&found, now)?, rest));
        }
    }
    let found = TIMES.as_ref()?.captures(text)?;
    let rest = text.get(found.get(0)?.end()..)?;
    let time = Some(time_of(&found)?);
    // "Wed, 99 Foo" is no day of the week.
    let alone = of_day(&found).is_none();
    let more = found.name("h").is_some() || rest.starts_with(|c: char| c.is_alphanumeric());
    if alone && more {
        return None;
    }
    // "5pm (UTC) on Nov 28": the date follows.
    let after = rest.trim_start_matches([',', ' ']);
    let after = after.strip_prefix("on ").unwrap_or(after);
    for form in DATES.iter() {
        if let Some(date) = form.captures(after).filter(|_| found.name("day").is_none()) {
            let day = day_of(&date, now)?;
            let rest = after.get(date.get(0)?.end()..)?;
            return Some((at(day, time, &found, now)?, rest));
        }
    }
    Some((undated(&found, now)?, rest))
}

/// A date, with or without a time.
fn dated(found: &Captures<'_>, now: &AnswerTime) -> Option<Duration> {
    at(day_of(found, now)?, of_day(found).or(Some(0.0)), found, now)
}

/// The day since 1970 that is named. One without a year is the next of its name, or one of the last thirty days.
fn day_of(found: &Captures<'_>, now: &AnswerTime) -> Option<i64> {
    let number = |name| found.name(name)?.as_str().parse::<i64>().ok();
    let month = number("mo").or_else(|| {
        let name = found.name("mon")?.as_str().to_ascii_lowercase();
        let place = MONTHS.iter().position(|month| *month == name)?;
        i64::try_from(place + 1).ok()
    })?;
    let day = number("d")?;
    let sane = (1..=12).contains(&month) && (1..=31).contains(&day);
    let year = number("y")
        .or_else(|| number("y2"))
        .map(|year| if year < 100 { year + 2000 } else { year });
    let (today, _) = now.local(now.ahead);
    let of = |year| days_from_civil(year, month, day);
    let named = match year {
        Some(year) => of((1970..=9999).contains(&year).then_some(year)?),
        None => [year_of(today), year_of(today) + 1]
            .map(of)
            .into_iter()
            .find(|day| *day >= today - 30)?,
    };
    sane.then_some(named)
}

/// The second of the day that is named; `None` where there is no time, or none that makes sense.
fn of_day(found: &Captures<'_>) -> Option<f64> {
    if found.name("midnight").is_some() {
        return Some(0.0);
    }
    let number = |name| found.name(name)?.as_str().parse::<f64>().ok();
    let half = found
        .name("half")
        .map(|half| half.as_str().to_ascii_lowercase());
    let hour = number("h")?;
    // "5" alone is not a time.
    if half.is_none() && found.name("min").is_none() {
        return None;
    }
    let hour = match half.as_deref() {
        Some("a") if (1.0..=12.0).contains(&hour) => hour % 12.0,
        Some("p") if (1.0..=12.0).contains(&hour) => hour % 12.0 + 12.0,
        Some(_) => return None,
        None => hour,
    };
    let (minute, second) = (number("min").unwrap_or(0.0), number("s").unwrap_or(0.0));
    let sane = hour < 24.0 && minute < 60.0 && second <= 60.0;
    let fraction = number("f").unwrap_or(0.0);
    sane.then_some(hour * 3600.0 + minute * 60.0 + second + fraction)
}

/// The second of the day that is named, or the first of a day of the week that is.
fn time_of(found: &Captures<'_>) -> Option<f64> {
    of_day(found).or(found.name("day").map(|_| 0.0))
}

/// How long until a day's time, in the zone that is named beside it, else in the upstream's, else in UTC.
fn at(day: i64, time: Option<f64>, found: &Captures<'_>, now: &AnswerTime) -> Option<Duration> {
    let time = time?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "at most the seconds of a day"
    )]
    let local = day * DAY + time as i64;
    let until = |ahead: i64| {
        let unix = u32::try_from(local - ahead).ok()?;
        now.until(f64::from(unix) + time.fract())
    };
    if let Some(zone) = found.name("zone") {
        return until(zone::ahead(zone.as_str(), local)?);
    }
    let own = until(now.ahead)?;
    // A time that has passed in that zone was meant in UTC.
    if own.is_zero() { until(0) } else { Some(own) }
}

/// The next time of that name, on the day of the week if one is named.
fn undated(found: &Captures<'_>, now: &AnswerTime) -> Option<Duration> {
    let time = time_of(found)?;
    let (utc_today, _) = now.local(0);
    let zone = found.name("zone");
    let ahead = match zone {
        Some(zone) => zone::ahead(zone.as_str(), utc_today * DAY)?,
        None => now.ahead,
    };
    let (today, second) = now.local(ahead);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "at most the seconds of a day"
    )]
    let passed = i64::from(time as i64 <= second);
    let name = found
        .name("day")
        .map(|day| day.as_str().to_ascii_lowercase());
    let day = match name.as_deref() {
        None | Some("today") => today + passed,
        Some("tomorrow") => today + 1,
        Some(name) => {
            let short = name.get(..3)?;
            let place = WEEKDAYS.iter().position(|day| *day == short)?;
            let ahead = (i64::try_from(place).ok()? - today).rem_euclid(7);
            today + if ahead == 0 { passed * 7 } else { ahead }
        }
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "at most the seconds of a day"
    )]
    let unix = day * DAY + time as i64 - ahead;
    now.until(f64::from(u32::try_from(unix).ok()?))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    /// Saturday, 2026-11-28T12:00:00Z.
    const NOON: u64 = 1_795_867_200;

    fn wait(kind: &str, text: &str) -> Option<i64> {
        let now = AnswerTime::new(kind, UNIX_EPOCH + Duration::from_secs(NOON)).unwrap();
        parse(text, &now).and_then(|wait| i64::try_from(wait.as_secs()).ok())
    }

    #[test]
    fn every_regular_expression_compiles() {
        assert_eq!(DATES.len(), 3);
        assert!(TIMES.is_some());
    }

    #[test]
    fn moments_in_every_form() {
        const H: i64 = 3600;
        for (text, seconds) in [
            ("2026-11-28T17:00:00Z", 5 * H),
            ("2026-11-28T17:00:00.000Z", 5 * H),
            ("2026-11-28t17:00:00+02:00", 3 * H),
            ("2026-11-28T17:00:00-0500", 10 * H),
            ("2026-11-28 17:00:00", 5 * H),
            ("2026-11-28 17:00:00 UTC", 5 * H),
            ("2026-11-28 17:00", 5 * H),
            ("2026/11/28 17:00:00", 5 * H),
            ("2026-11-29", 12 * H),
            ("Sat, 28 Nov 2026 17:00:00 GMT", 5 * H),
            ("Saturday, 28-Nov-26 17:00:00 GMT", 5 * H),
            ("Sat Nov 28 17:00:00 2026", 5 * H),
            ("Nov 28, 2026, 5:00 PM", 5 * H),
            ("Nov 28, 2026 at 5:00 p.m. (UTC)", 5 * H),
            ("November 28th, 5pm", 5 * H),
            ("28 November 2026 17:00 UTC", 5 * H),
            ("Dec 1", 60 * H),
            ("January 1", 33 * 24 * H + 12 * H),
            ("5pm", 5 * H),
            ("5 PM (UTC)", 5 * H),
            ("17:30 UTC", 5 * H + 1800),
            ("11:00", 23 * H),
            ("12am", 12 * H),
            ("5pm (America/New_York)", 10 * H),
            ("midnight PT", 20 * H),
            ("midnight", 12 * H),
            ("tomorrow at 9:00", 21 * H),
            ("Monday at 9am", 45 * H),
            ("Sat 11:00", 7 * 24 * H - H),
            ("5pm UTC on Nov 29", 29 * H),
            ("1795870800", H),
            ("1795870800000", H),
            ("1795870800000000", H),
            ("2020-01-01T00:00:00Z", 0),
        ] {
            assert_eq!(wait("", text), Some(seconds), "{text}");
        }
        for text in [
            "",
            "soon",
            "5",
            "17",
            "25:00",
            "13pm",
            "2026-13-01",
            "2026-11-32 10:00",
            "2026-11-28T17:00:00+é",
            "9999-12-31T23:59:59Z",
            "99999999999999999999",
            "Wed, 99 Foo 2020 00:00:00 GMT",
        ] {
            assert_eq!(wait("", text), None, "{text}");
        }
    }

    #[test]
    fn a_time_without_a_zone_is_where_the_provider_is() {
        assert_eq!(wait("zai", "2026-11-28 22:00:00"), Some(2 * 3600));
        assert_eq!(
            wait("zai", "2026-11-28 17:00:00"),
            Some(5 * 3600),
            "past there, so in UTC"
        );
        assert_eq!(wait("", "2026-11-28 22:00:00"), Some(10 * 3600));
    }
}
