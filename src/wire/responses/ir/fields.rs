//! What the Responses API adds to reading and writing fields.

pub(super) use crate::wire::ir::fields::{
    Encoder, count, fill, flag, inside, list, number, put, put_in, take, text,
};

/// Why a field of another dialect is not carried over.
pub(super) const UNKNOWN: &str = "the Responses API has no field for it";

/// For what was read from the dialect of this name.
pub(super) fn encoder(origin: &str) -> Encoder {
    Encoder::new(origin, crate::wire::responses::ID, UNKNOWN)
}
