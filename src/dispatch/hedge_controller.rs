//! What all requests learn together for hedging: how late a first token may be, and how many second
//! attempts there may be.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::hedge::{FirstTokens, HedgeAfter, HedgeBudget, HedgePolicy};
use crate::domain::ids::Upstream;

/// What it knows outlives a change of the configuration. Nothing is learned of upstreams that the configuration does not name: callers make up
/// model names.
#[derive(Debug)]
pub struct HedgeController {
    policy: HedgePolicy,
    pub(super) budget: Arc<HedgeBudget>,
    learned: HashMap<Upstream, Arc<FirstTokens>>,
}

impl HedgeController {
    /// For these upstreams, with what the earlier configuration's learned of them.
    pub fn new(
        policy: HedgePolicy,
        upstreams: impl IntoIterator<Item = Upstream>,
        before: Option<&Self>,
    ) -> Self {
        let learned = upstreams.into_iter().map(|upstream| {
            let known = before.and_then(|before| before.learned.get(&upstream));
            let known = known.cloned().unwrap_or_default();
            (upstream, known)
        });
        let budget = before.filter(|before| before.policy == policy);
        let budget = budget.map(|before| Arc::clone(&before.budget));
        Self {
            policy,
            budget: budget.unwrap_or_else(|| Arc::new(HedgeBudget::new(policy.max_ratio))),
            learned: learned.collect(),
        }
    }

    /// How long after an attempt's start its first token is late; `None` when that is not known.
    pub(super) fn late_after(&self, upstream: &Upstream) -> Option<Duration> {
        match self.policy.after {
            HedgeAfter::Span(span) => Some(span),
            HedgeAfter::P95 => self.learned.get(upstream)?.p95(),
        }
    }

    /// Learns that a first token came this long after its attempt's start, or had not come by then.
    pub(super) fn learn(&self, upstream: &Upstream, span: Duration) {
        if let (HedgeAfter::P95, Some(tokens)) = (self.policy.after, self.learned.get(upstream)) {
            tokens.learn(span);
        }
    }
}
