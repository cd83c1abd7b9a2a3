//! Whether a failure counts against the key, the model or the upstream that it is about (law L7).

use super::outcome::{Class, Failure};

/// What the request of a failed attempt has met before this failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PriorFailures {
    /// A failure of this request counted against the same upstream.
    pub counted_here: bool,
    /// Another upstream failed with the same class.
    pub same_elsewhere: bool,
    /// This request blamed a key or a model for what may be its own doing.
    pub doubtful_before: bool,
}

/// The rule, at every stage of a request: before the first content of an answer and after it.
///
/// - Nothing counts if the answer may not be from the upstream (`certain` is false).
/// - A failure about a key or a model counts, but of those that may be the request's own doing only the first.
/// - Any other failure counts once per request and upstream, if its class trips breakers, and not when the request met
///   the same class at another upstream: then it says more about the request than about the upstream.
pub fn counts(failure: &Failure, met: PriorFailures) -> bool {
    if !failure.certain {
        return false;
    }
    if is_about_key_or_model(failure.class) {
        return !(is_doubtful(failure) && met.doubtful_before);
    }
    failure.class.trips_breaker() && !met.counted_here && !met.same_elsewhere
}

/// Whether the failure is about a key or a model, and the request itself may have caused it: a 400, a 422, or a key's
/// 403.
pub fn is_doubtful(failure: &Failure) -> bool {
    let may_be_the_requests = match failure.status {
        Some(400 | 422) => true,
        Some(403) => failure.class == Class::InvalidKey,
        _ => false,
    };
    may_be_the_requests && is_about_key_or_model(failure.class)
}

fn is_about_key_or_model(class: Class) -> bool {
    matches!(
        class,
        Class::InvalidKey | Class::QuotaExhausted | Class::ModelGone
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: PriorFailures = PriorFailures {
        counted_here: false,
        same_elsewhere: false,
        doubtful_before: false,
    };
    const HERE: PriorFailures = PriorFailures {
        counted_here: true,
        ..NOTHING
    };
    const ELSEWHERE: PriorFailures = PriorFailures {
        same_elsewhere: true,
        ..NOTHING
    };
    const DOUBTED: PriorFailures = PriorFailures {
        doubtful_before: true,
        ..NOTHING
    };
    const ALL: [PriorFailures; 4] = [NOTHING, HERE, ELSEWHERE, DOUBTED];

    fn failure(class: Class, status: Option<u16>) -> Failure {
        Failure {
            status,
            ..Failure::new(class, "")
        }
    }

    #[test]
    fn the_rule_as_a_table() {
        // Class, status, and whether it counts after: nothing, a failure that counted here, the same class elsewhere,
        // a doubtful one.
        let table = [
            (Class::Transient, Some(500), [true, false, false, true]),
            (Class::Overloaded, Some(503), [true, false, false, true]),
            (Class::Network, None, [true, false, false, true]),
            (Class::Timeout, None, [true, false, false, true]),
            (Class::Malformed, Some(200), [true, false, false, true]),
            (Class::InvalidKey, Some(401), [true; 4]),
            (Class::InvalidKey, Some(403), [true, true, true, false]),
            (Class::InvalidKey, Some(400), [true, true, true, false]),
            (Class::QuotaExhausted, Some(402), [true; 4]),
            (Class::QuotaExhausted, Some(403), [true; 4]),
            (Class::QuotaExhausted, Some(422), [true, true, true, false]),
            (Class::ModelGone, Some(404), [true; 4]),
            (Class::ModelGone, Some(400), [true, true, true, false]),
            (Class::ModelGone, Some(403), [true; 4]),
            (Class::RateLimited, Some(429), [false; 4]),
            (Class::NoToken, None, [false; 4]),
            (Class::CallerFault, Some(400), [false; 4]),
            (Class::ContentPolicy, Some(403), [false; 4]),
            (Class::ContextOverflow, Some(400), [false; 4]),
            (Class::TooLargeForLimit, Some(413), [false; 4]),
            (Class::Unsupported, Some(422), [false; 4]),
            (Class::NotOffered, Some(404), [false; 4]),
            (Class::Cancelled, None, [false; 4]),
            (Class::Success, Some(200), [false; 4]),
        ];
        for class in Class::ALL {
            assert!(table.iter().any(|(of, ..)| *of == class), "{class:?}");
        }
        for (class, status, expected) in table {
            let failure = failure(class, status);
            let found = ALL.map(|met| counts(&failure, met));
            assert_eq!(found, expected, "{class:?} {status:?}");
        }
    }

    #[test]
    fn what_the_upstream_may_not_have_said_itself_never_counts() {
        for class in Class::ALL {
            let doubtful = Failure {
                certain: false,
                ..Failure::new(class, "")
            };
            assert!(ALL.iter().all(|met| !counts(&doubtful, *met)), "{class:?}");
        }
    }
}
