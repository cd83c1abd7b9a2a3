//! How a lease ended, and what that changes about its key.

use std::time::Duration;

use super::ids::ModelName;
use super::outcome::Class;
use super::refusal::Reason;
use super::time::Time;

/// How a lease ended, as the key and its provider need to know it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settlement {
    /// The outcome's class.
    pub class: Class,
    /// How long the upstream asked us to stay away, from the moment of settling.
    pub retry_after: Option<Duration>,
    /// Tokens that were used, when the answer reports them.
    pub tokens: Option<u64>,
    /// Whether a failure counts against the health of the upstream or the key (see `attempts`: a request
    /// alone must not take a whole pool down).
    pub counts: bool,
}

impl Settlement {
    /// The settlement of a lease that was dropped with its request's task.
    pub const CANCELLED: Self = Self {
        class: Class::Cancelled,
        retry_after: None,
        tokens: None,
        counts: false,
    };
}

/// A change of a key's state, for logs and for waiting requests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyChange {
    /// It cools for one model, or for all (`None`).
    Cooling {
        /// The model, unless all models.
        model: Option<ModelName>,
        /// When it ends.
        until: Time,
        /// Rate limited, exhausted, or without a token.
        reason: Reason,
    },
    /// It was found invalid.
    Quarantined {
        /// Until one real request may probe it.
        until: Time,
    },
    /// An invalid key served again.
    Recovered,
    /// An operator holds it.
    Held {
        /// Until then; [`Time::NEVER`]: until it is released.
        until: Time,
    },
    /// An operator lets it cool, for one model or for all (`None`).
    Cooled {
        /// The model, unless all models.
        model: Option<ModelName>,
        /// When it ends.
        until: Time,
    },
    /// An operator ended whatever kept it away.
    Released,
    /// The provider's whole pool has to cool (`cooldown.scope: provider`).
    ProviderCooling {
        /// As the upstream hinted, else the configured time.
        until: Time,
    },
}
