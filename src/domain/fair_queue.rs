//! A fair queue of work of very different sizes: a share for each client, and of one client's work the small items
//! first.
//!
//! Between clients this is start-time fair queueing (Goyal, Vin, Cheng 1997): a client's tag grows by the size of what
//! it was given, and the client with the smallest tag is next. One that comes after a pause begins at the tag that is
//! being served, so that it neither catches up on what it did not ask for nor waits behind a queue of another one.
//! Of one client's the order is that of arrival plus a span for the size ([`SPAN_PER_UNIT`]), a deadline in effect: what
//! small items overtake large ones, but not for an unbounded time. No I/O, no clock, no logging.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::time::Time;

/// The client that the work belongs to; `None`: all callers without a client together.
pub type Owner = Option<Arc<str>>;

/// A unit of size (a byte of text, say) counts as a later arrival by this span. At a byte per microsecond, which is
/// about what counting tokens takes, a large item is overtaken for about as long as it takes itself.
pub const SPAN_PER_UNIT: Duration = Duration::from_micros(1);

/// A place in the order of one owner's work: when it would be due, and the number of its arrival.
type Rank = (Time, u64);

/// What was pushed, to take it out again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueueTicket {
    owner: Owner,
    rank: Rank,
}

#[derive(Debug)]
struct Lane<T> {
    /// The virtual time from which it may have more.
    tag: u64,
    waiting: BTreeMap<Rank, (u64, T)>,
}

/// A queue with fair shares.
#[derive(Debug)]
pub struct FairQueue<T> {
    lanes: BTreeMap<Owner, Lane<T>>,
    /// The tag of the last one that was served.
    served: u64,
    arrivals: u64,
    len: usize,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self {
            lanes: BTreeMap::new(),
            served: 0,
            arrivals: 0,
            len: 0,
        }
    }
}

impl<T> FairQueue<T> {
    /// The number of waiting items.
    #[cfg(feature = "internals")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no waiting items.
    #[cfg(feature = "internals")]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of owners that it keeps: those with waiting items, and those that had more than their share.
    #[cfg(feature = "internals")]
    pub fn owners(&self) -> usize {
        self.lanes.len()
    }

    /// One more, of this size.
    pub fn push(&mut self, owner: Owner, size: u64, now: Time, item: T) -> QueueTicket {
        self.arrivals += 1;
        let later = u32::try_from(size).unwrap_or(u32::MAX);
        let rank = (now + SPAN_PER_UNIT.saturating_mul(later), self.arrivals);
        let served = self.served;
        let lane = self.lanes.entry(owner.clone()).or_insert_with(|| Lane {
            tag: served,
            waiting: BTreeMap::new(),
        });
        if lane.waiting.is_empty() {
            lane.tag = lane.tag.max(served);
        }
        lane.waiting.insert(rank, (size, item));
        self.len += 1;
        QueueTicket { owner, rank }
    }

    /// Takes out the next item.
    pub fn pop(&mut self) -> Option<T> {
        let heads = self.lanes.iter().filter_map(|(owner, lane)| {
            let (rank, _) = lane.waiting.first_key_value()?;
            Some(((lane.tag, *rank), owner))
        });
        let owner = heads.min().map(|(_, owner)| owner.clone())?;
        let lane = self.lanes.get_mut(&owner)?;
        let (_, (size, item)) = lane.waiting.pop_first()?;
        self.served = lane.tag;
        lane.tag = lane.tag.saturating_add(size.max(1));
        self.len -= 1;
        self.forget();
        Some(item)
    }

    /// Takes one out that no longer waits; `None` when it is out already.
    pub fn remove(&mut self, ticket: &QueueTicket) -> Option<T> {
        let lane = self.lanes.get_mut(&ticket.owner)?;
        let (_, item) = lane.waiting.remove(&ticket.rank)?;
        self.len -= 1;
        self.forget();
        Some(item)
    }

    /// Forgets owners whose tag is behind the present one; when nothing waits, all of them.
    fn forget(&mut self) {
        let (served, idle) = (self.served, self.len == 0);
        self.lanes
            .retain(|_, lane| !lane.waiting.is_empty() || (lane.tag > served && !idle));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn owner(name: &str) -> Owner {
        Some(Arc::from(name))
    }

    fn order(queue: &mut FairQueue<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn a_small_one_of_another_client_does_not_wait_behind_a_queue_of_large_ones() {
        let mut queue = FairQueue::default();
        for _ in 0..20 {
            queue.push(owner("a"), 3_000_000, Time::ZERO, "large");
        }
        queue.pop();
        queue.push(owner("b"), 250_000, Time::ZERO + S, "small");
        assert_eq!(queue.pop(), Some("small"));
    }

    #[test]
    fn each_client_has_its_share_however_many_the_other_one_sends() {
        let mut queue = FairQueue::default();
        for _ in 0..100 {
            queue.push(owner("a"), 1000, Time::ZERO, "a");
        }
        for _ in 0..10 {
            queue.push(owner("b"), 1000, Time::ZERO, "b");
        }
        let first = order(&mut queue).into_iter().take(20);
        assert_eq!(first.filter(|who| *who == "b").count(), 10);
    }

    #[test]
    fn of_one_client_the_small_ones_are_first_and_the_large_ones_are_not_starved() {
        let mut queue = FairQueue::default();
        queue.push(None, 3_000_000, Time::ZERO, "large");
        queue.push(None, 1000, Time::ZERO + S, "small");
        queue.push(None, 1000, Time::ZERO + 4 * S, "late");
        assert_eq!(order(&mut queue), ["small", "large", "late"]);
    }

    #[test]
    fn who_is_gone_is_taken_out_and_nobody_is_remembered_for_nothing() {
        let mut queue = FairQueue::default();
        let one = queue.push(owner("a"), 5, Time::ZERO, "one");
        queue.push(owner("b"), 9, Time::ZERO, "two");
        assert_eq!(queue.remove(&one), Some("one"));
        assert_eq!(queue.remove(&one), None);
        assert_eq!((queue.len(), queue.owners()), (1, 1));
        assert_eq!(queue.pop(), Some("two"));
        assert!(queue.is_empty() && queue.pop().is_none());
        assert_eq!(queue.owners(), 0);
    }

    proptest! {
        /// Everything comes out once, and no client gets more than one item's size ahead of another one that waits all
        /// the time.
        #[test]
        fn shares_are_equal(sizes in prop::collection::vec((0usize..3, 1u64..1000), 1..80)) {
            let names = ["a", "b", "c"];
            let mut queue = FairQueue::default();
            let mut left = [0usize; 3];
            for (who, size) in &sizes {
                queue.push(owner(names[*who]), *size, Time::ZERO, (*who, *size));
                left[*who] += 1;
            }
            let mut given = [0u64; 3];
            let mut out = 0;
            let all = left;
            while let Some((who, size)) = queue.pop() {
                given[who] += size;
                left[who] -= 1;
                out += 1;
                let waiting: Vec<u64> = (0..3).filter(|n| all[*n] > 0 && left[*n] > 0).map(|n| given[n]).collect();
                if let (Some(most), Some(least)) = (waiting.iter().max(), waiting.iter().min()) {
                    prop_assert!(most - least <= 1000);
                }
            }
            prop_assert_eq!(out, sizes.len());
            prop_assert_eq!(queue.owners(), 0);
        }
    }
}
