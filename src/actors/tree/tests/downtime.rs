//! Deadlines, places and refusals while an actor is down or about to be up again.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_deadline_holds_while_the_router_is_down() {
    let fault_hook = panics("router", "Left", 20);
    let bench = Arc::new(Bench::with_chaos(vec![one_at_a_time("a")], fault_hook).await);
    let _held = bench.lease(&["a"]).await;
    let waiting = {
        let bench = Arc::clone(&bench);
        task::spawn(async move {
            let started = bench.clock.now();
            let upstreams = vec![Upstream::new("a", "m")];
            let answer = bench.ask_until(upstreams, S, 30 * S, Duration::ZERO).await;
            (answer.unwrap_err().cause, bench.clock.now().since(started))
        })
    };
    tokio::time::sleep(S / 2).await;
    // Each of these requests leaves, and its message `Left` makes the router fail: at the last one it stays down for a
    // second.
    for _ in 0..20 {
        let leaving = bench.ask(&["a"], 30 * S);
        drop(tokio::time::timeout(Duration::from_millis(20), leaving).await);
    }
    let (cause, waited) = waiting.await.unwrap();
    assert_eq!(cause, Cause::TimeUp);
    assert!(waited <= S + Duration::from_millis(2), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_need_not_wait_is_served_without_the_router() {
    let fault_hook = panics("router", "Route", u32::MAX);
    let bench = Bench::with_chaos(vec![one_at_a_time("a")], fault_hook).await;
    for _ in 0..10 {
        let lease = bench.lease(&["a"]).await;
        lease.settle(outcome(Class::Success));
        bench.settle_down().await;
    }
    assert!(bench.tree.client().is_up());
    // The second one at once is the router's.
    let _held = bench.lease(&["a"]).await;
    let refused = bench.ask(&["a"], Duration::ZERO).await.unwrap_err();
    assert_eq!(refused.declined[0].1.reason, Reason::Saturated);
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_free_at_the_deadline_is_not_taken_any_more() {
    let bench = Bench::new(vec![one_at_a_time("a")]).await;
    let held = bench.lease(&["a"]).await;
    held.settle(Settlement {
        retry_after: Some(S),
        ..outcome(Class::RateLimited)
    });
    bench.settle_down().await;
    let upstreams = vec![Upstream::new("a", "m")];
    let answer = bench.ask_until(upstreams, S, 30 * S, Duration::ZERO).await;
    assert_eq!(answer.unwrap_err().cause, Cause::TimeUp);
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_behind_those_who_wait_for_a_restart_waits_for_it_too() {
    let fault_hook = panics("provider a", "Offer", 2);
    let bench = Arc::new(Bench::with_chaos(vec![provider("a", 1)], fault_hook).await);
    let first = bench.ask_later(&["a"], Duration::ZERO);
    // The second restart comes after a pause; now the first one waits for it.
    tokio::time::sleep(Duration::from_millis(5)).await;
    let second = bench.ask(&["a"], Duration::ZERO).await;
    assert!(second.is_ok(), "{second:?}");
    assert!(first.await.unwrap().1.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_wait_of_no_length_makes_no_key_good_that_refused() {
    let bench = Arc::new(Bench::new(vec![one_at_a_time("a")]).await);
    let held = bench.lease(&["a"]).await;
    let asking = {
        let bench = Arc::clone(&bench);
        task::spawn(async move {
            let chain = Arc::new(Chain {
                target: Arc::from("t"),
                upstreams: vec![Upstream::new("a", "m")],
            });
            let deadline = bench.clock.now() + S;
            let asked = bench.tree.client().lease(deadline, |reply| {
                let ask = RouteConstraints {
                    closed: vec![None],
                    refused_keys: vec![(0, 1)],
                    ..RouteConstraints::default()
                };
                let mut route = RouteRequest::new(Arc::clone(&chain), ask, 0, deadline, reply);
                route.may_wait = true;
                route.wait_until = deadline;
                route
            });
            asked.await
        })
    };
    bench.settle_down().await;
    held.settle(outcome(Class::Success));
    let refused = asking.await.unwrap().unwrap_err();
    assert_eq!(refused.declined[0].1.reason, Reason::KeysTried);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_while_the_router_is_down_takes_no_place() {
    let fault_hook = panics("router", "Left", 1);
    let bench = Bench::with_chaos(vec![one_at_a_time("a")], fault_hook).await;
    bench.lease(&["a"]).await.settle(Settlement {
        retry_after: Some(20 * S),
        ..outcome(Class::RateLimited)
    });
    bench.settle_down().await;
    let leaving = tokio::time::timeout(S, bench.ask(&["a"], 30 * S)).await;
    assert!(leaving.is_err());
    bench.settle_down().await;
    assert_eq!(bench.tree.client().cells().router.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_gives_up_its_own_place_at_once() {
    let bench = Arc::new(Bench::new(vec![provider("a", 1)]).await);
    bench.lease(&["a"]).await.settle(Settlement {
        retry_after: Some(20 * S),
        ..outcome(Class::RateLimited)
    });
    bench.settle_down().await;
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let bench = Arc::clone(&bench);
            task::spawn(async move { bench.lease(&["a"]).await.settle(outcome(Class::Success)) })
        })
        .collect();
    bench.settle_down().await;
    let router = Arc::clone(&bench.tree.client().cells().router);
    assert_eq!(router.waiting(), 3);
    waiting[1].abort();
    // No time passes, so no timer offers the request again.
    bench.settle_down().await;
    assert_eq!(router.waiting(), 2);
    let ends: Vec<bool> = futures_util::future::join_all(waiting)
        .await
        .iter()
        .map(Result::is_ok)
        .collect();
    assert_eq!(ends, [true, false, true]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_an_actor_is_counted_and_a_crash_loses_no_count() {
    for (actor, message) in [
        ("nobody", "Nothing"),
        ("router", "Route"),
        ("provider a", "Offer"),
        ("key a#1", "Settled"),
    ] {
        let fault_hook = panics(actor, message, 2);
        let bench = Bench::with_chaos(vec![provider("a", 1)], fault_hook).await;
        for _ in 0..5 {
            let lease = bench.ask(&["a"], 30 * S).await.unwrap();
            lease.settle(outcome(Class::Success));
        }
        tokio::time::sleep(S).await;
        let cells = bench.tree.client().cells();
        let a = &cells.providers[&ProviderName::from("a")];
        let depths = [
            cells.router.mailbox.depth(),
            a.provider.mailbox.depth(),
            a.keys[0].mailbox.depth(),
        ];
        assert_eq!(depths, [0; 3], "{actor} at {message}");
        // One thread runs this test: other tasks run during its next await.
        let handle = bench.tree.client().router.clone();
        for _ in 0..3 {
            handle.send(RouterMessage::Left(Arc::default())).unwrap();
        }
        assert_eq!(cells.router.mailbox.depth(), 3);
        tokio::time::sleep(S).await;
        assert_eq!(cells.router.mailbox.depth(), 0);
    }
}
