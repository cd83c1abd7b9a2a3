//! What an operator orders a provider to do.

use super::{Provider, ProviderCore};
use crate::actors::orders::ProviderOrder;
use crate::domain::time::Time;
use crate::telemetry::events;

impl Provider {
    pub(super) fn manual(&self, core: &mut ProviderCore, order: &ProviderOrder) {
        let now = self.clock.now();
        match order {
            ProviderOrder::Quarantine(span) => {
                core.state.hold(span.map_or(Time::NEVER, |span| now + span));
                events::provider_quarantined_by_hand(&self.id, *span);
                self.publish(core, now);
            }
            ProviderOrder::Release => {
                core.state.release();
                // Probes that are under way are ordinary attempts now.
                core.probes.clear();
                events::provider_released(&self.id);
                self.publish(core, now);
                self.ready(usize::MAX);
            }
        }
    }
}
