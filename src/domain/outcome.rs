//! What became of an attempt: its class, whose fault it was, how far it reaches, what may be tried next.
//!
//! The table is section "outcome classes" of `docs/architecture.md`. Callers branch on [`Class`] and its
//! properties, never on texts or status codes. No I/O, no clock, no logging.

use std::time::Duration;

use super::remedy::Remedy;

/// The class of an attempt's outcome.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    /// A well-formed 2xx answer.
    Success,
    /// The caller's own mistake: the upstream's answer is returned as it is.
    CallerFault,
    /// The prompt is larger than the model's context window.
    ContextOverflow,
    /// The upstream's safety system refused the content.
    ContentPolicy,
    /// The model does not exist (any more) at this provider.
    ModelGone,
    /// This one request is larger than the upstream's limit, or than the credit left: waiting does not help it, and
    /// smaller requests are served as before.
    TooLargeForLimit,
    /// The request needs something that this upstream does not have: tools, images, a parameter.
    Unsupported,
    /// The upstream does not have the operation that was asked for: its route is not there, or its model does something
    /// else.
    NotOffered,
    /// Too many requests or tokens for this key, for a moment.
    RateLimited,
    /// The key's credit or daily allowance is used up.
    QuotaExhausted,
    /// The key is wrong, revoked or not permitted.
    InvalidKey,
    /// What a token is fetched with for the key could not be used, or its server gave none: nothing was sent to the upstream.
    NoToken,
    /// The upstream says that it has no capacity (503, 529).
    Overloaded,
    /// The upstream failed in a way that may pass (500, 502, 504, 408, 425), or something before it answered in its
    /// place.
    Transient,
    /// No answer because of the network: refused, DNS, reset, TLS.
    Network,
    /// No answer in time: connect, first byte, first token, idle, response.
    Timeout,
    /// A 2xx that is not what was asked for: bad JSON, empty body, broken event stream.
    Malformed,
    /// The answer was no longer needed: the caller left, or another attempt won.
    Cancelled,
}

/// Where a failed request may be tried next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retry {
    /// Not at all: the answer goes back to the caller.
    Never,
    /// With another key of the same upstream, then with the next upstream.
    NextKey,
    /// Once more at the same upstream after a wait, then with the next upstream.
    SameUpstream,
    /// Only at the next upstream.
    NextUpstream,
    /// Only at the next upstream. Where no other upstream serves it, the answer goes back to the caller.
    Elsewhere,
    /// At an upstream whose context window is not known to be too small, never at this one again.
    LargerWindow,
}

impl Class {
    /// Every class, in the order of the documentation's table.
    #[cfg(feature = "internals")]
    pub const ALL: [Self; 18] = [
        Self::Success,
        Self::CallerFault,
        Self::ContextOverflow,
        Self::ContentPolicy,
        Self::ModelGone,
        Self::TooLargeForLimit,
        Self::Unsupported,
        Self::NotOffered,
        Self::RateLimited,
        Self::QuotaExhausted,
        Self::InvalidKey,
        Self::NoToken,
        Self::Overloaded,
        Self::Transient,
        Self::Network,
        Self::Timeout,
        Self::Malformed,
        Self::Cancelled,
    ];

    /// The class's name in logs, error bodies and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::CallerFault => "caller_fault",
            Self::ContextOverflow => "context_overflow",
            Self::ContentPolicy => "content_policy",
            Self::ModelGone => "model_gone",
            Self::TooLargeForLimit => "too_large_for_limit",
            Self::Unsupported => "unsupported",
            Self::NotOffered => "not_offered",
            Self::RateLimited => "rate_limited",
            Self::QuotaExhausted => "quota_exhausted",
            Self::InvalidKey => "invalid_key",
            Self::NoToken => "no_token",
            Self::Overloaded => "overloaded",
            Self::Transient => "transient",
            Self::Network => "network",
            Self::Timeout => "timeout",
            Self::Malformed => "malformed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Where the request may go next.
    pub const fn retry(self) -> Retry {
        match self {
            Self::Success | Self::CallerFault | Self::ContentPolicy | Self::Cancelled => {
                Retry::Never
            }
            Self::ContextOverflow => Retry::LargerWindow,
            Self::RateLimited | Self::QuotaExhausted | Self::InvalidKey | Self::NoToken => {
                Retry::NextKey
            }
            Self::Overloaded | Self::Transient | Self::Network => Retry::SameUpstream,
            Self::ModelGone | Self::Timeout | Self::Malformed => Retry::NextUpstream,
            Self::TooLargeForLimit | Self::Unsupported | Self::NotOffered => Retry::Elsewhere,
        }
    }

    /// Whether it counts as a failure in the upstream's circuit breaker.
    pub const fn trips_breaker(self) -> bool {
        match self {
            Self::Overloaded
            | Self::Transient
            | Self::Network
            | Self::Timeout
            | Self::Malformed => true,
            Self::Success
            | Self::CallerFault
            | Self::ContextOverflow
            | Self::ContentPolicy
            | Self::ModelGone
            | Self::TooLargeForLimit
            | Self::Unsupported
            | Self::NotOffered
            | Self::RateLimited
            | Self::QuotaExhausted
            | Self::InvalidKey
            | Self::NoToken
            | Self::Cancelled => false,
        }
    }

    /// Whether the request does not suit the upstream, which serves others as before.
    pub const fn is_misfit(self) -> bool {
        matches!(
            self,
            Self::ContextOverflow | Self::TooLargeForLimit | Self::Unsupported | Self::NotOffered
        )
    }

    /// Whether the key was refused: counted against `max_key_refusals`, not `max_attempts`.
    pub const fn refuses_key(self) -> bool {
        matches!(
            self,
            Self::RateLimited | Self::QuotaExhausted | Self::InvalidKey | Self::NoToken
        )
    }
}

/// A failed attempt: its class, and the upstream's hint when to retry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The outcome's class.
    pub class: Class,
    /// The HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// How long the upstream asked us to stay away (Retry-After, reset headers, a retry hint in the body),
    /// measured from the moment of the answer. Not clamped.
    pub retry_after: Option<Duration>,
    /// Whether it is the upstream's doing. False for a bare 403, which a firewall before it may have sent, and where
    /// this machine lacks what a call needs: nothing is held against the key or the upstream then.
    pub certain: bool,
    /// The context window that the upstream named when the prompt did not fit, in tokens.
    pub window: Option<u64>,
    /// The limit, or the credit left, that this request alone exceeds, in tokens, as the upstream named it.
    pub limit: Option<u64>,
    /// How the request is to be changed for the same upstream to take it, as the refusal says.
    pub remedy: Option<Remedy>,
    /// Whether nothing was sent: there was no connection.
    pub unsent: bool,
    /// What happened, for an operator: never a prompt, never key material.
    pub detail: String,
}

impl Failure {
    /// A failure without a status or a hint.
    pub fn new(class: Class, detail: impl Into<String>) -> Self {
        Self {
            class,
            status: None,
            retry_after: None,
            certain: true,
            window: None,
            limit: None,
            remedy: None,
            unsent: false,
            detail: detail.into(),
        }
    }

    /// The class that is reported to the key and the provider. A failure that would count in a breaker, but is not the
    /// upstream's, is reported like a cancelled attempt: a half-open probe that ended so is given back.
    pub fn heard_as(&self) -> Class {
        if self.class.trips_breaker() && !self.certain {
            Class::Cancelled
        } else {
            self.class
        }
    }

    /// The same where content came before it. Its key was accepted and its model was there, so neither is at fault,
    /// whatever the words say: it may pass.
    #[must_use]
    pub fn after_content(self) -> Self {
        match self.class {
            Class::InvalidKey | Class::ModelGone => Self {
                class: Class::Transient,
                ..self
            },
            _ => self,
        }
    }

    /// The same with the HTTP status of the answer.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::breaker::{BreakerChange, BreakerPolicy, TripReason};
    use crate::domain::dialect::Operation;
    use crate::domain::ids::ModelName;
    use crate::domain::limits::RetryBudgetPolicy;
    use crate::domain::provider_state::{Pass, ProviderState, UpstreamChange};
    use crate::domain::retry_budget::BudgetCharge;
    use crate::domain::time::Time;

    #[test]
    fn a_probe_that_failed_for_a_lack_here_is_given_back() {
        let model = ModelName::from("m");
        let policy = BreakerPolicy::default();
        let mut provider = ProviderState::new(policy, RetryBudgetPolicy::default());
        for _ in 0..policy.failure_threshold {
            provider.settled(
                &model,
                Operation::Chat,
                Class::Network,
                true,
                false,
                Time::ZERO,
            );
        }
        let now = Time::ZERO + policy.recovery_time;
        let probe = Pass { probe: true };
        let lack = Failure {
            certain: false,
            ..Failure::new(Class::Network, "no file descriptor is left")
        };
        for (failure, then) in [
            (lack, BreakerChange::ProbeFree),
            (
                Failure::new(Class::Network, "refused"),
                BreakerChange::Opened {
                    until: now + policy.recovery_time,
                    why: TripReason::Probe,
                },
            ),
        ] {
            assert_eq!(provider.gate(&model, Operation::Chat, true, now), Ok(probe));
            provider.started(&model, probe, BudgetCharge::First, now);
            let change = provider.settled(
                &model,
                Operation::Chat,
                failure.heard_as(),
                false,
                true,
                now,
            );
            assert_eq!(change, Some(UpstreamChange::Circuit(then)));
        }
        assert!(provider.gate(&model, Operation::Chat, true, now).is_err());
    }

    #[test]
    fn what_says_nothing_of_a_key_is_heard_as_what_it_is() {
        for class in Class::ALL {
            let failure = Failure::new(class, "");
            assert_eq!(failure.heard_as(), class);
        }
        let doubtful = Failure {
            certain: false,
            ..Failure::new(Class::InvalidKey, "a bare 403")
        };
        assert_eq!(doubtful.heard_as(), Class::InvalidKey);
    }
}
