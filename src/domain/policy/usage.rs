//! `usage`: the lowest used share of its own tightest limit first (requests and tokens per minute, requests per day, learned
//! limits), not the lowest number of tokens. One without a known limit counts as unused; ties go to the one with fewer
//! requests in flight, then at random.

use super::routing::{Chance, Figure, MemberFacts, Needs, RoutingPolicy, sorted};

pub(super) struct UsagePolicy;

/// Shares that differ by less count as equal.
const STEP: f64 = 1e-6;

impl RoutingPolicy for UsagePolicy {
    fn name(&self) -> &'static str {
        "usage"
    }

    fn needs(&self) -> Needs<'_> {
        Needs::Used
    }

    fn figure(&self, member: &MemberFacts) -> Option<Figure> {
        Some(Figure::Used(member.used))
    }

    fn rank(&self, members: &[MemberFacts], chance: &mut Chance<'_>) -> Vec<usize> {
        let keys = members.iter().map(|member| {
            let used = (member.used.unwrap_or(0.0) / STEP).round();
            (used, member.in_flight, (chance.draw)())
        });
        let keys: Vec<_> = keys.collect();
        let key = |place: usize| keys.get(place).copied().unwrap_or_default();
        sorted(members.len(), key, |a, b| {
            let used = a.0.total_cmp(&b.0);
            used.then(a.1.cmp(&b.1)).then(a.2.total_cmp(&b.2))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_share_comes_first_then_the_less_busy_one() {
        let member = |used, in_flight| MemberFacts {
            used,
            in_flight,
            ..MemberFacts::default()
        };
        let mut draw = || 0.0;
        let mut chance = Chance {
            turn: 0,
            draw: &mut draw,
        };
        let members = [
            member(Some(0.5), 0),
            member(Some(0.25), 9),
            member(Some(0.25), 2),
            member(None, 3),
            member(Some(1.5), 0),
        ];
        assert_eq!(UsagePolicy.rank(&members, &mut chance), [3, 2, 1, 0, 4]);
    }
}
