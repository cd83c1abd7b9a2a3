//! Which candidates are open to the next attempt.

use super::{Attempts, LeaseFilter, Pin, RouteConstraints};
use crate::domain::refusal::Reason;

impl Attempts {
    /// From now on only this key is asked, wherever it is in the chain.
    pub fn pin(&mut self, pin: &Pin) {
        for slot in &mut self.slots {
            if slot.candidate.upstream.provider != pin.0.provider {
                slot.closed = slot.closed.or(Some(Reason::Unsuitable));
            }
        }
        self.only_key = Some(pin.0.index);
    }

    /// What is closed to the request, by place, and why.
    pub fn closed(&self) -> impl Iterator<Item = (usize, Reason)> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(place, slot)| Some((place, slot.closed?)))
    }

    /// What to ask the router for now.
    pub fn ask(&self) -> RouteConstraints {
        RouteConstraints {
            closed: self.slots.iter().map(|slot| slot.closed).collect(),
            refused_keys: self.refused_keys.clone(),
            avoid: self.avoid,
            not_with: None,
            only_key: self.only_key,
            first: self.records.is_empty(),
        }
    }

    /// What to ask the router for now, for an attempt that more is asked of; `None` where no candidate is left.
    pub fn ask_for(&self, filter: &LeaseFilter) -> Option<RouteConstraints> {
        let places = self.slots.iter().enumerate();
        let closed = places.map(|(at, slot)| {
            let fits =
                !filter.not_at.contains(&at) && (!filter.continues || slot.candidate.continues);
            slot.closed.or((!fits).then_some(Reason::Unsuitable))
        });
        let closed: Vec<_> = closed.collect();
        closed
            .iter()
            .any(Option::is_none)
            .then(|| RouteConstraints {
                closed,
                not_with: filter.not_with,
                first: false,
                ..self.ask()
            })
    }
}
