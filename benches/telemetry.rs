//! What it costs to count a request, and how much memory the numbers take.
//!
//! `cargo bench --bench telemetry` prints the processor time per request, of one thread and of two at the same numbers, the
//! size and the time of `/metrics`, and the memory that all of it takes. The goal is 2 µs for a request.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark: it may end at the first surprise, and prints"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use pointsman::config::TelemetryPolicy;
use pointsman::domain::attempt_record::{AttemptReason, AttemptRecord};
use pointsman::domain::chain::Chain;
use pointsman::domain::dialect::Operation;
use pointsman::domain::hash_map::HashMap;
use pointsman::domain::ids::{KeyId, Upstream};
use pointsman::domain::outcome::Class;
use pointsman::domain::time::Time;
use pointsman::domain::usage::Usage;
use pointsman::telemetry::metrics::specs::Sizes;
use pointsman::telemetry::metrics::{ConfiguredNames, Metrics, ProviderLabels};
use pointsman::telemetry::request_record::RequestRecord;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const UPSTREAMS: usize = 10;
const ROUNDS: u32 = 1_000_000;

fn upstream(at: usize) -> Upstream {
    Upstream::new(format!("provider-{at}").as_str(), "llama-3.3-70b-versatile")
}

fn attempt(at: usize, class: Class, why: AttemptReason, from: u64, to: u64) -> AttemptRecord {
    let upstream = upstream(at);
    let key = KeyId {
        provider: upstream.provider.clone(),
        index: 1,
    };
    AttemptRecord {
        class,
        reason: why,
        ended: Time::from_millis(to),
        ..AttemptRecord::new(upstream, key, Time::from_millis(from))
    }
}

fn told(attempts: Vec<AttemptRecord>) -> RequestRecord {
    let chain = Chain {
        target: Arc::from("smart"),
        upstreams: (0..UPSTREAMS).map(upstream).collect(),
    };
    let ended = attempts.last().map_or(Time::ZERO, |last| last.ended);
    RequestRecord {
        id: Arc::from("req_0123456789abcdef"),
        client: Some(Arc::from("ci")),
        operation: Operation::Chat,
        stream: true,
        target: "smart".to_owned(),
        chain: Some(Arc::new(chain)),
        routing: None,
        outcome: "answered",
        status: Some(200),
        attempts,
        refused: None,
        lookup: pointsman::domain::attempt_record::CacheLookup::Off,
        saved: None,
        rescue_obstacles: Vec::new(),
        started: Time::ZERO,
        complete: Time::ZERO,
        ended: ended + Duration::from_micros(30),
        first_token: None,
        trace: None,
        usage: Some(Usage {
            prompt_tokens: Some(500),
            completion_tokens: Some(100),
            ..Usage::default()
        }),
    }
}

/// Kilobytes of the heap and the stacks that are in memory; the program's own text is not in it.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))
        .unwrap_or("0 kB");
    let number = line.trim().trim_end_matches("kB").trim();
    number.parse().unwrap_or_default()
}

/// Processor time of this thread so far: what others do on this machine is not in it. Zero where the system does not tell.
fn processor() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or_default())
}

fn time(name: &str, rounds: u32, work: impl Fn()) {
    let began = processor();
    for _ in 0..rounds {
        work();
    }
    let each = (processor() - began) / rounds.max(1);
    println!("{name}: {each:?} of processor time each");
}

fn main() {
    // `cargo test` runs benches too: a moment is enough to see that it works.
    let rounds = if std::env::args().any(|argument| argument == "--bench") {
        ROUNDS
    } else {
        10
    };
    let before = resident();
    let sizes = Sizes {
        upstreams: 2 * UPSTREAMS,
        clients: 1,
        targets: 1,
        keys: 30,
    };
    let metrics = Metrics::new(&TelemetryPolicy::default(), sizes).expect("nothing is pushed");
    let empty = resident();
    let providers = (0..UPSTREAMS).map(|at| {
        let name = upstream(at).provider;
        let provider = ProviderLabels {
            name: Arc::from(name.as_str()),
            address: Some(Arc::from(format!("{name}.example.com"))),
        };
        (name, provider)
    });
    metrics.name(&ConfiguredNames {
        targets: vec![Arc::from("smart")],
        clients: vec![Arc::from("ci")],
        upstreams: (0..UPSTREAMS).map(upstream).collect(),
        providers: providers.collect::<HashMap<_, _>>(),
    });
    for at in 0..UPSTREAMS {
        for class in Class::ALL {
            metrics.record(&told(vec![attempt(at, class, AttemptReason::First, 0, 10)]));
        }
    }
    let counted = resident();
    metrics.text();
    println!(
        "resident: {} KiB for nothing, {} KiB more for {UPSTREAMS} upstreams with attempts of {} classes each, {} KiB more \
         after a look at /metrics",
        empty.saturating_sub(before),
        counted.saturating_sub(empty),
        Class::ALL.len(),
        resident().saturating_sub(counted),
    );
    let mut streamed = attempt(3, Class::Success, AttemptReason::First, 0, 900);
    streamed.first_token = Some(Time::from_millis(100));
    let one = told(vec![streamed]);
    time("one attempt", rounds, || metrics.record(black_box(&one)));
    let three = told(vec![
        attempt(0, Class::RateLimited, AttemptReason::First, 0, 50),
        attempt(0, Class::Transient, AttemptReason::NextKey, 50, 100),
        attempt(1, Class::Success, AttemptReason::Failover, 100, 900),
    ]);
    time("three attempts", rounds, || {
        metrics.record(black_box(&three));
    });
    std::thread::scope(|scope| {
        for name in ["one attempt, beside another thread", "and that one"] {
            let (metrics, one) = (&metrics, &one);
            scope.spawn(move || time(name, rounds, || metrics.record(black_box(one))));
        }
    });
    println!("/metrics: {} bytes", metrics.text().len());
    time("/metrics", rounds.div_ceil(1000), || {
        black_box(metrics.text());
    });
}
