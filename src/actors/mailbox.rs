//! How many messages an actor has still to handle: the library keeps its queues to itself. Each incarnation has a count
//! of its own, as it has a queue of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;

/// What is waiting for one incarnation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Depth(Arc<AtomicI64>);

impl Depth {
    /// A message is about to be sent.
    pub(crate) fn sent(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// It could not be sent after all.
    pub(crate) fn not_sent(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What is waiting for an actor, whichever incarnation runs. What an actor sends itself after a while is not counted.
#[derive(Debug, Default)]
pub struct Mailbox(ArcSwap<Depth>);

impl Mailbox {
    /// Messages that are still to be handled. A reader that sees a message gone from the count also sees what the actor
    /// published before it took the message off.
    pub fn depth(&self) -> i64 {
        self.0.load().0.load(Ordering::Acquire)
    }

    /// A message that was sent has been handled.
    pub(crate) fn taken(&self) {
        self.0.load().0.fetch_sub(1, Ordering::Release);
    }

    /// From now on another incarnation runs.
    pub(crate) fn renew(&self) -> Depth {
        let depth = Depth::default();
        self.0.store(Arc::new(depth.clone()));
        depth
    }
}
