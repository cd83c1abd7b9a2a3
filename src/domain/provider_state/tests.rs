//! The state of a provider: breakers, missing models and operations, holds.

use super::*;

const S: Duration = Duration::from_secs(1);

fn provider() -> ProviderState {
    ProviderState::new(BreakerPolicy::default(), RetryBudgetPolicy::default())
}

fn model() -> ModelName {
    ModelName::from("m")
}

/// The end of an attempt in the usual operation of the usual model.
fn settled(
    provider: &mut ProviderState,
    class: Class,
    counts: bool,
    probe: bool,
    now: Time,
) -> Option<UpstreamChange> {
    provider.settled(&model(), Operation::Chat, class, counts, probe, now)
}

/// Whether such an attempt may start.
fn gate(provider: &ProviderState, first: bool, now: Time) -> Result<Pass, Refusal> {
    provider.gate(&model(), Operation::Chat, first, now)
}

fn fail(provider: &mut ProviderState, class: Class, times: usize) {
    for _ in 0..times {
        settled(provider, class, true, false, Time::ZERO);
    }
}

/// A caller makes up names of models, which the provider does not know.
fn name_more_models_than_are_kept(provider: &mut ProviderState) {
    for n in 0..2 * MODELS_KEPT {
        let made_up = ModelName::from(format!("made-up-{n}"));
        let (operation, class) = (Operation::Chat, Class::ModelGone);
        provider.settled(&made_up, operation, class, true, false, Time::ZERO);
    }
}

#[test]
fn made_up_models_do_not_push_out_what_a_breaker_knows() {
    let mut provider = provider();
    for _ in 0..3 {
        settled(&mut provider, Class::Network, true, false, Time::ZERO);
    }
    assert!(gate(&provider, true, Time::ZERO).is_err());
    name_more_models_than_are_kept(&mut provider);
    assert!(gate(&provider, true, Time::ZERO).is_err());
}

#[test]
fn three_failures_open_the_breaker_of_that_model_only() {
    let mut provider = provider();
    fail(&mut provider, Class::Overloaded, 3);
    assert_eq!(
        gate(&provider, true, Time::ZERO),
        Err(Refusal::until(Reason::BreakerOpen, Time::ZERO + 15 * S))
    );
    assert!(
        provider
            .gate(&ModelName::from("other"), Operation::Chat, true, Time::ZERO)
            .is_ok()
    );
}

#[test]
fn only_the_upstreams_own_failures_open_it() {
    for class in Class::ALL {
        let mut provider = provider();
        fail(&mut provider, class, 20);
        let open = matches!(
            gate(&provider, true, Time::ZERO),
            Err(Refusal {
                reason: Reason::BreakerOpen,
                ..
            })
        );
        assert_eq!(open, class.trips_breaker(), "{class:?}");
    }
}

#[test]
fn failures_that_do_not_count_change_nothing() {
    let mut provider = provider();
    for _ in 0..20 {
        settled(&mut provider, Class::Transient, false, false, Time::ZERO);
    }
    assert!(gate(&provider, true, Time::ZERO).is_ok());
}

#[test]
fn a_missing_model_that_does_not_count_is_not_gone_and_gives_a_probe_back() {
    let mut provider = provider();
    settled(&mut provider, Class::ModelGone, false, false, Time::ZERO);
    assert!(gate(&provider, true, Time::ZERO).is_ok());
    fail(&mut provider, Class::Network, 3);
    let later = Time::ZERO + 15 * S;
    let pass = gate(&provider, true, later).unwrap();
    provider.started(&model(), pass, BudgetCharge::First, later);
    settled(&mut provider, Class::ModelGone, false, true, later);
    assert_eq!(gate(&provider, true, later), Ok(pass));
}

#[test]
fn one_probe_at_a_time_and_its_place_comes_back_when_no_key_took_it() {
    let mut provider = provider();
    fail(&mut provider, Class::Network, 3);
    let later = Time::ZERO + 15 * S;
    let pass = gate(&provider, true, later).unwrap();
    assert!(pass.probe);
    provider.started(&model(), pass, BudgetCharge::First, later);
    assert!(gate(&provider, true, later).is_err());
    provider.withdrawn(&model(), pass, BudgetCharge::First, later, later);
    assert_eq!(gate(&provider, true, later), Ok(pass));
}

#[test]
fn a_model_that_is_gone_is_left_alone_for_ten_minutes() {
    let mut provider = provider();
    fail(&mut provider, Class::ModelGone, 1);
    assert!(gate(&provider, true, Time::ZERO + 599 * S).is_err());
    assert!(gate(&provider, true, Time::ZERO + 600 * S).is_ok());
}

#[test]
fn names_that_callers_make_up_take_a_bounded_place() {
    let mut provider = provider();
    name_more_models_than_are_kept(&mut provider);
    assert!(provider.unwell(Time::ZERO).len() <= MODELS_KEPT);
}

#[test]
fn an_upstream_that_nothing_is_known_of_takes_no_extra_attempt_without_a_budget_either() {
    let none = RetryBudgetPolicy {
        ratio: 0.2,
        min_per_second: 0.0,
    };
    let provider = ProviderState::new(BreakerPolicy::default(), none);
    assert!(gate(&provider, true, Time::ZERO).is_ok());
    assert!(gate(&provider, false, Time::ZERO).is_err());
}

#[test]
fn extra_attempts_stop_at_the_budget_while_first_attempts_go_on() {
    let mut provider = provider();
    let pass = Pass { probe: false };
    provider.started(&model(), pass, BudgetCharge::First, Time::ZERO);
    let mut extra = 0;
    while gate(&provider, false, Time::ZERO).is_ok() {
        provider.started(&model(), pass, BudgetCharge::Extra, Time::ZERO);
        extra += 1;
    }
    assert_eq!(extra, 100, "ten per second over ten seconds");
    assert!(gate(&provider, true, Time::ZERO).is_ok());
}

#[test]
fn a_model_that_is_gone_and_a_cooldown_of_all_keys_outlive_the_process_and_no_lie_makes_them_longer()
 {
    let now = Time::ZERO + S;
    let mut before = provider();
    settled(&mut before, Class::ModelGone, true, false, now);
    fail(&mut before, Class::Overloaded, 3);
    let mut next = provider();
    next.restore(&before.persisted(now), 900 * S, now + S);
    let gone = Refusal::until(Reason::ModelGone, now + MODEL_GONE);
    assert_eq!(gate(&next, true, now + S), Err(gone));
    assert!(gate(&next, true, now + MODEL_GONE).is_ok(), "no breaker");
    before.cool(now + 60 * S);
    let mut next = provider();
    next.restore(&before.persisted(now), 900 * S, now);
    let cooling = Refusal::until(Reason::Cooling, now + 60 * S);
    assert_eq!(gate(&next, true, now), Err(cooling));
    assert!(before.persisted(now + MODEL_GONE).is_empty());
    let lie = PersistedProvider {
        cooling: Some(Time::NEVER),
        gone: vec![(model(), Operation::Chat, Time::NEVER)],
        held: None,
    };
    let mut lied_to = provider();
    lied_to.restore(&lie, 900 * S, now);
    assert_eq!(lied_to.cooling(now), Some(now + 900 * S));
    assert_eq!(
        lied_to.persisted(now).gone,
        [(model(), Operation::Chat, now + MODEL_GONE)]
    );
}

/// What is believed of embeddings after one failure like this: the reason, and for how long.
fn believed(
    served: &[Operation],
    operation: Operation,
    class: Class,
) -> Option<(Reason, Duration)> {
    let mut provider = provider();
    for one in served {
        provider.settled(&model(), *one, Class::Success, false, false, Time::ZERO);
    }
    provider.settled(&model(), operation, class, true, false, Time::ZERO);
    let unwell = provider.unwell(Time::ZERO);
    let absences = unwell.first()?.absences;
    let absence = absences.all(Time::ZERO).next()?;
    assert_eq!(absence.operation, operation);
    Some((absence.reason, absence.until.since(Time::ZERO)))
}

#[test]
fn what_a_failure_tells_of_its_operation_as_a_table() {
    use Operation::{Chat, Embeddings};
    let long = Some((Reason::NotOffered, MODEL_GONE));
    let short = Some((Reason::NotOffered, BreakerPolicy::default().recovery_time));
    let gone = Some((Reason::ModelGone, MODEL_GONE));
    for (served, operation, class, expected) in [
        (&[][..], Embeddings, Class::NotOffered, long),
        (&[Chat], Embeddings, Class::NotOffered, long),
        (&[Embeddings], Embeddings, Class::NotOffered, None),
        (&[], Chat, Class::NotOffered, None),
        (&[Embeddings], Chat, Class::NotOffered, long),
        (&[], Embeddings, Class::Transient, None),
        (&[Chat], Embeddings, Class::Transient, short),
        (&[Chat], Embeddings, Class::Malformed, short),
        (&[Chat, Embeddings], Embeddings, Class::Transient, None),
        // These say nothing of an operation.
        (&[Chat], Embeddings, Class::Network, None),
        (&[Chat], Embeddings, Class::Timeout, None),
        (&[Chat], Embeddings, Class::Overloaded, None),
        (&[Chat], Embeddings, Class::Unsupported, None),
        (&[Chat], Embeddings, Class::ModelGone, gone),
        (&[Embeddings], Embeddings, Class::ModelGone, gone),
    ] {
        let found = believed(served, operation, class);
        assert_eq!(found, expected, "{served:?} {operation:?} {class:?}");
    }
}

#[test]
fn a_model_that_is_gone_for_one_operation_is_there_for_others() {
    let mut provider = provider();
    let now = Time::ZERO + S;
    let mut settle =
        |operation, class| provider.settled(&model(), operation, class, true, false, now);
    settle(Operation::Embeddings, Class::ModelGone);
    assert!(
        provider
            .gate(&model(), Operation::Embeddings, true, now)
            .is_err()
    );
    assert!(gate(&provider, true, now).is_ok());
    let everything = |provider: &ProviderState| provider.unwell(now)[0].absences.everything(now);
    assert_eq!(everything(&provider), Some(now + MODEL_GONE));
    // It is known to serve something now, and that is told.
    let change = settled(&mut provider, Class::Success, false, false, now);
    assert_eq!(change, Some(UpstreamChange::Served));
    assert_eq!(everything(&provider), None);
    // The served attempt may have begun before the model was gone.
    provider.settled(
        &model(),
        Operation::Embeddings,
        Class::Success,
        false,
        false,
        now,
    );
    assert!(
        provider
            .gate(&model(), Operation::Embeddings, true, now)
            .is_err()
    );
}

#[test]
fn failures_of_what_was_never_served_open_no_breaker_where_something_else_is() {
    let mut provider = provider();
    settled(&mut provider, Class::Success, false, false, Time::ZERO);
    for _ in 0..20 {
        provider.settled(
            &model(),
            Operation::Embeddings,
            Class::Transient,
            true,
            false,
            Time::ZERO,
        );
    }
    assert!(gate(&provider, true, Time::ZERO).is_ok());
    assert!(
        provider
            .not_offered(&model(), Operation::Embeddings, Time::ZERO)
            .is_some()
    );
    // Once it has served it is like any other.
    provider.settled(
        &model(),
        Operation::Embeddings,
        Class::Success,
        false,
        false,
        Time::ZERO,
    );
    assert!(
        provider
            .not_offered(&model(), Operation::Embeddings, Time::ZERO)
            .is_none()
    );
    for _ in 0..3 {
        provider.settled(
            &model(),
            Operation::Embeddings,
            Class::Transient,
            true,
            false,
            Time::ZERO,
        );
    }
    assert!(gate(&provider, true, Time::ZERO).is_err());
}
