//! Learned limits, learned concurrency and the slow start after an outage, through the actors.

use super::*;
use crate::domain::allowance::{Allowance, Unit};

fn left(remaining: f64, reset: Duration) -> Vec<Allowance> {
    vec![Allowance {
        unit: Unit::Requests,
        period: Duration::ZERO,
        limit: Some(10.0),
        remaining,
        reset,
    }]
}

#[tokio::test(start_paused = true)]
async fn what_an_answers_head_tells_counts_before_the_answers_end() {
    let bench = Bench::new(vec![provider("a", 2)]).await;
    let streaming = bench.lease(&["a"]).await;
    streaming.heard(left(0.0, 20 * S), None, Time::ZERO);
    bench.settle_down().await;
    for _ in 0..3 {
        let lease = bench.lease(&["a"]).await;
        assert_eq!(lease.key.to_string(), "a#2");
        lease.settle(outcome(Class::Success));
    }
    let cells = &bench.tree.client().cells().providers[&ProviderName::from("a")];
    let known = cells.keys[0].learned_limits();
    assert_eq!((known[0].unit, known[0].remaining), ("requests", Some(0.0)));
}

#[tokio::test(start_paused = true)]
async fn who_does_not_fit_waits_until_the_reset_and_only_so_many_go_then() {
    let bench = Arc::new(Bench::new(vec![provider("a", 1)]).await);
    let first = bench.lease(&["a"]).await;
    first.heard(left(0.0, 5 * S), None, Time::ZERO);
    first.settle(outcome(Class::Success));
    bench.settle_down().await;
    let refused = bench.ask(&["a"], S).await.unwrap_err();
    assert_eq!(refused.declined[0].1.reason, Reason::Paced);
    let waiting: Vec<_> = (0..10).map(|_| bench.ask_later(&["a"], 30 * S)).collect();
    tokio::time::sleep(4 * S).await;
    assert_eq!(bench.in_flight(), 0);
    let mut leases = Vec::new();
    for waiter in waiting {
        let (waited, lease) = waiter.await.unwrap();
        assert!(waited >= 4 * S && waited < 6 * S, "{waited:?}");
        leases.push(lease.unwrap());
    }
    let eleventh = bench.ask(&["a"], Duration::ZERO).await.unwrap_err();
    assert_eq!(eleventh.declined[0].1.reason, Reason::Paced);
}

#[tokio::test(start_paused = true)]
async fn better_news_lets_the_next_one_in_at_once() {
    let bench = Bench::new(vec![provider("a", 1)]).await;
    let (first, second) = (bench.lease(&["a"]).await, bench.lease(&["a"]).await);
    first.heard(left(0.0, 60 * S), None, Time::ZERO);
    bench.settle_down().await;
    assert!(bench.ask(&["a"], Duration::ZERO).await.is_err());
    tokio::time::advance(S).await;
    second.heard(left(9.0, 59 * S), None, Time::ZERO);
    bench.settle_down().await;
    assert!(bench.ask(&["a"], Duration::ZERO).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn learned_limits_survive_a_crash_and_a_crash_at_the_news_loses_no_request() {
    for message in ["Heard", "Settled"] {
        let bench = Bench::with_chaos(vec![provider("a", 1)], panics("key", message, 1)).await;
        let lease = bench.lease(&["a"]).await;
        lease.heard(left(0.0, 20 * S), None, Time::ZERO);
        lease.settle(outcome(Class::Success));
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(bench.in_flight(), 0, "{message}");
        let answer = bench.ask(&["a"], Duration::ZERO).await;
        assert_eq!(answer.is_err(), message == "Settled", "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn complaints_of_overload_limit_how_many_are_under_way() {
    let bench = Arc::new(Bench::new(vec![provider("a", 1)]).await);
    let mut leases = Vec::new();
    for _ in 0..10 {
        leases.push(bench.lease(&["a"]).await);
    }
    leases.pop().unwrap().settle(outcome(Class::Overloaded));
    bench.settle_down().await;
    let cells = &bench.tree.client().cells().providers[&ProviderName::from("a")];
    assert_eq!(cells.keys[0].learned_concurrency(), Some(8));
    leases.truncate(8);
    bench.settle_down().await;
    let waiting = bench.ask_later(&["a"], 30 * S);
    tokio::time::sleep(S).await;
    assert_eq!(bench.in_flight(), 8);
    leases.pop().unwrap().settle(outcome(Class::Success));
    let (waited, lease) = waiting.await.unwrap();
    assert!(lease.is_ok());
    assert_eq!(waited, S, "woken by the place that became free");
}

/// A pool of two whose first provider has just recovered.
async fn recovered() -> Bench {
    let bench = Bench::new(vec![provider("a", 1), provider("b", 1)]).await;
    for _ in 0..3 {
        bench.lease(&["a"]).await.settle(outcome(Class::Transient));
        bench.settle_down().await;
    }
    tokio::time::advance(15 * S).await;
    bench.lease(&["a"]).await.settle(outcome(Class::Success));
    bench.settle_down().await;
    bench
}

async fn share(bench: &Bench, chain: &[&str], of: usize) -> usize {
    let mut preferred = 0;
    for _ in 0..of {
        let lease = bench.lease(chain).await;
        preferred += usize::from(lease.key.to_string() == "a#1");
        lease.settle(outcome(Class::Success));
    }
    preferred
}

#[tokio::test(start_paused = true)]
async fn a_recovered_upstream_gets_a_growing_share_and_in_the_end_everything() {
    let bench = recovered().await;
    assert!((10..=25).contains(&share(&bench, &["a", "b"], 100).await));
    tokio::time::advance(5 * S).await;
    assert!((50..=70).contains(&share(&bench, &["a", "b"], 100).await));
    tokio::time::advance(5 * S).await;
    assert_eq!(share(&bench, &["a", "b"], 100).await, 100);
}

#[tokio::test(start_paused = true)]
async fn the_slow_start_costs_nobody_an_answer() {
    let bench = recovered().await;
    assert_eq!(share(&bench, &["a"], 100).await, 100);
    let bench = recovered().await;
    bench
        .lease(&["b"])
        .await
        .settle(outcome(Class::RateLimited));
    bench.settle_down().await;
    assert_eq!(share(&bench, &["a", "b"], 100).await, 100);
}
