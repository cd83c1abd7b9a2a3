//! A tree that begins with what another process knew.

use super::*;
use crate::domain::dialect::Operation;

use crate::actors::spec::{RestoredKey, RestoredProvider};
use crate::domain::allowance::{Allowance, Unit};
use crate::domain::persisted::{
    Fingerprint, PersistedCooldown, PersistedKey, PersistedProvider, PersistedQuarantine,
};
use crate::domain::refusal::Refusal;

fn recall(keys: Vec<PersistedKey>) -> RestoredProvider {
    let keys = keys.into_iter().zip(1..).map(|(memory, n)| RestoredKey {
        fingerprint: Fingerprint([n; 16]),
        persisted: memory,
        limits: Vec::new(),
    });
    RestoredProvider {
        fingerprint: Fingerprint([0; 16]),
        persisted: PersistedProvider::default(),
        keys: keys.collect(),
    }
}

fn cooling(until: Time) -> PersistedKey {
    PersistedKey {
        whole: Some(PersistedCooldown { until, strikes: 1 }),
        exhausted: true,
        ..PersistedKey::default()
    }
}

async fn bench(providers: Vec<ProviderSpec>, recall: RestoredProvider) -> Bench {
    let clock = Clock::start();
    let spec = TreeSpec {
        restored: [(ProviderName::from("a"), recall)].into(),
        ..TreeSpec::new(providers, 10, clock)
    };
    Bench {
        tree: Tree::start(spec.clone()).await,
        clock,
        spec,
    }
}

#[tokio::test(start_paused = true)]
async fn keys_that_were_out_are_not_asked_until_their_time_and_then_serve() {
    let until = Time::ZERO + 3600 * S;
    let keys = vec![cooling(until), PersistedKey::default()];
    let bench = bench(vec![provider("a", 2)], recall(keys)).await;
    for _ in 0..4 {
        assert_eq!(bench.lease(&["a"]).await.key.to_string(), "a#2");
    }
    let cells = bench.tree.client().cells();
    let status = &cells.providers[&ProviderName::from("a")].keys[0];
    let refusal = Refusal::until(Reason::Exhausted, until);
    assert_eq!(
        status.view().outage(bench.clock.now()),
        Some(refusal),
        "to be seen before anybody asks"
    );
    assert_eq!(status.fingerprint, Some(Fingerprint([1; 16])));
    tokio::time::advance(3601 * S).await;
    let mut keys: Vec<String> = Vec::new();
    for _ in 0..2 {
        keys.push(bench.lease(&["a"]).await.key.to_string());
    }
    keys.sort();
    assert_eq!(keys, ["a#1", "a#2"]);
}

#[tokio::test(start_paused = true)]
async fn an_invalid_key_whose_time_is_up_is_probed_by_one_request() {
    let quarantine = PersistedQuarantine {
        until: Time::ZERO,
        span: 600 * S,
    };
    let memory = PersistedKey {
        invalid: Some(quarantine),
        ..PersistedKey::default()
    };
    let bench = bench(vec![provider("a", 1)], recall(vec![memory])).await;
    let probe = bench.lease(&["a"]).await;
    assert!(probe.trial);
    assert!(bench.ask(&["a"], Duration::ZERO).await.is_err(), "only one");
    let admits = || {
        let cells = bench.tree.client().cells();
        let view = cells.providers[&ProviderName::from("a")].keys[0].view();
        view.refusal(&"m".into(), bench.clock.now()).is_none()
    };
    assert!(!admits(), "nobody else is let through");
    drop(probe);
    bench.settle_down().await;
    assert!(admits(), "its caller left: the next one may try");
    let probe = bench.lease(&["a"]).await;
    probe.settle(outcome(Class::InvalidKey));
    bench.settle_down().await;
    let cells = bench.tree.client().cells();
    let view = cells.providers[&ProviderName::from("a")].keys[0].view();
    let until = view.outage(bench.clock.now()).unwrap().ready_at.unwrap();
    assert!(
        until.since(bench.clock.now()) > 1190 * S,
        "doubled: {until:?}"
    );
    assert_eq!(view.persisted.invalid.unwrap().span, 1200 * S);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_a_reload_adds_begins_with_what_is_known_of_it_and_one_that_stays_does_not() {
    let until = Time::ZERO + 3600 * S;
    let bench = bench(
        vec![provider("a", 1)],
        recall(vec![PersistedKey::default()]),
    )
    .await;
    let keys = vec![cooling(until), cooling(until), PersistedKey::default()];
    let spec = TreeSpec {
        generation: 1,
        oldest: 1,
        providers: vec![provider("a", 3)],
        restored: [(ProviderName::from("a"), recall(keys))].into(),
        ..bench.spec.clone()
    };
    bench.tree.apply(&spec).await;
    let mut keys: Vec<String> = Vec::new();
    for _ in 0..4 {
        keys.push(bench.lease(&["a"]).await.key.to_string());
    }
    keys.sort();
    keys.dedup();
    assert_eq!(keys, ["a#1", "a#3"]);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_gone_stays_gone() {
    let until = Time::ZERO + 300 * S;
    let recall = RestoredProvider {
        persisted: PersistedProvider {
            gone: vec![("m".into(), Operation::Chat, until)],
            ..PersistedProvider::default()
        },
        ..recall(vec![PersistedKey::default()])
    };
    let bench = bench(vec![provider("a", 1)], recall).await;
    let refused = bench.ask(&["a"], Duration::ZERO).await.unwrap_err();
    assert_eq!(refused.declined[0].1.reason, Reason::ModelGone);
    assert!(bench.ask_model("a", "other", Duration::ZERO).await.is_ok());
    tokio::time::advance(301 * S).await;
    assert!(bench.ask(&["a"], Duration::ZERO).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn that_a_limit_is_used_up_is_published_at_once_and_the_rest_once_a_second() {
    let bench = Bench::new(vec![provider("a", 1)]).await;
    let published = || {
        let cells = bench.tree.client().cells();
        let limits = cells.providers[&ProviderName::from("a")].keys[0].limits_memory();
        limits.first().map(|limit| limit.left)
    };
    let head = |remaining| Allowance {
        unit: Unit::Requests,
        period: Duration::ZERO,
        limit: Some(10.0),
        remaining,
        reset: 60 * S,
    };
    for (remaining, told) in [(9.0, 9.0), (5.0, 9.0), (0.0, 0.0)] {
        let lease = bench.lease(&["a"]).await;
        lease.heard(vec![head(remaining)], None, Time::ZERO);
        bench.settle_down().await;
        assert_eq!(published(), Some(told), "after {remaining}");
    }
}
