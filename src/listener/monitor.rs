//! Watches a connection: ends it when it is idle or slow, and passes on the phases of a shutdown.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::activity::{Activity, ActivityVerdict, Bounds, LOOK};
use super::drain::{DrainPhase, ShutdownHandle};
use super::room::{Ear, Leaves};
use crate::domain::connection::ConnectionPolicy;

/// How long an idle connection stays when no new ones are accepted: a client that is about to use it gets its answer,
/// with the header that the connection closes, instead of a reset.
const LINGER: Duration = Duration::from_secs(1);

/// How the work on a connection ended.
pub(super) enum ConnectionEnd<T> {
    /// The work ended by itself.
    Done(T),
    /// There was no request for too long.
    Idle,
    /// A head took too long.
    Slow,
    /// The client did not read its answers: nothing more is sent to it.
    Gone,
}

pub(super) struct ConnectionMonitor {
    pub(super) activity: Arc<Activity>,
    policy: ConnectionPolicy,
    shutdown: ShutdownHandle,
    ear: Ear,
    /// When the shutdown began.
    leaving: Option<Instant>,
    /// Since when the connection is ending by itself, and how long it may be silent meanwhile.
    parting: Option<(Instant, Duration)>,
    timer: Pin<Box<Sleep>>,
    /// The timer is that of a connection that does nothing.
    far: bool,
}

impl ConnectionMonitor {
    pub(super) fn new(policy: ConnectionPolicy, guest: ShutdownHandle, ear: Ear) -> Self {
        Self {
            activity: Arc::new(Activity::new(ear.strangers())),
            policy,
            shutdown: guest,
            ear,
            leaving: None,
            parting: None,
            timer: Box::pin(tokio::time::sleep(policy.head.min(policy.idle))),
            far: true,
        }
    }

    /// How far the shutdown has come.
    pub(super) fn phase(&mut self) -> DrainPhase {
        self.shutdown.phase()
    }

    /// To wait for it beside the work.
    pub(super) fn guest(&self) -> ShutdownHandle {
        self.shutdown.clone()
    }

    /// The connection is about to end: from now on it may be silent for that long. Requests under way and answers on
    /// their way to the client may finish.
    pub(super) fn close(&mut self, silence: Duration) {
        self.parting = Some((Instant::now(), silence));
    }

    /// Runs the work. `told` is called with each phase of a shutdown, and with the present one.
    pub(super) async fn watch<W: Future>(
        &mut self,
        mut work: Pin<&mut W>,
        mut told: impl FnMut(Pin<&mut W>, DrainPhase),
    ) -> ConnectionEnd<W::Output> {
        loop {
            let phase = self.shutdown.phase();
            if phase > DrainPhase::Serving {
                self.activity.leave();
                self.leaving.get_or_insert_with(Instant::now);
                told(work.as_mut(), phase);
            }
            let bounds = self.bounds(phase);
            let timer = self.timer.as_mut();
            let overdue = overdue(&self.activity, timer, &mut self.far, bounds, phase);
            tokio::select! {
                biased;
                done = work.as_mut() => return ConnectionEnd::Done(done),
                verdict = overdue => return match verdict {
                    ActivityVerdict::Slow => ConnectionEnd::Slow,
                    ActivityVerdict::Late => ConnectionEnd::Gone,
                    _ => ConnectionEnd::Idle,
                },
                () = self.shutdown.changed() => {}
                leaves = self.ear.called() => {
                    if self.activity.gives_way(leaves) && self.ear.leave() {
                        return match leaves {
                            Leaves::Strangers => ConnectionEnd::Gone,
                            Leaves::Idle => ConnectionEnd::Idle,
                        };
                    }
                }
            }
        }
    }

    fn bounds(&self, phase: DrainPhase) -> Bounds {
        let ConnectionPolicy {
            head, idle, write, ..
        } = self.policy;
        match (phase, self.parting) {
            (DrainPhase::Cut, _) => Bounds {
                head: Duration::ZERO,
                idle: Duration::ZERO,
                write,
                idle_from: None,
            },
            (_, Some((since, silence))) => Bounds {
                head: silence,
                idle: silence,
                write,
                idle_from: Some(since),
            },
            (DrainPhase::Serving | DrainPhase::Draining, None) => Bounds {
                head,
                idle,
                write,
                idle_from: None,
            },
            (DrainPhase::Closed, None) => Bounds {
                head,
                idle: idle.min(LINGER),
                write,
                idle_from: self.leaving,
            },
        }
    }
}

/// Completes when the connection is to end. While nothing is shut down it looks only when its timer fires, and when a
/// connection that was idle for long becomes busy; after that whenever anything happens, because each end of a request
/// may be the last.
async fn overdue(
    activity: &Activity,
    mut timer: Pin<&mut Sleep>,
    far: &mut bool,
    bounds: Bounds,
    phase: DrainPhase,
) -> ActivityVerdict {
    std::future::poll_fn(|cx| {
        let waits = phase <= DrainPhase::Draining && timer.as_mut().poll(cx).is_pending();
        if waits && !(*far && activity.is_busy()) {
            return Poll::Pending;
        }
        loop {
            match activity.judge(bounds) {
                ActivityVerdict::Fine(next) => {
                    *far = next > Instant::now() + LOOK;
                    timer.as_mut().reset(next);
                    if timer.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                }
                verdict => return Poll::Ready(verdict),
            }
        }
    })
    .await
}
