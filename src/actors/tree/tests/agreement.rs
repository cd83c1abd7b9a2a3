//! What is planned is what the actors then do, whatever has happened to them.

use super::*;
use crate::actors::command_sender::{KeyCommand, ProviderCommand};
use crate::actors::route::PlanRequest;
use crate::domain::client::Requester;
use crate::domain::cooldown::CooldownScope;
use crate::domain::dialect::Operation;
use crate::domain::ids::{KeyId, ModelName};
use crate::domain::plan::{PlanOutcome, WaitLimits};

const CHAIN: [&str; 3] = ["a", "b", "c"];

fn three() -> Vec<ProviderSpec> {
    let breaker = BreakerPolicy {
        failure_threshold: 2,
        ..BreakerPolicy::default()
    };
    let mut a = ProviderSpec {
        breaker,
        ..provider("a", 3)
    };
    a.limits.rpm = Some(20);
    let mut b = ProviderSpec {
        rotation: KeyRotation::Sticky,
        breaker,
        ..provider("b", 2)
    };
    b.limits.max_in_flight = Some(1);
    b.cooldown.scope = CooldownScope::Provider;
    let c = ProviderSpec {
        rotation: KeyRotation::LeastInFlight,
        ..provider("c", 2)
    };
    let mut all = vec![a, b, c];
    for provider in &mut all {
        // What a key learns of limits is published when a request first runs into it.
        provider.limits.pacing.learn = false;
    }
    all
}

/// The plan for a request that may not wait: `index key`, or the cause and what each candidate answered.
async fn planned(bench: &Bench) -> String {
    let upstreams = CHAIN.iter().map(|name| Upstream::new(*name, "m"));
    let now = bench.clock.now();
    let request = PlanRequest {
        chain: Arc::new(Chain {
            target: Arc::from("t"),
            upstreams: upstreams.collect(),
        }),
        operation: Operation::Chat,
        ask: RouteConstraints {
            closed: vec![None; CHAIN.len()],
            first: true,
            ..RouteConstraints::default()
        },
        tokens: 0,
        generation: u64::MAX,
        session: None,
        standing: Requester::default(),
        limits: WaitLimits {
            may_wait: false,
            wait_until: now,
            patience_until: now,
            deadline: now + 600 * S,
        },
    };
    let planned = bench.tree.client().plan(request).await.unwrap();
    match planned.plan.outcome {
        PlanOutcome::Goes => {
            let at = planned.plan.order[0];
            let mut keys = planned.candidates[at].keys.iter();
            let (id, _) = keys.find(|(_, refusal)| refusal.is_none()).unwrap();
            format!("{at} {id}")
        }
        PlanOutcome::Refused(cause) => format!("{cause:?} {:?}", planned.plan.declined),
        PlanOutcome::Waits(_) => panic!("it may not"),
    }
}

/// One random event: time passes, a lease ends, or an operator sends a command.
async fn happen(bench: &Bench, rng: &mut fastrand::Rng, held: &mut Vec<Lease>) {
    let name = CHAIN[rng.usize(..3)];
    let span = S * rng.u32(1..60);
    match rng.u8(..8) {
        0 => tokio::time::sleep(Duration::from_millis(rng.u64(..20_000))).await,
        1 if !held.is_empty() => drop(held.swap_remove(rng.usize(..held.len()))),
        2 => {
            let order = match rng.u8(..4) {
                0 => KeyCommand::Hold(rng.bool().then_some(span)),
                1 => KeyCommand::Cool(rng.bool().then(|| ModelName::from("m")), span),
                _ => KeyCommand::Release,
            };
            let provider = ProviderName::from(name);
            let id = KeyId {
                provider,
                index: rng.u32(1..=2),
            };
            bench.tree.operator().key(&id, order).await.unwrap();
        }
        3 => {
            let order = match rng.u8(..3) {
                0 => ProviderCommand::Hold(Some(span)),
                _ => ProviderCommand::Release,
            };
            let provider = ProviderName::from(name);
            bench
                .tree
                .operator()
                .provider(&provider, order)
                .await
                .unwrap();
        }
        _ => {}
    }
}

/// Ends a lease with a random outcome.
fn end(lease: &Lease, rng: &mut fastrand::Rng) {
    let classes = [
        Class::Success,
        Class::Success,
        Class::RateLimited,
        Class::QuotaExhausted,
        Class::InvalidKey,
        Class::Transient,
        Class::Overloaded,
        Class::ModelGone,
        Class::CallerFault,
    ];
    let hint = rng.bool().then(|| Duration::from_millis(rng.u64(..30_000)));
    lease.settle(Settlement {
        retry_after: hint,
        ..outcome(classes[rng.usize(..classes.len())])
    });
}

#[tokio::test(start_paused = true)]
async fn what_is_planned_is_what_happens() {
    let mut kinds = std::collections::BTreeMap::<String, u32>::new();
    for seed in 0..60 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let bench = Bench::new(three()).await;
        let mut held = Vec::new();
        for step in 0..150 {
            happen(&bench, &mut rng, &mut held).await;
            // What is on its way between the actors is published first.
            bench.settle_down().await;
            let planned = planned(&bench).await;
            let heard = match bench.ask(&CHAIN, Duration::ZERO).await {
                Ok(lease) => {
                    let heard = format!("{} {}", lease.index, lease.key);
                    match rng.u8(..3) {
                        0 => held.push(lease),
                        _ => end(&lease, &mut rng),
                    }
                    heard
                }
                Err(refused) => format!("{:?} {:?}", refused.cause, refused.declined),
            };
            assert_eq!(planned, heard, "seed {seed}, step {step}");
            let kind = planned.split(' ').next().unwrap_or_default().to_owned();
            *kinds.entry(kind).or_default() += 1;
        }
    }
    // Every kind of plan occurred.
    for kind in ["0", "1", "2", "WaitForbidden"] {
        assert!(
            kinds.get(kind).is_some_and(|count| *count > 50),
            "{kinds:?}"
        );
    }
}
