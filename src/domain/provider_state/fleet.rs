//! What another process's word does to a provider: its keys cool, a model is gone, and an upstream that failed there is tried
//! by one request before it is trusted. It opens no breaker: the failure may have been the other process's own network.

use std::time::Duration;

use super::ProviderState;
use crate::domain::breaker::BreakerGate;
use crate::domain::cooldown::Cooldown;
use crate::domain::dialect::Operation;
use crate::domain::fleet::{FactKind, ToldAbsence};
use crate::domain::ids::ModelName;
use crate::domain::time::Time;

/// An upstream that has served within this time is known better here.
const TRUSTED: Duration = Duration::from_secs(1);

impl ProviderState {
    /// It is out until then. Says whether anything has changed.
    pub fn heard_out(
        &mut self,
        kind: FactKind,
        model: Option<&ModelName>,
        operation: Option<Operation>,
        until: Time,
        now: Time,
    ) -> bool {
        if until <= now {
            return false;
        }
        match (kind, model, operation) {
            (FactKind::ProviderCooling, None, None) => {
                let before = self.whole.cooling(now);
                Some(self.whole.extend(until)) > before
            }
            (FactKind::Gone, Some(model), Some(operation)) => {
                let absences = &mut self.upstream(model, now).absences;
                let known = absences.gone(operation, now);
                if known.is_some_and(|known| until <= known) {
                    return false;
                }
                absences.gone_until(operation, until);
                true
            }
            (FactKind::Opened, Some(model), None) => {
                let upstream = self.upstream(model, now);
                if now.since(upstream.served_at) < TRUSTED {
                    return false;
                }
                upstream.breaker.suspect()
            }
            _ => false,
        }
    }

    /// What kept it out there was ended early. Says whether anything has changed.
    pub fn heard_end(
        &mut self,
        kind: FactKind,
        model: Option<&ModelName>,
        operation: Option<Operation>,
        now: Time,
    ) -> bool {
        match (kind, model, operation) {
            (FactKind::ProviderCooling, None, None) => {
                let was = self.whole.cooling(now).is_some();
                self.whole = Cooldown::default();
                was
            }
            (FactKind::Gone, Some(model), Some(operation)) => {
                let Some(upstream) = self.models.get_mut(model) else {
                    return false;
                };
                let was = upstream.absences.gone(operation, now).is_some();
                if was {
                    upstream.absences.gone_until(operation, Time::ZERO);
                }
                was
            }
            // One that opened here stays open: what failed here may fail here still.
            (FactKind::Opened, Some(model), None) => {
                let upstream = self.models.get_mut(model);
                upstream.is_some_and(|upstream| upstream.breaker.trust())
            }
            _ => false,
        }
    }

    /// What other processes may be told of it.
    pub fn told(&self, now: Time) -> Vec<ToldAbsence> {
        let mut told = Vec::new();
        if let Some(until) = self.whole.cooling(now) {
            told.push((FactKind::ProviderCooling, None, None, until));
        }
        for (model, upstream) in &self.models {
            for operation in Operation::ALL {
                if let Some(until) = upstream.absences.gone(operation, now) {
                    told.push((FactKind::Gone, Some(model.clone()), Some(operation), until));
                }
            }
            if let BreakerGate::Open { until } = upstream.breaker.gate(now) {
                told.push((FactKind::Opened, Some(model.clone()), None, until));
            }
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::breaker::BreakerPolicy;
    use crate::domain::limits::RetryBudgetPolicy;
    use crate::domain::outcome::Class;
    use crate::domain::provider_state::BudgetCharge;

    const S: Duration = Duration::from_secs(1);
    const NOW: Time = Time::from_millis(50_000);

    fn provider() -> ProviderState {
        ProviderState::new(BreakerPolicy::default(), RetryBudgetPolicy::default())
    }

    fn ends(provider: &mut ProviderState, class: Class, probe: bool, now: Time) {
        provider.settled(&"m".into(), Operation::Chat, class, true, probe, now);
    }

    fn tell(from: &ProviderState, to: &mut ProviderState, now: Time) {
        for (kind, model, operation, until) in from.told(now) {
            to.heard_out(kind, model.as_ref(), operation, until, now);
        }
    }

    #[test]
    fn a_breaker_that_opened_elsewhere_lets_one_request_try_and_closes_without_a_slow_start() {
        let (mut there, mut here) = (provider(), provider());
        for _ in 0..3 {
            ends(&mut there, Class::Transient, false, NOW);
        }
        tell(&there, &mut here, NOW);
        let model = "m".into();
        let gate = |here: &ProviderState| here.gate(&model, Operation::Chat, true, NOW);
        let pass = gate(&here).unwrap();
        assert!(pass.probe, "asked at once, but by one request");
        here.started(&model, pass, BudgetCharge::First, NOW);
        assert!(gate(&here).is_err());
        ends(&mut here, Class::Success, true, NOW);
        assert!(!gate(&here).unwrap().probe);
        assert_eq!(here.ramp(&model, NOW), None);
        // It serves here: the word of others is worth less.
        tell(&there, &mut here, NOW);
        assert!(!gate(&here).unwrap().probe);
    }

    #[test]
    fn that_it_serves_elsewhere_does_not_close_what_failed_here() {
        let mut here = provider();
        for _ in 0..3 {
            ends(&mut here, Class::Transient, false, NOW);
        }
        let model = Some("m".into());
        assert!(!here.heard_end(FactKind::Opened, model.as_ref(), None, NOW));
        assert!(here.gate(&"m".into(), Operation::Chat, true, NOW).is_err());
    }

    #[test]
    fn a_model_that_is_gone_and_a_cooldown_are_told_and_ended() {
        let (mut there, mut here) = (provider(), provider());
        ends(&mut there, Class::ModelGone, false, NOW);
        there.cool(NOW + 60 * S);
        tell(&there, &mut here, NOW);
        let gate = |here: &ProviderState| here.gate(&"m".into(), Operation::Chat, true, NOW);
        assert_eq!(gate(&here), gate(&there));
        for (kind, model, operation, _) in there.told(NOW) {
            assert!(here.heard_end(kind, model.as_ref(), operation, NOW));
        }
        assert!(gate(&here).is_ok());
    }
}
