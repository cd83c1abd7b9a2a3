//! Parts of a budget: how much of it each process may spend by itself, so that all together never spend more than the whole,
//! even while some of them do not reach the store.
//!
//! A process *claims* a part before it spends it, and says what it has spent in sums that only grow, so that a report that is
//! lost or comes twice changes nothing. A request reserves within what its process has claimed. Of a process that says nothing any
//! more nobody knows what it has spent: its claim counts as spent until the window ends. Claims are small, so that is little.

use std::collections::BTreeMap;

use crate::domain::ids::FleetNode;

/// How much is claimed at once, in the unit of the budget: twice what the last ten seconds took, and at most such a part of the
/// rest that it halves towards the end.
pub fn chunk(recent: u64, remaining: u64, nodes: u64) -> u64 {
    let most = remaining / nodes.max(1).saturating_mul(2);
    let wanted = recent.saturating_mul(2);
    match most {
        // The last of it goes to whoever asks.
        0 => remaining.min(wanted),
        most => wanted.min(most),
    }
}

/// What a process has of a budget. All amounts are sums since its start, in this window.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct BudgetPart {
    /// It may have spent so much.
    pub claimed: u64,
    /// It has.
    pub used: u64,
    /// Requests under way have reserved so much beside that.
    pub reserved: u64,
}

impl BudgetPart {
    /// Reserves for a request. Says whether that was within the claim.
    pub fn reserve(&mut self, amount: u64) -> bool {
        let taken = self.used.saturating_add(self.reserved);
        let fits = taken.saturating_add(amount) <= self.claimed;
        if fits {
            self.reserved += amount;
        }
        fits
    }

    /// A request has ended, and cost that.
    pub fn settle(&mut self, reserved: u64, cost: u64) {
        self.reserved = self.reserved.saturating_sub(reserved);
        self.used = self.used.saturating_add(cost);
    }

    /// The store has answered. Answers may come in any order.
    pub fn given(&mut self, claimed: u64) {
        self.claimed = self.claimed.max(claimed);
    }
}

#[derive(Clone, Copy, Default, Debug)]
struct BudgetClaim {
    claimed: u64,
    used: u64,
}

/// A budget in one window, as the store has it.
#[derive(Clone, Debug)]
pub struct SharedBudget {
    amount: u64,
    claims: BTreeMap<FleetNode, BudgetClaim>,
}

impl SharedBudget {
    /// A budget of which nothing is spent.
    pub fn new(amount: u64) -> Self {
        Self {
            amount,
            claims: BTreeMap::new(),
        }
    }

    /// What nobody has spent or claimed.
    pub fn remaining(&self) -> u64 {
        let taken = self.claims.values();
        let taken = taken.map(|claim| claim.claimed.max(claim.used));
        self.amount
            .saturating_sub(taken.fold(0, u64::saturating_add))
    }

    /// A process says what it has spent, and how much the last ten seconds took; answers what it may have spent.
    pub fn ask(&mut self, node: &FleetNode, used: u64, recent: u64) -> u64 {
        let mut claim = self.claims.get(node).copied().unwrap_or_default();
        claim.used = claim.used.max(used);
        claim.claimed = claim.claimed.max(claim.used);
        self.claims.insert(node.clone(), claim);
        let nodes = u64::try_from(self.claims.len()).unwrap_or(u64::MAX);
        let remaining = self.remaining();
        let unspent = claim.claimed - claim.used;
        let more = chunk(recent, remaining, nodes).saturating_sub(unspent);
        claim.claimed += more.min(remaining);
        self.claims.insert(node.clone(), claim);
        claim.claimed
    }

    /// A process ends, and has spent that: the rest of its claim is there for others.
    pub fn give_back(&mut self, node: &FleetNode, used: u64) {
        if let Some(claim) = self.claims.get_mut(node) {
            claim.used = claim.used.max(used);
            claim.claimed = claim.used;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn node(number: usize) -> FleetNode {
        FleetNode::from(format!("n{number}.0"))
    }

    #[test]
    fn chunks_follow_what_is_spent_and_halve_towards_the_end() {
        assert_eq!(chunk(100, 1_000_000, 10), 200);
        assert_eq!(chunk(100, 1000, 10), 50);
        assert_eq!(chunk(100, 10, 10), 10);
        assert_eq!(chunk(0, 1000, 10), 0);
    }

    #[test]
    fn a_budget_is_spent_to_its_end_by_those_who_are_there() {
        let mut budget = SharedBudget::new(1000);
        let mut parts = [BudgetPart::default(); 3];
        for round in 0..2000 {
            let number = round % 3;
            let part = &mut parts[number];
            part.given(budget.ask(&node(number), part.used, 20));
            if part.reserve(1) {
                part.settle(1, 1);
            }
        }
        let spent: u64 = parts.iter().map(|part| part.used).sum();
        assert!((960..=1000).contains(&spent), "{spent}");
    }

    #[test]
    fn who_leaves_in_order_leaves_nothing_behind() {
        let mut budget = SharedBudget::new(1000);
        let claimed = budget.ask(&node(0), 0, 200);
        assert_eq!(budget.remaining(), 1000 - claimed);
        budget.give_back(&node(0), 10);
        assert_eq!(budget.remaining(), 990);
    }

    proptest! {
        /// Law F7: whoever is cut off or killed when, all together spend no more than the budget, as long as no request costs
        /// more than it reserved.
        #[test]
        fn f7_no_budget_is_overspent_even_in_a_partition(
            amount in 0u64..3000,
            steps in prop::collection::vec((0usize..5, 0u8..10, 1u64..60), 1..400),
        ) {
            let mut budget = SharedBudget::new(amount);
            let mut parts = [BudgetPart::default(); 5];
            let mut starts = [0; 5];
            let mut spent_by_dead = 0;
            let mut open: Vec<(usize, u64)> = Vec::new();
            for (number, what, size) in steps {
                let name = node(number * 1000 + starts[number]);
                let part = &mut parts[number];
                match what {
                    // Asks, and the answer may be lost.
                    0..=3 => {
                        let claimed = budget.ask(&name, part.used, size);
                        if what > 0 {
                            part.given(claimed);
                        }
                    }
                    4..=6 => {
                        if part.reserve(size) {
                            open.push((number, size));
                        }
                    }
                    7 | 8 => {
                        if let Some(at) = open.iter().position(|(of, _)| *of == number) {
                            let (_, reserved) = open.swap_remove(at);
                            part.settle(reserved, reserved - reserved / 4);
                        }
                    }
                    // Killed: what it had reserved may be spent. The next start is another process.
                    _ => {
                        spent_by_dead += part.used + part.reserved;
                        *part = BudgetPart::default();
                        open.retain(|(of, _)| *of != number);
                        starts[number] += 1;
                    }
                }
                let spent: u64 = parts.iter().map(|part| part.used + part.reserved).sum();
                prop_assert!(spent + spent_by_dead <= amount, "{} of {}", spent, amount);
            }
        }
    }
}
