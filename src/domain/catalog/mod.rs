//! The catalogue: what lists of models say of each model, merged, with where each fact comes from.
//!
//! A list is read by `wire/catalog`. Configuration goes before a provider's own list, and that before the lists that the
//! operator names, in their order: windows, limits and capabilities each from the first that knows it, prices as one
//! sheet of one list. What no list says is unknown; unknown is neither zero nor false.
//! No I/O, no clock, no logging.

pub mod capability;
pub mod coverage;
pub mod diff;
pub mod entry;
pub mod facts;
pub mod index;
pub mod lists;
pub mod names;
pub mod notes;
pub mod offer;
pub mod refresh;
