//! What a provider publishes: until when it cools, which upstreams are not well.

use super::{Provider, ProviderCore};
use crate::actors::view::ProviderView;
use crate::domain::time::Time;

impl Provider {
    pub(super) fn publish(&self, core: &ProviderCore, now: Time) {
        let troubled = core.state.troubled(now);
        self.cell.publish(ProviderView {
            cooling: core.state.cooling(now),
            troubled: troubled
                .map(|(model, refusal)| (model.clone(), refusal))
                .collect(),
            held: core.state.held(now),
            upstreams: core.state.unwell(now),
        });
    }

    /// A probe began or was withdrawn. That changes nothing about what is troubled.
    pub(super) fn publish_upstreams(&self, core: &ProviderCore, now: Time) {
        self.cell.publish(ProviderView {
            upstreams: core.state.unwell(now),
            ..self.cell.view().as_ref().clone()
        });
    }
}
