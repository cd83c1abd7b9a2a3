//! Converse to the neutral form of `wire/ir`, and the neutral form to Converse. Nobody calls us in this form, so requests
//! are only written and answers only read.
//!
//! Conversations are made to fit as those for the Messages API are (`wire/anthropic/ir`), which Converse is made after:
//! turns one after the other, every call answered in the next turn, parameters as the model takes them. The blocks
//! (`block.rs`) and the names of the parameters (`request.rs`) are Converse's own.

mod answer;
mod block;
mod media;
mod request;
mod stream;
#[cfg(test)]
mod tests;
mod words;

pub(super) use answer::decode_answer;
pub(super) use request::{encode_count, encode_request};
pub(super) use stream::ConverseEvents;
