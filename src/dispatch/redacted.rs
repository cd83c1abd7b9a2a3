//! What an upstream says about a failure, before anybody else hears of it: without the credentials of the call.
//!
//! Only failures are searched, word by word and in all disguises; they are rare and small. Of an answer that serves
//! only the head is looked at, for a header that repeats a credential as it is.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};

use crate::actors::lease::Lease;
use crate::domain::outcome::Failure;
use crate::wire::openai::response::searchable;
use crate::wire::redact::Redactor;

/// A longer error answer is not passed on, in bytes.
const MAX_ERROR: usize = 256 * 1024;

/// Takes the place of an error answer that could not be searched.
const WITHHELD: &str = r#"{"error":{"message":"the upstream refused the request; its answer is withheld, because it could not be searched for credentials","type":"upstream_error","code":"answer_withheld","param":null}}"#;

/// Masks the credentials of calls to `endpoint` with the key of `lease`.
pub(super) fn redactor<'a>(lease: &'a Lease, headers: &'a HeaderMap) -> Redactor<'a> {
    let key = (*lease.material).as_ref().map(|key| key.expose());
    let all = Redactor::new(key);
    headers.iter().fold(all, |all, (name, value)| {
        all.with_header(name.as_str(), value.as_bytes())
    })
}

/// A failure, fit for the log.
pub(super) fn failure(failure: Failure, redactor: &Redactor<'_>) -> Failure {
    match redactor.masked_text(&failure.detail) {
        Some(detail) => Failure { detail, ..failure },
        None => failure,
    }
}

/// The head of an answer that serves, fit for the caller.
pub(super) fn head(headers: &mut HeaderMap, redactor: &Redactor<'_>) {
    remove(headers, redactor, |value| redactor.is_in(value));
}

/// An error answer, fit for the caller: its head, and what is left of its body.
pub(super) fn refusal(headers: &mut HeaderMap, body: Bytes, redactor: &Redactor<'_>) -> Bytes {
    let heads = redactor.for_heads();
    remove(headers, &heads, |value| heads.masked(value).is_some());
    let plain = searchable(headers, &body).filter(|plain| plain.len() <= MAX_ERROR);
    let Some(plain) = plain else {
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
        headers.remove(header::CONTENT_ENCODING);
        return Bytes::from_static(WITHHELD.as_bytes());
    };
    match redactor.masked(&plain) {
        Some(masked) => {
            headers.remove(header::CONTENT_ENCODING);
            Bytes::from(masked)
        }
        None => body,
    }
}

/// An error event of a stream, fit for callers; `None` when it is too large to be searched.
pub(super) fn event(raw: Bytes, redactor: &Redactor<'_>) -> Option<Bytes> {
    let small = raw.len() <= MAX_ERROR;
    small.then(|| redactor.masked(&raw).map_or(raw, Bytes::from))
}

/// Removes the headers that are telling. Those that say how to read the body stay, with what is telling masked.
fn remove(headers: &mut HeaderMap, redactor: &Redactor<'_>, telling: impl Fn(&[u8]) -> bool) {
    let found: Vec<_> = headers
        .iter()
        .filter(|(_, value)| telling(value.as_bytes()))
        .map(|(name, value)| (name.clone(), redactor.masked(value.as_bytes())))
        .collect();
    for (name, masked) in found {
        let needed = name.as_str().starts_with("content-");
        let masked = masked.and_then(|value| HeaderValue::from_bytes(&value).ok());
        match masked.filter(|_| needed) {
            Some(masked) => {
                headers.insert(name, masked);
            }
            None => {
                headers.remove(name);
            }
        }
    }
}

#[cfg(test)]
mod tests;
