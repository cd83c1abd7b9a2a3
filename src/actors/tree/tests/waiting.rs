//! Requests that wait for a key: how long, in which order, and which of them gets a free place.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_the_earliest_key_and_no_longer() {
    let bench = Bench::new(vec![provider("a", 1), provider("b", 1)]).await;
    for (name, seconds) in [("a", 10), ("b", 5)] {
        let limited = Settlement {
            retry_after: Some(S * seconds),
            ..outcome(Class::RateLimited)
        };
        bench.lease(&[name]).await.settle(limited);
    }
    bench.settle_down().await;
    let started = bench.clock.now();
    let short = bench.ask(&["a", "b"], 2 * S).await.unwrap_err();
    assert_eq!(short.cause, Cause::TooLate);
    assert_eq!(
        bench.clock.now(),
        started,
        "refused at once: waiting could not help"
    );
    let none = bench.ask(&["a", "b"], Duration::ZERO).await.unwrap_err();
    assert_eq!(none.cause, Cause::WaitForbidden);
    let lease = bench.ask(&["a", "b"], 7 * S).await.unwrap();
    assert_eq!(lease.key.to_string(), "b#1");
    assert!(lease.waited);
    let waited = bench.clock.now().since(started);
    assert!(waited >= 5 * S && waited < 6 * S, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn waiting_requests_are_served_first_come_first_served() {
    let bench = Arc::new(Bench::new(vec![one_at_a_time("a")]).await);
    let first = bench.lease(&["a"]).await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(bench.ask_later(&["a"], 30 * S));
        bench.settle_down().await;
    }
    let mut held = first;
    for next in waiting {
        held.settle(outcome(Class::Success));
        let (waited, lease) = next.await.unwrap();
        assert_eq!(
            waited,
            Duration::ZERO,
            "woken by the free place, not by a timer"
        );
        held = lease.unwrap();
        bench.settle_down().await;
        assert_eq!(bench.in_flight(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_frees_its_place_in_the_waiting_room() {
    let bench = Arc::new(Bench::new(vec![one_at_a_time("a")]).await);
    let held = bench.lease(&["a"]).await;
    let router = Arc::clone(&bench.tree.client().cells().router);
    let leaving = tokio::time::timeout(S, bench.ask(&["a"], 30 * S)).await;
    assert!(leaving.is_err());
    bench.settle_down().await;
    assert_eq!(router.waiting(), 0);
    drop(held);
    bench.settle_down().await;
    assert_eq!(bench.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_waiting_room_is_bounded() {
    let bench = Arc::new(Bench::new(vec![one_at_a_time("a")]).await);
    let _held = bench.lease(&["a"]).await;
    let waiting: Vec<_> = (0..10).map(|_| bench.ask_later(&["a"], 30 * S)).collect();
    bench.settle_down().await;
    let full = bench.ask(&["a"], 30 * S).await.unwrap_err();
    assert_eq!(full.cause, Cause::RoomFull);
    drop(waiting);
}

#[tokio::test(start_paused = true)]
async fn with_patience_a_request_waits_for_its_preferred_upstream_and_then_walks_on() {
    let bench = Bench::new(vec![provider("a", 1), provider("b", 1)]).await;
    let limit = |seconds| Settlement {
        retry_after: Some(S * seconds),
        ..outcome(Class::RateLimited)
    };
    bench.lease(&["a"]).await.settle(limit(2));
    bench.settle_down().await;
    let started = bench.clock.now();
    let lease = bench.ask_patiently(&["a", "b"], 3 * S).await.unwrap();
    assert_eq!(lease.key.to_string(), "a#1", "ready within the patience");
    assert!(bench.clock.now().since(started) >= 2 * S);
    lease.settle(limit(9));
    bench.settle_down().await;
    let started = bench.clock.now();
    let lease = bench.ask_patiently(&["a", "b"], 3 * S).await.unwrap();
    assert_eq!(lease.key.to_string(), "b#1", "too far off to wait for");
    assert_eq!(bench.clock.now(), started);
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_does_not_overtake_those_who_wait_but_may_go_elsewhere() {
    let bench = Arc::new(Bench::new(vec![one_at_a_time("a"), provider("b", 1)]).await);
    let held = bench.lease(&["a"]).await;
    let first = bench.ask_later(&["a"], 30 * S);
    bench.settle_down().await;
    assert_eq!(bench.lease(&["a", "b"]).await.key.to_string(), "b#1");
    let second = bench.ask_later(&["a"], 30 * S);
    bench.settle_down().await;
    held.settle(outcome(Class::Success));
    let (_, lease) = first.await.unwrap();
    let router = Arc::clone(&bench.tree.client().cells().router);
    assert_eq!(router.waiting(), 1, "the second still waits");
    lease.unwrap().settle(outcome(Class::Success));
    assert!(second.await.unwrap().1.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_free_place_goes_to_one_who_can_use_it() {
    let bench = Arc::new(Bench::new(vec![one_at_a_time("a")]).await);
    let limited = Settlement {
        retry_after: Some(20 * S),
        ..outcome(Class::RateLimited)
    };
    bench.lease(&["a"]).await.settle(limited);
    bench.settle_down().await;
    let _cooling = bench.ask_later(&["a"], 30 * S);
    bench.settle_down().await;
    let other = bench.ask_model("a", "other", 30 * S).await.unwrap();
    let waiting = {
        let (tell, heard) = oneshot::channel();
        let bench = Arc::clone(&bench);
        task::detach(async move {
            let started = bench.clock.now();
            let answer = bench.ask_model("a", "other", 30 * S).await;
            drop(tell.send((bench.clock.now().since(started), answer)));
        });
        heard
    };
    bench.settle_down().await;
    other.settle(outcome(Class::Success));
    let (waited, lease) = waiting.await.unwrap();
    assert!(lease.is_ok());
    assert_eq!(waited, Duration::ZERO);
}
