//! What one event of a stream says.

use super::inband::ErrorDoc;
use super::usage::Usage;

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
    /// Nothing follows.
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
