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
    /// Ends on their way to the key by way of the provider.
    pub(crate) passed_on: AtomicU32,
}

impl KeyPort {
    fn tell_key(&self, record: Arc<LeaseRecord>) {
        // When no incarnation of the key runs the next one finds the outcome in the record.
        let incarnation = self.status.incarnation();
        if self.handle.send(KeyMessage::Settled(record)).is_err() {
            self.status.ended_unheard(incarnation);
        }
    }
}

/// Key and provider get their reports at once, each directly, or the provider does and passes it on to the key before it
/// handles anything that was sent later. Either way both learn of an end before whatever the same task sends next, which
/// reaches a key by way of its provider too: a request never meets a breaker or a key that does not know of its own failure
/// yet.
///
/// The end of a key's only lease goes by way of the provider: the runtime hands the second of two actors that are woken at
/// once to another thread, and wakes that thread for it. Under load it is the other way round: what waits for an actor
/// meanwhile is handled in one go.
impl SettlePort for KeyPort {
    fn settled(&self, end: EndReport) {
        let was_alone = self.live.fetch_sub(1, Ordering::Relaxed) == 1;
        // What ends later does not come to the key before what is still on its way.
        if was_alone || self.passed_on.load(Ordering::Acquire) > 0 {
            self.passed_on.fetch_add(1, Ordering::AcqRel);
            // From a provider that is down it comes back, and tells the key.
            drop(self.provider.send(ProviderMessage::Report(end)));
            return;
        }
        let record = Arc::clone(end.record());
        // A provider that is down misses one outcome of its breaker, no more.
        drop(
            self.provider
                .send(ProviderMessage::Report(end.for_provider_only())),
        );
        self.tell_key(record);
    }

    fn reported(&self, record: Arc<LeaseRecord>) {
        self.tell_key(record);
        self.passed_on.fetch_sub(1, Ordering::AcqRel);
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
