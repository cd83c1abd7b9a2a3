//! What is published of an upstream, and what follows from that for a request: the provider's actor decides by the same
//! rule.

use std::time::Duration;

use super::absence::Absences;
use crate::domain::breaker::BreakerGate;
use crate::domain::ids::ModelName;
use crate::domain::ramp::{Ramp, Recovery};
use crate::domain::refusal::{Reason, Refusal};
use crate::domain::time::Time;

/// While a probe is under way, waiting requests are offered again after this span in any case.
const PROBE_POLL: Duration = Duration::from_millis(500);

/// Leave to start an attempt at an upstream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pass {
    /// Whether it is the half-open probe of the breaker.
    pub probe: bool,
}

/// What decides whether an upstream may be asked at all. Times that have passed mean nothing.
#[derive(Clone, Copy, Debug)]
pub struct GateFacts {
    /// An operator keeps its provider out until then.
    pub held: Option<Time>,
    /// All keys of its provider cool until then.
    pub cooling: Option<Time>,
    /// The model is gone until then.
    pub gone_until: Option<Time>,
    /// The breaker of the upstream.
    pub breaker: BreakerGate,
}

impl GateFacts {
    /// Leave for an attempt.
    ///
    /// # Errors
    /// Why not, and when it could.
    pub fn pass(&self, now: Time) -> Result<Pass, Refusal> {
        let lasts = |until: &Time| now < *until;
        if let Some(until) = self.held.filter(lasts) {
            return Err(Refusal::held(until));
        }
        if let Some(until) = self.cooling.filter(lasts) {
            return Err(Refusal::until(Reason::Cooling, until));
        }
        if let Some(until) = self.gone_until.filter(lasts) {
            return Err(Refusal::until(Reason::ModelGone, until));
        }
        match self.breaker {
            BreakerGate::Closed => Ok(Pass { probe: false }),
            BreakerGate::Open { until } if now < until => {
                Err(Refusal::until(Reason::BreakerOpen, until))
            }
            // What was published of an open breaker is its last word until the next request is the probe.
            BreakerGate::Probe | BreakerGate::Open { .. } => Ok(Pass { probe: true }),
            BreakerGate::Probing { .. } => {
                Err(Refusal::until(Reason::BreakerOpen, now + PROBE_POLL))
            }
        }
    }
}

/// An upstream that is not simply well.
#[derive(Clone, PartialEq, Debug)]
pub struct UpstreamSnapshot {
    /// The model of the upstream.
    pub model: ModelName,
    /// The breaker of the upstream.
    pub breaker: BreakerGate,
    /// The operations for which it is left alone.
    pub absences: Absences,
    /// It has recovered and takes a growing share.
    pub ramp: Option<Ramp>,
}

impl UpstreamSnapshot {
    /// The share that it takes while it recovers, and whether the next request is within it.
    pub fn recovery(&self, now: Time) -> Option<Recovery> {
        let mut ramp = self.ramp.filter(|ramp| !ramp.is_over(now))?;
        Some(Recovery {
            share: ramp.share(now),
            admits: ramp.admits(now),
        })
    }
}
