//! How a provider begins anew when its state makes it fail again and again.

use super::{Provider, ProviderCore, published};
use crate::actors::estate::Renew;
use crate::domain::provider_state::ProviderState;
use crate::domain::rotation::Rotation;

impl Renew<ProviderCore> for Provider {
    /// Cooldowns, models that are gone and an operator's hold are those that are published. Breakers, retry budgets and
    /// the turn of the rotation begin anew, as after a restart of the process.
    fn renewed(&self, left: ProviderCore) -> ProviderCore {
        let ProviderCore { ring, moved, .. } = left;
        let now = self.clock.now();
        let mut state = ProviderState::new(ring.breaker, ring.retry_budget);
        let memory = &self.cell.view().memory;
        state.restore(memory, ring.longest_cooldown, now);
        self.cell
            .publish(published::view(&state, &ring.home, ring.mark, now));
        let rotation = Rotation::new(ring.rotation);
        ProviderCore {
            moved,
            ..ProviderCore::new(state, rotation, ring)
        }
    }
}
