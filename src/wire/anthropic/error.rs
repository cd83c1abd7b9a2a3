//! Errors in Anthropic's shape.
//!
//! Its SDKs choose an exception by the HTTP status, and programs that look further by `error.type`. Coding agents search
//! the message of a broken stream for words such as `server error`, as they do in other dialects.

use bytes::Bytes;
use http::HeaderMap;
use serde::Serialize;
use serde_json::{Value, json};

use crate::wire::error_body::{AttemptLine, ErrorBody, SkippedLine, Trouble};
use crate::wire::error_doc::{Doc, ErrorField};
use crate::wire::sse::named_event;

/// An upstream that refuses without a word.
const REFUSED: &str = "the upstream refused the request";
const INVALID: &str = "invalid_request_error";
const RATE_LIMIT: &str = "rate_limit_error";
/// A failure of the server's own.
const API: &str = "api_error";

/// The types of errors and the HTTP status of each; the first one of a status is what that status means.
const TYPES: [(&str, u16); 11] = [
    (INVALID, 400),
    ("authentication_error", 401),
    ("billing_error", 402),
    ("permission_error", 403),
    ("not_found_error", 404),
    ("request_too_large", 413),
    (RATE_LIMIT, 429),
    (API, 500),
    ("timeout_error", 504),
    ("overloaded_error", 529),
    ("overloaded_error", 503),
];

/// The type of an error with this status.
fn type_of(status: u16) -> &'static str {
    let known = TYPES.iter().find(|(_, of)| *of == status);
    match (known, status) {
        (Some((kind, _)), _) => kind,
        (None, 400..=499) => INVALID,
        _ => API,
    }
}

/// The status of an error of this type, which a stream does not tell otherwise.
pub(super) fn status_of(kind: &str) -> Option<u16> {
    let known = TYPES.iter().find(|(name, _)| *name == kind);
    known.map(|(_, status)| *status)
}

/// The type for one of OpenAI's, or of Anthropic's own.
fn type_for(kind: &str) -> &str {
    match kind {
        "server_error" => API,
        known if status_of(known).is_some() => known,
        _ => API,
    }
}

#[derive(Serialize)]
struct ErrorShape<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    error: InnerError<'a>,
    request_id: &'a str,
}

#[derive(Serialize)]
struct InnerError<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    message: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    attempts: &'a [AttemptLine<'a>],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    skipped: &'a [SkippedLine],
}

/// `{"type": "error", "error": {…}, "request_id": …}`.
pub(super) fn to_bytes(error: &ErrorBody<'_>) -> Bytes {
    let shape = ErrorShape {
        kind: "error",
        error: InnerError {
            kind: type_of(error.status),
            message: error.message,
            code: error.code,
            param: error.param,
            attempts: &error.attempts,
            skipped: &error.skipped,
        },
        request_id: error.request_id,
    };
    // Strings and numbers always serialise.
    serde_json::to_vec(&shape).unwrap_or_default().into()
}

/// The event that ends a stream which cannot be finished.
pub(super) fn event(trouble: Trouble<'_>, request_id: &str) -> Bytes {
    let kind = type_for(trouble.kind);
    let message = recognisable(trouble.message, kind);
    write(
        &json!({"type": kind, "message": message, "code": trouble.code}),
        request_id,
    )
}

/// The same made from an upstream's own error.
pub(super) fn event_from_body(body: &[u8], kind: &str, request_id: &str) -> Bytes {
    let doc = Doc::read(&HeaderMap::new(), body);
    let message = match doc.message().trim() {
        "" => REFUSED,
        message => message,
    };
    // To wait a minute, as some do for an overload, helps nobody here: another upstream may serve at once.
    let kind = match type_for(kind) {
        "overloaded_error" => API,
        kind => kind,
    };
    let message = recognisable(message, kind);
    let code = doc.first(ErrorField::Code).unwrap_or("upstream_error");
    write(
        &json!({"type": kind, "message": message, "code": code}),
        request_id,
    )
}

fn write(error: &Value, request_id: &str) -> Bytes {
    let event = json!({"type": "error", "error": error, "request_id": request_id});
    named_event("error", event.to_string().as_bytes())
}

/// The message with the words by which clients recognise an error of this type as one that may pass.
fn recognisable(message: &str, kind: &str) -> String {
    let words = match kind {
        RATE_LIMIT => "rate limit",
        API | "overloaded_error" | "timeout_error" => "server error",
        _ => return message.to_owned(),
    };
    match message.to_ascii_lowercase().contains(words) {
        true => message.to_owned(),
        false => format!("{words}: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sse::RawEvent;

    fn body(status: u16) -> Value {
        let bytes = to_bytes(&ErrorBody {
            message: "no",
            status,
            retry_after: None,
            kind: "server_error",
            code: "c",
            param: None,
            request_id: "req_1",
            attempts: Vec::new(),
            skipped: Vec::new(),
        });
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn each_status_has_the_type_by_which_sdks_know_it() {
        for (status, kind) in [
            (400, INVALID),
            (401, "authentication_error"),
            (404, "not_found_error"),
            (405, INVALID),
            (413, "request_too_large"),
            (429, RATE_LIMIT),
            (502, API),
            (503, "overloaded_error"),
            (504, "timeout_error"),
        ] {
            let body = body(status);
            assert_eq!(body["type"], "error");
            assert_eq!(body["error"]["type"], kind, "{status}");
            assert_eq!(body["error"]["message"], "no");
            assert_eq!(body["request_id"], "req_1");
        }
    }

    #[test]
    fn an_event_has_words_that_clients_ask_again_for() {
        let raw = event_from_body(br#"{"detail":"boom"}"#, "server_error", "req_1");
        let event = RawEvent { raw };
        assert_eq!(event.name(), Some(&b"error"[..]));
        let said: Value = serde_json::from_slice(&event.data()).unwrap();
        assert_eq!(said["error"]["type"], API);
        assert_eq!(said["error"]["message"], "server error: boom");
    }
}
