//! States that make an actor fail at every message: the next incarnation begins with what was published, and no lease,
//! cooldown or hold is lost.

use std::sync::atomic::AtomicBool;

use super::*;
use crate::actors::command_sender::KeyCommand;
use crate::actors::status::Life;
use crate::domain::ids::{KeyId, ModelName};

/// Spoils the state of `actor` once, as soon as the flag is set.
fn spoils(actor: &'static str) -> (FaultHook, Arc<AtomicBool>) {
    let armed = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&armed);
    let fault_hook =
        FaultHook::spoiler(move |who| who == actor && flag.swap(false, Ordering::SeqCst));
    (fault_hook, armed)
}

fn limited(seconds: u32) -> Settlement {
    Settlement {
        retry_after: Some(S * seconds),
        ..outcome(Class::RateLimited)
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_with_a_spoilt_state_begins_anew_with_its_cooldowns_and_its_leases() {
    let (fault_hook, armed) = spoils("key a#1");
    let two = at_once("a", 2);
    let bench = Bench::with_chaos(vec![two], fault_hook).await;
    let cool = bench.ask_model("a", "cool", 30 * S).await.unwrap();
    cool.settle(limited(600));
    let held = bench.lease(&["a"]).await;
    bench.settle_down().await;
    armed.store(true, Ordering::SeqCst);
    let started = bench.clock.now();
    let second = bench.ask(&["a"], Duration::ZERO).await.unwrap();
    assert!(bench.clock.now().since(started) < S);
    assert_eq!(bench.in_flight(), 2);
    let full = bench.ask(&["a"], Duration::ZERO).await.unwrap_err();
    assert_eq!(full.declined[0].1.reason, Reason::Saturated, "L2");
    second.settle(outcome(Class::Success));
    bench.settle_down().await;
    let refused = bench.ask_model("a", "cool", Duration::ZERO).await;
    let refusal = refused.unwrap_err().declined[0].1;
    assert_eq!(refusal.reason, Reason::Cooling, "L5");
    assert!(refusal.ready_at.unwrap().since(bench.clock.now()) > 590 * S);
    // A lease that the lost state gave settles as any other.
    held.settle(limited(60));
    bench.settle_down().await;
    assert_eq!(bench.in_flight(), 0);
    let refused = bench.ask(&["a"], Duration::ZERO).await.unwrap_err();
    assert_eq!(refused.declined[0].1.reason, Reason::Cooling);
    tokio::time::advance(61 * S).await;
    let both = [bench.lease(&["a"]).await, bench.lease(&["a"]).await];
    let full = bench.ask(&["a"], Duration::ZERO).await.unwrap_err();
    assert_eq!(full.declined[0].1.reason, Reason::Saturated);
    drop(both);
    let cells = bench.tree.client().cells();
    let life = &cells.providers[&ProviderName::from("a")].keys[0].life;
    assert_eq!((life.get(), life.restarts()), (Life::Up, 3));
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_is_out_stays_the_only_one() {
    let (fault_hook, armed) = spoils("key a#1");
    let bench = Bench::with_chaos(vec![provider("a", 1), provider("b", 1)], fault_hook).await;
    let lease = bench.lease(&["a"]).await;
    lease.settle(outcome(Class::InvalidKey));
    bench.settle_down().await;
    tokio::time::advance(301 * S).await;
    let trial = bench.lease(&["a"]).await;
    assert!(trial.trial);
    armed.store(true, Ordering::SeqCst);
    let id = KeyId {
        provider: ProviderName::from("a"),
        index: 1,
    };
    for _ in 0..5 {
        // No request reaches the key, but a command does.
        let order = KeyCommand::Cool(Some(ModelName::from("x")), S);
        bench.tree.operator().key(&id, order).await.unwrap();
        assert_eq!(bench.lease(&["a", "b"]).await.key.to_string(), "b#1");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    trial.settle(outcome(Class::Success));
    bench.settle_down().await;
    assert_eq!(bench.lease(&["a", "b"]).await.key.to_string(), "a#1");
}

#[tokio::test(start_paused = true)]
async fn a_provider_with_a_spoilt_state_begins_anew_with_what_is_gone() {
    let (fault_hook, armed) = spoils("provider a");
    let bench = Bench::with_chaos(vec![provider("a", 1)], fault_hook).await;
    let gone = bench.ask_model("a", "gone", 30 * S).await.unwrap();
    gone.settle(outcome(Class::ModelGone));
    let held = bench.lease(&["a"]).await;
    bench.settle_down().await;
    armed.store(true, Ordering::SeqCst);
    assert!(bench.ask(&["a"], Duration::ZERO).await.is_ok());
    let refused = bench.ask_model("a", "gone", Duration::ZERO).await;
    let reason = refused.unwrap_err().declined[0].1.reason;
    assert_eq!(reason, Reason::ModelGone);
    held.settle(outcome(Class::Success));
    bench.settle_down().await;
    assert_eq!(bench.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_router_with_a_spoilt_state_loses_nobody_who_waits() {
    let (fault_hook, armed) = spoils("router");
    let bench = Arc::new(Bench::with_chaos(vec![one_at_a_time("a")], fault_hook).await);
    let held = bench.lease(&["a"]).await;
    let waiting: Vec<_> = (0..3).map(|_| bench.ask_later(&["a"], 30 * S)).collect();
    bench.settle_down().await;
    armed.store(true, Ordering::SeqCst);
    tokio::time::sleep(3 * S).await;
    held.settle(outcome(Class::Success));
    for waiter in waiting {
        let (_, lease) = waiter.await.unwrap();
        lease.unwrap().settle(outcome(Class::Success));
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(bench.in_flight(), 0);
}
