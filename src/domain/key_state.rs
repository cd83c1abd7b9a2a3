//! One API key: when it may be asked, for which model, and what its leases' outcomes change.
//!
//! The key's actor owns one of these and is the only authority on it. No I/O, no clock, no logging.

use crate::domain::hash_map::HashMap;
use std::time::Duration;

use super::allowance::Allowance;
use super::concurrency::Concurrency;
use super::cooldown::{Cooldown, CooldownPolicy, CooldownScope};
use super::ids::{LeaseId, ModelName};
use super::key_shares::KeyShares;
use super::limits::KeyLimits;
use super::outcome::Class;
use super::pace::{LimitStatus, Paces, SentAttempt, Uncounted};
use super::refusal::{Reason, Refusal};
use super::time::Time;
use super::window::RollingSum;

pub use super::settlement::{KeyChange, Settlement};

mod facts;
mod fleet;
mod manual;
mod shares;

pub use facts::KeyFacts;

/// How long an invalid key is out before its first probe; doubles with each probe that fails, up to [`REPROBE_MAX`].
pub const REPROBE_FIRST: Duration = Duration::from_secs(5 * 60);
/// The longest time before the next probe of an invalid key.
pub const REPROBE_MAX: Duration = Duration::from_secs(60 * 60);
/// Absence of a key whose quota is used up when the upstream names no time.
pub const QUOTA_DEFAULT: Duration = Duration::from_secs(60 * 60);
/// No hint keeps a key away for longer than a monthly quota.
const QUOTA_MAX: Duration = Duration::from_secs(31 * 24 * 60 * 60);
/// A refusal for a shorter time costs less than keeping to an estimate would.
const BRIEF: Duration = Duration::from_millis(100);
/// The most models that cool by themselves; callers choose model names. Idle entries beyond it are forgotten; while as
/// many cool, a report about another one cools the whole key.
pub const MODELS_KEPT: usize = 256;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Validity {
    Valid,
    Invalid {
        until: Time,
        span: Duration,
        probe: Option<LeaseId>,
    },
}

#[derive(Clone, Debug)]
struct LiveLease {
    model: ModelName,
    /// Of the configured tokens per minute.
    reserved: u64,
    sent: SentAttempt,
    /// How many were under way when it was sent, itself included.
    in_flight: u32,
    /// Its answer's head explains a refusal: a limit was short.
    explained: bool,
}

/// The state of one key.
#[derive(Clone, Debug)]
pub struct KeyState {
    limits: KeyLimits,
    cooldown: CooldownPolicy,
    whole: Cooldown,
    exhausted: bool,
    models: HashMap<ModelName, Cooldown>,
    validity: Validity,
    /// No token could be fetched for it: it is out for all models until then. A new process finds that out by itself.
    tokenless: Option<Time>,
    /// By an operator, until then.
    held: Option<Time>,
    minute: RollingSum,
    tokens: RollingSum,
    day: RollingSum,
    live: HashMap<LeaseId, LiveLease>,
    paces: Paces,
    concurrency: Concurrency,
    /// In a fleet: its parts of the limits.
    shares: Option<Box<KeyShares>>,
}

impl KeyState {
    /// A key that nothing is known about.
    pub fn new(limits: KeyLimits, cooldown: CooldownPolicy) -> Self {
        const MINUTE: Duration = Duration::from_secs(60);
        Self {
            limits,
            cooldown,
            whole: Cooldown::default(),
            exhausted: false,
            models: HashMap::default(),
            validity: Validity::Valid,
            tokenless: None,
            held: None,
            minute: RollingSum::new(MINUTE, 60),
            tokens: RollingSum::new(MINUTE, 60),
            day: RollingSum::new(MINUTE * 60 * 24, 288),
            live: HashMap::default(),
            paces: Paces::default(),
            concurrency: Concurrency::default(),
            shares: None,
        }
    }

    /// The configuration says otherwise now; what is known stays.
    pub fn configure(&mut self, limits: KeyLimits, cooldown: CooldownPolicy) {
        self.limits = limits;
        self.cooldown = cooldown;
        // What is no longer learned is no longer kept to either.
        if !limits.pacing.learn {
            self.paces = Paces::default();
        }
        if !limits.pacing.adaptive_concurrency {
            self.concurrency = Concurrency::default();
        }
    }

    /// Leases that have not been settled (law L2).
    pub fn in_flight(&self) -> usize {
        self.live.len()
    }

    /// Whether all places are taken, configured or learned.
    pub fn is_full(&self, now: Time) -> bool {
        let in_flight = u32::try_from(self.live.len()).unwrap_or(u32::MAX);
        let limits = self.limits_at(now);
        limits.is_full(in_flight, self.concurrency.limit())
    }

    /// The learned limit of requests at the same time, if there is one.
    pub fn learned_concurrency(&self) -> Option<u32> {
        self.concurrency.limit()
    }

    /// The limits of requests and tokens that were learned, for readers.
    pub fn learned_limits(&self, now: Time) -> Vec<LimitStatus> {
        self.paces.known(now)
    }

    /// Whether an attempt for `model` that may use `tokens` could start. Changes nothing.
    ///
    /// # Errors
    /// Why not, and when it could.
    pub fn readiness(&self, model: &ModelName, tokens: u64, now: Time) -> Result<(), Refusal> {
        let cooling = self.models.get(model).and_then(|it| it.cooling(now));
        if let Some(refusal) = self.facts(cooling, now).refusal(now) {
            return Err(refusal);
        }
        if self.is_cut_off(now) {
            return Err(Refusal::open_ended(Reason::FleetLost));
        }
        if self.is_full(now) {
            return Err(Refusal::open_ended(Reason::Saturated));
        }
        self.within_limits(tokens, now)?;
        let alone = || self.live.values().all(|live| live.model != *model);
        let paced = self.paces.ready(model, tokens, alone, now);
        paced.map_err(|ready| Refusal::until(Reason::Paced, ready))
    }

    /// A learned limit delayed an attempt for `model`: the limit is in use.
    pub fn held_back(&mut self, model: &ModelName, now: Time) {
        self.paces.held_back(model, now);
    }

    /// Admits an attempt under `lease`, reserving one request and `tokens` tokens.
    ///
    /// # Errors
    /// Why not, and when it could; then nothing has changed.
    pub fn admit(
        &mut self,
        lease: LeaseId,
        model: &ModelName,
        tokens: u64,
        now: Time,
    ) -> Result<(), Refusal> {
        self.note_wanted(tokens, now);
        self.readiness(model, tokens, now)?;
        if let Validity::Invalid { probe, .. } = &mut self.validity {
            *probe = Some(lease);
        }
        if self.limits.rpm.is_some() {
            self.minute.add(1, now);
        }
        if self.limits.rpd.is_some() {
            self.day.add(1, now);
        }
        // More than a minute's allowance would keep others out for longer than the minute it is about.
        let reserved = tokens.min(self.limits.tpm.unwrap_or(0));
        self.tokens.add(reserved, now);
        self.paces.sent(model, tokens, now);
        let live = LiveLease {
            model: model.clone(),
            reserved,
            sent: SentAttempt {
                lease,
                tokens,
                at: now,
            },
            in_flight: u32::try_from(self.live.len() + 1).unwrap_or(u32::MAX),
            explained: false,
        };
        self.live.insert(lease, live);
        Ok(())
    }

    /// Whether `lease` tries a key that was found invalid.
    pub fn is_trial(&self, lease: LeaseId) -> bool {
        matches!(self.validity, Validity::Invalid { probe: Some(id), .. } if id == lease)
    }

    /// The answer to `lease` has begun well: if it was a trial, the key is valid again.
    pub fn began(&mut self, lease: LeaseId) -> Option<KeyChange> {
        if !self.is_trial(lease) {
            return None;
        }
        self.validity = Validity::Valid;
        Some(KeyChange::Recovered)
    }

    /// The head of the answer to `lease` is there. It describes these limits; `first_byte` is how long a streamed
    /// answer took to begin.
    pub fn heard(
        &mut self,
        lease: LeaseId,
        allowances: &[Allowance],
        first_byte: Option<Duration>,
        now: Time,
    ) {
        let Some(live) = self.live.get(&lease) else {
            return;
        };
        if let Some(span) = first_byte.filter(|_| self.limits.pacing.adaptive_concurrency) {
            self.concurrency.first_byte(span, live.in_flight);
        }
        if allowances.is_empty() || !self.limits.pacing.learn {
            return;
        }
        let mut uncounted = Uncounted::default();
        for other in self.live.values().filter(|other| other.model == live.model) {
            uncounted.add(&live.sent, &other.sent);
        }
        let explained = self
            .paces
            .heard(&live.model, live.sent, uncounted, allowances, now);
        if let Some(live) = self.live.get_mut(&lease) {
            live.explained = explained;
        }
    }

    /// A lease ended. Settling twice, or a lease this key never gave, changes nothing.
    pub fn settle(
        &mut self,
        lease: LeaseId,
        settlement: &Settlement,
        now: Time,
    ) -> Option<KeyChange> {
        let live = self.live.remove(&lease)?;
        // The estimate becomes the count, where the answer has one.
        if let (Some(_), Some(used)) = (self.limits.tpm, settlement.tokens) {
            match used.checked_sub(live.reserved) {
                Some(more) => self.tokens.add(more, now),
                None => {
                    let unused = live.reserved - used;
                    self.tokens.take_back_from(live.sent.at, unused, now);
                }
            }
        }
        let was_probe = self.is_trial(lease);
        if was_probe && let Validity::Invalid { probe, .. } = &mut self.validity {
            *probe = None;
        }
        self.learn_from(&live, settlement, now);
        // What the outcome means for this key; failures of the upstream change nothing here.
        match settlement.class {
            Class::Success => self.succeeded(&live.model, was_probe),
            Class::NoToken => Some(self.without_token(settlement.retry_after, now)),
            Class::RateLimited => Some(self.rate_limited(live.model, settlement.retry_after, now)),
            Class::QuotaExhausted if settlement.counts => {
                let span = settlement
                    .retry_after
                    .unwrap_or(QUOTA_DEFAULT)
                    .min(QUOTA_MAX);
                self.exhausted = true;
                Some(KeyChange::Cooling {
                    model: None,
                    until: self.whole.extend(now + span),
                    reason: Reason::Exhausted,
                })
            }
            Class::InvalidKey if settlement.counts || was_probe => self.invalid(was_probe, now),
            Class::QuotaExhausted
            | Class::InvalidKey
            | Class::CallerFault
            | Class::ContextOverflow
            | Class::ContentPolicy
            | Class::ModelGone
            | Class::TooLargeForLimit
            | Class::Unsupported
            | Class::NotOffered
            | Class::Overloaded
            | Class::Transient
            | Class::Network
            | Class::Timeout
            | Class::Malformed
            | Class::Cancelled => None,
        }
    }

    /// When the key is out for all models, until when and why (for readers, not for admission).
    pub fn outage(&self, now: Time) -> Option<Refusal> {
        self.facts(None, now).outage(now)
    }

    fn facts(&self, cooling_model: Option<Time>, now: Time) -> KeyFacts {
        KeyFacts {
            held: self.held,
            invalid: self.invalid_until(),
            probing: matches!(self.validity, Validity::Invalid { probe: Some(_), .. }),
            cooling_all: self.cooling_all(now),
            cooling_model,
        }
    }

    /// The models that cool at `now`, and until when.
    pub fn cooling_models(&self, now: Time) -> impl Iterator<Item = (&ModelName, Time)> {
        self.models
            .iter()
            .filter_map(move |(model, cooldown)| Some((model, cooldown.cooling(now)?)))
    }

    fn within_limits(&self, tokens: u64, now: Time) -> Result<(), Refusal> {
        match self.limited(tokens, now).next() {
            Some((_, ready)) => Err(Refusal::until(Reason::Limited, ready)),
            None => Ok(()),
        }
    }

    /// The used shares of the tightest configured limit per minute and of that per day, in millionths; `None` where none is
    /// configured.
    pub fn used_shares(&self, now: Time) -> [Option<u32>; 2] {
        let KeyLimits { rpm, tpm, rpd, .. } = self.limits_at(now);
        let share = |limit: Option<u64>, window: &RollingSum| {
            let used = u128::from(window.total(now)) * 1_000_000;
            let share = used / u128::from(limit?.max(1));
            Some(u32::try_from(share).unwrap_or(u32::MAX - 1))
        };
        let minute = share(rpm, &self.minute).max(share(tpm, &self.tokens));
        [minute, share(rpd, &self.day)]
    }

    /// Learns about limits that no configuration names from the end of an attempt.
    fn learn_from(&mut self, live: &LiveLease, settlement: &Settlement, now: Time) {
        let pacing = self.limits.pacing;
        let LiveLease { model, sent, .. } = live;
        let class = settlement.class;
        // The upstream named a limit of requests or tokens that was used up: that explains the refusal.
        let unexplained = class == Class::RateLimited && !live.explained;
        let away = settlement.retry_after.unwrap_or(self.cooldown.default);
        if pacing.learn {
            match class {
                Class::Success => self.paces.served(model, *sent, settlement.tokens),
                Class::RateLimited if unexplained && away >= BRIEF => {
                    let bound = self.concurrency.is_in_use(live.in_flight);
                    let hint = settlement.retry_after;
                    self.paces.refused(model, *sent, hint, bound, now);
                }
                Class::RateLimited if !unexplained => self.paces.fell_short(model, *sent),
                _ => self.paces.failed(model, *sent, settlement.tokens),
            }
        }
        if pacing.adaptive_concurrency {
            if class == Class::Success {
                self.concurrency.succeeded(live.in_flight, now);
            } else if class == Class::Overloaded || unexplained {
                self.concurrency.overloaded(sent.at, live.in_flight, now);
            }
        }
    }

    fn succeeded(&mut self, model: &ModelName, was_probe: bool) -> Option<KeyChange> {
        self.whole.succeeded();
        self.tokenless = None;
        if let Some(cooldown) = self.models.get_mut(model) {
            cooldown.succeeded();
        }
        if was_probe {
            self.validity = Validity::Valid;
            return Some(KeyChange::Recovered);
        }
        None
    }

    /// Its token could not be fetched, which is no limit of the key: it does not last longer when that is repeated.
    fn without_token(&mut self, again: Option<Duration>, now: Time) -> KeyChange {
        let until = now + again.unwrap_or(self.cooldown.default);
        self.tokenless = Some(until);
        KeyChange::Cooling {
            model: None,
            until,
            reason: Reason::NoToken,
        }
    }

    fn rate_limited(&mut self, model: ModelName, hint: Option<Duration>, now: Time) -> KeyChange {
        let reason = Reason::Cooling;
        let configured = self.cooldown.scope;
        let alone = configured == CooldownScope::KeyModel;
        let scope = if alone && !self.has_room_for(&model, now) {
            CooldownScope::Key
        } else {
            configured
        };
        match scope {
            CooldownScope::KeyModel => {
                let cooldown = self.models.entry(model.clone()).or_default();
                let until = cooldown.limited(hint, &self.cooldown, now);
                KeyChange::Cooling {
                    model: Some(model),
                    until,
                    reason,
                }
            }
            CooldownScope::Key => {
                self.note_end_of_quota(now);
                KeyChange::Cooling {
                    model: None,
                    until: self.whole.limited(hint, &self.cooldown, now),
                    reason,
                }
            }
            CooldownScope::Provider => {
                self.note_end_of_quota(now);
                KeyChange::ProviderCooling {
                    until: self.whole.limited(hint, &self.cooldown, now),
                }
            }
        }
    }

    fn note_end_of_quota(&mut self, now: Time) {
        if self.whole.cooling(now).is_none() {
            self.exhausted = false;
        }
    }

    fn invalid(&mut self, was_probe: bool, now: Time) -> Option<KeyChange> {
        let span = match self.validity {
            Validity::Valid => REPROBE_FIRST,
            Validity::Invalid { span, .. } if was_probe => (span * 2).min(REPROBE_MAX),
            // Attempts that were under way when it was found invalid say the same thing again.
            Validity::Invalid { .. } => return None,
        };
        let until = now + span;
        self.validity = Validity::Invalid {
            until,
            span,
            probe: None,
        };
        Some(KeyChange::Quarantined { until })
    }

    /// Whether this model can cool by itself. When it cannot, the key cools as a whole, for as long as this report says:
    /// that covers the model, and those that are kept go on by themselves until their own ends, so that no cooldown
    /// becomes shorter (law L5), and none longer than reported. A key that this many models refuse at once is limited
    /// as a whole, whatever the names are.
    fn has_room_for(&mut self, model: &ModelName, now: Time) -> bool {
        if self.models.len() >= MODELS_KEPT && !self.models.contains_key(model) {
            self.models
                .retain(|_, cooldown| cooldown.cooling(now).is_some());
        }
        self.models.len() < MODELS_KEPT || self.models.contains_key(model)
    }
}

mod persisted;
#[cfg(test)]
mod tests;
