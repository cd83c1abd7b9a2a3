//! The circuit breaker of one upstream: closed, open, half-open with exactly one probe.
//!
//! Two signals trip it: failures in a row (a hard outage shows at once) and the failure rate of a window
//! (a flapping upstream never fails often enough in a row). An average that decays was rejected: a burst of
//! good answers hides an outage in it. The same pair, for the same reason, is what linkerd2's unified
//! breaker settled on. No I/O, no clock, no logging.

use std::time::Duration;

use super::time::Time;

/// When an upstream is left alone, and for how long.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BreakerPolicy {
    /// Failures in a row that open it; zero switches this signal off.
    pub failure_threshold: u32,
    /// Share of failures in the window that opens it, 0..=1; zero switches this signal off.
    pub failure_rate: f64,
    /// The window's length.
    pub window: Duration,
    /// The window says nothing before it holds so many outcomes.
    pub min_requests: u32,
    /// From opening until one probe is let through.
    pub recovery_time: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            failure_threshold: 3,
            failure_rate: 0.5,
            window: Duration::from_secs(30),
            min_requests: 10,
            recovery_time: Duration::from_secs(15),
        }
    }
}
