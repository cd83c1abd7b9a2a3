//! What a routing policy is, and what it ranks by.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::ids::{ModelName, ProviderName, Upstream};
use crate::domain::money::Pico;
use crate::domain::score_expression::CustomScore;
use crate::domain::spill::TierKeys;
use crate::domain::unmet::Unmet;

/// What a policy knows of one member of a target, for one request. Only what the policy [needs](RoutingPolicy::needs) is
/// filled in. Of a member that is a target itself it is that of its best upstream, but for the requests in flight, which
/// are added.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct MemberFacts {
    /// Its configured share; 1 unless something else was written.
    pub weight: u32,
    /// Requests in flight at its providers.
    pub in_flight: u32,
    /// What this request is expected to cost there; `None`: unknown.
    pub cost: Option<Pico>,
    /// The load by its latency: seconds, times the requests that wait for it.
    pub load: f64,
    /// The used share of its tightest limit, 0 to 1 and above; `None`: no limit is known.
    pub used: Option<f64>,
    /// Its score; not a number where there is none.
    pub score: f64,
}

/// What a policy needs to know of members besides their weights.
#[derive(Clone, Copy)]
pub enum Needs<'a> {
    /// Nothing.
    Nothing,
    /// Requests in flight.
    InFlight,
    /// What the request is expected to cost.
    Cost,
    /// The load by latency.
    Load(LoadBy),
    /// The used share of limits, and the requests in flight for ties.
    Used,
    /// The score.
    Score(&'a dyn Scores),
    /// The score that an expression gives.
    Expression(&'a CustomScore),
}

/// How load is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LoadBy {
    /// What is measured.
    pub signal: Signal,
    /// What an upstream counts as that has not answered yet, while requests wait for it.
    pub start: Duration,
}

impl LoadBy {
    /// The load of one upstream. One that was never measured is tried at once if nothing waits for it.
    pub fn of(self, latency: Option<Duration>, pending: u32) -> f64 {
        match (latency, pending) {
            (None, 0) => 0.0,
            (latency, pending) => {
                let latency = latency.unwrap_or(self.start).as_secs_f64();
                latency * (f64::from(pending) + 1.0)
            }
        }
    }
}

/// Gives upstreams their scores.
pub trait Scores {
    /// The score of a model at a provider.
    fn score(&self, model: &ModelName, context_window: Option<u64>, base_priority: f64) -> f64;
}

/// What is measured of an upstream's answers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Signal {
    /// The time until a stream's first token; of whole answers the whole time.
    #[default]
    FirstToken,
    /// The time per token of the answer.
    PerToken,
    /// The time until the answer's end.
    Total,
}

impl Signal {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::FirstToken, Self::PerToken, Self::Total];

    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FirstToken => "first_token",
            Self::PerToken => "per_token",
            Self::Total => "total",
        }
    }
}

/// What a token costs at an upstream; what is not known is `None`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TokenPrices {
    /// One of a short prompt.
    pub input: Option<Pico>,
    /// One of the answer.
    pub output: Option<Pico>,
}

/// What is known of upstreams at the moment of a request, for that request.
pub trait UpstreamFigures {
    /// Requests in flight at a provider.
    fn in_flight(&self, provider: &ProviderName) -> u32;
    /// Requests that were ranked to go to this upstream first, or went there, and have not ended.
    fn pending(&self, upstream: &Upstream) -> u32;
    /// What the request is expected to cost there.
    fn cost(&self, upstream: &Upstream) -> Option<Pico>;
    /// What its tokens cost.
    fn token_prices(&self, upstream: &Upstream) -> TokenPrices;
    /// How long its answers took of late, as a peak-sensitive average that has decayed until now.
    fn latency(&self, upstream: &Upstream, signal: Signal) -> Option<Duration>;
    /// How long the first tokens of its streams took of late, in the same way.
    fn first_token(&self, upstream: &Upstream) -> Option<Duration>;
    /// The used share of its tightest limit.
    fn used(&self, upstream: &Upstream) -> Option<f64>;
    /// The tags of its provider and of its model.
    fn tags(&self, upstream: &Upstream) -> Vec<&str>;
    /// Tokens that its context window holds.
    fn context_window(&self, upstream: &Upstream) -> Option<u64>;
    /// The factor of its provider's scores.
    fn base_priority(&self, provider: &ProviderName) -> f64;
    /// Its keys that would be offered a request now, and all of them.
    fn keys(&self, upstream: &Upstream) -> TierKeys;
    /// Why it cannot serve the request, whatever its health.
    fn lacks(&self, upstream: &Upstream) -> Option<Unmet>;
    /// The turn of the target at that place of the forest: one more for each request.
    fn turn(&self, target: usize) -> u64;
}

/// A source of random numbers, uniform in 0..1.
pub type Draw<'a> = &'a mut dyn FnMut() -> f64;

/// What of a ranking is not a fact.
pub struct Chance<'a> {
    /// The target's turn.
    pub turn: u64,
    /// Random numbers.
    pub draw: Draw<'a>,
}

/// The number that a policy ranks a member by.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Figure {
    /// Its weight.
    Weight(u32),
    /// What the request is expected to cost.
    Cost(Option<Pico>),
    /// Its load, in seconds.
    Load(f64),
    /// Requests in flight for each unit of its weight.
    InFlight(f64),
    /// The used share of its tightest limit.
    Used(Option<f64>),
    /// Its score.
    Score(f64),
    /// The time until its first token.
    Latency(Option<Duration>),
    /// Its tokens per second.
    Throughput(Option<f64>),
}

/// One way to rank the members of a target.
pub trait RoutingPolicy: Send + Sync {
    /// The name used in the configuration.
    fn name(&self) -> &'static str;

    /// The settings that differ from the default, as the configuration writes them; empty when none does.
    fn settings(&self) -> String {
        String::new()
    }

    /// Whether the order is always that of the configuration. Such targets are flattened once and never ranked.
    fn is_fixed(&self) -> bool {
        false
    }

    /// Whether members may have a weight.
    fn takes_weights(&self) -> bool {
        false
    }

    /// What it needs to know of members.
    fn needs(&self) -> Needs<'_> {
        Needs::Nothing
    }

    /// The same for a target of these upstreams, where something can be made once; `None`: nothing can.
    fn prepared(&self, _upstreams: &[Upstream]) -> Option<Arc<dyn RoutingPolicy>> {
        None
    }

    /// The decay of the latencies that it ranks by, if it does.
    fn decay(&self) -> Option<Duration> {
        None
    }

    /// Why it leaves a member out.
    fn excludes(&self, _member: &MemberFacts) -> Option<Unmet> {
        None
    }

    /// What it ranks the member by; `None` where that is no number.
    fn figure(&self, _member: &MemberFacts) -> Option<Figure> {
        None
    }

    /// The places of all members in the order in which they are to be asked.
    fn rank(&self, members: &[MemberFacts], chance: &mut Chance<'_>) -> Vec<usize>;
}

/// The places of `count` members, ordered by a key; those of equal keys as configured.
pub(super) fn sorted<K>(
    count: usize,
    key: impl Fn(usize) -> K,
    compare: impl Fn(&K, &K) -> std::cmp::Ordering,
) -> Vec<usize> {
    let mut keyed: Vec<(K, usize)> = (0..count).map(|place| (key(place), place)).collect();
    keyed.sort_by(|(one, _), (other, _)| compare(one, other));
    keyed.into_iter().map(|(_, place)| place).collect()
}

/// An exponential variate for members drawn by weight: see `weighted`.
pub(super) fn arrival(weight: f64, draw: f64) -> f64 {
    // 1 - u is above 0, so its logarithm is finite.
    -(1.0 - draw).ln() / weight
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
pub(super) fn number(count: u64) -> f64 {
    count as f64
}
