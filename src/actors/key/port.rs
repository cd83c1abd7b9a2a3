//! How leases report to their key, whichever incarnation of its actor runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::actors::handle::Handle;
use crate::actors::lease::{EndReport, LeaseRecord, SettlePort};
use crate::actors::message::key::KeyMessage;
use crate::actors::message::provider::ProviderMessage;
use crate::actors::status::KeyStatus;
use crate::domain::allowance::Allowance;

/// Reports the end of a lease to the key's actor, whichever incarnation runs.
pub(crate) struct KeyPort {
    pub(crate) status: Arc<KeyStatus>,
    pub(crate) handle: Handle<KeyMessage>,
    pub(crate) provider: Handle<ProviderMessage>,
    /// Leases that have not ended. One that ends leaves this count at once, not when the actor has heard of it.
    pub(crate) live: Arc<AtomicU32>,
}

/// An end goes to the provider at once and from there to the key, before the provider handles anything that was sent to it
/// later. So both learn all ends in one order, and before whatever the same task sends next, which reaches a key by way of
/// its provider too: a request never meets a breaker or a key that does not know of its own failure yet. And no two actors
/// are woken at once: the runtime would hand the second to another thread, and wake that thread for it.
impl SettlePort for KeyPort {
    fn settled(&self, end: EndReport) {
        self.live.fetch_sub(1, Ordering::Relaxed);
        // A provider that is down misses one outcome of its breaker, no more: what comes back tells the key.
        drop(self.provider.send(ProviderMessage::Report(end)));
    }

    fn reported(&self, record: Arc<LeaseRecord>) {
        // When no incarnation of the key runs the next one finds the outcome in the record.
        let incarnation = self.status.incarnation();
        if self.handle.send(KeyMessage::Settled(record)).is_err() {
            self.status.ended_unheard(incarnation);
        }
    }

    fn began(&self, record: Arc<LeaseRecord>, trial: bool) {
        let began = ProviderMessage::Began(Arc::clone(&record));
        drop(self.provider.send(began));
        if trial {
            drop(self.handle.send(KeyMessage::Began(record)));
        }
    }

    fn heard(
        &self,
        record: Arc<LeaseRecord>,
        allowances: Vec<Allowance>,
        first_byte: Option<Duration>,
    ) {
        let pacing = self.status.settings().limits.pacing;
        if !pacing.learn && !pacing.adaptive_concurrency {
            return;
        }
        // Without an incarnation the report is lost; the next answer's head carries the same facts.
        drop(self.handle.send(KeyMessage::Heard {
            record,
            allowances,
            first_byte,
        }));
    }
}
