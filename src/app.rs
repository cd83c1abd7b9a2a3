//! The wiring: from a configuration to a running process, to another configuration, and back down.
//!
//! Up: tree, dispatch, listeners. Down, on a signal: not ready, no new connections, what is under way gets
//! its time, then the rest.

mod access;
mod admin;
mod assemble;
mod caching;
mod error;
mod fleet;
pub(crate) mod key_tests;
mod listening;
mod metrics;
mod model_entries;
mod notify;
mod refresher;
mod state_writer;
mod traces;
mod watch;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use self::admin::RunningAdmin;
use self::listening::RunningListeners;
use self::notify::tell;
use self::refresher::Refresher;
use self::state_writer::StateWriter;
use self::watch::Watch;
use crate::access::Clients;
use crate::actors::tree::Tree;
use crate::admin::{AdminState, Mistake, ProcessCommand, Reloaded};
use crate::api::{AdmissionLimit, Api};
use crate::config::{Config, ConfigErrors, FetchedLists, ServerConfig};
use crate::dispatch::Dispatch;
use crate::listener::{DrainPhase, Passed};
use crate::runtime::abort::Abort;
use crate::runtime::clock::Clock;
use crate::runtime::memory;
use crate::runtime::task::{TaskGuard, guarded};
use crate::telemetry::recorder::Recorder;
use crate::telemetry::{events, level, refusals};

pub use error::{StartError, chain};
pub(crate) use listening::try_tls;
pub(crate) use refresher::{ListUpdate, current as current_lists, update as update_lists};

/// How long requests that are aborted get to send an error to their callers.
const ERROR_EVENT_GRACE: Duration = Duration::from_secs(2);

/// The interval of the checks whether requests of earlier configurations are over.
const TIDY_UP: Duration = Duration::from_millis(250);

/// Commands of the admin listener that may wait at once.
const COMMANDS: usize = 16;

/// A process that serves in the background until it is stopped. Tests start one of their own.
pub struct App {
    api: Arc<Api>,
    listening: RunningListeners,
    admin: Arc<AdminState>,
    admin_listening: RunningAdmin,
    /// Commands from the admin listener.
    commands: Option<mpsc::Receiver<ProcessCommand>>,
    tree: Tree,
    /// With a `state.path`.
    keeper: Option<StateWriter>,
    /// In a fleet.
    fleet: Option<fleet::Joined>,
    clock: Clock,
    config: Config,
    /// Lists of models that were fetched.
    fetched: Arc<FetchedLists>,
    /// Returns memory after a flood.
    _memory: TaskGuard,
    /// Earlier configurations under which requests may be under way, oldest first.
    earlier: VecDeque<(u64, Weak<Dispatch>)>,
}

impl App {
    /// Starts everything; returns once every listener is bound. Sockets that were passed in are used where they are those
    /// of the configuration.
    ///
    /// # Errors
    /// An address that cannot be bound, a provider whose client cannot be made, a state file that cannot be written.
    pub async fn start(config: &Config, passed: &mut Passed) -> Result<Self, StartError> {
        let clock = Clock::start();
        let endpoints = assemble::endpoints(config, None, clock)?;
        // The file is read first: actors begin with what the last process knew.
        let opened = state_writer::open(config, clock).await?;
        let recall = opened.as_ref().map(|opened| opened.restored(config));
        let mut spec = assemble::tree_spec(config, recall.unwrap_or_default(), 0, 0, clock);
        let joining = fleet::joining(config, clock);
        spec.fleet = joining.as_ref().map(|joining| joining.spec.clone());
        let tree = Tree::start(spec).await;
        let fleet = joining.and_then(|joining| joining.join(&tree));
        let dispatcher = tree.client().clone();
        let halt = Abort::default();
        // What records requests exists before the first one.
        let traces = traces::start(config, clock)?;
        let recorder = Recorder::new(config.telemetry.recent_requests)
            .with_metrics(metrics::start(config)?)
            .with_traces(traces, config.telemetry.traces.propagates);
        let recorder = Arc::new(recorder);
        let process = assemble::ProcessParts {
            clock,
            abort: &halt,
            recorder: &recorder,
        };
        let dispatch = assemble::dispatch(config, 0, dispatcher, endpoints, None, process);
        let keeper = opened.map(|opened| StateWriter::start(opened, &dispatch));
        let door = AdmissionLimit::new(config.server.max_in_flight);
        let clients = assemble::clients(config, None);
        fleet::counts(fleet.as_ref(), &tree, clients.as_ref(), &dispatch);
        let serving = assemble::serving(config, dispatch, clients);
        let api = Arc::new(Api::new(serving, door, halt));
        let (send, commands) = mpsc::channel(COMMANDS);
        let admin = Arc::new(admin::state(config, &api, &tree, clock, send));
        // Everything is bound before anything is served: an address that cannot be bound leaves no connection half
        // served.
        let data = RunningListeners::bind(&config.server, passed).await?;
        if let Some(metrics) = recorder.metrics() {
            metrics.look_with(metrics::look(&api, &admin));
        }
        let bound = admin::BoundAdmin::new(&config.server, passed, data.tls.clone()).await?;
        let listening = data.serve(&api);
        let admin_listening = bound.serve(&admin);
        Ok(Self {
            api,
            listening,
            admin,
            admin_listening,
            commands: Some(commands),
            tree,
            keeper,
            fleet,
            clock,
            config: config.clone(),
            fetched: Arc::default(),
            _memory: memory::give_back(),
            earlier: VecDeque::new(),
        })
    }

    /// Takes another configuration over. Requests under way finish under the one they began with; what stays keeps its
    /// counts, cooldowns and connections. Addresses to listen on and the log stay as they were. Returns what has changed
    /// and takes a restart.
    ///
    /// # Errors
    /// A provider whose client cannot be made, an address that would let anyone in; then nothing has changed.
    pub async fn reload(&mut self, config: &Config) -> Result<Vec<String>, StartError> {
        let config = &config.with_lists(&self.fetched);
        // What can fail comes first: up to the endpoints nothing has changed.
        let certificates = self.listening.judge(config)?;
        let before = self.api.serving();
        let dispatch = &before.dispatch;
        let endpoints = assemble::endpoints(config, Some((&self.config, dispatch)), self.clock)?;
        // What requests share, as the new generation has it; counts and budgets go over from the old one.
        let generation = dispatch.generation + 1;
        let dispatcher = dispatch.tree.clone();
        let known = Some(&**dispatch);
        let recorder = Arc::clone(&dispatch.recorder);
        let process = assemble::ProcessParts {
            clock: self.clock,
            abort: &self.api.abort,
            recorder: &recorder,
        };
        let dispatch =
            assemble::dispatch(config, generation, dispatcher, endpoints, known, process);
        let clients = assemble::clients(config, before.clients.as_ref());
        let fleet = self.fleet.as_ref();
        fleet::counts(fleet, &self.tree, clients.as_ref(), &dispatch);
        let mut needs_restart = self.listening.reload(&config.server, certificates);
        let known = self.admin.now();
        let (mut now, moved) = self.admin_listening.reload(config, &known, &dispatch);
        now.clients = clients.as_ref().map(Clients::all).unwrap_or_default();
        if let Some(traces) = recorder.traces() {
            traces.learn(traces::known(config));
        }
        // What takes a restart is only reported.
        if moved {
            needs_restart.push("server.admin_listen has changed".to_owned());
        }
        if self.config.fleet != config.fleet {
            needs_restart.push("fleet has changed".to_owned());
        }
        if self.config.telemetry != config.telemetry {
            needs_restart.push("telemetry has changed".to_owned());
        }
        if let Some(metrics) = recorder.metrics() {
            metrics.name(&metrics::named(config));
        }
        self.config = config.clone();
        self.earlier
            .push_back((generation - 1, Arc::downgrade(&before.dispatch)));
        drop(before);
        // First the new keys, then the requests that may use them.
        self.reconcile_later(generation).await;
        self.api.admission.resize(config.server.max_in_flight);
        dispatch.buffers.resize(config.server.max_buffered);
        dispatch.buffers.on_disk().resize(config.server.max_spooled);
        self.api
            .replace(assemble::serving(config, dispatch, clients));
        self.admin.replace(now);
        Ok(needs_restart)
    }

    /// Takes lists of models over that were fetched: what may be asked for, and what is known of it.
    ///
    /// # Errors
    /// As for [`reload`](Self::reload); then the lists before hold.
    pub(crate) async fn take_lists(
        &mut self,
        fetched: Arc<FetchedLists>,
    ) -> Result<(), StartError> {
        let before = std::mem::replace(&mut self.fetched, fetched);
        let config = self.config.clone();
        match self.reload(&config).await {
            Ok(_) => {
                // Lists come again and again: what is odd in them is told once.
                let new = self.config.warnings.iter();
                for warning in new.filter(|warning| !config.warnings.contains(warning)) {
                    tracing::warn!("{warning}");
                }
                Ok(())
            }
            Err(error) => {
                self.fetched = before;
                Err(error)
            }
        }
    }

    /// Lets go of what only requests of earlier configurations used, once they are over. Call it now and then after a
    /// reload; says whether any are still under way.
    pub async fn tidy_up(&mut self) -> bool {
        let count = self.earlier.len();
        while self
            .earlier
            .front()
            .is_some_and(|(_, dispatch)| dispatch.strong_count() == 0)
        {
            self.earlier.pop_front();
        }
        if self.earlier.len() < count {
            self.reconcile_later(self.api.serving().dispatch.generation)
                .await;
        }
        !self.earlier.is_empty()
    }

    async fn reconcile_later(&self, generation: u64) {
        let oldest = self
            .earlier
            .front()
            .map_or(generation, |(oldest, _)| *oldest);
        let recall = match &self.keeper {
            Some(keeper) => keeper.restored(&self.config).await,
            None => BTreeMap::new(),
        };
        let spec = assemble::tree_spec(&self.config, recall, generation, oldest, self.clock);
        self.tree.apply(&spec).await;
    }

    /// Writes the state a last time, when there is a file for it, and leaves the fleet.
    pub async fn keep(&self) {
        if let Some(fleet) = &self.fleet {
            fleet.leave(&self.api.serving().dispatch.budgets).await;
        }
        if let Some(keeper) = &self.keeper {
            keeper.finish().await;
        }
    }

    /// Exports the last traces and metrics; waits for that, for a bounded time,
    /// if `patient`.
    pub async fn flush(&self, patient: bool) {
        let recorder = Arc::clone(&self.api.serving().dispatch.recorder);
        traces::flush(&recorder, patient).await;
    }

    /// Readiness turns 503, and answers ask clients to close their connections; connections are still accepted.
    pub fn drain(&self) {
        self.api.drain();
        self.admin.drain();
        self.listening.drain.advance(DrainPhase::Draining);
    }

    /// Listeners close; completes when the last connection has ended, which may be never.
    pub async fn stop(&self) {
        self.drain();
        self.listening.drain.advance(DrainPhase::Closed);
        self.listening.drain.emptied().await;
    }

    /// Stops the admin listener, which shows the shutdown until then.
    pub async fn end_admin(&mut self) {
        self.admin_listening.end(&self.admin).await;
    }

    /// What is still under way ends now, with an error: 503 `draining`, or an event that says so in a stream.
    pub fn cut(&self) {
        self.api.abort.halt();
        self.listening.drain.advance(DrainPhase::Cut);
    }
}

/// Reads the configuration again.
pub type ConfigReader = Box<dyn Fn() -> Result<Config, ConfigErrors> + Send + Sync>;

/// Serves until a signal says stop, then ends in order. A second signal ends at once. `read` is asked again when a
/// file that `config` came from changes, on SIGHUP, and when the admin listener is asked to.
///
/// # Errors
/// Whatever keeps the process from starting.
pub async fn run(
    config: &Config,
    mut passed: Passed,
    read: ConfigReader,
) -> Result<(), StartError> {
    listening::raise_descriptors(&config.server);
    let mut terminate = signal(SignalKind::terminate()).map_err(StartError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(StartError::Signals)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(StartError::Signals)?;
    let mut files = Watch::new(config.files.clone()).await;
    let mut refresher = Refresher::restored(config).await;
    let config = &config.with_lists(&refresher.lists());
    let mut app = Box::pin(App::start(config, &mut passed)).await?;
    app.fetched = refresher.lists();
    let (_never, none) = mpsc::channel(1);
    let mut commands = app.commands.take().unwrap_or(none);
    tell(&[NotifyState::Ready]);
    let _telling = guarded(refusals::telling());
    let mut earlier = false;
    // After that many signals more it ends at once.
    let mut patience = 1;
    loop {
        refresher.start(&app.config, app.clock);
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {
                files.look().await;
                let reloaded = reload(&mut app, &read, &mut files, "signal").await;
                earlier |= reloaded.result.is_ok();
            }
            () = files.changed() => {
                let reloaded = reload(&mut app, &read, &mut files, "file").await;
                earlier |= reloaded.result.is_ok();
            }
            command = commands.recv() => match command {
                Some(ProcessCommand::Reload(reply)) => {
                    files.look().await;
                    let reloaded = reload(&mut app, &read, &mut files, "admin").await;
                    earlier |= reloaded.result.is_ok();
                        // The sender may be gone; the reload is done all the same.
                    let _ = reply.send(reloaded);
                }
                Some(ProcessCommand::Drain) | None => {
                    // After a hook that called for this, the service manager sends the signal all the same.
                    patience += 1;
                    break;
                }
            },
            fetched = refresher.changed() => match app.take_lists(fetched).await {
                Ok(()) => earlier = true,
                Err(error) => tracing::warn!(%error, "the lists of models stay as they were"),
            },
            () = tokio::time::sleep(TIDY_UP), if earlier => earlier = app.tidy_up().await,
        }
    }
    // Later commands fail, because the channel is closed.
    drop(commands);
    let impatience = async {
        for _ in 0..patience {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
    };
    end(app, impatience).await;
    Ok(())
}

/// Ends in order, or at once when `impatience` completes first.
async fn end(mut app: App, impatience: impl Future<Output = ()>) {
    let ServerConfig {
        drain_delay,
        drain_timeout,
        ..
    } = app.config.server;
    events::draining(drain_delay, drain_timeout);
    tell(&[NotifyState::Stopping]);
    app.drain();
    let ending = async {
        tokio::time::sleep(drain_delay).await;
        events::drain_closed();
        let mut stopping = std::pin::pin!(app.stop());
        if tokio::time::timeout(drain_timeout, stopping.as_mut())
            .await
            .is_err()
        {
            events::drain_cut();
            app.cut();
            drop(tokio::time::timeout(ERROR_EVENT_GRACE, stopping).await);
        }
    };
    let in_order = tokio::select! {
        () = ending => true,
        () = impatience => false,
    };
    refusals::tell();
    if in_order {
        events::stopped();
        app.end_admin().await;
    } else {
        tracing::warn!("second signal: stopped at once");
    }
    app.keep().await;
    app.flush(in_order).await;
}

/// One reload, with its result in the log. A configuration with mistakes changes nothing.
async fn reload(
    app: &mut App,
    read: &ConfigReader,
    files: &mut Watch,
    trigger: &'static str,
) -> Reloaded {
    // The time is asked for by systemd 253 and later.
    let now = NotifyState::monotonic_usec_now();
    tell(&[vec![NotifyState::Reloading], now.into_iter().collect()].concat());
    let result = reload_now(app, read, files).await;
    tell(&[NotifyState::Ready]);
    let generation = app.api.serving().dispatch.generation;
    let result = match result {
        Ok(needs_restart) => {
            for text in &needs_restart {
                tracing::warn!("{text}: that takes a restart");
            }
            events::reloaded(trigger, generation, app.config.providers.len());
            Ok(needs_restart)
        }
        Err((text, mistakes)) => {
            events::not_reloaded(trigger, &text);
            Err(mistakes)
        }
    };
    if let Some(metrics) = app.api.serving().dispatch.recorder.metrics() {
        metrics.reloaded(trigger, result.is_ok());
    }
    let reloaded = Reloaded { generation, result };
    admin::told(&app.admin, trigger, &reloaded);
    reloaded
}

/// What takes a restart; or why nothing has changed, as one text and one by one.
async fn reload_now(
    app: &mut App,
    read: &ConfigReader,
    files: &mut Watch,
) -> Result<Vec<String>, (String, Vec<Mistake>)> {
    let mut config = read();
    let wanted = watch::wanted(&config, &app.config);
    if files.watches() != wanted {
        // What changes after this look is seen by the next one; what changed before it is read now.
        files.watch(&wanted);
        files.look().await;
        config = read();
    }
    let config = config.map_err(|errors| (errors.to_string(), admin::mistakes(&errors)))?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let before = app.config.log.clone();
    let state_path = app.config.state_path.clone();
    let reloaded = app.reload(&config).await;
    let mut needs_restart = reloaded.map_err(|error| {
        let mistake = admin::mistake(&error);
        (mistake.message.clone(), vec![mistake])
    })?;
    if config.state_path != state_path {
        needs_restart.push("state.path has changed".to_owned());
    }
    if config.log.format != before.format {
        needs_restart.push("log.format has changed".to_owned());
    }
    if config.log.level != before.level
        && let Err(error) = level::set(&config.log.level, "reload")
    {
        tracing::warn!(%error, "the log level stays as it was");
    }
    Ok(needs_restart)
}
