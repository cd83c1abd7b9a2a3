//! Chat completions to the neutral form of `wire/ir` and back.
//!
//! Decoding takes fields out of an object as far as they are what they should be; what is left of the object is its
//! `extra`. Encoding begins with that and puts the fields back in. So nothing can be forgotten: a field is either taken or
//! still there.

mod answer;
mod chunks;
mod citation;
mod custom;
mod fields;
mod fit;
mod makers;
mod message;
mod request;
mod responses;
mod settle;
mod stream;
#[cfg(test)]
mod tests;

pub(super) use answer::{decode_answer, encode_answer};
pub(super) use chunks::ForeignChunks;
pub(super) use custom::CustomTools;
pub(super) use request::{SPELLING, decode_request, encode_request};
pub(super) use settle::{settled, settled_request};
#[cfg(test)]
pub(super) use stream::decode_chunk;
pub(super) use stream::{ChunkDecoder, ChunkEncoder};
#[cfg(test)]
pub(super) use tests::any_request;
