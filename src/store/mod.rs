//! Floor 3: what outlives the process, in one plain file (`docs/state.md`).
//!
//! [`Book`] is what is known, [`mod@format`] its form in bytes, [`marks`] by what keys are known again, [`mod@file`] the
//! file, its lock, and how neither a kill nor a full disk can damage it. Nothing here logs, waits or reads a clock.

pub mod book;
pub mod file;
pub mod format;
pub mod marks;

pub use book::{Book, KeyPage, ProviderPage};
pub use file::{Fault, OpenError, Opened, Store};
pub use marks::Marker;
