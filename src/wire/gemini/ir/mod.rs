//! `generateContent` to the neutral form of `wire/ir` and back.
//!
//! As in chat completions, decoding takes fields out as far as they are what they should be, and what is left of an
//! object is its `extra`; encoding begins with that. Fields are read by both of their names (`../names.rs`).

mod answer;
mod carried;
mod content;
mod conversation;
mod fields;
mod logprobs;
mod media;
mod request;
mod request_out;
mod sent;
mod settings;
mod settle;
mod spoken;
mod stream;
#[cfg(test)]
mod tests;
mod tools;

pub(super) use answer::{decode_answer, encode_answer};
pub(super) use carried::CODED as CARRIED;
pub(super) use content::NO_SIGNATURE;
pub(super) use request::{SPELLING, decode_call, tier_of};
pub(super) use request_out::encode_request;
pub(super) use sent::SentContent;
pub(super) use settle::{settled, settled_items};
pub(super) use stream::{ContentDecoder, ContentEncoder};
pub(super) use tools::names as tool_names;
