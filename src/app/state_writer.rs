//! Writes the state of keys to a file: once a second, when the actors have published a change.
//!
//! The task compares the addresses of the published statuses with those that it saw last, which costs
//! the actors nothing. All I/O happens on threads that may block.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;

use super::assemble;
use super::error::StartError;
use crate::actors::spec::RestoredProvider;
use crate::actors::status::{KeySnapshot, ProviderSnapshot};
use crate::actors::tree::TreeClient;
use crate::affinity::Affinity;
use crate::budgets::{Budgets, SavedSpending};
use crate::config::{Additions, Config};
use crate::dispatch::Dispatch;
use crate::domain::ids::{KeyId, ProviderName};
use crate::domain::persisted::{Fingerprint, PersistedLimit};
use crate::runtime::clock::Clock;
use crate::runtime::task::{TaskGuard, guarded};
use crate::store::{
    Fingerprinter, Opened, SnapshotKey, SnapshotProvider, SnapshotSpending, StateSnapshot, Store,
    format,
};

/// Between two looks, and so between two versions of the file.
const EVERY: Duration = Duration::from_secs(1);
/// Outcomes of the last requests may be on their way to the actors still.
const SETTLE: Duration = Duration::from_millis(20);
/// The end of the process does not wait longer for its last version.
const LAST: Duration = Duration::from_secs(2);

/// Opens the configured file, and logs what it held.
pub(super) async fn open(config: &Config, clock: Clock) -> Result<Option<Opening>, StartError> {
    let Some(path) = config.state_path.clone() else {
        return Ok(None);
    };
    let opened = spawn_blocking(move || Store::open(&path, clock.anchor())).await;
    let Ok(opened) = opened else {
        return Ok(None);
    };
    let opened = opened?;
    for fault in &opened.faults {
        tracing::warn!("{fault}");
    }
    Ok(Some(Opening(opened)))
}

/// A file and what it held, before anything runs.
pub(super) struct Opening(Opened);

impl Opening {
    /// What was added to the process before.
    pub(super) fn additions(&self) -> Additions {
        (*self.0.snapshot.additions).clone()
    }

    /// What the actors begin with.
    pub(super) fn restored(&self, config: &Config) -> BTreeMap<ProviderName, RestoredProvider> {
        let Opened {
            fingerprinter: marker,
            snapshot: book,
            ..
        } = &self.0;
        let recall = assemble::restored(config, marker, book);
        let keys = recall.values().flat_map(|recall| &recall.keys);
        let known = keys.filter(|key| !key.persisted.is_empty()).count();
        let path = self.0.store.path().display();
        tracing::info!(%path, keys_out = known, "state restored");
        recall
    }
}

/// Asks the task that does it.
pub(super) struct StateWriter {
    fingerprinter: Fingerprinter,
    asks: mpsc::UnboundedSender<StoreRequest>,
    _task: TaskGuard,
}

enum StoreRequest {
    /// For everything that is known at this moment.
    Recall(oneshot::Sender<StateSnapshot>),
    /// To keep what was added, and to say whether it is on the disk.
    Keep(Arc<Additions>, oneshot::Sender<bool>),
    /// To write a last time.
    Finish(oneshot::Sender<()>),
}

impl StateWriter {
    /// From now on what the actors publish is kept.
    pub(super) fn start(opening: Opening, dispatch: &Dispatch) -> Self {
        let (dispatcher, affinity) = (dispatch.tree.clone(), dispatch.affinity.clone());
        let clock = dispatch.clock;
        let Opened {
            store,
            fingerprinter: marker,
            snapshot: book,
            unwritten,
            ..
        } = opening.0;
        let budgets = dispatch.budgets.clone();
        let spending = &book.spending;
        let saved = SavedSpending {
            meters: spending.meters.clone(),
            rows: spending.rows.clone(),
        };
        let now = clock.anchor().wall.as_secs();
        budgets.restore(saved, i64::try_from(now).unwrap_or(i64::MAX));
        let keys = by_fingerprint(&dispatcher);
        let held = book.resources.iter().filter_map(|(name, key)| {
            let (_, id) = keys.iter().find(|(mark, _)| mark == key)?;
            Some((name.clone(), id.clone()))
        });
        affinity.restore(held.collect());
        let (asks, asked) = mpsc::unbounded_channel();
        let keeping = StateWriterTask {
            store: Some(store),
            fingerprinter: marker.clone(),
            snapshot: book,
            keys: HashMap::new(),
            providers: HashMap::new(),
            is_new: unwritten,
            failing: unwritten,
            dispatcher,
            affinity,
            budgets,
            clock,
        };
        Self {
            fingerprinter: marker,
            asks,
            _task: guarded(keeping.run(asked)),
        }
    }

    /// The restored state of the keys of `config`, those included that were gone for a while.
    pub(super) async fn restored(
        &self,
        config: &Config,
    ) -> BTreeMap<ProviderName, RestoredProvider> {
        let (reply, book) = oneshot::channel();
        drop(self.asks.send(StoreRequest::Recall(reply)));
        // Without an answer nothing is known, but keys still have their fingerprints.
        let book = book.await.unwrap_or_default();
        assemble::restored(config, &self.fingerprinter, &book)
    }

    /// Writes what was added, now. Whether the next process will find it: not while another one writes the file, nor
    /// while it cannot be written; then it is written as soon as that is possible.
    pub(super) async fn keep(&self, additions: &Additions) -> bool {
        let (reply, written) = oneshot::channel();
        let kept = Arc::new(additions.without_material());
        drop(self.asks.send(StoreRequest::Keep(kept, reply)));
        written.await.unwrap_or(false)
    }

    /// Writes what is known a last time; then nothing is written any more.
    pub(super) async fn finish(&self) {
        let (reply, done) = oneshot::channel();
        drop(self.asks.send(StoreRequest::Finish(reply)));
        if tokio::time::timeout(LAST, done).await.is_err() {
            tracing::warn!("the state could not be written in time");
        }
    }
}

/// The result of a piece of work on the file.
enum Done {
    Written(Store, std::io::Result<()>),
    /// The store, with the last state of the process before if this one now holds the lock.
    Tried(Store, Option<Option<(Fingerprinter, StateSnapshot)>>),
}

/// The state of the task.
struct StateWriterTask {
    /// Not here while work on it is under way.
    store: Option<Store>,
    fingerprinter: Fingerprinter,
    snapshot: StateSnapshot,
    /// What was seen last. Being held, no address can be given to another view.
    keys: HashMap<Fingerprint, (Arc<KeySnapshot>, Arc<Vec<PersistedLimit>>)>,
    providers: HashMap<Fingerprint, Arc<ProviderSnapshot>>,
    /// The snapshot differs from the file.
    is_new: bool,
    failing: bool,
    dispatcher: TreeClient,
    affinity: Affinity,
    budgets: Budgets,
    clock: Clock,
}

impl StateWriterTask {
    async fn run(mut self, mut asked: mpsc::UnboundedReceiver<StoreRequest>) {
        let mut work: Option<JoinHandle<Done>> = None;
        let mut next = Instant::now() + EVERY;
        loop {
            tokio::select! {
                ask = asked.recv() => match ask {
                    Some(StoreRequest::Recall(reply)) => {
                        self.look().await;
                        // The sender may be gone.
                        let _ = reply.send(self.snapshot.clone());
                    }
                    Some(StoreRequest::Keep(additions, reply)) => {
                        if let Some(work) = work.take() {
                            self.done(work.await.ok());
                        }
                        self.snapshot.additions = additions;
                        self.is_new = true;
                        let written = self.write_now().await;
                        let _ = reply.send(written);
                    }
                    Some(StoreRequest::Finish(reply)) => {
                        if let Some(work) = work {
                            self.done(work.await.ok());
                        }
                        tokio::time::sleep(SETTLE).await;
                        self.look().await;
                        self.write_now().await;
                        let _ = reply.send(());
                        return;
                    }
                    None => return,
                },
                done = finished(&mut work) => {
                    work = None;
                    self.done(done);
                }
                () = tokio::time::sleep_until(next), if work.is_none() => {
                    // Counted from here: after a pause of the machine there is one look, not many.
                    next = Instant::now() + EVERY;
                    self.look().await;
                    work = self.write().or_else(|| self.take_over());
                }
            }
        }
    }

    /// Writes down what the actors have published since the last look.
    async fn look(&mut self) {
        if let Some(held) = self.affinity.news().await {
            let keys = by_fingerprint(&self.dispatcher);
            let resources = held.into_iter().filter_map(|(name, id)| {
                let (mark, _) = keys.iter().find(|(_, key)| *key == id)?;
                Some((name, *mark))
            });
            self.snapshot.resources = resources.collect();
            self.is_new = true;
        }
        if let Some(SavedSpending { meters, rows }) = self.budgets.news().await {
            self.snapshot.spending = Arc::new(SnapshotSpending { meters, rows });
            self.is_new = true;
        }
        let cells = self.dispatcher.cells();
        let (mut keys, mut providers) = (HashMap::new(), HashMap::new());
        for (name, cells) in &cells.providers {
            let view = cells.provider.view();
            if let Some(mark) = view.fingerprint {
                let seen = self.providers.get(&mark);
                if seen.is_none_or(|seen| !Arc::ptr_eq(seen, &view)) {
                    self.is_new |= self.snapshot.follow(mark, name);
                    let (name, memory) = (name.clone(), view.persisted.clone());
                    let page = SnapshotProvider {
                        name,
                        persisted: memory,
                    };
                    self.is_new |= self.snapshot.note_provider(mark, page);
                }
                providers.insert(mark, view);
            }
            for cell in &cells.keys {
                let Some(mark) = cell.fingerprint else {
                    continue;
                };
                let now = (cell.view(), cell.limits_memory());
                let same = |seen: &(Arc<_>, Arc<_>)| {
                    Arc::ptr_eq(&seen.0, &now.0) && Arc::ptr_eq(&seen.1, &now.1)
                };
                if !self.keys.get(&mark).is_some_and(same) {
                    let page = SnapshotKey {
                        provider: name.clone(),
                        persisted: now.0.persisted.clone(),
                        limits: Arc::clone(&now.1),
                    };
                    self.is_new |= self.snapshot.note_key(mark, page);
                }
                keys.insert(mark, now);
            }
        }
        (self.keys, self.providers) = (keys, providers);
    }

    /// Begins to write the snapshot, when it differs from the file and this process holds the lock.
    fn write(&mut self) -> Option<JoinHandle<Done>> {
        if !self.is_new || !self.store.as_ref().is_some_and(Store::is_held) {
            return None;
        }
        let store = self.store.take()?;
        self.is_new = false;
        let anchor = self.clock.anchor();
        let in_use = |mark| self.keys.contains_key(&mark);
        self.snapshot.tidy(anchor.time, in_use);
        let (book, marker) = (self.snapshot.clone(), self.fingerprinter.clone());
        Some(spawn_blocking(move || {
            let encoded = format::encode(&book, &marker, &anchor);
            let written = encoded.map_err(std::io::Error::other);
            let written = written.and_then(|bytes| store.write(&bytes));
            Done::Written(store, written)
        }))
    }

    /// Writes the snapshot and waits for that; whether the file has it.
    async fn write_now(&mut self) -> bool {
        let Some(work) = self.write() else {
            return false;
        };
        self.done(work.await.ok());
        !self.failing
    }

    /// Tries to become the writer, when another process was.
    fn take_over(&mut self) -> Option<JoinHandle<Done>> {
        let mut store = self.store.take_if(|store| !store.is_held())?;
        let anchor = self.clock.anchor();
        Some(spawn_blocking(move || {
            let taken = store.take_over(anchor);
            Done::Tried(store, taken)
        }))
    }

    fn done(&mut self, done: Option<Done>) {
        match done {
            Some(Done::Written(store, written)) => {
                self.written(&store, written);
                self.store = Some(store);
            }
            Some(Done::Tried(store, taken)) => {
                if let Some(theirs) = taken {
                    let same = |(marker, _): &(Fingerprinter, StateSnapshot)| {
                        marker.salt() == self.fingerprinter.salt()
                    };
                    if let Some((_, book)) = theirs.filter(same) {
                        self.compare(&book);
                        let (keys, providers) = (&self.keys, &self.providers);
                        self.snapshot.adopt(book, |mark| {
                            keys.contains_key(&mark) || providers.contains_key(&mark)
                        });
                    }
                    self.is_new = true;
                    let path = store.path().display();
                    tracing::info!(%path, "the other process has ended: state is kept from now on");
                }
                self.store = Some(store);
            }
            // Only a panic loses the store, and there is none in what it does.
            None => {}
        }
    }

    /// What was added to the other process since this one began is not known here: each has its own.
    fn compare(&self, theirs: &StateSnapshot) {
        if theirs.additions != self.snapshot.additions {
            tracing::warn!(
                "what was added to the other process while both ran differs from what was added here, which is kept"
            );
        }
    }

    fn written(&mut self, store: &Store, written: std::io::Result<()>) {
        let path = store.path().display();
        // What was not written has to be written later.
        self.is_new |= written.is_err();
        let failed = std::mem::replace(&mut self.failing, written.is_err());
        match written {
            Ok(()) if failed => tracing::info!(%path, "state is written again"),
            Err(error) if !failed => {
                tracing::warn!(%path, %error, "state cannot be written, trying again every second");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

/// The keys that are there, by what they are known by after a restart.
fn by_fingerprint(dispatcher: &TreeClient) -> Vec<(Fingerprint, KeyId)> {
    let cells = dispatcher.cells();
    let keys = cells.providers.values().flat_map(|cells| &cells.keys);
    keys.filter_map(|cell| Some((cell.fingerprint?, cell.id.clone())))
        .collect()
}

/// What came of the work under way; never without one.
async fn finished(work: &mut Option<JoinHandle<Done>>) -> Option<Done> {
    match work {
        Some(work) => work.await.ok(),
        None => std::future::pending().await,
    }
}
