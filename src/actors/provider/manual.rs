//! An operator's commands to a provider.

use super::{ProviderActor, ProviderCore};
use crate::actors::admin_command::ProviderCommand;
use crate::domain::time::Time;
use crate::telemetry::events;

impl ProviderActor {
    pub(super) fn manual(&self, core: &mut ProviderCore, order: &ProviderCommand) {
        let now = self.clock.now();
        match order {
            ProviderCommand::Hold(span) => {
                core.state.hold(span.map_or(Time::NEVER, |span| now + span));
                events::provider_held(&self.id, *span);
                self.publish(core, now);
            }
            ProviderCommand::Release => {
                core.state.release();
                // Probes that are under way are ordinary attempts now.
                core.probes.clear();
                events::provider_released(&self.id);
                self.released();
                self.publish(core, now);
                self.ready(usize::MAX);
            }
        }
    }
}
