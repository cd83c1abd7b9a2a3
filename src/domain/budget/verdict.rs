//! What a request asks the ledger, and what the ledger says.

use std::sync::Arc;

use super::meter::Ticket;
use super::policy::Payer;
use super::standing::BudgetStanding;
use crate::domain::ids::ProviderName;
use crate::domain::money::Pico;

/// An upstream of a request, and what the request may cost there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CandidateCost {
    /// Its provider.
    pub provider: ProviderName,
    /// What is reserved; `None` where the price is not known, zero where it is free.
    pub estimate: Option<Pico>,
}

/// A request that asks whether it may spend something.
#[derive(Clone, Copy, Debug)]
pub struct SpendInquiry<'a> {
    /// Whose budgets bound it.
    pub payer: Payer<'a>,
    /// Where it may go.
    pub candidates: &'a [CandidateCost],
    /// The numbers of budgets that have sent it elsewhere already.
    pub steered: &'a [usize],
    /// The moment, in seconds since 1970.
    pub unix: i64,
}

/// Why an upstream may not be asked: the number of the budget that refuses it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Closed {
    /// It has no room for it.
    Budget(usize),
    /// Its price is not known.
    Unpriced(usize),
}

impl Closed {
    /// The number of the budget.
    pub const fn budget(self) -> usize {
        match self {
            Self::Budget(number) | Self::Unpriced(number) => number,
        }
    }
}

/// A request that may go on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AdmittedCost {
    /// What it has reserved.
    pub ticket: Ticket,
    /// By candidate: why it may not go there.
    pub closed: Vec<Option<Closed>>,
    /// Whether a soft budget is used up.
    pub soft: bool,
    /// Of the budgets that bound it, the one with the least room.
    pub tightest: Option<BudgetStanding>,
}

/// A request that no budget lets through.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refused {
    /// There is no room.
    Exhausted {
        /// Which budget, in words.
        what: String,
        /// Whether the request may cost more than the whole budget.
        too_large: bool,
        /// When there is room again at the earliest, in seconds since 1970; `None`: never.
        until: Option<i64>,
    },
    /// There may be room, but the fleet has not given this process enough of it.
    Short {
        /// Which budget, in words.
        what: String,
        /// The fleet's store cannot be asked.
        is_lost: bool,
    },
    /// No upstream has a price that is known.
    Unpriced {
        /// Which budget refuses that, in words.
        what: String,
    },
}

/// The same with its figures.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefusedCost {
    /// Why.
    pub why: Refused,
    /// By candidate: what refuses it.
    pub closed: Vec<Option<Closed>>,
    /// How the budget stands that it is refused for.
    pub by: Option<BudgetStanding>,
}

/// What becomes of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SpendVerdict {
    /// It goes on.
    Admitted(AdmittedCost),
    /// It goes to another target, because the budget of this number is used up.
    Then(Arc<str>, usize),
    /// It does not go on.
    Refused(RefusedCost),
}
