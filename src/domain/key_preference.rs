//! The key that a conversation belongs to at a provider that keeps conversations at keys, and why it went to another one. No
//! I/O, no clock, no logging.

use std::sync::Arc;

use super::ids::KeyId;
use super::refusal::Reason;
use super::routing_note::AffinityOutcome;

/// Where a conversation belongs among the keys of a provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyPreference {
    /// The key that it comes to whenever that has room.
    pub home: KeyId,
    /// That key's account, if it names one.
    pub account: Option<Arc<str>>,
    /// That key, or its account, has its share of the requests already, so another one is asked first.
    pub over_bound: bool,
    /// Why that key could not be asked, where it could not.
    pub out: Option<Reason>,
}

impl KeyPreference {
    /// What became of the conversation, whose request went to this key.
    pub fn outcome(&self, served: &KeyId) -> AffinityOutcome {
        match (self.home == *served, self.out, self.over_bound) {
            (true, ..) => AffinityOutcome::Home,
            (false, None, true) => AffinityOutcome::OverBound,
            (false, ..) => AffinityOutcome::Moved,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_out_is_no_key_over_its_bound() {
        let key = |index| KeyId {
            provider: "p".into(),
            index,
        };
        let told = |over_bound, out, served| {
            let preference = KeyPreference {
                home: key(1),
                account: None,
                over_bound,
                out,
            };
            preference.outcome(&key(served))
        };
        let cooling = Some(Reason::Cooling);
        assert_eq!(told(false, None, 1), AffinityOutcome::Home);
        assert_eq!(told(true, None, 1), AffinityOutcome::Home);
        assert_eq!(told(true, None, 2), AffinityOutcome::OverBound);
        assert_eq!(told(true, cooling, 2), AffinityOutcome::Moved);
        assert_eq!(told(false, cooling, 2), AffinityOutcome::Moved);
    }
}
