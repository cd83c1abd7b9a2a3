//! What a fleet costs its server, and how soon all know of a cooldown.
//!
//! `cargo bench --bench fleet_load` starts `valkey-server` or `redis-server` (or asks the one of `FLEET_URL`, whose processor time it
//! reads from `INFO`), and speaks to it as 50 busy processes with 40 limits and budgets each do, then as 500 idle sidecars do. It prints
//! calls a second, the part of a core that the server used, and how long facts took from one process to all others. Timings are
//! for reading, nothing asserts them.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a benchmark: it may end at the first surprise, and prints"
)]

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pointsman::domain::fleet::money::ClaimQuestion;
use pointsman::domain::fleet::quota::{BudgetSubject, LimitSubject};
use pointsman::domain::fleet::quotas::{BudgetQuestion, QuotaAnswers};
use pointsman::domain::fleet::share::ShareQuestion;
use pointsman::domain::fleet::state::DEBOUNCE;
use pointsman::domain::fleet::{
    FactKind, FactReason, FleetFact, FleetNews, FleetOrder, FleetSubject, QuotaKind,
};
use pointsman::domain::ids::FleetNode;
use pointsman::domain::persisted::Fingerprint;
use pointsman::domain::secret::EncryptionKey;
use pointsman::runtime::clock::Clock;
use pointsman::store::fleet::{FleetOrders, FleetStore, FleetStoreOptions};
use pointsman::wire::fleet::secret::FleetSecret;
use pointsman::wire::valkey_url;
use tokio::sync::mpsc;

/// Limits of a busy process, and budgets.
const LIMITS: u8 = 36;
const BUDGETS: u8 = 4;

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

struct Process {
    orders: FleetOrders,
    /// What was heard, and when.
    heard: mpsc::UnboundedReceiver<Instant>,
    answered: Arc<AtomicUsize>,
    _store: FleetStore,
}

fn process(url: &str, number: usize, clock: Clock) -> Process {
    let (orders, waiting) = FleetOrders::new();
    let (send, heard) = mpsc::unbounded_channel();
    let answered = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&answered);
    let news = move |news: FleetNews| match news {
        FleetNews::Heard(..) => drop(send.send(Instant::now())),
        FleetNews::Shares(QuotaAnswers { shares, .. }) if !shares.is_empty() => {
            counts.fetch_add(1, Ordering::Relaxed);
        }
        _ => {}
    };
    let options = FleetStoreOptions {
        server: valkey_url::parse(url).expect("a URL"),
        authorities: Vec::new(),
        fleet: "bench".to_owned(),
        secret: FleetSecret::new(&EncryptionKey::new(&[7; 32]).expect("a key")),
        node: FleetNode::from(format!("node-{number}.0")),
        clock,
    };
    Process {
        orders,
        heard,
        answered,
        _store: FleetStore::start(&options, waiting, Arc::new(news)),
    }
}

/// What a process asks in one round.
fn questions(round: u64, demand: u64) -> FleetOrder {
    let busy = demand > 0;
    let shares = (0..LIMITS).map(|number| {
        let subject = LimitSubject {
            owner: Fingerprint([number / 4; 16]),
            kind: QuotaKind::ALL[usize::from(number % 4)],
        };
        let asks = ShareQuestion {
            seq: round,
            limit: 60_000,
            has: 1000,
            used: round % 900,
            demand,
            least: 12,
            ttl: Duration::from_secs(if busy { 2 } else { 8 }),
            span: subject.kind.span(),
        };
        (subject, asks)
    });
    let claims = (0..BUDGETS).map(|number| BudgetQuestion {
        subject: BudgetSubject {
            owner: Fingerprint([100 + number; 16]),
            window: 1,
        },
        asks: ClaimQuestion {
            seq: round,
            amount: 1 << 50,
            has: round * 100,
            used: round * 90,
            want: 100 * demand,
            need: 0,
            heard: 0,
            nodes: 50,
        },
        lasts: Duration::from_secs(3600),
    });
    FleetOrder::Ask(round, shares.collect(), claims.collect())
}

/// Seconds of processor time, and commands so far.
async fn used(url: &str) -> (f64, f64) {
    let client = redis::Client::open(url).expect("a client");
    let mut link = client
        .get_multiplexed_async_connection()
        .await
        .expect("a connection");
    let info: String = redis::cmd("INFO")
        .arg("everything")
        .query_async(&mut link)
        .await
        .expect("figures");
    let figure = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split(':').nth(1));
        value.and_then(|value| value.trim().parse::<f64>().ok())
    };
    let cpu = ["used_cpu_sys:", "used_cpu_user:"];
    let cpu = cpu.iter().filter_map(|name| figure(name)).sum();
    (cpu, figure("total_commands_processed:").unwrap_or_default())
}

/// So many processes for so long: each asks every `every`, and says every 5 s that it is there.
async fn load(url: &str, count: usize, demand: u64, every: Duration, lasts: Duration) {
    let clock = Clock::start();
    let all: Vec<Process> = (0..count)
        .map(|number| process(url, number, clock))
        .collect();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (before, calls) = used(url).await;
    let began = Instant::now();
    let mut round = 0;
    while began.elapsed() < lasts {
        round += 1;
        let step = every / u32::try_from(count).expect("few");
        for (number, process) in all.iter().enumerate() {
            drop(process.orders.send(questions(round, demand)));
            let beats = 5.0 / every.as_secs_f64();
            if (round as f64 + number as f64) % beats < 1.0 {
                drop(process.orders.send(FleetOrder::Beat));
            }
            tokio::time::sleep(step).await;
        }
    }
    let took = began.elapsed().as_secs_f64();
    let (after, calls_after) = used(url).await;
    let answered: usize = all
        .iter()
        .map(|it| it.answered.load(Ordering::Relaxed))
        .sum();
    println!(
        "{count:>4} processes: {:>6.1} rounds of {} a second, {:>7.0} commands a second in the scripts too, {:>5.2} % of a core",
        answered as f64 / took,
        LIMITS + BUDGETS,
        (calls_after - calls) / took,
        (after - before) / took * 100.0
    );
}

/// How long a fact takes from one process to all others.
async fn facts(url: &str, count: usize, rounds: u32) {
    let clock = Clock::start();
    let mut all: Vec<Process> = (0..count)
        .map(|number| process(url, number, clock))
        .collect();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut times = Vec::new();
    for round in 0..rounds {
        let teller = usize::try_from(round).expect("few") % count;
        let mut owner = [0; 16];
        owner[..4].copy_from_slice(&round.to_be_bytes());
        let until = clock.now() + Duration::from_secs(60);
        let subject = FleetSubject {
            owner: Fingerprint(owner),
            kind: FactKind::Cooling,
            model: Some("m".into()),
            operation: None,
        };
        let fact = FleetFact {
            generation: 0,
            until,
            keep: until,
            reason: FactReason::Reported,
            node: FleetNode::from(format!("node-{teller}.0")),
        };
        let began = Instant::now();
        drop(
            all[teller]
                .orders
                .send(FleetOrder::Publish(vec![(subject, fact)])),
        );
        let mut last = Duration::ZERO;
        for process in &mut all {
            let heard = process.heard.recv().await.expect("news");
            last = last.max(heard.saturating_duration_since(began));
        }
        times.push(DEBOUNCE + last);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    times.sort_unstable();
    let at = |part: usize| times[(times.len() - 1) * part / 100].as_secs_f64() * 1000.0;
    println!(
        "a fact is known to all of {count} processes after (ms): p50 {:.1}, p99 {:.1}, at most {:.1}",
        at(50),
        at(99),
        at(100)
    );
}

fn server(port: u16) -> Option<Server> {
    let start = |program: &str| {
        let mut command = Command::new(program);
        let port = port.to_string();
        command.args(["--port", &port, "--save", "", "--appendonly", "no"]);
        command.stdout(Stdio::null()).spawn().ok()
    };
    start("valkey-server")
        .or_else(|| start("redis-server"))
        .map(Server)
}

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        // Run by `cargo test`: that it builds is all there is to see.
        return;
    }
    let mut _server = None;
    let url = std::env::var("FLEET_URL").unwrap_or_else(|_| {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("its address").port();
        drop(free);
        _server = server(port);
        std::thread::sleep(Duration::from_millis(500));
        format!("redis://127.0.0.1:{port}/0")
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let lasts = Duration::from_secs(20);
        println!("all that they have is wanted:");
        load(&url, 50, 100, Duration::from_millis(500), lasts).await;
        println!("half of it:");
        load(&url, 50, 100, Duration::from_secs(1), lasts).await;
        println!("nothing:");
        load(&url, 500, 0, Duration::from_secs(5), lasts).await;
        facts(&url, 50, 300).await;
    });
}
