//! `weighted`: members are drawn by their weights without replacement, so the order behind the first is drawn too. One
//! of weight 0 is asked only after all others, in configured order.
//!
//! With `by: inverse_square_price` the weight is 1 ÷ price² for this request, as OpenRouter balances by default: what is
//! free comes first, what has no known price last.
//!
//! The draw sorts by exponential variates divided by weights: Efraimidis and Spirakis, "Weighted random sampling with a
//! reservoir", 2006.

use super::routing::{Chance, Figure, MemberFacts, Needs, RoutingPolicy, arrival, number, sorted};

/// What the weights are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum WeightedBy {
    /// The configured ones.
    #[default]
    Weight,
    /// One divided by the square of what the request is expected to cost, times the configured one.
    InverseSquarePrice,
}

impl WeightedBy {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Weight, Self::InverseSquarePrice];

    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Weight => "weight",
            Self::InverseSquarePrice => "inverse_square_price",
        }
    }
}

/// The settings of `weighted`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Weighted {
    /// What the weights are.
    pub by: WeightedBy,
}

impl Weighted {
    /// Drawn within a class, and classes in this order: free, drawn by weight, never drawn.
    fn arrival(self, member: &MemberFacts, draw: f64) -> (u8, f64) {
        const FREE: u8 = 0;
        const DRAWN: u8 = 1;
        const LAST: u8 = 2;
        let weight = f64::from(member.weight);
        if member.weight == 0 {
            return (LAST, 0.0);
        }
        match (self.by, member.cost.map(|cost| number(cost.get()))) {
            (WeightedBy::Weight, _) => (DRAWN, arrival(weight, draw)),
            (WeightedBy::InverseSquarePrice, None) => (LAST, 0.0),
            (WeightedBy::InverseSquarePrice, Some(0.0)) => (FREE, arrival(weight, draw)),
            (WeightedBy::InverseSquarePrice, Some(cost)) => {
                // In millionths of the currency: far from the ends of what a float holds.
                let cost = cost / 1e6;
                (DRAWN, arrival(weight / (cost * cost), draw))
            }
        }
    }
}

impl RoutingPolicy for Weighted {
    fn name(&self) -> &'static str {
        "weighted"
    }

    fn settings(&self) -> String {
        match self.by {
            WeightedBy::Weight => String::new(),
            by => format!("by: {}", by.as_str()),
        }
    }

    fn takes_weights(&self) -> bool {
        true
    }

    fn needs(&self) -> Needs<'_> {
        match self.by {
            WeightedBy::Weight => Needs::Nothing,
            WeightedBy::InverseSquarePrice => Needs::Cost,
        }
    }

    fn figure(&self, member: &MemberFacts) -> Option<Figure> {
        Some(match self.by {
            WeightedBy::Weight => Figure::Weight(member.weight),
            WeightedBy::InverseSquarePrice => Figure::Cost(member.cost),
        })
    }

    fn rank(&self, members: &[MemberFacts], chance: &mut Chance<'_>) -> Vec<usize> {
        // Each member takes its random number whatever its weight, so that a change of one weight moves no other draw.
        let arrivals = members.iter();
        let arrivals = arrivals.map(|member| self.arrival(member, (chance.draw)()));
        let arrivals: Vec<_> = arrivals.collect();
        let key = |place: usize| arrivals.get(place).copied().unwrap_or_default();
        sorted(members.len(), key, |a, b| {
            a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Pico;

    const DRAWS: u32 = 100_000;

    /// How often each member came first, and how often second.
    fn drawn(policy: Weighted, members: &[MemberFacts]) -> (Vec<f64>, Vec<f64>) {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut draw = || rng.f64();
        let mut first = vec![0.0; members.len()];
        let mut second = first.clone();
        for _ in 0..DRAWS {
            let mut chance = Chance {
                turn: 0,
                draw: &mut draw,
            };
            let order = policy.rank(members, &mut chance);
            first[order[0]] += 1.0 / f64::from(DRAWS);
            second[order[1]] += 1.0 / f64::from(DRAWS);
        }
        (first, second)
    }

    fn near(found: &[f64], expected: &[f64]) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 0.01, "{found} is not {expected}");
        }
    }

    #[test]
    fn members_come_first_in_proportion_to_their_weights_and_those_of_none_last() {
        let members = [5, 0, 3, 2, 0].map(|weight| MemberFacts {
            weight,
            ..MemberFacts::default()
        });
        let (first, second) = drawn(Weighted::default(), &members);
        near(&first, &[0.5, 0.0, 0.3, 0.2, 0.0]);
        // Without replacement: 3 behind 5 (0.5 · 0.6) and behind 2 (0.2 · 3/7), and so on.
        let behind = |own: f64, others: [f64; 2]| {
            others
                .map(|other| other / 10.0 * own / (10.0 - other))
                .iter()
                .sum::<f64>()
        };
        near(
            &second,
            &[
                behind(5.0, [3.0, 2.0]),
                0.0,
                behind(3.0, [5.0, 2.0]),
                behind(2.0, [5.0, 3.0]),
            ],
        );
        let mut draw = || 0.5;
        let order = Weighted::default().rank(
            &members,
            &mut Chance {
                turn: 0,
                draw: &mut draw,
            },
        );
        assert_eq!(order, [0, 2, 3, 1, 4]);
    }

    #[test]
    fn by_the_inverse_square_of_the_price_free_ones_come_first_and_unpriced_ones_last() {
        let policy = Weighted {
            by: WeightedBy::InverseSquarePrice,
        };
        let priced = |cost: Option<u64>| MemberFacts {
            weight: 1,
            cost: cost.map(Pico::new),
            ..MemberFacts::default()
        };
        let dollars = [1, 2, 3].map(|dollars| priced(Some(dollars * 1_000_000_000_000)));
        let (first, _) = drawn(policy, &dollars);
        near(&first, &[36.0 / 49.0, 9.0 / 49.0, 4.0 / 49.0]);
        let mut draw = || 0.5;
        let mut chance = Chance {
            turn: 0,
            draw: &mut draw,
        };
        let mixed = [priced(None), priced(Some(1)), priced(Some(0))];
        assert_eq!(policy.rank(&mixed, &mut chance), [2, 1, 0]);
    }
}
