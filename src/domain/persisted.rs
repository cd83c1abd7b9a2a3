//! The state of a key and of a provider for the next process: when they may be asked again, and why not before.
//!
//! Machines give it (`persisted`) and take it (`restore`); the file may have been changed in between, so the
//! machines check it. Breakers are not in it: they last seconds, and a probe costs less than a wrong state.
//! Nor are estimates and limits of concurrency, which are soon learned again, nor counts of configured limits.
//! No I/O, no clock, no logging.

use std::fmt;
use std::time::Duration;

use super::allowance::Unit;
use super::dialect::Operation;
use super::ids::ModelName;
use super::time::Time;

/// By what a key or a provider is known again after a restart: a keyed fingerprint, no name and no material.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 16]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A cooldown that runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PersistedCooldown {
    /// When the cooldown ends.
    pub until: Time,
    /// Limits in a row, which determine the next one's length.
    pub strikes: u32,
}

/// For how long an invalid key is out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PersistedQuarantine {
    /// When one request may probe it. In the past: it awaits that request.
    pub until: Time,
    /// Its length, which doubles when the probe fails.
    pub span: Duration,
}

/// No operator keeps anything out for longer, unless without an end.
pub const HELD_MAX: Duration = Duration::from_secs(366 * 86_400);

/// What is remembered of an operator's hold, as of `now`: one with an end lasts no longer than [`HELD_MAX`].
pub(super) fn held(memory: Option<Time>, now: Time) -> Option<Time> {
    match memory? {
        Time::NEVER => memory,
        until => Some(until.min(now + HELD_MAX)),
    }
}

/// Why a key is out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PersistedKey {
    /// The cooldown for all models.
    pub whole: Option<PersistedCooldown>,
    /// That is because its quota is used up.
    pub exhausted: bool,
    /// For single models, by name.
    pub models: Vec<(ModelName, PersistedCooldown)>,
    /// It was found invalid.
    pub invalid: Option<PersistedQuarantine>,
    /// An operator keeps it out until then; [`Time::NEVER`]: until it is released.
    pub held: Option<Time>,
}

impl PersistedKey {
    /// Whether there is anything to remember, of a key that is in use.
    pub fn is_empty(&self) -> bool {
        let Self {
            whole,
            models,
            invalid: quarantine,
            held,
            ..
        } = self;
        whole.is_none() && models.is_empty() && quarantine.is_none() && held.is_none()
    }

    /// What of it has not passed at `now`. That a key is invalid stays: a probe ends it.
    #[must_use]
    pub fn still(&self, now: Time) -> Self {
        let runs = |cooldown: &PersistedCooldown| cooldown.until > now;
        let whole = self.whole.filter(runs);
        let models = self.models.iter().filter(|(_, cooldown)| runs(cooldown));
        Self {
            whole,
            exhausted: self.exhausted && whole.is_some(),
            models: models.cloned().collect(),
            invalid: self.invalid,
            held: self.held.filter(|until| *until > now),
        }
    }

    /// Whether everything in it has passed: what is left to say of a key that is no longer in use.
    pub fn is_over(&self, now: Time) -> bool {
        let mut still = self.still(now);
        still.invalid = still.invalid.filter(|out| out.until > now);
        still.is_empty()
    }
}

/// A limit that was learned from answers' heads (see `learned`).
#[derive(Clone, PartialEq, Debug)]
pub struct PersistedLimit {
    /// The model that the limit is for.
    pub model: ModelName,
    /// The unit that is counted.
    pub unit: Unit,
    /// The period in its name; zero when it has none.
    pub period: Duration,
    /// The limit itself, when the upstream names it.
    pub limit: Option<f64>,
    /// What was left at `at`; below zero when more was sent than that.
    pub left: f64,
    /// The moment of `left`.
    pub at: Time,
    /// When it is whole again.
    pub reset: Time,
    /// Until then it is believed.
    pub trusted_until: Time,
    /// It refills evenly, from nothing to the whole in this time. `None`: as a whole, at its reset.
    pub refills_in: Option<Duration>,
}

impl PersistedLimit {
    /// Whether it has nothing to say any more.
    pub fn is_over(&self, now: Time) -> bool {
        now >= self.trusted_until || (self.refills_in.is_none() && now >= self.reset)
    }

    /// What flows in within `span`, up to the whole.
    #[must_use]
    pub fn refilled(mut self, span: Duration) -> Self {
        if let (Some(period), Some(limit)) = (self.refills_in, self.limit)
            && !period.is_zero()
        {
            let grown = self.left + limit * span.as_secs_f64() / period.as_secs_f64();
            self.left = grown.min(limit);
        }
        self
    }
}

/// Why a provider's upstreams are not asked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PersistedProvider {
    /// All its keys cool until then.
    pub cooling: Option<Time>,
    /// Models that it does not know, for which operation, and when they are asked for again; by name.
    pub gone: Vec<(ModelName, Operation, Time)>,
    /// An operator keeps it out until then; [`Time::NEVER`]: until it is released.
    pub held: Option<Time>,
}

impl PersistedProvider {
    /// Whether there is anything to remember.
    pub fn is_empty(&self) -> bool {
        self.cooling.is_none() && self.gone.is_empty() && self.held.is_none()
    }

    /// What of it has not passed at `now`.
    #[must_use]
    pub fn still(&self, now: Time) -> Self {
        let gone = self.gone.iter().filter(|(.., until)| *until > now);
        Self {
            cooling: self.cooling.filter(|until| *until > now),
            gone: gone.cloned().collect(),
            held: self.held.filter(|until| *until > now),
        }
    }
}
