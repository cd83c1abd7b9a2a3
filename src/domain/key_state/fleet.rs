//! What another process's word does to a key: it cools or is out for longer, never for shorter, unless what kept it out was
//! ended by an operator or by a probe. The word comes capped (`domain::fleet::admit`); what the key itself found out stays.

use std::time::Duration;

use super::{Cooldown, KeyState, REPROBE_FIRST, REPROBE_MAX, Validity};
use crate::domain::fleet::{FactKind, ToldAbsence};
use crate::domain::ids::ModelName;
use crate::domain::time::Time;

impl KeyState {
    /// It is out until then, for a model or for all. Says whether that is longer than was known here.
    pub fn heard_out(
        &mut self,
        kind: FactKind,
        model: Option<&ModelName>,
        until: Time,
        now: Time,
    ) -> bool {
        if until <= now {
            return false;
        }
        match (kind, model) {
            (FactKind::Cooling, Some(model)) => {
                if !self.has_room_for(model, now) {
                    return false;
                }
                let cooldown = self.models.entry(model.clone()).or_default();
                let before = cooldown.cooling(now);
                Some(cooldown.extend(until)) > before
            }
            (FactKind::Cooling | FactKind::Exhausted, None) => {
                self.note_end_of_quota(now);
                let before = (self.whole.cooling(now), self.exhausted);
                self.exhausted |= kind == FactKind::Exhausted;
                let after = (Some(self.whole.extend(until)), self.exhausted);
                after > before
            }
            (FactKind::Invalid, None) => self.heard_invalid(until, now),
            _ => false,
        }
    }

    fn heard_invalid(&mut self, until: Time, now: Time) -> bool {
        match &mut self.validity {
            Validity::Valid => {
                let span = until.until(now).clamp(REPROBE_FIRST, REPROBE_MAX);
                self.validity = Validity::Invalid {
                    until,
                    span,
                    probe: None,
                };
                true
            }
            Validity::Invalid {
                until: known,
                probe: None,
                ..
            } if *known < until => {
                *known = until;
                true
            }
            // A probe of its own says more than another process.
            Validity::Invalid { .. } => false,
        }
    }

    /// What kept it out there was ended early. Says whether anything was.
    pub fn heard_end(&mut self, kind: FactKind, model: Option<&ModelName>, now: Time) -> bool {
        match (kind, model) {
            (FactKind::Cooling, Some(model)) => {
                let cooldown = self.models.remove(model);
                cooldown.is_some_and(|it| it.cooling(now).is_some())
            }
            (FactKind::Cooling, None) if !self.exhausted => {
                let was = self.whole.cooling(now).is_some();
                self.whole = Cooldown::default();
                was
            }
            (FactKind::Exhausted, None) if self.exhausted => {
                let was = self.whole.cooling(now).is_some();
                self.whole = Cooldown::default();
                self.exhausted = false;
                was
            }
            (FactKind::Invalid, None) => {
                let was = self.validity != Validity::Valid;
                self.validity = Validity::Valid;
                was
            }
            _ => false,
        }
    }

    /// What keeps it out that other processes may be told: for which model, until when. Neither an operator's hold, which is
    /// about this process, nor a token that could not be fetched.
    pub fn told(&self, now: Time) -> Vec<ToldAbsence> {
        let mut told = Vec::new();
        if let Some(until) = self.whole.cooling(now) {
            let kind = match self.exhausted {
                true => FactKind::Exhausted,
                false => FactKind::Cooling,
            };
            told.push((kind, None, None, until));
        }
        if let Validity::Invalid { until, .. } = self.validity {
            told.push((FactKind::Invalid, None, None, until));
        }
        let models = self.cooling_models(now);
        told.extend(
            models.map(|(model, until)| (FactKind::Cooling, Some(model.clone()), None, until)),
        );
        told.retain(|(.., until)| until.until(now) > Duration::ZERO);
        told
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    fn settle(key: &mut KeyState, class: Class) {
        let settlement = Settlement {
            class,
            counts: true,
            ..Settlement::CANCELLED
        };
        key.admit(LeaseId(9), &"a".into(), 0, NOW).unwrap();
        key.settle(LeaseId(9), &settlement, NOW);
    }

    #[test]
    fn what_one_key_tells_keeps_the_same_key_away_elsewhere_until_it_is_ended() {
        for class in [Class::RateLimited, Class::QuotaExhausted, Class::InvalidKey] {
            let (mut here, mut there) = (key(), key());
            settle(&mut here, class);
            for (kind, model, _, until) in here.told(NOW) {
                assert!(there.heard_out(kind, model.as_ref(), until, NOW));
                assert!(!there.heard_out(kind, model.as_ref(), until, NOW), "once");
            }
            let refusal = here.readiness(&"a".into(), 0, NOW);
            assert_eq!(there.readiness(&"a".into(), 0, NOW), refusal, "{class:?}");
            assert!(refusal.is_err());
            for (kind, model, ..) in here.told(NOW) {
                assert!(there.heard_end(kind, model.as_ref(), NOW));
            }
            assert_eq!(there.readiness(&"a".into(), 0, NOW), Ok(()), "{class:?}");
        }
    }

    #[test]
    fn a_hold_is_not_told() {
        let mut key = key();
        key.hold(NOW + S);
        assert_eq!(key.told(NOW), []);
    }

    #[test]
    fn its_own_probe_says_more_than_others() {
        let mut key = key();
        settle(&mut key, Class::InvalidKey);
        let later = NOW + REPROBE_FIRST;
        key.admit(LeaseId(1), &"a".into(), 0, later).unwrap();
        assert!(!key.heard_out(FactKind::Invalid, None, later + 9 * S, later));
        let served = Settlement {
            class: Class::Success,
            ..Settlement::CANCELLED
        };
        key.settle(LeaseId(1), &served, later);
        assert_eq!(key.readiness(&"a".into(), 0, later), Ok(()));
    }

    proptest! {
        /// Law F3.
        #[test]
        fn f3_no_word_of_others_shortens_a_cooldown(
            heard in prop::collection::vec((0usize..3, any::<bool>(), 0u32..2000), 1..20),
        ) {
            let mut key = key();
            settle(&mut key, Class::RateLimited);
            let mut before = key.readiness(&"a".into(), 0, NOW).unwrap_err().ready_at;
            for (kind, of_model, span) in heard {
                let kind = [FactKind::Cooling, FactKind::Exhausted, FactKind::Invalid][kind];
                let model = Some("a".into()).filter(|_| of_model && kind == FactKind::Cooling);
                key.heard_out(kind, model.as_ref(), NOW + S * span, NOW);
                let cooling = key.cooling_models(NOW).map(|(_, until)| until).max();
                prop_assert!(cooling >= before);
                before = cooling;
                prop_assert!(key.readiness(&"a".into(), 0, NOW).is_err());
            }
        }
    }
}
