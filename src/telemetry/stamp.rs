//! The time of a log line. The part that changes once a second is kept from one line to the next.

use std::cell::RefCell;
use std::time::{Duration, UNIX_EPOCH};

use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

/// Up to the seconds: `2026-11-21T09:36:27`.
const TO_SECONDS: usize = 19;

thread_local! {
    /// A second since the epoch, and how the library writes a moment of it.
    static LAST: RefCell<(Option<u64>, String)> = const { RefCell::new((None, String::new())) };
}

/// Adds the present time in UTC to the microsecond: `2026-11-21T09:36:27.123456Z`.
pub(super) fn push(out: &mut Vec<u8>) {
    LAST.with_borrow_mut(|(second, text)| {
        let now = since_epoch();
        if *second == Some(now.as_secs()) {
            out.extend_from_slice(text.as_bytes().get(..TO_SECONDS).unwrap_or_default());
            out.extend_from_slice(&fraction(now));
            return;
        }
        text.clear();
        // Writing to a String cannot fail.
        let _ = SystemTime.format_time(&mut Writer::new(text));
        out.extend_from_slice(text.as_bytes());
        // Which second was written is known only if it did not end in between.
        let same = now.as_secs() == since_epoch().as_secs();
        *second = same.then_some(now.as_secs());
    });
}

fn since_epoch() -> Duration {
    std::time::SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

fn fraction(now: Duration) -> [u8; 8] {
    let mut digits = *b".000000Z";
    let mut micros = now.subsec_micros();
    for digit in digits[1..7].iter_mut().rev() {
        // The remainder of a division by ten fits.
        *digit += u8::try_from(micros % 10).unwrap_or_default();
        micros /= 10;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_second_reads_as_a_fresh_one() {
        for _ in 0..1000 {
            let mut line = Vec::new();
            push(&mut line);
            let mut fresh = String::new();
            SystemTime
                .format_time(&mut Writer::new(&mut fresh))
                .unwrap();
            let line = String::from_utf8(line).unwrap();
            assert_eq!(line.len(), fresh.len());
            assert!(line <= fresh && line.ends_with('Z'), "{line} {fresh}");
        }
    }

    #[test]
    fn the_fraction_keeps_its_zeros() {
        assert_eq!(&fraction(Duration::from_micros(5_000_123)), b".000123Z");
        assert_eq!(&fraction(Duration::from_micros(999_999)), b".999999Z");
    }
}
