//! What a key publishes of why it is out, and how it notices that something of it has ended.

use ractor::ActorRef;

use super::{KeyActor, KeyCore};
use crate::actors::message::key::KeyMessage;
use crate::actors::status::KeySnapshot;
use crate::domain::key_state::KeyState;
use crate::domain::refusal::Refusal;
use crate::domain::time::Time;
use crate::telemetry::events;

/// What is published of a key.
pub(crate) fn view(state: &KeyState, now: Time) -> KeySnapshot {
    let cooling = state.cooling_models(now);
    KeySnapshot {
        cooling: cooling
            .map(|(model, until)| (model.clone(), until))
            .collect(),
        persisted: state.persisted(now),
        held: state.held(now),
        invalid: state.invalid_until(),
        probing: state.probing_since(),
        cooling_all: state.cooling_all(now),
    }
}

impl KeyActor {
    pub(super) fn publish(&self, core: &mut KeyCore, now: Time) {
        core.published = true;
        self.status.publish(view(&core.state, now));
    }

    /// A published state may have expired at `at`: the change is reported and the status is published again. Decisions
    /// compare times with the clock; this serves readers of the status only.
    pub(super) fn ended(&self, core: &mut KeyCore, at: Time) {
        if !core.timer.fired(at) {
            return;
        }
        let (view, now) = (self.status.view(), self.clock.now());
        let id = &self.status.id;
        let is_over = |until: Time| until <= now;
        let all = [view.held, view.cooling_all.and_then(ready_at)];
        let was_out = all.into_iter().flatten().any(is_over);
        if was_out && core.state.outage(now).is_none() {
            events::key_usable(id, None);
        }
        for (model, _) in view.cooling.iter().filter(|(_, until)| is_over(*until)) {
            events::key_usable(id, Some(model));
        }
        self.publish(core, now);
    }

    /// Sets the timer for the next end, unless it is set for that or earlier.
    pub(super) fn set_alarm(&self, core: &mut KeyCore, myself: &ActorRef<KeyMessage>) {
        let (view, now) = (self.status.view(), self.clock.now());
        let all = [view.held, view.cooling_all.and_then(ready_at)];
        let all = all.into_iter().flatten();
        let ends = all.chain(view.cooling.iter().map(|(_, until)| *until));
        if let Some(next) = core.timer.next(ends, now) {
            let wait = next.until(now);
            drop(myself.send_after(wait, move || KeyMessage::Tick(next)));
        }
    }
}

fn ready_at(refusal: Refusal) -> Option<Time> {
    refusal.ready_at
}
