//! In which way a provider is asked: whether it has the operations that not all providers of its dialect have, and whether it
//! knows custom tools. One that may have them is asked; if it says that it does not, the same request goes on in another
//! way, and so do those of the next hour.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::domain::dialect::{NativeRoute, Operation};
use crate::domain::outcome::{Class, Failure};
use crate::domain::time::Time;
use crate::wire::dialects::Dialect;

/// So long a provider counts as one that lacks something. An update may bring it.
const LACKS_FOR: Duration = Duration::from_secs(60 * 60);
/// Parts of the words with which tools are refused.
const ABOUT_TOOLS: [&str; 3] = ["tool", "custom", "function"];

/// How a request goes to an upstream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    /// In the caller's own form, where the upstream's dialect has that; else translated.
    Native,
    /// The same, with functions in place of custom tools where it is translated.
    NativePlain,
    /// Translated, although the upstream's dialect has the caller's form.
    Translated,
    /// The same, with functions in place of custom tools.
    Plain,
}

impl Way {
    /// The same, translated.
    pub(super) fn translated(self) -> Self {
        match self {
            Self::Native | Self::Translated => Self::Translated,
            Self::NativePlain | Self::Plain => Self::Plain,
        }
    }
}

/// What is known of one provider. A memory aid: whoever forgets it asks once more.
#[derive(Debug, Default)]
pub struct NativeOperations {
    route: NativeRoute,
    /// Until when it counts as one without the operation, in nanoseconds.
    lacks_route: AtomicU64,
    /// The same of custom tools.
    lacks_tools: AtomicU64,
}

impl NativeOperations {
    /// As the configuration, or the catalogue, has it.
    pub fn new(route: NativeRoute) -> Self {
        Self {
            route,
            ..Self::default()
        }
    }

    /// Whether it is asked for such operations, in a word, and what was found out; `None` where its dialect has none.
    pub(super) fn shown(&self, dialect: Dialect, now: Time) -> Option<&'static str> {
        let doubtful = Operation::ALL
            .into_iter()
            .any(|one| dialect.is_doubtful(one));
        let lacks = now.as_nanos() < self.lacks_route.load(Ordering::Relaxed);
        doubtful.then(|| match self.route {
            NativeRoute::Auto if lacks => "auto: translate",
            route => route.as_str(),
        })
    }

    /// The way in which it is asked first.
    pub(super) fn way(&self, (dialect, operation): (Dialect, Operation), now: Time) -> Way {
        let lacks = |what: &AtomicU64| now.as_nanos() < what.load(Ordering::Relaxed);
        let translated = dialect.is_doubtful(operation)
            && match self.route {
                NativeRoute::Native => false,
                NativeRoute::Translate => true,
                NativeRoute::Auto => lacks(&self.lacks_route),
            };
        match (translated, lacks(&self.lacks_tools)) {
            (false, false) => Way::Native,
            (false, true) => Way::NativePlain,
            (true, false) => Way::Translated,
            (true, true) => Way::Plain,
        }
    }

    /// The way in which it is asked after it was asked in `way`; `None` where that was all. `failure`: how that failed, if it
    /// did. `custom`: custom tools were in what was sent.
    pub(super) fn next(
        &self,
        (dialect, operation): (Dialect, Operation),
        way: Way,
        failure: Option<&Failure>,
        custom: bool,
        now: Time,
    ) -> Option<Way> {
        let failure = failure?;
        let lacks = |what: &AtomicU64| {
            let until = now + LACKS_FOR;
            what.store(until.as_nanos(), Ordering::Relaxed);
        };
        let may_lack = self.route == NativeRoute::Auto && dialect.is_doubtful(operation);
        match way {
            Way::Native | Way::NativePlain if may_lack && lacks_route(failure) => {
                lacks(&self.lacks_route);
                Some(match way {
                    Way::Native => Way::Translated,
                    _ => Way::Plain,
                })
            }
            Way::Native | Way::Translated if custom && refuses_tools(failure) => {
                lacks(&self.lacks_tools);
                Some(match way {
                    Way::Native => Way::NativePlain,
                    _ => Way::Plain,
                })
            }
            _ => None,
        }
    }
}

/// Whether a failure is about the route.
fn lacks_route(failure: &Failure) -> bool {
    let route = matches!(failure.status, Some(404 | 405 | 501))
        && matches!(
            failure.class,
            Class::CallerFault | Class::Unsupported | Class::Transient
        );
    route || failure.class == Class::NotOffered
}

/// Whether a failure is about the kind of the tools.
fn refuses_tools(failure: &Failure) -> bool {
    let refused = matches!(failure.status, Some(400 | 422))
        && matches!(failure.class, Class::CallerFault | Class::Unsupported);
    let words = failure.detail.to_ascii_lowercase();
    refused && ABOUT_TOOLS.iter().any(|part| words.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::dialects;

    const NOW: Time = Time::from_millis(5);

    fn of(operation: Operation) -> (Dialect, Operation) {
        (dialects::usual(), operation)
    }

    fn failed(class: Class, status: u16, words: &str) -> Failure {
        Failure::new(class, words).with_status(status)
    }

    #[test]
    fn a_provider_that_lacks_an_operation_is_asked_again_after_an_hour() {
        let native = NativeOperations::new(NativeRoute::Auto);
        let way = |operation, now| native.way(of(operation), now);
        let responses = Operation::Responses;
        assert_eq!(way(responses, NOW), Way::Native);
        let lack = failed(Class::NotOffered, 404, "not found");
        let next = native.next(of(responses), Way::Native, Some(&lack), false, NOW);
        assert_eq!(next, Some(Way::Translated));
        assert_eq!(way(responses, NOW), Way::Translated);
        assert_eq!(way(Operation::Chat, NOW), Way::Native);
        assert_eq!(way(responses, NOW + LACKS_FOR), Way::Native);
    }

    #[test]
    fn only_what_is_about_the_route_says_that_it_is_lacking() {
        let next = |route, operation, class, status| {
            let failure = failed(class, status, "");
            let native = NativeOperations::new(route);
            native.next(of(operation), Way::Native, Some(&failure), false, NOW)
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
            let translated = next(auto, responses, class, status) == Some(Way::Translated);
            assert_eq!(translated, expected, "{class:?}");
        }
        assert_eq!(
            next(NativeRoute::Native, responses, Class::NotOffered, 404),
            None
        );
        assert_eq!(next(auto, Operation::Chat, Class::NotOffered, 404), None);
    }

    #[test]
    fn one_that_refuses_custom_tools_gets_functions() {
        let native = NativeOperations::new(NativeRoute::Translate);
        let responses = of(Operation::Responses);
        let refused = failed(
            Class::CallerFault,
            400,
            "tools.0.type: Input should be 'function'",
        );
        let next = |custom, failure: &Failure| {
            native.next(responses, Way::Translated, Some(failure), custom, NOW)
        };
        assert_eq!(next(false, &refused), None);
        assert_eq!(
            next(true, &failed(Class::CallerFault, 400, "temperature")),
            None
        );
        assert_eq!(next(true, &refused), Some(Way::Plain));
        assert_eq!(native.way(responses, NOW), Way::Plain);
        assert_eq!(
            native.next(responses, Way::Plain, Some(&refused), false, NOW),
            None
        );
    }
}
