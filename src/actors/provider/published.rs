//! What a provider publishes: until when it is out, which upstreams are not well; and how it notices that something of
//! that has ended.

use ractor::ActorRef;

use super::{ProviderActor, ProviderCore};
use crate::actors::message::provider::ProviderMessage;
use crate::actors::status::ProviderSnapshot;
use crate::domain::persisted::Fingerprint;
use crate::domain::provider_state::ProviderState;
use crate::domain::time::Time;
use crate::telemetry::events;

/// What is published of a provider.
pub(crate) fn view(
    state: &ProviderState,
    home: &str,
    mark: Option<Fingerprint>,
    now: Time,
) -> ProviderSnapshot {
    ProviderSnapshot {
        home: home.to_owned(),
        cooling: state.cooling(now),
        persisted: state.persisted(now),
        fingerprint: mark,
        held: state.held(now),
        upstreams: state.unwell(now),
    }
}

impl ProviderActor {
    pub(super) fn publish(&self, core: &mut ProviderCore, now: Time) {
        core.published = true;
        self.status.publish(view(
            &core.state,
            &core.ring.endpoint,
            core.ring.fingerprint,
            now,
        ));
    }

    /// A hold or the cooldown of all keys may have expired at `at`: the change is reported and the status published
    /// again.
    pub(super) fn fired(&self, core: &mut ProviderCore, at: Time) {
        if !core.timer.fired(at) {
            return;
        }
        let now = self.clock.now();
        let was_out = deadlines(&self.status.view()).any(|until| until <= now);
        if was_out && core.state.held(now).is_none() && core.state.cooling(now).is_none() {
            events::provider_usable(&self.id);
        }
        self.publish(core, now);
    }

    /// Sets the timer for the next end, unless it is set for that or earlier.
    pub(super) fn set_alarm(&self, core: &mut ProviderCore, myself: &ActorRef<ProviderMessage>) {
        let now = self.clock.now();
        if let Some(next) = core.timer.next(deadlines(&self.status.view()), now) {
            let wait = next.until(now);
            drop(myself.send_after(wait, move || ProviderMessage::Tick(next)));
        }
    }
}

fn deadlines(view: &ProviderSnapshot) -> impl Iterator<Item = Time> + use<> {
    [view.held, view.cooling].into_iter().flatten()
}
