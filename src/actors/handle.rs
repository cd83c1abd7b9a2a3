//! Cheap handles to actors that survive restarts: they find the present incarnation at each send.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use ractor::{ActorRef, Message, MessagingErr};

use super::mailbox::{Depth, Mailbox};

/// The address of an actor, whichever incarnation runs.
pub struct Handle<M> {
    current: Arc<ArcSwapOption<Incarnation<M>>>,
    mailbox: Arc<Mailbox>,
}

struct Incarnation<M> {
    actor: ActorRef<M>,
    depth: Depth,
}

impl<M: Message> Handle<M> {
    /// A handle to an actor that does not run yet; what waits for it is counted in `mailbox`.
    pub fn vacant(mailbox: &Arc<Mailbox>) -> Self {
        Self {
            current: Arc::new(ArcSwapOption::empty()),
            mailbox: Arc::clone(mailbox),
        }
    }

    /// Sends without waiting.
    ///
    /// # Errors
    /// The message comes back when no incarnation runs.
    pub fn send(&self, message: M) -> Result<(), M> {
        let current = self.current.load();
        let Some(Incarnation { actor, depth }) = current.as_deref() else {
            return Err(message);
        };
        // Counted before it is sent: it may be handled at once.
        depth.sent();
        match actor.cast(message) {
            Ok(()) => Ok(()),
            Err(MessagingErr::SendErr(message)) => {
                depth.not_sent();
                Err(message)
            }
            // Neither occurs for a cast of the actor's own message type.
            Err(MessagingErr::ChannelClosed | MessagingErr::InvalidActorType) => Ok(()),
        }
    }

    /// Whether an incarnation runs.
    pub fn is_up(&self) -> bool {
        self.current.load().is_some()
    }

    /// The supervisor's part: messages are dropped from now on, and the running incarnation is to end.
    pub(crate) fn close(&self) {
        if let Some(incarnation) = self.current.swap(None) {
            incarnation.actor.stop(None);
        }
    }

    /// The supervisor's part: a new incarnation runs, or none. One that made itself reachable keeps its mailbox's count.
    pub(crate) fn point_at(&self, actor: Option<ActorRef<M>>) {
        let current = self.current.load();
        if let (Some(actor), Some(current)) = (&actor, current.as_deref())
            && current.actor.get_id() == actor.get_id()
        {
            return;
        }
        let incarnation = actor.map(|actor| {
            let depth = self.mailbox.renew();
            Arc::new(Incarnation { actor, depth })
        });
        self.current.store(incarnation);
    }

    /// An incarnation makes itself reachable before it has started. Its start counts as a message in its mailbox, until
    /// it says that the message is [`taken`](Mailbox::taken).
    pub(crate) fn reachable(&self, actor: ActorRef<M>) {
        let depth = self.mailbox.renew();
        depth.sent();
        self.current
            .store(Some(Arc::new(Incarnation { actor, depth })));
    }
}

impl<M> Clone for Handle<M> {
    fn clone(&self) -> Self {
        Self {
            current: Arc::clone(&self.current),
            mailbox: Arc::clone(&self.mailbox),
        }
    }
}

impl<M> fmt::Debug for Handle<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}

#[cfg(test)]
mod tests {
    use ractor::{Actor, ActorProcessingErr};

    use super::*;

    struct Idle;

    impl Actor for Idle {
        type Msg = ();
        type State = ();
        type Arguments = ();

        async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn an_incarnation_that_made_itself_reachable_keeps_the_count_of_what_was_sent_to_it() {
        let mailbox = Arc::new(Mailbox::default());
        let handle = Handle::vacant(&mailbox);
        let (actor, task) = Actor::spawn(None, Idle, ()).await.unwrap();
        handle.reachable(actor.clone());
        assert_eq!(mailbox.depth(), 1, "its start");
        handle.send(()).unwrap();
        handle.point_at(Some(actor.clone()));
        assert_eq!(mailbox.depth(), 2);
        mailbox.taken();
        mailbox.taken();
        assert_eq!(mailbox.depth(), 0);
        actor.stop(None);
        task.await.unwrap();
    }
}
