//! The places of connections, and who gives way when there are none: first who connected and asked for nothing that it
//! may have, then who is idle. So neither can shut others out, whatever they hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// So long a new connection has to ask for something before it gives way to others.
pub(super) const YOUNG: Duration = Duration::from_millis(250);
/// So long a connection has to be idle before it gives way.
pub(super) const RESTED: Duration = Duration::from_millis(250);
/// How often a connection without a place asks strangers to make room, and then who is idle; and how long it waits each
/// time. The first calls last longer than [`YOUNG`], so that strangers leave before others do.
const CALLS: [(u32, Leaves); 2] = [(4, Leaves::Strangers), (3, Leaves::Idle)];
const PATIENCE: Duration = Duration::from_millis(100);
/// At each call this share of all places is emptied: whoever floods would else be ahead.
const SHARE: usize = 32;

/// Who is asked to leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Leaves {
    /// Who has not had anything yet but refusals.
    #[default]
    Strangers,
    /// Who has no request under way.
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

/// What a connection hears of it.
#[derive(Clone, Debug)]
pub(super) struct Ear {
    room: Arc<Room>,
    call: watch::Receiver<Leaves>,
}

impl Room {
    /// For so many connections, at least one.
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

    /// A place as soon as somebody has given way; `None` when nobody did for longer than a client may be kept waiting.
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

    /// For a connection that will hear of calls from now on.
    pub(super) fn ear(self: &Arc<Self>) -> Ear {
        Ear {
            room: Arc::clone(self),
            call: self.call.subscribe(),
        }
    }
}

impl Ear {
    /// Completes when somebody is asked to leave, and says who.
    pub(super) async fn called(&mut self) -> Leaves {
        match self.call.changed().await {
            Ok(()) => *self.call.borrow_and_update(),
            // Whoever listens holds the room, so this does not happen.
            Err(_) => std::future::pending().await,
        }
    }

    /// The count of connections that have asked for nothing yet.
    pub(super) fn strangers(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.room.strangers)
    }

    /// Whether one more has to leave; who asks and hears yes does so.
    pub(super) fn leave(&self) -> bool {
        let less = |wanted: usize| wanted.checked_sub(1);
        self.room
            .wanted
            .fetch_update(Relaxed, Relaxed, less)
            .is_ok()
    }
}
