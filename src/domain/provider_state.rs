//! One provider: its upstreams' breakers, missing models and retry budgets, and a cooldown of all its keys.
//!
//! The provider's actor owns one of these. Keys answer for themselves (`key_state`); this decides whether
//! an upstream is asked at all. No I/O, no clock, no logging.

use crate::domain::hash_map::HashMap;
use std::time::Duration;

use super::breaker::{Breaker, BreakerChange, BreakerGate, BreakerPolicy, BreakerSignal};
use super::cooldown::Cooldown;
use super::dialect::Operation;
use super::ids::ModelName;
use super::limits::RetryBudgetPolicy;
use super::outcome::Class;
use super::persisted::{self, PersistedCooldown, PersistedProvider};
use super::ramp::Ramp;
use super::refusal::{Reason, Refusal};
use super::retry_budget::{BudgetCharge, RetryBudget};
use super::time::Time;

mod absence;
mod facts;
mod fleet;
mod manual;

pub use absence::{Absence, Absences, MODEL_GONE};
pub use facts::{GateFacts, Pass, UpstreamSnapshot};

/// The most models that are kept; callers choose model names. Idle entries beyond it are forgotten.
pub const MODELS_KEPT: usize = 512;

/// A change of an upstream's state, for logs and for waiting requests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UpstreamChange {
    /// Its breaker changed.
    Circuit(BreakerChange),
    /// It is left alone for one operation.
    Absent(Absence),
    /// An operation was served that it was not known to have.
    Served,
}

#[derive(Clone, Debug)]
struct UpstreamState {
    breaker: Breaker,
    absences: Absences,
    budget: RetryBudget,
    budget_used: Time,
    /// Since its breaker closed, until it takes everything again.
    ramp: Option<Ramp>,
    /// The last success.
    served_at: Time,
}

/// The state of one provider.
#[derive(Clone, Debug)]
pub struct ProviderState {
    breaker: BreakerPolicy,
    retry_budget: RetryBudgetPolicy,
    models: HashMap<ModelName, UpstreamState>,
    whole: Cooldown,
    /// By an operator, until then.
    held: Option<Time>,
}

impl ProviderState {
    /// A provider that nothing is known about.
    pub fn new(breaker: BreakerPolicy, retry_budget: RetryBudgetPolicy) -> Self {
        Self {
            breaker,
            retry_budget,
            models: HashMap::default(),
            whole: Cooldown::default(),
            held: None,
        }
    }

    /// The configuration says otherwise now; what is known stays, but for a window of another length.
    pub fn configure(&mut self, breaker: BreakerPolicy, retry_budget: RetryBudgetPolicy) {
        self.breaker = breaker;
        self.retry_budget = retry_budget;
        for upstream in self.models.values_mut() {
            upstream.breaker.configure(breaker);
            upstream.budget.configure(retry_budget);
        }
    }

    /// Whether an attempt for `operation` of `model` may start. `first`: it is its request's first attempt.
    ///
    /// # Errors
    /// Why not, and when it could.
    pub fn gate(
        &self,
        model: &ModelName,
        operation: Operation,
        first: bool,
        now: Time,
    ) -> Result<Pass, Refusal> {
        let upstream = self.models.get(model);
        let facts = GateFacts {
            held: self.held,
            cooling: self.whole.cooling(now),
            gone_until: upstream.and_then(|upstream| upstream.absences.gone(operation, now)),
            breaker: upstream.map_or(BreakerGate::Closed, |upstream| upstream.breaker.gate(now)),
        };
        let pass = facts.pass(now)?;
        if !first {
            let budget = upstream.map(|upstream| upstream.budget.may_retry(now));
            let budget =
                budget.unwrap_or_else(|| RetryBudget::new(self.retry_budget).may_retry(now));
            budget.map_err(|free| Refusal::until(Reason::RetryBudget, free))?;
        }
        Ok(pass)
    }

    /// Until when the upstream counts as one without the operation: a request goes there only if no other upstream is
    /// left.
    pub fn not_offered(&self, model: &ModelName, operation: Operation, now: Time) -> Option<Time> {
        let upstream = self.models.get(model)?;
        upstream.absences.not_offered(operation, now)
    }

    /// Whether an upstream that has just recovered takes one request more, of all that are offered to it: a growing
    /// share, see [`Ramp`]; `None` when it is not recovering. Ask it for attempts that [`gate`](Self::gate) let pass and
    /// that can go elsewhere; a probe is not held back.
    pub fn ramp(&mut self, model: &ModelName, now: Time) -> Option<bool> {
        let upstream = self.models.get_mut(model)?;
        let admits = upstream.ramp.as_mut()?.admits(now);
        upstream.ramp = upstream.ramp.filter(|ramp| !ramp.is_over(now));
        Some(admits)
    }

    /// An attempt that [`gate`](Self::gate) let pass is on its way to a key.
    pub fn started(&mut self, model: &ModelName, pass: Pass, charge: BudgetCharge, now: Time) {
        let upstream = self.upstream(model, now);
        if pass.probe {
            upstream.breaker.begin_probe(now);
        }
        upstream.budget.started(charge, now);
        upstream.budget_used = now;
    }

    /// An attempt that [`started`](Self::started) counted at `then` did not start: no key took it.
    pub fn withdrawn(
        &mut self,
        model: &ModelName,
        pass: Pass,
        charge: BudgetCharge,
        then: Time,
        now: Time,
    ) {
        let upstream = self.upstream(model, now);
        if pass.probe {
            upstream.breaker.probe_lost();
        }
        upstream.budget.withdrawn(charge, then, now);
    }

    /// The half-open probe vanished without an outcome.
    pub fn probe_lost(&mut self, model: &ModelName) {
        if let Some(upstream) = self.models.get_mut(model) {
            upstream.breaker.probe_lost();
        }
    }

    /// An attempt ended. `counts` is false when its request already counted against an upstream, or the failure may be
    /// its own doing. A failure in an operation that never served here, while another one has, is no sign that the
    /// upstream is unwell: it does not count in the breaker.
    pub fn settled(
        &mut self,
        model: &ModelName,
        operation: Operation,
        class: Class,
        counts: bool,
        probe: bool,
        now: Time,
    ) -> Option<UpstreamChange> {
        let recovery_time = self.breaker.recovery_time;
        let upstream = self.upstream(model, now);
        let absences = &mut upstream.absences;
        let absent = absences.note(operation, class, counts, recovery_time, now);
        if let Some(absent) = absent {
            if probe {
                upstream.breaker.probe_lost();
            }
            return Some(UpstreamChange::Absent(absent));
        }
        let served = class == Class::Success && absences.served(operation);
        let signal = match class {
            Class::Success => BreakerSignal::Success,
            class if class.trips_breaker() && (counts || probe) => BreakerSignal::Failure,
            _ => BreakerSignal::Neutral,
        };
        if class == Class::Success {
            upstream.served_at = now;
        }
        let suspected = upstream.breaker.is_suspected();
        let change = upstream.breaker.record(signal, probe, now);
        match change {
            // Nothing had failed here.
            Some(BreakerChange::Closed) if suspected => {}
            Some(BreakerChange::Closed) => upstream.ramp = Some(Ramp::new(now)),
            Some(BreakerChange::Opened { .. }) => upstream.ramp = None,
            Some(BreakerChange::ProbeFree) | None => {}
        }
        change
            .map(UpstreamChange::Circuit)
            .or(served.then_some(UpstreamChange::Served))
    }

    /// How many models it knows something of, [`MODELS_KEPT`] at most.
    #[cfg(feature = "internals")]
    pub fn models(&self) -> usize {
        self.models.len()
    }

    /// All keys of the provider cool until `until` (`cooldown.scope: provider`).
    pub fn cool(&mut self, until: Time) -> Time {
        self.whole.extend(until)
    }

    /// The end of the cooldown of all keys, if it runs.
    pub fn cooling(&self, now: Time) -> Option<Time> {
        self.whole.cooling(now)
    }

    /// What of it outlives the process.
    pub fn persisted(&self, now: Time) -> PersistedProvider {
        let gone = self.models.iter().flat_map(|(model, upstream)| {
            let gone = upstream.absences.all(now);
            let gone = gone.filter(|absence| absence.reason == Reason::ModelGone);
            gone.map(|absence| (model.clone(), absence.operation, absence.until))
        });
        let mut gone: Vec<_> = gone.collect();
        gone.sort_by(|a, b| (&a.0, a.1.path()).cmp(&(&b.0, b.1.path())));
        PersistedProvider {
            cooling: self.whole.persisted(now).map(|cooldown| cooldown.until),
            gone,
            held: self.held(now),
        }
    }

    /// A new one takes over what is remembered. No cooldown is longer than `max`, no model gone for longer than
    /// [`MODEL_GONE`], and no operator's hold with an end longer than [`HELD_MAX`](super::persisted::HELD_MAX).
    pub fn restore(&mut self, memory: &PersistedProvider, max: Duration, now: Time) {
        self.held = persisted::held(memory.held, now);
        if let Some(until) = memory.cooling {
            let memory = PersistedCooldown { until, strikes: 0 };
            self.whole = Cooldown::restored(memory, now + max);
        }
        for (model, operation, until) in memory.gone.iter().filter(|(.., until)| *until > now) {
            let until = (*until).min(now + MODEL_GONE);
            let upstream = self.upstream(model, now);
            upstream.absences.gone_until(*operation, until);
        }
    }

    fn upstream(&mut self, model: &ModelName, now: Time) -> &mut UpstreamState {
        if self.models.len() >= MODELS_KEPT && !self.models.contains_key(model) {
            self.models.retain(|_, upstream| {
                !upstream.breaker.is_pristine(now)
                    || upstream.absences.until(now).is_some()
                    || now.since(upstream.budget_used) < Duration::from_secs(20)
            });
        }
        if self.models.len() >= MODELS_KEPT && !self.models.contains_key(model) {
            // Removes names that callers made up first, and models with a breaker that has counted something last.
            let least = self.models.iter().min_by_key(|(_, upstream)| {
                let absent = upstream.absences.until(now);
                let known = !upstream.breaker.is_pristine(now);
                (known, absent.is_none(), absent, upstream.budget_used)
            });
            if let Some(least) = least.map(|(model, _)| model.clone()) {
                self.models.remove(&least);
            }
        }
        self.models
            .entry(model.clone())
            .or_insert_with(|| UpstreamState {
                breaker: Breaker::new(self.breaker),
                absences: Absences::default(),
                budget: RetryBudget::new(self.retry_budget),
                budget_used: now,
                ramp: None,
                served_at: Time::ZERO,
            })
    }
}

#[cfg(test)]
mod tests;
