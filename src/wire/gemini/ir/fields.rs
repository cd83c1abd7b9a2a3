//! What Gemini's API adds to reading and writing fields.

use crate::wire::gemini::ID;
use crate::wire::ir::fields::Encoder;

/// Why what another dialect says is not carried over.
pub(super) const UNKNOWN: &str = "Gemini has no field for it";

/// For what was read from the dialect of this name.
pub(super) fn encoder(origin: &str) -> Encoder {
    Encoder::new(origin, ID, UNKNOWN)
}
