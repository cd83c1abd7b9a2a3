//! What is published of a key's absences, and what follows from that for a request: the key's actor decides by the same
//! rule.

use crate::domain::refusal::{Reason, Refusal};
use crate::domain::time::Time;

/// Everything that keeps a key away but its limits. Times that have passed mean nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyFacts {
    /// An operator keeps it out until then.
    pub held: Option<Time>,
    /// It was found invalid, and one request may probe it from then on.
    pub invalid: Option<Time>,
    /// That request is under way.
    pub probing: bool,
    /// It cools for all models, or its quota is used up.
    pub cooling_all: Option<Refusal>,
    /// It cools for the model in question until then.
    pub cooling_model: Option<Time>,
}

impl KeyFacts {
    /// When the key is out for all models, until when and why.
    pub fn outage(&self, now: Time) -> Option<Refusal> {
        let lasts = |until: &Time| now < *until;
        let held = self.held.filter(lasts).map(Refusal::held);
        let invalid = self.invalid.filter(lasts);
        let invalid = invalid.map(|until| Refusal::until(Reason::Invalid, until));
        let cooling = self.cooling_all;
        let cooling = cooling.filter(|it| it.ready_at.is_none_or(|ready| now < ready));
        held.or(invalid).or(cooling)
    }

    /// Why a request for the model is refused.
    pub fn refusal(&self, now: Time) -> Option<Refusal> {
        let outage = self.outage(now);
        if self.probing && outage.is_none_or(|it| it.reason != Reason::Held) {
            return Some(Refusal::open_ended(Reason::Invalid));
        }
        let cooling = self.cooling_model.filter(|until| now < *until);
        outage.or(cooling.map(|until| Refusal::until(Reason::Cooling, until)))
    }
}
