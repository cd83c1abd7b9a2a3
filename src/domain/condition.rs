//! What state an actor, a key or a breaker is in, and the word for it. The admin API, metrics, events, `explain` and `top`
//! take the words from here. A state that is the reason for a refusal has the word of that [`Reason`].
//! No I/O, no clock, no logging.

use super::refusal::{Reason, Refusal};

/// Whether an actor runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Life {
    /// It runs.
    Up,
    /// It is new, or it ended, and is about to be started.
    Restarting,
    /// It failed too often and stays down for a while.
    Quarantined,
}

impl Life {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Up, Self::Restarting, Self::Quarantined];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Restarting => Reason::Restarting.as_str(),
            Self::Quarantined => Reason::Quarantined.as_str(),
        }
    }

    /// The state that has this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|life| life.as_str() == word)
    }
}

/// The state of a key for all models.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyCondition {
    /// Nothing keeps it away, but maybe for single models.
    Usable,
    /// It cools after a rate limit.
    Cooling,
    /// Its credit or daily allowance is used up.
    Exhausted,
    /// No token could be fetched for it a moment ago.
    NoToken,
    /// It was found invalid, and it is not time yet to try it again.
    Invalid,
    /// It was found invalid, and one request may try it, or does.
    Probing,
    /// An operator keeps it out.
    Held,
    /// Its actor does not run.
    Down,
}

impl KeyCondition {
    /// All of them.
    #[cfg(test)]
    pub const ALL: [Self; 8] = [
        Self::Usable,
        Self::Cooling,
        Self::Exhausted,
        Self::NoToken,
        Self::Invalid,
        Self::Probing,
        Self::Held,
        Self::Down,
    ];

    /// That of a key that is out for all models for this reason, and for no other.
    pub fn of(cooling: Option<Refusal>) -> Self {
        match cooling.map(|refusal| refusal.reason) {
            None => Self::Usable,
            Some(Reason::Exhausted) => Self::Exhausted,
            Some(Reason::NoToken) => Self::NoToken,
            Some(_) => Self::Cooling,
        }
    }

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Usable => "usable",
            Self::Cooling => Reason::Cooling.as_str(),
            Self::Exhausted => Reason::Exhausted.as_str(),
            Self::NoToken => Reason::NoToken.as_str(),
            Self::Invalid => "invalid",
            Self::Probing => "probing",
            Self::Held => Reason::Held.as_str(),
            Self::Down => "down",
        }
    }
}

/// The state of an upstream's circuit breaker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BreakerCondition {
    /// Requests pass.
    Closed,
    /// None passes.
    Open,
    /// One passes as the probe.
    HalfOpen,
}

impl BreakerCondition {
    /// All of them.
    #[cfg(test)]
    pub const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actors_state_is_found_by_its_word() {
        for life in Life::ALL {
            assert_eq!(Life::from_word(life.as_str()), Some(life));
        }
        assert_eq!(Life::from_word("held"), None);
    }
}
