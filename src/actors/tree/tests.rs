//! The tree under a paused clock: which key a request gets, and breakers. Other subjects have files of their own.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::actors::fault_hook::FaultHook;
use crate::domain::attempts::RouteConstraints;
use crate::domain::breaker::BreakerPolicy;
use crate::domain::chain::Chain;
use crate::domain::ids::{ProviderName, Upstream};
use crate::domain::key_state::Settlement;
use crate::domain::limits::KeyLimits;
use crate::domain::outcome::Class;
use crate::domain::refusal::Reason;
use crate::domain::restart::RestartPolicy;
use crate::domain::rotation::KeyRotation;
use crate::domain::secret::ApiKey;
use crate::runtime::task;

mod agreement;
mod classes;
mod crash;
mod downtime;
mod in_flight;
mod latency;
mod manual;
mod pacing;
mod recall;
mod reload;
mod spoilt;
mod waiting;

const S: Duration = Duration::from_secs(1);

fn provider(name: &str, keys: usize) -> ProviderSpec {
    let secret = |n| Some(ApiKey::new(format!("secret-{n}")));
    ProviderSpec {
        endpoint: format!("https://{name}.example.com/v1"),
        models: vec!["m".into()],
        ..ProviderSpec::new(name, (0..keys).map(secret).collect())
    }
}

/// With one key, for so many requests at once.
fn at_once(name: &str, most: u32) -> ProviderSpec {
    ProviderSpec {
        limits: KeyLimits {
            max_in_flight: Some(most),
            ..KeyLimits::default()
        },
        ..provider(name, 1)
    }
}

fn one_at_a_time(name: &str) -> ProviderSpec {
    at_once(name, 1)
}

struct Bench {
    tree: Tree,
    clock: Clock,
    spec: TreeSpec,
}

impl Bench {
    async fn new(providers: Vec<ProviderSpec>) -> Self {
        Self::with_chaos(providers, FaultHook::default()).await
    }

    async fn with_chaos(providers: Vec<ProviderSpec>, chaos: FaultHook) -> Self {
        Self::with(providers, chaos, RestartPolicy::default()).await
    }

    async fn with(providers: Vec<ProviderSpec>, chaos: FaultHook, restart: RestartPolicy) -> Self {
        let clock = Clock::start();
        let spec = TreeSpec {
            restart,
            fault_hook: chaos,
            ..TreeSpec::new(providers, 10, clock)
        };
        Self {
            tree: Tree::start(spec.clone()).await,
            clock,
            spec,
        }
    }

    async fn ask(&self, chain: &[&str], wait: Duration) -> Result<Lease, LeaseRefused> {
        self.ask_for(chain, wait, Duration::ZERO).await
    }

    async fn ask_patiently(
        &self,
        chain: &[&str],
        patience: Duration,
    ) -> Result<Lease, LeaseRefused> {
        self.ask_for(chain, 30 * S, patience).await
    }

    async fn ask_for(
        &self,
        chain: &[&str],
        wait: Duration,
        patience: Duration,
    ) -> Result<Lease, LeaseRefused> {
        let upstreams = chain.iter().map(|name| Upstream::new(*name, "m"));
        self.ask_at(upstreams.collect(), wait, patience).await
    }

    async fn ask_model(
        &self,
        name: &str,
        model: &str,
        wait: Duration,
    ) -> Result<Lease, LeaseRefused> {
        self.ask_at(vec![Upstream::new(name, model)], wait, Duration::ZERO)
            .await
    }

    async fn ask_at(
        &self,
        upstreams: Vec<Upstream>,
        wait: Duration,
        patience: Duration,
    ) -> Result<Lease, LeaseRefused> {
        self.ask_as(u64::MAX, upstreams, 600 * S, wait, patience)
            .await
    }

    async fn ask_until(
        &self,
        upstreams: Vec<Upstream>,
        deadline: Duration,
        wait: Duration,
        patience: Duration,
    ) -> Result<Lease, LeaseRefused> {
        self.ask_as(u64::MAX, upstreams, deadline, wait, patience)
            .await
    }

    async fn ask_generation(&self, generation: u64, name: &str) -> Result<Lease, LeaseRefused> {
        let upstreams = vec![Upstream::new(name, "m")];
        self.ask_as(
            generation,
            upstreams,
            600 * S,
            Duration::ZERO,
            Duration::ZERO,
        )
        .await
    }

    async fn ask_as(
        &self,
        generation: u64,
        upstreams: Vec<Upstream>,
        deadline: Duration,
        wait: Duration,
        patience: Duration,
    ) -> Result<Lease, LeaseRefused> {
        let chain = Arc::new(Chain {
            target: Arc::from("t"),
            upstreams,
        });
        let now = self.clock.now();
        let deadline = now + deadline;
        self.tree
            .client()
            .lease(deadline, |reply| {
                let ask = RouteConstraints {
                    closed: vec![None; chain.upstreams.len()],
                    first: true,
                    ..RouteConstraints::default()
                };
                let mut route = RouteRequest::new(Arc::clone(&chain), ask, 0, deadline, reply);
                route.generation = generation;
                route.may_wait = !wait.is_zero();
                route.wait_until = now + wait;
                route.patience_until = now + patience;
                route
            })
            .await
    }

    async fn lease(&self, chain: &[&str]) -> Lease {
        self.ask(chain, 30 * S).await.unwrap()
    }

    /// Asks in the background; the receiver hears when it is answered.
    fn ask_later(
        self: &Arc<Self>,
        chain: &'static [&'static str],
        wait: Duration,
    ) -> oneshot::Receiver<(Duration, Result<Lease, LeaseRefused>)> {
        let (tell, heard) = oneshot::channel();
        let bench = Arc::clone(self);
        task::detach(async move {
            let started = bench.clock.now();
            let answer = bench.ask(chain, wait).await;
            drop(tell.send((bench.clock.now().since(started), answer)));
        });
        heard
    }

    fn in_flight(&self) -> u32 {
        let cells = self.tree.client().cells();
        let keys = cells.providers.values().flat_map(|provider| &provider.keys);
        keys.map(|key| key.in_flight()).sum()
    }

    async fn settle_down(&self) {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
}

fn outcome(class: Class) -> Settlement {
    Settlement {
        class,
        retry_after: None,
        tokens: None,
        counts: true,
    }
}

#[tokio::test(start_paused = true)]
async fn keys_take_turns_and_in_flight_returns_to_zero() {
    let bench = Bench::new(vec![provider("a", 3)]).await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        let lease = bench.lease(&["a"]).await;
        assert_eq!(bench.in_flight(), 1);
        seen.push(lease.key.to_string());
        lease.settle(outcome(Class::Success));
        bench.settle_down().await;
    }
    assert_eq!(seen, ["a#1", "a#2", "a#3", "a#1"]);
    drop(bench.lease(&["a"]).await);
    bench.settle_down().await;
    assert_eq!(bench.in_flight(), 0, "a dropped lease settles itself");
}

#[tokio::test(start_paused = true)]
async fn a_rate_limited_key_is_passed_over_and_then_the_chain_walks_on() {
    let bench = Bench::new(vec![provider("a", 2), provider("b", 1)]).await;
    for key in ["a#1", "a#2"] {
        let lease = bench.lease(&["a", "b"]).await;
        assert_eq!(lease.key.to_string(), key);
        lease.settle(outcome(Class::RateLimited));
        bench.settle_down().await;
    }
    assert_eq!(bench.lease(&["a", "b"]).await.key.to_string(), "b#1");
    tokio::time::advance(61 * S).await;
    assert_eq!(bench.lease(&["a", "b"]).await.key.provider.as_str(), "a");
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_lets_one_probe_through_and_wakes_the_rest_when_it_is_good() {
    let bench = Arc::new(Bench::new(vec![provider("a", 2)]).await);
    for _ in 0..3 {
        bench.lease(&["a"]).await.settle(outcome(Class::Transient));
        bench.settle_down().await;
    }
    let refused = bench.ask(&["a"], S).await.unwrap_err();
    assert_eq!(refused.declined[0].1.reason, Reason::BreakerOpen);
    let waiting: Vec<_> = (0..3).map(|_| bench.ask_later(&["a"], 30 * S)).collect();
    tokio::time::sleep(16 * S).await;
    assert_eq!(bench.in_flight(), 1, "exactly one probe");
    let mut answers = Vec::new();
    for mut waiter in waiting {
        match waiter.try_recv() {
            Ok((_, probe)) => probe.unwrap().settle(outcome(Class::Success)),
            Err(_) => answers.push(waiter),
        }
    }
    for waiter in answers {
        let (waited, lease) = waiter.await.unwrap();
        assert!(lease.is_ok());
        assert!(waited <= 17 * S, "{waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_whose_task_vanished_makes_room_for_another() {
    let bench = Bench::new(vec![provider("a", 1)]).await;
    for _ in 0..3 {
        bench.lease(&["a"]).await.settle(outcome(Class::Network));
        bench.settle_down().await;
    }
    tokio::time::advance(15 * S).await;
    drop(bench.lease(&["a"]).await);
    bench.settle_down().await;
    let probe = bench.lease(&["a"]).await;
    probe.settle(outcome(Class::Success));
}

/// Panics the first `times` times that `actor` gets `message`.
fn panics(actor: &'static str, message: &'static str, times: u32) -> FaultHook {
    let left = AtomicU32::new(times);
    FaultHook::hook(move |who, what| {
        let hit = who.starts_with(actor) && what == message;
        if hit
            && left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
                .is_ok()
        {
            panic!("chaos: {who} at {what}");
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_streams_lets_the_others_in_at_its_first_content() {
    let bench = Arc::new(Bench::new(vec![provider("a", 1)]).await);
    for _ in 0..3 {
        bench.lease(&["a"]).await.settle(outcome(Class::Transient));
        bench.settle_down().await;
    }
    tokio::time::advance(15 * S).await;
    let probe = bench.lease(&["a"]).await;
    let waiting = bench.ask_later(&["a"], 30 * S);
    bench.settle_down().await;
    probe.began();
    let (waited, lease) = waiting.await.unwrap();
    assert!(lease.is_ok());
    assert_eq!(waited, Duration::ZERO, "while the probe still streams");
    probe.settle(outcome(Class::Success));
}
