//! Why a key or an upstream cannot take an attempt right now, and when it could.
//! No I/O, no clock, no logging.

use super::time::Time;
use super::unmet::Unmet;

/// Why an attempt did not start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Reason {
    /// The upstream refused for its rate limit (429).
    Cooling,
    /// The key's credit or daily allowance is used up.
    Exhausted,
    /// Our own limit of requests or tokens per minute or day.
    Limited,
    /// A limit learned from the upstream leaves no room at present.
    Paced,
    /// Our own limit of requests in flight, or the learned one.
    Saturated,
    /// Its limits are shared by a fleet whose store cannot be asked, and the configuration refuses then.
    FleetLost,
    /// The key was found invalid.
    Invalid,
    /// No token could be fetched for the key a moment ago.
    NoToken,
    /// The upstream's circuit breaker is open, or its probe is under way.
    BreakerOpen,
    /// The model does not exist there at present.
    ModelGone,
    /// The upstream was found not to have the operation; a request without another upstream is let through.
    NotOffered,
    /// The upstream has just recovered and takes a growing share; other requests go to the next one.
    Recovering,
    /// The upstream's share of extra attempts is used up.
    RetryBudget,
    /// The actor is being restarted.
    Restarting,
    /// The actor failed too often and is kept down.
    Quarantined,
    /// An operator keeps it out.
    Held,
    /// This request already asked every key that could serve.
    KeysTried,
    /// This request already failed there, or may not ask again.
    Tried,
    /// It is not what this attempt is to be: another upstream or key than one that is under way or broke off, say.
    Unsuitable,
    /// The prompt does not fit into the context window.
    TooLarge,
    /// A budget has no room for what it may cost.
    Budget,
    /// Its price is not known, and a budget refuses that.
    Unpriced,
    /// Others wait for it already.
    Contended,
    /// The provider has no key at all, or was removed.
    NoKeys,
    /// It is not for the request, whatever its health.
    Unmet(Unmet),
}

impl Reason {
    /// The reason's name in logs and error messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cooling => "cooling",
            Self::Exhausted => "quota_exhausted",
            Self::Limited => "limited",
            Self::Paced => "paced",
            Self::Saturated => "saturated",
            Self::FleetLost => "fleet_unavailable",
            Self::Invalid => "invalid_key",
            Self::NoToken => "no_token",
            Self::BreakerOpen => "breaker_open",
            Self::ModelGone => "model_gone",
            Self::NotOffered => "not_offered",
            Self::Recovering => "recovering",
            Self::RetryBudget => "retry_budget",
            Self::Restarting => "restarting",
            Self::Quarantined => "quarantined",
            Self::Held => "held",
            Self::KeysTried => "keys_tried",
            Self::Tried => "tried",
            Self::Unsuitable => "unsuitable",
            Self::TooLarge => "too_large",
            Self::Budget => "budget",
            Self::Unpriced => "unpriced",
            Self::Contended => "contended",
            Self::NoKeys => "no_keys",
            Self::Unmet(unmet) => unmet.as_str(),
        }
    }

    /// Whether it is about what the request is, needs or may cost, and not about how the upstream is at present.
    pub const fn is_about_request(self) -> bool {
        matches!(
            self,
            Self::TooLarge | Self::Budget | Self::Unpriced | Self::Unmet(_)
        )
    }

    /// Whether waiting can help at all.
    pub const fn may_pass(self) -> bool {
        match self {
            Self::Cooling
            | Self::Exhausted
            | Self::Limited
            | Self::Paced
            | Self::Saturated
            | Self::Invalid
            | Self::NoToken
            | Self::BreakerOpen
            | Self::ModelGone
            | Self::RetryBudget
            | Self::Restarting
            | Self::Contended => true,
            // The store may be away for long.
            Self::FleetLost => false,
            // For `Recovering` and `NotOffered`, a request without another upstream is let through, see the router.
            Self::NotOffered
            | Self::Recovering
            | Self::Quarantined
            | Self::Held
            | Self::KeysTried
            | Self::Tried
            | Self::Unsuitable
            | Self::TooLarge
            | Self::Budget
            | Self::Unpriced
            | Self::NoKeys
            | Self::Unmet(_) => false,
        }
    }

    /// Whether it concerns one model of a provider rather than a place at it.
    pub const fn is_of_model(self) -> bool {
        matches!(
            self,
            Self::Cooling
                | Self::Paced
                | Self::BreakerOpen
                | Self::ModelGone
                | Self::NotOffered
                | Self::Recovering
                | Self::RetryBudget
        )
    }

    /// Whether it is a matter of capacity that comes back by itself: such a refusal makes a 429.
    pub const fn is_capacity(self) -> bool {
        matches!(
            self,
            Self::Cooling
                | Self::Exhausted
                | Self::Limited
                | Self::Paced
                | Self::Saturated
                | Self::Contended
                | Self::KeysTried
        )
    }
}

/// One refusal: why, and the earliest moment at which asking again makes sense.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Why it cannot take the attempt.
    pub reason: Reason,
    /// When it could serve; `None` when only an event can end it (or it lasts longer than the request).
    pub ready_at: Option<Time>,
}

impl Refusal {
    /// A refusal that ends at a known moment.
    pub const fn until(reason: Reason, ready_at: Time) -> Self {
        Self {
            reason,
            ready_at: Some(ready_at),
        }
    }

    /// A refusal whose end is not known.
    pub const fn open_ended(reason: Reason) -> Self {
        Self {
            reason,
            ready_at: None,
        }
    }

    /// An operator's hold until then; without a date for [`Time::NEVER`].
    pub const fn held(until: Time) -> Self {
        match until.as_nanos() {
            u64::MAX => Self::open_ended(Reason::Held),
            _ => Self::until(Reason::Held, until),
        }
    }

    /// Of two refusals the one that may end first. One that an event can end at any moment comes before
    /// one with a date; one that cannot pass comes last.
    #[must_use]
    pub fn sooner(self, other: Self) -> Self {
        let order = |refusal: &Self| {
            let hopeless = !refusal.reason.may_pass();
            (hopeless, refusal.ready_at.unwrap_or(Time::ZERO))
        };
        if order(&other) < order(&self) {
            other
        } else {
            self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_that_may_end_first_wins() {
        let cooling = |ms| Refusal::until(Reason::Cooling, Time::from_millis(ms));
        let full = Refusal::open_ended(Reason::Saturated);
        let tried = Refusal::open_ended(Reason::KeysTried);
        assert_eq!(cooling(9).sooner(cooling(5)), cooling(5));
        assert_eq!(
            cooling(5).sooner(full),
            full,
            "a place may be free at any moment"
        );
        assert_eq!(tried.sooner(cooling(5)), cooling(5));
        assert_eq!(full.sooner(tried), full);
    }
}
