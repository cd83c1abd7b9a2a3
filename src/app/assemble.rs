//! From a configuration to the parts that run.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, json};

use super::error::StartError;
use crate::access::Clients;
use crate::actors::chaos::Chaos;
use crate::actors::spec::{KeyRecall, ProviderSpec, Recall, TreeSpec};
use crate::actors::tree::Dispatcher;
use crate::api::Serving;
use crate::config::hosts;
use crate::config::{self, Config, Provider};
use crate::dispatch::{Continuation, Dispatch, Endpoint, Hedger, Pulses};
use crate::domain::dialect::Operation;
use crate::domain::ids::{ProviderName, Upstream as Target};
use crate::domain::limits::RetryBudgetPolicy;
use crate::domain::restart::RestartPolicy;
use crate::domain::secret::ApiKey;
use crate::runtime::buffers::Buffers;
use crate::runtime::clock::Clock;
use crate::runtime::halt::Halt;
use crate::store::{Book, Marker};
use crate::telemetry::recorder::Recorder;
use crate::upstream::Upstream;
use crate::upstream::dns::{Dns, Terms};
use crate::upstream::echo::EchoUpstream;
use crate::upstream::http_client::{HttpUpstream, Proxy, Way};
use crate::upstream::mock::Mocked;
use crate::wire::model_entry::ModelEntry;
use crate::wire::{key_forms, redact};

/// The endpoints of all providers. Those of `before` whose calls go the same way keep their connections.
pub(super) fn endpoints(
    config: &Config,
    before: Option<(&Config, &Dispatch)>,
    clock: Clock,
) -> Result<HashMap<ProviderName, Arc<Endpoint>>, StartError> {
    let config::Dns {
        ttl,
        negative_ttl,
        max_stale,
    } = config.server.dns;
    let dns = Dns::new(Terms {
        ttl,
        negative_ttl,
        max_stale,
    });
    let before = before.filter(|(before, _)| before.server.dns == config.server.dns);
    let server = &config.server;
    // Another word on it takes a restart.
    let propagates = before.map_or(config.telemetry.traces.propagates, |(_, dispatch)| {
        dispatch.recorder.propagates()
    });
    let mut endpoints = HashMap::new();
    for provider in &config.providers {
        let kept = before.and_then(|(config, dispatch)| {
            let same =
                |other: &&Provider| other.name == provider.name && is_same_way(other, provider);
            config.providers.iter().find(same)?;
            dispatch.endpoints.get(&provider.name)
        });
        let made = match kept {
            Some(endpoint) => endpoint_of(
                provider,
                server,
                (
                    Arc::clone(&endpoint.wire),
                    endpoint
                        .prefill
                        .as_ref()
                        .and_then(|prefill| prefill.wire.clone()),
                ),
            ),
            None => endpoint_of(provider, server, wires(provider, &dns, clock)?),
        };
        let made = Endpoint {
            trace_context: provider.trace_context && propagates,
            ..made
        };
        endpoints.insert(provider.name.clone(), Arc::new(made));
    }
    Ok(endpoints)
}

fn is_same_way(one: &Provider, other: &Provider) -> bool {
    home(one) == home(other)
        && one.prefill_url == other.prefill_url
        && one.prefill.is_some() == other.prefill.is_some()
        && one.timeouts.connect == other.timeouts.connect
        && one.proxy == other.proxy
        && one.authorities == other.authorities
        && one.allow_link_local == other.allow_link_local
        && one.mock == other.mock
}

/// Where a provider's calls go, in one text.
fn home(provider: &Provider) -> String {
    let chat_url = provider.chat_url.as_deref().unwrap_or_default();
    format!("{} {} {chat_url}", provider.dialect.id(), provider.base_url)
}

/// Where calls go, and where continuations go when that is elsewhere.
type Wires = (Arc<dyn Upstream>, Option<Arc<dyn Upstream>>);

fn wires(provider: &Provider, dns: &Dns, clock: Clock) -> Result<Wires, StartError> {
    let name = provider.name.as_str();
    let way = Way {
        connect: provider.timeouts.connect,
        dns,
        allow_link_local: provider.allow_link_local,
        proxy: match &provider.proxy {
            None | Some(config::Proxy::Off) => Proxy::Off,
            Some(config::Proxy::Environment) => Proxy::Environment,
            Some(config::Proxy::Url(url)) => Proxy::Url(url.expose()),
        },
        authorities: &provider.authorities,
    };
    let dialect = provider.dialect;
    let paths: Vec<&'static str> = Operation::ALL
        .into_iter()
        .filter_map(|operation| dialect.path(operation))
        .collect();
    let http = |base_url: &str, full_url: Option<&str>| {
        let elsewhere = full_url.map(|url| (dialect.full_path(), url));
        let http = HttpUpstream::new(base_url, &paths, elsewhere, &way);
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

fn endpoint_of(provider: &Provider, server: &config::Server, (wire, prefill): Wires) -> Endpoint {
    let prefill = provider.prefill.map(|form| Continuation {
        form,
        wire: prefill,
    });
    let headers = provider.headers.iter().filter_map(|(name, value)| {
        // Legal by validation.
        let mut value = HeaderValue::from_str(value.expose()).ok()?;
        value.set_sensitive(true);
        Some((HeaderName::try_from(name).ok()?, value))
    });
    Endpoint {
        kind: hosts::kind_of(&provider.kind, provider.name.as_str(), &provider.base_url).to_owned(),
        dialect: provider.dialect,
        wire,
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
        prefill,
    }
}

/// The credentials in a provider's URLs: values of its query that look or are named like one, and what its proxy asks for.
fn credentials_of(provider: &Provider) -> Vec<ApiKey> {
    let mut all = Vec::new();
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
    if let Some(config::Proxy::Url(url)) = &provider.proxy {
        let rest = url.expose().split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split('/').next().unwrap_or_default();
        if let Some((user, _)) = authority.rsplit_once('@') {
            add(user.split_once(':').map_or(user, |(_, password)| password));
        }
    }
    all
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

/// What `book` says of the configured providers and keys, and by which marks they are known in it.
pub(super) fn recall(
    config: &Config,
    marker: &Marker,
    book: &Book,
) -> BTreeMap<ProviderName, Recall> {
    let providers = config.providers.iter().map(|provider| {
        let home = home(provider);
        let mark = marker.provider(&provider.name, &home);
        let page = book.provider(mark);
        let keys = provider.keys.iter().map(|key| {
            let mark = marker.key(&provider.name, &home, key.material.as_ref());
            let page = book.key(mark);
            KeyRecall {
                mark,
                memory: page.map(|page| page.memory.clone()).unwrap_or_default(),
                limits: page.map(|page| page.limits.to_vec()).unwrap_or_default(),
            }
        });
        let recall = Recall {
            mark,
            memory: page.map(|page| page.memory.clone()).unwrap_or_default(),
            keys: keys.collect(),
        };
        (provider.name.clone(), recall)
    });
    providers.collect()
}

/// What the tree is made from. `oldest` is the oldest configuration under which requests are under way.
pub(super) fn tree_spec(
    config: &Config,
    recall: BTreeMap<ProviderName, Recall>,
    generation: u64,
    oldest: u64,
    clock: Clock,
) -> TreeSpec {
    let retry_budget: RetryBudgetPolicy = config.dispatch.retry_budget;
    let providers = config.providers.iter().map(|provider| ProviderSpec {
        name: provider.name.clone(),
        home: home(provider),
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
        generation,
        oldest,
        providers: providers.collect(),
        recall,
        max_waiting: config.dispatch.max_waiting,
        restart: RestartPolicy::default(),
        clock,
        chaos: Chaos::default(),
    }
}

/// Everything that may be asked for by name, in OpenAI's list.
/// What requests share under this configuration.
pub(super) fn dispatch(
    config: &Config,
    generation: u64,
    dispatcher: Dispatcher,
    endpoints: HashMap<ProviderName, Arc<Endpoint>>,
    before: Option<&Dispatch>,
    (clock, halt, recorder): (Clock, &Halt, &Arc<Recorder>),
) -> Dispatch {
    let known = before.and_then(|before| before.hedger.as_ref());
    Dispatch {
        generation,
        dispatcher,
        targets: Arc::clone(&config.targets),
        endpoints,
        policy: config.dispatch,
        hedger: config.policies.hedge().then(|| {
            let policy = config.dispatch.hedge.unwrap_or_default();
            Hedger::new(policy, named(config), known)
        }),
        pulses: Pulses::new(named(config), before.map(|before| &before.pulses)),
        policies: config.policies.clone(),
        clock,
        halt: halt.clone(),
        recorder: Arc::clone(recorder),
        buffers: match before {
            Some(before) => before.buffers.clone(),
            None => Buffers::new(config.server.max_buffered),
        },
    }
}

/// The upstreams that the configuration names.
fn named(config: &Config) -> impl Iterator<Item = Target> {
    let lines = config.targets.listed().iter();
    lines.flat_map(|line| line.chain.upstreams.iter().cloned())
}

/// Who may call; those that were there before keep their counts.
pub(super) fn clients(config: &Config, before: Option<&Clients>) -> Option<Clients> {
    let clients = config.clients.iter();
    let clients = clients.map(|client| (client.policy.clone(), &client.tokens[..]));
    (!config.clients.is_empty()).then(|| Clients::new(clients, before))
}

/// What the data listener needs to know of this configuration.
pub(super) fn serving(config: &Config, dispatch: Dispatch, clients: Option<Clients>) -> Serving {
    let keepalive = config.server.stream_keepalive;
    Serving {
        dispatch: Arc::new(dispatch),
        clients,
        pages: assembled_pages(config),
        max_body: config.server.max_body,
        body_timeout: config.server.listeners.connections.body,
        stream_keepalive: Some(keepalive).filter(|every| !every.is_zero()),
        models: models(config),
    }
}

/// Names of addresses to listen on are names of this process.
fn assembled_pages(config: &Config) -> config::Pages {
    let mut pages = config.server.pages.clone();
    let names = config.server.listen.iter().filter_map(config::Listen::name);
    pages.hosts.extend(names.map(str::to_owned));
    pages
}

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
