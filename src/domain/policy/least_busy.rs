//! `least_busy`: fewest requests in flight first; ties in configured order.

use super::routing::{Draw, MemberFacts, RoutingPolicy};

pub(super) struct LeastBusy;

impl RoutingPolicy for LeastBusy {
    fn name(&self) -> &'static str {
        "least_busy"
    }

    fn rank(&self, members: &[MemberFacts], _: Draw<'_>) -> Vec<usize> {
        let mut order: Vec<usize> = (0..members.len()).collect();
        // A stable sort keeps the configured order of ties.
        order.sort_by_key(|place| members.get(*place).map(|member| member.in_flight));
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_idle_one_comes_first_and_ties_keep_their_order() {
        let members = [4, 0, 4, 1].map(|in_flight| MemberFacts {
            weight: 1,
            in_flight,
        });
        assert_eq!(LeastBusy.rank(&members, &mut || 0.0), [1, 3, 0, 2]);
    }
}
