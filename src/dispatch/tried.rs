//! An attempt under way, and what is told of it when it ended.

use crate::actors::lease::Lease;
use crate::domain::attempts::Record;
use crate::domain::ids::{KeyId, Upstream};
use crate::domain::key_state::Settlement;
use crate::domain::outcome::{Class, Failure};
use crate::domain::time::Time;

/// An attempt that is under way.
#[derive(Clone, Debug)]
pub(super) struct Tried {
    pub(super) upstream: Upstream,
    pub(super) key: KeyId,
    pub(super) started: Time,
}

impl Tried {
    pub(super) fn new(lease: &Lease, started: Time) -> Self {
        Self {
            upstream: lease.upstream().clone(),
            key: lease.key.clone(),
            started,
        }
    }

    pub(super) fn record(&self, class: Class, status: Option<u16>, ended: Time) -> Record {
        Record {
            upstream: self.upstream.clone(),
            key: self.key.clone(),
            class,
            status,
            started: self.started,
            ended,
        }
    }

    /// As it is told of if its request ends during it.
    pub(super) fn under_way(&self) -> Record {
        self.record(Class::Cancelled, None, self.started)
    }
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
