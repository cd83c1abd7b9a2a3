//! What a look at an upstream's answer finds, whatever dialect it is in: in one event of a stream, or in a whole answer.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};

use super::encoding::whole::{Unread, decoded};
use super::json;
use crate::domain::usage::Usage;

/// The most of a text that is kept as the words of an error, in bytes.
const MAX_WORDS: usize = 2048;

/// What one event says. All may be unset: a comment, or a ping.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StreamEvent {
    /// A well-formed event of the operation, however little it says: the upstream is at work. Comments and pings,
    /// which servers send by themselves, are no sign of that.
    pub life: bool,
    /// Something that the model produced: text, reasoning, a refusal, a tool call or its progress, media, notes.
    pub content: bool,
    /// The choices that have a finish reason, or a response that is complete: one bit each, by index. Some upstreams
    /// say it on every chunk, so it is an end only where the stream ends.
    pub finished: u128,
    /// A text that only keeps the connection open. Clients take any data for JSON: they are better off without it.
    pub ping: bool,
    /// The stream ends here.
    pub done: bool,
    /// Not what was asked for.
    pub malformed: bool,
    /// Token counts, if it carries any.
    pub usage: Option<Usage>,
    /// An error. Then it is neither content nor an end.
    pub error: Option<ErrorDoc>,
    /// The error is not in the form in which this operation's clients know errors.
    pub foreign: bool,
}

impl StreamEvent {
    pub(super) fn malformed() -> Self {
        Self {
            malformed: true,
            ..Self::default()
        }
    }

    /// A failure that clients would not see as one.
    pub(super) fn foreign(error: ErrorDoc) -> Self {
        Self {
            error: Some(error),
            foreign: true,
            ..Self::default()
        }
    }
}

/// What a look at a 2xx found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Inspection {
    /// An answer, and what it used if it says so.
    Good(Option<Usage>),
    /// An error in spite of its status.
    ErrorInside(ErrorDoc),
    /// Neither an answer nor an error.
    Malformed(&'static str),
}

impl Inspection {
    /// Looks at the body of a 2xx with these headers: `look` gets it without its codings.
    pub fn of_body(headers: &HeaderMap, body: &Bytes, look: impl FnOnce(&Bytes) -> Self) -> Self {
        if body.is_empty() {
            return Self::Malformed("the answer is empty");
        }
        match decoded(headers, body) {
            Ok(decoded) => look(&decoded.body),
            Err(Unread::Unseen) => Self::Good(None),
            Err(Unread::Broken) => Self::Malformed("the answer's compression is broken"),
        }
    }
}

/// An error found inside a 2xx: in a stream, or in place of an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ErrorDoc {
    /// The HTTP status it names, if it does.
    pub status: Option<u16>,
    /// The JSON in which it came; a text that came without any, as the message of an error.
    pub body: Bytes,
}

impl ErrorDoc {
    /// An error that came as this JSON.
    pub(super) fn of_json(json: &[u8], status: Option<u16>) -> Self {
        Self {
            status,
            body: Bytes::copy_from_slice(json),
        }
    }

    /// An error that came as a text, or as JSON that does not say that it is one.
    pub(super) fn of_words(words: &str) -> Self {
        let error = match json::error(words.as_bytes()) {
            Some(value @ Value::Object(_)) => value,
            Some(Value::String(words)) => json!({"message": words}),
            _ => {
                let words = words.get(..words.floor_char_boundary(MAX_WORDS));
                json!({"message": words.unwrap_or_default()})
            }
        };
        Self {
            status: None,
            body: json!({"error": error}).to_string().into(),
        }
    }
}
