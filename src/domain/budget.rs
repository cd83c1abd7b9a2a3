//! Budgets: how much may be spent in a window of time, on whom it is spent, and what has been. No I/O, no clock, no logging.
//!
//! A request reserves what it may cost before it is sent ([`Ledger::admit`]) and settles what it did cost
//! ([`Ledger::settle`]). So the spending of a window exceeds a hard budget by no more than the sum of what its requests cost
//! above their reservations. The number of a window is a part of what is counted: nothing has to be reset when it ends.

mod claim;
mod fleet;
mod ledger;
mod meter;
mod period;
mod policy;
mod shared;
mod spend;
mod standing;
#[cfg(test)]
mod tests;
mod verdict;

pub use ledger::{BudgetView, Ledger};
pub use meter::{MeterKey, PersistedMeter, Ticket};
pub use period::Period;
pub use policy::{BudgetPolicy, BudgetScope, Mode, Payer, Spender, UnpricedSpend};
pub use shared::{BudgetNews, BudgetUse, SharedPurse};
pub use spend::{KEPT_DAYS, MOST_ROWS, SpendBy, SpendKey, SpendLedger, SpendSum};
pub use standing::BudgetStanding;
pub use verdict::{
    AdmittedCost, CandidateCost, Closed, Refused, RefusedCost, SpendInquiry, SpendVerdict,
};
