//! What is looked at when metrics are read, and not counted as it happens: the state of the process and of its parts.

use std::sync::Arc;

use crate::domain::condition::{BreakerCondition, KeyCondition, Life};
use crate::domain::ids::{KeyId, Upstream};
use crate::telemetry::traces::TraceCounts;

/// Reads the state for one scrape.
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
    /// How budgets stand.
    pub budgets: Vec<BudgetGauges>,
    /// What is kept of answers in memory, where they are kept.
    pub cache: Option<CacheGauges>,
    /// Of the fleet, in a process that belongs to one.
    pub fleet: Option<FleetGauges>,
    /// The state of each actor.
    pub actors: Vec<ActorGauges>,
    /// The upstreams that the configuration names.
    pub upstreams: Vec<UpstreamGauges>,
    /// The state of each key.
    pub keys: Vec<KeyGauges>,
    /// What became of spans, where they are sent.
    pub spans: Option<TraceCounts>,
}

/// What is kept of answers in memory.
#[derive(Clone, Copy, Debug)]
pub struct CacheGauges {
    /// Answers.
    pub entries: f64,
    /// Bytes of them.
    pub bytes: f64,
    /// Bytes that there may be.
    pub most: f64,
}

/// What a process knows of its fleet.
#[derive(Clone, Debug)]
pub struct FleetGauges {
    /// The store can be asked.
    pub is_up: bool,
    /// Seconds that the last fact took from the store to here.
    pub lag: Option<f64>,
    /// Processes that were there at the last look.
    pub nodes: usize,
    /// Facts that are known.
    pub facts: usize,
    /// Facts that the store has not got yet.
    pub unsent: usize,
    /// Shares of limits: `key` or `client`, its name, the limit's word, what may be used.
    pub shares: Vec<(&'static str, String, &'static str, f64)>,
    /// Parts of budgets: `all`, `client` or `provider`, its name, the window's word, what is claimed and not spent.
    pub claims: Vec<(&'static str, String, String, f64)>,
}

/// How one budget stands.
#[derive(Clone, Debug)]
pub struct BudgetGauges {
    /// `all`, `client` or `provider`.
    pub of: &'static str,
    /// The name of the client or provider.
    pub name: String,
    /// Its place among the budgets of that one, from 1.
    pub number: String,
    /// The length of its windows.
    pub every: String,
    /// How much may be spent in one, in units of the currency.
    pub amount: f64,
    /// What is spent in the present one.
    pub spent: f64,
    /// What requests under way have reserved.
    pub reserved: f64,
}

/// The state of one actor.
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

/// The state of one upstream.
#[derive(Clone, Debug)]
pub struct UpstreamGauges {
    /// The upstream.
    pub upstream: Upstream,
    /// The state of its circuit breaker.
    pub breaker: BreakerCondition,
    /// The number of its keys.
    pub keys: usize,
    /// Those that it may be asked with now.
    pub usable: usize,
}

/// The state of one key.
#[derive(Clone, Debug)]
pub struct KeyGauges {
    /// The key's id.
    pub id: KeyId,
    /// Its state, models' own cooldowns left aside.
    pub state: KeyCondition,
    /// Seconds until its last cooldown ends.
    pub cooldown: f64,
    /// Attempts under way.
    pub in_flight: u32,
    /// Attempts that were started.
    pub attempts: u64,
    /// Attempts that it may have under way.
    pub concurrency: Option<u32>,
    /// The limits that its upstream reported.
    pub limits: Vec<LimitGauges>,
}

/// A limit of a key.
#[derive(Clone, Debug)]
pub struct LimitGauges {
    /// The upstream that the limit is for.
    pub upstream: Upstream,
    /// The unit that is counted.
    pub unit: &'static str,
    /// The limit itself.
    pub limit: Option<f64>,
    /// The part that is left.
    pub remaining: Option<f64>,
}
