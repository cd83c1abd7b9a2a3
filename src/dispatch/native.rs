//! Whether a provider has the operations that not all providers of its dialect have. One that may have them is asked; if it
//! says that it does not, the same request goes on translated, and so do those of the next hour.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::domain::dialect::{NativeRoute, Operation};
use crate::domain::outcome::{Class, Failure};
use crate::domain::time::Time;
use crate::wire::dialects::Dialect;

/// So long a provider counts as one without the operation. An update may bring it.
const LACKS_FOR: Duration = Duration::from_secs(60 * 60);

/// What is known of one provider. A memory aid: whoever forgets it asks once more.
#[derive(Debug, Default)]
pub struct NativeOperations {
    route: NativeRoute,
    /// In nanoseconds.
    lacks_until: AtomicU64,
}

impl NativeOperations {
    /// As the configuration, or the catalogue, has it.
    pub fn new(route: NativeRoute) -> Self {
        Self {
            route,
            lacks_until: AtomicU64::new(0),
        }
    }

    /// Whether the operation is asked for in the caller's own form, where the dialect has that.
    pub(super) fn is_assumed(&self, dialect: Dialect, operation: Operation, now: Time) -> bool {
        let lacks = || now.as_nanos() < self.lacks_until.load(Ordering::Relaxed);
        !dialect.is_doubtful(operation)
            || match self.route {
                NativeRoute::Native => true,
                NativeRoute::Translate => false,
                NativeRoute::Auto => !lacks(),
            }
    }

    /// Whether a failure says that the provider does not have the operation.
    pub(super) fn lacks(&self, dialect: Dialect, operation: Operation, failure: &Failure) -> bool {
        let route = matches!(failure.status, Some(404 | 405 | 501))
            && matches!(
                failure.class,
                Class::CallerFault | Class::Unsupported | Class::Transient
            );
        self.route == NativeRoute::Auto
            && dialect.is_doubtful(operation)
            && (route || failure.class == Class::NotOffered)
    }

    /// It does not.
    pub(super) fn note_lack(&self, now: Time) {
        let until = now + LACKS_FOR;
        self.lacks_until.store(until.as_nanos(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::dialects;

    #[test]
    fn a_provider_that_lacks_an_operation_is_asked_again_after_an_hour() {
        let dialect = dialects::usual();
        let native = NativeOperations::new(NativeRoute::Auto);
        let assumed = |operation, now| native.is_assumed(dialect, operation, now);
        let now = Time::from_millis(5);
        assert!(assumed(Operation::Responses, now));
        native.note_lack(now);
        assert!(!assumed(Operation::Responses, now));
        assert!(assumed(Operation::Chat, now));
        assert!(assumed(Operation::Responses, now + LACKS_FOR));
    }

    #[test]
    fn only_what_is_about_the_route_says_that_it_is_lacking() {
        let dialect = dialects::usual();
        let lacks = |route, operation, class, status| {
            let failure = Failure::new(class, "").with_status(status);
            NativeOperations::new(route).lacks(dialect, operation, &failure)
        };
        let (auto, responses) = (NativeRoute::Auto, Operation::Responses);
        for (class, status, expected) in [
            (Class::NotOffered, 400, true),
            (Class::CallerFault, 404, true),
            (Class::Transient, 405, true),
            (Class::CallerFault, 400, false),
            (Class::ModelGone, 404, false),
            (Class::Transient, 503, false),
        ] {
            assert_eq!(lacks(auto, responses, class, status), expected, "{class:?}");
        }
        assert!(!lacks(
            NativeRoute::Native,
            responses,
            Class::NotOffered,
            404
        ));
        assert!(!lacks(auto, Operation::Chat, Class::NotOffered, 404));
    }
}
