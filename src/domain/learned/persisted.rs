//! What of a learned limit outlives the process, and a learned limit from that.

use std::time::Duration;

use super::{Evidence, Learned, LimitKind, PERIODS, TRUST};
use crate::domain::ids::{LeaseId, ModelName};
use crate::domain::persisted::PersistedLimit;
use crate::domain::time::Time;

impl Learned {
    /// What it says to the next process: nothing when it is whole, or not believed any more.
    pub fn persisted(&self, model: &ModelName, now: Time) -> Option<PersistedLimit> {
        let left = self.left(now);
        let memory = PersistedLimit {
            model: model.clone(),
            unit: self.unit,
            period: self.period,
            limit: self.limit,
            left,
            at: now,
            reset: self.reset,
            trusted_until: self.trusted_until,
            refills_in: match (self.kind, self.evidence) {
                (LimitKind::Bucket(_), Some(evidence)) => {
                    Some(Duration::from_secs_f64(evidence.period))
                }
                _ => None,
            },
        };
        let whole = self.limit.is_some_and(|limit| left >= limit);
        (self.is_known(now) && !whole && left.is_finite() && !memory.is_over(now)).then_some(memory)
    }

    /// As it was. `None` when it makes no sense or has nothing to say any more.
    pub fn restored(memory: &PersistedLimit, now: Time) -> Option<Self> {
        let sensible = |limit: f64| limit.is_finite() && limit > 0.0;
        if !memory.left.is_finite()
            || !memory.limit.is_none_or(sensible)
            || memory.at > now
            || memory.is_over(now)
        {
            return None;
        }
        // A bucket is one only with a period that buckets have, and a limit.
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
                (LimitKind::Bucket(limit / period), Some(proven))
            }
            _ => (LimitKind::Window, None),
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
            // The next answer replaces it.
            told_by: LeaseId(0),
            trusted_until: memory.trusted_until.min(now + TRUST),
            evidence,
            doubts: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{S, allowance, at, told};
    use super::*;
    use crate::domain::allowance::Unit;

    #[test]
    fn a_bucket_stays_a_bucket_also_after_the_next_header() {
        let header = |n: u32, now| {
            let left = f64::from(60 - n);
            let reset = Duration::from_secs_f64(60.0 - left);
            told(n.into(), allowance(Some(60.0), left, reset), now)
        };
        let mut bucket = Learned::new(&header(1, at(0)));
        (2..=60).for_each(|n| bucket.hear(&header(n, at(0))));
        let memory = bucket.persisted(&"m".into(), at(0)).unwrap();
        let mut restored = Learned::restored(&memory, at(0)).unwrap();
        assert_eq!(restored.ready(1.0, false, at(0)), Err(at(1)));
        assert_eq!(restored.ready(1.0, false, at(1)), Ok(()));
        restored.hear(&header(60, at(2)));
        assert_eq!(restored.ready(1.0, false, at(2)), Err(at(3)));
    }

    #[test]
    fn what_is_whole_or_long_ago_is_not_kept() {
        let keep = |limit, remaining, now| {
            let learned = Learned::new(&told(1, allowance(limit, remaining, 3600 * S), at(0)));
            learned.persisted(&"m".into(), now).is_some()
        };
        assert!(keep(Some(10.0), 9.0, at(0)));
        assert!(keep(None, 9.0, at(0)));
        assert!(!keep(Some(10.0), 10.0, at(0)));
        assert!(!keep(Some(10.0), 9.0, at(900)));
    }

    proptest! {
        /// After a restart no request starts sooner than before it, and impossible values are left out.
        #[test]
        fn nobody_goes_sooner_and_nobody_waits_for_ever(
            limit in prop::option::of(1.0f64..1e6), share in 0.0f64..1.0, reset in 1u32..5000,
            spent in 0.0f64..100.0, pause in 0u32..1000, cost in 0.0f64..1e5,
        ) {
            let remaining = limit.unwrap_or(50.0) * share;
            let mut learned = Learned::new(&told(9, allowance(limit, remaining, S * reset), at(0)));
            learned.spend(spent, at(1));
            let now = at(1 + pause);
            let before = learned.ready(cost, true, now);
            let restored = learned.persisted(&"m".into(), at(1)).and_then(|memory| Learned::restored(&memory, now));
            let after = restored.map_or(Ok(()), |restored| restored.ready(cost, true, now));
            prop_assert_eq!(after, before);
        }

        #[test]
        fn nonsense_never_panics_and_is_forgotten_in_time(
            limit in prop::option::of(any::<f64>()), left in any::<f64>(), times in prop::array::uniform4(any::<u64>()), cost in 0.0f64..1e9,
        ) {
            let [at, reset, trusted_until, now] = times.map(Time::from_nanos);
            let memory = PersistedLimit {
                model: "m".into(), unit: Unit::Tokens, period: S, limit, left, at, reset, trusted_until,
                refills_in: Some(60 * S),
            };
            if let Some(restored) = Learned::restored(&memory, now) {
                if let Err(ready) = restored.ready(cost, true, now) {
                    prop_assert!(ready > now && ready <= now + TRUST);
                }
                prop_assert_eq!(restored.ready(cost, true, now + TRUST), Ok(()));
            }
        }
    }
}
