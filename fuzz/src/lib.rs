//! The laws, which the normal tests hold too.

#[path = "../../tests/it/laws/mod.rs"]
pub mod laws;
