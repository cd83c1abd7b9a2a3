//! Where answers are kept for equal requests: keys and entries that say nothing here, in whatever holds them. What they
//! mean, and how long they serve, is decided by who puts them (`dispatch/caching`, `docs/cache.md`).

pub mod kept_answer;
pub mod known_keys;
pub mod memory;
pub mod report;
pub mod response_store;
pub mod shared;

pub use kept_answer::KeptAnswer;
pub use known_keys::KnownKeys;
pub use response_store::{EntryLabels, PurgeFilter, ResponseStore, StoreEntry, StoreKey};
