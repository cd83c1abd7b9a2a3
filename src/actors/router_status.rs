//! What the router's actor publishes of itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::life_status::LifeStatus;
use super::mailbox::Mailbox;

/// The published state of the router.
#[derive(Debug, Default)]
pub struct RouterStatus {
    /// Whether its actor runs.
    pub life: LifeStatus,
    /// What waits for its actor.
    pub mailbox: Arc<Mailbox>,
    waiting: AtomicU32,
    ready_count: AtomicU64,
}

impl RouterStatus {
    /// Requests in the waiting room.
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// The count of readiness events, where nothing is on its way to the router and nobody waits: then it would pass a route
    /// on as it comes. A message counts as on its way until what follows from it is published.
    pub(crate) fn quiet(&self) -> Option<u64> {
        let is_quiet = self.mailbox.depth() <= 0 && self.waiting() == 0;
        is_quiet.then(|| self.ready_count.load(Ordering::Relaxed))
    }

    pub(crate) fn publish_ready(&self, count: u64) {
        self.ready_count.store(count, Ordering::Relaxed);
    }

    pub(crate) fn publish_waiting(&self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.waiting.store(count, Ordering::Relaxed);
    }
}
