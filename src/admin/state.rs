//! What the admin listener's handlers know, and how they reach the process that they are part of.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::changes::{AdditionChange, ChangeDone, ChangeRefusal, OrderedChange};
use super::mistake::Mistake;
use crate::access::Client;
use crate::actors::command_sender::CommandSender;
use crate::actors::tree::TreeClient;
use crate::config::{AdditionRules, Additions, PlacedAddition};
use crate::dispatch::Dispatch;
use crate::domain::chain::Targets;
use crate::domain::time::Time;
use crate::runtime::abort::Abort;
use crate::runtime::clock::Clock;
use crate::telemetry::recorder::Recorder;
use crate::wire::token::TokenDigest;

/// The default number of concurrent event streams.
const STREAMS: usize = 64;

/// What the admin listener knows.
pub struct AdminState {
    now: ArcSwap<CurrentConfig>,
    last_reload: ArcSwapOption<LastReload>,
    draining: AtomicBool,
    /// Ends the streams of events at the end of the process.
    pub abort: Abort,
    pub(super) clock: Clock,
    pub(super) dispatcher: TreeClient,
    pub(super) operator: CommandSender,
    /// Holds the records of requests.
    pub(super) recorder: Arc<Recorder>,
    commands: mpsc::Sender<ProcessCommand>,
    /// Places for streams of events: fewer than connections, so that these never take all of them.
    pub(super) streams: Arc<Semaphore>,
    in_flight: Box<dyn Fn() -> usize + Send + Sync>,
    dispatch: Box<dyn Fn() -> Arc<Dispatch> + Send + Sync>,
}

/// What one configuration says.
pub struct CurrentConfig {
    /// Counts the configurations of this process, from 0.
    pub generation: u64,
    /// What may be asked for.
    pub targets: Arc<Targets>,
    /// The clients, by name; empty: no client needs a token.
    pub clients: Vec<Arc<Client>>,
    /// The files that it came from.
    pub files: Vec<String>,
    /// The tokens of which an admin request needs one; empty: none is needed.
    pub tokens: Vec<TokenDigest>,
    /// Names by which the admin listener is configured, beside addresses and `localhost`.
    pub hosts: Vec<String>,
    /// What may be added.
    pub rules: AdditionRules,
    /// What was added.
    pub additions: Additions,
    /// What has become of each.
    pub placed: Vec<PlacedAddition>,
    /// Whether there is a state file for it.
    pub keeps: bool,
}

/// What the process is asked to do; it does one thing after the other.
#[derive(Debug)]
pub enum ProcessCommand {
    /// Read the configuration again, and say how that went.
    Reload(oneshot::Sender<Reloaded>),
    /// Add something, or take away what was added.
    Change(OrderedChange),
    /// Start a graceful shutdown.
    Drain,
}

/// How a reload went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reloaded {
    /// The configuration that is in use now.
    pub generation: u64,
    /// What has changed and takes a restart, or the mistakes for which nothing has changed.
    pub result: Result<Vec<String>, Vec<Mistake>>,
}

/// The last reload of the configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LastReload {
    /// When it ended.
    pub at: Time,
    /// `signal`, `file` or `admin`.
    pub trigger: &'static str,
    /// Its result.
    pub reloaded: Reloaded,
}

/// The process is ending and takes no more commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ShuttingDown;

/// What the admin listener is made of.
pub struct AdminParts {
    /// The configuration in force.
    pub now: CurrentConfig,
    /// The process's clock.
    pub clock: Clock,
    /// Ends the requests to the admin listener.
    pub abort: Abort,
    /// Reads the actors' published states.
    pub dispatcher: TreeClient,
    /// Sends operators' commands to the actors.
    pub operator: CommandSender,
    /// Requests, metrics and events.
    pub recorder: Arc<Recorder>,
    /// Sends commands to the process.
    pub commands: mpsc::Sender<ProcessCommand>,
    /// Counts the requests under way.
    pub in_flight: Box<dyn Fn() -> usize + Send + Sync>,
    /// Gives the generation that the next request would get.
    pub dispatch: Box<dyn Fn() -> Arc<Dispatch> + Send + Sync>,
}

impl std::fmt::Debug for AdminParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdminParts").finish_non_exhaustive()
    }
}

impl AdminState {
    /// Starts with these.
    pub fn new(parts: AdminParts) -> Self {
        let AdminParts {
            now,
            clock,
            abort,
            dispatcher,
            operator,
            recorder,
            commands,
            in_flight,
            dispatch,
        } = parts;
        Self {
            now: ArcSwap::from_pointee(now),
            last_reload: ArcSwapOption::empty(),
            draining: AtomicBool::new(false),
            abort,
            clock,
            dispatcher,
            operator,
            recorder,
            commands,
            streams: Arc::new(Semaphore::new(STREAMS)),
            in_flight,
            dispatch,
        }
    }

    /// With this many places for streams of events.
    #[must_use]
    pub fn with_streams(mut self, streams: usize) -> Self {
        self.streams = Arc::new(Semaphore::new(streams));
        self
    }

    /// The configuration in force.
    pub fn now(&self) -> Arc<CurrentConfig> {
        self.now.load_full()
    }

    /// What holds from now on.
    pub fn replace(&self, now: CurrentConfig) {
        self.now.store(Arc::new(now));
    }

    /// A reload has ended, well or not.
    pub fn reloaded(&self, last: LastReload) {
        self.last_reload.store(Some(Arc::new(last)));
    }

    /// The shutdown has begun.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// The listener's clock.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Whether the process is draining.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(super) fn last_reload(&self) -> Option<Arc<LastReload>> {
        self.last_reload.load_full()
    }

    pub(super) fn in_flight(&self) -> usize {
        (self.in_flight)()
    }

    pub(super) fn dispatch(&self) -> Arc<Dispatch> {
        (self.dispatch)()
    }

    pub(super) async fn reload(&self) -> Result<Reloaded, ShuttingDown> {
        let (reply, done) = oneshot::channel();
        let sent = self.commands.send(ProcessCommand::Reload(reply)).await;
        sent.map_err(|_| ShuttingDown)?;
        done.await.map_err(|_| ShuttingDown)
    }

    pub(super) async fn change(
        &self,
        change: AdditionChange,
    ) -> Result<Result<ChangeDone, ChangeRefusal>, ShuttingDown> {
        let (reply, done) = oneshot::channel();
        let ordered = ProcessCommand::Change(OrderedChange { change, reply });
        let sent = self.commands.send(ordered).await;
        sent.map_err(|_| ShuttingDown)?;
        done.await.map_err(|_| ShuttingDown)
    }

    pub(super) async fn order_drain(&self) -> Result<(), ShuttingDown> {
        let sent = self.commands.send(ProcessCommand::Drain).await;
        sent.map_err(|_| ShuttingDown)
    }
}

impl fmt::Debug for AdminState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Admin")
    }
}
