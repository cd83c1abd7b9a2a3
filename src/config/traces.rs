//! Which requests are sent as traces, as the configuration has it in the end.

use std::time::Duration;

use crate::domain::sampling::{Keep, Sampler};

/// The trace of a request that waited longer for a key is always sent.
pub(super) const WAITED: Duration = Duration::from_secs(5);
/// The trace of a request that took longer is always sent.
pub(super) const SLOW: Duration = Duration::from_secs(60);
/// The longest time that a span waits for its batch (OpenTelemetry's default, as are the next two).
const DELAY: Duration = Duration::from_secs(5);
/// The number of requests that may wait to be made into spans.
const QUEUE: usize = 2048;
/// The number of spans in one batch.
const BATCH: usize = 512;

/// Which requests are sent as traces, and how.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct TracesPolicy {
    /// When a request arrives.
    pub sampler: Sampler,
    /// When it has ended.
    pub keep: Keep,
    /// The longest time that a span waits for its batch.
    pub delay: Duration,
    /// The number of requests that may wait to be made into spans.
    pub queue: usize,
    /// The number of spans in one batch.
    pub batch: usize,
    /// Whether callers' trace contexts are taken over, and passed to upstreams.
    pub propagates: bool,
}

impl Default for TracesPolicy {
    fn default() -> Self {
        Self {
            sampler: Sampler {
                share: 1.0,
                parent_based: true,
            },
            keep: Keep {
                failures: true,
                waited: Some(WAITED),
                slow: Some(SLOW),
            },
            delay: DELAY,
            queue: QUEUE,
            batch: BATCH,
            propagates: true,
        }
    }
}
