//! An operator's commands to a key.

use super::{KeyActor, KeyCore};
use crate::actors::admin_command::KeyCommand;
use crate::domain::time::Time;

impl KeyActor {
    pub(super) fn manual(&self, core: &mut KeyCore, order: KeyCommand) {
        let now = self.clock.now();
        let change = match order {
            KeyCommand::Hold(span) => {
                let until = span.map_or(Time::NEVER, |span| now + span);
                core.state.hold(until)
            }
            KeyCommand::Cool(model, span) => core.state.cool(model, now + span, now),
            KeyCommand::Release => {
                // Published limits that were learned no longer apply either.
                self.status.forget_learned();
                core.state.release()
            }
        };
        self.announce(core, &change);
    }
}
