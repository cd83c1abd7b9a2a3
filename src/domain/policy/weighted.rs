//! `weighted`: members are drawn by their weights without replacement, so the order behind the first is drawn too. One
//! of weight 0 is asked only after all others, in configured order.
//!
//! The draw sorts by exponential variates divided by weights: Efraimidis and Spirakis, "Weighted random sampling with a
//! reservoir", 2006.

use super::routing::{Draw, MemberFacts, RoutingPolicy};

pub(super) struct Weighted;

impl RoutingPolicy for Weighted {
    fn name(&self) -> &'static str {
        "weighted"
    }

    fn takes_weights(&self) -> bool {
        true
    }

    fn rank(&self, members: &[MemberFacts], draw: Draw<'_>) -> Vec<usize> {
        let arrivals = members.iter().map(|member| match member.weight {
            0 => f64::INFINITY,
            // 1 - u is above 0, so its logarithm is finite.
            weight => -(1.0 - draw()).ln() / f64::from(weight),
        });
        let arrivals: Vec<_> = arrivals.collect();
        let mut order: Vec<usize> = (0..members.len()).collect();
        let arrival = |place: &usize| arrivals.get(*place).copied().unwrap_or(f64::INFINITY);
        order.sort_by(|a, b| arrival(a).total_cmp(&arrival(b)));
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_first_in_proportion_to_their_weights_and_those_of_none_last() {
        let members = [3, 0, 1, 0].map(|weight| MemberFacts {
            weight,
            in_flight: 0,
        });
        let mut rng = fastrand::Rng::with_seed(7);
        let mut first = [0u32; 4];
        for _ in 0..10_000 {
            let order = Weighted.rank(&members, &mut || rng.f64());
            assert_eq!(order[2..], [1, 3]);
            first[order[0]] += 1;
        }
        assert!((7_300..7_700).contains(&first[0]), "{first:?}");
        assert_eq!(first[0] + first[2], 10_000);
    }
}
