//! What a connection is doing: nothing, sending a head, or having requests served. Noted by its bytes and its
//! service, judged by its monitor.
//!
//! hyper has one timer for heads and for the time between requests; here they are told apart. Times are plain numbers
//! and nothing is armed per request, so noting costs a clock reading or two.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;

use super::room::{Leaves, RESTED, YOUNG};
use crate::runtime::kept::Kept;

/// At most so often a busy connection is looked at.
pub(super) const LOOK: Duration = Duration::from_secs(1);
/// A streamed answer ends by itself at its deadline, if its client takes in the end of it within this time.
pub(super) const GRACE: Duration = Duration::from_secs(3);

/// Of one connection. Only its own tasks touch it.
#[derive(Debug)]
pub(super) struct Activity {
    /// The connections that have asked for nothing yet, this one among them while it is one.
    strangers: Arc<AtomicUsize>,
    asked: AtomicBool,
    born: Instant,
    /// Requests from the end of their heads to the end of their answers.
    inside: AtomicUsize,
    /// On HTTP/2: those of them for which something is done here. The others wait for their client to take something.
    working: AtomicUsize,
    /// On HTTP/2: microseconds from `born` to the last time when a client took something.
    moved: AtomicU64,
    /// Microseconds from `born` to the last end of a request.
    quiet: AtomicU64,
    /// Microseconds from `born` to the first byte of the head that is on its way, plus one; 0: there is none.
    head: AtomicU64,
    /// Its bytes are those of many requests, so they do not show the progress of one.
    multiplexed: AtomicBool,
    /// The client is to leave with its present request.
    leaving: AtomicBool,
    /// Written bytes wait for the client. The last bytes of an answer are written long after
    /// its request has ended for all other parts.
    stuck: AtomicBool,
    /// Microseconds from `born` to the deadline of the answer that is streamed; 0: there is none. Not on HTTP/2.
    deadline: AtomicU64,
    /// It is time to look whether the client has hung up.
    look: AtomicBool,
    /// It has had an answer other than a refusal of access.
    known: AtomicBool,
    /// Its last answer was a refusal of access.
    refused: AtomicBool,
    /// Takes what answers keep until they are written; let go of by the connection's bytes.
    keeps: OnceLock<Sender<Kept>>,
}

/// A request that is being served; over when dropped.
#[derive(Debug)]
pub(super) struct Inside {
    activity: Arc<Activity>,
    /// Something is done for it.
    works: bool,
}

/// The limits of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) head: Duration,
    pub(super) idle: Duration,
    /// On HTTP/2: requests of which nothing is taken.
    pub(super) write: Duration,
    /// Idle time before this does not count.
    pub(super) idle_from: Option<Instant>,
}

/// What is to be done about a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ActivityVerdict {
    /// Nothing before this time.
    Fine(Instant),
    /// There was no request for too long.
    Idle,
    /// A head takes too long.
    Slow,
    /// The client does not take in its answers in time.
    Late,
}

impl Drop for Activity {
    fn drop(&mut self) {
        if !self.asked.load(Relaxed) {
            self.strangers.fetch_sub(1, Relaxed);
        }
    }
}

impl Activity {
    /// Of a new connection, which is counted among those that have asked for nothing until it asks.
    pub(super) fn new(strangers: Arc<AtomicUsize>) -> Self {
        strangers.fetch_add(1, Relaxed);
        Self {
            born: Instant::now(),
            strangers,
            asked: AtomicBool::new(false),
            inside: AtomicUsize::new(0),
            working: AtomicUsize::new(0),
            moved: AtomicU64::new(0),
            quiet: AtomicU64::new(0),
            head: AtomicU64::new(0),
            multiplexed: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
            stuck: AtomicBool::new(false),
            deadline: AtomicU64::new(0),
            look: AtomicBool::new(false),
            known: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            keeps: OnceLock::new(),
        }
    }

    /// What answers keep until they are written. The first caller gets the receiver.
    pub(super) fn kept(&self) -> Receiver<Kept> {
        let (sender, receiver) = mpsc::channel();
        self.keeps.get_or_init(|| sender);
        receiver
    }

    /// An answer was handed over for writing. What it keeps is let go of when that is done, or when the connection has
    /// ended.
    pub(super) fn keep(&self, kept: Kept) {
        if let Some(keeps) = self.keeps.get() {
            // Without a receiver the connection is over, and so is its answer.
            drop(keeps.send(kept));
        }
    }

    /// Nothing more can be written for now; says whether that is new.
    pub(super) fn stick(&self) -> bool {
        !self.stuck.swap(true, Relaxed)
    }

    /// A request was answered; `refused`: its caller has no access.
    pub(super) fn answered(&self, refused: bool) {
        self.refused.store(refused, Relaxed);
        if !refused && !self.known.load(Relaxed) {
            self.known.store(true, Relaxed);
        }
    }

    /// Whether it closes when connections of this kind are asked to.
    pub(super) fn gives_way(&self, leaves: Leaves) -> bool {
        let inside = self.inside.load(Relaxed) > 0;
        match leaves {
            Leaves::Strangers => {
                let asks = inside && !self.refused.load(Relaxed);
                !self.known.load(Relaxed) && !asks && self.born.elapsed() >= YOUNG
            }
            Leaves::Idle => {
                // A connection that had a request stays while there are connections that had none.
                let is_next = !self.asked.load(Relaxed) || self.strangers.load(Relaxed) == 0;
                is_next
                    && !self.is_busy()
                    && self.at(self.quiet.load(Relaxed)) + RESTED <= Instant::now()
            }
        }
    }

    /// Something was written, or there is nothing left to write.
    pub(super) fn flow(&self) {
        if self.stuck.load(Relaxed) {
            self.stuck.store(false, Relaxed);
            // Idle time begins with the end of the answer.
            self.quiet.store(self.age(), Relaxed);
        }
    }

    /// The answer is streamed until then.
    pub(super) fn until(&self, deadline: Instant) {
        let micros = (deadline + GRACE).saturating_duration_since(self.born);
        let micros = u64::try_from(micros.as_micros()).unwrap_or(u64::MAX);
        self.deadline.store(micros.max(1), Relaxed);
    }

    /// Whether requests are inside.
    pub(super) fn is_inside(&self) -> bool {
        self.inside.load(Relaxed) > 0
    }

    /// Whether requests are inside, or bytes of answers on their way.
    pub(super) fn is_busy(&self) -> bool {
        self.inside.load(Relaxed) > 0 || self.stuck.load(Relaxed)
    }

    /// Whether to look now if the client has hung up on the request that is inside. True about once a second: on
    /// HTTP/2 never, because it reads all the time and notices.
    pub(super) fn is_to_look(&self) -> bool {
        self.look.load(Relaxed) && self.look.swap(false, Relaxed) && self.inside.load(Relaxed) > 0
    }

    /// Bytes came in.
    pub(super) fn heard(&self) {
        let waits = self.inside.load(Relaxed) == 0 && self.head.load(Relaxed) == 0;
        if waits && !self.multiplexed.load(Relaxed) {
            self.head.store(self.age() + 1, Relaxed);
        }
    }

    /// From now on it carries many requests at once.
    pub(super) fn multiplex(&self) {
        self.multiplexed.store(true, Relaxed);
        self.settle();
    }

    /// What came in so far was no head: the connection is new.
    pub(super) fn settle(&self) {
        self.head.store(0, Relaxed);
        self.quiet.store(self.age(), Relaxed);
    }

    /// A request's head is complete.
    pub(super) fn enter(self: &Arc<Self>) -> Inside {
        if !self.asked.load(Relaxed) && !self.asked.swap(true, Relaxed) {
            self.strangers.fetch_sub(1, Relaxed);
        }
        self.inside.fetch_add(1, Relaxed);
        self.working.fetch_add(1, Relaxed);
        self.head.store(0, Relaxed);
        Inside {
            activity: Arc::clone(self),
            works: true,
        }
    }

    /// Answers ask the client to close the connection from now on.
    pub(super) fn leave(&self) {
        self.leaving.store(true, Relaxed);
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.load(Relaxed)
    }

    /// What the monitor is to do now.
    pub(super) fn judge(&self, bounds: Bounds) -> ActivityVerdict {
        let now = Instant::now();
        if self.stuck.load(Relaxed) {
            // Otherwise the writer sets the limit.
            return match self.deadline.load(Relaxed) {
                1.. if self.age() >= self.deadline.load(Relaxed) => ActivityVerdict::Late,
                _ => ActivityVerdict::Fine(now + LOOK),
            };
        }
        if self.inside.load(Relaxed) > 0 {
            let moved = self.at(self.moved.load(Relaxed));
            let multiplexed = self.multiplexed.load(Relaxed);
            self.look.store(!multiplexed, Relaxed);
            let held = multiplexed && self.working.load(Relaxed) == 0;
            return if held && moved + bounds.write <= now {
                ActivityVerdict::Late
            } else {
                ActivityVerdict::Fine(now + LOOK)
            };
        }
        let (since, limit, over) = match self.head.load(Relaxed) {
            0 => {
                let quiet = self.at(self.quiet.load(Relaxed));
                let since = bounds.idle_from.map_or(quiet, |from| from.max(quiet));
                (since, bounds.idle, ActivityVerdict::Idle)
            }
            head => (self.at(head - 1), bounds.head, ActivityVerdict::Slow),
        };
        match since + limit {
            due if due <= now => over,
            // One that is often busy is not to be armed for each request.
            due if self.at(self.quiet.load(Relaxed)) + LOOK > now => {
                ActivityVerdict::Fine(due.min(now + LOOK))
            }
            // A head may begin in the meantime.
            due => ActivityVerdict::Fine(due.min(now + bounds.head)),
        }
    }

    fn at(&self, micros: u64) -> Instant {
        self.born + Duration::from_micros(micros)
    }

    fn age(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

impl Inside {
    /// A body was polled for its next part; `had`: there was one. A body with a part waits for its client to take it,
    /// and is polled again when that is done.
    pub(super) fn asked(&mut self, had: bool) {
        let activity = &self.activity;
        if !activity.multiplexed.load(Relaxed) {
            return;
        }
        activity.moved.store(activity.age(), Relaxed);
        if self.works == had {
            self.works = !had;
            if had {
                activity.working.fetch_sub(1, Relaxed)
            } else {
                activity.working.fetch_add(1, Relaxed)
            };
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let activity = &self.activity;
        activity.quiet.store(activity.age(), Relaxed);
        activity.deadline.store(0, Relaxed);
        if self.works {
            activity.working.fetch_sub(1, Relaxed);
        }
        activity.inside.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const BOUNDS: Bounds = Bounds {
        head: Duration::from_secs(10),
        idle: Duration::from_secs(60),
        write: Duration::from_secs(60),
        idle_from: None,
    };

    #[tokio::test(start_paused = true)]
    async fn a_head_that_has_begun_has_less_time_than_a_silent_connection() {
        let activity = Arc::new(Activity::new(Arc::default()));
        tokio::time::advance(59 * SECOND).await;
        assert!(matches!(activity.judge(BOUNDS), ActivityVerdict::Fine(_)));
        activity.heard();
        tokio::time::advance(9 * SECOND).await;
        // More of it does not give it more time.
        activity.heard();
        assert!(matches!(activity.judge(BOUNDS), ActivityVerdict::Fine(_)));
        tokio::time::advance(SECOND).await;
        assert_eq!(activity.judge(BOUNDS), ActivityVerdict::Slow);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_may_last_and_silence_counts_from_its_end() {
        let activity = Arc::new(Activity::new(Arc::default()));
        activity.heard();
        let inside = activity.enter();
        tokio::time::advance(600 * SECOND).await;
        // The body's bytes.
        activity.heard();
        assert!(matches!(activity.judge(BOUNDS), ActivityVerdict::Fine(_)));
        drop(inside);
        tokio::time::advance(59 * SECOND).await;
        assert!(matches!(activity.judge(BOUNDS), ActivityVerdict::Fine(_)));
        tokio::time::advance(SECOND).await;
        assert_eq!(activity.judge(BOUNDS), ActivityVerdict::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_on_its_way_is_no_silence_and_a_head_behind_it_can_wait() {
        let activity = Arc::new(Activity::new(Arc::default()));
        drop(activity.enter());
        assert!(activity.stick() && !activity.stick());
        activity.heard();
        tokio::time::advance(600 * SECOND).await;
        assert!(matches!(activity.judge(BOUNDS), ActivityVerdict::Fine(_)));
        activity.flow();
        assert_eq!(activity.judge(BOUNDS), ActivityVerdict::Slow);
        drop(activity.enter());
        activity.stick();
        tokio::time::advance(600 * SECOND).await;
        activity.flow();
        tokio::time::advance(59 * SECOND).await;
        assert!(matches!(activity.judge(BOUNDS), ActivityVerdict::Fine(_)));
        tokio::time::advance(SECOND).await;
        assert_eq!(activity.judge(BOUNDS), ActivityVerdict::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn idle_time_before_the_shutdown_does_not_count_in_it() {
        let activity = Activity::new(Arc::default());
        tokio::time::advance(50 * SECOND).await;
        let bounds = Bounds {
            idle: SECOND,
            idle_from: Some(Instant::now()),
            ..BOUNDS
        };
        assert!(matches!(activity.judge(bounds), ActivityVerdict::Fine(_)));
        tokio::time::advance(SECOND).await;
        assert_eq!(activity.judge(bounds), ActivityVerdict::Idle);
    }
}
