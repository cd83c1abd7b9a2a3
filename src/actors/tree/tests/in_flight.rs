//! How many leases of a key are live: the key's actor counts them, and what it publishes is a copy.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_published_count_follows_when_the_key_has_handled_the_end() {
    let bench = Bench::new(vec![one_at_a_time("a")]).await;
    let lease = bench.lease(&["a"]).await;
    lease.settle(outcome(Class::Success));
    // One thread runs this test: the actor handles the end during the next await.
    assert_eq!(
        bench.in_flight(),
        1,
        "while the actor runs, only it writes the count"
    );
    bench.settle_down().await;
    assert_eq!(bench.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_place_is_free_for_whoever_asks_after_the_end_of_the_lease_that_had_it() {
    let bench = Bench::new(vec![one_at_a_time("a"), one_at_a_time("b")]).await;
    for _ in 0..20 {
        let lease = bench.ask(&["a", "b"], Duration::ZERO).await.unwrap();
        assert_eq!(lease.key.to_string(), "a#1");
        assert_eq!(bench.in_flight(), 1);
        lease.settle(outcome(Class::Success));
    }
}

#[tokio::test(start_paused = true)]
async fn places_that_became_free_while_the_actor_was_down_are_free_when_it_is_back() {
    let fault_hook = panics("key a#1", "Settled", 1);
    let two = at_once("a", 2);
    let bench = Bench::with_chaos(vec![two], fault_hook).await;
    let (first, second) = (bench.lease(&["a"]).await, bench.lease(&["a"]).await);
    let full = bench.ask(&["a"], Duration::ZERO).await.unwrap_err();
    assert_eq!(full.declined[0].1.reason, Reason::Saturated);
    first.settle(outcome(Class::Success));
    drop(second);
    let both = [bench.ask(&["a"], S).await, bench.ask(&["a"], S).await];
    assert!(both.iter().all(Result::is_ok), "{both:?}");
    assert_eq!(bench.in_flight(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_that_come_and_go_on_several_threads_leave_no_place_taken_or_refused() {
    let bench = Arc::new(Bench::new(vec![one_at_a_time("a")]).await);
    for _ in 0..2000 {
        let lease = bench.ask(&["a"], Duration::ZERO).await;
        lease.unwrap().settle(outcome(Class::Success));
    }
}

#[tokio::test(start_paused = true)]
async fn leases_that_end_while_the_actor_is_down_leave_the_published_count() {
    let no_restart = RestartPolicy {
        max_restarts: 0,
        ..RestartPolicy::default()
    };
    let fault_hook = panics("key a#1", "Settled", 1);
    let bench = Bench::with(vec![at_once("a", 3)], fault_hook, no_restart).await;
    let (first, second, third) = (
        bench.lease(&["a"]).await,
        bench.lease(&["a"]).await,
        bench.lease(&["a"]).await,
    );
    // The actor fails at this end, and stays down.
    third.settle(outcome(Class::Success));
    bench.settle_down().await;
    let cells = bench.tree.client().cells();
    let life = &cells.providers[&ProviderName::from("a")].keys[0].life;
    assert_eq!(life.get(), crate::actors::status::Life::Quarantined);
    assert_eq!(bench.in_flight(), 2, "the end that the actor failed at");
    first.settle(outcome(Class::Success));
    bench.settle_down().await;
    assert_eq!(bench.in_flight(), 1);
    drop(second);
    bench.settle_down().await;
    assert_eq!(bench.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn ends_that_are_lost_with_their_provider_free_the_places_all_the_same() {
    let fault_hook = panics("provider a", "Report", 1);
    let bench = Bench::with_chaos(vec![at_once("a", 2)], fault_hook).await;
    let (first, second) = (bench.lease(&["a"]).await, bench.lease(&["a"]).await);
    // The provider fails at the first, and the second is in its mailbox.
    first.settle(outcome(Class::Success));
    second.settle(outcome(Class::Success));
    bench.settle_down().await;
    assert_eq!(bench.in_flight(), 0);
    let both = [bench.ask(&["a"], S).await, bench.ask(&["a"], S).await];
    assert!(both.iter().all(Result::is_ok), "{both:?}");
}

#[tokio::test(start_paused = true)]
async fn a_key_hears_of_an_end_while_its_provider_is_down() {
    let no_restart = RestartPolicy {
        max_restarts: 0,
        ..RestartPolicy::default()
    };
    let fault_hook = panics("provider a", "Report", 1);
    let bench = Bench::with(vec![at_once("a", 2)], fault_hook, no_restart).await;
    let (first, second) = (bench.lease(&["a"]).await, bench.lease(&["a"]).await);
    first.settle(outcome(Class::Success));
    bench.settle_down().await;
    drop(second);
    bench.settle_down().await;
    assert_eq!(bench.in_flight(), 0);
}
