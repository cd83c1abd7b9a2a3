//! What an actor leaves to its next incarnation: its whole state, however it ended.
//!
//! ractor drops the state of an actor that panics or is killed. A [`StateHandoff`] turns that drop into a
//! hand-over, so that a crash loses neither cooldowns nor live leases nor waiting requests. The alternative,
//! a published copy after each change, costs an allocation per message and still loses the last change.

use tokio::sync::oneshot;

/// What an actor's state does when the incarnation that holds it ends.
pub trait OnEnd {
    /// The incarnation has ended, maybe by a panic in the middle of a message, and its mailbox is gone. Publishes anew what
    /// messages in that mailbox would have changed, as far as the state shows it. Changes no state.
    fn on_end(&self) {}
}

/// State that goes to its next incarnation when the actor that holds it ends.
#[derive(Debug)]
pub struct StateHandoff<T: OnEnd> {
    value: Option<T>,
    successor: Option<oneshot::Sender<T>>,
}

/// Where the next incarnation finds the state of the one that is running.
pub type StateReceiver<T> = oneshot::Receiver<T>;

impl<T: OnEnd> StateHandoff<T> {
    /// State for an incarnation about to start, and the place where its successor finds it.
    pub fn new(value: T) -> (Self, StateReceiver<T>) {
        let (successor, receiver) = oneshot::channel();
        let handoff = Self {
            value: Some(value),
            successor: Some(successor),
        };
        (handoff, receiver)
    }

    /// The state. `None` never happens while the hand-off is held; the type cannot say so.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.as_mut()
    }
}

impl<T: OnEnd> Drop for StateHandoff<T> {
    fn drop(&mut self) {
        if let (Some(value), Some(successor)) = (self.value.take(), self.successor.take()) {
            value.on_end();
            // There is no receiver when the whole tree goes down.
            drop(successor.send(value));
        }
    }
}

/// How an actor begins anew when the state that was left makes it fail again and again.
pub(crate) trait Renew<C> {
    /// Fresh state with what is published of the actor, and with those parts of `left` that are no state of its own, such
    /// as the leases that are out. Looks at nothing else in `left`.
    fn renewed(&self, left: C) -> C;
}

#[cfg(test)]
mod tests {
    use super::*;

    impl OnEnd for Vec<i32> {}

    #[test]
    fn a_panic_hands_the_state_on() {
        let (mut handoff, mut receiver) = StateHandoff::new(vec![1]);
        let crash = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            handoff.get_mut().unwrap().push(2);
            panic!("on purpose");
        }));
        assert!(crash.is_err());
        assert_eq!(receiver.try_recv().unwrap(), [1, 2]);
    }
}
