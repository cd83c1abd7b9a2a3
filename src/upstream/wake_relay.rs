//! Wakes whoever drives a connection, but not while it is being driven.
//!
//! The HTTP library's connection and those who wait for its answer or a piece of its body talk by channels, each of which
//! wakes the other side. Here one task drives both: without this it would wake itself with every head and every piece, be
//! polled once more for nothing, and be offered to another thread each time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Wake, Waker};

use futures_util::task::AtomicWaker;

/// The connection is being driven: whoever does it looks again before it waits.
const INSIDE: u8 = 1;
/// Something happened since the connection was last driven.
const WOKEN: u8 = 2;

/// What a connection wakes.
#[derive(Debug, Default)]
pub(super) struct WakeRelay {
    target: AtomicWaker,
    state: AtomicU8,
}

impl WakeRelay {
    /// What happens from now on wakes `target`.
    pub(super) fn aim(&self, target: &Waker) {
        self.target.register(target);
    }

    /// Driving begins: what happens until its end is only noted, and what happened before is forgotten.
    pub(super) fn enter(&self) {
        self.state.swap(INSIDE, Ordering::AcqRel);
    }

    /// Driving ends, whatever happened meanwhile.
    pub(super) fn leave(&self) {
        self.state.fetch_and(!INSIDE, Ordering::AcqRel);
    }

    /// Driving ends unless something happened meanwhile; returns whether it ends.
    pub(super) fn leave_unless_woken(&self) -> bool {
        let quiet = self
            .state
            .compare_exchange(INSIDE, 0, Ordering::AcqRel, Ordering::Acquire);
        quiet.is_ok()
    }

    /// Whether something happened since the connection was last driven.
    pub(super) fn is_woken(&self) -> bool {
        self.state.load(Ordering::Acquire) & WOKEN != 0
    }
}

impl Wake for WakeRelay {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let before = self.state.fetch_or(WOKEN, Ordering::AcqRel);
        if before & INSIDE == 0 {
            self.target.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn what_happens_while_a_connection_is_driven_wakes_nobody_and_is_not_lost() {
        let wakes = Arc::new(Wakes::default());
        let relay = Arc::new(WakeRelay::default());
        let waker = Waker::from(Arc::clone(&relay));
        let count = || wakes.0.load(Ordering::SeqCst);
        relay.aim(&Waker::from(Arc::clone(&wakes)));
        relay.enter();
        waker.wake_by_ref();
        assert_eq!(count(), 0);
        assert!(!relay.leave_unless_woken(), "it has to be driven again");
        relay.enter();
        assert!(relay.leave_unless_woken());
        waker.wake_by_ref();
        assert_eq!(count(), 1);
        assert!(relay.is_woken());
        // Nobody waits any more until somebody says so.
        waker.wake_by_ref();
        assert_eq!(count(), 1);
    }
}
