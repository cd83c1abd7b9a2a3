//! What the laws of translation have in common: the dialects by their names.

use bytes::Bytes;
use pointsman::domain::dialect::Operation;
use pointsman::wire::dialects;
use pointsman::wire::exchange::Exchange;
use pointsman::wire::request::RequestDoc;

pub const CALLERS: [&str; 4] = ["openai", "anthropic", "gemini", "responses"];

/// What a caller of the dialect asks for.
pub fn operation(dialect: &[u8]) -> Option<Operation> {
    Some(match dialect.trim_ascii() {
        b"openai" => Operation::Chat,
        b"anthropic" => Operation::Messages,
        b"gemini" => Operation::GenerateContent,
        b"responses" => Operation::Responses,
        _ => return None,
    })
}

/// How it travels; an `openai` upstream knows chat completions alone.
pub fn exchange(operation: Operation, upstream: &str) -> Exchange {
    let upstream = dialects::upstream(upstream).unwrap_or_else(dialects::usual);
    let translated = Exchange::translated(operation, upstream);
    let made = translated.or_else(|| Exchange::new(operation, upstream));
    made.unwrap_or_else(|| panic!("{operation:?} is a conversation"))
}

/// A request with a tool of each kind.
pub fn plain_request(caller: &str) -> RequestDoc {
    let body = match caller {
        "gemini" => r#"{"contents": [], "tools": [{"functionDeclarations": [{"name": "f"}]}]}"#,
        "responses" => {
            r#"{"model": "m", "input": "x", "stream": true, "tools": [{"type": "custom", "name": "shell"}]}"#
        }
        _ => {
            r#"{"model": "m", "messages": [], "stream": true, "stream_options": {"include_usage": true}}"#
        }
    };
    let doc = RequestDoc::parse(Bytes::from_static(body.as_bytes()));
    let doc = doc.and_then(|doc| doc.routed("m", true));
    doc.unwrap_or_else(|error| panic!("{error:?}"))
}
