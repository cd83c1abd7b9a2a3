//! An operator's commands to a key, and its state for readers. A release is the one
//! thing that ends a cooldown before its time (law L5 is about reports).

use super::{Cooldown, KeyChange, KeyState, Validity};
use crate::domain::concurrency::Concurrency;
use crate::domain::ids::ModelName;
use crate::domain::pace::Paces;
use crate::domain::refusal::{Reason, Refusal};
use crate::domain::time::Time;

impl KeyState {
    /// Takes no attempts until then; [`Time::NEVER`]: until it is released. A second time replaces the first.
    pub fn hold(&mut self, until: Time) -> KeyChange {
        self.held = Some(until);
        KeyChange::Held { until }
    }

    /// Cools until then, for one model or for all; never for shorter than it already does. For all also when there is no
    /// room for one more model.
    pub fn cool(&mut self, model: Option<ModelName>, until: Time, now: Time) -> KeyChange {
        let model = model.filter(|model| self.has_room_for(model, now));
        let until = match &model {
            Some(model) => {
                let cooldown = self.models.entry(model.clone()).or_default();
                cooldown.extend(until)
            }
            None => {
                self.note_end_of_quota(now);
                self.whole.extend(until)
            }
        };
        KeyChange::Cooled { model, until }
    }

    /// Whatever kept it away is over: held, cooling, exhausted, invalid, and limits that were learned. What the
    /// configuration allows it stays, and so do its live leases.
    pub fn release(&mut self) -> KeyChange {
        self.held = None;
        self.whole = Cooldown::default();
        self.exhausted = false;
        self.tokenless = None;
        self.models.clear();
        self.validity = Validity::Valid;
        self.paces = Paces::default();
        self.concurrency = Concurrency::default();
        KeyChange::Released
    }

    /// Until when an operator keeps it out.
    pub fn held(&self, now: Time) -> Option<Time> {
        self.held.filter(|until| now < *until)
    }

    /// The moment from which one request may probe it, if it was found invalid; it may have passed.
    pub fn invalid_until(&self) -> Option<Time> {
        match self.validity {
            Validity::Valid => None,
            Validity::Invalid { until, .. } => Some(until),
        }
    }

    /// When the probe that is under way was sent, if it was found invalid.
    pub fn probing_since(&self) -> Option<Time> {
        match self.validity {
            Validity::Invalid {
                probe: Some(lease), ..
            } => self.live.get(&lease).map(|live| live.sent.at),
            Validity::Valid | Validity::Invalid { probe: None, .. } => None,
        }
    }

    /// Why it cools for all models, and until when.
    pub fn cooling_all(&self, now: Time) -> Option<Refusal> {
        let reason = if self.exhausted {
            Reason::Exhausted
        } else {
            Reason::Cooling
        };
        let cooling = self.whole.cooling(now);
        let cooling = cooling.map(|until| Refusal::until(reason, until));
        let tokenless = self.tokenless.filter(|until| now < *until);
        let tokenless = tokenless.map(|until| Refusal::until(Reason::NoToken, until));
        // The one that lasts longer says when the key is ready.
        cooling
            .into_iter()
            .chain(tokenless)
            .max_by_key(|refusal| refusal.ready_at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::cooldown::CooldownPolicy;
    use crate::domain::ids::LeaseId;
    use crate::domain::limits::KeyLimits;
    use crate::domain::outcome::Class;
    use crate::domain::settlement::Settlement;

    const S: Duration = Duration::from_secs(1);
    const NOW: Time = Time::from_millis(5000);

    fn key() -> KeyState {
        KeyState::new(KeyLimits::default(), CooldownPolicy::default())
    }

    fn model(name: &str) -> ModelName {
        ModelName::from(name)
    }

    fn fails(key: &mut KeyState, class: Class) {
        let settlement = Settlement {
            class,
            counts: true,
            ..Settlement::CANCELLED
        };
        key.admit(LeaseId(9), &model("a"), 0, NOW).unwrap();
        key.settle(LeaseId(9), &settlement, NOW);
    }

    #[test]
    fn held_it_takes_nothing_whatever_its_leases_report() {
        let mut key = key();
        key.admit(LeaseId(1), &model("a"), 0, NOW).unwrap();
        key.hold(NOW + S);
        key.settle(
            LeaseId(1),
            &Settlement {
                class: Class::Success,
                ..Settlement::CANCELLED
            },
            NOW,
        );
        let refusal = key.readiness(&model("b"), 0, NOW).unwrap_err();
        assert_eq!(refusal, Refusal::held(NOW + S));
        assert_eq!(key.outage(NOW), Some(refusal));
        assert!(key.readiness(&model("b"), 0, NOW + S).is_ok());
        key.hold(Time::NEVER);
        assert_eq!(
            key.readiness(&model("b"), 0, NOW + 999 * S)
                .unwrap_err()
                .ready_at,
            None
        );
    }

    #[test]
    fn a_release_ends_whatever_kept_it_away() {
        for class in [Class::RateLimited, Class::QuotaExhausted, Class::InvalidKey] {
            let mut key = key();
            fails(&mut key, class);
            assert!(key.readiness(&model("a"), 0, NOW).is_err(), "{class:?}");
            key.release();
            assert_eq!(key.readiness(&model("a"), 0, NOW), Ok(()), "{class:?}");
            assert_eq!((key.outage(NOW), key.invalid_until()), (None, None));
        }
    }

    #[test]
    fn a_cooldown_by_hand_is_for_one_model_or_for_all_and_shortens_none() {
        let mut key = key();
        fails(&mut key, Class::RateLimited);
        let usual = key.readiness(&model("a"), 0, NOW).unwrap_err();
        key.cool(Some(model("a")), NOW + S, NOW);
        assert_eq!(key.readiness(&model("a"), 0, NOW), Err(usual));
        assert_eq!(key.readiness(&model("b"), 0, NOW), Ok(()));
        key.cool(None, NOW + 2 * S, NOW);
        assert_eq!(
            key.readiness(&model("b"), 0, NOW).unwrap_err().ready_at,
            Some(NOW + 2 * S)
        );
    }
}
