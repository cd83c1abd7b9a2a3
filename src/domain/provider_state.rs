//! One provider: its upstreams' breakers, missing models and retry budgets, and a cooldown of all its keys.
//!
//! The provider's actor owns one of these. Keys answer for themselves (`key_state`); this decides whether
//! an upstream is asked at all. No I/O, no clock, no logging.

use std::collections::HashMap;
use std::time::Duration;

use super::breaker::{Breaker, BreakerChange, BreakerGate, BreakerPolicy, BreakerSignal};
use super::cooldown::Cooldown;
use super::ids::ModelName;
use super::limits::RetryBudgetPolicy;
use super::outcome::Class;
use super::persisted::{self, PersistedCooldown, PersistedProvider};
use super::ramp::Ramp;
use super::refusal::{Reason, Refusal};
use super::retry_budget::{BudgetCharge, RetryBudget};
use super::time::Time;

mod facts;
mod manual;

pub use facts::{GateFacts, Pass, UpstreamSnapshot};

/// How long a model that its provider does not know is left alone.
pub const MODEL_GONE: Duration = Duration::from_secs(10 * 60);
/// The most models that are kept; callers choose model names. Idle entries beyond it are forgotten.
pub const MODELS_KEPT: usize = 512;

/// A change of an upstream's state, for logs and for waiting requests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UpstreamChange {
    /// Its breaker changed.
    Circuit(BreakerChange),
    /// Its model is gone until then.
    ModelGone {
        /// When it is asked again.
        until: Time,
    },
}

#[derive(Clone, Debug)]
struct UpstreamState {
    breaker: Breaker,
    gone_until: Time,
    budget: RetryBudget,
    budget_used: Time,
    /// Since its breaker closed, until it takes everything again.
    ramp: Option<Ramp>,
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
            models: HashMap::new(),
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

    /// Whether an attempt for `model` may start. `first`: it is its request's first attempt.
    ///
    /// # Errors
    /// Why not, and when it could.
    pub fn gate(&self, model: &ModelName, first: bool, now: Time) -> Result<Pass, Refusal> {
        let upstream = self.models.get(model);
        let facts = GateFacts {
            held: self.held,
            cooling: self.whole.cooling(now),
            gone_until: upstream.map(|upstream| upstream.gone_until),
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

    /// An attempt ended. `counts` is false when its request already counted against an upstream, or the failure
    /// may be its own doing.
    pub fn settled(
        &mut self,
        model: &ModelName,
        class: Class,
        counts: bool,
        probe: bool,
        now: Time,
    ) -> Option<UpstreamChange> {
        if class == Class::ModelGone && counts {
            let upstream = self.upstream(model, now);
            upstream.gone_until = upstream.gone_until.max(now + MODEL_GONE);
            if probe {
                upstream.breaker.probe_lost();
            }
            return Some(UpstreamChange::ModelGone {
                until: upstream.gone_until,
            });
        }
        let signal = match class {
            Class::Success => BreakerSignal::Success,
            class if class.trips_breaker() && (counts || probe) => BreakerSignal::Failure,
            _ => BreakerSignal::Neutral,
        };
        let upstream = self.upstream(model, now);
        let change = upstream.breaker.record(signal, probe, now);
        match change {
            Some(BreakerChange::Closed) => upstream.ramp = Some(Ramp::new(now)),
            Some(BreakerChange::Opened { .. }) => upstream.ramp = None,
            Some(BreakerChange::ProbeFree) | None => {}
        }
        change.map(UpstreamChange::Circuit)
    }

    /// How many models it knows something of, [`MODELS_KEPT`] at most.
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
        let gone = self.models.iter();
        let gone = gone.filter(|(_, upstream)| upstream.gone_until > now);
        let gone = gone.map(|(model, upstream)| (model.clone(), upstream.gone_until));
        let mut gone: Vec<_> = gone.collect();
        gone.sort();
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
        for (model, until) in memory.gone.iter().filter(|(_, until)| *until > now) {
            self.upstream(model, now).gone_until = (*until).min(now + MODEL_GONE);
        }
    }

    fn upstream(&mut self, model: &ModelName, now: Time) -> &mut UpstreamState {
        if self.models.len() >= MODELS_KEPT && !self.models.contains_key(model) {
            self.models.retain(|_, upstream| {
                !upstream.breaker.is_pristine(now)
                    || now < upstream.gone_until
                    || now.since(upstream.budget_used) < Duration::from_secs(20)
            });
        }
        if self.models.len() >= MODELS_KEPT && !self.models.contains_key(model) {
            // Names that callers made up give way first, and what a breaker knows last.
            let least = self.models.iter().min_by_key(|(_, upstream)| {
                let made_up = now < upstream.gone_until;
                let known = !upstream.breaker.is_pristine(now);
                (known, !made_up, upstream.gone_until, upstream.budget_used)
            });
            if let Some(least) = least.map(|(model, _)| model.clone()) {
                self.models.remove(&least);
            }
        }
        self.models
            .entry(model.clone())
            .or_insert_with(|| UpstreamState {
                breaker: Breaker::new(self.breaker),
                gone_until: Time::ZERO,
                budget: RetryBudget::new(self.retry_budget),
                budget_used: now,
                ramp: None,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn provider() -> ProviderState {
        ProviderState::new(BreakerPolicy::default(), RetryBudgetPolicy::default())
    }

    fn model() -> ModelName {
        ModelName::from("m")
    }

    fn fail(provider: &mut ProviderState, class: Class, times: usize) {
        for _ in 0..times {
            provider.settled(&model(), class, true, false, Time::ZERO);
        }
    }

    #[test]
    fn made_up_models_do_not_push_out_what_a_breaker_knows() {
        let mut provider = provider();
        for _ in 0..3 {
            provider.settled(&model(), Class::Network, true, false, Time::ZERO);
        }
        assert!(provider.gate(&model(), true, Time::ZERO).is_err());
        for n in 0..2 * MODELS_KEPT {
            let made_up = ModelName::from(format!("made-up-{n}"));
            provider.settled(&made_up, Class::ModelGone, true, false, Time::ZERO);
        }
        assert!(provider.gate(&model(), true, Time::ZERO).is_err());
    }

    #[test]
    fn three_failures_open_the_breaker_of_that_model_only() {
        let mut provider = provider();
        fail(&mut provider, Class::Overloaded, 3);
        assert_eq!(
            provider.gate(&model(), true, Time::ZERO),
            Err(Refusal::until(Reason::BreakerOpen, Time::ZERO + 15 * S))
        );
        assert!(
            provider
                .gate(&ModelName::from("other"), true, Time::ZERO)
                .is_ok()
        );
    }

    #[test]
    fn only_the_upstreams_own_failures_open_it() {
        for class in Class::ALL {
            let mut provider = provider();
            fail(&mut provider, class, 20);
            let open = matches!(
                provider.gate(&model(), true, Time::ZERO),
                Err(Refusal {
                    reason: Reason::BreakerOpen,
                    ..
                })
            );
            assert_eq!(open, class.trips_breaker(), "{class:?}");
        }
    }

    #[test]
    fn failures_that_do_not_count_change_nothing() {
        let mut provider = provider();
        for _ in 0..20 {
            provider.settled(&model(), Class::Transient, false, false, Time::ZERO);
        }
        assert!(provider.gate(&model(), true, Time::ZERO).is_ok());
    }

    #[test]
    fn a_missing_model_that_does_not_count_is_not_gone_and_gives_a_probe_back() {
        let mut provider = provider();
        provider.settled(&model(), Class::ModelGone, false, false, Time::ZERO);
        assert!(provider.gate(&model(), true, Time::ZERO).is_ok());
        fail(&mut provider, Class::Network, 3);
        let later = Time::ZERO + 15 * S;
        let pass = provider.gate(&model(), true, later).unwrap();
        provider.started(&model(), pass, BudgetCharge::First, later);
        provider.settled(&model(), Class::ModelGone, false, true, later);
        assert_eq!(provider.gate(&model(), true, later), Ok(pass));
    }

    #[test]
    fn one_probe_at_a_time_and_its_place_comes_back_when_no_key_took_it() {
        let mut provider = provider();
        fail(&mut provider, Class::Network, 3);
        let later = Time::ZERO + 15 * S;
        let pass = provider.gate(&model(), true, later).unwrap();
        assert!(pass.probe);
        provider.started(&model(), pass, BudgetCharge::First, later);
        assert!(provider.gate(&model(), true, later).is_err());
        provider.withdrawn(&model(), pass, BudgetCharge::First, later, later);
        assert_eq!(provider.gate(&model(), true, later), Ok(pass));
    }

    #[test]
    fn a_model_that_is_gone_is_left_alone_for_ten_minutes() {
        let mut provider = provider();
        fail(&mut provider, Class::ModelGone, 1);
        assert!(provider.gate(&model(), true, Time::ZERO + 599 * S).is_err());
        assert!(provider.gate(&model(), true, Time::ZERO + 600 * S).is_ok());
    }

    #[test]
    fn names_that_callers_make_up_take_a_bounded_place() {
        let mut provider = provider();
        for n in 0..2 * MODELS_KEPT {
            let made_up = ModelName::from(format!("m{n}"));
            provider.settled(&made_up, Class::ModelGone, true, false, Time::ZERO);
        }
        assert!(provider.unwell(Time::ZERO).len() <= MODELS_KEPT);
    }

    #[test]
    fn an_upstream_that_nothing_is_known_of_takes_no_extra_attempt_without_a_budget_either() {
        let none = RetryBudgetPolicy {
            ratio: 0.2,
            min_per_second: 0.0,
        };
        let provider = ProviderState::new(BreakerPolicy::default(), none);
        assert!(provider.gate(&model(), true, Time::ZERO).is_ok());
        assert!(provider.gate(&model(), false, Time::ZERO).is_err());
    }

    #[test]
    fn extra_attempts_stop_at_the_budget_while_first_attempts_go_on() {
        let mut provider = provider();
        let pass = Pass { probe: false };
        provider.started(&model(), pass, BudgetCharge::First, Time::ZERO);
        let mut extra = 0;
        while provider.gate(&model(), false, Time::ZERO).is_ok() {
            provider.started(&model(), pass, BudgetCharge::Extra, Time::ZERO);
            extra += 1;
        }
        assert_eq!(extra, 100, "ten per second over ten seconds");
        assert!(provider.gate(&model(), true, Time::ZERO).is_ok());
    }

    #[test]
    fn a_model_that_is_gone_and_a_cooldown_of_all_keys_outlive_the_process_and_no_lie_makes_them_longer()
     {
        let now = Time::ZERO + S;
        let mut before = provider();
        before.settled(&model(), Class::ModelGone, true, false, now);
        fail(&mut before, Class::Overloaded, 3);
        let mut next = provider();
        next.restore(&before.persisted(now), 900 * S, now + S);
        let gone = Refusal::until(Reason::ModelGone, now + MODEL_GONE);
        assert_eq!(next.gate(&model(), true, now + S), Err(gone));
        assert!(
            next.gate(&model(), true, now + MODEL_GONE).is_ok(),
            "no breaker"
        );
        before.cool(now + 60 * S);
        let mut next = provider();
        next.restore(&before.persisted(now), 900 * S, now);
        let cooling = Refusal::until(Reason::Cooling, now + 60 * S);
        assert_eq!(next.gate(&model(), true, now), Err(cooling));
        assert!(before.persisted(now + MODEL_GONE).is_empty());
        let lie = PersistedProvider {
            cooling: Some(Time::NEVER),
            gone: vec![(model(), Time::NEVER)],
            held: None,
        };
        let mut lied_to = provider();
        lied_to.restore(&lie, 900 * S, now);
        assert_eq!(lied_to.cooling(now), Some(now + 900 * S));
        assert_eq!(lied_to.persisted(now).gone, [(model(), now + MODEL_GONE)]);
    }
}
