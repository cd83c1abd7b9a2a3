//! How much extra load failed attempts may put on one upstream.
//!
//! One budget per upstream and not per route: a budget per route would stop rightful failover in a full
//! outage of the preferred upstream, and it is the *target* of the extra load that needs protection.
//! Ratio and floor follow Finagle's and tower's defaults (20 % of ten seconds plus ten per second).
//! No I/O, no clock, no logging.

use std::time::Duration;

use super::limits::RetryBudgetPolicy;
use super::time::Time;
use super::window::RollingSum;

const SPAN: Duration = Duration::from_secs(10);

/// What an attempt is to the budget of the upstream at which it lands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BudgetCharge {
    /// Its request's first: it earns.
    First,
    /// One more: it spends.
    Extra,
    /// Its request's first, asked for again because a crash lost the way to it: it may have earned already.
    Again,
}

/// First and extra attempts of the last ten seconds at one upstream.
#[derive(Clone, Debug)]
pub struct RetryBudget {
    policy: RetryBudgetPolicy,
    first: RollingSum,
    extra: RollingSum,
}

impl RetryBudget {
    /// An unused budget.
    pub fn new(policy: RetryBudgetPolicy) -> Self {
        Self {
            policy,
            first: RollingSum::new(SPAN, 10),
            extra: RollingSum::new(SPAN, 10),
        }
    }

    /// The configuration says otherwise now.
    pub fn configure(&mut self, policy: RetryBudgetPolicy) {
        self.policy = policy;
    }

    /// Whether an attempt that is not its request's first may land here; if not, when it may.
    ///
    /// # Errors
    /// The moment from which there is room again.
    pub fn may_retry(&self, now: Time) -> Result<(), Time> {
        #[expect(clippy::cast_precision_loss)]
        let share = self.policy.ratio.max(0.0) * self.first.total(now) as f64;
        let floor = self.policy.min_per_second.max(0.0) * SPAN.as_secs_f64();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let allowed = (share + floor).min(1e15) as u64;
        if self.extra.total(now) < allowed {
            return Ok(());
        }
        let free = self.extra.earliest_at_most(allowed.saturating_sub(1), now);
        Err(if allowed == 0 { now + SPAN } else { free })
    }

    /// An attempt lands here.
    pub fn started(&mut self, charge: BudgetCharge, now: Time) {
        match charge {
            BudgetCharge::First => self.first.add(1, now),
            BudgetCharge::Extra => self.extra.add(1, now),
            BudgetCharge::Again => {}
        }
    }

    /// An attempt that was counted at `then` did not start after all.
    pub fn withdrawn(&mut self, charge: BudgetCharge, then: Time, now: Time) {
        match charge {
            BudgetCharge::First => self.first.take_back_from(then, 1, now),
            BudgetCharge::Extra => self.extra.take_back_from(then, 1, now),
            BudgetCharge::Again => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_again_earns_once() {
        let mut budget = RetryBudget::new(RetryBudgetPolicy {
            ratio: 1.0,
            min_per_second: 0.0,
        });
        budget.started(BudgetCharge::First, Time::ZERO);
        for _ in 0..9 {
            budget.started(BudgetCharge::Again, Time::ZERO);
        }
        budget.started(BudgetCharge::Extra, Time::ZERO);
        assert!(budget.may_retry(Time::ZERO).is_err());
        budget.withdrawn(BudgetCharge::Again, Time::ZERO, Time::ZERO);
        budget.withdrawn(BudgetCharge::Extra, Time::ZERO, Time::ZERO);
        assert!(budget.may_retry(Time::ZERO).is_ok());
    }

    #[test]
    fn allows_the_floor_and_a_share_of_the_first_attempts() {
        let mut budget = RetryBudget::new(RetryBudgetPolicy {
            ratio: 0.2,
            min_per_second: 1.0,
        });
        for _ in 0..50 {
            budget.started(BudgetCharge::First, Time::ZERO);
        }
        let mut extra = 0;
        while budget.may_retry(Time::ZERO).is_ok() {
            budget.started(BudgetCharge::Extra, Time::ZERO);
            extra += 1;
        }
        assert_eq!(
            extra, 20,
            "a fifth of 50, plus one per second for ten seconds"
        );
        let again = budget.may_retry(Time::ZERO).unwrap_err();
        assert!(budget.may_retry(again).is_ok());
    }

    #[test]
    fn what_did_not_start_frees_no_place_of_one_that_did() {
        let at = |seconds| Time::ZERO + Duration::from_secs(seconds);
        let mut budget = RetryBudget::new(RetryBudgetPolicy {
            ratio: 0.0,
            min_per_second: 0.2,
        });
        budget.started(BudgetCharge::Extra, at(0));
        budget.started(BudgetCharge::Extra, at(8));
        assert!(budget.may_retry(at(9)).is_err());
        budget.withdrawn(BudgetCharge::Extra, at(0), at(9));
        assert!(budget.may_retry(at(9)).is_ok());
        // The one of the eighth second counts until the nineteenth.
        budget.started(BudgetCharge::Extra, at(12));
        assert_eq!(budget.may_retry(at(12)), Err(at(19)));
    }

    #[test]
    fn a_budget_of_nothing_allows_nothing() {
        let budget = RetryBudget::new(RetryBudgetPolicy {
            ratio: 0.0,
            min_per_second: 0.0,
        });
        assert!(budget.may_retry(Time::ZERO).is_err());
    }
}
