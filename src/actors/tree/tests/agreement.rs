//! What the actors say that a request would hear is what it then hears, whatever has happened to them.

use super::*;
use crate::actors::inquiry::Inquiry;
use crate::actors::operator::{KeyOrder, ProviderOrder};
use crate::domain::client::Standing;
use crate::domain::cooldown::CooldownScope;
use crate::domain::forecast::{Forecast, Prospect, Terms, forecast};
use crate::domain::ids::{KeyId, ModelName};

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
    vec![a, b, c]
}

/// What was told of a request that may not wait: `index key`, or the cause and what each candidate said.
async fn told(bench: &Bench) -> String {
    let upstreams = CHAIN.iter().map(|name| Upstream::new(*name, "m"));
    let inquiry = Inquiry {
        chain: Arc::new(Chain {
            target: Arc::from("t"),
            upstreams: upstreams.collect(),
        }),
        tokens: 0,
        generation: u64::MAX,
        standing: Standing::default(),
    };
    let told = bench.tree.dispatcher().inquire(inquiry).await.unwrap();
    let heard = told.candidates.iter();
    let prospects: Vec<Prospect> = heard.map(|heard| heard.prospect(None)).collect();
    let now = told.at;
    let terms = Terms {
        may_wait: false,
        wait_until: now,
        patience_until: now,
        deadline: now + 600 * S,
        has_place: told.has_place,
    };
    match forecast(&prospects, &terms, now) {
        Forecast::Goes(at) => {
            let mut keys = told.candidates[at].keys.iter();
            let (id, _) = keys.find(|(_, said)| said.is_ok()).unwrap();
            format!("{at} {id}")
        }
        Forecast::Refused(refused) => format!("{:?} {:?}", refused.cause, refused.declined),
        Forecast::Waits { .. } => panic!("it may not"),
    }
}

/// Something happens to somebody.
async fn happen(bench: &Bench, rng: &mut fastrand::Rng, held: &mut Vec<Lease>) {
    let name = CHAIN[rng.usize(..3)];
    let span = S * rng.u32(1..60);
    match rng.u8(..8) {
        0 => tokio::time::sleep(Duration::from_millis(rng.u64(..20_000))).await,
        1 if !held.is_empty() => drop(held.swap_remove(rng.usize(..held.len()))),
        2 => {
            let order = match rng.u8(..4) {
                0 => KeyOrder::Quarantine(rng.bool().then_some(span)),
                1 => KeyOrder::Cool(rng.bool().then(|| ModelName::from("m")), span),
                _ => KeyOrder::Release,
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
                0 => ProviderOrder::Quarantine(Some(span)),
                _ => ProviderOrder::Release,
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

/// What comes of an attempt.
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
async fn it_is_told_before_what_is_heard_then() {
    let mut kinds = std::collections::BTreeMap::<String, u32>::new();
    for seed in 0..60 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let bench = Bench::new(three()).await;
        let mut held = Vec::new();
        for step in 0..150 {
            happen(&bench, &mut rng, &mut held).await;
            let told = told(&bench).await;
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
            assert_eq!(told, heard, "seed {seed}, step {step}");
            let kind = told.split(' ').next().unwrap_or_default().to_owned();
            *kinds.entry(kind).or_default() += 1;
        }
    }
    // All of it came about.
    for kind in ["0", "1", "2", "WaitForbidden"] {
        assert!(
            kinds.get(kind).is_some_and(|count| *count > 50),
            "{kinds:?}"
        );
    }
}
