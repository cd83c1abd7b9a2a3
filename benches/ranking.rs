//! What a ranking costs: the order of a target's upstreams for one request, under each policy and by conversation.
//!
//! `cargo bench --bench ranking` prints the time per upstream; the goal is 200 ns. `ordered` is never ranked, and shows what
//! a request pays that needs no order.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark: it may end at the first surprise, and prints"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pointsman::domain::asked::RequestShape;
use pointsman::domain::chain::{ProviderEntry, Targets, VirtualEntry};
use pointsman::domain::ids::{ProviderName, Upstream};
use pointsman::domain::money::Pico;
use pointsman::domain::policy::{Policy, Signal, TokenPrices, UpstreamFigures};
use pointsman::domain::session_affinity::AffinityPolicy;
use pointsman::domain::spill::TierKeys;
use pointsman::domain::target::Inquiry;
use pointsman::domain::unmet::Unmet;

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const UPSTREAMS: u32 = 8;
const ROUNDS: u32 = 200_000;

/// Figures that differ by upstream and cost nothing to read.
struct Figures;

fn number(name: &str) -> u32 {
    name.bytes().last().map_or(0, |last| u32::from(last % 7))
}

impl UpstreamFigures for Figures {
    fn in_flight(&self, provider: &ProviderName) -> u32 {
        number(provider.as_str())
    }

    fn pending(&self, upstream: &Upstream) -> u32 {
        number(upstream.provider.as_str())
    }

    fn cost(&self, upstream: &Upstream) -> Option<Pico> {
        Some(Pico::new(
            u64::from(number(upstream.provider.as_str())) * 1_000_000,
        ))
    }

    fn token_prices(&self, _: &Upstream) -> TokenPrices {
        TokenPrices::default()
    }

    fn latency(&self, upstream: &Upstream, _: Signal) -> Option<Duration> {
        let millis = 100 + number(upstream.provider.as_str());
        Some(Duration::from_millis(u64::from(millis)))
    }

    fn first_token(&self, upstream: &Upstream) -> Option<Duration> {
        self.latency(upstream, Signal::FirstToken)
    }

    fn tags(&self, _: &Upstream) -> Vec<&str> {
        Vec::new()
    }

    fn used(&self, upstream: &Upstream) -> Option<f64> {
        Some(f64::from(number(upstream.provider.as_str())) / 10.0)
    }

    fn context_window(&self, _: &Upstream) -> Option<u64> {
        Some(128_000)
    }

    fn keys(&self, _: &Upstream) -> TierKeys {
        TierKeys::default()
    }

    fn base_priority(&self, _: &ProviderName) -> f64 {
        1.0
    }

    fn lacks(&self, _: &Upstream) -> Option<Unmet> {
        None
    }

    fn turn(&self, _: usize) -> u64 {
        3
    }
}

fn targets(policy: Policy, affinity: Option<AffinityPolicy>) -> Targets {
    let names = (0..UPSTREAMS).map(|n| format!("p{n}"));
    let entry = VirtualEntry {
        policy,
        affinity,
        ..VirtualEntry::ordered("v", names.clone())
    };
    let providers: Vec<_> = names
        .map(|name| ProviderEntry {
            name: name.as_str().into(),
            model: Some("llama-3.3-70b".into()),
            models: Vec::new(),
            builtin: false,
            added: false,
        })
        .collect();
    Targets::build(&providers, &[entry], None).expect("targets")
}

#[expect(clippy::disallowed_methods, reason = "a benchmark")]
fn measure(name: &str, targets: &Targets, rounds: u32) {
    let chain = targets.resolve(Some("v")).expect("a target");
    let mut random = fastrand::Rng::with_seed(7);
    let asked = RequestShape {
        session: Some(11),
        prompt_tokens: 1000,
        ..RequestShape::default()
    };
    let started = Instant::now();
    for _ in 0..rounds {
        let mut inquiry = Inquiry {
            asked: &asked,
            figures: &Figures,
            draw: &mut || random.f64(),
            steps: None,
        };
        black_box(targets.ranked(Arc::clone(&chain), &mut inquiry));
    }
    let each = started.elapsed() / (rounds * UPSTREAMS);
    println!("{name:<14}{:>6} ns per upstream", each.as_nanos());
}

fn main() {
    // `cargo test` runs benches too: a moment is enough to see that it works.
    let rounds = if std::env::args().any(|argument| argument == "--bench") {
        ROUNDS
    } else {
        10
    };
    for policy in Policy::all() {
        let name = policy.name().to_owned();
        measure(&name, &targets(policy, None), rounds);
    }
    let by_session = targets(Policy::default(), Some(AffinityPolicy::default()));
    measure("affinity", &by_session, rounds);
}
