//! Redacts what an upstream sends: credentials of the call are removed before anything else reads it.
//!
//! Failures are searched byte by byte and in all disguises, and error messages are made of the result; they are rare
//! and small. Of an answer that serves, all but its content is searched: its head, comments and other text between the
//! events of a stream, and the metadata for traces.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};

use super::request::Endpoint;
use crate::actors::lease::Lease;
use crate::domain::attempt_record::ResponseMeta;
use crate::domain::outcome::Failure;
use crate::domain::secret::ApiKey;
use crate::wire::classify;
use crate::wire::encoding::whole::{readable, searchable};
use crate::wire::redact::{Redactor, SearchResult};
use crate::wire::sse::{self, RawEvent};

/// A longer error answer is not passed on, in bytes.
const MAX_ERROR: usize = 256 * 1024;

/// Takes the place of an error answer that could not be searched.
const WITHHELD: &str = r#"{"error":{"message":"the upstream refused the request; its answer is withheld, because it could not be searched for credentials","type":"upstream_error","code":"answer_withheld","param":null}}"#;

/// Masks the credentials of calls with the key of `lease`: that key, those in the `headers` of its endpoint, and the
/// endpoint's `others`.
pub(super) fn redactor<'a>(
    lease: &'a Lease,
    headers: &'a HeaderMap,
    others: &'a [ApiKey],
) -> Redactor<'a> {
    let key = (*lease.material).as_ref().map(|key| key.expose());
    let all = Redactor::new(key);
    let all = headers.iter().fold(all, |all, (name, value)| {
        all.with_header(name.as_str(), value.as_bytes())
    });
    others
        .iter()
        .fold(all, |all, other| all.with(other.expose()))
}

/// The same for calls to `endpoint`.
pub(super) fn of<'a>(lease: &'a Lease, endpoint: &'a Endpoint) -> Redactor<'a> {
    redactor(lease, &endpoint.headers, &endpoint.credentials)
}

/// [`reworded`] for a call to `endpoint`.
pub(super) fn fit(
    read: Failure,
    headers: &HeaderMap,
    body: &Bytes,
    lease: &Lease,
    endpoint: &Endpoint,
) -> Failure {
    reworded(read, headers, body, &of(lease, endpoint))
}

/// A failure, fit for the log.
pub(super) fn failure(failure: Failure, redactor: &Redactor<'_>) -> Failure {
    match redactor.masked_text(&failure.detail) {
        Some(detail) => Failure { detail, ..failure },
        None => failure,
    }
}

/// A failure that was read out of an answer with this head and body, fit for the log: its words are those of the body
/// without credentials. What was cut or joined to make words of it could not be recognised any more.
pub(super) fn reworded(
    read: Failure,
    headers: &HeaderMap,
    body: &Bytes,
    redactor: &Redactor<'_>,
) -> Failure {
    let plain = readable(headers, body);
    if plain.len() > MAX_ERROR {
        return failure(read, redactor);
    }
    match redactor.search(&plain) {
        SearchResult::Clean => failure(read, redactor),
        SearchResult::Masked(masked) => {
            let detail = classify::words(read.status, headers, &masked);
            failure(Failure { detail, ..read }, redactor)
        }
        SearchResult::TooDeep => Failure {
            detail: "an error whose words could not be searched for credentials".to_owned(),
            ..read
        },
    }
}

/// The head of an answer that serves, fit for the caller.
pub(super) fn head(headers: &mut HeaderMap, redactor: &Redactor<'_>) {
    remove(headers, redactor, |value| {
        !is_usual(value) && redactor.is_told_in(value)
    });
}

/// Whether a header's value is one that nearly every answer has and that no key can be read out of: it is not searched.
fn is_usual(value: &[u8]) -> bool {
    /// This many digits may be eight bytes in hexadecimal.
    const DIGITS: usize = 16;
    matches!(
        value,
        b"application/json"
            | b"application/json; charset=utf-8"
            | b"text/event-stream"
            | b"text/event-stream; charset=utf-8"
            | b"chunked"
            | b"keep-alive"
            | b"close"
            | b"gzip"
            | b"no-cache"
            | b"no-store"
            | b"nosniff"
    ) || (value.len() < DIGITS && value.iter().all(u8::is_ascii_digit))
        || is_date(value)
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7), by its form.
fn is_date(value: &[u8]) -> bool {
    const FORM: &[u8; 29] = b"Aaa, 00 Aaa 0000 00:00:00 GMT";
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'A' => byte.is_ascii_uppercase(),
        b'a' => byte.is_ascii_lowercase(),
        b'0' => byte.is_ascii_digit(),
        // The letters of `GMT`.
        _ => byte == form,
    };
    value.len() == FORM.len() && value.iter().zip(FORM).all(fits)
}

/// A whole answer that serves: its head, fit for the caller, and what it says of itself, fit for traces.
pub(super) fn good(
    headers: &mut HeaderMap,
    answer: &mut Option<Box<ResponseMeta>>,
    redactor: &Redactor<'_>,
) {
    head(headers, redactor);
    answered(answer, redactor);
}

/// What a good answer says of itself, fit for traces.
pub(super) fn answered(answered: &mut Option<Box<ResponseMeta>>, redactor: &Redactor<'_>) {
    let Some(answered) = answered else { return };
    let names = [&mut answered.id, &mut answered.model];
    let names = names.into_iter().flatten();
    for text in names.chain(&mut answered.finish_reasons) {
        if let Some(masked) = redactor.masked_text(text) {
            *text = masked.into();
        }
    }
}

/// An event of a stream that serves, fit for the caller: its data as it is, and the lines beside it without credentials.
/// Meant for events that have such lines.
pub(super) fn beside(event: RawEvent, redactor: &Redactor<'_>) -> RawEvent {
    let raw = match event.is_empty() {
        // A key may go on in the next comment.
        true => self::event(event.raw, redactor).unwrap_or(Bytes::from_static(b":\n\n")),
        false => {
            let mut out = Vec::with_capacity(event.raw.len());
            for line in event
                .raw
                .split_inclusive(|byte| matches!(byte, b'\n' | b'\r'))
            {
                let masked = sse::is_aside(line).then(|| redactor.masked(line)).flatten();
                out.extend_from_slice(masked.as_deref().unwrap_or(line));
                if masked.is_some() && !out.ends_with(b"\n") && !out.ends_with(b"\r") {
                    out.push(b'\n');
                }
            }
            Bytes::from(out)
        }
    };
    RawEvent { raw }
}

/// An error answer, fit for the caller: its head, and what is left of its body.
pub(super) fn refusal(headers: &mut HeaderMap, body: Bytes, redactor: &Redactor<'_>) -> Bytes {
    let heads = redactor.for_heads();
    remove(headers, &heads, |value| heads.masked(value).is_some());
    let plain = searchable(headers, &body).filter(|plain| plain.len() <= MAX_ERROR);
    match plain.map_or(SearchResult::TooDeep, |plain| redactor.search(&plain)) {
        SearchResult::Clean => body,
        SearchResult::Masked(masked) => {
            headers.remove(header::CONTENT_ENCODING);
            Bytes::from(masked)
        }
        SearchResult::TooDeep => {
            let json = HeaderValue::from_static("application/json");
            headers.insert(header::CONTENT_TYPE, json);
            headers.remove(header::CONTENT_ENCODING);
            Bytes::from_static(WITHHELD.as_bytes())
        }
    }
}

/// An error event of a stream, fit for callers; `None` when it is too large to be searched.
pub(super) fn event(raw: Bytes, redactor: &Redactor<'_>) -> Option<Bytes> {
    if raw.len() > MAX_ERROR {
        return None;
    }
    match redactor.search(&raw) {
        SearchResult::Clean => Some(raw),
        SearchResult::Masked(masked) => Some(Bytes::from(masked)),
        SearchResult::TooDeep => None,
    }
}

/// Removes the headers that contain a credential. Those that are needed to read the body stay, masked.
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
