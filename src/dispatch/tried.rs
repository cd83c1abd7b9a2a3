//! An attempt under way, and what is told of it when it ended.

use std::sync::Arc;

use crate::actors::lease::{Lease, LeaseRecord};
use crate::domain::key_state::Settlement;
use crate::domain::outcome::{Class, Failure};
use crate::domain::record::{Record, Why};
use crate::domain::time::Time;

/// Of what went wrong so many bytes are told.
const DETAIL: usize = 300;

/// An attempt that is under way.
#[derive(Clone, Debug)]
pub(super) struct Tried {
    /// As it is told of if its request ends during it.
    begun: Record,
    lease: Arc<LeaseRecord>,
}

impl Tried {
    pub(super) fn new(lease: &mut Lease, why: Why, started: Time) -> Self {
        let begun = Record {
            why,
            asked: lease.asked.min(started),
            waited: lease.waited,
            passed_over: std::mem::take(&mut lease.passed_over),
            ..Record::new(lease.upstream().clone(), lease.key.clone(), started)
        };
        Self {
            begun,
            lease: Arc::clone(lease.record()),
        }
    }

    /// What is known of it from its beginning.
    pub(super) fn begun(&self) -> &Record {
        &self.begun
    }

    pub(super) fn record(&self, class: Class, status: Option<u16>, ended: Time) -> Record {
        Record {
            class,
            status,
            ended,
            first_byte: self.lease.heard_at(),
            ..self.begun.clone()
        }
    }

    /// Its record, failed like this.
    pub(super) fn failed(&self, failure: &Failure, ended: Time) -> Record {
        Record {
            detail: detail(failure),
            ..self.record(failure.class, failure.status, ended)
        }
    }

    /// As it is told of if its request ends during it.
    pub(super) fn under_way(&self) -> Record {
        self.begun.clone()
    }
}

/// What went wrong, in words, as far as there is room.
pub(super) fn detail(failure: &Failure) -> Option<Box<str>> {
    let text = failure.detail.as_str();
    let end = text.floor_char_boundary(DETAIL.min(text.len()));
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
        class: failure.class,
        retry_after: failure.retry_after,
        // Nothing was generated: the reservation goes back whole.
        tokens: Some(0),
        counts,
    }
}
