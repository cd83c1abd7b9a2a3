//! What the tasks of a shared store have in common: the way to the server, the names of entries, the memory in front.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use data_encoding::HEXLOWER;

use crate::domain::secret::EncryptionKey;
use crate::store::responses::memory::MemoryStore;
use crate::store::responses::report::SharedCounts;
use crate::store::responses::response_store::{
    EntryLabels, PurgeFilter, ResponseStore, StoreEntry, StoreKey,
};
use crate::store::valkey::codec::{self, Broken, LabelHashes};
use crate::store::valkey::link::{ANSWER, Link};
use crate::store::valkey::sealing::{Sealing, hashed};

/// What a store beside the process needs to know.
#[derive(Debug)]
pub struct SharedOptions {
    /// The way to the server.
    pub link: Link,
    /// What the names of all entries begin with.
    pub prefix: String,
    /// What entries are encrypted with; `None`: they are not.
    pub key: Option<EncryptionKey>,
    /// The largest entry that is read, in bytes before compression.
    pub largest: usize,
    /// How many bytes the memory in front holds.
    pub memory: u64,
}

/// The encryption library refuses the key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the encryption library refuses the key")]
pub struct KeyRefused;

#[derive(Debug)]
pub(super) struct SharedParts {
    pub(super) link: Link,
    pub(super) prefix: String,
    pub(super) sealing: Option<Sealing>,
    pub(super) largest: usize,
    pub(super) memory: MemoryStore,
    pub(super) waiting_bytes: AtomicUsize,
    pub(super) found: AtomicU64,
    pub(super) missed: AtomicU64,
    pub(super) unanswered: AtomicU64,
    pub(super) broken: AtomicU64,
    pub(super) foreign: AtomicU64,
    pub(super) written: AtomicU64,
    pub(super) unwritten: AtomicU64,
    /// The mark of the last purge that this process knows of.
    pub(super) mark: ArcSwapOption<String>,
}

impl SharedParts {
    pub(super) fn new(options: SharedOptions) -> Result<Self, KeyRefused> {
        let sealing = match &options.key {
            Some(key) => Some(Sealing::new(key).ok_or(KeyRefused)?),
            None => None,
        };
        Ok(Self {
            link: options.link,
            prefix: options.prefix,
            sealing,
            largest: options.largest,
            memory: MemoryStore::new(options.memory),
            waiting_bytes: AtomicUsize::new(0),
            found: AtomicU64::new(0),
            missed: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            broken: AtomicU64::new(0),
            foreign: AtomicU64::new(0),
            written: AtomicU64::new(0),
            unwritten: AtomicU64::new(0),
            mark: ArcSwapOption::empty(),
        })
    }

    pub(super) fn counts(&self) -> SharedCounts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        SharedCounts {
            found: read(&self.found),
            missed: read(&self.missed),
            unanswered: read(&self.unanswered),
            broken: read(&self.broken),
            foreign: read(&self.foreign),
            written: read(&self.written),
            unwritten: read(&self.unwritten),
            link: self.link.counts(),
        }
    }

    /// What an entry is called in the server.
    pub(super) fn name(&self, key: StoreKey) -> String {
        let hash: [u8; 32] = match &self.sealing {
            // The key is a hash of what was asked: without the encryption's key nobody can try guesses.
            Some(sealing) => hashed(Some(sealing), &[&key.scope, &key.hash]),
            None => key.hash,
        };
        let hash = HEXLOWER.encode(&hash);
        format!("{}{hash}", self.beginning(Some(key.scope)))
    }

    /// What the names of entries begin with, those of one scope or all.
    pub(super) fn beginning(&self, scope: Option<[u8; 8]>) -> String {
        let Some(scope) = scope else {
            return format!("{}:v1:", self.prefix);
        };
        let scope: [u8; 8] = match &self.sealing {
            Some(sealing) => hashed(Some(sealing), &[b"scope", &scope]),
            None => scope,
        };
        format!("{}:v1:{}:", self.prefix, HEXLOWER.encode(&scope))
    }

    fn label(&self, text: &str) -> [u8; codec::LABEL] {
        hashed(self.sealing.as_ref(), &[b"label", text.as_bytes()])
    }

    pub(super) fn labels(&self, labels: &EntryLabels) -> LabelHashes {
        LabelHashes {
            target: self.label(&labels.target),
            scope: self.label(&labels.scope),
            stored: labels.stored,
        }
    }

    /// The filter with hashes in place of names, as in the labels of the memory in front.
    pub(super) fn hashed(&self, which: &PurgeFilter) -> PurgeFilter {
        let hash = |text: &String| HEXLOWER.encode(&self.label(text));
        PurgeFilter {
            target: which.target.as_ref().map(hash),
            scope: which.scope.as_ref().map(hash),
            before: which.before,
        }
    }

    /// Lets go of entries in memory; their labels are hashes.
    pub(super) async fn forget(&self, which: PurgeFilter) {
        // Memory can always be asked.
        let _ = self.memory.purge(which).await;
    }

    pub(super) async fn look(&self, key: StoreKey) -> Option<Bytes> {
        let name = self.name(key);
        let mut commands = redis::pipe();
        commands.cmd("GET").arg(&name).cmd("PTTL").arg(&name);
        let asked = self.link.ask(&commands, ANSWER).await;
        let (found, left): (Option<Vec<u8>>, i64) = match asked {
            Ok(answer) => answer,
            Err(_) => {
                self.unanswered.fetch_add(1, Ordering::Relaxed);
                return None;
            }
        };
        let Some(bytes) = found else {
            self.missed.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        let sealing = self.sealing.as_ref();
        let entry = match codec::decode(&bytes, name.as_bytes(), sealing, self.largest) {
            Ok(entry) => entry,
            Err(Broken::Seal(_) | Broken::Clear) => {
                self.foreign.fetch_add(1, Ordering::Relaxed);
                return None;
            }
            Err(_) => {
                self.broken.fetch_add(1, Ordering::Relaxed);
                return None;
            }
        };
        self.found.fetch_add(1, Ordering::Relaxed);
        let content = Bytes::from(entry.content);
        // It is gone by now, or somebody made it last forever; the entry itself says how long it serves.
        let left = u64::try_from(left).unwrap_or(0);
        if left > 0 {
            let labels = as_texts(&entry.labels);
            let kept = StoreEntry {
                bytes: content.clone(),
                ttl: Duration::from_millis(left),
                labels,
            };
            self.memory.put(key, kept).await;
        }
        Some(content)
    }
}

/// LabelHashes as the memory in front has them: hashes in hexadecimal digits, as more is not known of what others have put.
pub(super) fn as_texts(labels: &LabelHashes) -> EntryLabels {
    EntryLabels {
        target: HEXLOWER.encode(&labels.target).into(),
        scope: HEXLOWER.encode(&labels.scope).into(),
        stored: labels.stored,
    }
}
