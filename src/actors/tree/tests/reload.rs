//! Another configuration for a running tree.

use super::*;

impl Bench {
    /// With no request left that began under an earlier configuration.
    pub(super) async fn apply(&self, generation: u64, providers: Vec<ProviderSpec>) {
        self.apply_from(generation, generation, providers).await;
    }

    async fn apply_from(&self, oldest: u64, generation: u64, providers: Vec<ProviderSpec>) {
        let spec = TreeSpec {
            generation,
            oldest,
            providers,
            ..self.spec.clone()
        };
        self.tree.apply(&spec).await;
    }

    /// The keys that four requests in a row get.
    async fn keys(&self, name: &'static str) -> Vec<String> {
        let mut keys = Vec::new();
        for _ in 0..4 {
            keys.push(self.lease(&[name]).await.key.to_string());
        }
        keys.sort();
        keys.dedup();
        keys
    }

    async fn refused(&self, name: &'static str) -> Cause {
        self.ask(&[name], Duration::ZERO).await.unwrap_err().cause
    }
}

fn with_keys(name: &str, keys: &[&str]) -> ProviderSpec {
    ProviderSpec {
        keys: keys.iter().map(|key| Some(ApiKey::new(*key))).collect(),
        ..provider(name, 0)
    }
}

fn limited(span: Duration) -> Settlement {
    Settlement {
        class: Class::RateLimited,
        retry_after: Some(span),
        tokens: None,
        counts: true,
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_new_takes_part_and_what_is_gone_does_not() {
    let bench = Bench::new(vec![provider("a", 1), provider("gone", 1)]).await;
    bench
        .apply(1, vec![provider("a", 1), provider("new", 2)])
        .await;
    assert_eq!(bench.keys("a").await, ["a#1"]);
    assert_eq!(bench.keys("new").await, ["new#1", "new#2"]);
    assert_eq!(bench.refused("gone").await, Cause::NothingLeft);
    let cells = bench.tree.client().cells();
    assert_eq!(cells.providers.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_stays_keeps_its_cooldown_its_number_and_its_leases() {
    let bench = Bench::new(vec![with_keys("a", &["k1", "k2", "k3"])]).await;
    let mut leases = Vec::new();
    for _ in 0..3 {
        leases.push(bench.lease(&["a"]).await);
    }
    let second = leases
        .iter()
        .position(|lease| lease.key.index == 2)
        .unwrap();
    leases.remove(second).settle(limited(60 * S));
    bench
        .apply(1, vec![with_keys("a", &["k3", "k2", "k4"])])
        .await;
    assert_eq!(
        bench.keys("a").await,
        ["a#3", "a#4"],
        "k2 cools, k1 is gone"
    );
    let cells = bench.tree.client().cells();
    let third = &cells.providers[&ProviderName::from("a")].keys[1];
    assert_eq!((third.id.index, third.in_flight()), (3, 1));
    drop(leases);
    tokio::time::sleep(S).await;
    assert_eq!(third.in_flight(), 0);
    tokio::time::sleep(60 * S).await;
    assert_eq!(bench.keys("a").await, ["a#2", "a#3", "a#4"]);
}

#[tokio::test(start_paused = true)]
async fn what_leaves_ends_with_its_last_lease_and_is_not_started_again() {
    let exits = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&exits);
    let fault_hook = FaultHook::hook(move |actor, message| {
        if actor == "router" && message == "Exited" {
            seen.fetch_add(1, Ordering::Relaxed);
        }
    });
    let bench = Bench::with_chaos(vec![provider("a", 1), provider("b", 1)], fault_hook).await;
    let lease = bench.lease(&["a"]).await;
    let cells = bench.tree.client().cells();
    let key = Arc::clone(&cells.providers[&ProviderName::from("a")].keys[0]);
    bench.apply(1, vec![provider("b", 1)]).await;
    assert_eq!(key.in_flight(), 1);
    drop(lease);
    tokio::time::sleep(S).await;
    assert_eq!(key.in_flight(), 0);
    assert_eq!(exits.load(Ordering::Relaxed), 0);
    // Under its old name it may come back at once; the numbers of the old keys are not given out again.
    bench
        .apply(2, vec![provider("a", 2), provider("b", 1)])
        .await;
    assert_eq!(bench.keys("a").await, ["a#2", "a#3"]);
}

#[tokio::test(start_paused = true)]
async fn limits_that_changed_hold_at_once_and_wake_those_who_wait() {
    let bench = Arc::new(Bench::new(vec![one_at_a_time("a")]).await);
    let held = bench.lease(&["a"]).await;
    let waiting = bench.ask_later(&["a"], 30 * S);
    tokio::time::sleep(S).await;
    bench.apply(1, vec![provider("a", 1)]).await;
    let (waited, lease) = waiting.await.unwrap();
    assert!(lease.is_ok() && waited < 2 * S, "{waited:?}");
    bench.apply(2, vec![one_at_a_time("a")]).await;
    assert_eq!(bench.refused("a").await, Cause::WaitForbidden);
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_moved_has_other_keys_and_an_older_request_never_gets_them() {
    let bench = Bench::new(vec![provider("a", 1)]).await;
    let moved = ProviderSpec {
        endpoint: "https://elsewhere.example.com/v1".to_owned(),
        ..provider("a", 1)
    };
    bench.apply(1, vec![moved]).await;
    assert_eq!(bench.keys("a").await, ["a#2"]);
    let older = bench.ask_generation(0, "a").await;
    assert_eq!(older.unwrap_err().cause, Cause::NothingLeft);
    assert_eq!(bench.ask_generation(1, "a").await.unwrap().key.index, 2);
}

#[tokio::test(start_paused = true)]
async fn requests_that_began_earlier_finish_with_the_keys_they_began_with() {
    let bench = Bench::new(vec![provider("a", 1), provider("gone", 1)]).await;
    let moved = || ProviderSpec {
        endpoint: "https://elsewhere.example.com/v1".to_owned(),
        ..provider("a", 1)
    };
    bench.apply_from(0, 1, vec![moved()]).await;
    for (name, index) in [("a", 1), ("gone", 1)] {
        assert_eq!(
            bench.ask_generation(0, name).await.unwrap().key.index,
            index
        );
    }
    assert_eq!(bench.ask_generation(1, "a").await.unwrap().key.index, 2);
    assert!(bench.ask_generation(1, "gone").await.is_err());
    bench.apply_from(1, 1, vec![moved()]).await;
    for name in ["a", "gone"] {
        assert!(
            bench.ask_generation(0, name).await.is_err(),
            "they are over"
        );
    }
    assert_eq!(bench.keys("a").await, ["a#2"]);
}

#[tokio::test(start_paused = true)]
async fn keys_take_their_turns_in_the_order_of_the_new_configuration() {
    let in_order = |keys: &[&str]| ProviderSpec {
        rotation: KeyRotation::Sequential,
        ..with_keys("a", keys)
    };
    let bench = Bench::new(vec![in_order(&["free", "paid"])]).await;
    bench
        .apply(1, vec![in_order(&["better", "paid", "free"])])
        .await;
    assert_eq!(bench.keys("a").await, ["a#3"]);
    let mut held = Vec::new();
    for index in [3, 2, 1] {
        let lease = bench.lease(&["a"]).await;
        assert_eq!(lease.key.index, index);
        held.push(lease.key.clone());
        lease.settle(limited(60 * S));
        tokio::time::sleep(S / 10).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_moved_is_not_blamed_for_its_old_place() {
    let bench = Bench::new(vec![provider("a", 1)]).await;
    let gone = Settlement {
        class: Class::ModelGone,
        ..limited(S)
    };
    bench.lease(&["a"]).await.settle(gone);
    tokio::time::sleep(S).await;
    assert_eq!(bench.refused("a").await, Cause::WaitForbidden);
    let moved = ProviderSpec {
        endpoint: "https://elsewhere.example.com/v1".to_owned(),
        ..provider("a", 1)
    };
    bench.apply(1, vec![moved]).await;
    assert_eq!(bench.keys("a").await, ["a#2"]);
}

#[tokio::test(start_paused = true)]
async fn what_ends_at_the_old_place_after_the_move_is_not_held_against_the_new_one() {
    let bench = Bench::new(vec![provider("a", 1)]).await;
    let mut leases = Vec::new();
    for _ in 0..5 {
        leases.push(bench.lease(&["a"]).await);
    }
    let moved = ProviderSpec {
        endpoint: "https://elsewhere.example.com/v1".to_owned(),
        ..provider("a", 1)
    };
    bench.apply_from(0, 1, vec![moved]).await;
    let hung = Settlement {
        class: Class::Timeout,
        ..limited(S)
    };
    leases.iter().for_each(|lease| lease.settle(hung.clone()));
    drop(leases);
    tokio::time::sleep(S).await;
    assert_eq!(bench.ask_generation(1, "a").await.unwrap().key.index, 2);
    let older = bench.ask_generation(0, "a").await;
    assert_eq!(
        older.unwrap().key.index,
        1,
        "an older request goes there still"
    );
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_does_not_queue_behind_those_who_may_not_use_the_new_key() {
    let bench = Arc::new(Bench::new(vec![with_keys("a", &["k1"])]).await);
    bench.lease(&["a"]).await.settle(limited(60 * S));
    let older = Arc::clone(&bench);
    let (tell, heard) = oneshot::channel();
    task::detach(async move {
        let upstreams = vec![Upstream::new("a", "m")];
        let asked = older.ask_as(0, upstreams, 600 * S, 300 * S, Duration::ZERO);
        let _ = tell.send(asked.await.unwrap().key.index);
    });
    tokio::time::sleep(S).await;
    bench
        .apply_from(0, 1, vec![with_keys("a", &["k1", "k2"])])
        .await;
    assert_eq!(bench.lease(&["a"]).await.key.index, 2);
    assert_eq!(heard.await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_fails_over_it_sees_it_through() {
    let strikes = Arc::new(AtomicU32::new(0));
    let fault_hook = FaultHook::hook(move |actor, message| {
        let first = || strikes.fetch_add(1, Ordering::Relaxed) == 0;
        assert!(
            !(actor == "supervisor" && message == "Apply" && first()),
            "on purpose"
        );
    });
    let bench = Bench::with_chaos(vec![provider("a", 1)], fault_hook).await;
    bench.apply(1, vec![provider("a", 2)]).await;
    assert_eq!(bench.keys("a").await, ["a#1", "a#2"]);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_reloads_lose_no_request() {
    let bench = Arc::new(Bench::new(vec![provider("a", 2), provider("b", 1)]).await);
    let asking = Arc::clone(&bench);
    let (tell, heard) = oneshot::channel();
    task::detach(async move {
        let mut served = 0;
        for _ in 0..1000 {
            let lease = asking.lease(&["a", "b"]).await;
            tokio::time::sleep(Duration::from_millis(3)).await;
            drop(lease);
            served += 1;
        }
        let _ = tell.send(served);
    });
    for n in 1..=100 {
        let keys = usize::try_from(n % 3).unwrap();
        bench
            .apply(n, vec![provider("a", keys), provider("b", 1)])
            .await;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    assert_eq!(heard.await.unwrap(), 1000);
}
