//! The persisted state of all keys and providers, those included that the configuration no longer has.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::Additions;
use crate::domain::budget::{PersistedMeter, SpendKey, SpendSum};
use crate::domain::ids::ProviderName;
use crate::domain::persisted::{Fingerprint, PersistedKey, PersistedLimit, PersistedProvider};
use crate::domain::time::Time;

/// The persisted state of one key.
#[derive(Clone, PartialEq, Debug)]
pub struct SnapshotKey {
    /// The provider's name, for people who read the file.
    pub provider: ProviderName,
    /// Why it is out.
    pub persisted: PersistedKey,
    /// The limits that were learned from answers.
    pub limits: Arc<Vec<PersistedLimit>>,
}

/// The persisted state of one provider.
#[derive(Clone, PartialEq, Debug)]
pub struct SnapshotProvider {
    /// The provider's name, for people who read the file.
    pub name: ProviderName,
    /// Why its upstreams are not asked.
    pub persisted: PersistedProvider,
}

/// All of it. Its times are those of this process.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct StateSnapshot {
    keys: BTreeMap<Fingerprint, SnapshotKey>,
    providers: BTreeMap<Fingerprint, SnapshotProvider>,
    /// What providers keep, by name, and the key that holds it; what was not asked for longest first.
    pub resources: Vec<(Box<str>, Fingerprint)>,
    /// What was spent.
    pub spending: Arc<SnapshotSpending>,
    /// What was added while the process ran.
    pub additions: Arc<Additions>,
}

/// What was spent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SnapshotSpending {
    /// Windows of budgets.
    pub meters: Vec<PersistedMeter>,
    /// By day, client, target and provider.
    pub rows: Vec<(SpendKey, SpendSum)>,
}

impl StateSnapshot {
    /// Notes the state of a key that is in use; an empty state removes the entry. Returns whether the snapshot has
    /// changed.
    pub fn note_key(&mut self, fingerprint: Fingerprint, page: SnapshotKey) -> bool {
        if page.persisted.is_empty() && page.limits.is_empty() {
            return self.keys.remove(&fingerprint).is_some();
        }
        let is_news = self.keys.get(&fingerprint) != Some(&page);
        self.keys.insert(fingerprint, page);
        is_news
    }

    /// The same of a provider.
    pub fn note_provider(&mut self, fingerprint: Fingerprint, page: SnapshotProvider) -> bool {
        if page.persisted.is_empty() {
            return self.providers.remove(&fingerprint).is_some();
        }
        let is_news = self.providers.get(&fingerprint) != Some(&page);
        self.providers.insert(fingerprint, page);
        is_news
    }

    /// The provider of this name has this fingerprint now. An operator's hold follows the name, so entries of its
    /// earlier addresses lose theirs. Returns whether one had a hold.
    pub fn follow(&mut self, fingerprint: Fingerprint, name: &ProviderName) -> bool {
        let mut is_news = false;
        for (other, page) in &mut self.providers {
            if *other != fingerprint && page.name == *name {
                is_news |= page.persisted.held.take().is_some();
            }
        }
        self.providers.retain(|_, page| !page.persisted.is_empty());
        is_news
    }

    /// The state of a key.
    pub fn key(&self, fingerprint: Fingerprint) -> Option<&SnapshotKey> {
        self.keys.get(&fingerprint)
    }

    /// The state of a provider.
    pub fn provider(&self, fingerprint: Fingerprint) -> Option<&SnapshotProvider> {
        self.providers.get(&fingerprint)
    }

    /// All keys.
    pub fn keys(&self) -> impl Iterator<Item = (&Fingerprint, &SnapshotKey)> {
        self.keys.iter()
    }

    /// All providers.
    pub fn providers(&self) -> impl Iterator<Item = (&Fingerprint, &SnapshotProvider)> {
        self.providers.iter()
    }

    /// Takes over the entries of `other` that are missing here, except for keys in use: of those this process knows
    /// better. A hold of a provider in use is not taken over either.
    pub fn adopt(&mut self, other: Self, in_use: impl Fn(Fingerprint) -> bool) {
        for (fingerprint, page) in other.keys {
            if !in_use(fingerprint) {
                self.keys.entry(fingerprint).or_insert(page);
            }
        }
        for (fingerprint, mut page) in other.providers {
            page.persisted.held = page.persisted.held.filter(|_| !in_use(fingerprint));
            if !page.persisted.is_empty() {
                self.providers.entry(fingerprint).or_insert(page);
            }
        }
    }

    /// Drops what has passed: of a key in use all but that it is invalid, which a probe ends; of one that is not in use
    /// the whole entry. `in_use` says which is which.
    pub fn tidy(&mut self, now: Time, in_use: impl Fn(Fingerprint) -> bool) {
        self.keys.retain(|fingerprint, page| {
            page.persisted = page.persisted.still(now);
            if page.limits.iter().any(|limit| limit.is_over(now)) {
                let limits = page.limits.iter().filter(|limit| !limit.is_over(now));
                page.limits = Arc::new(limits.cloned().collect());
            }
            let passed = if in_use(*fingerprint) {
                page.persisted.is_empty()
            } else {
                page.persisted.is_over(now)
            };
            !passed || !page.limits.is_empty()
        });
        self.providers.retain(|_, page| {
            page.persisted = page.persisted.still(now);
            !page.persisted.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::persisted::{PersistedCooldown, PersistedQuarantine};

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    fn entry(memory: PersistedKey) -> SnapshotKey {
        SnapshotKey {
            provider: "groq".into(),
            persisted: memory,
            limits: Arc::default(),
        }
    }

    fn cooling(until: Time) -> PersistedKey {
        PersistedKey {
            whole: Some(PersistedCooldown { until, strikes: 1 }),
            ..PersistedKey::default()
        }
    }

    #[test]
    fn what_an_operator_ordered_goes_along_to_another_address() {
        let held = |name: &str| SnapshotProvider {
            name: name.into(),
            persisted: PersistedProvider {
                held: Some(Time::NEVER),
                ..PersistedProvider::default()
            },
        };
        let [before, now, other] = [1, 2, 3].map(|n| Fingerprint([n; 16]));
        let mut book = StateSnapshot::default();
        for (fingerprint, name) in [(before, "a"), (now, "a"), (other, "b")] {
            book.note_provider(fingerprint, held(name));
        }
        assert!(book.follow(now, &"a".into()));
        assert!(book.provider(before).is_none());
        assert!(book.provider(now).is_some() && book.provider(other).is_some());
        assert!(!book.follow(now, &"a".into()));
    }

    #[test]
    fn a_key_that_is_gone_is_kept_until_its_time_is_over() {
        let fingerprint = Fingerprint([1; 16]);
        let mut book = StateSnapshot::default();
        book.note_key(fingerprint, entry(cooling(at(10))));
        book.tidy(at(9), |_| false);
        assert!(book.key(fingerprint).is_some());
        book.tidy(at(10), |_| false);
        assert!(book.key(fingerprint).is_none());
    }

    #[test]
    fn an_invalid_key_in_use_stays_invalid_until_it_has_served() {
        let fingerprint = Fingerprint([1; 16]);
        let quarantine = PersistedQuarantine {
            until: at(10),
            span: Duration::from_secs(600),
        };
        let memory = PersistedKey {
            invalid: Some(quarantine),
            ..PersistedKey::default()
        };
        let mut book = StateSnapshot::default();
        book.note_key(fingerprint, entry(memory));
        book.tidy(at(99), |_| true);
        let kept = book
            .key(fingerprint)
            .and_then(|page| page.persisted.invalid);
        assert_eq!(kept, Some(quarantine));
        book.note_key(fingerprint, entry(PersistedKey::default()));
        assert!(book.key(fingerprint).is_none(), "it has served");
    }

    #[test]
    fn what_another_process_knew_does_not_replace_what_this_one_knows() {
        let (both, other, fine) = (
            Fingerprint([1; 16]),
            Fingerprint([2; 16]),
            Fingerprint([3; 16]),
        );
        let mut book = StateSnapshot::default();
        book.note_key(both, entry(cooling(at(10))));
        let mut theirs = StateSnapshot::default();
        theirs.note_key(both, entry(cooling(at(20))));
        theirs.note_key(other, entry(cooling(at(30))));
        theirs.note_key(fine, entry(cooling(at(40))));
        book.adopt(theirs, |fingerprint| {
            fingerprint == both || fingerprint == fine
        });
        assert!(book.key(fine).is_none());
        let until = |fingerprint| {
            book.key(fingerprint)
                .and_then(|page| page.persisted.whole)
                .map(|whole| whole.until)
        };
        assert_eq!((until(both), until(other)), (Some(at(10)), Some(at(30))));
    }

    #[test]
    fn what_another_process_was_told_of_a_provider_takes_none_out_that_is_in_use() {
        let (used, gone) = (Fingerprint([1; 16]), Fingerprint([2; 16]));
        let mut theirs = StateSnapshot::default();
        for fingerprint in [used, gone] {
            let memory = PersistedProvider {
                held: Some(Time::NEVER),
                ..PersistedProvider::default()
            };
            let name = "groq".into();
            theirs.note_provider(
                fingerprint,
                SnapshotProvider {
                    name,
                    persisted: memory,
                },
            );
        }
        let mut book = StateSnapshot::default();
        book.adopt(theirs, |fingerprint| fingerprint == used);
        assert!(book.provider(used).is_none() && book.provider(gone).is_some());
    }

    #[test]
    fn a_key_that_an_operator_took_out_is_kept_out_of_use_too_until_its_time() {
        let fingerprint = Fingerprint([1; 16]);
        let memory = |held| PersistedKey {
            held: Some(held),
            ..PersistedKey::default()
        };
        let mut book = StateSnapshot::default();
        book.note_key(fingerprint, entry(memory(Time::NEVER)));
        book.tidy(at(9999), |_| false);
        assert!(book.key(fingerprint).is_some());
        book.note_key(fingerprint, entry(memory(at(10))));
        book.tidy(at(10), |_| true);
        assert!(book.key(fingerprint).is_none());
    }
}
