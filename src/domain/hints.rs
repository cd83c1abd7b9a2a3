//! Hints: how a request narrows the choice among its target's upstreams, in the words of OpenRouter's routing fields. What
//! they name is only looked for among the upstreams that the target has anyway, so nothing else is reached by them. No I/O,
//! no clock, no logging.

use std::fmt;
use std::time::Duration;

use super::hint_fields::{DataPolicy, HintField};
use super::ids::{ProviderName, Upstream};
use super::money::Pico;
use super::policy::{Figure, Signal, UpstreamFigures};
use super::unmet::Unmet;

/// What the upstreams are ranked by in place of their target's policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HintSort {
    /// What the request is expected to cost.
    Price,
    /// Tokens per second.
    Throughput,
    /// The time until the first token.
    Latency,
}

impl HintSort {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Price, Self::Throughput, Self::Latency];

    /// The name in requests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Price => "price",
            Self::Throughput => "throughput",
            Self::Latency => "latency",
        }
    }
}

/// Prices, each for one token, request or picture; `None`: not known, or not bounded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct UnitPrices {
    /// A token of the prompt.
    pub prompt: Option<Pico>,
    /// A token of the answer.
    pub completion: Option<Pico>,
    /// A request.
    pub request: Option<Pico>,
    /// A picture.
    pub image: Option<Pico>,
}

impl UnitPrices {
    /// Whether it is known that no price is above these.
    fn bound(self, known: Self) -> bool {
        let within = |most: Option<Pico>, price: Option<Pico>| {
            most.is_none_or(|most| price.is_some_and(|price| price <= most))
        };
        within(self.prompt, known.prompt)
            && within(self.completion, known.completion)
            && within(self.request, known.request)
            && within(self.image, known.image)
    }
}

/// What one request says.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Hints {
    /// The models that may serve, in this order; empty: all.
    pub models: Vec<Box<str>>,
    /// Providers that are tried first, in this order.
    pub order: Vec<Box<str>>,
    /// Whether only those of `order`, or without it only the first, may serve.
    pub no_fallbacks: bool,
    /// The only providers that may serve; empty: all.
    pub only: Vec<Box<str>>,
    /// Providers that may not serve.
    pub ignore: Vec<Box<str>>,
    /// What the rest is ranked by.
    pub sort: Option<HintSort>,
    /// Whether the order of `models` does not matter to `sort`.
    pub across_models: bool,
    /// Prices that may not be exceeded.
    pub max_price: Option<UnitPrices>,
    /// Whether only upstreams serve that are known to have everything that the request needs.
    pub require_parameters: bool,
    /// What providers have to do with prompts.
    pub data_policy: DataPolicy,
    /// Upstreams that are known to be slower come last, in tokens per second.
    pub min_throughput: Option<f64>,
    /// Upstreams that are known to take longer until their first token come last.
    pub max_latency: Option<Duration>,
}

impl fmt::Display for Hints {
    /// `only a, sort price`; for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = vec!["openrouter".to_owned()];
        let lists = [
            ("models", &self.models),
            ("only", &self.only),
            ("ignore", &self.ignore),
            ("order", &self.order),
        ];
        let lists = lists.into_iter().filter(|(_, names)| !names.is_empty());
        words.extend(lists.map(|(field, names)| format!("{field} {}", names.join(" "))));
        let sort = self.sort.map(|sort| format!("sort {}", sort.as_str()));
        words.extend(sort);
        for (field, is_there) in [
            ("no fallbacks", self.no_fallbacks),
            ("max_price", self.max_price.is_some()),
            ("require_parameters", self.require_parameters),
            (
                "data_collection deny",
                self.data_policy == DataPolicy::NoCollection,
            ),
            ("zdr", self.data_policy == DataPolicy::Zdr),
            ("preferred_min_throughput", self.min_throughput.is_some()),
            ("preferred_max_latency", self.max_latency.is_some()),
        ] {
            words.extend(is_there.then(|| field.to_owned()));
        }
        f.write_str(&words.join(", "))
    }
}

/// What else hints need to know of upstreams.
pub trait HintFacts: UpstreamFigures {
    /// Whether the name is that of a target here which contains this upstream.
    fn means(&self, name: &str, upstream: &Upstream) -> bool;
    /// Its prices for a short prompt.
    fn prices(&self, upstream: &Upstream) -> UnitPrices;
    /// Whether it is known to have everything that the request needs.
    fn has_all(&self, upstream: &Upstream) -> bool;
    /// What the operator says of its provider.
    fn data_policy(&self, provider: &ProviderName) -> DataPolicy;
}

/// Whether a provider is called that: a name covers what stands behind a slash in those of its variants.
fn is_provider(name: &str, upstream: &Upstream) -> bool {
    let provider = upstream.provider.as_str();
    let head = provider.get(..name.len());
    let rest = provider.get(name.len()..).unwrap_or_default();
    let is_named = head.is_some_and(|head| head.eq_ignore_ascii_case(name));
    let is_whole = rest.is_empty() || rest.starts_with('/');
    (is_named && is_whole) || is_upstream(name, upstream)
}

fn is_upstream(name: &str, upstream: &Upstream) -> bool {
    let ids = name.split_once(&*format!("{}:", upstream.provider));
    ids.is_some_and(|(before, model)| before.is_empty() && model == upstream.model.as_str())
}

fn is_model(name: &str, upstream: &Upstream, facts: &dyn HintFacts) -> bool {
    name.eq_ignore_ascii_case(upstream.model.as_str())
        || is_upstream(name, upstream)
        || facts.means(name, upstream)
}

impl Hints {
    /// Why the upstream may not serve, whatever its place is.
    fn excludes(&self, upstream: &Upstream, facts: &dyn HintFacts) -> Option<HintField> {
        let is_in = |names: &[Box<str>]| names.iter().any(|name| is_provider(name, upstream));
        let mut models = self.models.iter();
        if !self.models.is_empty() && !models.any(|name| is_model(name, upstream, facts)) {
            Some(HintField::Models)
        } else if !self.only.is_empty() && !is_in(&self.only) {
            Some(HintField::Only)
        } else if is_in(&self.ignore) {
            Some(HintField::Ignore)
        } else if self.no_fallbacks && !self.order.is_empty() && !is_in(&self.order) {
            Some(HintField::AllowFallbacks)
        } else if self
            .max_price
            .is_some_and(|most| !most.bound(facts.prices(upstream)))
        {
            Some(HintField::MaxPrice)
        } else if self.require_parameters && !facts.has_all(upstream) {
            Some(HintField::RequireParameters)
        } else if facts.data_policy(&upstream.provider) < self.data_policy {
            match self.data_policy {
                DataPolicy::Zdr => Some(HintField::Zdr),
                _ => Some(HintField::DataCollection),
            }
        } else {
            None
        }
    }

    /// What the upstream is ranked by, and that as a number; what is not known comes last.
    fn figure(&self, upstream: &Upstream, facts: &dyn HintFacts) -> (Option<Figure>, u128) {
        let nanos = |signal| facts.latency(upstream, signal).map(|span| span.as_nanos());
        match self.sort {
            None => (None, 0),
            Some(HintSort::Price) => {
                let cost = facts.cost(upstream);
                let rank = cost.map_or(u128::MAX, |cost| u128::from(cost.get()));
                (Some(Figure::Cost(cost)), rank)
            }
            Some(HintSort::Latency) => {
                let span = facts.latency(upstream, Signal::FirstToken);
                let rank = nanos(Signal::FirstToken).unwrap_or(u128::MAX);
                (Some(Figure::Latency(span)), rank)
            }
            Some(HintSort::Throughput) => {
                let rank = nanos(Signal::PerToken).unwrap_or(u128::MAX);
                (Some(Figure::Throughput(throughput(upstream, facts))), rank)
            }
        }
    }

    /// Whether it is known to miss what is preferred.
    fn misses(&self, upstream: &Upstream, facts: &dyn HintFacts) -> bool {
        let is_slow = self.min_throughput.is_some_and(|least| {
            throughput(upstream, facts).is_some_and(|throughput| throughput < least)
        });
        let is_late = self.max_latency.is_some_and(|most| {
            let latency = facts.latency(upstream, Signal::FirstToken);
            latency.is_some_and(|latency| latency > most)
        });
        is_slow || is_late
    }

    /// The upstreams in the order that the hints leave, with what each was ranked by; those that are left out come last.
    pub fn narrow(
        &self,
        ranked: Vec<(Upstream, Option<Unmet>)>,
        facts: &dyn HintFacts,
    ) -> Vec<Narrowed> {
        let place = |names: &[Box<str>], fits: &dyn Fn(&str) -> bool| {
            let found = names.iter().position(|name| fits(name));
            found.unwrap_or(names.len())
        };
        let keyed = ranked.into_iter().map(|(upstream, unmet)| {
            let hint = || self.excludes(&upstream, facts).map(Unmet::Hint);
            let unmet = unmet.or_else(hint);
            let model = match self.across_models {
                true => 0,
                false => place(&self.models, &|name| is_model(name, &upstream, facts)),
            };
            let order = place(&self.order, &|name| is_provider(name, &upstream));
            let (figure, rank) = self.figure(&upstream, facts);
            let key = (
                unmet.is_some(),
                model,
                order,
                self.misses(&upstream, facts),
                rank,
            );
            let narrowed = Narrowed {
                upstream,
                figure,
                unmet,
            };
            (key, narrowed)
        });
        let mut keyed: Vec<_> = keyed.collect();
        keyed.sort_by_key(|(key, _)| *key);
        let mut all: Vec<Narrowed> = keyed.into_iter().map(|(_, narrowed)| narrowed).collect();
        if self.no_fallbacks && self.order.is_empty() {
            let rest = all.iter_mut().skip(1).filter(|one| one.unmet.is_none());
            rest.for_each(|one| one.unmet = Some(Unmet::Hint(HintField::AllowFallbacks)));
        }
        all
    }
}

/// Tokens per second.
fn throughput(upstream: &Upstream, facts: &dyn HintFacts) -> Option<f64> {
    let per_token = facts.latency(upstream, Signal::PerToken)?.as_secs_f64();
    (per_token > 0.0).then(|| per_token.recip())
}

/// An upstream behind the hints.
#[derive(Clone, PartialEq, Debug)]
pub struct Narrowed {
    /// The upstream.
    pub upstream: Upstream,
    /// What it was ranked by.
    pub figure: Option<Figure>,
    /// Why it is left out.
    pub unmet: Option<Unmet>,
}

#[cfg(test)]
mod tests;
