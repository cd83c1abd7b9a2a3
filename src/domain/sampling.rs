//! Which traces are sent. First by the trace's id when a request arrives, so that all systems on its way decide alike;
//! then, for the others, by the request's outcome. No I/O, no clock, no logging.

use std::time::Duration;

use super::trace::TraceId;

/// 2^32.
const ALL: f64 = 4_294_967_296.0;

/// Decides when a request arrives.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sampler {
    /// Of the traces that begin here, 0 to 1.
    pub share: f64,
    /// Whether the caller's decision is taken over.
    pub parent_based: bool,
}

impl Sampler {
    /// Whether a trace is sent whatever becomes of its request. `parent` is what the caller decided.
    ///
    /// As OpenTelemetry's `TraceIdRatioBased` has it: of the id's last eight bytes the upper 63 bits are a fraction of
    /// one, which is less than the share.
    pub fn samples(&self, trace_id: TraceId, parent: Option<bool>) -> bool {
        if let Some(parent) = parent.filter(|_| self.parent_based) {
            return parent;
        }
        let low = trace_id.get() & u128::from(u64::MAX);
        let fraction = u32::try_from(low >> 32).unwrap_or(u32::MAX);
        f64::from(fraction) < self.share * ALL
    }
}

/// What is sent although it was not sampled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keep {
    /// Requests that failed or took more than one attempt.
    pub failures: bool,
    /// Requests that waited at least this long for a key.
    pub waited: Option<Duration>,
    /// Requests that took at least this long.
    pub slow: Option<Duration>,
}

impl Keep {
    /// No request.
    #[cfg(test)]
    pub const NOTHING: Self = Self {
        failures: false,
        waited: None,
        slow: None,
    };
}

/// The facts of a request that was not sampled, when it has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TailSampleInput {
    /// Whether the caller decided that the trace is not sampled.
    pub declined: bool,
    /// The request failed, through no fault of the caller.
    pub failed: bool,
    /// More than one attempt was made: what for.
    pub detour: Option<&'static str>,
    /// The longest wait for a key.
    pub waited: Duration,
    /// From arrival to end.
    pub total: Duration,
}

impl Keep {
    /// Why it is sent after all. Where the caller decided against it, only because it failed: the caller would have
    /// half a trace of all else.
    pub fn reason(&self, looks: &TailSampleInput) -> Option<&'static str> {
        if self.failures && looks.failed {
            return Some("failed");
        }
        if looks.declined {
            return None;
        }
        let over = |span: Duration, most: Option<Duration>| most.is_some_and(|most| span >= most);
        let detour = looks.detour.filter(|_| self.failures);
        let waited = over(looks.waited, self.waited).then_some("waited");
        let slow = over(looks.total, self.slow).then_some("slow");
        detour.or(waited).or(slow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(low: u64) -> TraceId {
        TraceId::random(u128::from(low) | 1 << 100)
    }

    #[test]
    fn a_share_is_taken_by_the_trace_id() {
        let (least, middle, most) = (id(0), id(u64::MAX / 2), id(u64::MAX));
        for (share, expected) in [
            (0.0, [false, false, false]),
            (0.25, [true, false, false]),
            (0.75, [true, true, false]),
            (1.0, [true, true, true]),
        ] {
            for parent_based in [false, true] {
                let sampler = Sampler {
                    share,
                    parent_based,
                };
                let got = [least, middle, most].map(|id| sampler.samples(id, None));
                assert_eq!(got, expected, "{share}");
            }
        }
    }

    #[test]
    fn a_callers_decision_stands_where_parents_count() {
        for (share, parent_based, parent, expected) in [
            (0.0, true, true, true),
            (0.0, false, true, false),
            (1.0, true, false, false),
            (1.0, false, false, true),
        ] {
            let sampler = Sampler {
                share,
                parent_based,
            };
            assert_eq!(sampler.samples(id(9), Some(parent)), expected);
        }
    }

    #[test]
    fn what_is_not_sampled_is_kept_for_what_became_of_it() {
        let keep = Keep {
            failures: true,
            waited: Some(Duration::from_secs(1)),
            slow: Some(Duration::from_secs(10)),
        };
        let good = TailSampleInput::default();
        let failed = TailSampleInput {
            failed: true,
            ..good
        };
        let failover = TailSampleInput {
            detour: Some("failover"),
            ..good
        };
        let waited = TailSampleInput {
            waited: Duration::from_secs(1),
            ..good
        };
        let slow = TailSampleInput {
            total: Duration::from_secs(11),
            ..good
        };
        assert_eq!(keep.reason(&good), None);
        assert_eq!(keep.reason(&failed), Some("failed"));
        assert_eq!(keep.reason(&failover), Some("failover"));
        assert_eq!(keep.reason(&waited), Some("waited"));
        assert_eq!(keep.reason(&slow), Some("slow"));
        let declined = |looks: TailSampleInput| TailSampleInput {
            declined: true,
            ..looks
        };
        assert_eq!(keep.reason(&declined(failed)), Some("failed"));
        for looks in [failover, waited, slow] {
            assert_eq!(keep.reason(&declined(looks)), None);
            assert_eq!(
                Keep::NOTHING.reason(&TailSampleInput {
                    failed: true,
                    ..looks
                }),
                None
            );
        }
    }
}
