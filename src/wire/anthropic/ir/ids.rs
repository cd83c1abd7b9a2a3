//! Ids of calls: the API takes letters, digits, `_` and `-`, and each id once.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::wire::token;

/// The longest that is passed on as it is.
const LONGEST: usize = 64;
/// So many hexadecimal digits stand for an id that is not taken as it is: 96 bits.
const DIGITS: usize = 24;

/// The id as it may stand in a message: as it is where it may, else one that is the same each time.
pub(in crate::wire::anthropic) fn fitting(id: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !id.is_empty() && id.len() <= LONGEST && id.chars().all(fits) {
        return id.to_owned();
    }
    let digest = token::mixed(b"call", id.as_bytes());
    format!("toolu_{}", digest.get(..DIGITS).unwrap_or(&digest))
}

/// The ids of one conversation.
#[derive(Debug, Default)]
pub(super) struct CallIds {
    used: HashSet<String>,
    /// By the caller's id: the number of the latest call of that id.
    latest: HashMap<String, usize>,
    /// Calls without an answer yet, by their numbers.
    open: BTreeMap<usize, String>,
}

impl CallIds {
    /// The id of one more call.
    pub(super) fn call(&mut self, id: Option<&str>) -> String {
        let (id, place) = (id.unwrap_or_default(), self.used.len());
        let base = match id {
            "" => format!("call_{place}"),
            id => fitting(id),
        };
        let mut own = base.clone();
        let mut number = 2;
        while self.used.contains(&own) {
            own = format!("{base}_{number}");
            number += 1;
        }
        self.used.insert(own.clone());
        self.latest.insert(id.to_owned(), place);
        self.open.insert(place, own.clone());
        own
    }

    /// The id of the call that this result answers; `None` when none waits for it.
    pub(super) fn result(&mut self, id: &str) -> Option<String> {
        match id {
            "" => self.open.pop_first().map(|(_, own)| own),
            id => self.open.remove(self.latest.get(id)?),
        }
    }

    /// Calls that got no answer.
    pub(super) fn unanswered(&mut self) -> impl Iterator<Item = String> + use<> {
        std::mem::take(&mut self.open).into_values()
    }

    /// Whether calls wait for answers.
    pub(super) fn waits(&self) -> bool {
        !self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_are_kept_where_they_may_be_and_each_call_has_its_own() {
        let mut ids = CallIds::default();
        assert_eq!(ids.call(Some("call_a")), "call_a");
        assert_eq!(ids.result("call_a").as_deref(), Some("call_a"));
        assert_eq!(ids.result("call_a"), None, "once");
        assert_eq!(ids.call(Some("call_a")), "call_a_2");
        assert_eq!(ids.result("call_a").as_deref(), Some("call_a_2"));
        let nameless = ids.call(None);
        assert_eq!(ids.result("").as_deref(), Some(nameless.as_str()));
        assert_ne!(fitting("functions.w:0"), fitting("functions.w:1"));
    }

    proptest! {
        #[test]
        fn any_ids_fit_and_differ(all in prop::collection::hash_set(".{0,70}", 1..8)) {
            let mut ids = CallIds::default();
            let own: HashSet<String> = all.iter().map(|id| ids.call(Some(id))).collect();
            prop_assert_eq!(own.len(), all.len());
            for id in &own {
                let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
                prop_assert!(!id.is_empty() && id.chars().all(fits));
            }
        }
    }
}
