//! Of the budgets that a request is bounded by, the one with the least room: what people are told of it.

use super::meter::Meter;
use super::policy::BudgetPolicy;
use crate::domain::money::Pico;

/// How a budget stood when a request asked for room, before it reserved anything.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BudgetStanding {
    /// The budget, in words.
    pub what: String,
    /// What may be spent in its window.
    pub amount: Pico,
    /// What was spent in it.
    pub spent: Pico,
    /// What other requests under way had reserved.
    pub reserved: Pico,
    /// When its window ends, in seconds since 1970; `None`: never.
    pub ends: Option<i64>,
}

impl BudgetStanding {
    pub(super) fn of(budget: &BudgetPolicy, meter: &Meter) -> Self {
        Self {
            what: budget.described(),
            amount: budget.amount,
            spent: meter.spent_by_all(),
            reserved: meter.reserved,
            ends: meter.ends(),
        }
    }
}

/// The budget of which the largest part is taken, among those that were looked at.
#[derive(Clone, Copy, Default)]
pub(super) struct Tightest<'a>(Option<(&'a BudgetPolicy, &'a Meter)>);

impl<'a> Tightest<'a> {
    pub(super) fn look(&mut self, budget: &'a BudgetPolicy, meter: &'a Meter) {
        let product =
            |taken: Pico, amount: Pico| u128::from(taken.get()) * u128::from(amount.get());
        // Shares, compared without division.
        let is_tighter = self.0.is_none_or(|(known, of_known)| {
            product(meter.taken(), known.amount) > product(of_known.taken(), budget.amount)
        });
        if is_tighter {
            self.0 = Some((budget, meter));
        }
    }

    pub(super) fn standing(self) -> Option<BudgetStanding> {
        self.0
            .map(|(budget, meter)| BudgetStanding::of(budget, meter))
    }
}
