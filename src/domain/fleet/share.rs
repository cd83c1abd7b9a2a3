//! Shares of a limit, as the store divides it: how much of it each process may use by itself, so that all together stay
//! within it.
//!
//! A share is *leased*: it ends by itself, and nobody grows into it before it has ended or was given back. What a process has used
//! of a window goes on counting against the limit when its share has shrunk, until the window has passed. So the upper bound holds
//! before fairness does: a process that has just come waits until the others have shrunk, and until what they had used is over.
//! A smaller share counts only when its process says that it keeps to it: an answer may have been lost.
//!
//! The script `share.lua` of `store/fleet` is this, line by line; a test holds the one against the other. What is there to be
//! compared with it is no part of the program.

#[cfg(feature = "internals")]
use std::collections::BTreeMap;
use std::time::Duration;

#[cfg(feature = "internals")]
use crate::domain::ids::FleetNode;
#[cfg(feature = "internals")]
use crate::domain::time::Time;

/// A process that holds a limit which is too small for all gives it up after so long, when others want it.
pub const HOLD: Duration = Duration::from_secs(15);
/// And does not ask for it again for so long. Likewise, others want it when one was refused it within this.
pub const REST: Duration = Duration::from_secs(2);
/// A limit that the store knows nothing of may have been lost: for so long nobody gets more than a small part.
pub const SETTLING: Duration = Duration::from_secs(2);
/// That part.
pub const FIRST_PART: u64 = 10;

/// What a process says when it asks for its share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ShareQuestion {
    /// Grows with each question of a process: one that comes late or twice changes nothing.
    pub seq: u64,
    /// The whole limit.
    pub limit: u64,
    /// What it keeps to at present.
    pub has: u64,
    /// What counts of its use: in the last minute or day, or at this moment.
    pub used: u64,
    /// What it wanted to use of late, refused requests included.
    pub demand: u64,
    /// Less than this is of no use to it.
    pub least: u64,
    /// How long the share is to last.
    pub ttl: Duration,
    /// How long what it has used counts after that, when it says nothing any more. The same in all questions about a limit.
    pub span: Duration,
}

/// What a process is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GivenShare {
    /// What it may use.
    pub share: u64,
    /// How many processes share the limit.
    pub nodes: u64,
}

/// What one process has asked for, and has been given.
#[cfg(feature = "internals")]
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct ShareClaim {
    seq: u64,
    demand: u64,
    /// What counts against the limit.
    held: u64,
    used: u64,
    /// When that ends: its share, or what it has used, for a process that says nothing any more.
    until: Time,
    span: Duration,
    turn: Option<ShareTurn>,
    is_silent: bool,
}

/// Where a process is in its turns with a limit that is too small for all.
#[cfg(feature = "internals")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ShareTurn {
    /// It holds it since then.
    Holds(Time),
    /// It does not ask for it until then.
    Rests(Time),
}

/// One limit, as the store has it.
#[cfg(feature = "internals")]
#[derive(Clone, Default, Debug)]
pub struct SharedLimit {
    claims: BTreeMap<FleetNode, ShareClaim>,
    born: Option<Time>,
    /// Processes that have a share.
    nodes: u64,
    demand: u64,
    held: u64,
    /// No claim ends before.
    first_end: Time,
    /// When somebody was last refused a limit that is too small for all.
    wanted: Option<Time>,
}

#[cfg(feature = "internals")]
impl ShareClaim {
    fn ends_turn(&mut self) {
        self.turn = (self.turn).filter(|turn| matches!(turn, ShareTurn::Rests(_)));
    }
}

/// A part of `limit` by demand: a quarter of an even share first (a sixteenth for one that wants nothing), then a part of the
/// rest by what all want. Who is alone has all of it, and half while it wants nothing, so that one that comes need not wait.
#[cfg(feature = "internals")]
pub fn fair_share(limit: u64, demand: u64, all_demand: u64, nodes: u64) -> u64 {
    let nodes = nodes.max(1);
    if nodes == 1 && demand == 0 {
        return limit - limit / 2;
    }
    if nodes == 1 {
        return limit;
    }
    if demand == 0 {
        return limit / nodes.saturating_mul(16);
    }
    let floor = limit / nodes.saturating_mul(4);
    let rest = limit - floor.saturating_mul(nodes).min(limit);
    let all = u128::from(all_demand.max(demand));
    let part = u128::from(rest) * u128::from(demand) / all;
    floor.saturating_add(u64::try_from(part).unwrap_or(rest))
}

#[cfg(feature = "internals")]
impl SharedLimit {
    /// What counts of it at `now`.
    pub fn held(&self, now: Time) -> u64 {
        let claims = self.claims.values();
        let held = claims.map(|claim| match now < claim.until {
            true => claim.held,
            false if now < claim.until + claim.span && !claim.is_silent => claim.used,
            false => 0,
        });
        held.fold(0, u64::saturating_add)
    }

    /// A process asks, as it does while it uses the limit. Costs the same however many processes there are, but for once in
    /// the time that the shortest share lasts. `None`: it has asked something later already.
    pub fn ask(&mut self, node: &FleetNode, asks: ShareQuestion, now: Time) -> Option<GivenShare> {
        if now >= self.first_end {
            self.count(now);
        }
        let own = self.claims.get(node).copied().unwrap_or_default();
        if asks.seq <= own.seq {
            return None;
        }
        let known = self.claims.contains_key(node) && !own.is_silent;
        let born = *self.born.get_or_insert(now);
        let nodes = if known { self.nodes } else { self.nodes + 1 };
        let all_demand = self.demand - own.demand + asks.demand;
        let others = self.held - own.held;
        let room = asks.limit.saturating_sub(others);
        let mut claim = ShareClaim {
            turn: own.turn,
            ..ShareClaim::default()
        };
        let mut fair = fair_share(asks.limit, asks.demand, all_demand, nodes);
        if fair < asks.least && asks.demand > 0 {
            fair = self.exclusive(&asks, room, &mut claim, now);
        } else {
            claim.ends_turn();
        }
        if now < born + SETTLING {
            fair = fair.min(asks.has.max((asks.limit / FIRST_PART).max(1)));
        }
        let share = if asks.has >= fair {
            fair
        } else {
            fair.min(room.max(asks.has))
        };
        claim.seq = asks.seq;
        claim.demand = asks.demand;
        claim.held = share.max(asks.has).max(asks.used);
        claim.used = asks.used;
        claim.until = now + asks.ttl;
        claim.span = asks.span;
        self.nodes = nodes;
        self.demand = all_demand;
        self.held = others.saturating_add(claim.held);
        self.first_end = self.first_end.min(claim.until);
        self.claims.insert(node.clone(), claim);
        Some(GivenShare { share, nodes })
    }

    /// A limit that is too small to be divided: as many hold it as that allows, each for a while.
    fn exclusive(
        &mut self,
        asks: &ShareQuestion,
        room: u64,
        claim: &mut ShareClaim,
        now: Time,
    ) -> u64 {
        let is_wanted = self.wanted.is_some_and(|at| now < at + REST);
        if let Some(ShareTurn::Holds(since)) = claim.turn
            && asks.has >= asks.least
        {
            if !is_wanted || now < since + HOLD {
                return asks.least;
            }
            claim.turn = Some(ShareTurn::Rests(now + REST));
            return 0;
        }
        let rests = matches!(claim.turn, Some(ShareTurn::Rests(until)) if now < until);
        let may = !rests || !is_wanted;
        if may && room >= asks.least {
            claim.turn = Some(ShareTurn::Holds(now));
            return asks.least;
        }
        claim.ends_turn();
        if may {
            self.wanted = Some(now);
        }
        0
    }

    /// Drops claims that have ended, and counts the others anew.
    fn count(&mut self, now: Time) {
        (self.nodes, self.demand, self.held) = (0, 0, 0);
        self.first_end = Time::NEVER;
        self.claims.retain(|_, claim| {
            if claim.until <= now && !claim.is_silent {
                (claim.demand, claim.held) = (0, claim.used);
                (claim.until, claim.is_silent) = (claim.until + claim.span, true);
            }
            if claim.until <= now || claim.held == 0 && claim.is_silent {
                return false;
            }
            self.nodes += u64::from(!claim.is_silent);
            self.demand += claim.demand;
            self.held += claim.held;
            self.first_end = self.first_end.min(claim.until);
            true
        });
    }
}

/// An even part of a limit where nobody divides it, so that the parts of all make the whole: the first by rank get what is
/// left over.
pub fn even_share(limit: u64, nodes: u64, rank: u64) -> u64 {
    let nodes = nodes.max(1);
    limit / nodes + u64::from(rank < limit % nodes)
}

#[cfg(test)]
mod tests;
