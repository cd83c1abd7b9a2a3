//! The phase of a shutdown, sent to every connection, and whether they are all closed.

use tokio::sync::watch;

/// The steps of a shutdown, in their order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum DrainPhase {
    /// No shutdown.
    Serving,
    /// New connections are still accepted; every connection is asked to close with its next request.
    Draining,
    /// No new connections; what is under way goes on, and idle connections are closed.
    Closed,
    /// Requests under way have been aborted; connections close as soon as they are idle.
    Cut,
}

/// The side that shuts down.
#[derive(Clone, Debug)]
pub struct Drain(watch::Sender<DrainPhase>);

/// The side of a listener or a connection; the shutdown is over when all of them are dropped.
#[derive(Clone, Debug)]
pub struct ShutdownHandle(watch::Receiver<DrainPhase>);

impl Drain {
    /// A shutdown that has not begun, and its first handle.
    pub fn new() -> (Self, ShutdownHandle) {
        let (sender, receiver) = watch::channel(DrainPhase::Serving);
        (Self(sender), ShutdownHandle(receiver))
    }

    /// One more handle.
    pub fn handle(&self) -> ShutdownHandle {
        ShutdownHandle(self.0.subscribe())
    }

    /// The next step. Steps are never taken back.
    pub fn advance(&self, phase: DrainPhase) {
        self.0.send_if_modified(|now| {
            let later = phase > *now;
            *now = phase.max(*now);
            later
        });
    }

    /// Completes when the last handle is gone.
    pub async fn emptied(&self) {
        self.0.closed().await;
    }
}

impl ShutdownHandle {
    /// How far it has come; [`ShutdownHandle::changed`] waits for what comes after it.
    pub(super) fn phase(&mut self) -> DrainPhase {
        *self.0.borrow_and_update()
    }

    /// Completes at the next phase; never when the shutdown's sender is gone.
    pub(super) async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Completes when it has come so far. The guard that the channel gives out must not be held any longer.
    pub(super) async fn reached(&mut self, phase: DrainPhase) {
        if self.0.wait_for(|now| *now >= phase).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
