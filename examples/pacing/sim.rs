//! A pool of keys under more demand than it can serve, on a paused clock: the real dispatcher and its actors
//! against an upstream in the same process that keeps a limit per key, as requests arrive there.

#![expect(
    clippy::expect_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an experiment: it may end at the first surprise, and its numbers are small"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, header};
use pointsman::actors::tree::{ProviderSpec, Tree, TreeSpec};
use pointsman::dispatch::{AnswerBody, Dispatch, Endpoint, Request};
use pointsman::domain::chain::{ProviderEntry, Targets};
use pointsman::domain::dialect::Operation;
use pointsman::domain::hash_map::HashMap;
use pointsman::domain::limits::{DispatchPolicy, KeyLimits, PacingPolicy, Timeouts};
use pointsman::domain::profile::TargetPolicies;
use pointsman::domain::secret::ApiKey;
use pointsman::domain::time::Time;
use pointsman::runtime::clock::Clock;
use pointsman::runtime::task;
use pointsman::upstream::{SendError, Transport, UpstreamRequest, UpstreamResponse};
use pointsman::wire::request::RequestDoc;

/// How the upstream keeps its limits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Evenly refilled.
    Bucket,
    /// Renewed as a whole each minute.
    Window,
}

/// One experiment.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub kind: Kind,
    /// Whether answers carry OpenAI's headers.
    pub headers: bool,
    /// Whether keys learn.
    pub learn: bool,
    pub keys: u32,
    /// Per key and minute.
    pub rpm: u32,
    pub tpm: u32,
    /// Demand in multiples of the capacity.
    pub demand: f64,
    /// Of tokens in a request, at most.
    pub tokens: u64,
    pub warm_up: Duration,
    pub measured: Duration,
}

/// What came out, after the warm-up.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Figures {
    pub served: u64,
    pub refused_by_upstream: u64,
    /// By us, at once or after waiting.
    pub turned_away: u64,
    /// The share of the tighter limit that was used.
    pub used: f64,
    pub refused_in_warm_up: u64,
}

impl Figures {
    /// Refusals by the upstream of a thousand attempts.
    pub fn per_thousand(&self) -> f64 {
        let all = self.served + self.refused_by_upstream;
        1000.0 * self.refused_by_upstream as f64 / all.max(1) as f64
    }
}

const ONE_WAY: Duration = Duration::from_millis(15);
const MINUTE: f64 = 60.0;

/// What is left of one limit of one key.
struct Left {
    whole: f64,
    left: f64,
    at: f64,
}

impl Left {
    fn refresh(&mut self, kind: Kind, now: f64) {
        match kind {
            Kind::Bucket => {
                let grown = self.left + self.whole / MINUTE * (now - self.at);
                self.left = grown.min(self.whole);
            }
            Kind::Window if (now / MINUTE).floor() > (self.at / MINUTE).floor() => {
                self.left = self.whole;
            }
            Kind::Window => {}
        }
        self.at = now;
    }

    /// Seconds until it is whole again.
    fn reset(&self, kind: Kind) -> f64 {
        match kind {
            Kind::Bucket => (self.whole - self.left) / self.whole * MINUTE,
            Kind::Window => MINUTE - self.at % MINUTE,
        }
    }

    /// Seconds until `cost` is there.
    fn wait(&self, kind: Kind, cost: f64) -> f64 {
        match kind {
            Kind::Bucket => (cost - self.left).max(0.0) / self.whole * MINUTE,
            Kind::Window => self.reset(kind),
        }
    }
}

/// An upstream's answer: whether it serves, and the headers.
type Verdict = (bool, HeaderMap);
type Question = (HeaderMap, u64, tokio::sync::oneshot::Sender<Verdict>);

/// The way to the task that keeps the limits.
struct Limited {
    ask: tokio::sync::mpsc::UnboundedSender<Question>,
    seed: AtomicU64,
}

fn header_of(seconds: f64) -> String {
    format!("{:.0}ms", (seconds * 1000.0).ceil())
}

async fn keep_limits(
    setup: Setup,
    clock: Clock,
    mut asked: tokio::sync::mpsc::UnboundedReceiver<Question>,
) {
    let mut keys: HashMap<Vec<u8>, [Left; 2]> = HashMap::default();
    while let Some((call, tokens, reply)) = asked.recv().await {
        let key = call[header::AUTHORIZATION].as_bytes().to_vec();
        let now = clock.now().as_nanos() as f64 / 1e9;
        let new = |whole: u32| Left {
            whole: whole.into(),
            left: whole.into(),
            at: now,
        };
        let limits = keys
            .entry(key)
            .or_insert_with(|| [new(setup.rpm), new(setup.tpm)]);
        let costs = [1.0, tokens as f64];
        for left in limits.iter_mut() {
            left.refresh(setup.kind, now);
        }
        let fits = limits
            .iter()
            .zip(costs)
            .all(|(left, cost)| left.left >= cost);
        let mut headers = HeaderMap::new();
        let mut set = |name: String, value: String| {
            let name = http::HeaderName::try_from(name).expect("a name");
            headers.insert(name, HeaderValue::try_from(value).expect("a value"));
        };
        if fits {
            for (left, cost) in limits.iter_mut().zip(costs) {
                left.left -= cost;
            }
        } else {
            let waits = limits
                .iter()
                .zip(costs)
                .map(|(left, cost)| left.wait(setup.kind, cost));
            let wait = waits.fold(0.0, f64::max);
            set(
                "retry-after-ms".to_owned(),
                format!("{:.0}", (wait * 1000.0).ceil()),
            );
        }
        if setup.headers {
            for (left, unit) in limits.iter().zip(["requests", "tokens"]) {
                set(format!("x-ratelimit-limit-{unit}"), left.whole.to_string());
                set(
                    format!("x-ratelimit-remaining-{unit}"),
                    format!("{:.0}", left.left.floor()),
                );
                set(
                    format!("x-ratelimit-reset-{unit}"),
                    header_of(left.reset(setup.kind)),
                );
            }
        }
        drop(reply.send((fits, headers)));
    }
}

impl Transport for Limited {
    fn send(
        &self,
        call: UpstreamRequest,
    ) -> BoxFuture<'static, Result<UpstreamResponse, SendError>> {
        let mut random = fastrand::Rng::with_seed(self.seed.fetch_add(1, Ordering::Relaxed));
        let body: serde_json::Value =
            serde_json::from_slice(call.body.bytes().expect("bytes")).expect("JSON");
        let most = body["max_tokens"].as_u64().unwrap_or(0);
        // The estimate that is reserved here and the upstream's own differ by some percent.
        let tokens = (most as f64 * (0.9 + 0.2 * random.f64())) as u64;
        let ask = self.ask.clone();
        Box::pin(async move {
            let jitter = Duration::from_micros(random.u64(0..3000));
            tokio::time::sleep(ONE_WAY + jitter).await;
            let (reply, verdict) = tokio::sync::oneshot::channel();
            drop(ask.send((call.headers, tokens, reply)));
            let (fits, mut headers) = verdict.await.expect("an upstream");
            if !fits {
                tokio::time::sleep(ONE_WAY).await;
                let body = r#"{"error":{"message":"Rate limit reached","type":"requests","code":"rate_limit_exceeded","param":null}}"#;
                let kind = HeaderValue::from_static("application/json");
                headers.insert(header::CONTENT_TYPE, kind);
                return Ok(UpstreamResponse {
                    status: 429,
                    headers,
                    body: futures_util::stream::iter([Ok(Bytes::from_static(body.as_bytes()))])
                        .boxed(),
                });
            }
            let kind = HeaderValue::from_static("text/event-stream");
            headers.insert(header::CONTENT_TYPE, kind);
            tokio::time::sleep(ONE_WAY + Duration::from_millis(random.u64(200..600))).await;
            let span = Duration::from_millis(random.u64(300..6000));
            let event = |delta: &str, finish: &str| {
                Ok(Bytes::from(format!(
                    "data: {{\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{{delta}}},\"finish_reason\":{finish}}}]}}\n\n"
                )))
            };
            let first = event("\"content\":\"word\"", "null");
            let last = event("", "\"stop\"");
            let rest = async move {
                tokio::time::sleep(span).await;
                futures_util::stream::iter([last, Ok(Bytes::from_static(b"data: [DONE]\n\n"))])
            };
            let body = futures_util::stream::iter([first])
                .chain(futures_util::stream::once(rest).flatten());
            Ok(UpstreamResponse {
                status: 200,
                headers,
                body: body.boxed(),
            })
        })
    }
}

#[derive(Default)]
struct Counts {
    served: AtomicU64,
    refused: AtomicU64,
    turned_away: AtomicU64,
    tokens: AtomicU64,
}

/// Runs one experiment. Call it on a runtime whose clock is paused.
pub async fn play(setup: Setup) -> Figures {
    let clock = Clock::start();
    let (ask, asked) = tokio::sync::mpsc::unbounded_channel();
    task::detach(keep_limits(setup, clock, asked));
    let limits = KeyLimits {
        pacing: PacingPolicy {
            learn: setup.learn,
            adaptive_concurrency: setup.learn,
        },
        ..KeyLimits::default()
    };
    let keys = (0..setup.keys).map(|n| Some(ApiKey::new(format!("key-{n}"))));
    let spec = ProviderSpec {
        limits,
        ..ProviderSpec::new("p", keys.collect())
    };
    let policy = DispatchPolicy {
        max_waiting: 120,
        ..DispatchPolicy::default()
    };
    let tree = Tree::start(TreeSpec::new(vec![spec], policy.max_waiting, clock)).await;
    let entry = ProviderEntry {
        name: "p".into(),
        model: Some("m".into()),
        models: Vec::new(),
        builtin: false,
        added: false,
    };
    let endpoint = Endpoint {
        dialect: pointsman::wire::dialects::usual(),
        max_answer: 64 << 20,
        max_event: 8 << 20,
        kind: String::new(),
        transport: Arc::new(Limited {
            ask,
            seed: AtomicU64::new(7),
        }),
        headers: HeaderMap::new(),
        credentials: Vec::new().into(),
        params: serde_json::Map::new(),
        context_window: None,
        timeouts: Timeouts::default(),
        retry: Arc::default(),
        trace_context: false,
        forward_user_agent: false,
        auth: None,
        access: None,
        prefill: None,
        unsupported: Default::default(),
        native: Default::default(),
        output_limits: Default::default(),
        tokens: Default::default(),
        passthrough: false,
        fetch: None,
        base_priority: 1.0,
        data_policy: Default::default(),
        capabilities: Default::default(),
        tags: Default::default(),
    };
    let dispatch = Arc::new(Dispatch {
        generation: 0,
        hedge_controller: None,
        cache: None,
        catalog: None,
        policies: TargetPolicies::default(),
        tree: tree.client().clone(),
        targets: Arc::new(Targets::build(&[entry], &[], None).expect("targets")),
        endpoints: HashMap::from_iter([("p".into(), Arc::new(endpoint))]),
        policy,
        clock,
        abort: pointsman::runtime::abort::Abort::default(),
        routing: Default::default(),
        recorder: Arc::new(pointsman::telemetry::recorder::Recorder::new(0)),
        prices: Default::default(),
        cost_watch: Default::default(),
        affinity: pointsman::affinity::Affinity::start(),
        budgets: pointsman::budgets::Budgets::start(),
        assume_output: 1024,
        buffers: pointsman::runtime::buffers::Buffers::default(),
    });
    let mean_tokens = setup.tokens as f64 / 2.0;
    let keys = f64::from(setup.keys);
    let capacity = f64::from(setup.rpm).min(f64::from(setup.tpm) / mean_tokens) * keys / MINUTE;
    let gap = Duration::from_secs_f64(1.0 / (capacity * setup.demand));
    let counts = [Arc::new(Counts::default()), Arc::new(Counts::default())];
    let mut random = fastrand::Rng::with_seed(11);
    let end = setup.warm_up + setup.measured;
    let mut at = Duration::ZERO;
    let started = tokio::time::Instant::now();
    while at < end {
        at += gap.mul_f64(2.0 * random.f64());
        tokio::time::sleep_until(started + at).await;
        let dispatch = Arc::clone(&dispatch);
        let counts = counts.clone();
        let tokens = random.u64(1..setup.tokens);
        task::detach(one(dispatch, clock, tokens, setup.warm_up, counts));
    }
    let [before, after] = &counts;
    let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let minutes = setup.measured.as_secs_f64() / MINUTE;
    let requests = read(&after.served) as f64 / (f64::from(setup.rpm) * keys * minutes);
    let tokens = read(&after.tokens) as f64 / (f64::from(setup.tpm) * keys * minutes);
    Figures {
        served: read(&after.served),
        refused_by_upstream: read(&after.refused),
        turned_away: read(&after.turned_away),
        used: requests.max(tokens),
        refused_in_warm_up: read(&before.refused),
    }
}

async fn one(
    dispatch: Arc<Dispatch>,
    clock: Clock,
    tokens: u64,
    warm_up: Duration,
    counts: [Arc<Counts>; 2],
) {
    let body = format!(
        r#"{{"model":"p","stream":true,"max_tokens":{tokens},"messages":[{{"role":"user","content":"hi"}}]}}"#
    );
    let request = Request {
        id: "r".into(),
        operation: Operation::Chat,
        arrived: clock.now(),
        doc: RequestDoc::parse(body.into()).expect("a request"),
        headers: HeaderMap::new(),
        deadline: dispatch.policy.deadline_of(clock.now(), None),
        begins_within: None,
        silence: None,
        await_cooldown: None,
        client: None,
        unsupported: None,
        affinity: None,
        fetched: false,
        left_out: Default::default(),
        hints: None,
        payload: None,
        trace: None,
    };
    let add = |count: &AtomicU64, amount: u64| {
        count.fetch_add(amount, Ordering::Relaxed);
    };
    let ended = dispatch.run(request).await;
    let measured = clock.now().since(Time::ZERO) > warm_up;
    let counts = &counts[usize::from(measured)];
    match ended {
        Ok(answer) => {
            add(&counts.refused, answer.attempts as u64 - 1);
            add(&counts.served, 1);
            add(&counts.tokens, tokens);
            if let AnswerBody::Stream(mut stream) = answer.body {
                while stream.next().await.is_some() {}
            }
        }
        Err(failed) => {
            add(&counts.refused, failed.records.len() as u64);
            add(&counts.turned_away, 1);
        }
    }
}
