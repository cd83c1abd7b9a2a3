//! Names as one segment of a path.

use std::fmt::Write;

/// A name in which nothing could lead elsewhere: all but letters, digits, `-`, `.`, `_` and `~` (RFC 3986's unreserved
/// characters) is escaped.
pub fn escaped(name: &str) -> String {
    let mut path = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'-' | b'_' | b'.' | b'~' => path.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => path.push(char::from(byte)),
            // Writing to a text does not fail.
            byte => drop(write!(path, "%{byte:02X}")),
        }
    }
    // A segment of dots alone would be removed.
    match path.as_str() {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        _ => path,
    }
}
