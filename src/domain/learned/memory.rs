//! What of a learned limit outlives the process, and a learned limit from that.

use std::time::Duration;

use super::{Evidence, Kind, Learned, PERIODS, TRUST};
use crate::domain::ids::{LeaseId, ModelName};
use crate::domain::memory::LimitMemory;
use crate::domain::time::Time;

impl Learned {
    /// What it says to the next process: nothing when it is whole, or not believed any more.
    pub fn memory(&self, model: &ModelName, now: Time) -> Option<LimitMemory> {
        let left = self.left(now);
        let memory = LimitMemory {
            model: model.clone(),
            unit: self.unit,
            period: self.period,
            limit: self.limit,
            left,
            at: now,
            reset: self.reset,
            trusted_until: self.trusted_until,
            refills_in: match (self.kind, self.evidence) {
                (Kind::Bucket(_), Some(evidence)) => Some(Duration::from_secs_f64(evidence.period)),
                _ => None,
            },
        };
        let whole = self.limit.is_some_and(|limit| left >= limit);
        (self.is_known(now) && !whole && left.is_finite() && !memory.is_over(now)).then_some(memory)
    }

    /// As it was. `None` when it makes no sense or has nothing to say any more.
    pub fn restored(memory: &LimitMemory, now: Time) -> Option<Self> {
        let sensible = |limit: f64| limit.is_finite() && limit > 0.0;
        if !memory.left.is_finite()
            || !memory.limit.is_none_or(sensible)
            || memory.at > now
            || memory.is_over(now)
        {
            return None;
        }
        let period = memory.refills_in.and_then(|span| {
            let mut periods = PERIODS.into_iter();
            periods.find(|period| Duration::from_secs_f64(*period) == span)
        });
        let (kind, evidence) = match (period, memory.limit) {
            (Some(period), Some(limit)) => {
                let proven = Evidence {
                    period,
                    lowest: 0.0,
                    highest: 1.0,
                };
                (Kind::Bucket(limit / period), Some(proven))
            }
            _ => (Kind::Window, None),
        };
        Some(Self {
            unit: memory.unit,
            period: memory.period,
            limit: memory.limit,
            kind,
            level: memory
                .limit
                .map_or(memory.left, |limit| memory.left.min(limit)),
            at: memory.at,
            reset: memory.reset,
            renewed: false,
            // Whoever answers next knows better.
            told_by: LeaseId(0),
            trusted_until: memory.trusted_until.min(now + TRUST),
            evidence,
            doubts: 0,
        })
    }
}
