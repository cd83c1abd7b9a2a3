//! The event that ends a stream which cannot be finished, in the form of each operation.
//!
//! Clients decide by it whether they ask again. Coding agents search the message of a chat stream for words such as
//! `server error`, and know only a few codes of the Responses API. They do not see an event of that API which has
//! no `sequence_number`, and take the cut answer for a whole one.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value, json};

use crate::domain::dialect::{EventForm, Operation};
use crate::wire::error_body::{SERVER_ERROR, Trouble};
use crate::wire::error_doc::{Doc, ErrorField};
use crate::wire::json;
use crate::wire::progress::Progress;
use crate::wire::sse::{RawEvent, data_event, named_event};

/// An upstream that refuses without a word.
const REFUSED: &str = "the upstream refused the request";
/// Another one: ask again later.
const RATE_LIMITED: &str = "rate_limit_exceeded";

/// The number of the next event: one more than the last one's, or their count if they have none.
fn next_number(so_far: &Progress) -> u64 {
    let last = object(&so_far.last).and_then(|last| last.get("sequence_number")?.as_u64());
    last.map_or(so_far.events, |last| last.saturating_add(1))
}

/// The response as its first event described it.
fn response(so_far: &Progress) -> Map<String, Value> {
    match object(&so_far.first).and_then(|mut first| first.remove("response")) {
        Some(Value::Object(response)) => response,
        _ => Map::new(),
    }
}

/// The JSON object in an event.
fn object(raw: &Bytes) -> Option<Map<String, Value>> {
    let event = RawEvent { raw: raw.clone() };
    json::whole_object(&event.data())
}

/// The event that ends a stream which cannot be finished. No end mark follows. `so_far` is what the caller has of a
/// response; other operations do not need it.
pub fn error_event(
    operation: Operation,
    trouble: Trouble<'_>,
    request_id: &str,
    so_far: &Progress,
) -> Bytes {
    let Trouble { kind, code, .. } = trouble;
    let message = recognisable(trouble.message, kind);
    match operation.events() {
        EventForm::Numbered => failed_response(&message, kind, code, request_id, so_far),
        EventForm::Chunks | EventForm::Named | EventForm::Answers => {
            let event = json!({"error": {
                "message": message, "type": kind, "code": code, "param": null, "request_id": request_id
            }});
            data_event(event.to_string().as_bytes())
        }
    }
}

/// The same made from an upstream's own error answer or error event's data, whose words are the best there are. `kind` is
/// taken where it names no type.
pub fn error_event_from_body(
    operation: Operation,
    body: &[u8],
    kind: &str,
    request_id: &str,
    so_far: &Progress,
) -> Bytes {
    let doc = Doc::read(&HeaderMap::new(), body);
    // Clients ignore an error without a message, and would take the stream as complete.
    let message = match doc.message().trim() {
        "" => REFUSED,
        message => message,
    };
    let fallback = match kind {
        "rate_limit_error" => RATE_LIMITED,
        _ => "upstream_error",
    };
    let code = doc.first(ErrorField::Code).unwrap_or(fallback);
    match operation.events() {
        EventForm::Numbered => {
            let message = recognisable(message, kind);
            failed_response(&message, kind, code, request_id, so_far)
        }
        EventForm::Chunks | EventForm::Named | EventForm::Answers => {
            // What else the upstream says, of the error and beside it, stays.
            let own = json::whole_object(body);
            let mut event = own
                .filter(|own| own.contains_key("error"))
                .unwrap_or_default();
            let mut error = match event.remove("error") {
                Some(Value::Object(error)) => error,
                _ => Map::new(),
            };
            // Whether asking again may help is known here; an upstream's type may say anything.
            let message = recognisable(message, kind);
            let kind = match error.get("type") {
                Some(Value::String(own)) if !own.is_empty() => own.clone(),
                _ => kind.to_owned(),
            };
            error.insert("message".to_owned(), json!(message));
            error.insert("type".to_owned(), json!(kind));
            error.insert("code".to_owned(), json!(code));
            error.entry("param").or_insert(Value::Null);
            error.insert("request_id".to_owned(), json!(request_id));
            event.insert("error".to_owned(), Value::Object(error));
            data_event(Value::Object(event).to_string().as_bytes())
        }
    }
}

/// Whether clients understand an upstream's own error event as it came: one of a response with its position.
pub fn is_understood(operation: Operation, event: &RawEvent) -> bool {
    let numbered = || object(&event.raw)?.get("sequence_number")?.as_u64();
    operation.events() == EventForm::Numbered && numbered().is_some()
}

/// The event `response.failed`, with the fields that earlier events gave the response.
fn failed_response(
    message: &str,
    kind: &str,
    code: &str,
    request_id: &str,
    so_far: &Progress,
) -> Bytes {
    let known = match kind {
        "rate_limit_error" => RATE_LIMITED,
        "server_error" | "timeout_error" => SERVER_ERROR,
        _ => code,
    };
    let mut response = response(so_far);
    for (name, value) in [
        ("id", json!(format!("resp_{request_id}"))),
        ("created_at", json!(0)),
        ("model", json!("")),
        ("output", json!([])),
        ("incomplete_details", Value::Null),
        ("usage", Value::Null),
    ] {
        response.entry(name).or_insert(value);
    }
    response.insert("object".to_owned(), json!("response"));
    response.insert("status".to_owned(), json!("failed"));
    let error = json!({"code": known, "message": message});
    response.insert("error".to_owned(), error);
    let event = json!({
        "type": "response.failed",
        "sequence_number": next_number(so_far),
        "response": response,
        "pointsman_code": code,
        "request_id": request_id,
    });
    named_event("response.failed", event.to_string().as_bytes())
}

/// The message with the words by which clients recognise an error of this kind as one that may pass.
fn recognisable(message: &str, kind: &str) -> String {
    let words = match kind {
        "rate_limit_error" => "rate limit",
        "invalid_request_error" | "authentication_error" | "permission_error" => {
            return message.to_owned();
        }
        // Upstreams have many names for a failure of their own: `InternalServerError`, `api_error`, none.
        _ => "server error",
    };
    let lower = message.to_ascii_lowercase();
    if lower.contains(words) {
        message.to_owned()
    } else {
        format!("{words}: {message}")
    }
}

/// What marks the end of a whole stream, where the operation has such a mark.
pub fn end_mark(operation: Operation) -> Option<Bytes> {
    match operation.events() {
        EventForm::Numbered => None,
        EventForm::Chunks | EventForm::Named | EventForm::Answers => {
            Some(Bytes::from_static(b"data: [DONE]\n\n"))
        }
    }
}

#[cfg(test)]
mod tests;
