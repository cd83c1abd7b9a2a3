//! An attempt under way, and its record when it has ended.

use std::sync::Arc;

use crate::actors::lease::{Lease, LeaseRecord};
use crate::domain::attempt_record::{AttemptReason, AttemptRecord, ResponseMeta};
use crate::domain::key_state::Settlement;
use crate::domain::outcome::{Class, Failure};
use crate::domain::time::Time;
use crate::domain::trace::{SpanId, TraceContext};

/// The characters of a failure's text that are recorded.
const DETAIL: usize = 300;

/// An attempt that is under way.
#[derive(Clone, Debug)]
pub(super) struct OpenAttempt {
    /// The record that is used if the request ends during the attempt.
    record: Arc<AttemptRecord>,
    /// Whether what the answer says of itself is asked for.
    curious: bool,
    lease: Arc<LeaseRecord>,
}

impl OpenAttempt {
    pub(super) fn new(
        lease: &mut Lease,
        why: AttemptReason,
        started: Time,
        trace: Option<&TraceContext>,
    ) -> Self {
        let trace = trace.filter(|trace| trace.records);
        let begun = AttemptRecord {
            reason: why,
            span: trace.map(|_| SpanId::random(fastrand::u64(..))),
            asked: lease.asked.min(started),
            waited: lease.waited,
            passed_over: std::mem::take(&mut lease.passed_over),
            preference: lease.preference.take().map(Box::new),
            ..AttemptRecord::new(lease.upstream().clone(), lease.key.clone(), started)
        };
        Self {
            record: Arc::new(begun),
            // Requests with more than one attempt are often kept although they were not sampled.
            curious: trace.is_some_and(|trace| trace.sampled || why != AttemptReason::First),
            lease: Arc::clone(lease.record()),
        }
    }

    /// Where to note the answer's metadata; `None` when traces do not need it.
    pub(super) fn answered(&self) -> Option<Box<ResponseMeta>> {
        self.curious.then(Box::default)
    }

    /// The record as it was at the start.
    pub(super) fn begun(&self) -> &AttemptRecord {
        &self.record
    }

    pub(super) fn record(&self, class: Class, status: Option<u16>, ended: Time) -> AttemptRecord {
        AttemptRecord {
            class,
            status,
            ended,
            first_byte: self.lease.heard_at(),
            ..AttemptRecord::clone(&self.record)
        }
    }

    /// Its record, failed like this.
    pub(super) fn failed(&self, failure: &Failure, ended: Time) -> AttemptRecord {
        AttemptRecord {
            detail: detail(failure),
            ..self.record(failure.class, failure.status, ended)
        }
    }

    /// The record that is used if the request ends during the attempt.
    pub(super) fn under_way(&self) -> Arc<AttemptRecord> {
        Arc::clone(&self.record)
    }
}

/// The failure's text, shortened.
pub(super) fn detail(failure: &Failure) -> Option<Box<str>> {
    let text = failure.detail.as_str();
    let end = text.char_indices().nth(DETAIL);
    let end = end.map_or(text.len(), |(end, _)| end);
    let text = text.get(..end).filter(|text| !text.is_empty())?;
    Some(text.into())
}

pub(super) fn settle(lease: &Lease, class: Class, tokens: Option<u64>) {
    lease.settle(Settlement {
        class,
        retry_after: None,
        tokens,
        counts: false,
    });
}

pub(super) fn settlement(failure: &Failure, counts: bool) -> Settlement {
    Settlement {
        class: failure.heard_as(),
        retry_after: failure.retry_after,
        // Nothing was generated: the reservation goes back whole.
        tokens: Some(0),
        counts,
    }
}
