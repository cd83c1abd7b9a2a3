//! An operator's commands to a provider, and the state of its upstreams for readers.

use super::{ProviderState, UpstreamSnapshot, UpstreamState};
use crate::domain::breaker::{Breaker, BreakerGate};
use crate::domain::cooldown::Cooldown;
use crate::domain::time::Time;

impl ProviderState {
    /// Takes no attempts until then; [`Time::NEVER`]: until it is released. A second time replaces the first.
    pub fn hold(&mut self, until: Time) {
        self.held = Some(until);
    }

    /// Until when an operator keeps it out.
    pub fn held(&self, now: Time) -> Option<Time> {
        self.held.filter(|until| now < *until)
    }

    /// Whatever kept it away is over: held, cooling, open breakers, models that were gone. Its keys answer for
    /// themselves.
    pub fn release(&mut self) {
        self.held = None;
        self.whole = Cooldown::default();
        for upstream in self.models.values_mut() {
            upstream.breaker = Breaker::new(self.breaker);
            upstream.absences.release();
            upstream.ramp = None;
        }
    }

    /// The upstreams that are not simply well, by name.
    pub fn unwell(&self, now: Time) -> Vec<UpstreamSnapshot> {
        let views = self.models.iter().map(|(model, upstream)| {
            let UpstreamState {
                breaker: circuit,
                absences,
                ramp,
                ..
            } = upstream;
            UpstreamSnapshot {
                model: model.clone(),
                breaker: circuit.gate(now),
                absences: *absences,
                ramp: ramp.filter(|ramp| !ramp.is_over(now)),
            }
        });
        let well = |view: &UpstreamSnapshot| {
            view.breaker == BreakerGate::Closed
                && view.absences.until(now).is_none()
                && view.ramp.is_none()
        };
        let mut unwell: Vec<_> = views.filter(|view| !well(view)).collect();
        unwell.sort_by(|a, b| a.model.cmp(&b.model));
        unwell
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::breaker::BreakerPolicy;
    use crate::domain::dialect::Operation;
    use crate::domain::ids::ModelName;
    use crate::domain::limits::RetryBudgetPolicy;
    use crate::domain::outcome::Class;
    use crate::domain::refusal::{Reason, Refusal};

    const S: Duration = Duration::from_secs(1);

    fn provider() -> ProviderState {
        ProviderState::new(BreakerPolicy::default(), RetryBudgetPolicy::default())
    }

    #[test]
    fn held_it_takes_nothing_until_its_time_or_its_release() {
        let (model, now) = (ModelName::from("m"), Time::ZERO + S);
        let mut provider = provider();
        provider.hold(now + S);
        let refusal = provider
            .gate(&model, Operation::Chat, true, now)
            .unwrap_err();
        assert_eq!(
            (refusal.reason, refusal.ready_at),
            (Reason::Held, Some(now + S))
        );
        assert!(
            provider
                .gate(&model, Operation::Chat, true, now + S)
                .is_ok()
        );
        provider.hold(Time::NEVER);
        assert_eq!(
            provider
                .gate(&model, Operation::Chat, true, now + S * 999)
                .unwrap_err()
                .ready_at,
            None
        );
        provider.release();
        assert!(provider.gate(&model, Operation::Chat, true, now).is_ok());
    }

    #[test]
    fn what_an_operator_took_out_is_remembered_until_its_time_or_a_release() {
        let (model, now) = (ModelName::from("m"), Time::ZERO + S);
        let next = |provider: &ProviderState, now| {
            let mut next =
                ProviderState::new(BreakerPolicy::default(), RetryBudgetPolicy::default());
            next.restore(&provider.persisted(now), S, now);
            next
        };
        let mut provider =
            ProviderState::new(BreakerPolicy::default(), RetryBudgetPolicy::default());
        provider.hold(now + 9 * S);
        let held = next(&provider, now).gate(&model, Operation::Chat, true, now);
        assert_eq!(held, Err(Refusal::held(now + 9 * S)));
        assert!(
            next(&provider, now + 9 * S)
                .gate(&model, Operation::Chat, true, now)
                .is_ok()
        );
        provider.hold(Time::NEVER);
        let mut restored = next(&provider, now);
        let held = restored.gate(&model, Operation::Chat, true, now + 999 * S);
        assert_eq!(held, Err(Refusal::open_ended(Reason::Held)));
        restored.release();
        assert!(restored.persisted(now).is_empty());
    }

    #[test]
    fn a_release_closes_breakers_and_brings_models_back() {
        let (model, gone, now) = (ModelName::from("m"), ModelName::from("g"), Time::ZERO + S);
        let mut provider = provider();
        for _ in 0..3 {
            provider.settled(&model, Operation::Chat, Class::Transient, true, false, now);
        }
        provider.settled(&gone, Operation::Chat, Class::ModelGone, true, false, now);
        provider.cool(now + S);
        let unwell = provider.unwell(now);
        assert_eq!(unwell.len(), 2);
        assert!(
            unwell[0].absences.everything(now).is_some()
                && unwell[1].breaker != BreakerGate::Closed
        );
        provider.release();
        assert_eq!(provider.unwell(now), []);
        for model in [model, gone] {
            assert!(
                !provider
                    .gate(&model, Operation::Chat, true, now)
                    .unwrap()
                    .probe
            );
        }
    }
}
