//! Routing policies: in which order the members of a target are asked for one request.
//!
//! A policy only ranks; whether a member can be asked at all is found out later (`domain/plan.rs`). Each is one file here
//! and one line in `POLICIES`: the configuration, its reference, `check` and the admin API know it from there by its
//! name. No I/O, no clock, no logging.

mod cost;
mod latency;
mod least_busy;
mod ordered;
mod round_robin;
mod routing;
mod score;
mod usage;
mod weighted;

use std::fmt;
use std::sync::Arc;

pub use cost::{CostPolicy, Unpriced};
pub use latency::Latency;
pub use routing::{
    Chance, Draw, Figure, MemberFacts, Needs, RoutingPolicy, Scores, Signal, TokenPrices,
    UpstreamFigures,
};
pub use score::{Adjust, ParamsUnit, Score, ScoreWeights};
pub use weighted::{Weighted, WeightedBy};

use super::ids::Upstream;

/// Every policy with its default settings; the first is what a target has that names none.
static POLICIES: &[fn() -> Policy] = &[
    || Policy::new(ordered::Ordered),
    || Policy::new(round_robin::RoundRobin),
    || Policy::new(Weighted::default()),
    || Policy::new(CostPolicy::default()),
    || Policy::new(Latency::default()),
    || Policy::new(least_busy::LeastBusy),
    || Policy::new(usage::UsagePolicy),
    || Policy::new(Score::default()),
];

/// A policy with its settings.
#[derive(Clone)]
pub struct Policy(Arc<dyn RoutingPolicy>);

impl Policy {
    /// A policy with these settings.
    pub fn new(policy: impl RoutingPolicy + 'static) -> Self {
        Self(Arc::new(policy))
    }

    /// Every policy, with its default settings.
    pub fn all() -> impl Iterator<Item = Self> {
        POLICIES.iter().map(|policy| policy())
    }

    /// Whether it is what a target has that names none.
    pub fn is_usual(&self) -> bool {
        self.name() == ordered::Ordered.name()
    }

    /// The same for a target of these upstreams: what depends on their names alone is made once.
    #[must_use]
    pub fn for_upstreams(&self, upstreams: &[Upstream]) -> Self {
        self.prepared(upstreams).map_or_else(|| self.clone(), Self)
    }
}

impl std::ops::Deref for Policy {
    type Target = dyn RoutingPolicy;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::new(ordered::Ordered)
    }
}

impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name() && self.settings() == other.settings()
    }
}

impl Eq for Policy {}

impl fmt::Display for Policy {
    /// The name, and the settings that differ from the default.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = self.settings();
        let gap = if settings.is_empty() { "" } else { ", " };
        write!(f, "{}{gap}{settings}", self.name())
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::money::Pico;

    fn facts() -> impl Strategy<Value = MemberFacts> {
        let cost = prop::option::of(any::<u64>());
        let rest = (
            any::<u32>(),
            any::<u32>(),
            cost,
            0.0f64..1e9,
            prop::option::of(0.0f64..2.0),
            -9.0f64..9.0,
        );
        rest.prop_map(|(weight, in_flight, cost, load, used, score)| MemberFacts {
            weight,
            in_flight,
            cost: cost.map(Pico::new),
            load,
            used,
            score,
        })
    }

    proptest! {
        #[test]
        fn every_policy_ranks_every_member_once_and_the_same_again_for_the_same_chance(
            facts in prop::collection::vec(facts(), 0..12),
            seed in any::<u64>(),
            turn in any::<u64>(),
        ) {
            for policy in Policy::all() {
                let rank = || {
                    let mut rng = fastrand::Rng::with_seed(seed);
                    let mut draw = || rng.f64();
                    policy.rank(&facts, &mut Chance { turn, draw: &mut draw })
                };
                let mut order = rank();
                prop_assert_eq!(&order, &rank());
                if policy.is_fixed() {
                    prop_assert!(order.is_sorted());
                }
                order.sort_unstable();
                prop_assert_eq!(order, (0..facts.len()).collect::<Vec<_>>(), "{:?}", policy);
            }
        }
    }

    #[test]
    fn names_are_distinct_and_the_first_is_the_usual_one() {
        let mut names: Vec<_> = Policy::all().map(|policy| policy.name()).collect();
        assert!(Policy::all().next().is_some_and(|first| first.is_usual()));
        assert!(Policy::all().all(|policy| policy.settings().is_empty()));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
