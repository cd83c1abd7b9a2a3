//! The signal at which everything that is still under way ends. It is given once, and lasts.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

/// Aborts all tasks that wait for it. Clones share one signal.
#[derive(Clone, Debug, Default)]
pub struct Abort {
    on: Arc<AtomicBool>,
    told: Arc<Notify>,
}

impl Abort {
    /// Aborts now.
    pub fn halt(&self) {
        // The flag first: a task that begins to wait after the call must find it.
        self.on.store(true, Ordering::SeqCst);
        self.told.notify_waiters();
    }

    /// Whether the signal was given.
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::SeqCst)
    }

    /// Completes when the signal is given; at once when it was.
    pub async fn wait(&self) {
        let told = self.told.notified();
        if !self.is_on() {
            told.await;
        }
    }

    /// The same for code that polls.
    pub fn waiting(&self) -> Aborted {
        let told = Box::pin(Arc::clone(&self.told).notified_owned());
        Aborted {
            on: Arc::clone(&self.on),
            told,
            known: None,
        }
    }
}

/// Completes when the halt comes; not to be polled after that.
#[derive(Debug)]
pub struct Aborted {
    on: Arc<AtomicBool>,
    told: Pin<Box<OwnedNotified>>,
    /// The waker that is registered. Registering again takes a lock that all tasks share.
    known: Option<Waker>,
}

impl Future for Aborted {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.on.load(Ordering::SeqCst) {
            return Poll::Ready(());
        }
        let waker = cx.waker();
        if self
            .known
            .as_ref()
            .is_some_and(|known| known.will_wake(waker))
        {
            return Poll::Pending;
        }
        self.known = Some(waker.clone());
        self.told.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_told_to_those_who_wait_and_to_those_who_come_later() {
        let halt = Abort::default();
        let (early, one) = (halt.waiting(), halt.clone());
        let waiting = crate::runtime::task::spawn(async move { one.wait().await });
        tokio::task::yield_now().await;
        assert!(!halt.is_on() && !waiting.is_finished());
        halt.halt();
        waiting.await.unwrap();
        early.await;
        halt.waiting().await;
        halt.wait().await;
    }
}
