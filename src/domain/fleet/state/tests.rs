//! When facts are told, what is heard of them, and who tries first.

use proptest::prelude::*;

use super::*;

const S: Duration = Duration::from_secs(1);
const NOW: Time = Time::from_millis(100_000);

fn subject(kind: FactKind) -> FleetSubject {
    FleetSubject {
        owner: Fingerprint([1; 16]),
        kind,
        model: Some("m".into()),
        operation: None,
    }
}

fn cooling() -> FleetSubject {
    subject(FactKind::Cooling)
}

fn fact(generation: u64, until: Time) -> FleetFact {
    FleetFact {
        generation,
        until,
        keep: until + LINGER,
        reason: FactReason::Reported,
        node: "other.1".into(),
    }
}

fn state() -> FleetState {
    let mut state = FleetState::new("self.1".into());
    state.own([Fingerprint([1; 16])].into(), NOW);
    state.up(NOW);
    state.due(NOW, 0.5);
    state
}

fn published(orders: Vec<FleetOrder>) -> Vec<(FleetSubject, FleetFact)> {
    let facts = orders.into_iter().filter_map(|order| match order {
        FleetOrder::Publish(facts) => Some(facts),
        _ => None,
    });
    facts.flatten().collect()
}

#[test]
fn changes_within_a_moment_are_told_once() {
    let mut state = state();
    state.observe(cooling(), NOW + 30 * S, NOW);
    state.observe(cooling(), NOW + 60 * S, NOW + S / 100);
    assert_eq!(state.next(NOW), Some(NOW + DEBOUNCE));
    assert_eq!(published(state.due(NOW + S / 100, 0.5)), []);
    let told = published(state.due(NOW + DEBOUNCE, 0.5));
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].1.until, NOW + 60 * S);
    assert_eq!(published(state.due(NOW + 2 * DEBOUNCE, 0.5)), []);
}

#[test]
fn what_was_heard_is_not_told_back() {
    let mut state = state();
    let effects = state.hear(cooling(), fact(0, NOW + 60 * S), NOW);
    let out = FleetEffect::Out {
        subject: cooling(),
        until: NOW + 60 * S,
    };
    assert_eq!(effects, [out]);
    // The key's actor publishes what it was told.
    state.observe(cooling(), NOW + 60 * S, NOW + S);
    assert_eq!(state.unsent(), 0);
    state.observe(cooling(), NOW + 90 * S, NOW + S);
    assert_eq!(state.unsent(), 1, "an upstream has said more");
}

#[test]
fn a_release_reaches_others_and_is_not_undone_by_what_they_published_before() {
    let (mut here, mut there) = (state(), state());
    here.observe(cooling(), NOW + 60 * S, NOW);
    there.hear(cooling(), fact(0, NOW + 60 * S), NOW);
    here.release(Fingerprint([1; 16]), NOW + S);
    let told = published(here.due(NOW + 2 * S, 0.5));
    let (subject, released) = told[0].clone();
    let effects = there.hear(subject.clone(), released, NOW + 2 * S);
    let reason = FactReason::Released;
    assert_eq!(effects, [FleetEffect::End { subject, reason }]);
    // Its key's actor has not handled that yet.
    there.observe(cooling(), NOW + 60 * S, NOW + 2 * S);
    assert_eq!(there.unsent(), 0);
    // A fact from before the release comes late.
    assert_eq!(
        there.hear(cooling(), fact(0, NOW + 70 * S), NOW + 3 * S),
        []
    );
    // The upstream refuses again.
    there.observe(cooling(), NOW + 40 * S, NOW + 10 * S);
    let told = published(there.due(NOW + 11 * S, 0.5));
    let effects = here.hear(cooling(), told[0].1.clone(), NOW + 11 * S);
    assert!(
        matches!(effects[..], [FleetEffect::Out { .. }]),
        "{effects:?}"
    );
}

#[test]
fn a_store_that_was_emptied_gets_back_what_is_known() {
    let mut state = state();
    state.hear(cooling(), fact(3, NOW + 60 * S), NOW);
    state.compare(Vec::new(), NOW + S);
    let told = published(state.due(NOW + 2 * S, 0.5));
    assert_eq!(told[0].1.generation, 3);
    // It has nearly the same: nothing is told, or each round would add a little.
    let nearly = fact(3, NOW + 60 * S - S / 2);
    state.compare(vec![(cooling(), nearly)], NOW + 3 * S);
    assert_eq!(state.unsent(), 0);
}

#[test]
fn without_a_store_facts_are_kept_for_later() {
    let mut state = state();
    state.down();
    state.observe(cooling(), NOW + 60 * S, NOW);
    assert_eq!((state.due(NOW + S, 0.5), state.next(NOW)), (vec![], None));
    state.up(NOW + 2 * S);
    assert_eq!(published(state.due(NOW + 2 * S, 0.5)).len(), 1);
}

#[test]
fn a_fact_that_could_not_be_told_is_told_again() {
    let mut state = state();
    state.observe(cooling(), NOW + 60 * S, NOW);
    let told = published(state.due(NOW + S, 0.5));
    state.failed(told.into_iter().map(|(subject, _)| subject));
    state.compare(Vec::new(), NOW + 2 * S);
    assert_eq!(published(state.due(NOW + 3 * S, 0.5)).len(), 1);
}

#[test]
fn one_process_tries_first_and_the_others_wait_their_turn() {
    let mut state = state();
    state.saw(vec!["self.1".into(), "other.1".into()]);
    state.hear(cooling(), fact(0, NOW + 60 * S), NOW);
    let before = NOW + 59 * S;
    let claims = |orders: Vec<FleetOrder>| {
        let claim = |order: &FleetOrder| matches!(order, FleetOrder::Claim(..));
        orders.iter().filter(|order| claim(order)).count()
    };
    assert_eq!(claims(state.due(before - S, 0.5)), 0);
    assert_eq!(claims(state.due(before, 0.5)), 1);
    assert_eq!(claims(state.due(before, 0.5)), 0, "once");
    let mut first = state.clone();
    let won = first.claimed(cooling(), true, before);
    assert_eq!(won, [FleetEffect::Try(cooling())]);
    let lost = state.claimed(cooling(), false, before);
    let [FleetEffect::Out { until, .. }] = lost[..] else {
        panic!("{lost:?}")
    };
    assert!(until > NOW + 60 * S && until <= NOW + 61 * S);
    // That it waits is no news for anybody.
    state.observe(cooling(), until, before);
    assert_eq!(state.unsent(), 0);
    // The first one was served: nobody waits any longer.
    first.end(&cooling(), FactReason::Recovered, NOW + 60 * S);
    let told = published(first.due(NOW + 60 * S + DEBOUNCE, 0.5));
    let effects = state.hear(cooling(), told[0].1.clone(), NOW + 60 * S + DEBOUNCE);
    assert!(matches!(effects[..], [FleetEffect::End { .. }]));
}

#[test]
fn what_others_own_has_no_effect_here_but_is_remembered() {
    let mut state = state();
    let other = FleetSubject {
        owner: Fingerprint([2; 16]),
        ..cooling()
    };
    assert_eq!(state.hear(other.clone(), fact(0, NOW + 60 * S), NOW), []);
    let effects = state.own([Fingerprint([2; 16])].into(), NOW + S);
    assert_eq!(effects.len(), 1, "a key that is configured now");
    for n in 0..2 * MOST_FACTS {
        let model = Some(format!("m{n}").as_str().into());
        let subject = FleetSubject {
            model,
            ..other.clone()
        };
        state.hear(subject, fact(0, NOW + 60 * S), NOW);
    }
    assert!(state.facts().count() <= MOST_FACTS);
}

proptest! {
    /// Law F3: whatever is heard in whatever order, within a generation no end comes earlier, and no effect says so.
    #[test]
    fn f3_nothing_heard_shortens(
        heard in prop::collection::vec((0u64..3, 1u32..100, 0u32..3), 1..30),
    ) {
        let mut state = state();
        let mut now = NOW;
        let (mut generation, mut until) = (0, Time::ZERO);
        for (of, span, step) in heard {
            now = now + S * step;
            // What nobody needs to know any more stands in nobody's way.
            if state.facts().next().is_none_or(|(_, fact)| fact.is_over(now)) {
                (generation, until) = (0, Time::ZERO);
            }
            for effect in state.hear(cooling(), fact(of, now + S * span), now) {
                match effect {
                    FleetEffect::Out { until, .. } => prop_assert!(until > now),
                    FleetEffect::End { .. } => prop_assert!(of > generation),
                    FleetEffect::Try(_) => prop_assert!(false),
                }
            }
            let known = state.facts().next().map(|(_, fact)| fact.clone()).unwrap();
            prop_assert!(known.generation > generation || known.until >= until);
            (generation, until) = (known.generation, known.until);
        }
    }
}
