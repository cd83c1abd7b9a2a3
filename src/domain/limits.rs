//! The numbers that bound a key, an attempt and a request, as the machines want them.
//! Defaults are the documented ones; ranges are checked where the configuration is read.

use std::time::Duration;

use super::backoff::Waits;
use super::hedge::HedgePolicy;
use super::time::Time;

/// What one key may do, as configured. `None` means not limited by us.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct KeyLimits {
    /// Requests per minute.
    pub rpm: Option<u64>,
    /// Tokens per minute, prompt and answer together.
    pub tpm: Option<u64>,
    /// Requests per day (UTC day of the process's clock: any 24 hours).
    pub rpd: Option<u64>,
    /// Requests at the same time.
    pub max_in_flight: Option<u32>,
    /// What it learns of the limits that the upstream sets.
    pub pacing: PacingPolicy,
}

impl KeyLimits {
    /// Whether there is a limit at all.
    pub const fn is_any(&self) -> bool {
        self.rpm.is_some()
            || self.tpm.is_some()
            || self.rpd.is_some()
            || self.max_in_flight.is_some()
    }

    /// Whether `in_flight` requests take all places: the configured ones, or the `learned` ones if they are fewer.
    pub fn is_full(&self, in_flight: u32, learned: Option<u32>) -> bool {
        let limits = [self.max_in_flight, learned];
        limits.into_iter().flatten().any(|limit| in_flight >= limit)
    }
}

/// What a key learns of its upstream's limits. All on unless configured otherwise: nothing is held back before an
/// answer or a refusal gives a reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PacingPolicy {
    /// Limits of requests and tokens, from headers, and from refusals where there are none.
    pub learn: bool,
    /// How many requests at the same time are taken, from refusals for overload.
    pub adaptive_concurrency: bool,
}

impl Default for PacingPolicy {
    fn default() -> Self {
        Self {
            learn: true,
            adaptive_concurrency: true,
        }
    }
}

/// How long the parts of one attempt may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// Until a connection is established.
    pub connect: Duration,
    /// Streams: until the response head.
    pub first_byte: Duration,
    /// Streams: until the first content or tool-call delta.
    pub first_token: Duration,
    /// Streams: between two chunks once content flows.
    pub idle: Duration,
    /// Answers that are not streamed: until the whole answer is there.
    pub response: Duration,
    /// From the start of the attempt to its end.
    pub total: Duration,
    /// `first_token` is configured for this provider: no profile shortens it.
    pub first_token_chosen: bool,
}

impl Timeouts {
    /// The same with a stream's first token due after `due`, unless `first_token` is configured.
    #[must_use]
    pub fn with_first_token(mut self, due: Option<Duration>) -> Self {
        if let Some(due) = due.filter(|_| !self.first_token_chosen) {
            self.first_byte = self.first_byte.min(due);
            self.first_token = self.first_token.min(due);
        }
        self
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(60),
            // Models that reason for two minutes in silence exist.
            first_token: Duration::from_secs(180),
            idle: Duration::from_secs(60),
            response: Duration::from_secs(300),
            total: Duration::from_secs(600),
            first_token_chosen: false,
        }
    }
}

/// How often the same upstream is asked again after a failure that may pass.
#[derive(Clone, PartialEq, Debug)]
pub struct RetryPolicy {
    /// Extra tries at the same upstream per request.
    pub same_upstream: u32,
    /// The waits before them.
    pub waits: Waits,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            same_upstream: 1,
            waits: Waits::default(),
        }
    }
}

/// What one upstream may carry of other attempts' failures: a share of its first attempts plus a floor.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RetryBudgetPolicy {
    /// Extra attempts allowed per first attempt, 0..=10.
    pub ratio: f64,
    /// Extra attempts per second that are always allowed.
    pub min_per_second: f64,
}

impl Default for RetryBudgetPolicy {
    fn default() -> Self {
        Self {
            ratio: 0.2,
            min_per_second: 10.0,
        }
    }
}

/// What bounds one request over all its attempts and waits.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct DispatchPolicy {
    /// From arrival to the end of the answer.
    pub deadline: Duration,
    /// Attempts over all upstreams; refusals of a key do not count here.
    pub max_attempts: u32,
    /// Refusals of keys (429, 401, 402) over all upstreams.
    pub max_key_refusals: u32,
    /// How long a request may wait for the first key to be ready; zero means never.
    pub await_cooldown: Duration,
    /// How long to wait for a preferred upstream before the next one is tried, where no profile sets it (see
    /// [`TargetPolicy`](super::profile::TargetPolicy)).
    pub patience: Duration,
    /// Requests that may wait at once.
    pub max_waiting: usize,
    /// One bucket per upstream.
    pub retry_budget: RetryBudgetPolicy,
    /// A second attempt beside a slow first one; `None` means never, where no profile says otherwise.
    pub hedge: Option<HedgePolicy>,
    /// The share of a request's time after which a second attempt is made elsewhere beside one that has given nothing
    /// yet, 0..=1; zero switches it off.
    pub deadline_hedge: f64,
}

impl DispatchPolicy {
    /// When a request must have ended that arrived at `arrived`, and whose caller waits no longer than `asked`.
    pub fn deadline_of(&self, arrived: Time, asked: Option<Duration>) -> Time {
        arrived + asked.map_or(self.deadline, |asked| asked.min(self.deadline))
    }
}

impl Default for DispatchPolicy {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(600),
            max_attempts: 8,
            max_key_refusals: 32,
            await_cooldown: Duration::from_secs(30),
            patience: Duration::ZERO,
            max_waiting: 1000,
            retry_budget: RetryBudgetPolicy::default(),
            hedge: None,
            deadline_hedge: 0.5,
        }
    }
}
