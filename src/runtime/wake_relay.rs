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
/// Something happened that a part waits for, since that part was last polled.
const PART_WOKEN: u8 = 4;
/// The part was polled since the driving began.
const PART_POLLED: u8 = 8;
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

/// For a part of what is driven that is polled each time it can go on: what wakes it, and was there before it was polled, is no
/// reason to drive everything again.
#[derive(Debug)]
pub struct PartRelay {
    state: Arc<RelayState>,
    waker: Waker,
}

/// What a part wakes.
struct PartState(Arc<RelayState>);

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
    /// For the part of it; there is one at a time.
    pub fn part(&self) -> PartRelay {
        let state = Arc::clone(&self.state);
        let waker = Waker::from(Arc::new(PartState(Arc::clone(&state))));
        PartRelay { state, waker }
    }

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
        let mut flags = self.state.flags.load(Ordering::Acquire);
        loop {
            // A part that was woken and not polled cannot go on yet: it is polled with what lets it go on.
            let part = flags & PART_WOKEN != 0 && flags & PART_POLLED != 0;
            if part || flags & WOKEN != 0 {
                return false;
            }
            let left =
                (self.state.flags).compare_exchange(flags, 0, Ordering::AcqRel, Ordering::Acquire);
            match left {
                Ok(_) => return true,
                Err(now) => flags = now,
            }
        }
    }
}

impl PartRelay {
    /// Polls the part.
    pub fn poll<T>(&self, part: impl FnOnce(&mut Context<'_>) -> T) -> T {
        // `fetch_update` ends at once: it never refuses.
        let polled = |flags: u8| Some((flags | PART_POLLED) & !PART_WOKEN);
        let _ = (self.state.flags).fetch_update(Ordering::AcqRel, Ordering::Acquire, polled);
        part(&mut Context::from_waker(&self.waker))
    }
}

impl RelayState {
    fn note(&self, what: u8) {
        let before = self.flags.fetch_or(what, Ordering::AcqRel);
        if before & INSIDE == 0 {
            self.target.wake();
        }
    }
}

impl Wake for RelayState {
    fn wake(self: Arc<Self>) {
        self.note(WOKEN);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.note(WOKEN);
    }
}

impl Wake for PartState {
    fn wake(self: Arc<Self>) {
        self.0.note(PART_WOKEN);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.note(PART_WOKEN);
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

    #[test]
    fn a_part_that_was_polled_after_it_was_woken_is_no_reason_to_drive_again() {
        let wakes = Arc::new(Wakes::default());
        let task = Waker::from(Arc::clone(&wakes));
        let mut cx = Context::from_waker(&task);
        let relay = WakeRelay::default();
        let part = relay.part();
        // Woken and then polled; polled and then woken, and polled the next time; woken while it cannot be polled.
        for (wakes_before, wakes_after, polls, wanted) in [
            (true, false, true, 1),
            (false, true, true, 2),
            (true, false, false, 1),
        ] {
            let mut steps = 0;
            let done = relay.poll(&mut cx, |_| {
                steps += 1;
                if wakes_before {
                    part.waker.wake_by_ref();
                }
                if polls {
                    part.poll(|_| ());
                }
                if wakes_after && steps == 1 {
                    part.waker.wake_by_ref();
                }
                Poll::<()>::Pending
            });
            assert!(done.is_pending());
            assert_eq!(steps, wanted);
        }
        assert_eq!(wakes.0.load(Ordering::SeqCst), 0);
        part.waker.wake_by_ref();
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1, "while nobody drives it");
    }
}
