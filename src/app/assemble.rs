//! From a configuration to the parts that run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::access;
use super::error::StartError;
use super::model_entries;
use crate::access::Clients;
use crate::actors::fault_hook::FaultHook;
use crate::actors::latency_status::DECAY;
use crate::actors::spec::{ProviderSpec, RestoredKey, RestoredProvider, TreeSpec};
use crate::actors::tree::TreeClient;
use crate::affinity::Affinity;
use crate::api::Serving;
use crate::budgets::Budgets;
use crate::config::hosts;
use crate::config::{self, Config, ProviderConfig};
use crate::dispatch::{
    Continuation, Dispatch, Endpoint, HedgeController, NativeOperations, OutputLimits,
    RoutingState, TokenFailures,
};
use crate::domain::dialect::Operation;
use crate::domain::hash_map::HashMap;
use crate::domain::ids::{ModelName, ProviderName};
use crate::domain::limits::RetryBudgetPolicy;
use crate::domain::price::PriceBook;
use crate::domain::restart::RestartPolicy;
use crate::domain::secret::ApiKey;
use crate::runtime::abort::Abort;
use crate::runtime::buffers::Buffers;
use crate::runtime::clock::Clock;
use crate::runtime::spool::SpoolLimits;
use crate::store::{Fingerprinter, StateSnapshot};
use crate::telemetry::recorder::Recorder;
use crate::upstream::Transport;
use crate::upstream::dns::{DnsCache, DnsPolicy};
use crate::upstream::echo::EchoUpstream;
use crate::upstream::http_client::HttpUpstream;
use crate::upstream::mock::Mocked;
use crate::wire::{classify, key_forms, redact};

/// The endpoints of all providers. Those of `before` whose calls go the same way keep their connections.
pub(super) fn endpoints(
    config: &Config,
    before: Option<(&Config, &Dispatch)>,
    clock: Clock,
) -> Result<HashMap<ProviderName, Arc<Endpoint>>, StartError> {
    let config::DnsConfig {
        ttl,
        negative_ttl,
        max_stale,
    } = config.server.dns;
    let dns = DnsCache::new(DnsPolicy {
        ttl,
        negative_ttl,
        max_stale,
    });
    // Clients keep the resolver that they were made with, so a change of `dns` makes all of them anew.
    let before = before.filter(|(before, _)| before.server.dns == config.server.dns);
    let server = &config.server;
    // Another word on it takes a restart.
    let propagates = before.map_or(config.telemetry.traces.propagates, |(_, dispatch)| {
        dispatch.recorder.propagates()
    });
    let mut endpoints = HashMap::default();
    for provider in &config.providers {
        // Connections are kept where the calls go the same way.
        let kept = before.and_then(|(config, dispatch)| {
            let same = |other: &&ProviderConfig| {
                other.name == provider.name && is_same_way(other, provider)
            };
            let other = config.providers.iter().find(same)?;
            let endpoint = dispatch.endpoints.get(&provider.name)?;
            Some((other, endpoint))
        });
        let access = match kept {
            Some((other, endpoint)) if access::is_same(other, provider) => endpoint.access.clone(),
            _ => access::of(provider, &dns, clock)?,
        };
        let made = match kept {
            Some((_, endpoint)) => endpoint_of(
                provider,
                server,
                (
                    Arc::clone(&endpoint.transport),
                    endpoint
                        .prefill
                        .as_ref()
                        .and_then(|prefill| prefill.transport.clone()),
                ),
            ),
            None => endpoint_of(provider, server, wires(provider, &dns, clock)?),
        };
        let made = Endpoint {
            trace_context: provider.trace_context && propagates,
            access,
            ..made
        };
        endpoints.insert(provider.name.clone(), Arc::new(made));
    }
    Ok(endpoints)
}

fn is_same_way(one: &ProviderConfig, other: &ProviderConfig) -> bool {
    endpoint(one) == endpoint(other)
        && one.prefill_url == other.prefill_url
        && one.prefill.is_some() == other.prefill.is_some()
        && one.timeouts.connect == other.timeouts.connect
        && one.proxy == other.proxy
        && one.query == other.query
        && one.authorities == other.authorities
        && one.allow_link_local == other.allow_link_local
        && one.mock == other.mock
}

/// Where a provider's calls go, in one text.
fn endpoint(provider: &ProviderConfig) -> String {
    let chat_url = provider.chat_url.as_deref().unwrap_or_default();
    format!("{} {} {chat_url}", provider.dialect.id(), provider.base_url)
}

/// Where calls go, and where continuations go when that is elsewhere.
type Transports = (Arc<dyn Transport>, Option<Arc<dyn Transport>>);

fn wires(
    provider: &ProviderConfig,
    dns: &DnsCache,
    clock: Clock,
) -> Result<Transports, StartError> {
    let name = provider.name.as_str();
    let way = access::way_of(provider, dns);
    let dialect = provider.dialect;
    let paths: Vec<&'static str> = Operation::ALL
        .into_iter()
        .filter(|operation| operation.has_fixed_path())
        .filter_map(|operation| dialect.path(operation))
        .collect();
    let http = |base_url: &str, full_url: Option<&str>| {
        let elsewhere = full_url.map(|url| (dialect.full_path(), url));
        let http = HttpUpstream::new(base_url, &paths, elsewhere, &way)
            .and_then(|http| http.with_query(&provider.query));
        let http = http.map_err(|source| StartError::Provider {
            name: name.to_owned(),
            source,
        })?;
        if !http.trusts() {
            tracing::warn!(
                provider = name,
                "no certificate authorities are known on this machine, so calls to this provider over https fail: \
                 install the package ca-certificates, name a bundle in SSL_CERT_FILE, or set ca_file"
            );
        }
        Ok::<_, StartError>(mocked(http, provider))
    };
    let wire = if dialect.is_remote() {
        http(&provider.base_url, provider.chat_url.as_deref())?
    } else {
        mocked(EchoUpstream::new(name, clock), provider)
    };
    let prefill_url = provider.prefill_url.as_deref();
    let prefill = prefill_url.map(|url| http(url, None)).transpose()?;
    Ok((wire, prefill))
}

fn endpoint_of(
    provider: &ProviderConfig,
    server: &config::ServerConfig,
    (wire, prefill): Transports,
) -> Endpoint {
    let prefill = provider.prefill.map(|form| Continuation {
        form,
        transport: prefill,
    });
    let headers = provider.headers.iter().filter_map(|(name, value)| {
        // Validation has accepted the value.
        let mut value = HeaderValue::from_str(value.expose()).ok()?;
        value.set_sensitive(true);
        Some((HeaderName::try_from(name).ok()?, value))
    });
    let kind = hosts::kind_of(&provider.kind, provider.name.as_str(), &provider.base_url);
    let kind = match provider.dialect.maker() {
        // Whoever speaks a maker's dialect fails in its words.
        maker if kind.is_empty() && classify::knows(maker) => maker,
        _ => kind,
    };
    Endpoint {
        kind: kind.to_owned(),
        dialect: provider.dialect,
        transport: wire,
        headers: headers.collect::<HeaderMap>(),
        credentials: credentials_of(provider).into(),
        params: provider.params.clone(),
        context_window: provider.context_window,
        max_answer: server.max_answer,
        max_event: server.max_event,
        timeouts: provider.timeouts,
        retry: Arc::new(provider.retry.clone()),
        trace_context: provider.trace_context,
        forward_user_agent: provider.forward_user_agent,
        auth: provider.auth,
        access: None,
        prefill,
        unsupported: provider.unsupported,
        native: NativeOperations::new(provider.responses),
        output_limits: OutputLimits::default(),
        tokens: TokenFailures::default(),
        passthrough: provider.passthrough,
        fetch: provider.fetch,
        base_priority: provider.base_priority,
        data_policy: provider.data_policy,
        capabilities: provider.capabilities,
        tags: provider.tags.clone(),
    }
}

/// The credentials in a provider's URLs: values of its query that look or are named like one, and what its proxy asks for.
fn credentials_of(provider: &ProviderConfig) -> Vec<ApiKey> {
    let mut all = access::secrets(provider);
    let mut add = |text: &str| {
        all.push(ApiKey::new(text));
        all.extend(redact::unescaped(text).map(ApiKey::new));
    };
    let urls = [
        provider.chat_url.as_deref(),
        Some(provider.base_url.as_str()),
    ];
    for query in urls
        .into_iter()
        .flatten()
        .filter_map(|url| url.split_once('?'))
    {
        for (name, value) in query.1.split('&').filter_map(|pair| pair.split_once('=')) {
            if redact::names_a_credential(name) || key_forms::looks_like_key(value) {
                add(value);
            }
        }
    }
    for (name, value) in &provider.query {
        if redact::names_a_credential(name) || key_forms::looks_like_key(value.expose()) {
            add(value.expose());
        }
    }
    if let Some(config::ProxyConfig::Url(url)) = &provider.proxy {
        let rest = url.expose().split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split('/').next().unwrap_or_default();
        if let Some((user, _)) = authority.rsplit_once('@') {
            add(user.split_once(':').map_or(user, |(_, password)| password));
        }
    }
    all
}

fn mocked(upstream: impl Transport + 'static, provider: &ProviderConfig) -> Arc<dyn Transport> {
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

/// The restored state of the configured providers and keys, and the fingerprints by which it names them.
pub(super) fn restored(
    config: &Config,
    marker: &Fingerprinter,
    book: &StateSnapshot,
) -> BTreeMap<ProviderName, RestoredProvider> {
    let providers = config.providers.iter().map(|provider| {
        let home = endpoint(provider);
        let fingerprint = marker.provider(&provider.name, &home);
        let page = book.provider(fingerprint);
        let keys = provider.keys.iter().map(|key| {
            let fingerprint = marker.key(&provider.name, &home, key.material.as_ref());
            let page = book.key(fingerprint);
            RestoredKey {
                fingerprint,
                persisted: page.map(|page| page.persisted.clone()).unwrap_or_default(),
                limits: page.map(|page| page.limits.to_vec()).unwrap_or_default(),
            }
        });
        let recall = RestoredProvider {
            fingerprint,
            persisted: page.map(|page| page.persisted.clone()).unwrap_or_default(),
            keys: keys.collect(),
        };
        (provider.name.clone(), recall)
    });
    providers.collect()
}

/// What the tree is made from. `oldest` is the oldest configuration under which requests are under way.
pub(super) fn tree_spec(
    config: &Config,
    recall: BTreeMap<ProviderName, RestoredProvider>,
    generation: u64,
    oldest: u64,
    clock: Clock,
) -> TreeSpec {
    let retry_budget: RetryBudgetPolicy = config.dispatch.retry_budget;
    let providers = config.providers.iter().map(|provider| ProviderSpec {
        name: provider.name.clone(),
        endpoint: endpoint(provider),
        keys: provider
            .keys
            .iter()
            .map(|key| key.material.clone())
            .collect(),
        accounts: provider
            .keys
            .iter()
            .map(|key| key.account.clone())
            .collect(),
        rotation: provider.key_rotation,
        models: named(config, &provider.name),
        latency_decay: latency_decay(config),
        limits: provider.limits,
        cooldown: provider.cooldown,
        breaker: provider.breaker,
        retry_budget,
    });
    TreeSpec {
        generation,
        oldest,
        providers: providers.collect(),
        restored: recall,
        max_waiting: config.dispatch.max_waiting,
        restart: RestartPolicy::default(),
        fleet: None,
        clock,
        fault_hook: FaultHook::default(),
    }
}

/// What every configuration of a process shares.
#[derive(Clone, Copy)]
pub(super) struct ProcessParts<'a> {
    pub(super) clock: Clock,
    pub(super) abort: &'a Abort,
    pub(super) recorder: &'a Arc<Recorder>,
}

/// What requests share under this configuration.
pub(super) fn dispatch(
    config: &Config,
    generation: u64,
    dispatcher: TreeClient,
    endpoints: HashMap<ProviderName, Arc<Endpoint>>,
    before: Option<&Dispatch>,
    process: ProcessParts<'_>,
) -> Dispatch {
    let ProcessParts {
        clock,
        abort,
        recorder,
    } = process;
    let known = before.and_then(|before| before.hedge_controller.as_ref());
    let providers = config.providers.iter();
    let priced = providers.map(|provider| (provider.name.clone(), provider.prices.clone()));
    let cache = super::caching::of(config, &endpoints, before, endpoint);
    Dispatch {
        routing: routing_state(config, before),
        generation,
        tree: dispatcher,
        targets: Arc::clone(&config.targets),
        endpoints,
        policy: config.dispatch,
        hedge_controller: config.policies.hedge().then(|| {
            let policy = config.dispatch.hedge.unwrap_or_default();
            HedgeController::new(policy, known)
        }),
        cache,
        catalog: config.known.clone(),
        policies: config.policies.clone(),
        clock,
        abort: abort.clone(),
        recorder: Arc::clone(recorder),
        affinity: match before {
            Some(before) => before.affinity.clone(),
            None => Affinity::start(),
        },
        prices: PriceBook::new(priced, config.known.clone()),
        budgets: match before {
            Some(before) => before.budgets.clone(),
            None => {
                let budgets = Budgets::start();
                budgets.configure(config.budgets.clone(), unix(clock));
                budgets
            }
        },
        assume_output: config.assume_output,
        cost_watch: before.map_or_else(Default::default, |before| Arc::clone(&before.cost_watch)),
        buffers: match before {
            Some(before) => before.buffers.clone(),
            None => {
                let buffers = Buffers::new(config.server.max_buffered);
                buffers.on_disk().resize(config.server.max_spooled);
                buffers
            }
        },
    }
}

/// What ranking counts, which goes on where it was counted before.
fn routing_state(config: &Config, before: Option<&Dispatch>) -> RoutingState {
    let mut all = config.providers.iter();
    let listed = config.known.as_ref();
    let knows = all.any(|provider| !provider.capabilities.is_empty())
        || listed.is_some_and(|catalog| !catalog.is_empty());
    let counted = before.map(|before| &before.routing);
    let rotations = config.providers.iter();
    let rotations = rotations.map(|provider| (&provider.name, provider.key_rotation));
    RoutingState::new(&config.targets, knows, counted).with_keys(rotations)
}

/// The decay of averages of latencies: the shortest that a policy asks for.
fn latency_decay(config: &Config) -> Duration {
    let policies = config.virtuals.iter().map(|entry| &entry.policy);
    policies
        .filter_map(|policy| policy.decay())
        .min()
        .unwrap_or(DECAY)
}

/// The present moment, in seconds since 1970.
pub(super) fn unix(clock: Clock) -> i64 {
    i64::try_from(clock.anchor().wall.as_secs()).unwrap_or(i64::MAX)
}

/// The models of a provider that the configuration names.
fn named(config: &Config, provider: &ProviderName) -> Vec<ModelName> {
    // What is only discovered may be thousands of models.
    let lines = config
        .targets
        .listed()
        .iter()
        .filter(|line| !line.discovered);
    let upstreams = lines.flat_map(|line| &line.chain.upstreams);
    let upstreams = upstreams.filter(|upstream| upstream.provider == *provider);
    let models: BTreeSet<_> = upstreams.map(|upstream| &upstream.model).collect();
    models.into_iter().cloned().collect()
}

/// The configured clients; those that were there before keep their counts.
pub(super) fn clients(config: &Config, before: Option<&Clients>) -> Option<Clients> {
    let clients = config.clients.iter();
    let clients = clients.map(|client| (client.policy.clone(), &client.tokens[..]));
    (!config.clients.is_empty()).then(|| Clients::new(clients, before))
}

/// What the data listener needs to know of this configuration.
pub(super) fn serving(config: &Config, dispatch: Dispatch, clients: Option<Clients>) -> Serving {
    let keepalive = config.server.stream_keepalive;
    let now = unix(dispatch.clock);
    dispatch.budgets.configure(config.budgets.clone(), now);
    let listed = config.targets.listed().iter();
    let upstreams = listed.flat_map(|line| &line.chain.upstreams);
    dispatch.recorder.totals().follow(upstreams);
    Serving {
        dispatch: Arc::new(dispatch),
        clients,
        pages: assembled_pages(config),
        max_body: config.server.max_body,
        spool: SpoolLimits {
            memory: config.server.spool,
            whole: u64::try_from(config.server.max_upload).unwrap_or(u64::MAX),
            moving: SpoolLimits::MOVING,
        },
        body_timeout: config.server.listeners.connections.body,
        stream_keepalive: Some(keepalive).filter(|every| !every.is_zero()),
        providers: model_entries::providers(config),
        models: model_entries::of(config),
    }
}

/// Names of addresses to listen on are names of this process.
fn assembled_pages(config: &Config) -> config::Pages {
    let mut pages = config.server.pages.clone();
    let names = config.server.listen.iter().filter_map(config::Listen::name);
    pages.hosts.extend(names.map(str::to_owned));
    pages
}
