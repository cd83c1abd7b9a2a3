//! Answers in the memory of this process, bounded by their bytes. Where there is no room, what is asked for most stays.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use moka::Expiry;
use moka::sync::Cache;

use super::report::PurgeFault;
use super::response_store::{PurgeFilter, ResponseStore, StoreEntry, StoreKey, StoreStats};

/// Bytes that an entry takes besides its own: its key, its labels and its place in the tables.
const OVERHEAD: usize = 200;

/// Keeps entries in memory.
#[derive(Debug)]
pub struct MemoryStore {
    entries: Cache<StoreKey, StoreEntry>,
    most: u64,
}

impl MemoryStore {
    /// Holds at most so many bytes.
    pub fn new(most: u64) -> Self {
        let weight = |key: &StoreKey, entry: &StoreEntry| {
            let names = entry.labels.target.len() + entry.labels.scope.len();
            let bytes = size_of_val(key) + entry.bytes.len() + names + OVERHEAD;
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        let entries = Cache::builder()
            .max_capacity(most)
            .weigher(weight)
            .expire_after(OwnTtl)
            .build();
        Self { entries, most }
    }
}

/// Each entry is kept for as long as it says itself.
struct OwnTtl;

impl Expiry<StoreKey, StoreEntry> for OwnTtl {
    fn expire_after_create(
        &self,
        _: &StoreKey,
        entry: &StoreEntry,
        _: Instant,
    ) -> Option<Duration> {
        Some(entry.ttl)
    }

    fn expire_after_update(
        &self,
        _: &StoreKey,
        entry: &StoreEntry,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(entry.ttl)
    }
}

impl ResponseStore for MemoryStore {
    fn get(&self, key: StoreKey) -> BoxFuture<'_, Option<Bytes>> {
        let found = self.entries.get(&key).map(|entry| entry.bytes);
        std::future::ready(found).boxed()
    }

    fn put(&self, key: StoreKey, entry: StoreEntry) -> BoxFuture<'_, ()> {
        self.entries.insert(key, entry);
        std::future::ready(()).boxed()
    }

    fn purge(&self, which: PurgeFilter) -> BoxFuture<'_, Result<u64, PurgeFault>> {
        self.entries.run_pending_tasks();
        let found = self.entries.iter();
        let found = found.filter(|(_, entry)| which.takes(&entry.labels));
        let keys: Vec<StoreKey> = found.map(|(key, _)| *key).collect();
        for key in &keys {
            self.entries.invalidate(key);
        }
        self.entries.run_pending_tasks();
        let count = u64::try_from(keys.len()).unwrap_or(u64::MAX);
        std::future::ready(Ok(count)).boxed()
    }

    fn stats(&self) -> StoreStats {
        // What was put or has gone since is counted only then.
        self.entries.run_pending_tasks();
        StoreStats {
            entries: self.entries.entry_count(),
            bytes: self.entries.weighted_size(),
            most: self.most,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::response_store::EntryLabels;
    use super::*;

    fn entry(size: usize, target: &str, scope: &str, stored: u64) -> StoreEntry {
        StoreEntry {
            bytes: Bytes::from(vec![7; size]),
            ttl: Duration::from_secs(60),
            labels: EntryLabels {
                target: target.into(),
                scope: scope.into(),
                stored,
            },
        }
    }

    fn key(number: u8) -> StoreKey {
        StoreKey {
            hash: [number; 32],
            scope: [0; 8],
        }
    }

    fn get(store: &MemoryStore, number: u8) -> Option<usize> {
        let found = store.get(key(number)).now_or_never().unwrap();
        found.map(|bytes| bytes.len())
    }

    #[test]
    fn what_was_put_is_there_until_it_is_purged() {
        let store = MemoryStore::new(1_000_000);
        for (number, target, scope, stored) in
            [(1, "a", "x", 10), (2, "b", "x", 20), (3, "b", "y", 30)]
        {
            let put = store.put(key(number), entry(number.into(), target, scope, stored));
            put.now_or_never().unwrap();
        }
        assert_eq!(
            [1, 2, 3].map(|number| get(&store, number)),
            [1, 2, 3].map(Some)
        );
        let purge = |filter| store.purge(filter).now_or_never().unwrap().unwrap();
        let of_b = PurgeFilter {
            target: Some("b".to_owned()),
            before: Some(25),
            ..PurgeFilter::default()
        };
        assert_eq!(purge(of_b), 1);
        assert_eq!(
            [1, 2, 3].map(|number| get(&store, number)),
            [Some(1), None, Some(3)]
        );
        let of_x = PurgeFilter {
            scope: Some("x".to_owned()),
            ..PurgeFilter::default()
        };
        assert_eq!(purge(of_x), 1);
        assert_eq!(purge(PurgeFilter::default()), 1);
        assert_eq!(store.stats().entries, 0);
    }

    #[test]
    fn it_holds_no_more_bytes_than_it_may() {
        let store = MemoryStore::new(10_000);
        for number in 0..100 {
            let put = store.put(key(number), entry(1000, "a", "", 0));
            put.now_or_never().unwrap();
        }
        let stats = store.stats();
        assert!(stats.bytes <= 10_000 && stats.entries > 0, "{stats:?}");
        // Larger than all there is room for.
        let put = store.put(key(200), entry(20_000, "a", "", 0));
        put.now_or_never().unwrap();
        assert!(store.stats().bytes <= 10_000);
    }

    #[test]
    fn an_entry_goes_when_its_time_is_over() {
        let store = MemoryStore::new(10_000);
        let over = StoreEntry {
            ttl: Duration::ZERO,
            ..entry(1, "a", "", 0)
        };
        store.put(key(1), over).now_or_never().unwrap();
        assert_eq!(get(&store, 1), None);
    }
}
