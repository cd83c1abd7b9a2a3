//! What those who count budgets and a fleet say to each other.

use std::fmt;

use super::meter::MeterKey;
use crate::domain::fleet::money::GivenClaim;

/// Counts budgets. Neither waits; what it has spent comes as a message.
pub trait SharedPurse: Send + Sync + fmt::Debug {
    /// Asks how all budgets are used.
    fn count(&self);
    /// From now on it keeps to these.
    fn keep_to(&self, news: Vec<BudgetNews>);
}

/// How a budget is used here, in one of its windows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BudgetUse {
    /// Which.
    pub meter: MeterKey,
    /// The number of the window.
    pub window: i64,
    /// The whole, in units; the least of those that bound this meter. Without one nothing is claimed, only told.
    pub amount: Option<u64>,
    /// Nothing beyond this is spent here at present.
    pub has: u64,
    /// How often some of that was given up.
    pub given_up: u64,
    /// Spent here since the process began.
    pub used: u64,
    /// Wanted beyond what it has.
    pub want: u64,
    /// What a request was refused for, beyond what it has.
    pub need: u64,
    /// All have spent at least this.
    pub heard: u64,
    /// Until when the store has to remember it, in seconds from now.
    pub lasts: u64,
}

/// What is told of a budget.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BudgetNews {
    /// In one of its windows, by the number of that and what [`BudgetUse::given_up`] was when it was asked.
    Given(MeterKey, i64, u64, GivenClaim),
    /// The store cannot be asked, or can again: what may be spent by itself meanwhile, as a part of the whole: one of so many.
    /// `Some(0)`: nothing beyond what is claimed.
    Lost(Option<u64>),
}
