//! Cheap handles to actors that survive restarts: they find the present incarnation at each send.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use ractor::{ActorRef, Message, MessagingErr};

/// The address of an actor, whichever incarnation runs.
pub struct Handle<M> {
    current: Arc<ArcSwapOption<ActorRef<M>>>,
}

impl<M: Message> Handle<M> {
    /// A handle to an actor that does not run yet.
    pub fn vacant() -> Self {
        Self {
            current: Arc::new(ArcSwapOption::empty()),
        }
    }

    /// Sends without waiting.
    ///
    /// # Errors
    /// The message comes back when no incarnation runs.
    pub fn send(&self, message: M) -> Result<(), M> {
        let current = self.current.load();
        let Some(actor) = current.as_ref() else {
            return Err(message);
        };
        match actor.cast(message) {
            Ok(()) => Ok(()),
            Err(MessagingErr::SendErr(message)) => Err(message),
            // Neither occurs for a cast of the actor's own message type.
            Err(MessagingErr::ChannelClosed | MessagingErr::InvalidActorType) => Ok(()),
        }
    }

    /// Whether an incarnation runs.
    pub fn is_up(&self) -> bool {
        self.current.load().is_some()
    }

    /// The supervisor's part: nobody is to be reached here any more, and the incarnation that runs is to end.
    pub(crate) fn close(&self) {
        if let Some(actor) = self.current.swap(None) {
            actor.stop(None);
        }
    }

    /// The supervisor's part: a new incarnation runs, or none.
    pub(crate) fn point_at(&self, actor: Option<ActorRef<M>>) {
        self.current.store(actor.map(Arc::new));
    }
}

impl<M> Clone for Handle<M> {
    fn clone(&self) -> Self {
        Self {
            current: Arc::clone(&self.current),
        }
    }
}

impl<M> fmt::Debug for Handle<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}
