//! Floor 3: what outlives the process, in one plain file (`docs/state.md`).
//!
//! [`StateSnapshot`] is what is known, [`mod@format`] its form in bytes, [`fingerprint`] what keys are known by after a restart, [`mod@file`] the
//! file, its lock, and how neither a kill nor a full disk can damage it. Nothing of that logs, waits or reads a clock.
//!
//! [`responses`] is where answers are kept for equal requests (`docs/cache.md`), [`valkey`] a server that processes share,
//! [`mod@fleet`] what a fleet has in one (`docs/fleet.md`).

mod additions;
pub mod file;
pub mod fingerprint;
pub mod fleet;
pub mod format;
pub mod kept_lists;
pub mod responses;
pub mod snapshot;
mod spending;
pub mod valkey;

pub use file::{OpenError, Opened, Store, additions_in};
pub use fingerprint::Fingerprinter;
pub use snapshot::{SnapshotKey, SnapshotProvider, SnapshotSpending, StateSnapshot};
