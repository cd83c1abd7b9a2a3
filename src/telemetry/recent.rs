//! The latest requests with all their facts, to explain what happened. Memory is bounded, adding
//! never waits, and readers block nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;

use super::request_record::RequestRecord;

/// A request with its number.
#[derive(Debug)]
pub struct NumberedRequest {
    /// Counts from 1.
    pub number: u64,
    /// The facts of the request.
    pub record: RequestRecord,
}

/// The latest requests.
#[derive(Debug)]
pub struct RecentRequests {
    latest: AtomicU64,
    slots: Box<[ArcSwapOption<NumberedRequest>]>,
}

impl RecentRequests {
    /// Keeps this many; 0 keeps none.
    pub fn new(kept: usize) -> Self {
        Self {
            latest: AtomicU64::new(0),
            slots: (0..kept).map(|_| ArcSwapOption::empty()).collect(),
        }
    }

    /// Adds a request, and returns it for other uses.
    pub fn push(&self, record: RequestRecord) -> Arc<NumberedRequest> {
        if self.slots.is_empty() {
            return Arc::new(NumberedRequest { number: 0, record });
        }
        let number = self.latest.fetch_add(1, Ordering::AcqRel) + 1;
        let numbered = Arc::new(NumberedRequest { number, record });
        if let Some(slot) = self.slot(number) {
            slot.store(Some(Arc::clone(&numbered)));
        }
        numbered
    }

    /// How many are kept at most.
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// The number of the last one; 0 before the first.
    pub fn latest(&self) -> u64 {
        self.latest.load(Ordering::Acquire)
    }

    /// Those that are kept with a number below `before`, newest first.
    pub fn before(&self, before: u64) -> impl Iterator<Item = Arc<NumberedRequest>> {
        let newest = self.latest().min(before.saturating_sub(1));
        let kept = u64::try_from(self.slots.len()).unwrap_or(u64::MAX);
        let oldest = (self.latest() + 1).saturating_sub(kept).max(1);
        (oldest..=newest)
            .rev()
            .filter_map(|number| self.numbered(number))
    }

    /// The one of this number, while it is kept.
    pub fn numbered(&self, number: u64) -> Option<Arc<NumberedRequest>> {
        let found = self.slot(number)?.load_full()?;
        (found.number == number).then_some(found)
    }

    /// The latest one of this id, while it is kept.
    pub fn named(&self, id: &str) -> Option<Arc<NumberedRequest>> {
        self.before(u64::MAX).find(|one| *one.record.id == *id)
    }

    fn slot(&self, number: u64) -> Option<&ArcSwapOption<NumberedRequest>> {
        let at = usize::try_from(number)
            .ok()?
            .checked_rem(self.slots.len())?;
        self.slots.get(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::dialect::Operation;
    use crate::domain::time::Time;

    fn push(ring: &RecentRequests, id: &str) {
        ring.push(RequestRecord {
            id: Arc::from(id),
            client: None,
            operation: Operation::Chat,
            stream: false,
            target: String::new(),
            chain: None,
            routing: None,
            outcome: "answered",
            status: Some(200),
            attempts: Vec::new(),
            refused: None,
            lookup: crate::domain::attempt_record::CacheLookup::Off,
            saved: None,
            rescue_obstacles: Vec::new(),
            started: Time::ZERO,
            complete: Time::ZERO,
            ended: Time::ZERO,
            first_token: None,
            usage: None,
            trace: None,
        });
    }

    fn numbers(ring: &RecentRequests, before: u64) -> Vec<u64> {
        ring.before(before).map(|one| one.number).collect()
    }

    #[test]
    fn the_latest_are_kept_newest_first_and_found_by_id() {
        let ring = RecentRequests::new(3);
        assert!(numbers(&ring, u64::MAX).is_empty());
        for id in ["a", "b", "c", "d", "e"] {
            push(&ring, id);
        }
        assert_eq!(numbers(&ring, u64::MAX), [5, 4, 3]);
        assert_eq!(numbers(&ring, 5), [4, 3]);
        assert_eq!(ring.named("d").map(|one| one.number), Some(4));
        assert!(ring.named("a").is_none() && ring.numbered(2).is_none());
        assert_eq!(ring.latest(), 5);
    }

    #[test]
    fn a_ring_of_nothing_keeps_nothing() {
        let ring = RecentRequests::new(0);
        push(&ring, "a");
        assert!(ring.named("a").is_none() && numbers(&ring, u64::MAX).is_empty());
    }
}
