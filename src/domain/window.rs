//! A sum over the latest seconds, in slots: what a rate per minute, a quota per day and a failure
//! rate have in common. No I/O, no clock, no logging.

use std::time::Duration;

use super::time::Time;

/// Sum of what was added during the last `span`, kept in slots of equal length.
///
/// A slot leaves as a whole, `span` after it began plus one slot: the sum is never too small, so a limit
/// checked against it is never exceeded in any stretch of `span`.
#[derive(Clone, Debug)]
pub struct RollingSum {
    slot_nanos: u64,
    slots: Vec<u64>,
    /// Number of the newest slot since the start of time.
    newest: u64,
    total: u64,
}

impl RollingSum {
    /// A sum over `span` in `slots` slots (both at least 1 ns and 1).
    pub fn new(span: Duration, slots: u32) -> Self {
        let slots = slots.max(1);
        let span = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        let len = usize::try_from(slots).unwrap_or(1) + 1;
        Self {
            slot_nanos: (span / u64::from(slots)).max(1),
            slots: vec![0; len],
            newest: 0,
            total: 0,
        }
    }

    /// Adds `amount` at `now`.
    pub fn add(&mut self, amount: u64, now: Time) {
        self.advance(now);
        let index = self.index(self.newest);
        if let Some(slot) = self.slots.get_mut(index) {
            *slot = slot.saturating_add(amount);
            self.total = self.total.saturating_add(amount);
        }
    }

    /// Takes back up to `amount` of what was added at `then`; nothing when that has left the sum already.
    pub fn take_back_from(&mut self, then: Time, amount: u64, now: Time) {
        self.advance(now);
        let number = then.as_nanos() / self.slot_nanos;
        let oldest = (self.newest + 1).saturating_sub(self.slots.len() as u64);
        let index = self.index(number);
        if (oldest..=self.newest).contains(&number)
            && let Some(slot) = self.slots.get_mut(index)
        {
            let part = amount.min(*slot);
            *slot -= part;
            self.total -= part;
        }
    }

    /// The sum over the last span, seen from `now`.
    pub fn total(&self, now: Time) -> u64 {
        let current = now.as_nanos() / self.slot_nanos;
        let gone = current.saturating_sub(self.newest);
        if gone == 0 {
            return self.total;
        }
        self.live_slots(current).map(|(_, amount)| amount).sum()
    }

    /// The earliest moment, from `now` on, at which the sum is at most `limit`.
    pub fn earliest_at_most(&self, limit: u64, now: Time) -> Time {
        let mut total = self.total(now);
        if total <= limit {
            return now;
        }
        let current = now.as_nanos() / self.slot_nanos;
        for (number, amount) in self.live_slots(current) {
            total -= amount;
            if total <= limit {
                let leaves = number.saturating_add(self.slots.len() as u64);
                return Time::from_nanos(leaves.saturating_mul(self.slot_nanos)).max(now);
            }
        }
        now
    }

    /// Slots that still count when `current` is the newest slot's number: oldest first.
    fn live_slots(&self, current: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
        let len = self.slots.len() as u64;
        let oldest_live = (current + 1).saturating_sub(len);
        let oldest_kept = (self.newest + 1).saturating_sub(len);
        (oldest_live.max(oldest_kept)..=self.newest).map(|number| {
            (
                number,
                self.slots.get(self.index(number)).copied().unwrap_or(0),
            )
        })
    }

    fn advance(&mut self, now: Time) {
        let current = now.as_nanos() / self.slot_nanos;
        let steps = current.saturating_sub(self.newest);
        for step in 1..=steps.min(self.slots.len() as u64) {
            let index = self.index(self.newest + step);
            if let Some(slot) = self.slots.get_mut(index) {
                self.total -= *slot;
                *slot = 0;
            }
        }
        self.newest = self.newest.max(current);
    }

    fn index(&self, number: u64) -> usize {
        usize::try_from(number % self.slots.len() as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secs(n: u64) -> Time {
        Time::from_millis(n * 1000)
    }

    #[test]
    fn forgets_what_is_older_than_the_span() {
        let mut sum = RollingSum::new(Duration::from_secs(60), 60);
        sum.add(5, secs(0));
        sum.add(7, secs(30));
        assert_eq!(sum.total(secs(59)), 12);
        assert_eq!(sum.total(secs(61)), 7);
        assert_eq!(sum.total(secs(1000)), 0);
    }

    #[test]
    fn names_the_moment_at_which_there_is_room_again() {
        let mut sum = RollingSum::new(Duration::from_secs(60), 60);
        for _ in 0..3 {
            sum.add(1, secs(10));
        }
        let ready = sum.earliest_at_most(2, secs(20));
        assert_eq!(ready, secs(71));
        assert_eq!(sum.total(ready), 0);
    }

    #[test]
    fn a_reservation_can_be_taken_back() {
        let mut sum = RollingSum::new(Duration::from_secs(60), 60);
        sum.add(100, secs(0));
        sum.add(9, secs(4));
        sum.take_back_from(secs(0), 60, secs(5));
        assert_eq!(sum.total(secs(5)), 49);
        assert_eq!(sum.total(secs(62)), 9, "what was added later stays");
        sum.take_back_from(secs(0), 40, secs(62));
        assert_eq!(sum.total(secs(62)), 9, "it has left already");
    }

    proptest! {
        /// Against a plain list: never too small, and too large by less than one slot's age.
        #[test]
        fn bounds_the_exact_sum(adds in prop::collection::vec((0u64..3000, 1u64..10), 1..60)) {
            let span = Duration::from_secs(10);
            let mut sum = RollingSum::new(span, 10);
            let mut all: Vec<(Time, u64)> = Vec::new();
            let mut now = Time::ZERO;
            for (step, amount) in adds {
                now = now + Duration::from_millis(step);
                sum.add(amount, now);
                all.push((now, amount));
                let within = |age: Duration| all.iter().filter(|(at, _)| now.since(*at) < age).map(|(_, n)| n).sum::<u64>();
                prop_assert!(sum.total(now) >= within(span));
                prop_assert!(sum.total(now) <= within(span + Duration::from_millis(1100)));
                let ready = sum.earliest_at_most(5, now);
                prop_assert!(sum.total(ready) <= 5);
            }
        }
    }
}
