//! Spans of time in the forms of Go, of protobuf and of prose: `6m0s`, `2m59.56s`, `12ms`, `18s`, `20 seconds`.
//! Also the longest that is believed, and moments as seconds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The longest hint that is believed: ten years. What is further away is a mistake.
pub const MAX_HINT: Duration = Duration::from_secs(10 * 365 * 86_400);

/// A span of so many seconds; `None` when negative, not a number or longer than [`MAX_HINT`].
pub(super) fn from_seconds(seconds: f64) -> Option<Duration> {
    let span = Duration::try_from_secs_f64(seconds).ok()?;
    (span <= MAX_HINT).then_some(span)
}

/// The whole text as a span: a plain number of seconds, or numbers with units.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    match text.parse::<f64>() {
        Ok(seconds) => from_seconds(seconds),
        Err(_) => {
            let (seconds, rest) = scan(text)?;
            rest.trim()
                .is_empty()
                .then(|| from_seconds(seconds))
                .flatten()
        }
    }
}

/// The span with which a text begins. A number without a unit is seconds.
pub(super) fn prefix(text: &str) -> Option<Duration> {
    let seconds = match scan(text) {
        Some((seconds, _)) => seconds,
        None => number(text)?.0,
    };
    from_seconds(seconds)
}

/// Reads numbers with units as long as there are any: their sum in seconds, and the rest.
fn scan(text: &str) -> Option<(f64, &str)> {
    let (mut sum, mut rest) = part(text)?;
    while let Some((seconds, after)) = part(rest.trim_start()) {
        sum += seconds;
        rest = after;
    }
    Some((sum, rest))
}

fn part(text: &str) -> Option<(f64, &str)> {
    let (value, rest) = number(text)?;
    let rest = rest.trim_start();
    let end = rest
        .find(|c: char| !c.is_alphabetic())
        .unwrap_or(rest.len());
    let (unit, rest) = rest.split_at_checked(end)?;
    let scale = match unit.to_ascii_lowercase().as_str() {
        "ns" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" | "millisecond" | "milliseconds" => 1e-3,
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86_400.0,
        _ => return None,
    };
    Some((value * scale, rest))
}

/// Digits with at most one point among them; a point at the end of a sentence is not part of the number.
fn number(text: &str) -> Option<(f64, &str)> {
    let digits = |text: &str| {
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len())
    };
    let whole = digits(text);
    let fraction = text
        .get(whole..)
        .and_then(|rest| rest.strip_prefix('.'))
        .map(digits)
        .filter(|length| *length > 0)
        .map_or(0, |length| length + 1);
    let (value, rest) = text.split_at_checked(whole + fraction)?;
    (whole > 0)
        .then(|| Some((value.parse().ok()?, rest)))
        .flatten()
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
            ("2d", 172_800_000),
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
            "99999999999",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(prefix("7.66s. Visit us"), Some(Duration::from_millis(7660)));
        assert_eq!(prefix("26 or so"), Some(Duration::from_secs(26)));
    }
}
