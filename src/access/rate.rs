//! One rate of a client as one number that many change at once, without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::gcra::Gcra;
use crate::domain::time::Time;

/// Which limit was met.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LimitMet {
    Requests,
    Tokens,
    /// The fleet's store cannot be asked, and the configuration refuses then.
    Fleet,
}

/// A theoretical arrival time, in nanoseconds.
#[derive(Debug, Default)]
pub(super) struct AtomicGcra(AtomicU64);

impl AtomicGcra {
    pub(super) fn take(&self, rate: Gcra, amount: u64, now: Time) -> Result<Time, Time> {
        let mut told = now;
        let take = |paid: u64| match rate.take(Time::from_nanos(paid), now, amount) {
            Ok(next) => {
                told = next;
                Some(next.as_nanos())
            }
            Err(ready) => {
                told = ready;
                None
            }
        };
        let taken = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        match taken {
            Ok(_) => Ok(told),
            Err(_) => Err(told),
        }
    }

    /// Whether [`take`](Self::take) would succeed; changes nothing.
    pub(super) fn look(&self, rate: Gcra, amount: u64, now: Time) -> Result<(), Time> {
        let paid = Time::from_nanos(self.0.load(Ordering::Relaxed));
        rate.take(paid, now, amount).map(drop)
    }

    pub(super) fn level(&self, rate: Gcra, now: Time) -> u64 {
        rate.level(Time::from_nanos(self.0.load(Ordering::Relaxed)), now)
    }

    /// The rate becomes another one. What was taken stays so; what does not fit into the new bucket comes back.
    pub(super) fn change(&self, before: Gcra, after: Gcra, now: Time) -> u64 {
        let mut rest = 0;
        let change = |paid: u64| {
            let level = before.level(Time::from_nanos(paid), now);
            rest = level.saturating_sub(after.allowance());
            let paid = after.paid_for(level.min(after.allowance()), now);
            Some(paid.as_nanos())
        };
        // It always has a next value.
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
        rest
    }

    pub(super) fn correct(&self, rate: Gcra, now: Time, taken: Time, reserved: u64, used: u64) {
        let correct = |paid: u64| {
            let next = rate.correct(Time::from_nanos(paid), now, taken, reserved, used);
            Some(next.as_nanos())
        };
        // It always has a next value.
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, correct);
    }
}
