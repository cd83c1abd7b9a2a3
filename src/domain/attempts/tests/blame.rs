//! Which failures count against keys, models and upstreams.

use super::*;

#[test]
fn a_request_counts_once_per_upstream_and_a_poison_request_stops_counting() {
    let mut attempts = request(3);
    assert!(fail(&mut attempts, 0, 1, Class::Transient).0);
    assert!(
        !fail(&mut attempts, 0, 1, Class::Transient).0,
        "same upstream"
    );
    assert!(
        !fail(&mut attempts, 1, 1, Class::Transient).0,
        "same failure elsewhere"
    );
    assert!(
        fail(&mut attempts, 2, 1, Class::Network).0,
        "another failure"
    );
}

/// Whether a failure with key 1 of candidate `index` counts.
fn blames(attempts: &mut Attempts, index: usize, class: Class, status: u16) -> bool {
    let record = record(attempts, index, 1, class);
    let failure = Failure::new(class, "").with_status(status);
    attempts.failed(index, record, &failure, 0.5, Time::ZERO).0
}

#[test]
fn one_request_blames_but_one_key_or_model_for_what_it_may_have_caused_itself() {
    use Class::{InvalidKey, ModelGone, QuotaExhausted};
    for (class, status) in [
        (InvalidKey, 400),
        (InvalidKey, 403),
        (InvalidKey, 422),
        (QuotaExhausted, 400),
        (QuotaExhausted, 422),
        (ModelGone, 400),
        (ModelGone, 422),
    ] {
        let mut attempts = request(4);
        assert!(
            blames(&mut attempts, 0, class, status),
            "{class:?} {status}"
        );
        assert!(
            !blames(&mut attempts, 1, class, status),
            "{class:?} {status}"
        );
        assert!(!blames(&mut attempts, 2, InvalidKey, 403), "another class");
        assert!(blames(&mut attempts, 3, InvalidKey, 401), "not its doing");
    }
}

#[test]
fn a_failure_that_nothing_follows_is_judged_by_the_same_rule() {
    let mut attempts = request(3);
    assert!(blames(&mut attempts, 0, Class::InvalidKey, 403));
    let mut cut = |index, class, status| {
        let record = record(&attempts, index, 1, class);
        let failure = Failure::new(class, "").with_status(status);
        attempts.failed_finally(index, record, &failure)
    };
    assert!(!cut(1, Class::InvalidKey, 403), "the second doubtful one");
    assert!(cut(1, Class::InvalidKey, 401));
    assert!(cut(1, Class::Network, 200));
    assert!(!cut(2, Class::Network, 200), "met elsewhere");
}

#[test]
fn every_plain_refusal_of_a_key_or_a_model_counts() {
    use Class::{InvalidKey, ModelGone, QuotaExhausted};
    for (class, status) in [
        (InvalidKey, 401),
        (QuotaExhausted, 402),
        (QuotaExhausted, 403),
        (QuotaExhausted, 429),
        (ModelGone, 404),
        (ModelGone, 410),
    ] {
        let mut attempts = request(3);
        for index in 0..3 {
            assert!(blames(&mut attempts, index, class, status), "{class:?}");
        }
    }
}

#[test]
fn an_uncertain_refusal_blames_no_key_and_the_next_one_is_asked() {
    let mut attempts = request(1);
    let failure = Failure {
        certain: false,
        ..Failure::new(Class::InvalidKey, "").with_status(403)
    };
    let record = record(&attempts, 0, 1, Class::InvalidKey);
    let (counts, next) = attempts.failed(0, record, &failure, 0.5, Time::ZERO);
    assert!(!counts && matches!(next, Next::Ask(Duration::ZERO)));
    assert_eq!(attempts.ask().refused_keys, [(0, 1)]);
    assert!(
        blames(&mut attempts, 0, Class::InvalidKey, 403),
        "a certain one still counts"
    );
}

#[test]
fn a_lack_of_this_machine_counts_against_nobody_and_excuses_nobody() {
    let mut attempts = request(3);
    let lack = Failure {
        certain: false,
        ..Failure::new(Class::Network, "no file descriptor is left")
    };
    let record = record(&attempts, 0, 1, Class::Network);
    let (counts, next) = attempts.failed(0, record, &lack, 0.5, Time::ZERO);
    assert!(!counts && matches!(next, Next::Ask(_)));
    // The failure of another upstream still counts.
    assert!(fail(&mut attempts, 1, 1, Class::Network).0);
}
