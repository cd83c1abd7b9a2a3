//! What a failure counts for that comes after its attempt began well.

use super::outcome::{Class, Failure};

/// What a later failure of an attempt counts for.
#[derive(Clone, Debug)]
pub struct Blame {
    /// Whether it may count against the upstream's health.
    may: bool,
    /// The classes that the request met elsewhere: one more of them says something about the request.
    met: Vec<Class>,
}

impl Blame {
    /// `may`: against the upstream's health at all. `met`: the classes that the request met elsewhere.
    pub fn new(may: bool, met: Vec<Class>) -> Self {
        Self { may, met }
    }

    /// Whether this one counts against the key, the model or the upstream that it is about.
    pub fn counts(&self, failure: &Failure) -> bool {
        match failure.class {
            Class::InvalidKey | Class::QuotaExhausted | Class::ModelGone => failure.certain,
            class => self.may && failure.certain && !self.met.contains(&class),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_request_met_elsewhere_is_not_held_against_the_upstream() {
        let blame = Blame::new(true, vec![Class::Network]);
        assert!(!blame.counts(&Failure::new(Class::Network, "reset")));
        assert!(blame.counts(&Failure::new(Class::Timeout, "silent")));
    }

    #[test]
    fn a_key_is_blamed_for_what_is_certain_and_only_for_that() {
        let blame = Blame::new(false, Vec::new());
        assert!(blame.counts(&Failure::new(Class::InvalidKey, "revoked")));
        let doubtful = Failure {
            certain: false,
            ..Failure::new(Class::InvalidKey, "403")
        };
        assert!(!blame.counts(&doubtful));
    }
}
