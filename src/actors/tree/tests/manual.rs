//! An operator's commands, also to actors that fail while they handle one.

use super::*;
use crate::actors::command_sender::{KeyCommand, ProviderCommand};
use crate::actors::status::{KeySnapshot, Life};
use crate::domain::ids::{KeyId, ModelName};

impl Bench {
    async fn order(&self, key: u32, order: KeyCommand) {
        let id = KeyId {
            provider: ProviderName::from("a"),
            index: key,
        };
        self.tree.operator().key(&id, order).await.unwrap();
    }

    fn view(&self) -> Arc<KeySnapshot> {
        let cells = self.tree.client().cells();
        cells.providers[&ProviderName::from("a")].keys[0].view()
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_is_carried_out_although_actors_crash_over_it_and_outlives_the_crash() {
    for (actor, message) in [
        ("key", "Manual"),
        ("supervisor", "Manual"),
        ("key", "Offer"),
    ] {
        let bench = Bench::with_chaos(vec![provider("a", 1)], panics(actor, message, 1)).await;
        bench.order(1, KeyCommand::Hold(None)).await;
        for _ in 0..3 {
            let refused = bench.ask(&["a"], Duration::ZERO).await.unwrap_err();
            assert_eq!(refused.declined[0].1.reason, Reason::Held, "{actor}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bench.order(1, KeyCommand::Release).await;
        bench.lease(&["a"]).await.settle(outcome(Class::Success));
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_ended_is_published_by_itself_also_after_a_crash() {
    let bench = Bench::with_chaos(vec![provider("a", 1)], panics("key", "Offer", 1)).await;
    bench.order(1, KeyCommand::Cool(None, 10 * S)).await;
    bench
        .order(1, KeyCommand::Cool(Some(ModelName::from("x")), 20 * S))
        .await;
    // The view keeps requests away from the key; this one comes for the crash after the first end.
    assert!(bench.view().outage(bench.clock.now()).is_some());
    tokio::time::sleep(11 * S).await;
    assert!(bench.view().outage(bench.clock.now()).is_none() && bench.view().cooling.len() == 1);
    let lease = bench.ask(&["a"], S).await.unwrap();
    lease.settle(outcome(Class::Success));
    tokio::time::sleep(10 * S).await;
    assert_eq!(*bench.view(), KeySnapshot::default());
}

#[tokio::test(start_paused = true)]
async fn a_release_starts_an_actor_that_failed_too_often() {
    let fault_hook = panics("key a#1", "Offer", 6);
    let bench = Bench::with_chaos(vec![provider("a", 1), provider("b", 1)], fault_hook).await;
    let life = || {
        let cells = bench.tree.client().cells();
        cells.providers[&ProviderName::from("a")].keys[0].life.get()
    };
    for _ in 0..10 {
        drop(bench.lease(&["a", "b"]).await);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(life(), Life::Quarantined);
    let id = KeyId {
        provider: ProviderName::from("a"),
        index: 1,
    };
    let cool = KeyCommand::Hold(None);
    assert!(bench.tree.operator().key(&id, cool).await.is_err());
    bench.order(1, KeyCommand::Release).await;
    assert_eq!(life(), Life::Up);
    assert_eq!(bench.lease(&["a", "b"]).await.key.to_string(), "a#1");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_crashes_over_an_order_carries_it_out() {
    let fault_hook = panics("provider", "Manual", 1);
    let bench = Bench::with_chaos(vec![provider("a", 1), provider("b", 1)], fault_hook).await;
    let name = ProviderName::from("a");
    let quarantine = ProviderCommand::Hold(Some(S));
    bench
        .tree
        .operator()
        .provider(&name, quarantine)
        .await
        .unwrap();
    assert_eq!(bench.lease(&["a", "b"]).await.key.to_string(), "b#1");
    tokio::time::sleep(S).await;
    assert_eq!(bench.lease(&["a", "b"]).await.key.to_string(), "a#1");
    let quarantine = ProviderCommand::Hold(None);
    bench
        .tree
        .operator()
        .provider(&name, quarantine)
        .await
        .unwrap();
    assert_eq!(bench.lease(&["a", "b"]).await.key.to_string(), "b#1");
    bench
        .tree
        .operator()
        .provider(&name, ProviderCommand::Release)
        .await
        .unwrap();
    assert_eq!(bench.lease(&["a", "b"]).await.key.to_string(), "a#1");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_providers_quarantine_is_published_by_itself_also_after_a_crash() {
    let fault_hook = panics("provider", "Offer", 1);
    let bench = Bench::with_chaos(vec![provider("a", 1), provider("b", 1)], fault_hook).await;
    let name = ProviderName::from("a");
    let quarantine = ProviderCommand::Hold(Some(10 * S));
    let ordered = bench.tree.operator();
    ordered.provider(&name, quarantine).await.unwrap();
    let held = || {
        bench.tree.client().cells().providers[&name]
            .provider
            .view()
            .held
    };
    assert_eq!(bench.lease(&["a", "b"]).await.key.to_string(), "b#1");
    assert!(held().is_some());
    tokio::time::sleep(11 * S).await;
    assert_eq!(held(), None);
}
