//! What a provider tells other processes of its fleet, and what it does at their word.

use super::{ProviderActor, ProviderCore};
use crate::actors::message::fleet::{FleetMember, FleetMessage};
use crate::domain::fleet::{FactKind, FleetWord};
use crate::domain::ids::ModelName;
use crate::telemetry::events;

impl ProviderActor {
    pub(super) fn fleet_says(&self, core: &mut ProviderCore, word: FleetWord) {
        let now = self.clock.now();
        match word {
            FleetWord::Out(kind, model, operation, until) => {
                let changed = core
                    .state
                    .heard_out(kind, model.as_ref(), operation, until, now);
                if changed {
                    self.publish(core, now);
                    let span = until.since(now);
                    events::provider_out_in_fleet(&self.id, model.as_ref(), kind.word(), span);
                }
            }
            FleetWord::End(kind, model, operation) => {
                if core.state.heard_end(kind, model.as_ref(), operation, now) {
                    self.publish(core, now);
                    self.ready(usize::MAX);
                }
            }
            // Only ends of keys are tried by one process first, and only keys have limits.
            FleetWord::Try(..) | FleetWord::Count | FleetWord::Share(_) => {}
            FleetWord::Tell => self.tell_fleet(core),
        }
    }

    /// Tells what keeps the provider or its models out now.
    pub(super) fn tell_fleet(&self, core: &ProviderCore) {
        if self.fleet.is_some() {
            let told = core.state.told(self.clock.now());
            self.send(FleetMessage::Told(self.member(), told));
        }
    }

    /// A breaker has closed.
    pub(super) fn recovered(&self, model: &ModelName) {
        let model = Some(model.clone());
        self.send(FleetMessage::Recovered(
            self.member(),
            FactKind::Opened,
            model,
        ));
    }

    pub(super) fn released(&self) {
        self.send(FleetMessage::Released(self.member()));
    }

    fn member(&self) -> FleetMember {
        FleetMember::Provider(self.id.clone())
    }

    fn send(&self, message: FleetMessage) {
        if let Some(fleet) = &self.fleet {
            // Its next incarnation asks.
            drop(fleet.send(message));
        }
    }
}
