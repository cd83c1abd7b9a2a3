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

/// What percent-encoded characters stand for (RFC 3986, 2.1).
pub fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digit = |at: usize| char::from(*after.get(at)?).to_digit(16);
        let both = digit(0).zip(digit(1)).filter(|_| *first == b'%');
        let code = both.and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        bytes.push(code.unwrap_or(*first));
        rest = match code {
            Some(_) => after.get(2..).unwrap_or_default(),
            None => after,
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
