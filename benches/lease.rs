//! What a lease costs: router, provider, key, and the way back, with 64 tasks at it at the same time.
//!
//! `cargo bench --bench lease` prints the wall time per lease and settlement; the goal is 2.5 µs.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark: it may end at the first surprise, and prints"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use pointsman::actors::route::RouteRequest;
use pointsman::actors::tree::{ProviderSpec, Tree, TreeSpec};
use pointsman::domain::attempts::RouteConstraints;
use pointsman::domain::chain::Chain;
use pointsman::domain::ids::Upstream;
use pointsman::domain::key_state::Settlement;
use pointsman::domain::outcome::Class;
use pointsman::domain::secret::ApiKey;
use pointsman::runtime::clock::Clock;
use pointsman::runtime::task;

const TASKS: u32 = 64;
const ROUNDS: u32 = 20_000;

#[expect(clippy::disallowed_methods, reason = "a benchmark")]
fn main() {
    // `cargo test` runs benches too: a moment is enough to see that it works.
    let rounds = if std::env::args().any(|argument| argument == "--bench") {
        ROUNDS
    } else {
        10
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let clock = Clock::start();
        let keys = (0..3).map(|n| Some(ApiKey::new(format!("key-{n}"))));
        let provider = ProviderSpec::new("groq", keys.collect());
        let tree = Tree::start(TreeSpec::new(vec![provider], 1000, clock)).await;
        let chain = Arc::new(Chain {
            target: "groq".into(),
            upstreams: vec![Upstream::new("groq", "llama")],
        });
        for run in 1..=5 {
            let started = Instant::now();
            let tasks: Vec<_> = (0..TASKS)
                .map(|_| {
                    let dispatcher = tree.client().clone();
                    let chain = Arc::clone(&chain);
                    task::spawn(async move {
                        for _ in 0..rounds {
                            let deadline = clock.now() + Duration::from_secs(60);
                            let lease = dispatcher
                                .lease(deadline, |reply| {
                                    let ask = RouteConstraints {
                                        closed: vec![None],
                                        first: true,
                                        ..RouteConstraints::default()
                                    };
                                    RouteRequest::new(Arc::clone(&chain), ask, 0, deadline, reply)
                                })
                                .await
                                .expect("a lease");
                            lease.settle(Settlement {
                                class: Class::Success,
                                retry_after: None,
                                tokens: None,
                                counts: false,
                            });
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.expect("no panic");
            }
            let each = started.elapsed() / (TASKS * rounds);
            println!(
                "run {run}: {:.2} µs per lease and settlement",
                each.as_secs_f64() * 1e6
            );
        }
    });
}
