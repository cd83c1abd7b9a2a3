//! The pulse of every upstream that the configuration names. It outlives a change of the configuration.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::ids::Upstream;
use crate::domain::latency::LatencyStats;
use crate::domain::time::Time;

/// Statistics of each configured upstream. Models that are not configured have none: callers make their names up.
#[derive(Debug, Default)]
pub struct LatencyTable(HashMap<Upstream, Arc<LatencyStats>>);

impl LatencyTable {
    /// Of these upstreams, with what was known before.
    pub fn new(upstreams: impl IntoIterator<Item = Upstream>, before: Option<&Self>) -> Self {
        let latencies = upstreams.into_iter().map(|upstream| {
            let known = before.and_then(|before| before.0.get(&upstream).cloned());
            (upstream, known.unwrap_or_default())
        });
        Self(latencies.collect())
    }

    /// Learns that an upstream served, this long after it was asked.
    pub(super) fn served(&self, upstream: &Upstream, stream: bool, took: Duration, now: Time) {
        if let Some(pulse) = self.0.get(upstream) {
            pulse.served(stream, took, now);
        }
    }

    /// The statistics of one upstream.
    pub(super) fn of(&self, upstream: &Upstream) -> Option<&LatencyStats> {
        self.0.get(upstream).map(|pulse| &**pulse)
    }
}
