//! `ordered`: as configured, best first.

use super::routing::{Chance, MemberFacts, RoutingPolicy};

pub(super) struct Ordered;

impl RoutingPolicy for Ordered {
    fn name(&self) -> &'static str {
        "ordered"
    }

    fn is_fixed(&self) -> bool {
        true
    }

    fn rank(&self, members: &[MemberFacts], _: &mut Chance<'_>) -> Vec<usize> {
        (0..members.len()).collect()
    }
}
