//! Routing policies: in which order the members of a target are asked for one request.
//!
//! A policy only ranks; whether a member can be asked at all is found out later (`domain/plan.rs`). Each is one file here
//! and one line in `POLICIES`: the configuration, its reference, `check` and the admin API know it from there by its
//! name. No I/O, no clock, no logging.

mod least_busy;
mod ordered;
mod routing;
mod weighted;

use std::fmt;

pub use routing::{Draw, MemberFacts, RoutingPolicy};

/// Every policy; the first is what a target has that names none.
static POLICIES: &[&dyn RoutingPolicy] = &[
    &ordered::Ordered,
    &weighted::Weighted,
    &least_busy::LeastBusy,
];

/// A policy by its registration.
#[derive(Clone, Copy)]
pub struct Policy(&'static dyn RoutingPolicy);

impl Policy {
    /// Every policy.
    pub fn all() -> impl Iterator<Item = Self> {
        POLICIES.iter().map(|policy| Self(*policy))
    }

    /// Whether it is what a target has that names none.
    pub fn is_usual(self) -> bool {
        self == Self::default()
    }
}

impl std::ops::Deref for Policy {
    type Target = dyn RoutingPolicy;

    fn deref(&self) -> &Self::Target {
        self.0
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self(&ordered::Ordered)
    }
}

impl PartialEq for Policy {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Policy {}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_policy_ranks_every_member_once(
            facts in prop::collection::vec((any::<u32>(), any::<u32>()), 0..12),
            draws in prop::collection::vec(0.0f64..1.0, 12),
        ) {
            let facts = facts.into_iter().map(|(weight, in_flight)| MemberFacts { weight, in_flight });
            let facts: Vec<_> = facts.collect();
            for policy in Policy::all() {
                let mut draws = draws.iter().copied().cycle();
                let mut order = policy.rank(&facts, &mut || draws.next().unwrap_or(0.0));
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
        assert!(Policy::all().next().is_some_and(Policy::is_usual));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
