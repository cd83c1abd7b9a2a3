//! Numbers and texts for people, in tables and on screens.

use serde_json::Value;

use crate::domain::shown::plain;

/// A time: `0.4 s`, `12 s`, `3 min`, `2 h`, `5 d`.
pub(super) fn span(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 10.0 => format!("{seconds:.1} s"),
        seconds if seconds < 120.0 => format!("{seconds:.0} s"),
        seconds if seconds < 7200.0 => format!("{:.0} min", seconds / 60.0),
        seconds if seconds < 172_800.0 => format!("{:.0} h", seconds / 3600.0),
        seconds => format!("{:.0} d", seconds / 86_400.0),
    }
}

/// Milliseconds: `0.9 ms`, `812 ms`.
pub(super) fn millis(millis: f64) -> String {
    match millis {
        millis if millis < 10.0 => format!("{millis:.1} ms"),
        millis => format!("{millis:.0} ms"),
    }
}

/// A text of a JSON value; an empty one without it. Characters that a terminal obeys or does not show are escaped: names
/// may be a caller's.
pub(super) fn text(value: &Value) -> String {
    plain(value.as_str().unwrap_or_default(), false).into_owned()
}

/// The items of a JSON array; none without it.
pub(super) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Bytes: `512 B`, `1.5 KiB`, `256.0 MiB`.
pub(super) fn size(bytes: &Value) -> String {
    let bytes = bytes.as_f64().unwrap_or_default();
    match bytes {
        bytes if bytes < 1024.0 => format!("{bytes:.0} B"),
        bytes if bytes < 1_048_576.0 => format!("{:.1} KiB", bytes / 1024.0),
        bytes if bytes < 1_073_741_824.0 => format!("{:.1} MiB", bytes / 1_048_576.0),
        bytes => format!("{:.1} GiB", bytes / 1_073_741_824.0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_short() {
        let shown = [0.04, 4.25, 61.0, 180.0, 7200.0, 200_000.0].map(span);
        assert_eq!(shown, ["0.0 s", "4.2 s", "61 s", "3 min", "2 h", "2 d"]);
        assert_eq!([0.94, 812.4].map(millis), ["0.9 ms", "812 ms"]);
    }

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        assert_eq!(text(&json!("a\u{1b}[2Jb\nc")), "a\\u{1b}[2Jb\\u{a}c");
        assert_eq!(text(&json!("a\u{202e}b")), "a\\u{202e}b");
        assert_eq!(text(&json!(7)), "");
    }
}
