//! Times and sizes as people write them: `500ms`, `3s`, `2m`, `1.5h`, a bare number of seconds; `32MiB`.

use std::time::Duration;

/// The longest time that may be configured: a year. Longer ones are slips.
const LONGEST: f64 = 366.0 * 86_400.0;

/// Reads a time. `None` when it is none, negative, or longer than a year.
pub fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let seconds = match unit.as_str() {
        "" | "s" | "sec" | "secs" | "second" | "seconds" => number,
        "ms" | "millis" => number / 1000.0,
        "us" | "µs" => number / 1_000_000.0,
        "m" | "min" | "mins" | "minute" | "minutes" => number * 60.0,
        "h" | "hour" | "hours" => number * 3600.0,
        "d" | "day" | "days" => number * 86_400.0,
        _ => return None,
    };
    seconds_to_duration(seconds)
}

/// The same from a plain number of seconds.
pub fn seconds_to_duration(seconds: f64) -> Option<Duration> {
    if !(0.0..=LONGEST).contains(&seconds) {
        return None;
    }
    Duration::try_from_secs_f64(seconds).ok()
}

/// Reads a size in bytes: a bare number, or one with `KB`, `MB`, `GB` (powers of 1000), `KiB`, `MiB`, `GiB`
/// (powers of 1024). `None` when it is none or more than fits.
pub fn size(text: &str) -> Option<usize> {
    let (number, unit) = split(text)?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "ki" | "kib" => 1024.0,
        "mi" | "mib" => 1024.0 * 1024.0,
        "gi" | "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let bytes = (number * factor).round();
    // A terabyte is far beyond any request and far below the limits of `f64` and `usize`.
    if !(0.0..=1e12).contains(&bytes) {
        return None;
    }
    format!("{bytes:.0}").parse().ok()
}

/// Shows a time in the form it is configured in.
pub fn show(span: Duration) -> String {
    let millis = span.as_millis();
    if !span.subsec_nanos().is_multiple_of(1_000_000) {
        return format!("{}s", span.as_secs_f64());
    }
    for (unit, length) in [("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
        if millis.is_multiple_of(length) && (millis > 0 || unit == "s") {
            return format!("{}{unit}", millis / length);
        }
    }
    format!("{millis}ms")
}

fn split(text: &str) -> Option<(f64, String)> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number.parse().ok()?;
    Some((number, unit.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_read_as_written() {
        for (text, millis) in [
            ("500ms", 500),
            ("3s", 3000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
            ("7", 7000),
            ("0.25", 250),
            ("1.5 s", 1500),
            ("0", 0),
        ] {
            assert_eq!(
                duration(text),
                Some(Duration::from_millis(millis)),
                "{text}"
            );
        }
        for text in [
            "", "s", "-1s", "1y", "1.2.3s", "999999d", "1e3", "3 apples", "NaN", "inf",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_read_as_written() {
        assert_eq!(size("32MiB"), Some(32 * 1024 * 1024));
        assert_eq!(size("1.5 KB"), Some(1500));
        assert_eq!(size("100"), Some(100));
        assert_eq!(size("1gib"), Some(1 << 30));
        for text in ["", "MiB", "-1", "1TB", "99999999GB"] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_shown_time_reads_back(millis in 0u64..10_000_000) {
            let span = Duration::from_millis(millis);
            prop_assert_eq!(duration(&show(span)), Some(span));
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,24}") {
            let _ = (duration(&text), size(&text));
        }
    }
}
