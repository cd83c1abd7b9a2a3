//! What of a key's state outlives the process, and a key's state from that.

use super::{KeyState, LiveLease, MODELS_KEPT, QUOTA_MAX, REPROBE_FIRST, REPROBE_MAX, Validity};
use crate::domain::cooldown::Cooldown;
use crate::domain::ids::{LeaseId, ModelName};
use crate::domain::pace::{Paces, SentAttempt};
use crate::domain::persisted::{self, PersistedKey, PersistedLimit, PersistedQuarantine};
use crate::domain::time::Time;

impl KeyState {
    /// Why the key is out, for the next process.
    pub fn persisted(&self, now: Time) -> PersistedKey {
        let whole = self.whole.persisted(now);
        let models = self.models.iter();
        let models = models.filter_map(|(model, cooldown)| {
            cooldown
                .persisted(now)
                .map(|memory| (model.clone(), memory))
        });
        let mut models: Vec<_> = models.collect();
        models.sort_by(|one, other| one.0.cmp(&other.0));
        PersistedKey {
            whole,
            exhausted: self.exhausted && whole.is_some(),
            models,
            invalid: match self.validity {
                Validity::Valid => None,
                Validity::Invalid { until, span, .. } => Some(PersistedQuarantine { until, span }),
            },
            held: self.held(now),
        }
    }

    /// The limits that were learned, for the next process.
    pub fn limits_memory(&self, now: Time) -> Vec<PersistedLimit> {
        self.paces.persisted(now)
    }

    /// Whether nothing is left of a learned limit of `model`.
    pub fn is_used_up(&self, model: &ModelName, now: Time) -> bool {
        self.paces.is_used_up(model, now)
    }

    /// A lease that an earlier state of this key gave is still out: it is in flight here too, but what it reserved of
    /// limits is forgotten. `is_trial`: it tries a key that was found invalid.
    pub fn adopt(&mut self, lease: LeaseId, model: &ModelName, is_trial: bool, now: Time) {
        if is_trial && let Validity::Invalid { probe, .. } = &mut self.validity {
            *probe = Some(lease);
        }
        let live = LiveLease {
            model: model.clone(),
            reserved: 0,
            sent: SentAttempt {
                lease,
                tokens: 0,
                at: now,
            },
            in_flight: u32::try_from(self.live.len() + 1).unwrap_or(u32::MAX),
            explained: false,
        };
        self.live.insert(lease, live);
    }

    /// A new key takes over its persisted state. Nothing lasts longer than it could have at `now`: a rate limit
    /// the configured maximum, a quota 31 days, an invalid key's span at most an hour, a hold a year unless it
    /// has no end.
    pub fn restore(&mut self, memory: &PersistedKey, limits: &[PersistedLimit], now: Time) {
        let latest = now + self.cooldown.max;
        self.held = persisted::held(memory.held, now);
        if let Some(whole) = memory.whole {
            self.exhausted = memory.exhausted;
            let latest = if memory.exhausted {
                now + QUOTA_MAX
            } else {
                latest
            };
            self.whole = Cooldown::restored(whole, latest);
        }
        for (model, memory) in &memory.models {
            let cooldown = Cooldown::restored(*memory, latest);
            if self.models.len() < MODELS_KEPT {
                self.models.insert(model.clone(), cooldown);
            } else {
                self.whole.extend(memory.until.min(latest));
            }
        }
        if let Some(PersistedQuarantine { until, span }) = memory.invalid {
            let span = span.clamp(REPROBE_FIRST, REPROBE_MAX);
            self.validity = Validity::Invalid {
                until: until.min(now + span),
                span,
                probe: None,
            };
        }
        if self.limits.pacing.learn {
            self.paces = Paces::restored(limits, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::{QUOTA_DEFAULT, Settlement};
    use super::*;
    use crate::domain::allowance::{Allowance, Unit};
    use crate::domain::cooldown::{CooldownPolicy, CooldownScope};
    use crate::domain::limits::{KeyLimits, PacingPolicy};
    use crate::domain::outcome::Class;
    use crate::domain::persisted::{HELD_MAX, PersistedCooldown};
    use crate::domain::refusal::{Reason, Refusal};

    const S: Duration = Duration::from_secs(1);

    fn at(seconds: u32) -> Time {
        Time::ZERO + S * seconds
    }

    fn key() -> KeyState {
        KeyState::new(KeyLimits::default(), CooldownPolicy::default())
    }

    fn settled(class: Class, retry_after: Option<Duration>) -> Settlement {
        Settlement {
            class,
            retry_after,
            tokens: None,
            counts: true,
        }
    }

    fn end(key: &mut KeyState, settlement: &Settlement, now: Time) {
        let lease = LeaseId(1);
        key.admit(lease, &"m".into(), 0, now).unwrap();
        key.settle(lease, settlement, now);
    }

    /// What the next process makes of it at `now`.
    fn next(key: &KeyState, now: Time) -> KeyState {
        let mut next = KeyState::new(key.limits, key.cooldown);
        next.restore(&key.persisted(now), &key.limits_memory(now), now);
        next
    }

    #[test]
    fn an_exhausted_key_stays_away_until_its_quota_comes_back() {
        let mut key = key();
        let midnight = Duration::from_secs(9 * 3600);
        end(
            &mut key,
            &settled(Class::QuotaExhausted, Some(midnight)),
            at(0),
        );
        let next = next(&key, at(60));
        let refusal = Refusal::until(Reason::Exhausted, at(9 * 3600));
        assert_eq!(next.readiness(&"m".into(), 0, at(60)), Err(refusal));
        assert_eq!(next.outage(at(60)), Some(refusal));
        assert!(next.readiness(&"m".into(), 0, at(9 * 3600)).is_ok());
    }

    #[test]
    fn an_invalid_key_gets_one_probe_whose_failure_doubles_its_span() {
        let mut key = key();
        end(&mut key, &settled(Class::InvalidKey, None), at(0));
        // Its five minutes have passed while no process ran.
        let mut next = next(&key, at(400));
        assert!(next.admit(LeaseId(7), &"m".into(), 0, at(400)).is_ok());
        let second = next.readiness(&"m".into(), 0, at(400));
        assert_eq!(second, Err(Refusal::open_ended(Reason::Invalid)));
        next.settle(LeaseId(7), &settled(Class::InvalidKey, None), at(400));
        let until = at(400) + 2 * REPROBE_FIRST;
        assert_eq!(
            next.outage(at(400)),
            Some(Refusal::until(Reason::Invalid, until))
        );
    }

    #[test]
    fn a_limit_that_repeats_goes_on_doubling() {
        let mut key = key();
        end(&mut key, &settled(Class::RateLimited, None), at(0));
        end(&mut key, &settled(Class::RateLimited, None), at(60));
        let mut next = next(&key, at(61));
        end(&mut next, &settled(Class::RateLimited, None), at(180));
        let models: Vec<_> = next.cooling_models(at(180)).collect();
        assert_eq!(models, [(&"m".into(), at(180 + 240))]);
    }

    #[test]
    fn what_was_learned_is_kept_until_its_reset_unless_learning_is_off() {
        let mut key = key();
        let heard = Allowance {
            unit: Unit::Requests,
            period: Duration::ZERO,
            limit: Some(10.0),
            remaining: 0.0,
            reset: 60 * S,
        };
        key.admit(LeaseId(1), &"m".into(), 0, at(0)).unwrap();
        key.heard(LeaseId(1), &[heard], None, at(1));
        key.settle(LeaseId(1), &settled(Class::Success, None), at(2));
        let restored = next(&key, at(5));
        let paced = Refusal::until(Reason::Paced, at(61));
        assert_eq!(restored.readiness(&"m".into(), 0, at(5)), Err(paced));
        assert!(restored.readiness(&"m".into(), 0, at(61)).is_ok());
        assert!(next(&key, at(61)).learned_limits(at(61)).is_empty());
        let mut limits = KeyLimits::default();
        limits.pacing = PacingPolicy {
            learn: false,
            ..limits.pacing
        };
        let mut unlearned = KeyState::new(limits, CooldownPolicy::default());
        unlearned.restore(&key.persisted(at(5)), &key.limits_memory(at(5)), at(5));
        assert!(unlearned.readiness(&"m".into(), 0, at(5)).is_ok());
    }

    #[test]
    fn a_file_that_lies_keeps_no_key_away_for_longer_than_it_could_have_been() {
        let lie = PersistedCooldown {
            until: Time::NEVER,
            strikes: u32::MAX,
        };
        let memory = |exhausted| PersistedKey {
            whole: Some(lie),
            exhausted,
            models: vec![("m".into(), lie)],
            ..PersistedKey::default()
        };
        let until = |memory: &PersistedKey| {
            let mut key = key();
            key.restore(memory, &[], at(5));
            key.readiness(&"m".into(), 0, at(5)).unwrap_err().ready_at
        };
        let max = CooldownPolicy::default().max;
        assert_eq!(until(&memory(false)), Some(at(5) + max));
        assert_eq!(until(&memory(true)), Some(at(5) + QUOTA_MAX));
        let quarantine = |span| PersistedKey {
            invalid: Some(PersistedQuarantine {
                until: Time::NEVER,
                span,
            }),
            ..PersistedKey::default()
        };
        assert_eq!(until(&quarantine(Duration::MAX)), Some(at(5) + REPROBE_MAX));
        assert_eq!(until(&quarantine(S)), Some(at(5) + REPROBE_FIRST));
        let held = |held| PersistedKey {
            held: Some(held),
            ..PersistedKey::default()
        };
        let far = Time::NEVER - S;
        assert_eq!(until(&held(far)), Some(at(5) + HELD_MAX));
        assert_eq!(until(&held(Time::NEVER)), None, "until it is released");
    }

    #[test]
    fn what_an_operator_took_out_stays_out_until_its_time_or_a_release() {
        let mut key = key();
        key.hold(at(100));
        let held = Refusal::until(Reason::Held, at(100));
        assert_eq!(next(&key, at(50)).outage(at(50)), Some(held));
        assert_eq!(next(&key, at(100)).outage(at(100)), None);
        key.hold(Time::NEVER);
        let mut restored = next(&key, at(50));
        let held = Refusal::open_ended(Reason::Held);
        assert_eq!(restored.readiness(&"m".into(), 0, at(9999)), Err(held));
        restored.release();
        assert!(restored.persisted(at(51)).is_empty());
    }

    proptest! {
        /// Law L5 over a restart at any moment: whatever was refused is refused by the next process, until the same
        /// moment.
        #[test]
        fn l5_a_restart_shortens_nothing(
            events in prop::collection::vec((0u32..900, 0usize..3, 0usize..5, prop::option::of(0u32..40_000)), 1..30),
            scope in 0usize..3,
            pause in 0u32..5000,
        ) {
            let scopes = [CooldownScope::KeyModel, CooldownScope::Key, CooldownScope::Provider];
            let policy = CooldownPolicy { scope: scopes[scope], ..CooldownPolicy::default() };
            let mut key = KeyState::new(KeyLimits::default(), policy);
            let models: [ModelName; 3] = ["a", "b", "c"].map(ModelName::from);
            let classes = [Class::RateLimited, Class::QuotaExhausted, Class::InvalidKey, Class::Success];
            let mut now = at(0);
            for (n, (step, model, class, hint)) in (1u64..).zip(events) {
                now = now + S * step;
                let (lease, model) = (LeaseId(n), &models[model]);
                if class == classes.len() {
                    key.hold(hint.map_or(Time::NEVER, |seconds| now + S * seconds));
                } else if key.admit(lease, model, 0, now).is_ok() {
                    let hint = hint.map(|seconds| S * seconds);
                    key.settle(lease, &settled(classes[class], hint), now);
                }
            }
            let mut restored = KeyState::new(KeyLimits::default(), policy);
            let later = now + S * pause;
            restored.restore(&key.persisted(now), &[], later);
            for model in &models {
                prop_assert_eq!(restored.readiness(model, 0, later), key.readiness(model, 0, later));
            }
            prop_assert_eq!(restored.persisted(later).still(later), key.persisted(later));
        }
    }

    #[test]
    fn nothing_to_remember_is_nothing() {
        let mut key = key();
        end(&mut key, &settled(Class::Success, None), at(0));
        assert!(key.persisted(at(0)).is_empty() && key.limits_memory(at(0)).is_empty());
        end(&mut key, &settled(Class::QuotaExhausted, None), at(0));
        assert!(!key.persisted(at(0)).is_empty());
        assert!(key.persisted(at(0) + QUOTA_DEFAULT).is_empty());
    }
}
