//! The Responses API to the neutral form of `wire/ir` and back.
//!
//! A request's items become one message each, so that nothing is lost when the same dialect writes them again. For other
//! dialects they are put together first ([`settled`]): instructions become a message, and what a model said in one turn
//! is one message again.

mod answer;
mod call;
mod encoder;
mod events;
mod fields;
mod item;
mod open;
mod part;
mod place;
mod request;
mod response;
mod seal;
mod sent;
mod settle;
#[cfg(test)]
mod tests;
mod tools;
mod write;

pub(super) use answer::{decode_answer, encode_answer};
pub(super) use encoder::ResponseEncoder;
pub(super) use events::ResponseEvents;
pub(super) use request::{SPELLING, decode_request};
pub(super) use sent::SentResponse;
pub(super) use settle::settled;
pub(super) use write::encode_request;
