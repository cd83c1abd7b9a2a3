//! What an operator orders a key to do.

use super::{Key, KeyCore};
use crate::actors::orders::KeyOrder;
use crate::domain::time::Time;

impl Key {
    pub(super) fn manual(&self, core: &mut KeyCore, order: KeyOrder) {
        let now = self.clock.now();
        let change = match order {
            KeyOrder::Quarantine(span) => {
                let until = span.map_or(Time::NEVER, |span| now + span);
                core.state.hold(until)
            }
            KeyOrder::Cool(model, span) => core.state.cool(model, now + span, now),
            KeyOrder::Release => {
                // What the cell remembers of learned limits holds nobody back any more either.
                self.cell.forget_learned();
                core.state.release()
            }
        };
        self.announce(core, &change);
    }
}
