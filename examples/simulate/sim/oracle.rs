//! Could a dispatcher that knows everything have served this request?
//!
//! It may ask any upstream of the chain, with any key, at any moment between arrival and deadline, and knows
//! beforehand what each would answer. A single attempt's fate depends on the upstream, the key, the model, the
//! request, how often the request asked there before, and the moment; the oracle makes a first attempt
//! everywhere. Keys without a free place at that moment (because others really used it) are closed to it too.

use std::time::Duration;

use pointsman::domain::time::Time;

use super::state::State;
use super::world::{Question, SLOT};

/// Parts of the longest streamed answer.
const MOST_PARTS: u32 = 8;
/// Moments looked at, at most.
const MOST_MOMENTS: u32 = 80;

pub fn could(state: &State, number: u32) -> bool {
    let asked = &state.asked[number as usize];
    let span = asked.deadline.since(asked.arrived);
    let step = (span / MOST_MOMENTS).max(SLOT);
    let mut at = asked.arrived;
    while at < asked.deadline {
        if serves_at(state, number, at) {
            return true;
        }
        at = at + step;
    }
    false
}

fn serves_at(state: &State, number: u32, at: Time) -> bool {
    let asked = &state.asked[number as usize];
    asked.slots.iter().any(|slot| {
        let maker = &state.world.makers[slot.maker];
        let parts = Duration::from_millis(maker.gap) * MOST_PARTS;
        let takes = state
            .world
            .latency(slot.maker, u64::from(number), at.since(Time::ZERO))
            + parts;
        if at + takes >= asked.deadline {
            return false;
        }
        state.keys_now[slot.maker].iter().any(|key| {
            let key = *key;
            let fate = state.world.fate(&Question {
                maker: slot.maker,
                key,
                model: slot.model,
                request: u64::from(number),
                nth: 0,
                at: at.since(Time::ZERO),
                own: asked.plan.own,
                calm: state.calm,
            });
            let spans = state
                .full
                .get(&(slot.maker, key))
                .map_or(&[][..], |spans| &spans[..]);
            let full = spans.iter().any(|(from, to)| *from <= at && at < *to);
            fate.0.in_form(asked.plan.stream).serves() && !full
        })
    })
}
