//! `cost`: what this request is expected to cost, cheapest first. What is free comes first, what has no known price last
//! or not at all.
//!
//! Members within the band of the cheapest one that is left keep their configured order, so that equal prices do not
//! flap; the first one is then never dearer than the cheapest by more than the band.

use super::routing::{Chance, Figure, MemberFacts, Needs, RoutingPolicy};
use crate::domain::unmet::Unmet;

/// What becomes of members whose price is not known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Unpriced {
    /// They are asked after all others.
    #[default]
    Last,
    /// They are left out.
    Exclude,
}

impl Unpriced {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Last, Self::Exclude];

    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Exclude => "exclude",
        }
    }
}

/// The settings of `cost`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CostPolicy {
    /// Prices that differ by no more than this count as equal, in millionths.
    pub band: u32,
    /// What becomes of members without a price.
    pub unpriced: Unpriced,
}

/// The usual band: 1 %.
const BAND: u32 = 10_000;
const MILLION: u128 = 1_000_000;

impl Default for CostPolicy {
    fn default() -> Self {
        Self {
            band: BAND,
            unpriced: Unpriced::default(),
        }
    }
}

impl RoutingPolicy for CostPolicy {
    fn name(&self) -> &'static str {
        "cost"
    }

    fn settings(&self) -> String {
        let mut all = Vec::new();
        if self.band != BAND {
            all.push(format!("band: {}", f64::from(self.band) / 1e6));
        }
        if self.unpriced != Unpriced::default() {
            all.push(format!("unpriced: {}", self.unpriced.as_str()));
        }
        all.join(", ")
    }

    fn needs(&self) -> Needs<'_> {
        Needs::Cost
    }

    fn excludes(&self, member: &MemberFacts) -> Option<Unmet> {
        let excluded = self.unpriced == Unpriced::Exclude && member.cost.is_none();
        excluded.then_some(Unmet::Unpriced)
    }

    fn figure(&self, member: &MemberFacts) -> Option<Figure> {
        Some(Figure::Cost(member.cost))
    }

    fn rank(&self, members: &[MemberFacts], _: &mut Chance<'_>) -> Vec<usize> {
        let mut priced: Vec<(u64, usize)> = Vec::with_capacity(members.len());
        let mut unpriced = Vec::new();
        for (place, member) in members.iter().enumerate() {
            match member.cost {
                Some(cost) => priced.push((cost.get(), place)),
                None => unpriced.push(place),
            }
        }
        let mut order = Vec::with_capacity(members.len());
        while let Some(least) = priced.iter().map(|(cost, _)| *cost).min() {
            let most = u128::from(least) * (MILLION + u128::from(self.band)) / MILLION;
            let within = |(cost, _): &(u64, usize)| u128::from(*cost) <= most;
            // The cheapest is within, and the list is in configured order.
            let Some(at) = priced.iter().position(within) else {
                break;
            };
            order.push(priced.remove(at).1);
        }
        order.extend(unpriced);
        order
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::money::Pico;

    fn ranked(policy: CostPolicy, costs: &[Option<u64>]) -> Vec<usize> {
        let members = costs.iter().map(|cost| MemberFacts {
            cost: cost.map(Pico::new),
            ..MemberFacts::default()
        });
        let mut draw = || 0.0;
        let mut chance = Chance {
            turn: 0,
            draw: &mut draw,
        };
        policy.rank(&members.collect::<Vec<_>>(), &mut chance)
    }

    #[test]
    fn the_cheapest_comes_first_free_before_it_and_unknown_last() {
        let order = ranked(
            CostPolicy::default(),
            &[Some(450), Some(600), None, Some(0)],
        );
        assert_eq!(order, [3, 0, 1, 2]);
        let order = ranked(
            CostPolicy::default(),
            &[Some(1560), Some(1110), None, Some(0)],
        );
        assert_eq!(order, [3, 1, 0, 2]);
    }

    #[test]
    fn prices_within_the_band_keep_the_configured_order() {
        let order = |costs: &[Option<u64>]| ranked(CostPolicy::default(), costs);
        assert_eq!(order(&[Some(1010), Some(1000)]), [0, 1]);
        assert_eq!(order(&[Some(1011), Some(1000)]), [1, 0]);
        // Not by steps: the first is 1.9 % above the third.
        assert_eq!(order(&[Some(1019), Some(1009), Some(1000)]), [1, 2, 0]);
        assert_eq!(
            order(&[Some(1), Some(0)]),
            [1, 0],
            "free is not nearly free"
        );
    }

    #[test]
    fn members_without_a_price_are_left_out_where_that_is_asked_for() {
        let policy = CostPolicy {
            unpriced: Unpriced::Exclude,
            ..CostPolicy::default()
        };
        let free = MemberFacts {
            cost: Some(Pico::ZERO),
            ..MemberFacts::default()
        };
        assert_eq!(policy.excludes(&free), None);
        assert_eq!(
            policy.excludes(&MemberFacts::default()),
            Some(Unmet::Unpriced)
        );
        assert_eq!(
            CostPolicy::default().excludes(&MemberFacts::default()),
            None
        );
    }

    proptest! {
        #[test]
        fn nothing_dearer_than_the_band_precedes_what_is_cheaper(
            costs in prop::collection::vec(prop::option::of(0u64..3000), 0..12),
            band in 0u32..200_000,
        ) {
            let order = ranked(CostPolicy { band, unpriced: Unpriced::Last }, &costs);
            for (at, place) in order.iter().enumerate() {
                for later in &order[at..] {
                    match (costs[*place], costs[*later]) {
                        (Some(cost), Some(other)) => prop_assert!(
                            f64::from(u32::try_from(cost).unwrap()) <= f64::from(u32::try_from(other).unwrap()) * (1.0 + f64::from(band) / 1e6) + 1e-9
                        ),
                        (None, other) => prop_assert!(other.is_none()),
                        (Some(_), None) => {}
                    }
                }
            }
        }
    }
}
