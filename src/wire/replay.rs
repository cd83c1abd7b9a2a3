//! A whole answer as the events of a streamed one, in the same dialect: each block of content and each call in one piece, or
//! in small ones where they are to come as slowly as a model would say them.

use bytes::Bytes;
use serde_json::Value;

use super::dialects;
use crate::domain::dialect::Operation;

/// How an answer is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReplayOptions {
    /// Whether the caller asked for token counts, where they are only told on request.
    pub usage: bool,
    /// The most characters of text in one event.
    pub piece: usize,
}

/// The events of a streamed answer to this operation that say what `body` says; `None` where it has no streams, or the
/// body is no such answer.
pub fn events(operation: Operation, body: &[u8], options: ReplayOptions) -> Option<Vec<Bytes>> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    dialects::caller(operation).replayed(operation, answer, options)
}

/// A text in pieces of at most so many characters; an empty one is one piece.
pub(super) fn pieces(text: &str, most: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    loop {
        let end = rest.char_indices().nth(most.max(1)).map(|(at, _)| at);
        match end.and_then(|end| rest.split_at_checked(end)) {
            Some((piece, behind)) => {
                pieces.push(piece);
                rest = behind;
            }
            None => {
                pieces.push(rest);
                return pieces;
            }
        }
    }
}

#[cfg(test)]
mod tests;
