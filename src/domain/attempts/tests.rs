//! How one request goes on after each kind of failure, and that it always ends within its limits.

use proptest::prelude::*;

use super::*;
use crate::domain::backoff::Waits;
use crate::domain::ids::KeyId;
use crate::domain::refusal::Refusal;

mod blame;
mod size;

fn candidates(count: usize) -> Vec<Candidate> {
    (0..count)
        .map(|n| Candidate {
            upstream: Upstream::new(format!("p{n}"), format!("m{n}")),
            context_window: None,
            continues: n == 1,
            retry: Arc::new(RetryPolicy {
                same_upstream: 1,
                waits: Waits::List(vec![Duration::from_millis(250)]),
            }),
        })
        .collect()
}

fn request(count: usize) -> Attempts {
    let policy = DispatchPolicy::default();
    Attempts::new(policy, Time::from_millis(600_000), 0, candidates(count))
}

fn record(attempts: &Attempts, index: usize, key: u32, class: Class) -> AttemptRecord {
    let upstream = attempts.slots[index].candidate.upstream.clone();
    let key = KeyId {
        provider: upstream.provider.clone(),
        index: key,
    };
    AttemptRecord {
        class,
        ..AttemptRecord::new(upstream, key, Time::ZERO)
    }
}

fn fail(attempts: &mut Attempts, index: usize, key: u32, class: Class) -> (bool, Next) {
    let record = record(attempts, index, key, class);
    let failure = Failure::new(class, "");
    attempts.failed(index, record, &failure, 0.5, Time::ZERO)
}

fn open(attempts: &Attempts) -> Vec<usize> {
    let closed = attempts.ask().closed;
    (0..closed.len()).filter(|n| closed[*n].is_none()).collect()
}

fn code(next: &Next) -> Option<&'static str> {
    match next {
        Next::Fail(verdict) => Some(verdict.code.as_str()),
        Next::Ask(_) | Next::Relay => None,
    }
}

#[test]
fn a_transient_failure_is_retried_once_at_the_same_upstream_then_elsewhere() {
    let mut attempts = request(2);
    let (_, next) = fail(&mut attempts, 0, 1, Class::Transient);
    assert!(matches!(next, Next::Ask(wait) if wait == Duration::from_millis(250)));
    assert_eq!(open(&attempts), [0, 1]);
    assert_eq!(
        attempts.ask().avoid,
        Some((0, 1)),
        "another key if there is one"
    );
    let (_, next) = fail(&mut attempts, 0, 2, Class::Transient);
    assert!(matches!(next, Next::Ask(Duration::ZERO)));
    assert_eq!(open(&attempts), [1]);
}

#[test]
fn what_failed_while_another_attempt_was_under_way_keeps_its_pause() {
    let mut attempts = request(2);
    fail(&mut attempts, 0, 1, Class::Transient);
    let (_, next) = fail(&mut attempts, 1, 1, Class::Malformed);
    assert!(matches!(next, Next::Ask(wait) if wait == Duration::from_millis(250)));
    assert_eq!(attempts.ask().avoid, Some((0, 1)));
}

#[test]
fn a_timeout_or_a_malformed_answer_never_asks_the_same_upstream_again() {
    for class in [Class::Timeout, Class::Malformed, Class::ModelGone] {
        let mut attempts = request(2);
        fail(&mut attempts, 0, 1, class);
        assert_eq!(open(&attempts), [1], "{class:?}");
    }
}

#[test]
fn a_callers_fault_ends_the_request_with_the_upstreams_answer() {
    let mut attempts = request(3);
    let (counts, next) = fail(&mut attempts, 0, 1, Class::CallerFault);
    assert!(matches!(next, Next::Relay));
    assert!(!counts);
}

#[test]
fn every_key_is_asked_before_the_chain_moves_on() {
    let mut attempts = request(2);
    for key in 1..=5 {
        fail(&mut attempts, 0, key, Class::RateLimited);
        assert_eq!(open(&attempts), [0, 1]);
    }
    assert_eq!(attempts.ask().refused_keys.len(), 5);
}

#[test]
fn many_cold_keys_leave_each_fallback_its_chance() {
    let mut attempts = request(3);
    let mut key = 0;
    while open(&attempts).contains(&0) {
        key += 1;
        fail(&mut attempts, 0, key, Class::RateLimited);
    }
    assert_eq!(key, 30, "32 refusals, one kept for each of two fallbacks");
    fail(&mut attempts, 1, 1, Class::RateLimited);
    let (_, next) = fail(&mut attempts, 2, 1, Class::RateLimited);
    assert_eq!(code(&next), Some("upstreams_rate_limited"));
}

#[test]
fn when_too_many_keys_refused_the_error_still_says_when_to_come_back() {
    let mut attempts = request(1);
    let mut next = attempts.start(Time::ZERO);
    for key in 1..=32 {
        let failure = Failure {
            retry_after: Some(Duration::from_secs(100 - u64::from(key))),
            ..Failure::new(Class::RateLimited, "")
        };
        let record = record(&attempts, 0, key, Class::RateLimited);
        next = attempts.failed(0, record, &failure, 0.5, Time::ZERO).1;
    }
    let Next::Fail(verdict) = next else {
        panic!("32 refusals are the limit")
    };
    assert_eq!(verdict.code, ErrorCode::UpstreamsRateLimited);
    assert_eq!(verdict.ready_at, Some(Time::from_millis(68_000)));
}

#[test]
fn attempts_are_limited() {
    let mut attempts = request(20);
    for index in 0..7 {
        let (_, next) = fail(&mut attempts, index, 1, Class::Timeout);
        assert!(matches!(next, Next::Ask(_)));
    }
    let (_, next) = fail(&mut attempts, 7, 1, Class::Timeout);
    assert_eq!(code(&next), Some("upstreams_exhausted"));
}

#[test]
fn no_step_goes_past_the_deadline() {
    let policy = DispatchPolicy::default();
    let mut attempts = Attempts::new(policy, Time::from_millis(100), 0, candidates(1));
    assert!(matches!(attempts.start(Time::ZERO), Next::Ask(_)));
    let (_, next) = fail(&mut attempts, 0, 1, Class::Transient);
    assert_eq!(
        code(&next),
        Some("upstreams_exhausted"),
        "a wait of 250 ms does not fit"
    );
    assert_eq!(
        code(&attempts.start(Time::from_millis(100))),
        Some("deadline_exceeded")
    );
}

#[test]
fn a_long_hint_is_waited_for_only_when_nothing_else_is_left() {
    let failure = Failure {
        retry_after: Some(Duration::from_secs(5)),
        ..Failure::new(Class::Overloaded, "")
    };
    let mut two = request(2);
    let record_two = record(&two, 0, 1, Class::Overloaded);
    let (_, next) = two.failed(0, record_two, &failure, 0.5, Time::ZERO);
    assert!(matches!(next, Next::Ask(Duration::ZERO)));
    let mut one = request(1);
    let record_one = record(&one, 0, 1, Class::Overloaded);
    let (_, next) = one.failed(0, record_one, &failure, 0.5, Time::ZERO);
    assert!(matches!(next, Next::Ask(wait) if wait == Duration::from_secs(5)));
}

#[test]
fn a_hint_longer_than_the_request_may_wait_is_not_waited_for() {
    let failure = Failure {
        retry_after: Some(Duration::from_secs(20)),
        ..Failure::new(Class::Overloaded, "")
    };
    let policy = DispatchPolicy {
        await_cooldown: Duration::ZERO,
        ..DispatchPolicy::default()
    };
    let mut attempts = Attempts::new(policy, Time::from_millis(600_000), 0, candidates(1));
    let record = record(&attempts, 0, 1, Class::Overloaded);
    let (_, next) = attempts.failed(0, record, &failure, 0.5, Time::ZERO);
    assert_eq!(code(&next), Some("upstreams_exhausted"));
}

#[test]
fn a_key_that_cools_outweighs_one_that_is_invalid() {
    let mut attempts = request(1);
    fail(&mut attempts, 0, 1, Class::RateLimited);
    fail(&mut attempts, 0, 2, Class::InvalidKey);
    let refused = LeaseRefused {
        cause: Cause::TooLate,
        declined: vec![(
            0,
            Refusal::until(Reason::Cooling, Time::from_millis(60_000)),
        )],
    };
    let verdict = attempts.refused(&refused, Time::ZERO);
    assert_eq!(verdict.code, ErrorCode::UpstreamsRateLimited);
}

#[test]
fn refusals_become_the_code_that_tells_the_caller_what_to_do() {
    let refused = |cause, reasons: &[Reason]| LeaseRefused {
        cause,
        declined: reasons
            .iter()
            .enumerate()
            .map(|(index, reason)| (index, Refusal::until(*reason, Time::from_millis(70))))
            .collect(),
    };
    let say = |cause, reasons: &[Reason]| {
        let verdict = request(reasons.len()).refused(&refused(cause, reasons), Time::ZERO);
        assert_eq!(verdict.ready_at, Some(Time::from_millis(70)));
        verdict.code.as_str()
    };
    use Reason::{BreakerOpen, Cooling, Invalid, Saturated};
    assert_eq!(
        say(Cause::TooLate, &[Cooling, Saturated]),
        "upstreams_rate_limited"
    );
    assert_eq!(say(Cause::WaitForbidden, &[Cooling]), "cooling_down");
    assert_eq!(say(Cause::RoomFull, &[Cooling]), "waiting_room_full");
    assert_eq!(
        say(Cause::NothingLeft, &[Invalid, Invalid]),
        "no_usable_keys"
    );
    assert_eq!(
        say(Cause::TooLate, &[Invalid, Cooling]),
        "upstreams_rate_limited"
    );
    assert_eq!(
        say(Cause::TooLate, &[BreakerOpen, Cooling]),
        "upstreams_exhausted"
    );
}

proptest! {
    /// Law L4: any sequence of failures ends within both limits, and nothing closed is asked again.
    #[test]
    fn l4_every_request_ends_within_its_limits(
        chain in 1usize..8,
        picks in prop::collection::vec((0usize..8, 1u32..6, 0usize..14), 1..120),
    ) {
        let mut attempts = request(chain);
        let mut next = attempts.start(Time::ZERO);
        for (pick, key, class) in picks {
            if !matches!(next, Next::Ask(_)) { break; }
            let ask = attempts.ask();
            let open: Vec<usize> = (0..chain).filter(|n| ask.closed[*n].is_none()).collect();
            prop_assert!(!open.is_empty());
            let index = open[pick % open.len()];
            let class = Class::ALL[class];
            if class == Class::Success { break; }
            next = fail(&mut attempts, index, key, class).1;
        }
        let (tries, refusals) = attempts.used();
        prop_assert!(tries <= 8 && refusals <= 32);
        prop_assert_eq!(u32::try_from(attempts.records().len()), Ok(tries + refusals));
    }
}

#[test]
fn attempts_side_by_side_stay_within_the_limits_however_they_end() {
    let limited = |max_attempts, max_key_refusals| {
        let policy = DispatchPolicy {
            max_attempts,
            max_key_refusals,
            ..DispatchPolicy::default()
        };
        Attempts::new(policy, Time::from_millis(600_000), 0, candidates(3))
    };
    assert!(!limited(1, 32).may_start_beside(1));
    assert!(!limited(8, 1).may_start_beside(1));
    let mut two = limited(2, 32);
    assert!(two.may_start_beside(1));
    let record = record(&two, 0, 1, Class::Cancelled);
    two.ended(record);
    assert!(
        !two.may_start_beside(1),
        "one that was given up was made too"
    );
}

#[test]
fn an_upstream_that_takes_no_prefill_may_be_asked_without_and_nothing_is_held_against_it() {
    let mut attempts = request(2);
    let refused = record(&attempts, 0, 1, Class::CallerFault);
    let next = attempts.rejected(refused, Time::ZERO);
    assert!(matches!(next, Next::Ask(wait) if wait.is_zero()));
    assert!(attempts.is_open(0) && attempts.is_open(1));
    assert_eq!(attempts.used().0, 1, "it was an attempt");
    assert!(fail(&mut attempts, 0, 1, Class::Transient).0);
}

#[test]
fn a_second_lease_is_asked_for_where_it_fits_and_not_at_all_where_nothing_does() {
    let mut attempts = request(3);
    fail(&mut attempts, 0, 1, Class::Timeout);
    let closed = |filter: &LeaseFilter| attempts.ask_for(filter).map(|ask| ask.closed);
    let (tried, unsuitable) = (Some(Reason::Tried), Some(Reason::Unsuitable));
    let mut filter = LeaseFilter::default();
    assert_eq!(closed(&filter), Some(vec![tried, None, None]));
    filter.continues = true;
    assert_eq!(closed(&filter), Some(vec![tried, None, unsuitable]));
    filter.not_at = vec![1];
    assert_eq!(closed(&filter), None, "nobody is left");
    filter.continues = false;
    filter.not_with = Some((2, 7));
    let ask = attempts.ask_for(&filter).unwrap();
    assert_eq!(ask.closed, [tried, unsuitable, None]);
    assert_eq!((ask.not_with, ask.first), (Some((2, 7)), false));
}
