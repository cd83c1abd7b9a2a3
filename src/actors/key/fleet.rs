//! What a key tells other processes of its fleet, and what it does at their word.

use super::{KeyActor, KeyCore};
use crate::actors::message::fleet::{FleetMember, FleetMessage};
use crate::domain::fleet::{FactKind, FleetWord};
use crate::domain::ids::ModelName;
use crate::telemetry::events;

/// More is not tried here first at once.
const MOST_TRIED: usize = 64;

impl KeyActor {
    pub(super) fn fleet_says(&self, core: &mut KeyCore, word: FleetWord) {
        let now = self.clock.now();
        let id = &self.status.id;
        match word {
            FleetWord::Out(kind, model, _, until) => {
                if core.state.heard_out(kind, model.as_ref(), until, now) {
                    self.publish(core, now);
                    events::key_out_in_fleet(id, model.as_ref(), kind.word(), until.since(now));
                }
            }
            FleetWord::End(kind, model, _) => {
                if core.state.heard_end(kind, model.as_ref(), now) {
                    self.publish(core, now);
                    events::key_usable(id, model.as_ref());
                    self.ready(usize::MAX);
                }
            }
            FleetWord::Try(kind, model) => {
                if core.tried.len() < MOST_TRIED {
                    core.tried.push((kind, model));
                }
            }
            FleetWord::Tell => self.tell_fleet(core),
            FleetWord::Count => {
                let uses = core.state.uses(now);
                if !uses.is_empty() {
                    self.send(FleetMessage::Used(id.clone(), uses));
                }
            }
            FleetWord::Share(shares) => {
                core.state.keep_to(&shares);
                self.status.used.put(core.state.used_shares(now), now);
                let is_free = self.tell_limited(core, now);
                if std::mem::take(&mut core.wanted) || is_free {
                    self.ready(usize::MAX);
                }
            }
        }
    }

    /// Tells what keeps the key out now.
    pub(super) fn tell_fleet(&self, core: &KeyCore) {
        if self.fleet.is_some() {
            let told = core.state.told(self.clock.now());
            self.send(FleetMessage::Told(self.member(), told));
        }
    }

    /// It has served with that model: what was tried here first is over.
    pub(super) fn tried(&self, core: &mut KeyCore, model: &ModelName) {
        let is_it = |tried: &(FactKind, Option<ModelName>)| {
            tried.1.as_ref().is_none_or(|tried| tried == model)
        };
        for (kind, model) in core.tried.extract_if(.., |tried| is_it(tried)) {
            self.recovered(kind, model);
        }
    }

    pub(super) fn recovered(&self, kind: FactKind, model: Option<ModelName>) {
        self.send(FleetMessage::Recovered(self.member(), kind, model));
    }

    pub(super) fn released(&self) {
        self.send(FleetMessage::Released(self.member()));
    }

    fn member(&self) -> FleetMember {
        FleetMember::Key(self.status.id.clone())
    }

    fn send(&self, message: FleetMessage) {
        if let Some(fleet) = &self.fleet {
            // Its next incarnation asks.
            drop(fleet.send(message));
        }
    }
}
