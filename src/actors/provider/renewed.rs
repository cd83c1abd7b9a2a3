//! How a provider begins anew when its state makes it fail again and again.

use super::{ProviderActor, ProviderCore, published};
use crate::actors::handoff::Renew;
use crate::domain::provider_state::ProviderState;
use crate::domain::rotation::Rotation;

impl Renew<ProviderCore> for ProviderActor {
    /// Cooldowns, models that are gone and an operator's hold are those that are published. Breakers, retry budgets,
    /// latencies and the turn of the rotation begin anew, as after a restart of the process.
    fn renewed(&self, left: ProviderCore) -> ProviderCore {
        let ProviderCore { ring, moved, .. } = left;
        let now = self.clock.now();
        let mut state = ProviderState::new(ring.breaker, ring.retry_budget);
        let memory = &self.status.view().persisted;
        state.restore(memory, ring.longest_cooldown, now);
        self.status.publish(published::view(
            &state,
            &ring.endpoint,
            ring.fingerprint,
            now,
        ));
        self.status.latency.forget();
        let rotation = Rotation::new(ring.rotation);
        ProviderCore {
            moved,
            ..ProviderCore::new(state, rotation, ring)
        }
    }
}
