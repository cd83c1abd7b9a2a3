//! Messages to the neutral form of `wire/ir` and back.
//!
//! Decoding takes fields out of an object as far as they are what they should be; what is left of the object is its
//! `extra`. Encoding begins with that and puts the fields back in. Where the API has two spellings of one thing, `null` in
//! `extra`, which says nothing to any other dialect, marks the one that was used.
//!
//! What comes from another dialect is first made to fit: turns (`turns.rs`) and parameters (`fit.rs`), by what the model
//! takes (`model.rs`).

mod answer;
mod carrier;
mod decoder;
mod encoder;
mod fit;
mod ids;
mod message;
mod part;
mod request;
mod schema;
mod spoken;
#[cfg(test)]
mod tests;
mod tools;
mod turns;

pub(super) use answer::{decode_answer, encode_answer};
pub(super) use carrier::without_foreign_thoughts;
pub(super) use decoder::MessageDecoder;
pub(super) use encoder::MessageEncoder;
pub(super) use request::{decode_request, encode_request};
pub(super) use spoken::text_bytes;

/// Why something of another dialect is not carried over.
const UNKNOWN: &str = "the Messages API has no field for it";

/// The name of the tool that stands for a form of answer, at models that know no other way to hold one. What it is called
/// with is the answer.
const ANSWER_TOOL: &str = "pointsman_answer";
