//! Answers in a server that processes share, with the memory of this process in front of it.
//!
//! Whatever the server does, a look costs at most [`ANSWER`](crate::store::valkey::link::ANSWER), and what it does not answer in that time is not there. What
//! is put is written by a task of its own, behind the answer; where the server is away or slow it is not written at all.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

#[cfg(feature = "internals")]
use super::report::SharedCounts;
use super::report::{PurgeFault, ServerReport};
use super::response_store::{PurgeFilter, ResponseStore, StoreEntry, StoreKey, StoreStats};
use crate::runtime::task::{self, TaskGuard};
use crate::store::valkey::codec::{self, SharedEntry};
#[cfg(feature = "internals")]
use crate::store::valkey::link::Link;
use state::{SharedParts, as_texts};

mod purging;
mod state;

pub use state::{KeyRefused, SharedOptions};

/// What a write may take: nobody waits for it.
const WRITE: Duration = Duration::from_secs(1);
/// Entries that may wait to be written.
const MOST_WAITING: usize = 256;
/// Bytes of them.
const MOST_WAITING_BYTES: usize = 32 * 1024 * 1024;
/// Entries that are written at once.
const TOGETHER: usize = 16;

/// Keeps entries in a server and in memory.
#[derive(Debug)]
pub struct SharedStore {
    shared: Arc<SharedParts>,
    writes: mpsc::Sender<(StoreKey, StoreEntry)>,
    _tasks: [TaskGuard; 2],
}

impl SharedStore {
    /// Begins to use the server. Call it on a runtime.
    ///
    /// # Errors
    /// The key cannot be used.
    pub fn start(options: SharedOptions) -> Result<Self, KeyRefused> {
        let shared = Arc::new(SharedParts::new(options)?);
        let (writes, waiting) = mpsc::channel(MOST_WAITING);
        let writer = task::guarded(write(Arc::clone(&shared), waiting));
        let follower = task::guarded(purging::follow(Arc::clone(&shared)));
        Ok(Self {
            shared,
            writes,
            _tasks: [writer, follower],
        })
    }

    /// The way to the server.
    #[cfg(feature = "internals")]
    pub fn link(&self) -> &Link {
        &self.shared.link
    }

    /// Counts since the start.
    #[cfg(feature = "internals")]
    pub fn counts(&self) -> SharedCounts {
        self.shared.counts()
    }
}

impl ResponseStore for SharedStore {
    fn get(&self, key: StoreKey) -> BoxFuture<'_, Option<Bytes>> {
        async move {
            match self.shared.memory.get(key).await {
                Some(found) => Some(found),
                None => self.shared.look(key).await,
            }
        }
        .boxed()
    }

    fn put(&self, key: StoreKey, entry: StoreEntry) -> BoxFuture<'_, ()> {
        async move {
            let shared = &self.shared;
            let in_front = StoreEntry {
                labels: as_texts(&shared.labels(&entry.labels)),
                ..entry.clone()
            };
            shared.memory.put(key, in_front).await;
            let size = entry.bytes.len();
            let waiting = shared.waiting_bytes.fetch_add(size, Ordering::Relaxed);
            let is_room = waiting + size <= MOST_WAITING_BYTES && shared.link.is_up();
            if !is_room || self.writes.try_send((key, entry)).is_err() {
                shared.waiting_bytes.fetch_sub(size, Ordering::Relaxed);
                shared.unwritten.fetch_add(1, Ordering::Relaxed);
            }
        }
        .boxed()
    }

    fn purge(&self, which: PurgeFilter) -> BoxFuture<'_, Result<u64, PurgeFault>> {
        async move {
            self.shared.forget(self.shared.hashed(&which)).await;
            purging::purge(&self.shared, &which).await
        }
        .boxed()
    }

    fn stats(&self) -> StoreStats {
        self.shared.memory.stats()
    }

    fn server(&self, count: bool) -> BoxFuture<'_, Option<ServerReport>> {
        async move {
            let held = match count {
                true => purging::count(&self.shared).await.ok(),
                false => None,
            };
            let link = &self.shared.link;
            Some(ServerReport {
                address: link.server().to_string(),
                is_up: link.is_up(),
                trouble: link.trouble(),
                is_encrypted: self.shared.sealing.is_some(),
                counts: self.shared.counts(),
                held,
            })
        }
        .boxed()
    }
}

/// Writes what was put, several entries at once where they wait.
async fn write(shared: Arc<SharedParts>, mut waiting: mpsc::Receiver<(StoreKey, StoreEntry)>) {
    let mut taken = Vec::with_capacity(TOGETHER);
    while waiting.recv_many(&mut taken, TOGETHER).await > 0 {
        let mut commands = redis::pipe();
        let (mut size, mut count) = (0, 0);
        for (key, entry) in taken.drain(..) {
            size += entry.bytes.len();
            let name = shared.name(key);
            let ttl = u64::try_from(entry.ttl.as_millis()).unwrap_or(u64::MAX);
            let stored = SharedEntry {
                labels: shared.labels(&entry.labels),
                content: entry.bytes.to_vec(),
            };
            let bytes = codec::encode(&stored, name.as_bytes(), shared.sealing.as_ref());
            if let (Some(bytes), 1..) = (bytes, ttl) {
                let command = commands.cmd("SET").arg(name).arg(bytes);
                command.arg("PX").arg(ttl).ignore();
                count += 1;
            }
        }
        if count > 0 {
            let counter = match shared.link.ask::<()>(&commands, WRITE).await {
                Ok(()) => &shared.written,
                Err(_) => &shared.unwritten,
            };
            counter.fetch_add(count, Ordering::Relaxed);
        }
        shared.waiting_bytes.fetch_sub(size, Ordering::Relaxed);
    }
}
