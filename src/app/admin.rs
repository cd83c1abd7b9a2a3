//! The admin listener of a process: bound at the start or as soon as its address is free, kept until the very end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::error::{StartError, chain};
use crate::access::Clients;
use crate::actors::tree::Tree;
use crate::admin::{
    AdminConnectionInfo, AdminParts, AdminService, AdminState, CurrentConfig, LastReload, Mistake,
    ProcessCommand, Reloaded,
};
use crate::api::Api;
use crate::config::{self, Additions, Config, ConfigErrors, Listen, ServerConfig};
use crate::dispatch::Dispatch;
use crate::domain::connection::ConnectionPolicy;
use crate::listener::{
    Bind, Connections, Drain, DrainPhase, FileMode, Listener, Passed, ShutdownHandle, Tls, bind,
};
use crate::runtime::abort::Abort;
use crate::runtime::clock::Clock;
use crate::runtime::descriptors;
use crate::runtime::task::{self, TaskGuard};

/// Connections at the same time: a flood of requests elsewhere takes none of these.
const CONNECTIONS: usize = 256;
/// How often an address that is taken is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long streams of events get at the end to report the shutdown.
const ERROR_EVENT_GRACE: Duration = Duration::from_secs(1);

/// Its addresses, bound but for those that are taken.
pub(super) struct BoundAdmin {
    listeners: Vec<(Listener, bool)>,
    taken: Vec<Listen>,
    how: AdminListenOptions,
    settings: config::AdminConfig,
}

/// How many connections it has at the same time.
fn connections(server: &ServerConfig) -> usize {
    let fitting = descriptors::limit().map_or(usize::MAX, descriptors::for_operators);
    let most = server.listeners.connections.max_connections;
    most.min(CONNECTIONS).min(fitting)
}

/// How many of these may be streams of events, which last.
pub(super) fn streams(server: &ServerConfig) -> usize {
    (connections(server) / 4).max(1)
}

/// How its addresses are listened on.
#[derive(Clone)]
struct AdminListenOptions {
    connections: Connections,
    tls: Option<Arc<Tls>>,
    file: FileMode,
    /// A Unix socket of another process is taken over.
    reuse: bool,
}

impl AdminListenOptions {
    async fn bind(&self, listen: &Listen, passed: &mut Passed) -> io::Result<Listener> {
        // On this machine it stays plain: certificates are rarely made out to 127.0.0.1.
        let encrypted = matches!(listen, Listen::Tcp(_)) && !listen.is_local();
        let options = Bind {
            connections: &self.connections,
            tls: self.tls.as_ref().filter(|_| encrypted),
            file: &self.file,
            // Two processes behind one port would get each other's commands.
            reuse: self.reuse && matches!(listen, Listen::Unix(_)),
            passed,
        };
        bind(listen, options).await
    }
}

impl BoundAdmin {
    /// Binds what can be had. `tls` is that of the data listeners.
    pub(super) async fn new(
        server: &ServerConfig,
        passed: &mut Passed,
        tls: Option<Arc<Tls>>,
    ) -> Result<Self, StartError> {
        let listeners = &server.listeners;
        let policy = listeners.connections;
        let how = AdminListenOptions {
            connections: Connections::new(ConnectionPolicy {
                max_connections: connections(server),
                ..policy
            }),
            tls,
            file: FileMode {
                mode: listeners.unix.mode,
                owner: listeners.unix.owner.clone(),
                group: listeners.unix.group.clone(),
            },
            reuse: listeners.reuse_port,
        };
        let settings = server.admin.clone();
        // Where a process follows another one, the old one has the address still.
        let patient = !settings.named || listeners.reuse_port;
        let (mut bound, mut taken) = (Vec::new(), Vec::new());
        for listen in &settings.listen {
            match how.bind(listen, passed).await {
                Ok(listener) => bound.push((listener, is_unix(listen))),
                Err(error) if patient && error.kind() == io::ErrorKind::AddrInUse => {
                    taken.push(listen.clone());
                }
                Err(source) => {
                    let address = listen.to_string();
                    return Err(StartError::Bind { address, source });
                }
            }
        }
        Ok(Self {
            listeners: bound,
            taken,
            how,
            settings,
        })
    }

    /// Serves, and goes on trying to get what was taken.
    pub(super) fn serve(self, admin: &Arc<AdminState>) -> RunningAdmin {
        let (drain, shutdown) = Drain::new();
        for (listener, unix) in self.listeners {
            serve(listener, unix, admin, &shutdown);
        }
        let late = self.taken.into_iter().map(|listen| {
            let address = listen.to_string();
            tracing::warn!(
                address,
                "the address of the admin listener is taken by another process: going on without until it is free"
            );
            let (how, admin, shutdown) = (self.how.clone(), Arc::clone(admin), shutdown.clone());
            task::guarded(async move {
                let listener = loop {
                    tokio::time::sleep(AGAIN).await;
                    if let Ok(listener) = how.bind(&listen, &mut Passed::default()).await {
                        break listener;
                    }
                };
                serve(listener, is_unix(&listen), &admin, &shutdown);
            })
        });
        RunningAdmin {
            late: late.collect(),
            drain,
            settings: self.settings,
        }
    }
}

fn is_unix(listen: &Listen) -> bool {
    matches!(listen, Listen::Unix(_))
}

fn serve(listener: Listener, unix: bool, admin: &Arc<AdminState>, shutdown: &ShutdownHandle) {
    let address = listener.address();
    let tls = listener.is_encrypted();
    tracing::info!(address, tls, listener = "admin", "listening");
    let entrance = AdminConnectionInfo {
        unix,
        encrypted: tls,
    };
    let front = AdminService::new(Arc::clone(admin), entrance);
    task::detach(listener.serve(front, shutdown.clone()));
}

/// The admin listener that serves.
pub(super) struct RunningAdmin {
    late: Vec<TaskGuard>,
    drain: Drain,
    settings: config::AdminConfig,
}

impl RunningAdmin {
    /// What is known from now on under this configuration, and whether something of it takes a restart.
    pub(super) fn reload(
        &self,
        config: &Config,
        before: &CurrentConfig,
        dispatch: &Dispatch,
    ) -> (CurrentConfig, bool) {
        let mut now = now(config, dispatch);
        let moved = config.server.admin.listen != self.settings.listen;
        if moved && now.tokens.is_empty() {
            // Whether it may do without one was judged by other addresses than those where it is.
            now.tokens.clone_from(&before.tokens);
        }
        now.hosts.extend(hosts(&self.settings));
        (now, moved)
    }

    /// The end: nothing is taken any more, and streams end.
    pub(super) async fn end(&mut self, admin: &AdminState) {
        self.late.clear();
        admin.abort.halt();
        self.drain.advance(DrainPhase::Closed);
        let emptied = self.drain.emptied();
        if tokio::time::timeout(ERROR_EVENT_GRACE, emptied)
            .await
            .is_err()
        {
            self.drain.advance(DrainPhase::Cut);
        }
    }
}

/// What the admin listener knows at the start.
pub(super) fn state(
    config: &Config,
    additions: Additions,
    api: &Arc<Api>,
    tree: &Tree,
    clock: Clock,
    commands: mpsc::Sender<ProcessCommand>,
) -> AdminState {
    let serving = api.serving();
    let mut known = now(config, &serving.dispatch);
    known.additions = additions;
    known.clients = serving
        .clients
        .as_ref()
        .map(Clients::all)
        .unwrap_or_default();
    let (door, api) = (api.admission.clone(), Arc::clone(api));
    AdminState::new(AdminParts {
        now: known,
        clock,
        abort: Abort::default(),
        dispatcher: tree.client().clone(),
        operator: tree.operator(),
        recorder: Arc::clone(&serving.dispatch.recorder),
        commands,
        in_flight: Box::new(move || door.inside()),
        dispatch: Box::new(move || Arc::clone(&api.serving().dispatch)),
    })
    .with_streams(streams(&config.server))
}

/// What the admin listener needs of this configuration. From now on the history counts its targets separately.
pub(super) fn now(config: &Config, dispatch: &Dispatch) -> CurrentConfig {
    let virtuals = config.targets.chains();
    let virtuals = virtuals.map(|chain| (&*chain.target, &chain.upstreams[..]));
    let others = config.targets.named_chains();
    let others = others.map(|(name, chain)| (name, &chain.upstreams[..]));
    dispatch.recorder.history().follow(virtuals.chain(others));
    CurrentConfig {
        generation: dispatch.generation,
        targets: Arc::clone(&config.targets),
        clients: Vec::new(),
        files: config
            .files
            .iter()
            .map(|file| file.display().to_string())
            .collect(),
        tokens: config.server.admin.tokens.clone(),
        hosts: hosts(&config.server.admin)
            .into_iter()
            .chain(config.server.pages.hosts.iter().cloned())
            .collect(),
        rules: config.server.additions.clone(),
        additions: Additions::default(),
        placed: config.additions.clone(),
        keeps: config.state_path.is_some(),
    }
}

/// Names in its addresses.
fn hosts(admin: &config::AdminConfig) -> Vec<String> {
    let names = admin.listen.iter().filter_map(Listen::name);
    names.map(str::to_owned).collect()
}

/// The mistakes of a configuration one by one.
pub(super) fn mistakes(errors: &ConfigErrors) -> Vec<Mistake> {
    match errors {
        ConfigErrors::NothingConfigured { .. } => vec![mistake(errors)],
        ConfigErrors::Invalid { problems, .. } => problems
            .iter()
            .map(|problem| Mistake {
                place: problem.place.clone(),
                message: problem.message.clone(),
                suggestion: problem.suggestion.clone(),
            })
            .collect(),
    }
}

/// What keeps a valid configuration from being taken over.
pub(super) fn mistake(error: &dyn std::error::Error) -> Mistake {
    Mistake {
        place: String::new(),
        message: config::masked(&chain(error)),
        suggestion: None,
    }
}

/// Gives the admin listener the result of a reload.
pub(super) fn told(admin: &AdminState, trigger: &'static str, reloaded: &Reloaded) {
    admin.reloaded(LastReload {
        at: admin.clock().now(),
        trigger,
        reloaded: reloaded.clone(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_a_configuration_from_being_taken_over_shows_no_key() {
        let cause = std::io::Error::other("cannot read sk-live-abcdefghijklmnopqrstuvwx0123");
        let shown = mistake(&cause).message;
        assert!(
            !shown.contains("abcdefgh") && shown.contains("cannot read"),
            "{shown}"
        );
    }
}
