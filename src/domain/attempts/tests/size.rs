//! Requests that are too large for an upstream: where they go, and what their callers get.

use super::*;

#[test]
fn an_overflow_goes_only_to_larger_and_unknown_windows() {
    let mut list = candidates(4);
    let windows = [Some(8_000), Some(4_000), Some(128_000), None];
    for (candidate, window) in list.iter_mut().zip(windows) {
        candidate.context_window = window;
    }
    let deadline = Time::from_millis(600_000);
    let mut attempts = Attempts::new(DispatchPolicy::default(), deadline, 0, list);
    fail(&mut attempts, 0, 1, Class::ContextOverflow);
    assert_eq!(open(&attempts), [2, 3]);
}

#[test]
fn an_overflow_closes_an_upstream_and_not_a_models_name() {
    let mut list = candidates(4);
    for candidate in &mut list {
        candidate.upstream.model = "m".into();
    }
    list[1].context_window = Some(4_096);
    list[2].context_window = Some(4_097);
    let deadline = Time::from_millis(600_000);
    let mut attempts = Attempts::new(DispatchPolicy::default(), deadline, 0, list);
    let record = record(&attempts, 0, 1, Class::ContextOverflow);
    let failure = Failure {
        window: Some(4_096),
        ..Failure::new(Class::ContextOverflow, "")
    };
    attempts.failed(0, record, &failure, 0.5, Time::ZERO);
    assert_eq!(open(&attempts), [2, 3]);
}

#[test]
fn a_request_that_suits_no_upstream_ends_with_an_upstreams_words_or_with_its_size() {
    use Class::{ContextOverflow, InvalidKey, ModelGone, TooLargeForLimit, Transient, Unsupported};
    for (first, second, ending) in [
        (TooLargeForLimit, TooLargeForLimit, None),
        (
            TooLargeForLimit,
            ContextOverflow,
            Some("context_length_exceeded"),
        ),
        (
            ContextOverflow,
            TooLargeForLimit,
            Some("context_length_exceeded"),
        ),
        (
            ContextOverflow,
            ContextOverflow,
            Some("context_length_exceeded"),
        ),
        (TooLargeForLimit, ModelGone, Some("model_not_found")),
        (Unsupported, Unsupported, None),
        (Unsupported, ContextOverflow, None),
        (ContextOverflow, ModelGone, Some("context_length_exceeded")),
        (ContextOverflow, Class::Timeout, Some("upstreams_exhausted")),
        (TooLargeForLimit, Unsupported, None),
        (Unsupported, ModelGone, Some("model_not_found")),
        (Unsupported, Class::Timeout, Some("upstreams_exhausted")),
    ] {
        let mut attempts = request(2);
        let (counts, next) = fail(&mut attempts, 0, 1, first);
        assert!(
            !counts && matches!(next, Next::Ask(wait) if wait.is_zero()),
            "{first:?}"
        );
        assert_eq!(open(&attempts), [1], "{first:?}");
        let (_, next) = fail(&mut attempts, 1, 1, second);
        assert_eq!(code(&next), ending, "{first:?} {second:?}");
        assert_eq!(
            matches!(next, Next::Relay),
            ending.is_none(),
            "{first:?} {second:?}"
        );
    }
    let mut attempts = request(2);
    fail(&mut attempts, 0, 1, Unsupported);
    fail(&mut attempts, 1, 1, Transient);
    assert_eq!(open(&attempts), [1], "what may pass is still asked again");
    let mut attempts = request(2);
    fail(&mut attempts, 0, 1, Unsupported);
    fail(&mut attempts, 1, 1, InvalidKey);
    let refused = LeaseRefused {
        cause: Cause::NothingLeft,
        declined: vec![(1, Refusal::open_ended(Reason::KeysTried))],
    };
    let verdict = attempts.refused(&refused, Time::ZERO);
    assert_eq!(verdict.code, ErrorCode::NoUsableKeys);
}

#[test]
fn windows_that_are_too_small_are_closed_from_the_start_and_equal_ones_are_not() {
    let mut list = candidates(3);
    for (candidate, window) in list.iter_mut().zip([1_000_000, 6_000, 4_096]) {
        candidate.context_window = Some(window);
    }
    let open_for = |tokens| {
        let deadline = Time::from_millis(1);
        open(&Attempts::new(
            DispatchPolicy::default(),
            deadline,
            tokens,
            list.clone(),
        ))
    };
    assert_eq!(open_for(3_000), [0, 1, 2]);
    assert_eq!(open_for(4_096), [0, 1, 2]);
    assert_eq!(open_for(5_000), [0, 1]);
    assert_eq!(open_for(100_000), [0]);
    let mut none = Attempts::new(DispatchPolicy::default(), Time::NEVER, 2_000_000, list);
    assert_eq!(
        code(&none.start(Time::ZERO)),
        Some("context_length_exceeded")
    );
}

#[test]
fn a_window_with_room_for_less_output_is_asked_once_no_other_one_is_left() {
    let mut list = candidates(3);
    for (candidate, window) in list.iter_mut().zip([16_384, 1_000_000, 4_096]) {
        candidate.context_window = Some(window);
    }
    let deadline = Time::from_millis(600_000);
    let mut attempts = Attempts::new(DispatchPolicy::default(), deadline, 0, list);
    attempts.needs(4_000, 32_000);
    assert_eq!(
        open(&attempts),
        [1],
        "the last one has no room worth asking for"
    );
    assert!(attempts.may_loosen());
    assert_eq!(attempts.output_room(1), None, "all of it fits");
    let (_, next) = fail(&mut attempts, 1, 1, Class::Malformed);
    assert!(matches!(next, Next::Ask(_)));
    assert_eq!(open(&attempts), [0]);
    assert_eq!(attempts.output_room(0), Some(12_384 - 125));
    let (_, next) = fail(&mut attempts, 0, 1, Class::ContextOverflow);
    assert!(matches!(next, Next::Fail(_)) && open(&attempts).is_empty());
}

#[test]
fn beside_a_window_that_is_too_small_the_caller_hears_what_helps_it_as_a_table() {
    use Reason::{BreakerOpen, Cooling, Exhausted, Invalid, ModelGone, NoKeys, NotOffered};
    let minutes = |n: u64| Some(Time::from_millis(n * 60_000));
    const LONG: &str = "context_length_exceeded";
    const WAIT: &str = "upstreams_rate_limited";
    for (others, expected) in [
        (&[(Cooling, minutes(1))][..], WAIT),
        (&[(Reason::Limited, minutes(1))], WAIT),
        (&[(Exhausted, minutes(10))], WAIT),
        // A credit that is used up names no time: an hour is a guess.
        (&[(Exhausted, minutes(60))], LONG),
        (&[(Exhausted, None)], LONG),
        (&[(Invalid, minutes(5))], LONG),
        (&[(NoKeys, None)], LONG),
        (&[(ModelGone, minutes(10))], LONG),
        (&[(Exhausted, minutes(60)), (Invalid, minutes(5))], LONG),
        (&[(Exhausted, minutes(60)), (Cooling, minutes(1))], WAIT),
        (&[(ModelGone, minutes(10)), (Cooling, minutes(1))], WAIT),
        (&[(BreakerOpen, minutes(1))], "upstreams_exhausted"),
        (
            &[(BreakerOpen, minutes(1)), (Cooling, minutes(1))],
            "upstreams_exhausted",
        ),
        (&[(NotOffered, minutes(10))], "upstreams_exhausted"),
    ] {
        for class in [Some(Class::ContextOverflow), None] {
            let mut attempts = request(others.len() + 1);
            match class {
                Some(class) => _ = fail(&mut attempts, 0, 1, class),
                None => {
                    let mut list = candidates(others.len() + 1);
                    list[0].context_window = Some(10);
                    let policy = DispatchPolicy::default();
                    attempts = Attempts::new(policy, Time::from_millis(600_000), 99, list);
                }
            }
            let declined = others.iter().enumerate().map(|(at, (reason, ready_at))| {
                let refusal = Refusal {
                    reason: *reason,
                    ready_at: *ready_at,
                };
                (at + 1, refusal)
            });
            let refused = LeaseRefused {
                cause: Cause::TooLate,
                declined: declined.collect(),
            };
            let verdict = attempts.refused(&refused, Time::ZERO);
            assert_eq!(verdict.code.as_str(), expected, "{others:?} {class:?}");
            assert_eq!(
                verdict.ready_at.is_some(),
                expected != LONG && others[0].1.is_some()
            );
        }
    }
}
