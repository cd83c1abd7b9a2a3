//! Messages to the neutral form of `wire/ir` and back.
//!
//! Decoding takes fields out of an object as far as they are what they should be; what is left of the object is its
//! `extra`. Encoding begins with that and puts the fields back in. Where the API has two spellings of one thing, `null` in
//! `extra`, which says nothing to any other dialect, marks the one that was used.
//!
//! What comes from another dialect is first made to fit: turns (`turns.rs`) and parameters (`fit.rs`), by what the model
//! takes (`model.rs`).

mod answer;
mod blocks;
mod carrier;
mod decoder;
mod encoder;
mod fit;
mod ids;
mod media;
mod message;
mod part;
mod request;
mod schema;
mod sent;
mod settle;
mod spoken;
#[cfg(test)]
mod tests;
mod tools;
mod turns;
mod words;

pub(super) use answer::{decode_answer, encode_answer};
pub(in crate::wire) use blocks::Blocks;
pub(super) use carrier::without_foreign_thoughts;
pub(super) use decoder::MessageDecoder;
pub(super) use encoder::MessageEncoder;
pub(super) use ids::fitting;
pub(in crate::wire) use part::{input_of, is_answer, says};
pub(in crate::wire) use request::encode_foreign;
pub(super) use request::{decode_request, encode_request};
pub(super) use sent::SentMessage;
pub(super) use settle::{settled, settled_items};
pub(super) use spoken::text_bytes;
