//! Leave to make one attempt with one key at one upstream. It settles itself when dropped, so an
//! in-flight count cannot leak (law L2), whatever happens to the request's task.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::domain::allowance::Allowance;
use crate::domain::dialect::Operation;
use crate::domain::ids::{KeyId, LeaseId, Upstream};
use crate::domain::key_preference::KeyPreference;
use crate::domain::key_state::Settlement;
use crate::domain::latency::LatencySample;
use crate::domain::refusal::Refusal;
use crate::domain::secret::ApiKey;
use crate::domain::time::Time;

/// Held by the breaker's one probe for as long as it is under way; when it is gone, so is the probe.
pub(crate) type ProbeToken = Arc<()>;

/// A live lease as its key's actor keeps it. The outcome is written here before it is reported, so that the actor's
/// next incarnation finds a settlement whose message was lost in a crash.
#[derive(Debug)]
pub struct LeaseRecord {
    pub(crate) id: LeaseId,
    pub(crate) upstream: Upstream,
    /// What it is asked for.
    pub(crate) operation: Operation,
    /// The key's place at its provider, from 0.
    pub(crate) place: usize,
    pub(crate) probe: Option<ProbeToken>,
    outcome: OnceLock<Settlement>,
    /// When the answer's head was there, in nanoseconds; 0 before that.
    head: AtomicU64,
    latency: OnceLock<LatencySample>,
    /// The tokens of its answer plus one; 0 until they are known, and once they are counted.
    answered: AtomicU64,
    /// The provider's actor has counted the sample.
    is_counted: AtomicBool,
}

impl LeaseRecord {
    pub(crate) fn new(
        upstream: Upstream,
        operation: Operation,
        place: usize,
        probe: Option<ProbeToken>,
    ) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            id: LeaseId(NEXT.fetch_add(1, Ordering::Relaxed)),
            upstream,
            operation,
            place,
            probe,
            outcome: OnceLock::new(),
            head: AtomicU64::new(0),
            latency: OnceLock::new(),
            answered: AtomicU64::new(0),
            is_counted: AtomicBool::new(false),
        }
    }

    /// When the answer's head was there.
    pub fn heard_at(&self) -> Option<Time> {
        let nanos = self.head.load(Ordering::Relaxed);
        (nanos > 0).then(|| Time::from_nanos(nanos))
    }

    /// What it tells of how long its upstream takes, for the one who counts it: the first call alone gets it.
    pub(crate) fn take_latency(&self) -> Option<LatencySample> {
        let sample = self.latency.get()?;
        (!self.is_counted.swap(true, Ordering::Relaxed)).then_some(*sample)
    }

    /// The tokens of its answer, for the one who counts them: the first call alone gets them.
    pub(crate) fn take_answered(&self) -> Option<u64> {
        self.answered.swap(0, Ordering::Relaxed).checked_sub(1)
    }

    /// How the lease ended, once it has.
    pub(crate) fn outcome(&self) -> Option<&Settlement> {
        self.outcome.get()
    }
}

/// Where a lease that ended reports.
pub(crate) trait SettlePort: Send + Sync {
    /// Reports that a lease has ended, to provider and key.
    fn settled(&self, end: EndReport);
    /// The provider has heard of an end that it was to pass on, or cannot: its key is told.
    fn reported(&self, record: Arc<LeaseRecord>);
    /// The answer has begun well. Whether the lease is a `trial`: then its key waits for that too.
    fn began(&self, record: Arc<LeaseRecord>, trial: bool);
    /// The answer's head is there: the limits that it describes, and how long a stream took to begin.
    fn heard(
        &self,
        record: Arc<LeaseRecord>,
        allowances: Vec<Allowance>,
        first_byte: Option<Duration>,
    );
}

/// The end of a lease on its way to its provider, and mostly from there to its key. Dropping it is what tells the key: after
/// the provider has handled it, and all the same where it cannot be sent or is lost with the provider's mailbox.
pub struct EndReport {
    record: Arc<LeaseRecord>,
    /// `None` when the key is told by others.
    port: Option<Arc<dyn SettlePort>>,
}

impl EndReport {
    /// The lease, with its outcome.
    pub(crate) fn record(&self) -> &Arc<LeaseRecord> {
        &self.record
    }

    /// The key is told by others.
    pub(crate) fn for_provider_only(mut self) -> Self {
        self.port = None;
        self
    }
}

impl Drop for EndReport {
    fn drop(&mut self) {
        if let Some(port) = &self.port {
            port.reported(Arc::clone(&self.record));
        }
    }
}

impl std::fmt::Debug for EndReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("EndReport").field(&self.record).finish()
    }
}

/// Ends a lease from beside the attempt that holds it.
pub struct Settler {
    record: Arc<LeaseRecord>,
    port: Arc<dyn SettlePort>,
}

/// Leave to make one attempt.
pub struct Lease {
    /// The candidate's place in the request's chain.
    pub index: usize,
    /// The key to use.
    pub key: KeyId,
    /// Its material; `None` for a provider that needs none.
    pub material: Arc<Option<ApiKey>>,
    /// The token that was fetched with it, which nobody may see either.
    pub token: OnceLock<ApiKey>,
    /// Whether the request waited for it.
    pub waited: bool,
    /// When the request asked for it, or got it if that is not known.
    pub asked: Time,
    /// The candidates before this one that could not take it, by place, and why.
    pub passed_over: Vec<(usize, Refusal)>,
    /// The key that the request's conversation belongs to, where keys are chosen by that.
    pub preference: Option<KeyPreference>,
    /// Whether others wait for its outcome: it is a breaker's probe, or tries a key that was found invalid.
    pub(crate) trial: bool,
    pub(crate) record: Arc<LeaseRecord>,
    pub(crate) port: Arc<dyn SettlePort>,
}

impl Lease {
    /// What its key's actor keeps of it.
    pub fn record(&self) -> &Arc<LeaseRecord> {
        &self.record
    }

    /// Where the attempt goes.
    pub fn upstream(&self) -> &Upstream {
        &self.record.upstream
    }

    /// Records how long the upstream took. The provider receives it when a stream has [begun](Self::began), else with the
    /// lease's end. Only the first sample counts.
    pub fn measured(&self, sample: LatencySample) {
        // A second one changes nothing.
        let _ = self.record.latency.set(sample);
    }

    /// Records how many tokens a whole answer has, before the lease ends: its provider learns how long answers are.
    pub fn answered(&self, tokens: Option<u64>) {
        if let Some(tokens) = tokens {
            let place = &self.record.answered;
            place.store(tokens.saturating_add(1), Ordering::Relaxed);
        }
    }

    /// A stream has begun well. Requests that wait for a probe need not wait for its end, nor readers of latencies.
    pub fn began(&self) {
        if self.trial || self.record.latency.get().is_some() {
            self.port.began(Arc::clone(&self.record), self.trial);
        }
    }

    /// The answer's head is there, good or bad: its key learns the limits that the head describes at once, not at the
    /// answer's end. `first_byte` is how long a streamed answer took to begin.
    pub fn heard(&self, allowances: Vec<Allowance>, first_byte: Option<Duration>, now: Time) {
        self.record
            .head
            .store(now.as_nanos().max(1), Ordering::Relaxed);
        if !allowances.is_empty() || first_byte.is_some() {
            self.port
                .heard(Arc::clone(&self.record), allowances, first_byte);
        }
    }

    /// Ends it with an outcome. Only the first counts.
    pub fn settle(&self, settlement: Settlement) {
        settle(&self.record, &self.port, settlement);
    }

    /// What can end it while an attempt holds it.
    pub fn settler(&self) -> Settler {
        Settler {
            record: Arc::clone(&self.record),
            port: Arc::clone(&self.port),
        }
    }
}

impl Settler {
    /// Whether the answer's head is there.
    pub fn is_heard(&self) -> bool {
        self.record.heard_at().is_some()
    }

    /// As [`Lease::measured`].
    pub fn measured(&self, sample: LatencySample) {
        // A second one changes nothing.
        let _ = self.record.latency.set(sample);
    }

    /// Whether the lease is the one probe of a breaker that is half-open.
    pub fn is_probe(&self) -> bool {
        self.record.probe.is_some()
    }

    /// Ends the lease with an outcome. Only the first counts.
    pub fn settle(&self, settlement: Settlement) {
        settle(&self.record, &self.port, settlement);
    }
}

fn settle(record: &Arc<LeaseRecord>, port: &Arc<dyn SettlePort>, settlement: Settlement) {
    let is_first = record.outcome.set(settlement).is_ok();
    if is_first {
        port.settled(EndReport {
            record: Arc::clone(record),
            port: Some(Arc::clone(port)),
        });
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.settle(Settlement::CANCELLED);
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lease({} at {})", self.key, self.record.upstream)
    }
}
