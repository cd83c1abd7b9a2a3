//! The store of kept answers, on simulated time: what is put into it, and for how long, is held against law L15.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use pointsman::domain::outcome::Class;
use pointsman::domain::time::Time;
use pointsman::store::responses::memory::MemoryStore;
use pointsman::store::responses::report::PurgeFault;
use pointsman::store::responses::response_store::StoreStats;
use pointsman::store::responses::{KeptAnswer, PurgeFilter, ResponseStore, StoreEntry, StoreKey};

use super::fault::Fault;
use super::state::{Shared, State};

/// Longer than any run: the store in memory goes by the system's clock, which is not that of a simulation.
const FOR_EVER: Duration = Duration::from_secs(24 * 3600);

/// The store in memory, with a clock of its own.
pub struct Shelf {
    inner: MemoryStore,
    shared: Shared,
    number: u64,
    /// Until when what is kept, and by which question.
    ends: Mutex<BTreeMap<Place, (Time, String)>>,
}

/// The two parts of a store's key.
type Place = ([u8; 32], [u8; 8]);

/// An answer that is kept, as the books have it.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    pub at: Time,
    pub ttl: Duration,
}

/// What the books know of all stores.
#[derive(Default)]
pub struct Shelves {
    /// By store and question.
    pub kept: BTreeMap<(u64, String), Kept>,
    keys: BTreeMap<String, [u8; 32]>,
    questions: BTreeMap<[u8; 32], String>,
}

impl Shelf {
    pub fn new(shared: &Shared, number: u64) -> Self {
        Self {
            inner: MemoryStore::new(256 * 1024 * 1024),
            shared: shared.clone(),
            number,
            ends: Mutex::default(),
        }
    }

    /// Whether that entry is still there.
    fn is_there(&self, key: StoreKey) -> bool {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((end, question)) = ends.get(&(key.hash, key.scope)) else {
            return false;
        };
        let mut state = self.shared.lock();
        let gone = *end <= state.clock.now() || state.has_no_room();
        if gone {
            state.shelves.kept.remove(&(self.number, question.clone()));
            drop(state);
            ends.remove(&(key.hash, key.scope));
        }
        !gone
    }
}

impl ResponseStore for Shelf {
    fn get(&self, key: StoreKey) -> BoxFuture<'_, Option<Bytes>> {
        match self.is_there(key) {
            true => self.inner.get(key),
            false => std::future::ready(None).boxed(),
        }
    }

    fn put(&self, key: StoreKey, entry: StoreEntry) -> BoxFuture<'_, ()> {
        let question = self.shared.lock().shelves(self.number, key, &entry);
        if let Some(question) = question {
            let end = self.shared.lock().clock.now() + entry.ttl;
            let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
            ends.insert((key.hash, key.scope), (end, question));
        }
        let ttl = FOR_EVER;
        self.inner.put(key, StoreEntry { ttl, ..entry })
    }

    fn purge(&self, which: PurgeFilter) -> BoxFuture<'_, Result<u64, PurgeFault>> {
        self.inner.purge(which)
    }

    fn stats(&self) -> StoreStats {
        self.inner.stats()
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shelf")
    }
}

/// What a whole answer says: its content, how it ends, and its token counts.
pub fn content(body: &[u8]) -> Option<(String, String, (u64, u64))> {
    let doc: serde_json::Value = serde_json::from_slice(body).ok()?;
    let choice = doc.get("choices")?.get(0)?;
    let content = choice.get("message")?.get("content")?.as_str()?.to_owned();
    let finish = choice.get("finish_reason")?.as_str()?.to_owned();
    Some((content, finish, usage(&doc).unwrap_or_default()))
}

/// Token counts.
pub fn usage(doc: &serde_json::Value) -> Option<(u64, u64)> {
    let usage = doc.get("usage")?;
    let count = |name: &str| usage.get(name)?.as_u64();
    Some((count("prompt_tokens")?, count("completion_tokens")?))
}

impl State {
    fn has_no_room(&mut self) -> bool {
        let evicts = self.world.keeping.as_ref().map_or(0.0, |it| it.evicts);
        self.evictions.chance(evicts)
    }

    /// An answer is put into a store: whether it may be. Returns the question that it answers.
    fn shelves(&mut self, store: u64, key: StoreKey, entry: &StoreEntry) -> Option<String> {
        let kept = KeptAnswer::of_bytes(&entry.bytes);
        let said = kept.as_ref().and_then(|kept| content(&kept.body));
        let (Some(kept), Some((content, ..))) = (kept, said) else {
            self.break_law("L15", 0, "what is kept cannot be read".to_owned());
            return None;
        };
        let says = |call: &super::calls::Attempt| match call.stream {
            true => call.says.concat() == content,
            false => call.body == kept.body,
        };
        let has_ended = |call: &super::calls::Attempt| match call.stream {
            true => call.finished,
            false => call.outcome == Some(Class::Success),
        };
        let all = self.attempts.iter().enumerate().rev();
        let mut all = all.filter(|(_, call)| says(call) && call.verdict.class == Class::Success);
        // Where streams are rescued, several say the same.
        let found = all.clone().find(|(_, call)| has_ended(call));
        let found = found.or_else(|| all.next());
        let Some((attempt, call)) = found else {
            let what = format!("{content:?} is kept, and no upstream said that and nothing more");
            self.break_law("L15", 0, what);
            return None;
        };
        let (request, finish, fault) = (call.request, call.finish, call.fault);
        let ended = has_ended(call);
        let marked = !matches!(
            fault,
            Fault::NoDone | Fault::NoDoneNoClose | Fault::FinishFlood
        );
        let asked = &self.asked[request as usize];
        let Some(standing) = asked.standing.clone() else {
            self.break_law("L15", request, "an answer to it is kept".to_owned());
            return None;
        };
        let policy = &standing.policy;
        let wrong = if !ended || finish != "stop" || (call.stream && !marked) {
            Some(format!(
                "an answer is kept that did not end: {finish}, {}",
                fault.as_str()
            ))
        } else if asked.left && call.stream {
            Some("a stream is kept that its caller left".to_owned())
        } else if !standing.looked || !policy.enabled {
            Some("its answer is kept, and must not be".to_owned())
        } else if kept.body.len() > policy.max_entry {
            Some(format!("an answer of {} bytes is kept", kept.body.len()))
        } else if kept.ttl != policy.ttl || entry.ttl > policy.ttl + policy.stale_if_error {
            Some(format!(
                "its answer is kept for {:?} and {:?}",
                kept.ttl, entry.ttl
            ))
        } else {
            self.shelves.mixes(&standing.key, key.hash)
        };
        if let Some(what) = wrong {
            self.break_law("L15", request, what);
        }
        let (attempt, at) = (attempt as u32, self.clock.now());
        let ttl = policy.ttl;
        self.attempts[attempt as usize].shelved = Some((at, ttl));
        let place = (store, standing.key.clone());
        self.shelves.kept.insert(place, Kept { at, ttl });
        self.tally.kept += 1;
        self.note("is kept", request, attempt, None, "");
        Some(standing.key)
    }

    /// Why no upstream must be asked for a request that comes at that moment: an answer is kept that serves.
    pub(super) fn is_kept(&self, request: u32) -> Option<String> {
        let asked = &self.asked[request as usize];
        let standing = asked.standing.as_ref()?;
        let place = (standing.store, standing.key.clone());
        let kept = self.shelves.kept.get(&place)?;
        let is_looked = standing.looked && standing.policy.enabled;
        // The moment is kept in whole milliseconds: the entry may seem that much older.
        let age = asked.arrived.since(kept.at) + Duration::from_millis(1);
        let serves = is_looked && kept.at < asked.arrived && standing.takes(age, kept.ttl);
        serves.then(|| {
            format!(
                "an upstream is asked, and an answer is kept since {:?}",
                kept.at
            )
        })
    }
}

impl Shelves {
    /// One question has one key, and one key one question.
    fn mixes(&mut self, question: &str, key: [u8; 32]) -> Option<String> {
        let first = self.keys.entry(question.to_owned()).or_insert(key);
        if *first != key {
            return Some(format!("two keys for one question: {question}"));
        }
        let other = self.questions.entry(key);
        let other = other.or_insert_with(|| question.to_owned());
        (other != question).then(|| format!("one key for two questions: {question}, {other}"))
    }
}
