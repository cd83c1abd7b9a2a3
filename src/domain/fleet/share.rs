//! Shares of a limit: how much of it each process may use by itself, so that all together stay within it.
//!
//! A share is *leased*: it ends by itself, and nobody grows into it before it has ended or was given back. The upper bound holds
//! before fairness does: a process that has just come waits until the others have shrunk.

use std::collections::BTreeMap;
use std::time::Duration;

use super::rank;
use crate::domain::fleet::FleetSubject;
use crate::domain::ids::FleetNode;
use crate::domain::time::Time;

/// How often a share is asked for while it is used, a fifth more or less.
pub const ASK_EVERY: Duration = Duration::from_millis(500);
/// A share ends by itself after this, unless it is asked for again.
pub const SHARE_TTL: Duration = Duration::from_secs(2);
/// Ended shares that are dropped with one question.
const MOST_DROPPED: usize = 16;
/// After so many questions the totals are counted anew, whatever was added and subtracted before.
const RECOUNT: u32 = 100;

/// What one process has asked for, and has been given.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct ShareClaim {
    /// What it wanted to use of late, refused requests included.
    pub demand: u64,
    /// What it may use.
    pub share: u64,
    /// When that ends.
    pub until: Time,
}

/// What a process is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GivenShare {
    /// What it may use.
    pub share: u64,
    /// For how long, from when it asked: what the answer took is lost to the one who asked, not to the others.
    pub ttl: Duration,
    /// How many processes share the limit.
    pub nodes: usize,
}

/// The share of one process by what all of them want: a quarter of an even share first, then its part of the rest by demand; at
/// most what the others have not been given. So all shares fit, once everybody has asked with the others' demand known.
pub fn fair_share(limit: u64, demand: u64, all_demand: u64, nodes: u64, others: u64) -> u64 {
    let all_demand = u128::from(all_demand.max(demand).max(1));
    let floor = limit / nodes.max(1).saturating_mul(4);
    let rest = limit - floor.saturating_mul(nodes).min(limit);
    let part = u128::from(rest) * u128::from(demand) / all_demand;
    let part = u64::try_from(part).unwrap_or(rest);
    // Alone nothing is left over by rounding.
    let fair = if nodes <= 1 {
        limit
    } else {
        floor.saturating_add(part)
    };
    fair.min(limit.saturating_sub(others))
}

/// One limit, as the store has it.
#[derive(Clone, Debug)]
pub struct SharedLimit {
    limit: u64,
    claims: BTreeMap<FleetNode, ShareClaim>,
    all_demand: u64,
    all_shares: u64,
    asked: u32,
}

impl SharedLimit {
    /// A limit that nobody uses yet.
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            claims: BTreeMap::new(),
            all_demand: 0,
            all_shares: 0,
            asked: 0,
        }
    }

    /// What all processes may use together at `now`.
    pub fn given(&self, now: Time) -> u64 {
        let live = self.claims.values().filter(|claim| now < claim.until);
        live.map(|claim| claim.share).sum()
    }

    /// The configuration says otherwise now. Shares that are out stay until they end.
    pub fn configure(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// A process asks, as it does while it uses the limit. Costs the same however many processes there are, but for each
    /// hundredth question.
    pub fn ask(&mut self, node: &FleetNode, demand: u64, now: Time) -> GivenShare {
        self.asked += 1;
        self.drop_ended(now);
        if self.asked.is_multiple_of(RECOUNT) {
            self.recount();
        }
        let own = self.claims.get(node).copied().unwrap_or_default();
        let all_demand = self
            .all_demand
            .saturating_sub(own.demand)
            .saturating_add(demand);
        let others = self.all_shares.saturating_sub(own.share);
        let is_new = !self.claims.contains_key(node);
        let nodes = self.claims.len() + usize::from(is_new);
        let count = u64::try_from(nodes).unwrap_or(u64::MAX);
        let share = fair_share(self.limit, demand, all_demand, count, others);
        let claim = ShareClaim {
            demand,
            share,
            until: now + SHARE_TTL,
        };
        self.all_demand = all_demand;
        self.all_shares = others.saturating_add(share);
        self.claims.insert(node.clone(), claim);
        GivenShare {
            share,
            ttl: SHARE_TTL,
            nodes,
        }
    }

    /// A process needs nothing of it any more.
    pub fn give_back(&mut self, node: &FleetNode) {
        if let Some(claim) = self.claims.remove(node) {
            self.subtract(claim);
        }
    }

    fn drop_ended(&mut self, now: Time) {
        let ended = self.claims.iter().filter(|(_, claim)| claim.until <= now);
        let ended: Vec<_> = ended
            .map(|(node, _)| node.clone())
            .take(MOST_DROPPED)
            .collect();
        for node in ended {
            self.give_back(&node);
        }
    }

    fn subtract(&mut self, claim: ShareClaim) {
        self.all_demand = self.all_demand.saturating_sub(claim.demand);
        self.all_shares = self.all_shares.saturating_sub(claim.share);
    }

    fn recount(&mut self) {
        self.all_demand = self.claims.values().map(|claim| claim.demand).sum();
        self.all_shares = self.claims.values().map(|claim| claim.share).sum();
    }
}

/// Who uses a limit that is too small to be divided among all: of a limit of which `least` is needed to be of any use, as many
/// processes as that allows, the first by rank. The others use their other keys.
pub fn is_holder(
    subject: &FleetSubject,
    node: &FleetNode,
    nodes: &[FleetNode],
    limit: u64,
    least: u64,
) -> bool {
    let holders = (limit / least.max(1)).max(1);
    u64::from(rank::rank(subject, node, nodes)) < holders
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::fleet::FactKind;
    use crate::domain::persisted::Fingerprint;

    const MS: Duration = Duration::from_millis(1);

    fn node(number: usize) -> FleetNode {
        FleetNode::from(format!("n{number}.0"))
    }

    /// All ask in turn, so often.
    fn settle(limit: &mut SharedLimit, demands: &[u64], rounds: u32, mut now: Time) -> Vec<u64> {
        let mut shares = vec![0; demands.len()];
        for _ in 0..rounds {
            for (number, demand) in demands.iter().enumerate() {
                now = now + MS;
                shares[number] = limit.ask(&node(number), *demand, now).share;
            }
        }
        shares
    }

    #[test]
    fn shares_follow_demand_after_two_rounds_and_leave_a_floor() {
        let mut limit = SharedLimit::new(1000);
        assert_eq!(settle(&mut limit, &[10], 1, Time::ZERO), [1000]);
        let shares = settle(&mut limit, &[10, 30], 3, Time::ZERO);
        assert_eq!(shares, [312, 687]);
        let shares = settle(&mut limit, &[100, 300, 0, 1], 3, Time::ZERO);
        assert!(shares[2] >= 50 && shares[3] >= 50, "{shares:?}");
        assert!(shares.iter().sum::<u64>() <= 1000, "{shares:?}");
    }

    #[test]
    fn what_a_killed_process_had_comes_back_when_it_has_ended() {
        let mut limit = SharedLimit::new(100);
        let now = Time::from_millis(1);
        settle(&mut limit, &[1, 1], 3, now);
        let alone = limit.ask(&node(0), 1, now + SHARE_TTL + 10 * MS);
        assert_eq!((alone.share, alone.nodes), (100, 1));
    }

    #[test]
    fn a_small_limit_is_for_a_few() {
        let nodes: Vec<FleetNode> = (0..200).map(node).collect();
        let subject = FleetSubject {
            owner: Fingerprint([7; 16]),
            kind: FactKind::Cooling,
            model: None,
            operation: None,
        };
        let holders = |limit, least| {
            let all = nodes.iter();
            all.filter(|it| is_holder(&subject, it, &nodes, limit, least))
                .count()
        };
        assert_eq!(holders(60, 12), 5);
        assert_eq!(holders(1, 12), 1);
        assert_eq!(holders(10_000, 12), 200);
    }

    proptest! {
        /// Law F2: whoever asks when and for what, what all may use together is within the limit. Law F5: nothing that a
        /// process had is missing after its end.
        #[test]
        fn f2_all_shares_together_are_within_the_limit(
            limit in 0u64..10_000,
            asks in prop::collection::vec((0usize..12, 0u64..5000, 0u32..900, any::<bool>()), 1..300),
        ) {
            let mut shared = SharedLimit::new(limit);
            let mut now = Time::ZERO;
            for (number, demand, step, leaves) in asks {
                now = now + MS * step;
                if leaves && demand % 7 == 0 {
                    shared.give_back(&node(number));
                } else {
                    let given = shared.ask(&node(number), demand, now);
                    prop_assert!(given.share <= limit);
                }
                prop_assert!(shared.given(now) <= limit);
                prop_assert!(shared.all_shares >= shared.given(now));
            }
            let later = now + 2 * SHARE_TTL;
            let alone = shared.ask(&node(99), 1, later);
            prop_assert_eq!(alone.share, limit);
        }
    }
}
