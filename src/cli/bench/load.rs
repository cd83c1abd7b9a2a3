//! The load: so many connections that each send their next request when the last one is answered, or requests that are due
//! at moments of their own, whatever becomes of those before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::connection::{BenchConnection, BenchServer, ExchangeEnd};
use super::requests::RequestMaker;
use crate::domain::bench::{RequestSample, SampleEnd, poisson_gap};
use crate::domain::money::Pico;
use crate::runtime::task;

/// Connections that an open loop has at most.
const MOST_CONNECTIONS: usize = 4096;

/// When requests are sent.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum LoadShape {
    /// So many a second, at random moments, or evenly.
    Open { rate: f64, is_even: bool },
    /// So many at the same time.
    Closed { concurrency: usize },
}

/// How much is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct LoadAmount {
    /// The most requests.
    pub(super) requests: u64,
    /// After this time none is begun.
    pub(super) duration: Option<Duration>,
    /// How long one may take.
    pub(super) timeout: Duration,
    /// What the random moments are made from.
    pub(super) seed: u64,
}

/// What ends a run early.
#[derive(Debug, Default)]
pub(super) struct LoadControl {
    stops: AtomicBool,
    /// A person stopped it.
    interrupted: AtomicBool,
    spent: AtomicU64,
    /// The most that may be spent, in 10⁻¹² of a unit; none: whatever it takes.
    most: Option<u64>,
    next: AtomicU64,
}

impl LoadControl {
    /// One that stops when so much is spent.
    pub(super) fn new(most: Option<Pico>) -> Self {
        Self {
            most: most.map(Pico::get),
            ..Self::default()
        }
    }

    /// No request is begun any more, because a person said so.
    pub(super) fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Relaxed);
        self.stops.store(true, Ordering::Relaxed);
    }

    /// Whether a person stopped it.
    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    fn is_over(&self) -> bool {
        self.stops.load(Ordering::Relaxed)
    }

    /// Whether it stopped because enough was spent.
    pub(super) fn is_spent(&self) -> bool {
        self.most
            .is_some_and(|most| self.spent.load(Ordering::Relaxed) >= most)
    }

    fn spend(&self, cost: Pico) {
        self.spent.fetch_add(cost.get(), Ordering::Relaxed);
        if self.is_spent() {
            self.stops.store(true, Ordering::Relaxed);
        }
    }
}

/// What all parts of a run share.
pub(super) struct LoadRun {
    pub(super) server: Arc<BenchServer>,
    pub(super) maker: RequestMaker,
    pub(super) amount: LoadAmount,
    pub(super) control: LoadControl,
    /// Told of each request.
    pub(super) done: Box<dyn Fn() + Send + Sync>,
}

impl LoadRun {
    async fn exchange(
        &self,
        connection: &mut BenchConnection,
        number: u64,
        due: Instant,
    ) -> ExchangeEnd {
        let request = self.maker.request(number);
        let work = connection.exchange(&request, due);
        let end = match tokio::time::timeout(self.amount.timeout, work).await {
            Ok(end) => end,
            Err(_) => {
                connection.abandon();
                ExchangeEnd::Failed(RequestSample::failed("no answer in time"))
            }
        };
        (self.done)();
        end
    }

    fn note(&self, sample: &RequestSample) {
        if let Some(cost) = sample.cost {
            self.control.spend(cost);
        }
    }
}

/// Runs it: the requests, and how many seconds they took together.
pub(super) async fn run(run: Arc<LoadRun>, shape: LoadShape) -> (Vec<RequestSample>, f64) {
    match shape {
        LoadShape::Closed { concurrency } => closed(run, concurrency).await,
        LoadShape::Open { rate, is_even } => open(run, rate, is_even).await,
    }
}

/// One connection of a closed loop, and what became of its requests.
struct ClosedLoop {
    run: Arc<LoadRun>,
    connection: BenchConnection,
    samples: Vec<RequestSample>,
}

impl ClosedLoop {
    /// Sends one request after the other until there is enough.
    async fn run(mut self, end: Option<Instant>) -> Vec<RequestSample> {
        loop {
            let number = self.run.control.next.fetch_add(1, Ordering::Relaxed);
            let due = Instant::now();
            let is_late = end.is_some_and(|end| due >= end);
            if number >= self.run.amount.requests || is_late || self.run.control.is_over() {
                self.connection.catch_up();
                self.take_read();
                return self.samples;
            }
            let end = self.run.exchange(&mut self.connection, number, due).await;
            self.take_read();
            match end {
                ExchangeEnd::Answer(answer) if answer.is_good() => self.connection.put_off(answer),
                end => self.note_failed(end).await,
            }
        }
    }

    /// Takes over what the connection has looked at.
    fn take_read(&mut self) {
        if let Some(sample) = self.connection.take_sample() {
            self.run.note(&sample);
            self.samples.push(sample);
        }
    }

    async fn note_failed(&mut self, end: ExchangeEnd) {
        let sample = self.connection.sample_of(end);
        self.run.note(&sample);
        let is_failed = matches!(&sample.end, SampleEnd::Failed(_));
        let is_silent = is_failed && sample.attempts == 0;
        self.samples.push(sample);
        if is_silent {
            // Who refuses at once is not asked as fast as it can refuse.
            tokio::task::yield_now().await;
        }
    }
}

async fn closed(run: Arc<LoadRun>, concurrency: usize) -> (Vec<RequestSample>, f64) {
    let mut connections = Vec::new();
    for _ in 0..concurrency {
        let mut connection = BenchConnection::new(&run.server);
        // What cannot be reached is told by the first request.
        let _ = connection.connect().await;
        connections.push(connection);
    }
    let started = Instant::now();
    let end = run.amount.duration.map(|duration| started + duration);
    let loops = connections.into_iter().map(|connection| {
        let one = ClosedLoop {
            run: Arc::clone(&run),
            connection,
            samples: Vec::new(),
        };
        task::spawn(one.run(end))
    });
    let loops: Vec<_> = loops.collect();
    let mut samples = Vec::new();
    for one in loops {
        samples.extend(one.await.unwrap_or_default());
    }
    (samples, started.elapsed().as_secs_f64())
}

/// The moments at which requests are due, from a thread of its own: the runtime's timers wake at whole milliseconds.
fn pace(run: &LoadRun, rate: f64, is_even: bool, due: &mpsc::UnboundedSender<(u64, Instant)>) {
    let mut random = fastrand::Rng::with_seed(run.amount.seed);
    let started = Instant::now();
    let mut offset = 0.0;
    for number in 0..run.amount.requests {
        let at = started + Duration::from_secs_f64(offset);
        let is_late = run.amount.duration.is_some_and(|most| at >= started + most);
        if is_late || run.control.is_over() {
            return;
        }
        #[expect(clippy::disallowed_methods, reason = "a thread of its own")]
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        if due.send((number, at)).is_err() {
            return;
        }
        offset += match is_even {
            true => rate.recip(),
            false => poisson_gap(rate, random.f64()),
        };
    }
}

async fn open(run: Arc<LoadRun>, rate: f64, is_even: bool) -> (Vec<RequestSample>, f64) {
    let mut first = BenchConnection::new(&run.server);
    let _ = first.connect().await;
    let mut idle = vec![first];
    let mut connections = 1_usize;
    let (due, mut requests) = mpsc::unbounded_channel();
    let (back, mut served) = mpsc::unbounded_channel::<(BenchConnection, RequestSample)>();
    let started = Instant::now();
    let pacing = Arc::clone(&run);
    // It ends with the channel, or with the last request.
    std::thread::spawn(move || pace(&pacing, rate, is_even, &due));
    let mut samples = Vec::new();
    while let Some((number, at)) = requests.recv().await {
        while let Ok((connection, sample)) = served.try_recv() {
            idle.push(connection);
            samples.push(sample);
        }
        if idle.is_empty() && connections >= MOST_CONNECTIONS {
            // As many as there can be: what is due waits, and that counts.
            if let Some((connection, sample)) = served.recv().await {
                idle.push(connection);
                samples.push(sample);
            }
        }
        let mut connection = idle.pop().unwrap_or_else(|| {
            connections += 1;
            BenchConnection::new(&run.server)
        });
        let (run, back) = (Arc::clone(&run), back.clone());
        task::detach(async move {
            let end = run.exchange(&mut connection, number, at).await;
            let sample = connection.sample_of(end);
            run.note(&sample);
            // Somebody waits for it as long as there is anything to send.
            let _ = back.send((connection, sample));
        });
    }
    drop(back);
    while let Some((_, sample)) = served.recv().await {
        samples.push(sample);
    }
    (samples, started.elapsed().as_secs_f64())
}
