//! Whether an actor runs, and how often it was started.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use crate::domain::condition::Life;

/// An actor's life, as the supervisor publishes it.
#[derive(Debug)]
pub struct LifeStatus {
    state: AtomicU8,
    starts: AtomicU32,
}

impl Default for LifeStatus {
    fn default() -> Self {
        Self {
            state: AtomicU8::new(1),
            starts: AtomicU32::new(0),
        }
    }
}

impl LifeStatus {
    /// The present state of the actor.
    pub fn get(&self) -> Life {
        match self.state.load(Ordering::Relaxed) {
            0 => Life::Up,
            1 => Life::Restarting,
            _ => Life::Quarantined,
        }
    }

    /// How often it was started again.
    pub fn restarts(&self) -> u32 {
        self.starts.load(Ordering::Relaxed).saturating_sub(1)
    }

    pub(crate) fn set(&self, life: Life) {
        let state = match life {
            Life::Up => 0,
            Life::Restarting => 1,
            Life::Quarantined => 2,
        };
        if life == Life::Up {
            self.starts.fetch_add(1, Ordering::Relaxed);
        }
        self.state.store(state, Ordering::Relaxed);
    }
}
