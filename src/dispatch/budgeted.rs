//! What is reserved for a request, and what its attempts are charged in the end.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::budgets::{Charge, CostReservation};
use crate::domain::attempt_record::AttemptRecord;
use crate::domain::attempts::Attempts;
use crate::domain::budget::Closed;
use crate::domain::chain::RankedChain;
use crate::domain::cost::CostKind;
use crate::domain::ids::Upstream;
use crate::domain::money::Pico;
use crate::domain::outcome::Class;
use crate::domain::refusal::Reason;
use crate::domain::routing_note::BudgetNote;

/// Says that a soft budget is used up.
const BUDGET: HeaderName = HeaderName::from_static("x-pointsman-budget");
/// What was reserved for a request, and by what.
#[derive(Debug)]
pub(super) struct Budgeted {
    pub(super) reservation: CostReservation,
    /// What it may cost where, as far as that is known.
    pub(super) estimates: Vec<(Upstream, Pico)>,
    /// By candidate: why it may not go there.
    pub(super) closed: Vec<Option<Closed>>,
    /// What is recorded of it.
    pub(super) note: BudgetNote,
}

impl Budgeted {
    /// Rules out the candidates for which no budget has room.
    pub(super) fn rule_out(&self, attempts: &mut Attempts) {
        rule_out(&self.closed, attempts);
    }
}

/// A request that a budget refuses.
pub(super) struct BudgetRefusal {
    /// Its chain in the order for it.
    pub(super) chain: RankedChain,
    /// By place: what refuses it there.
    pub(super) closed: Vec<Option<Closed>>,
    /// What is recorded of it.
    pub(super) note: BudgetNote,
}

/// Rules out what is closed.
pub(super) fn rule_out(closed: &[Option<Closed>], attempts: &mut Attempts) {
    for (place, closed) in closed.iter().enumerate() {
        if let Some(closed) = closed {
            attempts.rule_out(place, reason(*closed));
        }
    }
}

pub(super) const fn reason(closed: Closed) -> Reason {
    match closed {
        Closed::Budget(_) => Reason::Budget,
        Closed::Unpriced(_) => Reason::Unpriced,
    }
}

/// Tells the caller that a soft budget is used up.
pub(super) fn name_soft(headers: &mut HeaderMap) {
    headers.insert(BUDGET, HeaderValue::from_static("soft"));
}

/// What an attempt is charged: what it cost, or, where that is not known although an upstream worked for it, what was reserved.
/// `left`: it was under way when its request ended, so nobody knows how far it came.
pub(super) fn charge(
    record: &AttemptRecord,
    left: bool,
    estimates: &[(Upstream, Pico)],
) -> Option<Charge> {
    let provider = record.upstream.provider.clone();
    if let Some(cost) = record.cost {
        return Some(Charge {
            provider,
            cost: cost.amount,
            estimated: cost.kind == CostKind::Estimated,
        });
    }
    let worked = record.used_tokens() || record.class == Class::Success;
    let mut known = estimates.iter();
    let (_, estimate) = known.find(|(upstream, _)| *upstream == record.upstream)?;
    (worked || left).then_some(Charge {
        provider,
        cost: *estimate,
        estimated: true,
    })
}
