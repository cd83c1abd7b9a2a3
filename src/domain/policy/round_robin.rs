//! `round_robin`: each request begins one member further on; the others follow in configured order.

use super::routing::{Chance, MemberFacts, RoutingPolicy};

pub(super) struct RoundRobin;

impl RoutingPolicy for RoundRobin {
    fn name(&self) -> &'static str {
        "round_robin"
    }

    fn rank(&self, members: &[MemberFacts], chance: &mut Chance<'_>) -> Vec<usize> {
        let count = u64::try_from(members.len()).unwrap_or(u64::MAX).max(1);
        let first = usize::try_from(chance.turn % count).unwrap_or(0);
        (first..members.len()).chain(0..first).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_begins_one_further_on() {
        let members = [MemberFacts::default(); 3];
        let order = |turn| {
            let mut draw = || 0.0;
            RoundRobin.rank(
                &members,
                &mut Chance {
                    turn,
                    draw: &mut draw,
                },
            )
        };
        assert_eq!(
            [order(0), order(1), order(2), order(3)],
            [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]]
        );
        let mut draw = || 0.0;
        let none = RoundRobin.rank(
            &[],
            &mut Chance {
                turn: 5,
                draw: &mut draw,
            },
        );
        assert!(none.is_empty());
    }
}
