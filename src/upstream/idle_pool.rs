//! The connections of one provider that no call uses at the moment.
//!
//! Nobody drives them; what happens to one (mostly that the other side closes it) wakes one task for all of them, which also
//! closes those that nobody used for a while.

use std::collections::VecDeque;
use std::sync::{Arc, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Wake, Waker};
use std::time::Duration;

use http::Uri;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::http_connection::{ConnectionOrigin, HttpConnection};
use crate::runtime::task::{self, TaskGuard};

/// How long an unused connection is kept. Below the idle timeouts of common load balancers (60 s), so that
/// a request is rarely sent into a connection that the other side is just closing.
const POOL_IDLE: Duration = Duration::from_secs(50);

/// A lock, where the rule is that state has an owner: this is no state that anything is decided by. A connection is somewhere
/// else in the list or it is not, it is held for a few instructions and never while something is waited for, and a message
/// to an owner would hand each call to another thread and back, which is what the list is there to avoid.
#[expect(
    clippy::disallowed_types,
    reason = "a list of sockets, held for a few instructions"
)]
type Locked<T> = std::sync::Mutex<T>;

/// Idle connections.
pub(super) struct IdlePool {
    lists: Locked<IdleLists>,
    /// Wakes the task below.
    waker: Waker,
    closings: Arc<Closings>,
    closer: OnceLock<TaskGuard>,
}

#[derive(Default)]
struct IdleLists {
    /// In the order in which they were put here, but for few.
    idle: Vec<IdleConnection>,
    /// Calls that are making a connection, and would rather have one that is there.
    waiting: VecDeque<ConnectionWish>,
}

struct IdleConnection {
    connection: Box<HttpConnection>,
    since: Instant,
}

struct ConnectionWish {
    origin: ConnectionOrigin,
    give: oneshot::Sender<Box<HttpConnection>>,
}

/// Something happened to an idle connection.
#[derive(Default)]
struct Closings(Notify);

impl Wake for Closings {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.notify_one();
    }
}

/// Waits for a connection that is put back.
pub(super) struct Waiting<'a> {
    pool: &'a IdlePool,
    /// Where one arrives.
    pub(super) given: oneshot::Receiver<Box<HttpConnection>>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.given.close();
        let mut lists = self.pool.lists();
        lists.waiting.retain(|waiting| !waiting.give.is_closed());
    }
}

impl IdlePool {
    pub(super) fn new() -> Arc<Self> {
        let closings = Arc::new(Closings::default());
        Arc::new(Self {
            lists: Locked::default(),
            waker: Waker::from(Arc::clone(&closings)),
            closings,
            closer: OnceLock::new(),
        })
    }

    /// Starts the task that closes connections, if it does not run yet; needs a runtime.
    pub(super) fn start(self: &Arc<Self>) {
        self.closer.get_or_init(|| {
            let closings = Arc::clone(&self.closings);
            task::guarded(close(Arc::downgrade(self), closings))
        });
    }

    /// The connection to where this URL is that was used last.
    pub(super) fn take(&self, uri: &Uri) -> Option<Box<HttpConnection>> {
        loop {
            let IdleConnection {
                mut connection,
                since,
            } = self.lists().pop(uri)?;
            if since.elapsed() <= POOL_IDLE && connection.is_still_ready() {
                return Some(connection);
            }
        }
    }

    /// Waits for one to be put here.
    pub(super) fn wait(&self, origin: ConnectionOrigin) -> Waiting<'_> {
        let (give, given) = oneshot::channel();
        let waiting = ConnectionWish { origin, give };
        self.lists().waiting.push_back(waiting);
        Waiting { pool: self, given }
    }

    /// Keeps a connection for another call, unless there is no use in that.
    pub(super) fn put(&self, mut connection: Box<HttpConnection>) {
        if !connection.park(&self.waker) {
            return;
        }
        let mut lists = self.lists();
        while let Some(give) = lists.next_waiting(connection.origin()) {
            match give.send(connection) {
                Ok(()) => return,
                Err(back) => connection = back,
            }
        }
        let since = Instant::now();
        lists.idle.push(IdleConnection { connection, since });
    }

    fn lists(&self) -> MutexGuard<'_, IdleLists> {
        // Nothing in here is left half done by a panic.
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes what is over, or was idle for too long; returns when there is more to do at the latest.
    fn close(&self) -> Instant {
        let now = Instant::now();
        let is_idle = |idle: &IdleConnection| now.duration_since(idle.since) < POOL_IDLE;
        let odd: Vec<IdleConnection> = self
            .lists()
            .idle
            .extract_if(.., |idle| !is_idle(idle) || idle.connection.is_woken())
            .collect();
        // Sockets are closed, and looked at, while nobody waits for the list.
        for mut idle in odd {
            if is_idle(&idle) && idle.connection.is_still_ready() {
                self.lists().idle.push(idle);
            }
        }
        let lists = self.lists();
        let oldest = lists.idle.iter().map(|idle| idle.since).min();
        // What is put here from now on is there for so long at least.
        oldest.unwrap_or(now) + POOL_IDLE
    }
}

impl IdleLists {
    fn pop(&mut self, uri: &Uri) -> Option<IdleConnection> {
        let at = |idle: &IdleConnection| idle.connection.origin().has(uri);
        let at = self.idle.iter().rposition(at)?;
        Some(self.idle.remove(at))
    }

    fn next_waiting(
        &mut self,
        origin: &ConnectionOrigin,
    ) -> Option<oneshot::Sender<Box<HttpConnection>>> {
        let at = |waiting: &ConnectionWish| waiting.origin == *origin && !waiting.give.is_closed();
        let at = self.waiting.iter().position(at)?;
        Some(self.waiting.remove(at)?.give)
    }
}

/// Closes connections for as long as there is a pool.
async fn close(pool: Weak<IdlePool>, closings: Arc<Closings>) {
    loop {
        let Some(next) = pool.upgrade().map(|pool| pool.close()) else {
            return;
        };
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            () = closings.0.notified() => {}
        }
    }
}
