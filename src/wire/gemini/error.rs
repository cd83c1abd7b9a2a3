//! Errors in Google's form: `{"error": {"code", "message", "status", "details"}}`, as its client libraries read them.
//!
//! `code` is the HTTP status, `status` the name of gRPC's code. What else there is to say stands in `details`, each of a
//! type of its own: `RetryInfo` is what clients wait by.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value, json};

use crate::wire::error_body::{ErrorBody, Trouble};
use crate::wire::error_doc::{Doc, ErrorField};
use crate::wire::json;

const TYPES: &str = "type.googleapis.com/google.rpc.";

/// gRPC's name for an HTTP status, by Google's table (`google/rpc/code.proto`).
fn grpc(status: u16) -> &'static str {
    match status {
        400 | 405 | 411..=417 | 422 | 431 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        402 | 403 => "PERMISSION_DENIED",
        404 | 410 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        501 => "UNIMPLEMENTED",
        502 | 503 | 529 => "UNAVAILABLE",
        408 | 504 => "DEADLINE_EXCEEDED",
        500.. => "INTERNAL",
        _ => "FAILED_PRECONDITION",
    }
}

/// One of our own errors as an answer.
pub(super) fn to_bytes(error: &ErrorBody<'_>) -> Bytes {
    let mut details = vec![json!({
        "@type": format!("{TYPES}ErrorInfo"),
        "reason": error.code.to_ascii_uppercase(),
        "domain": "pointsman",
        "metadata": {"code": error.code, "request_id": error.request_id},
    })];
    details.extend(error.retry_after.map(retry_info));
    if let Some(param) = error.param {
        details.push(json!({
            "@type": format!("{TYPES}BadRequest"),
            "fieldViolations": [{"field": param, "description": error.message}],
        }));
    }
    if !error.attempts.is_empty() || !error.skipped.is_empty() {
        details.push(json!({
            "@type": "type.googleapis.com/google.protobuf.Struct",
            "value": {"attempts": error.attempts, "skipped": error.skipped},
        }));
    }
    body(error.status, error.message, &details)
}

fn body(status: u16, message: &str, details: &[Value]) -> Bytes {
    let error = json!({
        "code": status, "message": message, "status": grpc(status), "details": details,
    });
    json!({"error": error}).to_string().into()
}

/// When to come back: in seconds with a fraction, as the JSON form of a duration has it.
fn retry_info(after: Duration) -> Value {
    let millis = after.as_millis().max(1);
    let (seconds, rest) = (millis / 1000, millis % 1000);
    let delay = match rest {
        0 => format!("{seconds}s"),
        rest => format!("{seconds}.{rest:03}s"),
    };
    json!({"@type": format!("{TYPES}RetryInfo"), "retryDelay": delay})
}

/// The status that a failure of this kind would have had as an answer of its own.
fn status_of(kind: &str) -> u16 {
    match kind {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "permission_error" => 403,
        "not_found_error" => 404,
        "rate_limit_error" => 429,
        // Clients ask again after it.
        _ => 503,
    }
}

/// What ends a stream that cannot be finished: the bare object. Google's client for JavaScript looks for an error only in
/// a piece that is JSON by itself, and takes an answer that ends with `data: {"error": …}` for a whole one.
pub(super) fn event(trouble: Trouble<'_>, request_id: &str) -> Bytes {
    let details = [json!({
        "@type": format!("{TYPES}ErrorInfo"),
        "reason": trouble.code.to_ascii_uppercase(),
        "domain": "pointsman",
        "metadata": {"code": trouble.code, "request_id": request_id},
    })];
    body(status_of(trouble.kind), trouble.message, &details)
}

/// The same made from an upstream's own error. One in Google's form keeps what it says.
pub(super) fn event_from_body(raw: &[u8], kind: &str, request_id: &str) -> Bytes {
    let doc = Doc::read(&HeaderMap::new(), raw);
    let message = match doc.message().trim() {
        "" => "the upstream refused the request",
        message => message,
    };
    if let Some(own) = own_error(raw, message) {
        return json!({"error": own}).to_string().into();
    }
    let code = doc.first(ErrorField::Code).unwrap_or("upstream_error");
    event(
        Trouble {
            message,
            kind,
            code,
        },
        request_id,
    )
}

/// Google's own error, with all that its clients read.
fn own_error(raw: &[u8], message: &str) -> Option<Map<String, Value>> {
    let mut body = json::whole_object(raw)?;
    let Some(Value::Object(mut error)) = body.remove("error") else {
        return None;
    };
    let code = error.get("code").and_then(Value::as_u64);
    let code = code
        .and_then(|code| u16::try_from(code).ok())
        .filter(|code| *code >= 400)?;
    if !error.get("status").is_some_and(Value::is_string) {
        return None;
    }
    error.insert("code".to_owned(), code.into());
    error.insert("message".to_owned(), message.into());
    Some(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn clients_read_code_status_message_and_the_delay() {
        let body = read(&to_bytes(&ErrorBody {
            message: "m",
            status: 429,
            retry_after: Some(Duration::from_millis(1500)),
            kind: "rate_limit_error",
            code: "upstreams_rate_limited",
            param: None,
            request_id: "r",
            attempts: Vec::new(),
            skipped: Vec::new(),
        }));
        let error = &body["error"];
        assert_eq!(
            (&error["code"], &error["status"]),
            (&json!(429), &json!("RESOURCE_EXHAUSTED"))
        );
        assert_eq!(error["details"][0]["reason"], "UPSTREAMS_RATE_LIMITED");
        assert_eq!(error["details"][1]["retryDelay"], "1.500s");
        assert_eq!(retry_info(Duration::from_secs(17))["retryDelay"], "17s");
    }

    #[test]
    fn a_stream_ends_with_the_bare_object() {
        let trouble = Trouble {
            message: "lost",
            kind: "server_error",
            code: "upstreams_exhausted",
        };
        let body = read(&event(trouble, "r"));
        assert_eq!(body["error"]["code"], 503);
        assert_eq!(body["error"]["status"], "UNAVAILABLE");
        let own = br#"{"error":{"code":500,"message":"x","status":"INTERNAL","details":[1]}}"#;
        assert_eq!(read(&event_from_body(own, "server_error", "r")), read(own));
        let other = br#"{"error":{"message":"busy","type":"server_error"}}"#;
        let body = read(&event_from_body(other, "rate_limit_error", "r"));
        assert_eq!(
            (&body["error"]["code"], &body["error"]["message"]),
            (&json!(429), &json!("busy"))
        );
        assert_eq!(
            read(&event_from_body(b"", "server_error", "r"))["error"]["code"],
            503
        );
    }
}
