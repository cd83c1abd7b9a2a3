//! What all requests learn together for hedging: how late a first token may be, and how many second
//! attempts there may be.

use std::collections::HashMap;
use std::time::Duration;

use crate::domain::hedge::{FirstTokens, HedgeAfter, HedgeBudget, HedgePolicy};
use crate::domain::ids::Upstream;

/// One per process. Nothing is learned of upstreams that the configuration does not name: callers make up
/// model names.
#[derive(Debug)]
pub struct Hedger {
    after: HedgeAfter,
    pub(super) budget: HedgeBudget,
    learned: HashMap<Upstream, FirstTokens>,
}

impl Hedger {
    /// For these upstreams.
    pub fn new(policy: HedgePolicy, upstreams: impl IntoIterator<Item = Upstream>) -> Self {
        let learned = upstreams
            .into_iter()
            .map(|upstream| (upstream, FirstTokens::default()));
        Self {
            after: policy.after,
            budget: HedgeBudget::new(policy.max_ratio),
            learned: learned.collect(),
        }
    }

    /// How long after an attempt's start its first token is late; `None` when that is not known.
    pub(super) fn late_after(&self, upstream: &Upstream) -> Option<Duration> {
        match self.after {
            HedgeAfter::Span(span) => Some(span),
            HedgeAfter::P95 => self.learned.get(upstream)?.p95(),
        }
    }

    /// A first token came so long after its attempt's start, or had not come by then.
    pub(super) fn learn(&self, upstream: &Upstream, span: Duration) {
        if let (HedgeAfter::P95, Some(tokens)) = (self.after, self.learned.get(upstream)) {
            tokens.learn(span);
        }
    }
}
