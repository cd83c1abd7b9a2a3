//! What keeps answers: keys, entries, and what a store can do.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::report::{PurgeFault, ServerReport};

/// What an entry is found by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct StoreKey {
    /// A hash over everything that its answer depends on.
    pub hash: [u8; 32],
    /// A hash of the name of its scope, so that a store can keep those of one scope together.
    pub scope: [u8; 8],
}

/// An answer with what is needed to give it back, in bytes.
#[derive(Clone, Debug)]
pub struct StoreEntry {
    /// The entry itself. A store gives back exactly these bytes or nothing.
    pub bytes: Bytes,
    /// How long it is kept. It may go earlier, where there is no room.
    pub ttl: Duration,
    /// What it is purged by.
    pub labels: EntryLabels,
}

/// What a store knows of an entry, so that a part of them can be purged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EntryLabels {
    /// The target that was asked for.
    pub target: Arc<str>,
    /// Whose it is: a client's name, or a scope's. Empty where no clients are configured.
    pub scope: Arc<str>,
    /// When it was put, in seconds since 1970.
    pub stored: u64,
}

/// Which entries are to go: all that have every property that is named here.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PurgeFilter {
    /// Those of this target.
    pub target: Option<String>,
    /// Those of this scope.
    pub scope: Option<String>,
    /// Those that were put before this moment, in seconds since 1970.
    pub before: Option<u64>,
}

impl PurgeFilter {
    /// Whether an entry with these labels is to go.
    pub fn takes(&self, labels: &EntryLabels) -> bool {
        let is = |wanted: &Option<String>, label: &str| match wanted {
            Some(wanted) => wanted == label,
            None => true,
        };
        is(&self.target, &labels.target)
            && is(&self.scope, &labels.scope)
            && self.before.is_none_or(|before| labels.stored < before)
    }
}

/// What a store holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StoreStats {
    /// Entries.
    pub entries: u64,
    /// Bytes that they count for.
    pub bytes: u64,
    /// Bytes that they may count for.
    pub most: u64,
}

/// Keeps entries. A store that fails has nothing: it makes no request fail, and none wait for long.
pub trait ResponseStore: fmt::Debug + Send + Sync {
    /// The entry of this key, if it is there and whole.
    fn get(&self, key: StoreKey) -> BoxFuture<'_, Option<Bytes>>;

    /// Keeps an entry in place of an earlier one of the same key.
    fn put(&self, key: StoreKey, entry: StoreEntry) -> BoxFuture<'_, ()>;

    /// Lets go of those entries. Returns how many there were.
    ///
    /// # Errors
    /// A server that could not be asked, or not to the end.
    fn purge(&self, which: PurgeFilter) -> BoxFuture<'_, Result<u64, PurgeFault>>;

    /// What this process holds of it at this moment. Asks nobody, so that it can be looked at at any time.
    fn stats(&self) -> StoreStats;

    /// How it stands with the server that it is in, if it is in one. With `count` the server's entries are counted, which
    /// goes through all of their names.
    fn server(&self, _count: bool) -> BoxFuture<'_, Option<ServerReport>> {
        std::future::ready(None).boxed()
    }
}
