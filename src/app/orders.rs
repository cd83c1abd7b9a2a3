//! Who tells a process what to do, and who hears how it is: its service manager by signals, or the program that it is a part
//! of.

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::error::StartError;

/// What a process is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ProcessOrder {
    /// Read the configuration again.
    Reload,
    /// End.
    End,
}

/// Where orders come from.
pub(super) enum Orders {
    /// From outside, as a process of its own.
    Signals {
        terminate: Signal,
        interrupt: Signal,
        hangup: Signal,
    },
    /// From the program around it: it is to end at the first message, or when nobody could send one any more.
    Program(mpsc::Receiver<()>),
}

impl Orders {
    /// From signals.
    ///
    /// # Errors
    /// The system gives no signals.
    pub(super) fn signals() -> Result<Self, StartError> {
        let on = |kind| signal(kind).map_err(StartError::Signals);
        Ok(Self::Signals {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
            hangup: on(SignalKind::hangup())?,
        })
    }

    /// The next one. Cancel-safe.
    pub(super) async fn next(&mut self) -> ProcessOrder {
        match self {
            Self::Signals {
                terminate,
                interrupt,
                hangup,
            } => tokio::select! {
                _ = terminate.recv() => ProcessOrder::End,
                _ = interrupt.recv() => ProcessOrder::End,
                _ = hangup.recv() => ProcessOrder::Reload,
            },
            Self::Program(end) => {
                end.recv().await;
                ProcessOrder::End
            }
        }
    }

    /// Completes when it is told to end, before it serves. What else it is told is kept for [`Orders::next`]. Cancel-safe.
    pub(super) async fn end(&mut self) {
        match self {
            Self::Signals {
                terminate,
                interrupt,
                ..
            } => {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            }
            Self::Program(end) => {
                end.recv().await;
            }
        }
    }

    /// Completes when it is told to end once more, which a program does not do.
    pub(super) async fn again(&mut self) {
        match self {
            Self::Signals { .. } => while self.next().await != ProcessOrder::End {},
            Self::Program(_) => std::future::pending().await,
        }
    }

    /// Another configuration is being read.
    pub(super) fn reloading(&self) {
        // The time is asked for by systemd 253 and later.
        let now = NotifyState::monotonic_usec_now();
        self.tell(&[vec![NotifyState::Reloading], now.into_iter().collect()].concat());
    }

    /// The process serves, by one configuration or another.
    pub(super) fn ready(&self) {
        self.tell(&[NotifyState::Ready]);
    }

    /// It is about to end.
    pub(super) fn stopping(&self) {
        self.tell(&[NotifyState::Stopping]);
    }

    /// Tells the service manager how the process is, if there is one (`NOTIFY_SOCKET`). A program around it tells of itself.
    fn tell(&self, state: &[NotifyState<'_>]) {
        if let Self::Program(_) = self {
            return;
        }
        if let Err(error) = sd_notify::notify(state) {
            tracing::debug!(%error, "the service manager could not be notified");
        }
    }
}
