//! What actors publish of themselves: the one thing that tests, health, metrics and pages look at.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwap;

pub use super::fleet_status::FleetStatus;
use super::latency_status::LatencyStatus;
pub use super::life_status::LifeStatus;
use super::mailbox::Mailbox;
use super::output_status::OutputStatus;
pub use super::router_status::RouterStatus;
use super::used_shares::UsedShares;
use crate::domain::breaker::BreakerGate;
pub use crate::domain::condition::Life;
use crate::domain::condition::{BreakerCondition, KeyCondition};
use crate::domain::cooldown::CooldownPolicy;
use crate::domain::dialect::Operation;
use crate::domain::ids::{KeyId, ModelName, ProviderName};
use crate::domain::key_state::KeyFacts;
use crate::domain::limits::KeyLimits;
use crate::domain::pace::LimitStatus;
use crate::domain::persisted::{Fingerprint, PersistedKey, PersistedLimit, PersistedProvider};
use crate::domain::provider_state::{GateFacts, Pass, UpstreamSnapshot};
use crate::domain::ramp::Recovery;
use crate::domain::refusal::{Reason, Refusal};
use crate::domain::time::Time;

/// The half of [`KeyStatus::in_flight`] that counts leases.
const LOW: u64 = u32::MAX as u64;

fn low(both: u64) -> u32 {
    u32::try_from(both & LOW).unwrap_or(u32::MAX)
}

/// What a key's actor last published.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KeySnapshot {
    /// Cooling for single models.
    pub cooling: Vec<(ModelName, Time)>,
    /// What the next process should know of that.
    pub persisted: PersistedKey,
    /// Of the reasons for an outage each by itself: an operator keeps it out until then.
    pub held: Option<Time>,
    /// It was found invalid, and one request may probe it from then on.
    pub invalid: Option<Time>,
    /// Since when a probe is under way, for readers only: routes are decided by the key's actor.
    pub probing: Option<Time>,
    /// It cools for all models, or its quota is used up.
    pub cooling_all: Option<Refusal>,
}

impl KeySnapshot {
    /// Out for all models at `now`: why, and until when.
    pub fn outage(&self, now: Time) -> Option<Refusal> {
        self.facts(None).outage(now)
    }

    /// The refusal that the key would give for `model` at `now`, as far as the status shows.
    pub fn refusal(&self, model: &ModelName, now: Time) -> Option<Refusal> {
        let mut cooling = self.cooling.iter();
        let cooling = cooling.find(|(cooling, _)| cooling == model);
        self.facts(cooling.map(|(_, until)| *until)).refusal(now)
    }

    fn facts(&self, cooling_model: Option<Time>) -> KeyFacts {
        KeyFacts {
            held: self.held,
            invalid: self.invalid,
            probing: self.probing.is_some(),
            cooling_all: self.cooling_all,
            cooling_model,
        }
    }
}

/// What the configuration says of one key. The supervisor replaces it, the actor takes it over.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct KeySettings {
    /// What it may do.
    pub limits: KeyLimits,
    /// How it cools when rate limited.
    pub cooldown: CooldownPolicy,
}

/// The published state of one key, beside its actor. Written by that actor; `life` and `settings` by the
/// supervisor; `in_flight` also by leases that end while no incarnation runs.
#[derive(Debug)]
pub struct KeyStatus {
    /// The key's id.
    pub id: KeyId,
    /// By what it is known again after a restart; `None` when nothing is kept.
    pub fingerprint: Option<Fingerprint>,
    settings: ArcSwap<KeySettings>,
    /// Whether its actor runs.
    pub life: LifeStatus,
    /// What waits for its actor.
    pub mailbox: Arc<Mailbox>,
    view: ArcSwap<KeySnapshot>,
    /// The number of incarnations in its upper half, the live leases in its lower one.
    in_flight: AtomicU64,
    attempts: AtomicU64,
    /// The learned limit of requests at the same time; `u32::MAX` for none.
    concurrency: AtomicU32,
    pub(super) used: UsedShares,
    learned: ArcSwap<Vec<LimitStatus>>,
    limits: ArcSwap<Vec<PersistedLimit>>,
    paced: ArcSwap<Vec<Paced>>,
    limited: ArcSwap<Vec<Limited>>,
}

/// A configured limit that leaves no room for a request of `tokens` tokens, nor for a larger one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Limited {
    tokens: u64,
    until: Time,
}

/// A model whose learned limits leave no room for a request of `tokens` tokens, nor for a larger one.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Paced {
    model: ModelName,
    tokens: u64,
    until: Time,
}

impl KeyStatus {
    pub(crate) fn new(id: KeyId, mark: Option<Fingerprint>, settings: KeySettings) -> Self {
        Self {
            id,
            fingerprint: mark,
            settings: ArcSwap::from_pointee(settings),
            life: LifeStatus::default(),
            mailbox: Arc::default(),
            view: ArcSwap::default(),
            in_flight: AtomicU64::new(0),
            attempts: AtomicU64::new(0),
            concurrency: AtomicU32::new(u32::MAX),
            used: UsedShares::default(),
            learned: ArcSwap::default(),
            limits: ArcSwap::default(),
            paced: ArcSwap::default(),
            limited: ArcSwap::default(),
        }
    }

    /// What the actor last published.
    pub fn view(&self) -> Arc<KeySnapshot> {
        self.view.load_full()
    }

    /// The state for all models.
    pub fn condition(&self, now: Time) -> KeyCondition {
        if self.life.get() != Life::Up {
            return KeyCondition::Down;
        }
        let view = self.view.load();
        if view.held.is_some_and(|until| now < until) {
            return KeyCondition::Held;
        }
        if let Some(probe) = view.invalid {
            return if now < probe {
                KeyCondition::Invalid
            } else {
                KeyCondition::Probing
            };
        }
        let cooling = view.cooling_all;
        let lasts = |refusal: &Refusal| refusal.ready_at.is_none_or(|ready| now < ready);
        KeyCondition::of(cooling.filter(lasts))
    }

    /// What the configuration says of it.
    pub fn settings(&self) -> Arc<KeySettings> {
        self.settings.load_full()
    }

    pub(crate) fn configure(&self, settings: KeySettings) {
        if **self.settings.load() != settings {
            self.settings.store(Arc::new(settings));
        }
        self.forget_unlearned();
    }

    /// An operator's release: no learned limit delays a request any more.
    pub(crate) fn forget_learned(&self) {
        self.paced.store(Arc::default());
        self.learned.store(Arc::default());
        self.publish_concurrency(None);
    }

    /// Removes the published delays of limits that are no longer learned.
    pub(crate) fn forget_unlearned(&self) {
        let pacing = self.settings.load().limits.pacing;
        if !pacing.learn {
            self.paced.store(Arc::default());
            self.learned.store(Arc::default());
            self.limits.store(Arc::default());
        }
        if !pacing.adaptive_concurrency {
            self.publish_concurrency(None);
        }
    }

    /// Live leases: a copy of the actor's own count. A lease that ended is in it until the actor has handled the end. While
    /// no incarnation runs, each lease that ends is subtracted at once.
    pub fn in_flight(&self) -> u32 {
        low(self.in_flight.load(Ordering::Acquire))
    }

    /// Attempts started since the process began.
    pub fn attempts(&self) -> u64 {
        self.attempts.load(Ordering::Relaxed)
    }

    /// Why the key would refuse a request of `tokens` for `model` at `now`, as far as published.
    pub(crate) fn refusal(&self, model: &ModelName, tokens: u64, now: Time) -> Option<Refusal> {
        let limited = || {
            let limited = self.limited.load();
            let holds = |one: &&Limited| now < one.until && tokens >= one.tokens;
            let one = limited.iter().find(holds)?;
            Some(Refusal::until(Reason::Limited, one.until))
        };
        let refusal = self.view.load().refusal(model, now).or_else(limited);
        refusal.or_else(|| {
            let paced = self.paced.load();
            let holds =
                |one: &&Paced| now < one.until && tokens >= one.tokens && one.model == *model;
            let one = paced.iter().find(holds)?;
            Some(Refusal::until(Reason::Paced, one.until))
        })
    }

    /// The configured limits that leave no room, from how many tokens on and until when.
    pub(crate) fn publish_limited(&self, limited: impl Iterator<Item = (u64, Time)>) {
        let limited: Vec<_> = limited
            .map(|(tokens, until)| Limited { tokens, until })
            .collect();
        if **self.limited.load() != limited {
            self.limited.store(Arc::new(limited));
        }
    }

    /// How many tokens a request had that a configured limit leaves no room for, if that is published.
    pub(crate) fn limited_tokens(&self) -> Option<u64> {
        self.limited.load().iter().map(|one| one.tokens).max()
    }

    /// A request of `tokens` for `model` has to wait: until then others of this size are not offered.
    pub(crate) fn publish_paced(&self, model: &ModelName, tokens: u64, until: Time, now: Time) {
        let mut all = self.paced.load().as_ref().clone();
        all.retain(|one| one.model != *model && now < one.until);
        all.push(Paced {
            model: model.clone(),
            tokens,
            until,
        });
        self.paced.store(Arc::new(all));
    }

    /// The model's limits have changed: requests are offered again. Returns the tokens of the request that had to wait,
    /// if any.
    pub(crate) fn forget_paced(&self, model: &ModelName) -> Option<u64> {
        let all = self.paced.load();
        let tokens = all.iter().find(|one| one.model == *model)?.tokens;
        let others = all.iter().filter(|one| one.model != *model);
        self.paced.store(Arc::new(others.cloned().collect()));
        Some(tokens)
    }

    /// The learned limit of requests at the same time, while there is one.
    pub fn learned_concurrency(&self) -> Option<u32> {
        Some(self.concurrency.load(Ordering::Relaxed)).filter(|limit| *limit != u32::MAX)
    }

    /// The limits of requests and tokens that were learned, as of the last second in which there was news.
    pub fn learned_limits(&self) -> Arc<Vec<LimitStatus>> {
        self.learned.load_full()
    }

    /// What the next process should know of these limits, as of the same moment.
    pub fn limits_memory(&self) -> Arc<Vec<PersistedLimit>> {
        self.limits.load_full()
    }

    /// Whether it is published that nothing is left of a learned limit of `model`.
    pub(crate) fn is_used_up(&self, model: &ModelName, now: Time) -> bool {
        let limits = self.limits.load();
        let mut limits = limits.iter().filter(|limit| limit.model == *model);
        limits.any(|limit| limit.left < 1.0 && !limit.is_over(now))
    }

    /// Whether it need not be asked, because all its places are taken by what is published. While messages wait for the
    /// actor, or it handles one or starts, that may be out of date: a lease may have ended. Then only the actor knows, and
    /// it handles a later offer after the end of that lease.
    pub(crate) fn looks_full(&self) -> bool {
        // The mailbox first: when it is empty, everything that was sent before is published.
        let is_idle = self.mailbox.depth() <= 0;
        let limits = self.settings.load().limits;
        is_idle && limits.is_full(self.in_flight(), self.learned_concurrency())
    }

    pub(crate) fn publish_concurrency(&self, limit: Option<u32>) {
        self.concurrency
            .store(limit.unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    pub(crate) fn publish_limits(&self, known: Vec<LimitStatus>, memory: Vec<PersistedLimit>) {
        self.learned.store(Arc::new(known));
        self.limits.store(Arc::new(memory));
    }

    pub(crate) fn publish(&self, view: KeySnapshot) {
        self.view.store(Arc::new(view));
    }

    /// The actor's part: publishes its count of live leases.
    pub(crate) fn publish_in_flight(&self, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX).min(LOW);
        let set = |known: u64| Some((known & !LOW) | count);
        // It always has a next value.
        let _ = self
            .in_flight
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, set);
    }

    /// Another incarnation runs, and counts the live leases anew. From now on, an end that could not be sent to the last
    /// incarnation is not subtracted any more.
    pub(crate) fn begin_incarnation(&self) {
        self.in_flight.fetch_add(LOW + 1, Ordering::AcqRel);
    }

    /// The present incarnation's number, for [`ended_unheard`](Self::ended_unheard).
    pub(crate) fn incarnation(&self) -> u64 {
        self.in_flight.load(Ordering::Acquire) & !LOW
    }

    /// A lease ended, and its end could not be sent to the incarnation of that number, since it had ended as well. An end
    /// that falls between the loss of that incarnation's mailbox and its [`OnEnd`](super::handoff::OnEnd) is left out there
    /// and subtracted here too, so the count is one too low until the next incarnation counts anew.
    pub(crate) fn ended_unheard(&self, incarnation: u64) {
        let subtract = |known: u64| {
            let is_same = known & !LOW == incarnation;
            (is_same && known & LOW > 0).then(|| known - 1)
        };
        // Another incarnation has counted anew, without this lease.
        let _ = self
            .in_flight
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, subtract);
    }

    pub(crate) fn publish_attempt(&self) {
        self.attempts.fetch_add(1, Ordering::Relaxed);
    }
}

/// What a provider's actor last published: only what is out of order.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ProviderSnapshot {
    /// The address that this status is about.
    pub home: String,
    /// All keys cool until then.
    pub cooling: Option<Time>,
    /// What the next process should know of that.
    pub persisted: PersistedProvider,
    /// The fingerprint of the provider at its present address, by which the state file finds it; `None` when nothing is
    /// kept and while there is nothing to keep.
    pub fingerprint: Option<Fingerprint>,
    /// An operator keeps it out until then.
    pub held: Option<Time>,
    /// Its upstreams that are not simply well.
    pub upstreams: Vec<UpstreamSnapshot>,
}

impl ProviderSnapshot {
    /// Whether a first attempt for `model` would be let through at `now`; without an operation, one for any of those that
    /// are known of. A probe that was lost with a crash is noticed by the next request only.
    ///
    /// # Errors
    /// Why not, and when it could.
    pub fn gate(
        &self,
        model: &ModelName,
        operation: Option<Operation>,
        now: Time,
    ) -> Result<Pass, Refusal> {
        let upstream = self.upstream(model);
        let facts = GateFacts {
            held: self.held,
            cooling: self.cooling,
            gone_until: upstream.and_then(|upstream| upstream.absences.gone_for(operation, now)),
            breaker: upstream.map_or(BreakerGate::Closed, |upstream| upstream.breaker),
        };
        facts.pass(now)
    }

    /// The share of requests that `model` takes while it recovers from an open breaker.
    pub fn recovery(&self, model: &ModelName, now: Time) -> Option<Recovery> {
        self.upstream(model)?.recovery(now)
    }

    /// What is out of order with that model.
    pub fn upstream(&self, model: &ModelName) -> Option<&UpstreamSnapshot> {
        self.upstreams.iter().find(|it| it.model == *model)
    }

    /// The state of a model's breaker, until when it is open, and since when its probe is under way.
    pub fn breaker(
        &self,
        model: &ModelName,
        now: Time,
    ) -> (BreakerCondition, Option<Time>, Option<Time>) {
        match self.upstream(model).map(|it| it.breaker) {
            None | Some(BreakerGate::Closed) => (BreakerCondition::Closed, None, None),
            Some(BreakerGate::Open { until }) if now < until => {
                (BreakerCondition::Open, Some(until), None)
            }
            // The next request is the probe.
            Some(BreakerGate::Open { .. } | BreakerGate::Probe) => {
                (BreakerCondition::HalfOpen, None, None)
            }
            Some(BreakerGate::Probing { since }) => (BreakerCondition::HalfOpen, None, Some(since)),
        }
    }
}

/// The published state of one provider.
#[derive(Debug, Default)]
pub struct ProviderStatus {
    /// Whether its actor runs.
    pub life: LifeStatus,
    /// What waits for its actor.
    pub mailbox: Arc<Mailbox>,
    /// How its upstreams answered of late.
    pub latency: LatencyStatus,
    /// How long its upstreams' answers are.
    pub output: OutputStatus,
    view: ArcSwap<ProviderSnapshot>,
    /// The position of the key rotation.
    turn: AtomicUsize,
}

impl ProviderStatus {
    /// What the actor last published.
    pub fn view(&self) -> Arc<ProviderSnapshot> {
        self.view.load_full()
    }

    pub(crate) fn publish(&self, view: ProviderSnapshot) {
        self.view.store(Arc::new(view));
    }

    /// The position of the key rotation.
    pub(crate) fn turn(&self) -> usize {
        self.turn.load(Ordering::Relaxed)
    }

    pub(crate) fn publish_turn(&self, turn: usize) {
        self.turn.store(turn, Ordering::Relaxed);
    }
}

/// One provider's published state.
#[derive(Clone, Debug)]
pub struct ProviderStatuses {
    /// The provider's own status.
    pub provider: Arc<ProviderStatus>,
    /// Its keys', in order.
    pub keys: Vec<Arc<KeyStatus>>,
}

/// Everything the tree publishes of itself.
#[derive(Clone, Debug, Default)]
pub struct TreeStatus {
    /// The supervisor's life, as the tree's guardian publishes it.
    pub supervisor: Arc<LifeStatus>,
    /// The router's status.
    pub router: Arc<RouterStatus>,
    /// The fleet's, in a process that belongs to one.
    pub fleet: Option<Arc<FleetStatus>>,
    /// The status of each provider.
    pub providers: BTreeMap<ProviderName, ProviderStatuses>,
}
