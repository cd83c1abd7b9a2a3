//! The limit of connections, and which of them are closed for new ones: first those that have had no permitted request,
//! then idle ones. So neither kind can keep others from connecting, whatever their number.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// How long a new connection has to send a request before it may be closed for others.
pub(super) const YOUNG: Duration = Duration::from_millis(250);
/// How long a connection must be idle before it may be closed for others.
pub(super) const RESTED: Duration = Duration::from_millis(250);
/// How often a connection without a place asks first strangers, then idle connections, to close, and how long it waits
/// each time. The first calls last longer than [`YOUNG`], so that strangers leave before others do.
const CALLS: [(u32, Leaves); 2] = [(4, Leaves::Strangers), (3, Leaves::Idle)];
const PATIENCE: Duration = Duration::from_millis(100);
/// At each call this share of all places is emptied, to keep ahead of a flood of new connections.
const SHARE: usize = 32;

/// The kind of connections that is asked to close.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Leaves {
    /// Connections that have had nothing but refusals.
    #[default]
    Strangers,
    /// Connections without a request under way.
    Idle,
}

/// The places, shared by listeners that share their limits.
#[derive(Debug)]
pub(super) struct Room {
    places: Arc<Semaphore>,
    most: usize,
    call: watch::Sender<Leaves>,
    wanted: AtomicUsize,
    strangers: Arc<AtomicUsize>,
}

/// A connection's receiver of these calls.
#[derive(Clone, Debug)]
pub(super) struct Ear {
    room: Arc<Room>,
    call: watch::Receiver<Leaves>,
}

impl Room {
    /// Room for `most` connections, at least one.
    pub(super) fn new(most: usize) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Semaphore::new(most)),
            most,
            call: watch::Sender::default(),
            wanted: AtomicUsize::new(0),
            strangers: Arc::default(),
        }
    }

    /// How many there are, taken or not.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// A place, if one is free.
    pub(super) fn enter(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// A place as soon as another connection has closed; `None` when none did within the time that a client may wait.
    pub(super) async fn enter_late(&self) -> Option<OwnedSemaphorePermit> {
        let calls = CALLS.into_iter();
        for leaves in calls.flat_map(|(count, leaves)| (0..count).map(move |_| leaves)) {
            self.make_room(leaves);
            let entering = Arc::clone(&self.places).acquire_owned();
            if let Ok(Ok(place)) = tokio::time::timeout(PATIENCE, entering).await {
                return Some(place);
            }
        }
        None
    }

    /// Asks some of them to leave.
    pub(super) fn make_room(&self, leaves: Leaves) {
        self.wanted.store((self.most / SHARE).max(1), Relaxed);
        self.call.send_replace(leaves);
    }

    /// The receiver of later calls.
    pub(super) fn ear(self: &Arc<Self>) -> Ear {
        Ear {
            room: Arc::clone(self),
            call: self.call.subscribe(),
        }
    }
}

impl Ear {
    /// Completes when connections are asked to close, with their kind.
    pub(super) async fn called(&mut self) -> Leaves {
        match self.call.changed().await {
            Ok(()) => *self.call.borrow_and_update(),
            // The receiver holds the room, so this does not happen.
            Err(_) => std::future::pending().await,
        }
    }

    /// The count of connections that have asked for nothing yet.
    pub(super) fn strangers(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.room.strangers)
    }

    /// Whether one more has to close; a connection that gets `true` does so.
    pub(super) fn leave(&self) -> bool {
        let less = |wanted: usize| wanted.checked_sub(1);
        self.room
            .wanted
            .fetch_update(Relaxed, Relaxed, less)
            .is_ok()
    }
}
