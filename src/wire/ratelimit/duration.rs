//! Spans of time in the forms of Go, of protobuf, of ISO 8601, of clocks and of prose: `6m0s`, `2m59.56s`, `12ms`,
//! `18s`, `PT1H30M`, `00:01:30`, `3 days and 4 hours`. Also the longest that is believed, and moments as seconds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The longest hint that is believed: ten years. What is further away is a mistake.
pub const MAX_HINT: Duration = Duration::from_secs(10 * 365 * 86_400);

const DAY: f64 = 86_400.0;

/// Units of time and how many seconds each has. A month is taken as 30 days, a year as 365.
const UNITS: [(&str, f64); 36] = [
    ("ns", 1e-9),
    ("us", 1e-6),
    ("µs", 1e-6),
    ("μs", 1e-6),
    ("ms", 1e-3),
    ("msec", 1e-3),
    ("msecs", 1e-3),
    ("millis", 1e-3),
    ("millisecond", 1e-3),
    ("milliseconds", 1e-3),
    ("s", 1.0),
    ("sec", 1.0),
    ("secs", 1.0),
    ("second", 1.0),
    ("seconds", 1.0),
    ("m", 60.0),
    ("min", 60.0),
    ("mins", 60.0),
    ("minute", 60.0),
    ("minutes", 60.0),
    ("h", 3600.0),
    ("hr", 3600.0),
    ("hrs", 3600.0),
    ("hour", 3600.0),
    ("hours", 3600.0),
    ("d", DAY),
    ("day", DAY),
    ("days", DAY),
    ("w", 7.0 * DAY),
    ("wk", 7.0 * DAY),
    ("wks", 7.0 * DAY),
    ("week", 7.0 * DAY),
    ("weeks", 7.0 * DAY),
    ("mo", 30.0 * DAY),
    ("month", 30.0 * DAY),
    ("months", 30.0 * DAY),
];

/// Chinese units, which no blank separates from the next word. A longer one precedes its prefix.
const CHINESE: [(&str, f64); 8] = [
    ("毫秒", 1e-3),
    ("秒", 1.0),
    ("分钟", 60.0),
    ("分", 60.0),
    ("小时", 3600.0),
    ("个小时", 3600.0),
    ("天", DAY),
    ("周", 7.0 * DAY),
];

/// A span of `seconds`; `None` when negative, not a number or longer than [`MAX_HINT`].
pub(super) fn from_seconds(seconds: f64) -> Option<Duration> {
    let span = Duration::try_from_secs_f64(seconds).ok()?;
    (span <= MAX_HINT).then_some(span)
}

/// How many seconds a unit of that name has.
pub(super) fn unit(name: &str) -> Option<f64> {
    let same = |known: &&(&str, f64)| known.0.eq_ignore_ascii_case(name);
    UNITS.iter().find(same).map(|(_, seconds)| *seconds)
}

/// The whole text as a span: a plain number of seconds, numbers with units, ISO 8601, or hours, minutes and seconds
/// between colons.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return from_seconds(seconds);
    }
    if let Some(seconds) = iso8601(text).or_else(|| clock(text)) {
        return from_seconds(seconds);
    }
    let (seconds, rest) = scan(text)?;
    from_seconds(seconds).filter(|_| rest.trim().is_empty())
}

/// The span with which a text begins, which has at least one unit; of `2-3 minutes` the longer.
pub(super) fn prefix(text: &str) -> Option<Duration> {
    let longer = || {
        let (_, rest) = number(text)?;
        let rest = rest.trim_start();
        let rest = ["-", "–", "to "]
            .iter()
            .find_map(|to| rest.strip_prefix(to));
        scan(rest?.trim_start())
    };
    let (seconds, _) = scan(text).or_else(longer)?;
    from_seconds(seconds)
}

/// The number at the beginning of a text, without a unit: before its end or a punctuation mark. Seconds.
pub(super) fn bare(text: &str) -> Option<Duration> {
    let (seconds, rest) = number(text)?;
    let next = rest.trim_start().chars().next();
    let ends = next.is_none_or(|next| ".,;!)]\"'\n".contains(next));
    from_seconds(seconds).filter(|_| ends)
}

/// Reads numbers with units as long as there are any: their sum in seconds, and the remaining text.
fn scan(text: &str) -> Option<(f64, &str)> {
    let (mut sum, mut rest) = part(text)?;
    while let Some((seconds, after)) = part(joint(rest)) {
        sum += seconds;
        rest = after;
    }
    Some((sum, rest))
}

/// Skips the text between two parts of a span: blanks, a comma, "and".
fn joint(text: &str) -> &str {
    let text = text.trim_start();
    let text = text.strip_prefix(',').map_or(text, str::trim_start);
    let and = text.strip_prefix("and ");
    and.map_or(text, str::trim_start)
}

fn part(text: &str) -> Option<(f64, &str)> {
    let (value, rest) = number_or_article(text)?;
    let rest = rest.trim_start();
    for (name, scale) in CHINESE {
        if let Some(rest) = rest.strip_prefix(name) {
            return Some((value * scale, rest));
        }
    }
    let end = rest
        .find(|c: char| !c.is_alphabetic())
        .unwrap_or(rest.len());
    let (name, rest) = rest.split_at_checked(end)?;
    let scale = unit(name)?;
    // "second(s)"
    Some((value * scale, rest.strip_prefix("(s)").unwrap_or(rest)))
}

/// "an hour" is one.
fn number_or_article(text: &str) -> Option<(f64, &str)> {
    let article = || {
        let (word, rest) = text.split_once(' ')?;
        let one = ["a", "an", "one"]
            .iter()
            .any(|it| it.eq_ignore_ascii_case(word));
        one.then_some((1.0, rest))
    };
    number(text).or_else(article)
}

/// Digits with at most one point among them, and commas between groups of three; a point at the end of a sentence
/// is not part of the number.
fn number(text: &str) -> Option<(f64, &str)> {
    let digits = |text: &str| {
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len())
    };
    let mut whole = digits(text);
    if whole == 0 {
        return None;
    }
    while let Some(group) = text.get(whole..).and_then(|rest| rest.strip_prefix(','))
        && digits(group) == 3
    {
        whole += 4;
    }
    let fraction = text
        .get(whole..)
        .and_then(|rest| rest.strip_prefix('.'))
        .map(digits)
        .filter(|length| *length > 0)
        .map_or(0, |length| length + 1);
    let (value, rest) = text.split_at_checked(whole + fraction)?;
    Some((value.replace(',', "").parse().ok()?, rest))
}

/// `PT1H30M`, `P1DT2H`, `P2W` (ISO 8601), in seconds.
fn iso8601(text: &str) -> Option<f64> {
    let mut rest = text.strip_prefix(['P', 'p'])?;
    let (mut sum, mut parts, mut in_day) = (0.0, 0u32, false);
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(['T', 't']).filter(|_| !in_day) {
            (rest, in_day) = (after, true);
            continue;
        }
        let (value, after) = number(rest)?;
        let mut chars = after.chars();
        let scale = match (chars.next()?.to_ascii_uppercase(), in_day) {
            ('Y', false) => 365.0 * DAY,
            ('M', false) => 30.0 * DAY,
            ('W', false) => 7.0 * DAY,
            ('D', false) => DAY,
            ('H', true) => 3600.0,
            ('M', true) => 60.0,
            ('S', true) => 1.0,
            _ => return None,
        };
        sum += value * scale;
        (rest, parts) = (chars.as_str(), parts + 1);
    }
    (parts > 0).then_some(sum)
}

/// `01:02:03` or `01:02:03.5`, in seconds.
fn clock(text: &str) -> Option<f64> {
    let mut parts = text.split(':').map(|part| {
        let (value, rest) = number(part)?;
        rest.is_empty().then_some(value)
    });
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let sane = minutes < 60.0 && seconds < 60.0 && parts.next().is_none();
    sane.then_some(hours * 3600.0 + minutes * 60.0 + seconds)
}

/// Seconds since 1970, fractions included.
pub(super) fn unix_seconds(time: SystemTime) -> Option<f64> {
    time.duration_since(UNIX_EPOCH)
        .ok()
        .map(|since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form() {
        for (text, millis) in [
            ("6m0s", 360_000),
            ("1h2m", 3_720_000),
            ("2m59.56s", 179_560),
            ("12ms", 12),
            ("18s", 18_000),
            ("600.5s", 600_500),
            ("55", 55_000),
            ("11726.28", 11_726_280),
            ("1m26.4s", 86_400),
            ("0", 0),
            (" 20 seconds ", 20_000),
            ("1 hour 5 minutes", 3_900_000),
            ("1 hour, 5 minutes and 2 seconds", 3_902_000),
            ("26 second(s)", 26_000),
            ("1,200 seconds", 1_200_000),
            ("an hour", 3_600_000),
            ("2d", 172_800_000),
            ("1 week", 604_800_000),
            ("30秒", 30_000),
            ("5小时30分钟", 19_800_000),
            ("PT1H30M", 5_400_000),
            ("P1DT2H", 93_600_000),
            ("PT0.5S", 500),
            ("P2W", 1_209_600_000),
            ("00:01:30", 90_000),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "",
            "-1",
            "-5s",
            "NaN",
            "inf",
            "soon",
            "5x",
            "5s!",
            "1e300",
            "s",
            ".",
            "P",
            "PT",
            "P1H",
            "P99999Y",
            "1:2",
            "00:61:00",
            "99999999999",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(prefix("7.66s. Visit us"), Some(Duration::from_millis(7660)));
        assert_eq!(prefix("2-3 minutes"), Some(Duration::from_secs(180)));
        assert_eq!(prefix("26 or so"), None);
        assert_eq!(bare("26. Or so"), Some(Duration::from_secs(26)));
        assert_eq!(bare("26 requests"), None);
    }
}
