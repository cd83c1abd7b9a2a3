//! Laws of errors: every answer has a class, one line of words without the key that it echoes, and a hint in range.
//!
//! The input is an answer (`answer.rs`); `<key>` in its body stands for a key.

use bytes::Bytes;
use pointsman::domain::dialect::Operation;
use pointsman::domain::outcome::{Class, Failure};
use pointsman::wire::classify::{classify, classify_inband};
use pointsman::wire::encoding::whole::readable;
use pointsman::wire::headers::{forward_request_headers, forward_response_headers};
use pointsman::wire::inspection::{ErrorDoc, Inspection};
use pointsman::wire::openai::response::inspect_closer;
use pointsman::wire::ratelimit::MAX_HINT;

use super::answer::Answer;

const KEY: &str = "sk-proj-T3qNz81LmWc0vXbY7KpRe5HaUd2JfGs9";
/// The part of it that is nobody's but the owner's.
const SECRET: &str = "T3qNz81LmWc0vXbY7KpRe5HaUd2JfGs9";

pub fn hold(data: &[u8]) {
    // A fuzzer sees what is compared, and writes the key itself.
    let told = |piece: &[u8]| data.windows(6).any(|part| part == piece);
    if SECRET.as_bytes().windows(6).any(told) {
        return;
    }
    let answer = Answer::read(data);
    let body = Bytes::from(planted(&answer.body));
    let kind = answer.kind.as_str();
    let headers = &answer.headers;
    let _ = readable(headers, &body);
    for operation in Operation::ALL {
        let failure = classify(
            kind,
            operation,
            answer.status,
            headers,
            &body,
            answer.wall_now,
        );
        assert_eq!(failure.status, Some(answer.status));
        judge(&failure);
    }
    for status in [None, Some(answer.status)] {
        let body = body.clone();
        let error = ErrorDoc { status, body };
        judge(&classify_inband(kind, &error, headers, answer.wall_now));
    }
    for operation in Operation::ALL {
        if let Inspection::ErrorInside(error) = inspect_closer(operation, headers, &body, None) {
            judge(&classify_inband(kind, &error, headers, answer.wall_now));
        }
    }
    for headers in [
        forward_response_headers(headers).0,
        forward_request_headers(headers),
    ] {
        for name in headers.keys().map(|name| name.as_str()) {
            let hop = [
                "connection",
                "authorization",
                "set-cookie",
                "x-api-key",
                "cookie",
            ];
            let request = name == "cookie" && headers.contains_key("cookie");
            assert!(request || !hop.contains(&name), "{name} is passed on");
            assert!(
                !name.starts_with("x-ratelimit-") && !name.starts_with("x-pointsman-"),
                "{name}"
            );
        }
    }
}

fn judge(failure: &Failure) {
    let words = &failure.detail;
    assert!(!matches!(failure.class, Class::Success | Class::Cancelled));
    assert!(
        !words.is_empty() && words.chars().count() <= 300,
        "{words:?}"
    );
    assert!(!words.contains(char::is_control), "{words:?}");
    let mut pieces = SECRET.as_bytes().windows(12);
    let leaked = |piece: &[u8]| words.as_bytes().windows(12).any(|part| part == piece);
    assert!(!pieces.any(leaked), "a key is shown: {words:?}");
    assert!(failure.retry_after.is_none_or(|hint| hint <= MAX_HINT));
}

fn planted(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((first, after)) = rest.split_first() {
        match rest.strip_prefix(b"<key>") {
            Some(after) => {
                out.extend_from_slice(KEY.as_bytes());
                rest = after;
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}
