//! Laws of small texts in requests: the token, durations, and hashes of tokens.
//!
//! The input is a request's headers as lines.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use pointsman::config::{Listen, duration, show_duration};
use pointsman::wire::headers::forward_request_headers;
use pointsman::wire::token::{TokenDigest, presented};

const YEAR: Duration = Duration::from_secs(366 * 86_400);

pub fn hold(data: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (name, value) = (
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
        );
        small(value);
        let name = HeaderName::from_bytes(name);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.trim_ascii())) {
            headers.append(name, value);
        }
    }
    if let Some(token) = presented(&headers, None) {
        assert!(!token.is_empty() && token.trim_ascii() == &*token);
        let carried = headers.iter().any(|(name, value)| {
            ["authorization", "x-api-key", "x-goog-api-key"].contains(&name.as_str())
                && value.as_bytes().ends_with(&token)
        });
        assert!(carried);
        assert_eq!(TokenDigest::of(&token), TokenDigest::of(&token));
    }
    let on = forward_request_headers(&headers);
    for name in [
        "authorization",
        "x-api-key",
        "cookie",
        "host",
        "content-length",
    ] {
        assert!(!on.contains_key(name), "{name} is passed on");
    }
}

fn small(value: &[u8]) {
    let Ok(text) = std::str::from_utf8(value) else {
        return;
    };
    if let Some(span) = duration(text) {
        assert!(span <= YEAR);
        let shown = show_duration(span);
        let again = duration(&shown).unwrap_or_else(|| panic!("{shown} is shown and not read"));
        assert!(
            again.abs_diff(span) < Duration::from_micros(1),
            "{text}: {shown}"
        );
    }
    if let Some(digest) = TokenDigest::from_hex(text) {
        assert!(text.len() == 64);
        assert_eq!(TokenDigest::from_hex(&text.to_uppercase()), Some(digest));
        assert_eq!(format!("{digest:?}"), "TokenDigest(****)");
    }
    if let Ok(listen) = Listen::parse(text) {
        let shown = listen.to_string();
        assert_eq!(Listen::parse(&shown), Ok(listen), "{shown}");
    }
}
