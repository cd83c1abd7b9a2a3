//! `telemetry`: what is told of requests, beside the log.

use super::read::{FromNode, Node, Report, section};

/// So many requests are kept when nothing is said.
const RECENT: usize = 1000;
/// At most so many: a request takes about a kilobyte.
const MOST: usize = 100_000;

section! {
    /// `telemetry`
    Telemetry {
        /// How many of the latest requests are kept with all that was decided about them; 0: none. At most 100000.
        /// Default 1000.
        recent_requests: usize,
    }
}

/// What is told of requests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TelemetryPolicy {
    /// So many of the latest are kept.
    pub recent_requests: usize,
}

impl Default for TelemetryPolicy {
    fn default() -> Self {
        Self {
            recent_requests: RECENT,
        }
    }
}

/// With the defaults filled in.
pub(super) fn policy(raw: Option<Telemetry>) -> TelemetryPolicy {
    let kept = raw.and_then(|raw| raw.recent_requests);
    TelemetryPolicy {
        recent_requests: kept.unwrap_or(RECENT).min(MOST),
    }
}
