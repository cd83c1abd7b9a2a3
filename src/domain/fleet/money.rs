//! Parts of a budget, as the store divides it: how much of it each process may spend by itself, so that all together never
//! spend more than the whole, even while some of them do not reach the store.
//!
//! A process *claims* a part before it spends it, and says what it has spent in sums that only grow. A request reserves within what
//! its process has claimed. What a process does not need it keeps to itself no longer first, and then says so. Of a process
//! that says nothing any more nobody knows what it has spent: its claim counts as spent until the window ends. Claims are small, so
//! that is little.
//!
//! The script `claim.lua` of `store/fleet` is this, line by line; a test holds the one against the other. Amounts are in
//! [`UNIT`]s, because a script reckons in doubles. What is there to be compared with the script is no part of
//! the program.

#[cfg(feature = "internals")]
use std::collections::BTreeMap;
use std::time::Duration;

#[cfg(feature = "internals")]
use crate::domain::ids::FleetNode;
use crate::domain::money::Pico;
#[cfg(feature = "internals")]
use crate::domain::time::Time;

/// So many picos are one unit: any amount stays exact in a double, whose integers end at 2⁵³.
pub const UNIT: u64 = 10_000;
/// A budget that the store knows nothing of may have been lost: for so long it is asked who knows what was spent, and nobody
/// gets more than a small part.
pub const SETTLING: Duration = Duration::from_secs(2);
/// That part.
pub const FIRST_PART: u64 = 16;

/// What was spent, in units, rounded up.
pub fn spent_units(amount: Pico) -> u64 {
    amount.get().div_ceil(UNIT)
}

/// What may be spent, in units, rounded down.
pub fn claim_units(amount: Pico) -> u64 {
    amount.get() / UNIT
}

/// An amount of units.
pub fn of_units(units: u64) -> Pico {
    Pico::new(units.saturating_mul(UNIT))
}

/// What a process says when it asks for a part of a budget. All amounts are sums since its start, in this window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClaimQuestion {
    /// Grows with each question of a process: one that comes late or twice changes nothing.
    pub seq: u64,
    /// The whole budget.
    pub amount: u64,
    /// It spends no more than this at present.
    pub has: u64,
    /// It has spent this.
    pub used: u64,
    /// It wants so much more.
    pub want: u64,
    /// It cannot do with less than that of it: a request was refused for it.
    pub need: u64,
    /// All together have spent at least this, as far as it has heard.
    pub heard: u64,
    /// Processes of the fleet, as far as it knows.
    pub nodes: u64,
}

/// What a process is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GivenClaim {
    /// It may have spent so much.
    pub claimed: u64,
    /// All have, as far as they have said.
    pub spent: u64,
    /// What nobody has spent or claimed.
    pub left: u64,
}

#[cfg(feature = "internals")]
#[derive(Clone, Copy, Default, Debug)]
struct BudgetClaim {
    seq: u64,
    claimed: u64,
    used: u64,
}

/// A budget in one window, as the store has it.
#[cfg(feature = "internals")]
#[derive(Clone, Default, Debug)]
pub struct SharedBudget {
    claims: BTreeMap<FleetNode, BudgetClaim>,
    born: Option<Time>,
    /// Of all claims together.
    claimed: u64,
    used: u64,
    /// The most that somebody has heard of while it settled.
    heard: u64,
    /// What was spent by processes that the store knows nothing of.
    lost: Option<u64>,
}

/// How much more a process gets: what it wants, at most such a part of the rest that it halves towards the end, and the last of it
/// to whoever cannot do without.
#[cfg(feature = "internals")]
pub fn chunk(want: u64, need: u64, left: u64, nodes: u64) -> u64 {
    let part = left / nodes.max(1).saturating_mul(2);
    want.min(part.max(need)).min(left)
}

#[cfg(feature = "internals")]
impl SharedBudget {
    /// What nobody has spent or claimed.
    pub fn left(&self, amount: u64) -> u64 {
        let taken = match self.lost {
            Some(lost) => self.claimed.saturating_add(lost),
            None => self.claimed.max(self.heard),
        };
        amount.saturating_sub(taken)
    }

    /// A process says what it has spent, and asks for more. `None`: it has asked something later already.
    pub fn ask(&mut self, node: &FleetNode, asks: ClaimQuestion, now: Time) -> Option<GivenClaim> {
        let own = self.claims.get(node).copied().unwrap_or_default();
        if asks.seq <= own.seq {
            return None;
        }
        let born = *self.born.get_or_insert(now);
        let used = own.used.max(asks.used);
        let mut claimed = used.max(asks.has);
        self.used = self.used - own.used + used;
        self.claimed = self.claimed - own.claimed + claimed;
        let settles = now < born + SETTLING;
        if self.lost.is_none() {
            self.heard = self.heard.max(asks.heard);
            if !settles {
                self.lost = Some(self.heard.saturating_sub(self.used));
            }
        }
        let left = self.left(asks.amount);
        let mut more = chunk(asks.want, asks.need, left, asks.nodes);
        if settles {
            let first = left / asks.nodes.max(1).saturating_mul(FIRST_PART);
            more = more.min(first.saturating_sub(claimed - used));
        }
        // What is too little for it is left every other time, so that others that come meanwhile put it to theirs: of
        // several that take back at once what they have given up, none would ever have enough.
        if left < asks.need && asks.seq % 2 == 1 {
            more = 0;
        }
        claimed += more;
        self.claimed += more;
        let claim = BudgetClaim {
            seq: asks.seq,
            claimed,
            used,
        };
        self.claims.insert(node.clone(), claim);
        let spent = match self.lost {
            Some(lost) => self.used.saturating_add(lost),
            None => self.used.max(self.heard),
        };
        Some(GivenClaim {
            claimed,
            spent,
            left: left - more,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn node(number: usize) -> FleetNode {
        FleetNode::from(format!("n{number}.0"))
    }

    /// A process as it spends: within what it was told.
    #[derive(Clone, Copy, Default, Debug)]
    struct Purse {
        seq: u64,
        claimed: u64,
        used: u64,
        reserved: u64,
        heard: u64,
    }

    impl Purse {
        fn asks(&mut self, amount: u64, want: u64, need: u64) -> ClaimQuestion {
            self.seq += 1;
            ClaimQuestion {
                seq: self.seq,
                amount,
                has: self.claimed,
                used: self.used,
                want,
                need,
                heard: self.heard,
                nodes: 5,
            }
        }

        fn given(&mut self, given: GivenClaim) {
            self.claimed = self.claimed.max(given.claimed);
            self.heard = self.heard.max(given.spent);
        }

        fn reserve(&mut self, amount: u64) -> bool {
            let fits = self.used + self.reserved + amount <= self.claimed;
            if fits {
                self.reserved += amount;
            }
            fits
        }
    }

    const LATER: Time = Time::from_millis(60_000);

    #[test]
    fn chunks_are_what_is_wanted_and_halve_towards_the_end() {
        assert_eq!(chunk(200, 0, 1_000_000, 10), 200);
        assert_eq!(chunk(200, 0, 1000, 10), 50);
        assert_eq!(chunk(200, 120, 1000, 10), 120);
        assert_eq!(chunk(200, 20, 15, 10), 15, "the last of it");
        assert_eq!(chunk(0, 0, 1000, 10), 0);
    }

    #[test]
    fn a_budget_is_spent_to_its_end_by_those_who_are_there() {
        let mut budget = SharedBudget::default();
        let mut all = [Purse::default(); 3];
        for round in 0..4000u64 {
            let number = usize::try_from(round % 3).unwrap();
            let asks = all[number].asks(1000, 20, 1);
            let now = Time::from_millis(round * 100);
            let given = budget.ask(&node(number), asks, now).unwrap();
            all[number].given(given);
            if all[number].reserve(1) {
                all[number].reserved -= 1;
                all[number].used += 1;
            }
        }
        let spent: u64 = all.iter().map(|purse| purse.used).sum();
        assert_eq!(spent, 1000);
    }

    #[test]
    fn what_a_process_gives_up_is_there_for_others() {
        let mut budget = SharedBudget::default();
        let mut purse = Purse::default();
        for _ in 0..2 {
            let asks = purse.asks(1000, 100, 0);
            purse.given(budget.ask(&node(0), asks, LATER).unwrap());
        }
        let asks = purse.asks(1000, 100, 0);
        let now = LATER + SETTLING;
        purse.given(budget.ask(&node(0), asks, now).unwrap());
        assert!(purse.claimed >= 100);
        assert_eq!(budget.left(1000), 1000 - purse.claimed);
        purse.claimed = 10;
        let asks = purse.asks(1000, 0, 0);
        budget.ask(&node(0), asks, now).unwrap();
        assert_eq!(budget.left(1000), 990);
    }

    #[test]
    fn a_store_that_has_lost_everything_hears_what_was_spent() {
        let mut budget = SharedBudget::default();
        // Two live of five: 700 were spent, 300 of it by them.
        let mut all = [Purse {
            used: 150,
            claimed: 150,
            heard: 700,
            ..Purse::default()
        }; 2];
        for step in 0..8u64 {
            for (number, purse) in all.iter_mut().enumerate() {
                let asks = purse.asks(1000, 500, 500);
                let now = LATER + Duration::from_millis(500 * step);
                purse.given(budget.ask(&node(number), asks, now).unwrap());
            }
        }
        let claimed: u64 = all.iter().map(|purse| purse.claimed).sum();
        assert_eq!(claimed - 300, 300, "what is left of 1000");
    }

    proptest! {
        /// Law F7: whoever is cut off or killed when, whatever is lost, late or comes twice, all together spend no more than the
        /// budget, as long as no request costs more than it reserved.
        #[test]
        fn f7_no_budget_is_overspent_even_in_a_partition(
            amount in 0u64..3000,
            steps in prop::collection::vec((0usize..5, 0u8..13, 1u64..60), 1..400),
        ) {
            let mut budget = SharedBudget::default();
            let mut all = [Purse::default(); 5];
            let mut starts = [0; 5];
            let mut spent_by_dead = 0;
            let mut open: Vec<(usize, u64)> = Vec::new();
            let mut old: Option<(FleetNode, ClaimQuestion)> = None;
            let mut now = LATER;
            for (number, what, size) in steps {
                now = now + Duration::from_millis(size * 10);
                let name = node(number * 1000 + starts[number]);
                let purse = &mut all[number];
                match what {
                    // Asks, and the answer may be lost.
                    0..=4 => {
                        let asks = purse.asks(amount, size * 2, size);
                        let given = budget.ask(&name, asks, now);
                        if what > 1 && let Some(given) = given {
                            purse.given(given);
                        }
                        if what == 1 {
                            old = Some((name, asks));
                        }
                    }
                    5..=7 => {
                        if purse.reserve(size) {
                            open.push((number, size));
                        }
                    }
                    8 | 9 => {
                        if let Some(at) = open.iter().position(|(of, _)| *of == number) {
                            let (_, reserved) = open.swap_remove(at);
                            purse.reserved -= reserved;
                            purse.used += reserved - reserved / 4;
                        }
                    }
                    // Keeps to less from now on.
                    10 => purse.claimed = purse.claimed.min(purse.used + purse.reserved + size),
                    11 => {
                        if let Some((name, asks)) = &old {
                            budget.ask(name, *asks, now);
                        }
                    }
                    // Killed: what it had reserved may be spent. The next start is another process.
                    _ => {
                        spent_by_dead += purse.used + purse.reserved;
                        *purse = Purse::default();
                        open.retain(|(of, _)| *of != number);
                        starts[number] += 1;
                    }
                }
                let spent: u64 = all.iter().map(|purse| purse.used + purse.reserved).sum();
                prop_assert!(spent + spent_by_dead <= amount, "{} of {}", spent, amount);
            }
        }
    }
}
