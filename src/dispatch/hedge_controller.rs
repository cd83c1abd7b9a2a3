//! When a first token is late, and how many second attempts there may be.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::hedge::{HedgeAfter, HedgeBudget, HedgePolicy};
use crate::domain::latency::LatencySnapshot;

/// The policy, and the budget that all requests share. The budget outlives a change of the configuration that leaves the
/// policy as it is.
#[derive(Debug)]
pub struct HedgeController {
    policy: HedgePolicy,
    pub(super) budget: Arc<HedgeBudget>,
}

impl HedgeController {
    /// With what the earlier configuration's has saved up.
    pub fn new(policy: HedgePolicy, before: Option<&Self>) -> Self {
        let budget = before.filter(|before| before.policy == policy);
        let budget = budget.map(|before| Arc::clone(&before.budget));
        Self {
            policy,
            budget: budget.unwrap_or_else(|| Arc::new(HedgeBudget::new(policy.max_ratio))),
        }
    }

    /// How long after an attempt's start its first token is late, by what is published of its upstream; `None` when that
    /// is not known.
    pub(super) fn late_after(
        &self,
        published: impl FnOnce() -> Option<LatencySnapshot>,
    ) -> Option<Duration> {
        match self.policy.after {
            HedgeAfter::Span(span) => Some(span),
            HedgeAfter::P95 => published()?.late_after,
        }
    }
}
