//! Ollama's chats to the neutral form of `wire/ir`, and the neutral form to Ollama's chats. Nobody calls us in this form, so
//! requests are only written and answers only read.

mod answer;
mod conversation;
mod options;
mod request;
mod stream;
#[cfg(test)]
mod tests;
mod think;
mod words;

pub(super) use answer::decode_answer;
pub(super) use options::{complete, take_extensions};
pub(super) use request::encode_request;
pub(super) use stream::LineDecoder;
pub(super) use words::UNKNOWN;
