//! Which requests are sent as traces, as the configuration has it in the end.

use std::time::Duration;

use crate::domain::sampling::{Keep, Sampler};

/// Who waited longer for a key is told of.
pub(super) const WAITED: Duration = Duration::from_secs(5);
/// Who took longer is told of.
pub(super) const SLOW: Duration = Duration::from_secs(60);
/// A span waits so long for others (OpenTelemetry's default, as are the next two).
const DELAY: Duration = Duration::from_secs(5);
/// So many requests wait to be made into spans.
const QUEUE: usize = 2048;
/// So many spans are sent at once.
const BATCH: usize = 512;

/// Which requests are sent as traces, and how.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct TracesPolicy {
    /// When a request arrives.
    pub sampler: Sampler,
    /// When it has ended.
    pub keep: Keep,
    /// A span waits so long for others.
    pub delay: Duration,
    /// So many requests wait to be made into spans.
    pub queue: usize,
    /// So many spans are sent at once.
    pub batch: usize,
    /// Whether callers' traces are listened to, and upstreams told.
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
