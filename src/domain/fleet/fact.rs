//! One fact: a register that anybody may raise and nobody can lower, so that facts may come late, twice, in any order, or
//! not at all.
//!
//! A register is a *join-semilattice*: of two facts about one subject the greater holds, by a total order. A fact of a higher
//! generation is greater; within a generation the later end is. So the word of another process never shortens a cooldown;
//! what may end one early (an operator's release, a probe that was served) begins a new generation.

use crate::domain::dialect::Operation;
use crate::domain::ids::{FleetNode, ModelName};
use crate::domain::persisted::Fingerprint;
use crate::domain::time::Time;

/// What is known of a subject.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FactKind {
    /// A key cools, for a model or for all.
    Cooling,
    /// A key's quota is used up.
    Exhausted,
    /// A key is refused by its provider.
    Invalid,
    /// All keys of a provider cool.
    ProviderCooling,
    /// A provider does not know a model, for an operation.
    Gone,
    /// A breaker has opened: a hint, no more.
    Opened,
}

impl FactKind {
    /// Every kind, in the order of their numbers in records.
    pub const ALL: [Self; 6] = [
        Self::Cooling,
        Self::Exhausted,
        Self::Invalid,
        Self::ProviderCooling,
        Self::Gone,
        Self::Opened,
    ];

    /// The word for it in answers and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cooling => "cooling",
            Self::Exhausted => "exhausted",
            Self::Invalid => "invalid",
            Self::ProviderCooling => "provider_cooling",
            Self::Gone => "model_gone",
            Self::Opened => "breaker_open",
        }
    }
}

/// Why a register stands as it does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FactReason {
    /// An upstream said so, or failed.
    Reported,
    /// A probe was served: it is over.
    Recovered,
    /// An operator released it: it is over.
    Released,
}

impl FactReason {
    /// Every reason, in the order of their numbers in records.
    pub const ALL: [Self; 3] = [Self::Reported, Self::Recovered, Self::Released];

    /// The word for it in answers.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Recovered => "recovered",
            Self::Released => "released",
        }
    }
}

/// What a fact is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FleetSubject {
    /// The key or the provider: a keyed hash under the fleet's secret, the same in every process that has it.
    pub owner: Fingerprint,
    /// What is known of it.
    pub kind: FactKind,
    /// For which model; `None`: for all.
    pub model: Option<ModelName>,
    /// For which operation; `None`: for all.
    pub operation: Option<Operation>,
}

/// What a process knows of a subject.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct FleetFact {
    /// Counts the early ends. The order of the fields is that of the register.
    pub generation: u64,
    /// When it ends, on the clock of the process that holds it. What was ended early has its end in the past.
    pub until: Time,
    /// Until then it is remembered: an early end for as long as what it ended could still be believed somewhere.
    pub keep: Time,
    /// Why it stands so.
    pub reason: FactReason,
    /// Who wrote it.
    pub node: FleetNode,
}

/// Two ends of one generation that are so close mean the same: the way over the store takes a moment, and what is told back
/// must not grow by it each time.
pub const SAME_END: std::time::Duration = std::time::Duration::from_secs(1);

impl FleetFact {
    /// The one that holds of two about the same subject: the greater. Any order of any number of them gives the same.
    #[must_use]
    #[cfg(test)]
    pub fn merged(self, other: Self) -> Self {
        self.max(other)
    }

    /// Whether it says more than `known` by so much that it is worth telling.
    pub fn is_news_to(&self, known: &Self) -> bool {
        self.generation > known.generation
            || (self.generation == known.generation && self.until > known.until + SAME_END)
    }

    /// Whether it keeps its subject out at `now`.
    pub fn is_running(&self, now: Time) -> bool {
        now < self.until
    }

    /// Whether nobody needs to know it any more.
    pub fn is_over(&self, now: Time) -> bool {
        now >= self.until && now >= self.keep
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fact() -> impl Strategy<Value = FleetFact> {
        let reason = prop::sample::select(FactReason::ALL.to_vec());
        (0u64..4, 0u64..50, 0u64..50, reason, 0u8..3).prop_map(
            |(generation, until, keep, reason, node)| FleetFact {
                generation,
                until: Time::from_millis(until * 100),
                keep: Time::from_millis(keep * 100),
                reason,
                node: FleetNode::from(format!("n{node}")),
            },
        )
    }

    proptest! {
        #[test]
        fn f4_facts_merge_to_the_same_in_any_order_and_however_often(
            mut facts in prop::collection::vec(fact(), 1..8), seed: u64,
        ) {
            let all = |facts: &[FleetFact]| {
                facts.iter().cloned().reduce(FleetFact::merged).unwrap()
            };
            let merged = all(&facts);
            let again: Vec<_> = facts.iter().chain(&facts).cloned().collect();
            prop_assert_eq!(&all(&again), &merged);
            // Associative: halves that were merged apart.
            let (left, right) = facts.split_at(facts.len() / 2);
            if !left.is_empty() {
                prop_assert_eq!(&all(left).merged(all(right)), &merged);
            }
            let count = facts.len();
            for at in 0..count {
                let other = usize::try_from(seed.rotate_left(u32::try_from(at).unwrap()) % 8).unwrap();
                facts.swap(at, other % count);
            }
            prop_assert_eq!(&all(&facts), &merged);
        }

        #[test]
        fn f3_within_a_generation_no_merge_ends_earlier(one in fact(), other in fact()) {
            let merged = one.clone().merged(other.clone());
            prop_assert!(merged.generation >= one.generation.max(other.generation));
            for fact in [&one, &other] {
                if fact.generation == merged.generation {
                    prop_assert!(merged.until >= fact.until);
                }
            }
        }
    }
}
