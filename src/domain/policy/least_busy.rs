//! `least_busy`: fewest requests in flight for each unit of weight first; ties at random, so that a burst that meets equal
//! counts spreads. One of weight 0 comes after all others.

use super::routing::{Chance, Figure, MemberFacts, Needs, RoutingPolicy, sorted};

pub(super) struct LeastBusy;

fn busy(member: &MemberFacts) -> f64 {
    match member.weight {
        0 => f64::INFINITY,
        weight => f64::from(member.in_flight) / f64::from(weight),
    }
}

impl RoutingPolicy for LeastBusy {
    fn name(&self) -> &'static str {
        "least_busy"
    }

    fn takes_weights(&self) -> bool {
        true
    }

    fn needs(&self) -> Needs<'_> {
        Needs::InFlight
    }

    fn figure(&self, member: &MemberFacts) -> Option<Figure> {
        Some(Figure::InFlight(busy(member)))
    }

    fn rank(&self, members: &[MemberFacts], chance: &mut Chance<'_>) -> Vec<usize> {
        let keys = members.iter().map(|member| (busy(member), (chance.draw)()));
        let keys: Vec<_> = keys.collect();
        let key = |place: usize| keys.get(place).copied().unwrap_or_default();
        sorted(members.len(), key, |a, b| {
            a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(in_flight: u32, weight: u32) -> MemberFacts {
        MemberFacts {
            weight,
            in_flight,
            ..MemberFacts::default()
        }
    }

    #[test]
    fn the_idle_one_comes_first_by_its_weight_and_ties_at_random() {
        let mut draw = || 0.0;
        let mut chance = Chance {
            turn: 0,
            draw: &mut draw,
        };
        let members = [
            member(4, 1),
            member(0, 1),
            member(4, 2),
            member(0, 0),
            member(1, 1),
        ];
        assert_eq!(LeastBusy.rank(&members, &mut chance), [1, 4, 2, 0, 3]);
        let mut rng = fastrand::Rng::with_seed(3);
        let mut draw = || rng.f64();
        let mut first = [0u32; 4];
        for _ in 0..4000 {
            let mut chance = Chance {
                turn: 0,
                draw: &mut draw,
            };
            let order = LeastBusy.rank(&[member(2, 1); 4], &mut chance);
            first[order[0]] += 1;
        }
        assert!(
            first.iter().all(|count| (900..1100).contains(count)),
            "{first:?}"
        );
    }
}
