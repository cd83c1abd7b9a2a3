//! What survives the crash of an actor, and who restarts it.

use super::*;

#[tokio::test(start_paused = true)]
async fn l5_a_crashed_key_comes_back_with_its_cooldown_and_its_live_leases() {
    let chaos = panics("key", "Settled", 1);
    let bench = Bench::with_chaos(vec![provider("a", 1)], chaos).await;
    let other = bench.lease(&["a"]).await;
    let limited = bench.lease(&["a"]).await;
    // The very message that reports the rate limit crashes the actor.
    limited.settle(outcome(Class::RateLimited));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(bench.in_flight(), 1, "the other lease lives on");
    let refused = bench.ask(&["a"], Duration::ZERO).await.unwrap_err();
    assert_eq!(refused.declined[0].1.reason, Reason::Cooling);
    other.settle(outcome(Class::Success));
    bench.settle_down().await;
    assert_eq!(bench.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn l6_a_crash_of_any_actor_at_any_message_loses_no_request() {
    let messages = [
        ("router", "Route"),
        ("router", "Returned"),
        ("router", "Ready"),
        ("router", "Tick"),
        ("provider a", "Offer"),
        ("provider a", "Declined"),
        ("provider a", "Report"),
        ("key a#1", "Offer"),
        ("key a#1", "Settled"),
    ];
    for (actor, message) in messages {
        let bench = Bench::with_chaos(vec![one_at_a_time("a")], panics(actor, message, 1)).await;
        let bench = Arc::new(bench);
        let first = bench.lease(&["a"]).await;
        let waiting: Vec<_> = (0..3).map(|_| bench.ask_later(&["a"], 30 * S)).collect();
        tokio::time::sleep(Duration::from_millis(10)).await;
        first.settle(outcome(Class::Success));
        for waiter in waiting {
            let (waited, lease) = waiter.await.unwrap();
            let lease = lease.unwrap_or_else(|refused| panic!("{actor} at {message}: {refused:?}"));
            assert!(waited < S, "{actor} at {message}: {waited:?}");
            lease.settle(outcome(Class::Success));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(bench.in_flight(), 0, "{actor} at {message}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_crashed_supervisor_takes_the_tree_down_and_up_again_with_all_state() {
    let chaos = panics("supervisor", "Decided", 1);
    let combined = FaultHook::hook({
        let key = AtomicU32::new(1);
        move |who, what| {
            chaos.fire(who, what);
            if who == "key a#2" && what == "Offer" && key.swap(0, Ordering::SeqCst) == 1 {
                panic!("chaos: {who} at {what}");
            }
        }
    });
    let bench = Bench::with_chaos(vec![provider("a", 2)], combined).await;
    bench
        .lease(&["a"])
        .await
        .settle(outcome(Class::RateLimited));
    bench.settle_down().await;
    let lease = bench.lease(&["a"]).await;
    assert_eq!(lease.key.to_string(), "a#2", "the first key still cools");
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_keeps_failing_is_quarantined_and_traffic_walks_on() {
    let chaos = panics("key a#1", "Offer", 1000);
    let bench = Bench::with_chaos(vec![provider("a", 1), provider("b", 1)], chaos).await;
    for _ in 0..10 {
        assert_eq!(bench.lease(&["a", "b"]).await.key.to_string(), "b#1");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let cells = bench.tree.client().cells();
    let life = &cells.providers[&ProviderName::from("a")].keys[0].life;
    assert_eq!(life.get(), crate::actors::status::Life::Quarantined);
}

#[tokio::test(start_paused = true)]
async fn a_restart_is_waited_for_even_by_those_who_do_not_wait_for_keys() {
    let chaos = panics("key a#1", "Offer", 3);
    let bench = Bench::with_chaos(vec![provider("a", 1)], chaos).await;
    let lease = bench.ask(&["a"], Duration::ZERO).await;
    assert!(lease.is_ok(), "{lease:?}");
}

#[tokio::test]
async fn l6_a_storm_of_crashes_loses_no_request() {
    let count = AtomicU32::new(0);
    let chaos = FaultHook::hook(move |who, _| {
        let hit = who.starts_with("key") && count.fetch_add(1, Ordering::SeqCst) % 97 == 96;
        assert!(!hit, "chaos: {who}");
    });
    let restart = RestartPolicy {
        max_restarts: usize::MAX,
        max_backoff: Duration::from_millis(2),
        ..RestartPolicy::default()
    };
    let bench = Arc::new(Bench::with(vec![provider("a", 3)], chaos, restart).await);
    let asks = (0..8).map(|_| {
        let bench = Arc::clone(&bench);
        task::spawn(async move {
            for _ in 0..200 {
                let lease = bench.ask(&["a"], 30 * S).await;
                let lease = lease.unwrap_or_else(|refused| panic!("{refused:?}"));
                lease.settle(outcome(Class::Success));
            }
        })
    });
    for ask in asks.collect::<Vec<_>>() {
        ask.await.unwrap();
    }
    bench.settle_down().await;
    assert_eq!(bench.in_flight(), 0);
}
