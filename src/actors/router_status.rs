//! What the router's actor publishes of itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

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
}

impl RouterStatus {
    /// Requests in the waiting room.
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(crate) fn publish_waiting(&self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.waiting.store(count, Ordering::Relaxed);
    }
}
