//! What a provider publishes: until when it cools, which upstreams are not well.

use super::{Provider, ProviderCore};
use crate::actors::view::ProviderView;
use crate::domain::memory::Mark;
use crate::domain::provider_state::ProviderState;
use crate::domain::time::Time;

/// What is published of a provider.
pub(crate) fn view(state: &ProviderState, mark: Option<Mark>, now: Time) -> ProviderView {
    let troubled = state.troubled(now);
    ProviderView {
        cooling: state.cooling(now),
        troubled: troubled
            .map(|(model, refusal)| (model.clone(), refusal))
            .collect(),
        memory: state.memory(now),
        mark,
        held: state.held(now),
        upstreams: state.unwell(now),
    }
}

impl Provider {
    pub(super) fn publish(&self, core: &ProviderCore, now: Time) {
        self.cell.publish(view(&core.state, core.ring.mark, now));
    }

    /// A probe began or was withdrawn. That changes nothing about what is troubled.
    pub(super) fn publish_upstreams(&self, core: &ProviderCore, now: Time) {
        self.cell.publish(ProviderView {
            upstreams: core.state.unwell(now),
            ..self.cell.view().as_ref().clone()
        });
    }
}
