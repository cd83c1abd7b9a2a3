//! What may become a label: the targets, clients and upstreams that the configuration names. For each there is what
//! counts it, bound to its labels when it is first met, so that a record takes neither a lookup by labels nor a lock
//! around all of them. Whatever else callers name is counted as `other`.

use std::sync::{Arc, OnceLock};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, BoundHistogram};

use super::instruments::Instruments;
use super::observed::OTHER;
use crate::domain::attempt_record::AttemptReason;
use crate::domain::cost::CostKind;
use crate::domain::dialect::Operation;
use crate::domain::hash_map::HashMap;
use crate::domain::ids::{ProviderName, Upstream};
use crate::domain::outcome::Class;
use crate::domain::routing_note::AffinityOutcome;
use crate::telemetry::names;
use crate::telemetry::once_map::OnceMap;

/// The label for a missing name: no client was identified, or the target was not read.
const NONE: &str = "none";

/// What the configuration names.
#[derive(Clone, Debug, Default)]
pub struct ConfiguredNames {
    /// What may be asked for.
    pub targets: Vec<Arc<str>>,
    /// The configured clients.
    pub clients: Vec<Arc<str>>,
    /// The configured upstreams.
    pub upstreams: Vec<Upstream>,
    /// The labels of each provider.
    pub providers: HashMap<ProviderName, ProviderLabels>,
}

/// How the conventions call a provider.
#[derive(Clone, PartialEq, Debug)]
pub struct ProviderLabels {
    /// `gen_ai.provider.name`.
    pub name: Arc<str>,
    /// `server.address`: the host that its calls go to.
    pub address: Option<Arc<str>>,
}

/// What counts, by what is counted.
#[derive(Debug)]
pub(super) struct Tables {
    targets: HashMap<Arc<str>, usize>,
    /// Of requests, in the order of the targets' numbers.
    request_durations: Box<[OnceLock<BoundHistogram<f64>>]>,
    /// What is counted of those that are ranked, likewise.
    ranked: Box<[RankedTarget]>,
    clients: HashMap<Arc<str>, OfClient>,
    /// Requests without a client.
    nobody: OfClient,
    /// Requests of clients that are no longer configured.
    others: OfClient,
    /// Each with a number of its own, as the next two.
    upstreams: HashMap<Upstream, (usize, Arc<OfUpstream>)>,
    /// Models that callers made up, by provider.
    made_up: HashMap<ProviderName, (usize, Arc<OfUpstream>)>,
    unknown: (usize, Arc<OfUpstream>),
    pub(super) http: OnceMap<(Operation, Option<u16>, &'static str), BoundHistogram<f64>>,
}

/// Requests for one target that is ranked for each of them.
#[derive(Debug, Default)]
struct RankedTarget {
    places: OnceLock<BoundHistogram<u64>>,
    affinity: OnceMap<AffinityOutcome, BoundCounter<u64>>,
    failed_conditions: OnceLock<BoundCounter<u64>>,
}

/// Requests of one client, by target and outcome.
#[derive(Debug)]
struct OfClient {
    name: Arc<str>,
    /// In the order of the targets' numbers; there once the client has asked for something.
    requests: OnceLock<Box<[ByOutcome]>>,
    /// In the order of the upstreams' numbers; there once it has cost something.
    costs: OnceLock<Box<[ByKind]>>,
}

type ByKind = OnceMap<CostKind, BoundCounter<f64>>;

type ByOutcome = OnceMap<&'static str, BoundCounter<u64>>;

impl OfClient {
    fn new(name: &str) -> Self {
        Self {
            name: Arc::from(name),
            requests: OnceLock::new(),
            costs: OnceLock::new(),
        }
    }
}

/// The numbers of targets that are not the configuration's.
const UNNAMED: [&str; 2] = [NONE, OTHER];

/// Everything about the attempts at one upstream.
#[derive(Debug)]
pub(super) struct OfUpstream {
    labels: Labels,
    attempts: OnceMap<(Class, AttemptReason), BoundCounter<u64>>,
    durations: OnceMap<(Operation, Class), BoundHistogram<f64>>,
    first_chunks: OnceMap<Operation, BoundHistogram<f64>>,
    usage: OnceMap<(Operation, &'static str), BoundHistogram<u64>>,
    tokens: OnceMap<&'static str, BoundCounter<u64>>,
    per_token: OnceLock<BoundHistogram<f64>>,
}

#[derive(PartialEq, Debug)]
struct Labels {
    upstream: Arc<str>,
    model: Arc<str>,
    provider: Arc<str>,
    address: Option<Arc<str>>,
}

impl Tables {
    /// For what is named; upstreams that were there `before` go on as they are.
    pub(super) fn new(named: &ConfiguredNames, before: Option<&Self>) -> Self {
        let of_client = |name: &Arc<str>| (Arc::clone(name), OfClient::new(name));
        let other: Arc<str> = Arc::from(OTHER);
        let of_upstream = |(number, upstream): (usize, &Upstream)| {
            let provider = named.providers.get(&upstream.provider);
            let labels = Labels {
                upstream: Arc::from(upstream.to_string()),
                model: Arc::from(upstream.model.as_str()),
                provider: Arc::clone(provider.map_or(&other, |provider| &provider.name)),
                address: provider.and_then(|provider| provider.address.clone()),
            };
            let known = before.and_then(|before| before.upstreams.get(upstream));
            let known = known.filter(|(_, known)| known.labels == labels);
            let known = known.map(|(_, known)| Arc::clone(known));
            let table = known.unwrap_or_else(|| Arc::new(OfUpstream::new(labels)));
            (upstream.clone(), (number, table))
        };
        let first = named.upstreams.len();
        let of_provider = |(at, (name, provider)): (usize, (&ProviderName, &ProviderLabels))| {
            let labels = Labels {
                upstream: Arc::from(format!("{name}:{OTHER}")),
                model: Arc::clone(&other),
                provider: Arc::clone(&provider.name),
                address: provider.address.clone(),
            };
            let table = Arc::new(OfUpstream::new(labels));
            (name.clone(), (first + at, table))
        };
        let targets = named.targets.iter().enumerate();
        let unknown = Arc::new(OfUpstream::new(Labels {
            upstream: Arc::clone(&other),
            model: Arc::clone(&other),
            provider: Arc::clone(&other),
            address: None,
        }));
        Self {
            targets: targets
                .map(|(at, name)| (Arc::clone(name), UNNAMED.len() + at))
                .collect(),
            request_durations: (0..UNNAMED.len() + named.targets.len())
                .map(|_| OnceLock::new())
                .collect(),
            ranked: (0..UNNAMED.len() + named.targets.len())
                .map(|_| RankedTarget::default())
                .collect(),
            clients: named.clients.iter().map(of_client).collect(),
            nobody: OfClient::new(NONE),
            others: OfClient::new(OTHER),
            upstreams: named
                .upstreams
                .iter()
                .enumerate()
                .map(of_upstream)
                .collect(),
            made_up: named
                .providers
                .iter()
                .enumerate()
                .map(of_provider)
                .collect(),
            unknown: (first + named.providers.len(), unknown),
            http: OnceMap::default(),
        }
    }

    /// A target's number, and what it is called.
    fn target<'a>(&'a self, target: &str) -> (usize, &'a str) {
        match target {
            "" => (0, NONE),
            target => self
                .targets
                .get_key_value(target)
                .map_or((1, OTHER), |(name, number)| (*number, &**name)),
        }
    }

    /// Measures requests for `target`. There is a place for each number, so there always is one.
    pub(super) fn request_durations(
        &self,
        instruments: &Instruments,
        target: &str,
    ) -> Option<&BoundHistogram<f64>> {
        let (number, target) = self.target(target);
        let place = self.request_durations.get(number)?;
        let label = || KeyValue::new("target", target.to_owned());
        Some(place.get_or_init(|| instruments.request_durations.bind(&[label()])))
    }

    /// Takes the places at which requests for `target` are served.
    pub(super) fn ranked_places(
        &self,
        instruments: &Instruments,
        target: &str,
    ) -> Option<&BoundHistogram<u64>> {
        let (number, target) = self.target(target);
        let places = &self.ranked.get(number)?.places;
        let label = || KeyValue::new("target", target.to_owned());
        Some(places.get_or_init(|| instruments.ranked_places.bind(&[label()])))
    }

    /// Counts the upstreams of `target` whose expressions failed.
    pub(super) fn failed_conditions(
        &self,
        instruments: &Instruments,
        target: &str,
    ) -> Option<&BoundCounter<u64>> {
        let (number, target) = self.target(target);
        let count = &self.ranked.get(number)?.failed_conditions;
        let label = || KeyValue::new("target", target.to_owned());
        Some(count.get_or_init(|| instruments.failed_conditions.bind(&[label()])))
    }

    /// Counts a request of a conversation for `target`.
    pub(super) fn affinity(
        &self,
        instruments: &Instruments,
        target: &str,
        outcome: AffinityOutcome,
    ) -> Option<&BoundCounter<u64>> {
        let (number, target) = self.target(target);
        let counts = &self.ranked.get(number)?.affinity;
        Some(counts.get(outcome, || {
            let result = KeyValue::new("result", outcome.as_str());
            let target = KeyValue::new("target", target.to_owned());
            instruments.affinity.bind(&[result, target])
        }))
    }

    /// Counts a request of `client` for `target` that ended like this.
    pub(super) fn requests<'a>(
        &'a self,
        instruments: &'a Instruments,
        client: Option<&str>,
        target: &str,
        outcome: &'static str,
    ) -> &'a BoundCounter<u64> {
        let of_client = self.client(client);
        let (number, target) = self.target(target);
        let bags = of_client.requests.get_or_init(|| {
            let count = self.targets.len() + UNNAMED.len();
            (0..count).map(|_| OnceMap::default()).collect()
        });
        let make = || {
            instruments.requests.bind(&[
                KeyValue::new("client", Arc::clone(&of_client.name)),
                KeyValue::new("outcome", outcome),
                KeyValue::new("target", target.to_owned()),
            ])
        };
        match bags.get(number) {
            Some(bag) => bag.get(outcome, make),
            // There is a place for each number.
            None => instruments.stray.get_or_init(make),
        }
    }

    fn client(&self, client: Option<&str>) -> &OfClient {
        match client {
            None => &self.nobody,
            Some(name) => self.clients.get(name).unwrap_or(&self.others),
        }
    }

    /// What counts attempts at this upstream, and its number.
    pub(super) fn upstream(&self, upstream: &Upstream) -> (usize, &OfUpstream) {
        let named = self.upstreams.get(upstream);
        let made_up = || self.made_up.get(&upstream.provider);
        let (number, table) = named.or_else(made_up).unwrap_or(&self.unknown);
        (*number, table)
    }

    /// Counts what `client` paid for at an upstream. There is a place for each number, so there always is one.
    pub(super) fn costs(
        &self,
        instruments: &Instruments,
        client: Option<&str>,
        (number, upstream): (usize, &OfUpstream),
        kind: CostKind,
    ) -> Option<&BoundCounter<f64>> {
        let of_client = self.client(client);
        let bags = of_client.costs.get_or_init(|| {
            let count = self.unknown.0 + 1;
            (0..count).map(|_| OnceMap::default()).collect()
        });
        Some(bags.get(number)?.get(kind, || {
            instruments.cost.bind(&[
                KeyValue::new("client", Arc::clone(&of_client.name)),
                KeyValue::new("kind", kind.as_str()),
                upstream.name(),
            ])
        }))
    }
}

/// The direction of tokens in the convention.
pub(super) const INPUT: &str = "input";
/// The label of tokens in the answer.
pub(super) const OUTPUT: &str = "output";

impl OfUpstream {
    fn new(labels: Labels) -> Self {
        Self {
            labels,
            attempts: OnceMap::default(),
            durations: OnceMap::default(),
            first_chunks: OnceMap::default(),
            usage: OnceMap::default(),
            tokens: OnceMap::default(),
            per_token: OnceLock::new(),
        }
    }

    pub(super) fn attempts(
        &self,
        instruments: &Instruments,
        class: Class,
        why: AttemptReason,
    ) -> &BoundCounter<u64> {
        self.attempts.get((class, why), || {
            instruments.attempts.bind(&[
                KeyValue::new("outcome", class.as_str()),
                self.name(),
                KeyValue::new("attempt_reason", why.as_str()),
            ])
        })
    }

    pub(super) fn durations(
        &self,
        instruments: &Instruments,
        operation: Operation,
        class: Class,
    ) -> &BoundHistogram<f64> {
        self.durations.get((operation, class), || {
            let mut labels = self.convention(operation);
            // A call whose answer is no longer needed has not failed.
            if !matches!(class, Class::Success | Class::Cancelled) {
                labels.insert(0, KeyValue::new("error.type", class.as_str()));
            }
            instruments.durations.bind(&labels)
        })
    }

    pub(super) fn first_chunks(
        &self,
        instruments: &Instruments,
        operation: Operation,
    ) -> &BoundHistogram<f64> {
        self.first_chunks.get(operation, || {
            instruments.first_chunks.bind(&self.convention(operation))
        })
    }

    pub(super) fn usage(
        &self,
        instruments: &Instruments,
        operation: Operation,
        direction: &'static str,
    ) -> &BoundHistogram<u64> {
        self.usage.get((operation, direction), || {
            let mut labels = self.convention(operation);
            labels.retain(|label| label.key.as_str() != "server.address");
            labels.push(KeyValue::new("gen_ai.token.type", direction));
            instruments.usage.bind(&labels)
        })
    }

    pub(super) fn tokens(
        &self,
        instruments: &Instruments,
        kind: &'static str,
    ) -> &BoundCounter<u64> {
        self.tokens.get(kind, || {
            instruments
                .tokens
                .bind(&[KeyValue::new("type", kind), self.name()])
        })
    }

    pub(super) fn per_token(&self, instruments: &Instruments) -> &BoundHistogram<f64> {
        self.per_token
            .get_or_init(|| instruments.per_token.bind(&[self.name()]))
    }

    fn name(&self) -> KeyValue {
        KeyValue::new("upstream", Arc::clone(&self.labels.upstream))
    }

    /// The labels that the conventions name. In the order of the alphabet, as all labels here: the library keeps other
    /// orders a second time.
    fn convention(&self, operation: Operation) -> Vec<KeyValue> {
        let labels = &self.labels;
        let mut all = vec![
            KeyValue::new("gen_ai.operation.name", names::operation(operation)),
            KeyValue::new("gen_ai.provider.name", Arc::clone(&labels.provider)),
            KeyValue::new("gen_ai.request.model", Arc::clone(&labels.model)),
        ];
        if let Some(address) = &labels.address {
            all.push(KeyValue::new("server.address", Arc::clone(address)));
        }
        all
    }
}
