//! The wiring: from a configuration to a running process and back down.
//!
//! Up: tree, dispatch, listeners. Down, on a signal: not ready, no new connections, what is under way gets
//! its time, then the rest.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::actors::chaos::Chaos;
use crate::actors::tree::{ProviderSpec, Tree, TreeSpec};
use crate::api::connection::Listener;
use crate::api::{self, Api, Door, Shutdown};
use crate::config::{Config, Listen, Provider, Server};
use crate::dispatch::{Continuation, Dispatch, Endpoint, Hedger};
use crate::domain::dialect::Dialect;
use crate::domain::limits::RetryBudgetPolicy;
use crate::domain::restart::RestartPolicy;
use crate::runtime::clock::Clock;
use crate::runtime::task;
use crate::upstream::Upstream;
use crate::upstream::echo::EchoUpstream;
use crate::upstream::http_client::{ClientError, HttpUpstream};
use crate::upstream::mock::Mocked;
use crate::wire::openai::models::ModelEntry;

/// Why the process cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address that cannot be bound.
    #[error("cannot listen on {address}: is another process using it?")]
    Bind {
        /// As configured.
        address: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// A provider whose client cannot be made.
    #[error("provider `{name}` cannot be set up")]
    Provider {
        /// Which.
        name: String,
        /// Why.
        source: ClientError,
    },
    /// No signal handlers, so no orderly end.
    #[error("cannot watch for signals")]
    Signals(#[source] io::Error),
}

/// An error and all its causes in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}

/// A process that serves in the background until told to stop. Tests start one of their own.
pub struct App {
    api: Arc<Api>,
    addresses: Vec<String>,
    stop: watch::Sender<bool>,
    connections: std::sync::Weak<()>,
    _tree: Tree,
}

impl App {
    /// Brings everything up; returns once every listener is bound.
    ///
    /// # Errors
    /// An address that cannot be bound, a provider whose client cannot be made.
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        let clock = Clock::start();
        let mut endpoints = HashMap::new();
        for provider in &config.providers {
            endpoints.insert(provider.name.clone(), Arc::new(endpoint(provider, clock)?));
        }
        let tree = Tree::start(tree_spec(config, clock)).await;
        let dispatch = Arc::new(Dispatch {
            dispatcher: tree.dispatcher().clone(),
            targets: Arc::clone(&config.targets),
            endpoints,
            policy: config.dispatch,
            hedger: hedger(config),
            rescues: config.rescues.clone().into_iter().collect(),
            clock,
        });
        let api = Arc::new(Api {
            dispatch,
            door: Door::new(config.server.max_in_flight),
            max_body: config.server.max_body,
            stream_keepalive: Some(config.server.stream_keepalive).filter(|every| !every.is_zero()),
            models: models(config),
            shutdown: Shutdown::default(),
        });
        let (stop, stopped) = watch::channel(false);
        let alive = Arc::new(());
        let connections = Arc::downgrade(&alive);
        let mut addresses = Vec::new();
        let front = api::Front::new(Arc::clone(&api));
        for listen in &config.server.listen {
            let listener = bind(listen).await?;
            let address = listener.address();
            tracing::info!(address, "listening");
            addresses.push(address);
            task::detach(listener.serve(front.clone(), stopped.clone(), Arc::clone(&alive)));
        }
        Ok(Self {
            api,
            addresses,
            stop,
            connections,
            _tree: tree,
        })
    }

    /// The real addresses of the listeners.
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// Readiness turns 503; requests are still taken.
    pub fn drain(&self) {
        self.api.drain();
    }

    /// Listeners close, new requests are refused; completes when the last connection has ended, which may
    /// be never.
    pub async fn stop(&self) {
        self.api.close();
        let _ = self.stop.send(true);
        // Connections count themselves; nothing else tells when the last one is gone.
        while self.connections.strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Serves until a signal says stop, then ends in order. A second signal ends at once.
///
/// # Errors
/// Whatever keeps the process from starting.
pub async fn run(config: &Config) -> Result<(), StartError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(StartError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(StartError::Signals)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(StartError::Signals)?;
    let app = App::start(config).await?;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {
                tracing::warn!("SIGHUP: this version does not reload its configuration; restart it");
            }
        }
    }
    let Server {
        drain_delay,
        drain_timeout,
        ..
    } = config.server;
    tracing::info!(
        delay_seconds = drain_delay.as_secs_f64(),
        timeout_seconds = drain_timeout.as_secs_f64(),
        "draining"
    );
    app.drain();
    let ending = async {
        tokio::time::sleep(drain_delay).await;
        if tokio::time::timeout(drain_timeout, app.stop())
            .await
            .is_err()
        {
            tracing::warn!("requests were still under way when the drain timeout passed");
        }
    };
    tokio::select! {
        () = ending => tracing::info!("stopped"),
        _ = terminate.recv() => tracing::warn!("second signal: stopped at once"),
        _ = interrupt.recv() => tracing::warn!("second signal: stopped at once"),
    }
    Ok(())
}

/// It learns of every upstream that the configuration names.
fn hedger(config: &Config) -> Option<Hedger> {
    let lines = config.targets.listed().iter();
    let upstreams = lines.flat_map(|line| line.chain.upstreams.iter().cloned());
    Some(Hedger::new(config.dispatch.hedge?, upstreams))
}

async fn bind(listen: &Listen) -> Result<Listener, StartError> {
    let bound = match listen {
        Listen::Tcp(address) => Listener::tcp(address).await,
        Listen::Unix(path) => Listener::unix(path).await,
    };
    bound.map_err(|source| StartError::Bind {
        address: listen.to_string(),
        source,
    })
}

fn endpoint(provider: &Provider, clock: Clock) -> Result<Endpoint, StartError> {
    let name = provider.name.as_str();
    let http = |base_url: &str, chat_url: Option<&str>| {
        let http = HttpUpstream::new(base_url, chat_url, provider.timeouts.connect);
        let http = http.map_err(|source| StartError::Provider {
            name: name.to_owned(),
            source,
        })?;
        Ok::<_, StartError>(mocked(http, provider))
    };
    let wire: Arc<dyn Upstream> = match provider.dialect {
        Dialect::Echo => mocked(EchoUpstream::new(name, clock), provider),
        Dialect::OpenAi => http(&provider.base_url, provider.chat_url.as_deref())?,
    };
    let prefill_url = provider.prefill_url.as_deref();
    let prefill_wire = prefill_url.map(|url| http(url, None)).transpose()?;
    let prefill = provider.prefill.map(|form| Continuation {
        form,
        wire: prefill_wire,
    });
    let headers = provider.headers.iter().filter_map(|(name, value)| {
        // Legal by validation.
        let mut value = HeaderValue::try_from(value).ok()?;
        value.set_sensitive(true);
        Some((HeaderName::try_from(name).ok()?, value))
    });
    Ok(Endpoint {
        kind: provider.kind.clone(),
        wire,
        headers: headers.collect::<HeaderMap>(),
        params: provider.params.clone(),
        context_window: provider.context_window,
        timeouts: provider.timeouts,
        retry: Arc::new(provider.retry.clone()),
        prefill,
    })
}

fn mocked(upstream: impl Upstream + 'static, provider: &Provider) -> Arc<dyn Upstream> {
    let mock = provider.mock;
    if mock.failure_rate <= 0.0 && mock.latency.is_zero() {
        return Arc::new(upstream);
    }
    let seed = mock.seed.unwrap_or_else(|| fastrand::u64(..));
    let name = provider.name.as_str();
    Arc::new(Mocked::new(
        upstream,
        name,
        mock.failure_rate,
        mock.latency,
        seed,
    ))
}

fn tree_spec(config: &Config, clock: Clock) -> TreeSpec {
    let retry_budget: RetryBudgetPolicy = config.dispatch.retry_budget;
    let providers = config.providers.iter().map(|provider| ProviderSpec {
        name: provider.name.clone(),
        keys: provider
            .keys
            .iter()
            .map(|key| key.material.clone())
            .collect(),
        rotation: provider.key_rotation,
        limits: provider.limits,
        cooldown: provider.cooldown,
        breaker: provider.breaker,
        retry_budget,
    });
    TreeSpec {
        providers: providers.collect(),
        max_waiting: config.dispatch.max_waiting,
        restart: RestartPolicy::default(),
        clock,
        chaos: Chaos::default(),
    }
}

/// Everything that may be asked for by name, in OpenAI's list.
fn models(config: &Config) -> Vec<ModelEntry> {
    let listed = config.targets.listed().iter().map(|listed| {
        let mut extra = Map::new();
        if listed.provider.is_none() {
            let chain: Vec<String> = listed
                .chain
                .upstreams
                .iter()
                .map(ToString::to_string)
                .collect();
            extra.insert("upstreams".to_owned(), json!(chain));
        }
        ModelEntry {
            id: listed.id.to_string(),
            owned_by: listed
                .provider
                .as_ref()
                .map_or("pointsman".to_owned(), ToString::to_string),
            extra,
        }
    });
    listed.collect()
}
