//! Wakes the task that drives a connection, but not while it is driving it.
//!
//! The HTTP library's connection and those who wait for an answer or a piece of a body talk by channels, each of which wakes
//! the other side. Here one task drives both: without this it would wake itself with every head and every piece, be polled
//! once more for nothing, and be offered to another thread each time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// The connection is being driven: whoever does it looks again before it waits.
const INSIDE: u8 = 1;
/// Something happened since the connection was last driven.
const WOKEN: u8 = 2;
/// How often a connection that keeps waking itself is driven before other tasks get their turn. Mostly once or twice is
/// enough: the last time is for what came in meanwhile.
const ROUNDS: usize = 4;

/// What a connection wakes.
#[derive(Debug)]
pub struct WakeRelay {
    state: Arc<RelayState>,
    /// Wakes the state.
    waker: Waker,
}

#[derive(Debug, Default)]
struct RelayState {
    target: AtomicWaker,
    flags: AtomicU8,
}

impl Default for WakeRelay {
    fn default() -> Self {
        let state = Arc::<RelayState>::default();
        let waker = Waker::from(Arc::clone(&state));
        Self { state, waker }
    }
}

impl WakeRelay {
    /// What happens from now on wakes `target`.
    pub fn aim(&self, target: &Waker) {
        self.state.target.register(target);
    }

    /// Driving begins: what happens until its end is only noted, and what happened before is forgotten.
    pub fn enter(&self) {
        self.state.flags.swap(INSIDE, Ordering::AcqRel);
    }

    /// Whether something happened since the connection was last driven.
    pub fn is_woken(&self) -> bool {
        self.state.flags.load(Ordering::Acquire) & WOKEN != 0
    }

    /// Takes a step, and again while the step itself gave reason to. What it waits for wakes the task of `cx`.
    pub fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        mut step: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.aim(cx.waker());
        for _ in 0..ROUNDS {
            self.enter();
            let done = step(&mut Context::from_waker(&self.waker));
            if done.is_ready() {
                self.leave();
                return done;
            }
            if self.leave_unless_woken() {
                return Poll::Pending;
            }
        }
        self.leave();
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes steps while something has happened, for nobody who waits.
    pub fn catch_up(&self, mut step: impl FnMut(&mut Context<'_>)) {
        for _ in 0..ROUNDS {
            if !self.is_woken() {
                break;
            }
            self.enter();
            step(&mut Context::from_waker(&self.waker));
            self.leave();
        }
    }

    /// Driving ends, whatever happened meanwhile.
    fn leave(&self) {
        self.state.flags.fetch_and(!INSIDE, Ordering::AcqRel);
    }

    /// Driving ends unless something happened meanwhile; returns whether it ends.
    fn leave_unless_woken(&self) -> bool {
        let quiet =
            (self.state.flags).compare_exchange(INSIDE, 0, Ordering::AcqRel, Ordering::Acquire);
        quiet.is_ok()
    }
}

impl Wake for RelayState {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let before = self.flags.fetch_or(WOKEN, Ordering::AcqRel);
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
        let relay = WakeRelay::default();
        let count = || wakes.0.load(Ordering::SeqCst);
        let task = Waker::from(Arc::clone(&wakes));
        let mut steps = 0;
        let mut step = |cx: &mut Context<'_>| {
            steps += 1;
            if steps == 1 {
                cx.waker().wake_by_ref();
            }
            Poll::<()>::Pending
        };
        let mut cx = Context::from_waker(&task);
        assert!(relay.poll(&mut cx, &mut step).is_pending());
        assert_eq!((count(), steps), (0, 2), "it was driven again, by itself");
        relay.waker.wake_by_ref();
        assert_eq!(count(), 1);
        assert!(relay.is_woken());
        // Nobody waits any more until somebody says so.
        relay.waker.wake_by_ref();
        assert_eq!(count(), 1);
    }

    #[test]
    fn what_keeps_waking_itself_lets_other_tasks_have_their_turn() {
        let wakes = Arc::new(Wakes::default());
        let relay = WakeRelay::default();
        let task = Waker::from(Arc::clone(&wakes));
        let done = relay.poll(&mut Context::from_waker(&task), |cx| {
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        assert!(done.is_pending());
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
    }
}
