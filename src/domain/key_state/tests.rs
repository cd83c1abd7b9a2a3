//! When a key admits, refuses and comes back, and that its leases are counted right.

use proptest::prelude::*;

use super::*;

const S: Duration = Duration::from_secs(1);

fn model(name: &str) -> ModelName {
    ModelName::from(name)
}

fn settled(class: Class) -> Settlement {
    Settlement {
        class,
        retry_after: None,
        tokens: None,
        counts: true,
    }
}

fn key() -> KeyState {
    KeyState::new(KeyLimits::default(), CooldownPolicy::default())
}

fn attempt(
    key: &mut KeyState,
    id: u64,
    name: &str,
    settlement: &Settlement,
    now: Time,
) -> Option<KeyChange> {
    key.admit(LeaseId(id), &model(name), 0, now).unwrap();
    key.settle(LeaseId(id), settlement, now)
}

#[test]
fn what_does_not_count_takes_no_key_away() {
    for class in [Class::QuotaExhausted, Class::InvalidKey] {
        let mut key = key();
        let uncounted = Settlement {
            counts: false,
            ..settled(class)
        };
        assert_eq!(attempt(&mut key, 1, "a", &uncounted, Time::ZERO), None);
        assert_eq!(key.outage(Time::ZERO), None, "{class:?}");
    }
}

#[test]
fn a_rate_limit_cools_only_the_model_it_was_about() {
    let mut key = key();
    attempt(&mut key, 1, "a", &settled(Class::RateLimited), Time::ZERO);
    assert_eq!(
        key.readiness(&model("a"), 0, Time::ZERO),
        Err(Refusal::until(Reason::Cooling, Time::ZERO + 60 * S))
    );
    assert_eq!(key.readiness(&model("b"), 0, Time::ZERO), Ok(()));
    assert_eq!(key.readiness(&model("a"), 0, Time::ZERO + 60 * S), Ok(()));
}

#[test]
fn with_scope_key_a_rate_limit_cools_every_model() {
    let mut key = KeyState::new(
        KeyLimits::default(),
        CooldownPolicy {
            scope: CooldownScope::Key,
            ..CooldownPolicy::default()
        },
    );
    attempt(&mut key, 1, "a", &settled(Class::RateLimited), Time::ZERO);
    assert!(key.readiness(&model("b"), 0, Time::ZERO).is_err());
}

#[test]
fn an_exhausted_quota_takes_the_key_out_until_the_reset_or_for_an_hour() {
    let mut key = key();
    attempt(
        &mut key,
        1,
        "a",
        &settled(Class::QuotaExhausted),
        Time::ZERO,
    );
    assert_eq!(
        key.readiness(&model("b"), 0, Time::ZERO),
        Err(Refusal::until(Reason::Exhausted, Time::ZERO + 3600 * S))
    );
    let mut other = self::key();
    let reset = Settlement {
        retry_after: Some(7200 * S),
        ..settled(Class::QuotaExhausted)
    };
    attempt(&mut other, 1, "a", &reset, Time::ZERO);
    assert!(
        other
            .readiness(&model("a"), 0, Time::ZERO + 7199 * S)
            .is_err()
    );
    assert!(
        other
            .readiness(&model("a"), 0, Time::ZERO + 7200 * S)
            .is_ok()
    );
}

#[test]
fn an_invalid_key_is_probed_by_one_request_after_five_minutes_then_ten() {
    let mut key = key();
    let change = attempt(&mut key, 1, "a", &settled(Class::InvalidKey), Time::ZERO);
    let five = Time::ZERO + 300 * S;
    assert_eq!(change, Some(KeyChange::Quarantined { until: five }));
    assert!(key.readiness(&model("b"), 0, five - S).is_err());
    key.admit(LeaseId(2), &model("a"), 0, five).unwrap();
    assert!(
        key.readiness(&model("a"), 0, five).is_err(),
        "one probe at a time"
    );
    assert_eq!(
        key.settle(LeaseId(2), &settled(Class::InvalidKey), five),
        Some(KeyChange::Quarantined {
            until: five + 600 * S
        })
    );
    let next = five + 600 * S;
    let change = attempt(&mut key, 3, "a", &settled(Class::Success), next);
    assert_eq!(change, Some(KeyChange::Recovered));
    assert_eq!(key.readiness(&model("a"), 0, next), Ok(()));
}

#[test]
fn a_cancelled_probe_leaves_the_place_to_another() {
    let mut key = key();
    attempt(&mut key, 1, "a", &settled(Class::InvalidKey), Time::ZERO);
    let later = Time::ZERO + 300 * S;
    attempt(&mut key, 2, "a", &Settlement::CANCELLED, later);
    assert_eq!(key.readiness(&model("a"), 0, later), Ok(()));
}

#[test]
fn requests_per_minute_are_never_exceeded() {
    let limits = KeyLimits {
        rpm: Some(2),
        ..KeyLimits::default()
    };
    let mut key = KeyState::new(limits, CooldownPolicy::default());
    attempt(&mut key, 1, "a", &settled(Class::Success), Time::ZERO);
    attempt(&mut key, 2, "a", &settled(Class::Success), Time::ZERO);
    let refusal = key.readiness(&model("a"), 0, Time::ZERO).unwrap_err();
    assert_eq!(refusal.reason, Reason::Limited);
    let ready = refusal.ready_at.unwrap();
    assert!(ready.since(Time::ZERO) >= 60 * S && ready.since(Time::ZERO) <= 62 * S);
    assert_eq!(key.readiness(&model("a"), 0, ready), Ok(()));
}

#[test]
fn tokens_per_minute_count_what_was_used_not_what_was_reserved() {
    let limits = KeyLimits {
        tpm: Some(1000),
        ..KeyLimits::default()
    };
    let mut key = KeyState::new(limits, CooldownPolicy::default());
    key.admit(LeaseId(1), &model("a"), 900, Time::ZERO).unwrap();
    assert!(key.readiness(&model("a"), 200, Time::ZERO).is_err());
    let used = Settlement {
        tokens: Some(100),
        ..settled(Class::Success)
    };
    key.settle(LeaseId(1), &used, Time::ZERO);
    assert_eq!(key.readiness(&model("a"), 900, Time::ZERO), Ok(()));
    assert!(key.readiness(&model("a"), 901, Time::ZERO).is_err());
}

#[test]
fn a_request_above_the_whole_token_limit_goes_when_nothing_else_does() {
    let limits = KeyLimits {
        tpm: Some(1000),
        ..KeyLimits::default()
    };
    let key = KeyState::new(limits, CooldownPolicy::default());
    assert_eq!(key.readiness(&model("a"), 5000, Time::ZERO), Ok(()));
}

#[test]
fn no_reservation_outlasts_a_minutes_allowance() {
    let limits = KeyLimits {
        tpm: Some(1000),
        ..KeyLimits::default()
    };
    let mut key = KeyState::new(limits, CooldownPolicy::default());
    key.admit(LeaseId(1), &model("a"), 1_000_000, Time::ZERO)
        .unwrap();
    let nothing = Settlement {
        tokens: Some(0),
        ..settled(Class::CallerFault)
    };
    key.settle(LeaseId(1), &nothing, Time::ZERO);
    assert_eq!(key.readiness(&model("a"), 900, Time::ZERO), Ok(()));
}

#[test]
fn in_flight_requests_are_bounded_and_their_places_come_back() {
    let limits = KeyLimits {
        max_in_flight: Some(1),
        ..KeyLimits::default()
    };
    let mut key = KeyState::new(limits, CooldownPolicy::default());
    key.admit(LeaseId(1), &model("a"), 0, Time::ZERO).unwrap();
    assert_eq!(
        key.admit(LeaseId(2), &model("a"), 0, Time::ZERO),
        Err(Refusal::open_ended(Reason::Saturated))
    );
    key.settle(LeaseId(1), &Settlement::CANCELLED, Time::ZERO);
    assert_eq!(key.admit(LeaseId(2), &model("a"), 0, Time::ZERO), Ok(()));
}

#[test]
fn the_callers_own_faults_change_nothing() {
    let mut key = key();
    for class in [
        Class::CallerFault,
        Class::ContextOverflow,
        Class::ContentPolicy,
        Class::Cancelled,
    ] {
        assert_eq!(attempt(&mut key, 1, "a", &settled(class), Time::ZERO), None);
        assert_eq!(key.readiness(&model("a"), 0, Time::ZERO), Ok(()));
    }
}

proptest! {
    /// Laws L2 and L3: in-flight equals live leases, and nothing is admitted on a key that is out.
    #[test]
    fn l2_l3_hold_for_any_sequence(steps in prop::collection::vec((0u8..16, 0u64..4, 0u64..400), 1..200)) {
        let limits = KeyLimits { rpm: Some(20), max_in_flight: Some(3), ..KeyLimits::default() };
        let mut key = KeyState::new(limits, CooldownPolicy::default());
        let mut live: Vec<LeaseId> = Vec::new();
        let mut out_until = Time::ZERO;
        let mut now = Time::ZERO;
        for (n, (action, pick, step)) in steps.into_iter().enumerate() {
            now = now + S * u32::try_from(step).unwrap();
            if action < 8 {
                let lease = LeaseId(n as u64);
                if key.admit(lease, &model("a"), 0, now).is_ok() {
                    prop_assert!(now >= out_until);
                    live.push(lease);
                }
            } else if !live.is_empty() {
                let lease = live.remove(usize::try_from(pick).unwrap() % live.len());
                let class = Class::ALL[usize::from(action - 8) % Class::ALL.len()];
                let change = key.settle(lease, &settled(class), now);
                if let Some(KeyChange::Cooling { until, .. } | KeyChange::Quarantined { until }) = change {
                    out_until = out_until.max(until);
                }
                prop_assert_eq!(key.settle(lease, &settled(class), now), None, "settling twice");
            }
            prop_assert_eq!(key.in_flight(), live.len());
        }
    }
}

#[test]
fn a_late_settlement_gives_back_nothing_of_what_others_took_since() {
    let limits = KeyLimits {
        tpm: Some(1000),
        ..KeyLimits::default()
    };
    let mut key = KeyState::new(limits, CooldownPolicy::default());
    let m = model("m");
    key.admit(LeaseId(1), &m, 1000, Time::ZERO).unwrap();
    let later = Time::ZERO + 70 * S;
    key.admit(LeaseId(2), &m, 1000, later).unwrap();
    let used = |tokens| Settlement {
        tokens: Some(tokens),
        ..settled(Class::Success)
    };
    key.settle(LeaseId(1), &used(10), later);
    assert!(key.readiness(&m, 500, later).is_err());
    key.settle(LeaseId(2), &used(400), later + S);
    assert!(key.readiness(&m, 600, later + S).is_ok());
    assert!(key.readiness(&m, 601, later + S).is_err());
}

/// Law L5 where there is no room for one more model.
#[test]
fn when_many_models_cool_the_next_one_cools_the_key_and_no_cooldown_becomes_shorter() {
    let mut key = key();
    let hinted = |seconds: u32| Settlement {
        retry_after: Some(S * seconds),
        ..settled(Class::RateLimited)
    };
    let name = |n: usize| format!("m{n}");
    for n in 0..MODELS_KEPT {
        let id = u64::try_from(n).unwrap();
        attempt(&mut key, id, &name(n), &hinted(300), Time::ZERO);
    }
    assert_eq!(key.outage(Time::ZERO), None);
    let change = attempt(&mut key, 1000, "one more", &hinted(10), Time::ZERO);
    assert_eq!(
        change,
        Some(KeyChange::Cooling {
            model: None,
            until: Time::ZERO + 10 * S,
            reason: Reason::Cooling
        })
    );
    assert!(key.outage(Time::ZERO + 9 * S).is_some());
    assert_eq!(key.outage(Time::ZERO + 10 * S), None);
    // Those that cooled by themselves still do.
    let later = Time::ZERO + 299 * S;
    assert!(key.readiness(&model("m0"), 0, later).is_err());
    assert_eq!(key.cooling_models(later).count(), MODELS_KEPT);
    // One of these is told about as ever, and there is room again when they are over.
    let end = Time::ZERO + 300 * S;
    let change = attempt(&mut key, 1001, "m0", &hinted(10), end);
    assert!(matches!(
        change,
        Some(KeyChange::Cooling { model: Some(_), .. })
    ));
    attempt(&mut key, 1002, "one more", &hinted(10), end);
    assert_eq!(key.outage(end), None);
    assert_eq!(key.cooling_models(end).count(), 2);
}

#[test]
fn an_operator_cools_a_model_for_which_there_is_no_room_with_the_whole_key() {
    let mut key = key();
    for n in 0..MODELS_KEPT {
        key.cool(Some(model(&format!("m{n}"))), Time::ZERO + S, Time::ZERO);
    }
    let change = key.cool(Some(model("one more")), Time::ZERO + 5 * S, Time::ZERO);
    let until = Time::ZERO + 5 * S;
    assert_eq!(change, KeyChange::Cooled { model: None, until });
    assert!(key.readiness(&model("b"), 0, Time::ZERO + 4 * S).is_err());
}
