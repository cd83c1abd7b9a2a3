//! What is looked at when metrics are read, and not counted as it happens: the state of the process and of its parts.

use std::sync::Arc;

use crate::domain::condition::{BreakerCondition, KeyCondition, Life};
use crate::domain::ids::{KeyId, Upstream};
use crate::telemetry::traces::TraceCounts;

/// Looks.
pub type StateObserver = Box<dyn Fn() -> StateGauges + Send + Sync>;

/// As of one moment.
#[derive(Clone, Debug, Default)]
pub struct StateGauges {
    /// Requests under way.
    pub in_flight: usize,
    /// Bytes of bodies and answers held, and how many may be.
    pub buffered: (usize, usize),
    /// Requests in the waiting room.
    pub waiting: u32,
    /// Whether the shutdown has begun.
    pub draining: bool,
    /// The configuration that holds.
    pub generation: u64,
    /// The clients, and how many requests of each are under way.
    pub clients: Vec<(Arc<str>, u32)>,
    /// The actors.
    pub actors: Vec<ActorGauges>,
    /// The upstreams that the configuration names.
    pub upstreams: Vec<UpstreamGauges>,
    /// The keys.
    pub keys: Vec<KeyGauges>,
    /// What became of spans, where they are sent.
    pub spans: Option<TraceCounts>,
}

/// One actor.
#[derive(Clone, Debug)]
pub struct ActorGauges {
    /// `router`, `provider groq`, `key groq#1`.
    pub name: String,
    /// Whether it runs.
    pub life: Life,
    /// How often it was started again.
    pub restarts: u32,
    /// Messages that it has still to handle, where they are counted.
    pub mailbox: Option<i64>,
}

/// One upstream.
#[derive(Clone, Debug)]
pub struct UpstreamGauges {
    /// Which.
    pub upstream: Upstream,
    /// Its circuit breaker.
    pub breaker: BreakerCondition,
    /// Its keys.
    pub keys: usize,
    /// Those that it may be asked with now.
    pub usable: usize,
}

/// One key.
#[derive(Clone, Debug)]
pub struct KeyGauges {
    /// Which.
    pub id: KeyId,
    /// What it is like for all models.
    pub state: KeyCondition,
    /// Seconds until its last cooldown ends.
    pub cooldown: f64,
    /// Attempts under way.
    pub in_flight: u32,
    /// Attempts that were started.
    pub attempts: u64,
    /// Attempts that it may have under way.
    pub concurrency: Option<u32>,
    /// What its upstream told of its limits.
    pub limits: Vec<LimitGauges>,
}

/// A limit of a key.
#[derive(Clone, Debug)]
pub struct LimitGauges {
    /// For this upstream.
    pub upstream: Upstream,
    /// What is counted.
    pub unit: &'static str,
    /// The whole.
    pub limit: Option<f64>,
    /// What is left.
    pub remaining: Option<f64>,
}
