//! The pace of one key for each model: which of its limits, learned from answers or estimated from refusals,
//! an attempt has to wait for. No I/O, no clock, no logging.

use std::collections::HashMap;
use std::time::Duration;

use super::allowance::{Allowance, Unit};
use super::estimate::Estimate;
use super::ids::{LeaseId, ModelName};
use super::learned::{Learned, LimitObservation};
use super::persisted::PersistedLimit;
use super::time::Time;

/// The most models that are kept; callers choose model names. Those without recent reports are forgotten first.
pub const MODELS_KEPT: usize = 256;
/// A refusal while this many times the reserved tokens were left is not for lack of tokens.
const NEAR: f64 = 2.0;
/// What a refusal for lack of tokens adds to the reservation that is looked for, up to `NEAR`, and what is left of
/// that after each answer.
const EXCESS: f64 = 0.15;
const EXCESS_LEFT: f64 = 0.9997;

/// The limits of one answer that are read; upstreams send fewer.
const LIMITS_KEPT: usize = 8;

/// What a key has learned about its limits, by model. Empty, and free of cost, until there is something.
#[derive(Clone, Debug, Default)]
pub struct Paces {
    models: HashMap<ModelName, Pace>,
}

/// The limits of one model.
#[derive(Clone, Debug, Default)]
struct Pace {
    learned: Vec<Learned>,
    /// The factor by which requests that were refused took more tokens than reserved, less 1.
    excess: f64,
    /// Attempts and tokens, when refusals came that no header explained.
    estimates: Option<[Estimate; 2]>,
}

/// An attempt as it was sent.
#[derive(Clone, Copy, Debug)]
pub struct SentAttempt {
    /// The lease of the attempt.
    pub lease: LeaseId,
    /// Tokens that were reserved.
    pub tokens: u64,
    /// When the report came.
    pub at: Time,
}

/// Attempts that were sent so shortly one after the other may have arrived in another order.
const OVERTAKEN: Duration = Duration::from_millis(250);

/// What an upstream may not have counted yet when it answered an attempt: other live ones for the same model.
#[derive(Clone, Copy, Default, Debug)]
pub struct Uncounted {
    /// Sent later, hence surely not counted: attempts, and their tokens.
    later: (u64, u64),
    /// Sent so shortly before that it may have arrived later.
    near: (u64, u64),
}

impl Uncounted {
    /// Adds `other`, seen from an `answered` one.
    pub fn add(&mut self, answered: &SentAttempt, other: &SentAttempt) {
        let (attempts, tokens) = if other.lease > answered.lease {
            &mut self.later
        } else if other.lease < answered.lease && other.at + OVERTAKEN > answered.at {
            &mut self.near
        } else {
            return;
        };
        *attempts += 1;
        *tokens = tokens.saturating_add(other.tokens);
    }
}

/// A learned or estimated limit, for people.
#[derive(Clone, PartialEq, Debug)]
pub struct LimitStatus {
    /// The model that the limit is for.
    pub model: ModelName,
    /// The unit that is counted.
    pub unit: &'static str,
    /// The limit itself, when the upstream names it.
    pub limit: Option<f64>,
    /// The part of it that is left, when the upstream reports it.
    pub remaining: Option<f64>,
    /// The estimated rate per minute, when the upstream reports nothing.
    pub per_minute: Option<f64>,
    /// When a reported limit is whole again.
    pub whole_at: Option<Time>,
}

impl Paces {
    /// Whether an attempt that may use `tokens` can be sent. `alone` says whether no other one for the model is under way.
    ///
    /// # Errors
    /// When it can.
    pub fn ready(
        &self,
        model: &ModelName,
        tokens: u64,
        alone: impl FnOnce() -> bool,
        now: Time,
    ) -> Result<(), Time> {
        if self.models.is_empty() {
            return Ok(());
        }
        let Some(pace) = self.models.get(model) else {
            return Ok(());
        };
        let alone = alone();
        let learned = pace
            .learned
            .iter()
            .map(|limit| limit.ready(pace.cost(limit.unit, tokens), alone, now));
        let estimates = pace.estimates.iter().flatten();
        let all = learned.chain(estimates.map(|estimate| estimate.ready(now)));
        all.filter_map(Result::err).max().map_or(Ok(()), Err)
    }

    /// Notes that a request had to wait.
    pub fn held_back(&mut self, model: &ModelName, now: Time) {
        let estimates = self.models.get_mut(model).map(|pace| &mut pace.estimates);
        for estimate in estimates.into_iter().flatten().flatten() {
            estimate.held_back(now);
        }
    }

    /// An attempt is sent.
    pub fn sent(&mut self, model: &ModelName, tokens: u64, now: Time) {
        if self.models.is_empty() {
            return;
        }
        let Some(pace) = self.models.get_mut(model) else {
            return;
        };
        for limit in &mut pace.learned {
            limit.spend(cost(limit.unit, tokens), now);
        }
        if let Some([attempts, all_tokens]) = &mut pace.estimates {
            attempts.sent(1, now);
            all_tokens.sent(tokens, now);
        }
    }

    /// The head of an answer described these limits. Returns whether they explain a refusal of it.
    pub fn heard(
        &mut self,
        model: &ModelName,
        sent: SentAttempt,
        uncounted: Uncounted,
        allowances: &[Allowance],
        now: Time,
    ) -> bool {
        self.forget(now);
        let pace = self.models.entry(model.clone()).or_default();
        pace.learned.retain(|limit| limit.is_known(now));
        let mut explained = false;
        for allowance in allowances.iter().take(LIMITS_KEPT) {
            let of = |(attempts, tokens): (u64, u64)| match allowance.unit {
                Unit::Tokens | Unit::ProjectTokens => number(tokens),
                Unit::Requests | Unit::PromptTokens | Unit::AnswerTokens => number(attempts),
            };
            let told = LimitObservation {
                allowance: *allowance,
                by: sent.lease,
                sent: sent.at,
                later: of(uncounted.later),
                near: of(uncounted.near),
                now,
            };
            let near = match allowance.unit {
                Unit::Requests => 1.0,
                _ => NEAR,
            };
            explained |= allowance.remaining < cost(allowance.unit, sent.tokens) * near;
            match pace.learned.iter_mut().find(|limit| limit.is(allowance)) {
                Some(limit) => limit.hear(&told),
                None => pace.learned.push(Learned::new(&told)),
            }
        }
        explained
    }

    /// An attempt was served.
    pub fn served(&mut self, model: &ModelName, sent: SentAttempt, used: Option<u64>) {
        if self.models.is_empty() {
            return;
        }
        self.correct(model, sent, used.unwrap_or(sent.tokens));
        let Some(pace) = self.models.get_mut(model) else {
            return;
        };
        pace.excess *= EXCESS_LEFT;
        for estimate in pace.estimates.iter_mut().flatten() {
            estimate.accepted();
        }
    }

    /// An attempt was refused, and headers explain it: a limit was short of what it took, which was thought to fit.
    pub fn fell_short(&mut self, model: &ModelName, sent: SentAttempt) {
        self.correct(model, sent, 0);
        if let Some(pace) = self.models.get_mut(model) {
            pace.excess = (pace.excess + EXCESS).min(NEAR - 1.0);
        }
    }

    /// An attempt ended without an answer: what it took of the tokens is `used`.
    pub fn failed(&mut self, model: &ModelName, sent: SentAttempt, used: Option<u64>) {
        self.correct(model, sent, used.unwrap_or(sent.tokens));
    }

    /// An attempt was refused for its rate, and no header explains it. `bound` says that the limit of concurrency held
    /// attempts back.
    pub fn refused(
        &mut self,
        model: &ModelName,
        sent: SentAttempt,
        hint: Option<Duration>,
        bound: bool,
        now: Time,
    ) {
        self.forget(now);
        let pace = self.models.entry(model.clone()).or_default();
        match &mut pace.estimates {
            Some([attempts, tokens]) => {
                attempts.refused(1, hint, bound, sent.at, now);
                tokens.refused(sent.tokens, hint, bound, sent.at, now);
            }
            None => pace.estimates = Some([Estimate::new(now), Estimate::new(now)]),
        }
    }

    /// Everything known at `now`.
    pub fn known(&self, now: Time) -> Vec<LimitStatus> {
        let mut all = Vec::new();
        for (model, pace) in &self.models {
            let learned = pace.learned.iter().filter(|limit| limit.is_known(now));
            all.extend(learned.map(|limit| LimitStatus {
                model: model.clone(),
                unit: limit.unit.as_str(),
                limit: limit.limit,
                remaining: Some(limit.left(now).max(0.0)),
                per_minute: None,
                whole_at: Some(limit.whole_at(now)),
            }));
            let units = [Unit::Requests, Unit::Tokens];
            let estimates = pace.estimates.iter().flatten().zip(units);
            all.extend(estimates.filter_map(|(estimate, unit)| {
                Some(LimitStatus {
                    model: model.clone(),
                    unit: unit.as_str(),
                    limit: None,
                    remaining: None,
                    per_minute: Some(estimate.rate(now)? * 60.0),
                    whole_at: None,
                })
            }));
        }
        all.sort_by(|a, b| (&a.model, a.unit).cmp(&(&b.model, b.unit)));
        all
    }

    /// The state that the next process restores: reported limits that are partly used.
    pub fn persisted(&self, now: Time) -> Vec<PersistedLimit> {
        let limits = self.models.iter().flat_map(|(model, pace)| {
            let learned = pace.learned.iter();
            learned.filter_map(|limit| limit.persisted(model, now))
        });
        limits.collect()
    }

    /// As they were, with nothing under way.
    pub fn restored(memory: &[PersistedLimit], now: Time) -> Self {
        let mut paces = Self::default();
        for limit in memory {
            let is_new = !paces.models.contains_key(&limit.model);
            if is_new && paces.models.len() >= MODELS_KEPT {
                continue;
            }
            let Some(learned) = Learned::restored(limit, now) else {
                continue;
            };
            let pace = paces.models.entry(limit.model.clone()).or_default();
            let known =
                |other: &Learned| (other.unit, other.period) == (learned.unit, learned.period);
            if pace.learned.len() < LIMITS_KEPT && !pace.learned.iter().any(known) {
                pace.learned.push(learned);
            }
        }
        paces
    }

    /// Whether `model` has a limit of which nothing is left.
    pub fn is_used_up(&self, model: &ModelName, now: Time) -> bool {
        let pace = self.models.get(model);
        pace.is_some_and(|pace| {
            let mut known = pace.learned.iter().filter(|limit| limit.is_known(now));
            known.any(|limit| limit.left(now) < 1.0)
        })
    }

    fn correct(&mut self, model: &ModelName, sent: SentAttempt, used: u64) {
        if self.models.is_empty() {
            return;
        }
        let Some(pace) = self.models.get_mut(model) else {
            return;
        };
        for limit in &mut pace.learned {
            let of = |tokens| cost(limit.unit, tokens);
            limit.correct(sent.lease, of(sent.tokens), of(used));
        }
    }

    fn forget(&mut self, now: Time) {
        if self.models.len() < MODELS_KEPT {
            return;
        }
        self.models.retain(|_, pace| {
            let estimates = pace.estimates.iter().flatten();
            pace.learned.iter().any(|limit| limit.is_known(now))
                || estimates.clone().any(|estimate| !estimate.is_idle(now))
        });
        if self.models.len() >= MODELS_KEPT {
            self.models.clear();
        }
    }
}

impl Pace {
    /// What must be left for a request to be sent.
    fn cost(&self, unit: Unit, tokens: u64) -> f64 {
        match unit {
            Unit::Tokens | Unit::ProjectTokens => number(tokens) * (1.0 + self.excess),
            Unit::Requests | Unit::PromptTokens | Unit::AnswerTokens => 1.0,
        }
    }
}

fn cost(unit: Unit, tokens: u64) -> f64 {
    number(unit.cost(tokens))
}

/// Counts of tokens and attempts: far below 2^52.
#[expect(clippy::cast_precision_loss)]
fn number(count: u64) -> f64 {
    count as f64
}
