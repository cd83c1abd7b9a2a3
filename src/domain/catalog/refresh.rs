//! When a list is read again, and whether a new one is taken.

use std::collections::BTreeSet;
use std::time::Duration;

use super::entry::Entry;

/// The usual time between two reads of a list.
pub const TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// How far a time between reads varies, so that processes started together do not read together.
const JITTER: f64 = 0.1;

/// When to read again after a success, or after a failure, for which a tenth of the time is waited. `draw` is a random
/// number from 0 to 1.
pub fn next_read(ttl: Duration, succeeded: bool, draw: f64) -> Duration {
    let span = if succeeded { ttl } else { ttl / 10 };
    let factor = 1.0 + JITTER * (2.0 * draw.clamp(0.0, 1.0) - 1.0);
    span.mul_f64(factor).max(Duration::from_secs(1))
}

/// What is kept of a list from one read to the next.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KeptList {
    /// What is used: the last list, and what the one before had besides.
    pub entries: Vec<Entry>,
    /// Which of these the last list did not have.
    pub gone_once: BTreeSet<Box<str>>,
}

/// What became of a list that was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is used. So many models have left, seen by two reads.
    Taken {
        /// Models that are gone.
        gone: usize,
    },
    /// It is not used: it has less than half of what there was.
    HeldBack {
        /// Models before.
        before: usize,
        /// Models in the list.
        now: usize,
    },
}

impl KeptList {
    /// Takes a new list, unless it has shrunk to less than half. A model that is missing is kept until the next list is
    /// without it too.
    pub fn take(&mut self, new: Vec<Entry>) -> Verdict {
        let before = self.entries.len() - self.gone_once.len().min(self.entries.len());
        if new.len() * 2 < before {
            return Verdict::HeldBack {
                before,
                now: new.len(),
            };
        }
        let ids: BTreeSet<(Option<&str>, &str)> = new.iter().map(key).collect();
        let mut gone = 0;
        let mut missing = Vec::new();
        let mut gone_once = BTreeSet::new();
        for entry in std::mem::take(&mut self.entries) {
            if ids.contains(&key(&entry)) {
                continue;
            }
            let place = place_of(&entry);
            if self.gone_once.contains(&place) {
                gone += 1;
            } else {
                gone_once.insert(place);
                missing.push(entry);
            }
        }
        self.entries = new;
        self.entries.extend(missing);
        self.gone_once = gone_once;
        Verdict::Taken { gone }
    }

    /// The last list is still the newest: what it did not have is gone. Returns how many models that are.
    pub fn confirm(&mut self) -> usize {
        let gone_once = std::mem::take(&mut self.gone_once);
        let before = self.entries.len();
        self.entries
            .retain(|entry| !gone_once.contains(&place_of(entry)));
        before - self.entries.len()
    }
}

fn key(entry: &Entry) -> (Option<&str>, &str) {
    (entry.provider.as_deref(), &entry.id)
}

/// Which model at which provider, in one text.
fn place_of(entry: &Entry) -> Box<str> {
    let provider = entry.provider.as_deref().unwrap_or_default();
    format!("{provider}\n{}", entry.id).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(ids: &[&str]) -> Vec<Entry> {
        let entries = ids.iter().map(|id| Entry {
            id: (*id).into(),
            ..Entry::default()
        });
        entries.collect()
    }

    fn ids(kept: &KeptList) -> Vec<&str> {
        kept.entries.iter().map(|entry| &*entry.id).collect()
    }

    #[test]
    fn a_model_is_gone_once_two_lists_agree() {
        let mut kept = KeptList::default();
        assert_eq!(
            kept.take(list(&["a", "b", "c"])),
            Verdict::Taken { gone: 0 }
        );
        assert_eq!(kept.take(list(&["a", "b"])), Verdict::Taken { gone: 0 });
        assert_eq!(ids(&kept), ["a", "b", "c"]);
        assert_eq!(
            kept.take(list(&["a", "b", "c"])),
            Verdict::Taken { gone: 0 }
        );
        assert_eq!(kept.take(list(&["a", "b"])), Verdict::Taken { gone: 0 });
        assert_eq!(kept.take(list(&["a", "b"])), Verdict::Taken { gone: 1 });
        assert_eq!(ids(&kept), ["a", "b"]);
        // A server that says that nothing has changed says it again.
        kept.take(list(&["a"]));
        assert_eq!(ids(&kept), ["a", "b"]);
        assert_eq!((kept.confirm(), kept.confirm()), (1, 0));
        assert_eq!(ids(&kept), ["a"]);
    }

    #[test]
    fn a_list_that_shrinks_by_more_than_half_is_held_back() {
        let mut kept = KeptList::default();
        kept.take(list(&["a", "b", "c", "d"]));
        assert_eq!(
            kept.take(list(&["a"])),
            Verdict::HeldBack { before: 4, now: 1 }
        );
        assert_eq!(ids(&kept), ["a", "b", "c", "d"]);
        assert_eq!(
            kept.take(list(&[])),
            Verdict::HeldBack { before: 4, now: 0 }
        );
        assert_eq!(kept.take(list(&["a", "b"])), Verdict::Taken { gone: 0 });
    }

    #[test]
    fn reads_are_spread_and_come_sooner_after_a_failure() {
        assert_eq!(next_read(TTL, true, 0.5), TTL);
        assert_eq!(next_read(TTL, true, 0.0), TTL.mul_f64(0.9));
        assert_eq!(next_read(TTL, true, 1.0), TTL.mul_f64(1.1));
        assert_eq!(next_read(TTL, false, 0.5), TTL / 10);
        assert!(next_read(Duration::ZERO, false, 0.0) >= Duration::from_secs(1));
    }
}
