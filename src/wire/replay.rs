//! A whole answer as the events of a streamed one, in the same dialect: each block of content and each call in one piece, or
//! in small ones where they are to come as slowly as a model would say them.

use bytes::Bytes;
use serde_json::Value;

use super::dialects;
use super::pieces::ReplayOptions;
use crate::domain::dialect::Operation;

/// The events of a streamed answer to this operation that say what `body` says; `None` where it has no streams, or the
/// body is no such answer.
pub fn events(operation: Operation, body: &[u8], options: ReplayOptions) -> Option<Vec<Bytes>> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    dialects::caller(operation).replayed(operation, answer, options)
}

#[cfg(test)]
mod tests;
