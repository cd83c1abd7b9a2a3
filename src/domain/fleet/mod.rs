//! What processes with the same keys tell each other: facts about keys and upstreams, never leave to do something.
//!
//! [`fact`] is one fact and how two of them become one, [`state`] what a process knows and when it tells whom, [`admit`] what
//! another process's word may do here, [`rank`] who tries first, [`news`]
//! what goes to and fro. [`share`] and [`money`] divide limits and budgets as the store does it, [`quota`] is what those who count here
//! keep to, and [`quotas`] when a process asks for it. No I/O, no clock, no logging; randomness is an argument.

pub mod admit;
mod asked;
pub mod fact;
pub mod money;
pub mod news;
pub mod quota;
pub mod quotas;
pub mod rank;
pub mod share;
pub mod state;

pub use fact::{FactKind, FactReason, FleetFact, FleetSubject};
pub use news::{FleetNews, FleetWord, ToldAbsence};
pub use quota::{LimitHolder, LimitUse, LostPolicy, OnLost, OwnShare, QuotaKind};
pub use quotas::FleetQuotas;
pub use state::{FleetEffect, FleetOrder, FleetState};
