//! The connection to a server that processes share, kept up by a task of its own.
//!
//! A request never waits for a connection and never tries one out: it takes the live one, waits for its answer within a
//! limit, or hears at once that there is none. Three limits that passed in a row end a connection, as its own end does;
//! the keeper then waits, connects, and publishes the new connection only when the server has answered within the
//! limit that requests have. So the breaker's probe is the keeper's, and a server that takes connections without
//! answering stays out.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, FromRedisValue, Pipeline, RedisError};
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::connection::{Connected, LinkError, connect};
use super::tls;
use crate::domain::backoff::Waits;
use crate::runtime::task::{self, TaskGuard};
use crate::wire::valkey_url::{ServerPlace, ValkeyServer};

/// What a request may wait for one answer. A server nearby takes a thousandth of that.
pub const ANSWER: Duration = Duration::from_millis(50);
/// From the first packet to the greeting.
const CONNECT: Duration = Duration::from_secs(2);
/// How often a server that nobody asks is asked whether it is there, so that its end is seen before a request waits
/// for it.
const SILENCE: Duration = Duration::from_secs(10);
/// So many limits that passed in a row end a connection.
const MOST_TIMEOUTS: u32 = 3;
/// A connection that was up for so long was a good one: the next wait is the shortest again.
const GOOD: Duration = Duration::from_secs(30);
/// The same refusal of a command is told so often.
const TOLD_AGAIN: Duration = Duration::from_secs(600);

/// Waits before another connection is tried.
const WAITS: Waits = Waits::Exponential {
    initial: Duration::from_millis(500),
    factor: 2.0,
    max: Duration::from_secs(15),
    jitter: 0.25,
};

/// Which server, and how TLS with it is verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkOptions {
    /// The server.
    pub server: ValkeyServer,
    /// Certificate authorities in DER in place of the system's; empty: those of the system.
    pub authorities: Vec<Vec<u8>>,
    /// What it is for.
    pub purpose: LinkPurpose,
}

/// What a connection is for, in messages, and whether it is to be asked now and then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkPurpose {
    /// Answers that are kept.
    Answers,
    /// What a fleet shares.
    Fleet,
    /// Waiting for what a fleet shares: commands that block, so that nothing else can be asked on it.
    FleetNews,
}

impl LinkPurpose {
    const fn rights(self) -> &'static str {
        match self {
            Self::Answers => {
                "its user needs +get +set +getrange +pttl +strlen +scan +unlink +ping on the keys of the prefix"
            }
            Self::Fleet | Self::FleetNews => {
                "its user needs +evalsha +eval +hset +hget +hmget +hdel +hgetall +xadd +xread +xrevrange +zadd +zrem \
                 +zrange +zremrangebyscore +set +pexpire +time +ping on the keys {pm:NAME}:*"
            }
        }
    }

    const fn memory(self) -> &'static str {
        match self {
            Self::Answers => "give it a maxmemory-policy such as allkeys-lru",
            Self::Fleet | Self::FleetNews => "give it more memory: a fleet needs a few megabytes",
        }
    }
}

/// Why a command was not answered.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LinkFault {
    /// There is no connection at this moment.
    #[error("there is no connection")]
    Down,
    /// The answer did not come in time.
    #[error("no answer in time")]
    Timeout,
    /// The connection ended meanwhile.
    #[error("the connection has ended")]
    Lost,
    /// The server refuses the command.
    #[error("it refuses: {0}")]
    Refused(String),
}

/// Counts since the start.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct LinkCounts {
    /// Connections that were made.
    pub connections: u64,
    /// Commands without an answer in time.
    pub timeouts: u64,
    /// Commands that were refused, or whose connection ended.
    pub failures: u64,
}

/// The way to a server. Cheap to clone; the connection ends with the last clone.
#[derive(Clone, Debug)]
pub struct Link {
    shared: Arc<LinkState>,
    _keeper: Arc<TaskGuard>,
}

struct LinkState {
    server: ValkeyServer,
    purpose: LinkPurpose,
    is_up: watch::Sender<bool>,
    live: ArcSwapOption<Live>,
    /// Why there is none.
    trouble: ArcSwapOption<String>,
    told: ArcSwapOption<(String, Instant)>,
    runs_whole: AtomicBool,
    connections: AtomicU64,
    timeouts: AtomicU64,
    failures: AtomicU64,
}

impl std::fmt::Debug for LinkState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Link({})", self.server)
    }
}

/// A connection that answers.
struct Live {
    commands: MultiplexedConnection,
    in_a_row: AtomicU32,
    is_over: AtomicBool,
    over: Notify,
}

impl Live {
    /// Nothing is asked on it any more, and the keeper makes another one.
    fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.over.notify_one();
    }
}

impl Link {
    /// Begins to connect, and goes on for as long as there is a clone of this. Call it on a runtime.
    pub fn start(options: LinkOptions) -> Self {
        let LinkOptions {
            server,
            authorities,
            purpose,
        } = options;
        let shared = Arc::new(LinkState {
            server,
            purpose,
            is_up: watch::Sender::new(false),
            live: ArcSwapOption::empty(),
            trouble: ArcSwapOption::empty(),
            told: ArcSwapOption::empty(),
            runs_whole: AtomicBool::new(false),
            connections: AtomicU64::new(0),
            timeouts: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        });
        let keeper = task::guarded(keep(Arc::clone(&shared), authorities));
        Self {
            shared,
            _keeper: Arc::new(keeper),
        }
    }

    /// The server, as it may be shown.
    pub fn server(&self) -> &ValkeyServer {
        &self.shared.server
    }

    /// Whether commands are sent at this moment.
    pub fn is_up(&self) -> bool {
        self.shared.live().is_some()
    }

    /// Completes when there is a connection, or none any more; at once when that is so.
    pub async fn becomes(&self, is_up: bool) {
        let mut changes = self.shared.is_up.subscribe();
        // The sender lives as long as this.
        let _ = changes.wait_for(|it| *it == is_up).await;
    }

    /// Why there is no connection, as far as that is known.
    pub fn trouble(&self) -> Option<String> {
        let trouble = self.shared.trouble.load_full().filter(|_| !self.is_up());
        trouble.map(|text| text.as_ref().clone())
    }

    /// Counts since the start.
    pub fn counts(&self) -> LinkCounts {
        LinkCounts {
            connections: self.shared.connections.load(Ordering::Relaxed),
            timeouts: self.shared.timeouts.load(Ordering::Relaxed),
            failures: self.shared.failures.load(Ordering::Relaxed),
        }
    }

    /// Sends commands and returns what is answered within `limit`. It is not said whether commands without an answer have
    /// had an effect.
    ///
    /// # Errors
    /// No connection, no answer in time, or a refusal.
    pub async fn ask<T: FromRedisValue>(
        &self,
        commands: &Pipeline,
        limit: Duration,
    ) -> Result<T, LinkFault> {
        match self.answers(commands, limit).await? {
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.refused(&error)),
        }
    }

    /// The same for commands of which each may be refused by itself, where the caller knows what to do about a refusal: what
    /// is one is told with [`Link::refused`].
    ///
    /// # Errors
    /// No connection, or no answer in time.
    pub async fn ask_each<T: FromRedisValue>(
        &self,
        commands: &mut Pipeline,
        limit: Duration,
    ) -> Result<Vec<Result<T, RedisError>>, LinkFault> {
        match self.answers(commands.ignore_errors(), limit).await? {
            Ok(answers) => Ok(answers),
            Err(error) => Err(self.refused(&error)),
        }
    }

    /// Counts and tells a refusal.
    pub fn refused(&self, error: &RedisError) -> LinkFault {
        self.shared.failures.fetch_add(1, Ordering::Relaxed);
        LinkFault::Refused(self.shared.refused(error))
    }

    /// Tells, once, that the server runs scripts only when they are sent whole.
    pub fn runs_whole_scripts(&self, error: &RedisError) {
        if !self.shared.runs_whole.swap(true, Ordering::Relaxed) {
            let (server, error) = (&self.shared.server, self.shared.words(error));
            let hint = "let its user run +evalsha";
            tracing::warn!(%server, error, hint, "scripts are sent whole each time, which costs the shared store more");
        }
    }

    /// What the server answers, a refusal too.
    async fn answers<T: FromRedisValue>(
        &self,
        commands: &Pipeline,
        limit: Duration,
    ) -> Result<Result<T, RedisError>, LinkFault> {
        let Some(live) = self.shared.live() else {
            return Err(LinkFault::Down);
        };
        let mut connection = live.commands.clone();
        let answer = timeout(limit, commands.query_async(&mut connection)).await;
        let Ok(answer) = answer else {
            self.shared.timeouts.fetch_add(1, Ordering::Relaxed);
            let in_a_row = live.in_a_row.fetch_add(1, Ordering::Relaxed) + 1;
            if in_a_row >= MOST_TIMEOUTS {
                live.end();
            }
            return Err(LinkFault::Timeout);
        };
        let lost = answer.as_ref().err();
        if lost.is_some_and(|error| error.is_io_error() || error.is_connection_dropped()) {
            self.shared.failures.fetch_add(1, Ordering::Relaxed);
            live.end();
            return Err(LinkFault::Lost);
        }
        // It has answered.
        live.in_a_row.store(0, Ordering::Relaxed);
        Ok(answer)
    }
}

impl LinkState {
    fn live(&self) -> Option<Arc<Live>> {
        let live = self.live.load_full()?;
        (!live.is_over.load(Ordering::Relaxed)).then_some(live)
    }

    /// What the server said, without the password that it may have echoed.
    fn words(&self, error: &RedisError) -> String {
        if error.kind() == ErrorKind::AuthenticationFailed {
            return "the user or the password is wrong".to_owned();
        }
        let words = error.to_string();
        let password = self.server.password.as_ref().map(|key| key.expose());
        match password.filter(|password| words.contains(password)) {
            Some(_) => error.code().unwrap_or("an error").to_owned(),
            None => words,
        }
    }

    /// Notes a command that was refused: a right that the user lacks, a full memory, a part of a cluster.
    fn refused(&self, error: &RedisError) -> String {
        let words = self.words(error);
        let code = error.code().unwrap_or("ERR").to_owned();
        let told = self.told.load();
        let is_new = told
            .as_ref()
            .is_none_or(|told| told.0 != code || told.1.elapsed() > TOLD_AGAIN);
        if is_new {
            self.told.store(Some(Arc::new((code, Instant::now()))));
            let hint = match error.code() {
                Some("NOPERM" | "NOAUTH") => self.purpose.rights(),
                Some("OOM") => self.purpose.memory(),
                Some("MOVED" | "ASK" | "CLUSTERDOWN" | "CROSSSLOT") => {
                    "clusters are not supported: name one server, or a proxy in front of them"
                }
                Some("READONLY") => "it is a replica: name the primary",
                _ => "",
            };
            let server = &self.server;
            tracing::warn!(%server, error = words, hint, "the shared store refuses commands");
        }
        words
    }

    /// Says why there is no connection, when that is something new.
    fn down(&self, why: String) {
        let why = Arc::new(why);
        let before = self.trouble.swap(Some(Arc::clone(&why)));
        let is_told = self.purpose == LinkPurpose::Answers;
        if is_told && before.is_none_or(|before| before != why) {
            let server = &self.server;
            tracing::warn!(%server, error = *why, "the shared store can't be used: going on without");
        }
    }

    fn up(&self) {
        let before = self.trouble.swap(None);
        // A fleet says itself when its store is gone.
        if self.purpose != LinkPurpose::Answers {
            return;
        }
        let server = &self.server;
        match before {
            Some(_) => tracing::info!(%server, "the shared store is back"),
            None => tracing::info!(%server, "the shared store is there"),
        }
    }
}

async fn keep(shared: Arc<LinkState>, authorities: Vec<Vec<u8>>) {
    let encrypted = matches!(shared.server.place, ServerPlace::Tcp { tls: true, .. });
    let tls = match encrypted.then(|| tls::connector(&authorities)).transpose() {
        Ok(tls) => tls,
        // Neither certificates nor the system's store change under a running process.
        Err(error) => return shared.down(error.to_string()),
    };
    let mut tries = 0;
    loop {
        let began = Instant::now();
        match open(&shared, tls.as_ref()).await {
            Ok((live, ended, driver)) => {
                shared.connections.fetch_add(1, Ordering::Relaxed);
                shared.live.store(Some(Arc::clone(&live)));
                shared.up();
                shared.is_up.send_replace(true);
                let why = watch_over(&shared, &live, ended).await;
                shared.live.store(None);
                drop(driver);
                shared.down(why);
                shared.is_up.send_replace(false);
            }
            Err(why) => shared.down(why),
        }
        tries = if began.elapsed() < GOOD { tries + 1 } else { 1 };
        tokio::time::sleep(WAITS.nth(tries - 1, fastrand::f64())).await;
    }
}

type LiveConnection = (Arc<Live>, oneshot::Receiver<()>, TaskGuard);

/// A connection whose server answers as fast as requests want it.
async fn open(shared: &LinkState, tls: Option<&TlsConnector>) -> Result<LiveConnection, String> {
    let connecting = connect(&shared.server, tls);
    let connected = match timeout(CONNECT, connecting).await {
        Ok(Ok(connected)) => connected,
        Ok(Err(LinkError::Refused(error))) => {
            return Err(format!("it refuses: {}", shared.words(&error)));
        }
        Ok(Err(error)) => {
            let cause = error.source().map(|cause| format!(": {cause}"));
            return Err(format!("{error}{}", cause.unwrap_or_default()));
        }
        Err(_) => {
            return Err(format!(
                "it has not answered within {} s",
                CONNECT.as_secs()
            ));
        }
    };
    let Connected {
        mut commands,
        ended,
        driver,
    } = connected;
    match timeout(ANSWER, redis::cmd("PING").query_async::<()>(&mut commands)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(format!("it refuses: {}", shared.words(&error))),
        Err(_) => return Err(slow()),
    }
    let live = Live {
        commands,
        in_a_row: AtomicU32::new(0),
        is_over: AtomicBool::new(false),
        over: Notify::new(),
    };
    Ok((Arc::new(live), ended, driver))
}

fn slow() -> String {
    format!("it takes longer than {} ms to answer", ANSWER.as_millis())
}

/// Waits for the end of a connection, and says why it ended.
async fn watch_over(shared: &LinkState, live: &Live, mut ended: oneshot::Receiver<()>) -> String {
    loop {
        tokio::select! {
            _ = &mut ended => {
                live.end();
                return "the connection has ended".to_owned();
            }
            () = live.over.notified() => return slow(),
            // What blocks is not asked in between: its own answers say that it is there.
            () = tokio::time::sleep(SILENCE), if shared.purpose != LinkPurpose::FleetNews => {
                let mut commands = live.commands.clone();
                let ping = redis::cmd("PING");
                let asked = timeout(ANSWER, ping.query_async::<()>(&mut commands)).await;
                if asked.is_ok() {
                    continue;
                }
                shared.timeouts.fetch_add(1, Ordering::Relaxed);
                // A server that is silent to itself alone is asked anew: its next answer may take as long.
                if live.in_a_row.fetch_add(1, Ordering::Relaxed) + 1 >= MOST_TIMEOUTS {
                    live.end();
                }
            }
        }
    }
}
