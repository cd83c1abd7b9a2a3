//! How a key begins anew when its state makes it fail again and again.

use std::sync::Arc;

use super::{KeyActor, KeyCore, published};
use crate::actors::handoff::Renew;
use crate::domain::key_state::KeyState;

impl Renew<KeyCore> for KeyActor {
    /// Cooldowns, validity, an operator's hold and learned limits are those that are published. The leases that are out are
    /// taken over by their records, which are shared with the leases themselves: they count as in flight, and settle as
    /// if nothing had happened. What was counted of configured limits, and learned of concurrency, begins anew, as after
    /// a restart of the process.
    fn renewed(&self, left: KeyCore) -> KeyCore {
        let now = self.clock.now();
        let settings = self.status.settings();
        let mut state = KeyState::new(settings.limits, settings.cooldown);
        if let Some(lost) = left.state.shared() {
            // Its shares come with the next answer.
            state.join_fleet(lost);
        }
        let limits = self.status.limits_memory();
        state.restore(&self.status.view().persisted, &limits, now);
        for record in left.live.values() {
            let is_trial = left.state.is_trial(record.id);
            state.adopt(record.id, &record.upstream.model, is_trial, now);
        }
        self.status.publish(published::view(&state, now));
        self.status.publish_limited(state.limited(1, now));
        self.status.forget_learned();
        self.status
            .publish_limits(state.learned_limits(now), state.limits_memory(now));
        KeyCore {
            live: left.live,
            retired: left.retired,
            // Requests that the last incarnation declined are called when there is room.
            wanted: true,
            ..KeyCore::new(state, Arc::clone(&self.status))
        }
    }
}
