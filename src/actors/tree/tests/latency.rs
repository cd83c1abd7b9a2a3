//! How long answers take: the provider's actor counts what leases tell, and publishes it.

use super::*;
use crate::domain::latency::{LatencySample, LatencySnapshot, Served};

fn sample(bench: &Bench, stream: bool, millis: u64) -> LatencySample {
    LatencySample {
        took: Duration::from_millis(millis),
        served: Some(Served {
            stream,
            at: bench.clock.now(),
        }),
        first_token: stream,
        ended: bench.clock.now(),
        failed: false,
        completion: None,
    }
}

fn published(bench: &Bench, model: &str) -> Option<LatencySnapshot> {
    let upstream = Upstream::new("a", model);
    bench.tree.client().latency(&upstream)
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_counted_when_it_has_begun_and_not_again_at_its_end() {
    let bench = Bench::new(vec![provider("a", 1)]).await;
    assert_eq!(published(&bench, "m"), Some(LatencySnapshot::default()));
    for _ in 0..19 {
        let lease = bench.lease(&["a"]).await;
        lease.measured(sample(&bench, true, 300));
        lease.began();
        bench.settle_down().await;
        let known = published(&bench, "m").unwrap();
        assert_eq!(known.slowest_stream, Some(Duration::from_millis(300)));
        lease.settle(outcome(Class::Success));
    }
    bench.settle_down().await;
    let late_after = || published(&bench, "m").unwrap().late_after;
    assert_eq!(late_after(), None, "each counted once, one is missing");
    let lease = bench.lease(&["a"]).await;
    lease.measured(sample(&bench, true, 300));
    lease.began();
    bench.settle_down().await;
    assert_eq!(late_after(), Some(Duration::from_millis(300)));
}

#[tokio::test(start_paused = true)]
async fn what_is_known_outlives_a_crash_and_a_reload_but_not_a_move_to_another_address() {
    let fault_hook = panics("provider a", "Began", 1);
    let bench = Bench::with_chaos(vec![provider("a", 1)], fault_hook).await;
    let known = || published(&bench, "m").and_then(|known| known.slowest_stream);
    for millis in [300, 200] {
        let lease = bench.lease(&["a"]).await;
        lease.measured(sample(&bench, true, millis));
        lease.began();
        bench.settle_down().await;
    }
    tokio::time::sleep(S).await;
    bench.apply(1, vec![provider("a", 1)]).await;
    assert_eq!(known(), Some(Duration::from_millis(300)));
    let moved = ProviderSpec {
        endpoint: "https://elsewhere.example.com/v1".to_owned(),
        ..provider("a", 1)
    };
    bench.apply(2, vec![moved]).await;
    drop(bench.lease(&["a"]).await);
    bench.settle_down().await;
    assert_eq!(known(), None);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_of_models_that_the_configuration_does_not_name() {
    let unnamed = ProviderSpec {
        models: Vec::new(),
        ..provider("a", 1)
    };
    let bench = Bench::new(vec![unnamed]).await;
    let lease = bench.lease(&["a"]).await;
    lease.measured(sample(&bench, false, 700));
    lease.settle(outcome(Class::Success));
    bench.settle_down().await;
    assert_eq!(published(&bench, "m"), None);
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_is_counted_with_its_leases_end() {
    let bench = Bench::new(vec![provider("a", 1)]).await;
    let lease = bench.lease(&["a"]).await;
    lease.measured(sample(&bench, false, 700));
    bench.settle_down().await;
    assert_eq!(published(&bench, "m").unwrap().served, None);
    lease.settle(outcome(Class::Success));
    bench.settle_down().await;
    let known = published(&bench, "m").unwrap();
    assert_eq!(known.slowest_whole, Some(Duration::from_millis(700)));
    assert_eq!(known.slowest_stream, None);
    assert!(known.served_since(bench.clock.now()));
}
