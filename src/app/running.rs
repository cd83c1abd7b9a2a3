//! The process while it serves: its parts, what another configuration does to them, and how they end.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};

use tokio::sync::mpsc;

use super::admin::{self, RunningAdmin};
use super::assemble;
use super::error::StartError;
use super::listening::RunningListeners;
use super::state_writer::{Opening, StateWriter};
use super::{fleet, metrics, traces};
use crate::access::Clients;
use crate::actors::tree::Tree;
use crate::admin::{AdminState, ProcessCommand};
use crate::api::{AdmissionLimit, Api};
use crate::config::{Config, FetchedLists, LoadedAdditions};
use crate::dispatch::Dispatch;
use crate::listener::{DrainPhase, Passed};
use crate::runtime::abort::Abort;
use crate::runtime::clock::Clock;
use crate::runtime::memory;
use crate::runtime::task::TaskGuard;
use crate::telemetry::recorder::Recorder;

/// Commands of the admin listener that may wait at once.
const COMMANDS: usize = 16;

/// A process that serves in the background until it is stopped.
pub struct App {
    pub(super) api: Arc<Api>,
    pub(super) listening: RunningListeners,
    pub(super) admin: Arc<AdminState>,
    pub(super) admin_listening: RunningAdmin,
    /// Commands from the admin listener.
    pub(super) commands: Option<mpsc::Receiver<ProcessCommand>>,
    pub(super) tree: Tree,
    /// With a `state.path`.
    pub(super) keeper: Option<StateWriter>,
    /// In a fleet.
    pub(super) fleet: Option<fleet::Joined>,
    pub(super) clock: Clock,
    pub(super) config: Config,
    /// Lists of models that were fetched.
    pub(super) fetched: Arc<FetchedLists>,
    /// What was added to it.
    pub(super) added: LoadedAdditions,
    /// Returns memory after a flood.
    _memory: TaskGuard,
    /// Earlier configurations under which requests may be under way, oldest first.
    earlier: VecDeque<(u64, Weak<Dispatch>)>,
}

impl App {
    /// Starts everything with a state file that has been read: actors begin with what the last process knew. Returns once every
    /// listener is bound. Sockets that were passed in are used where they are those of the configuration.
    ///
    /// # Errors
    /// An address that cannot be bound, a provider whose client cannot be made.
    pub(super) async fn start(
        config: &Config,
        passed: &mut Passed,
        opened: Option<Opening>,
        added: LoadedAdditions,
        clock: Clock,
    ) -> Result<Self, StartError> {
        let endpoints = assemble::endpoints(config, None, clock)?;
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
        let admin = Arc::new(admin::state(
            config,
            added.additions.clone(),
            &api,
            &tree,
            clock,
            send,
        ));
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
            added,
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
        now.additions = self.added.additions.clone();
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
