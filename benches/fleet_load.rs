//! What a fleet costs its server, and how soon all know of a cooldown.
//!
//! `cargo bench --bench fleet_load` starts `valkey-server` or `redis-server` (or asks the one of `FLEET_URL`, whose processor time it
//! reads from `INFO`), and speaks to it as 50 busy processes with 40 limits and budgets each do, then as 500
//! idle sidecars do; when each asks is decided as in a real process. It prints
//! calls a second, the part of a core that the server used, and how long facts took from one process to all others. Timings are
//! for reading, nothing asserts them.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a benchmark: it may end at the first surprise, and prints"
)]

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pointsman::domain::budget::{BudgetScope, BudgetUse, MeterKey, Period, Spender};
use pointsman::domain::fleet::quota::{LimitHolder, LimitUse, LostPolicy};
use pointsman::domain::fleet::quotas::{FleetQuotas, QuotaAnswers, QuotaOrder};
use pointsman::domain::fleet::state::DEBOUNCE;
use pointsman::domain::fleet::{
    FactKind, FactReason, FleetFact, FleetNews, FleetOrder, FleetSubject, QuotaKind,
};
use pointsman::domain::ids::{FleetNode, KeyId};
use pointsman::domain::persisted::Fingerprint;
use pointsman::domain::secret::EncryptionKey;
use pointsman::domain::time::Time;
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
    answers: mpsc::UnboundedReceiver<QuotaAnswers>,
    /// Decides when it asks, as in a real process.
    quotas: FleetQuotas,
    answered: usize,
    _store: FleetStore,
}

fn process(url: &str, number: usize, clock: Clock) -> Process {
    let (orders, waiting) = FleetOrders::new();
    let (send, heard) = mpsc::unbounded_channel();
    let (answer, answers) = mpsc::unbounded_channel();
    let news = move |news: FleetNews| match news {
        FleetNews::Heard(..) => drop(send.send(Instant::now())),
        FleetNews::Shares(told) => drop(answer.send(told)),
        _ => {}
    };
    let node = FleetNode::from(format!("node-{number}.0"));
    let options = FleetStoreOptions {
        server: valkey_url::parse(url).expect("a URL"),
        authorities: Vec::new(),
        fleet: "bench".to_owned(),
        secret: FleetSecret::new(&EncryptionKey::new(&[7; 32]).expect("a key")),
        node: node.clone(),
        clock,
    };
    let store = FleetStore::start(&options, waiting, Arc::new(news));
    let mut quotas = FleetQuotas::new(node, LostPolicy::default(), clock.now());
    quotas.up(clock.now());
    Process {
        orders,
        heard,
        answers,
        quotas,
        answered: 0,
        _store: store,
    }
}

impl Process {
    /// Takes in what was answered, and asks what is due. Returns when something is due next.
    fn step(&mut self, demand: u64, now: Time) -> Time {
        while let Ok(told) = self.answers.try_recv() {
            self.answered += usize::from(!told.shares.is_empty());
            self.quotas.answered(told, now);
        }
        for order in self.quotas.due(now, fastrand::f64()) {
            match order {
                QuotaOrder::Count => self.count(demand, now),
                QuotaOrder::Ask(round, shares, claims) => {
                    drop(self.orders.send(FleetOrder::Ask(round, shares, claims)));
                }
            }
        }
        self.quotas.next()
    }

    /// Uses all that it has, and wants about as much in each round, a third more or less.
    fn count(&mut self, demand: u64, now: Time) {
        let views = self.quotas.limits();
        let shares: BTreeMap<(LimitHolder, QuotaKind), u64> = views
            .flat_map(|view| {
                let share = view.own.amount(now);
                (view.holders.into_iter()).map(move |holder| ((holder, view.kind), share))
            })
            .collect();
        for number in 0..LIMITS {
            let holder = LimitHolder::Key(KeyId {
                provider: "p".into(),
                index: u32::from(number / 4),
            });
            let kind = QuotaKind::ALL[usize::from(number % 4)];
            let share = shares.get(&(holder.clone(), kind)).copied();
            let one = LimitUse {
                kind,
                limit: 60_000,
                used: if demand > 0 { share.unwrap_or(0) } else { 0 },
                demand: demand * fastrand::u64(67..=133) / 100,
                largest: 1,
            };
            let owner = Fingerprint([number / 4; 16]);
            self.quotas.counted(&holder, owner, vec![one], now);
        }
        let spent = (0..BUDGETS).map(|number| {
            let one = BudgetUse {
                meter: MeterKey {
                    scope: BudgetScope::all_of(Spender::Whole),
                    period: Period::Hours(1),
                    zone: "UTC".into(),
                },
                window: 1,
                amount: Some(1 << 50),
                has: 1000,
                given_up: 0,
                used: if demand > 0 { now.as_nanos() / 1000 } else { 0 },
                want: 100 * demand,
                need: 0,
                heard: 0,
                lasts: 3600,
            };
            (Fingerprint([100 + number; 16]), one)
        });
        self.quotas.spent(spent.collect());
    }
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

/// So many processes for so long, each wanting so much of every limit in half a second; it says every 5 s that it is there.
async fn load(url: &str, count: usize, demand: u64, lasts: Duration) {
    let clock = Clock::start();
    let mut all: Vec<Process> = (0..count)
        .map(|number| process(url, number, clock))
        .collect();
    let mut due = vec![Time::ZERO; count];
    let mut beats = Instant::now();
    // First until their shares are what they stay.
    let mut run = async |lasts: Duration| {
        let began = Instant::now();
        while began.elapsed() < lasts {
            let now = clock.now();
            for (process, due) in all.iter_mut().zip(&mut due) {
                if now >= *due || !process.answers.is_empty() {
                    *due = process.step(demand, now);
                }
            }
            if beats.elapsed() >= Duration::from_secs(5) {
                beats = Instant::now();
                for process in &all {
                    drop(process.orders.send(FleetOrder::Beat));
                }
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        all.iter().map(|it| it.answered).sum::<usize>()
    };
    let answered_before = run(Duration::from_secs(15)).await;
    let (before, calls) = used(url).await;
    let began = Instant::now();
    let answered = run(lasts).await - answered_before;
    let took = began.elapsed().as_secs_f64();
    let (after, calls_after) = used(url).await;
    println!(
        "{count:>4} processes with {} each: {:>6.1} answers a second, {:>7.0} commands a second in the scripts too, {:>5.2} % of a core",
        LIMITS + BUDGETS,
        answered as f64 / took,
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
        println!("all that they have is used, and more is wanted:");
        load(&url, 50, 100, lasts).await;
        println!("nothing:");
        load(&url, 500, 0, lasts).await;
        facts(&url, 50, 300).await;
    });
}
