//! What is known of all keys and providers, those included that the configuration has no longer.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::ids::ProviderName;
use crate::domain::memory::{KeyMemory, LimitMemory, Mark, ProviderMemory};
use crate::domain::time::Time;

/// One key's.
#[derive(Clone, PartialEq, Debug)]
pub struct KeyPage {
    /// Whose key it is: for people who read the file.
    pub provider: ProviderName,
    /// Why it is out.
    pub memory: KeyMemory,
    /// Its learned limits.
    pub limits: Arc<Vec<LimitMemory>>,
}

/// One provider's.
#[derive(Clone, PartialEq, Debug)]
pub struct ProviderPage {
    /// Its name: for people who read the file.
    pub name: ProviderName,
    /// Why its upstreams are not asked.
    pub memory: ProviderMemory,
}

/// All of it. Its times are those of this process.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Book {
    keys: BTreeMap<Mark, KeyPage>,
    providers: BTreeMap<Mark, ProviderPage>,
}

impl Book {
    /// Writes down what is known of a key that is in use. Nothing worth keeping: nothing is written down. Says whether
    /// that is news.
    pub fn note_key(&mut self, mark: Mark, page: KeyPage) -> bool {
        if page.memory.is_empty() && page.limits.is_empty() {
            return self.keys.remove(&mark).is_some();
        }
        let is_news = self.keys.get(&mark) != Some(&page);
        self.keys.insert(mark, page);
        is_news
    }

    /// The same of a provider.
    pub fn note_provider(&mut self, mark: Mark, page: ProviderPage) -> bool {
        if page.memory.is_empty() {
            return self.providers.remove(&mark).is_some();
        }
        let is_news = self.providers.get(&mark) != Some(&page);
        self.providers.insert(mark, page);
        is_news
    }

    /// The provider of this name is the one of this mark now: what an operator ordered went along with it, so that its pages
    /// from earlier addresses say nothing of that any more. Says whether one did.
    pub fn follow(&mut self, mark: Mark, name: &ProviderName) -> bool {
        let mut is_news = false;
        for (other, page) in &mut self.providers {
            if *other != mark && page.name == *name {
                is_news |= page.memory.held.take().is_some();
            }
        }
        self.providers.retain(|_, page| !page.memory.is_empty());
        is_news
    }

    /// What is known of a key.
    pub fn key(&self, mark: Mark) -> Option<&KeyPage> {
        self.keys.get(&mark)
    }

    /// What is known of a provider.
    pub fn provider(&self, mark: Mark) -> Option<&ProviderPage> {
        self.providers.get(&mark)
    }

    /// All keys.
    pub fn keys(&self) -> impl Iterator<Item = (&Mark, &KeyPage)> {
        self.keys.iter()
    }

    /// All providers.
    pub fn providers(&self) -> impl Iterator<Item = (&Mark, &ProviderPage)> {
        self.providers.iter()
    }

    /// Takes over what `other` knows of those that are not in here, unless a key is in use: then this process has seen
    /// for itself that there is nothing to know. Nor is a provider in use taken out for what the other process was told.
    pub fn adopt(&mut self, other: Self, in_use: impl Fn(Mark) -> bool) {
        for (mark, page) in other.keys {
            if !in_use(mark) {
                self.keys.entry(mark).or_insert(page);
            }
        }
        for (mark, mut page) in other.providers {
            page.memory.held = page.memory.held.filter(|_| !in_use(mark));
            if !page.memory.is_empty() {
                self.providers.entry(mark).or_insert(page);
            }
        }
    }

    /// Drops what has passed: of a key in use all but its quarantine, whose end is a probe; of one that is not the
    /// whole page. `in_use` says which is which.
    pub fn tidy(&mut self, now: Time, in_use: impl Fn(Mark) -> bool) {
        self.keys.retain(|mark, page| {
            page.memory = page.memory.still(now);
            if page.limits.iter().any(|limit| limit.is_over(now)) {
                let limits = page.limits.iter().filter(|limit| !limit.is_over(now));
                page.limits = Arc::new(limits.cloned().collect());
            }
            let passed = match in_use(*mark) {
                true => page.memory.is_empty(),
                false => page.memory.is_over(now),
            };
            !passed || !page.limits.is_empty()
        });
        self.providers.retain(|_, page| {
            page.memory = page.memory.still(now);
            !page.memory.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::memory::{CooldownMemory, QuarantineMemory};

    fn at(seconds: u64) -> Time {
        Time::ZERO + Duration::from_secs(seconds)
    }

    fn page(memory: KeyMemory) -> KeyPage {
        KeyPage {
            provider: "groq".into(),
            memory,
            limits: Arc::default(),
        }
    }

    fn cooling(until: Time) -> KeyMemory {
        KeyMemory {
            whole: Some(CooldownMemory { until, strikes: 1 }),
            ..KeyMemory::default()
        }
    }

    #[test]
    fn what_an_operator_ordered_goes_along_to_another_address() {
        let held = |name: &str| ProviderPage {
            name: name.into(),
            memory: ProviderMemory {
                held: Some(Time::NEVER),
                ..ProviderMemory::default()
            },
        };
        let [before, now, other] = [1, 2, 3].map(|n| Mark([n; 16]));
        let mut book = Book::default();
        for (mark, name) in [(before, "a"), (now, "a"), (other, "b")] {
            book.note_provider(mark, held(name));
        }
        assert!(book.follow(now, &"a".into()));
        assert!(book.provider(before).is_none());
        assert!(book.provider(now).is_some() && book.provider(other).is_some());
        assert!(!book.follow(now, &"a".into()));
    }

    #[test]
    fn a_key_that_is_gone_is_kept_until_its_time_is_over() {
        let mark = Mark([1; 16]);
        let mut book = Book::default();
        book.note_key(mark, page(cooling(at(10))));
        book.tidy(at(9), |_| false);
        assert!(book.key(mark).is_some());
        book.tidy(at(10), |_| false);
        assert!(book.key(mark).is_none());
    }

    #[test]
    fn an_invalid_key_in_use_stays_invalid_until_it_has_served() {
        let mark = Mark([1; 16]);
        let quarantine = QuarantineMemory {
            until: at(10),
            span: Duration::from_secs(600),
        };
        let memory = KeyMemory {
            quarantine: Some(quarantine),
            ..KeyMemory::default()
        };
        let mut book = Book::default();
        book.note_key(mark, page(memory));
        book.tidy(at(99), |_| true);
        let kept = book.key(mark).and_then(|page| page.memory.quarantine);
        assert_eq!(kept, Some(quarantine));
        book.note_key(mark, page(KeyMemory::default()));
        assert!(book.key(mark).is_none(), "it has served");
    }

    #[test]
    fn what_another_process_knew_does_not_replace_what_this_one_knows() {
        let (both, other, fine) = (Mark([1; 16]), Mark([2; 16]), Mark([3; 16]));
        let mut book = Book::default();
        book.note_key(both, page(cooling(at(10))));
        let mut theirs = Book::default();
        theirs.note_key(both, page(cooling(at(20))));
        theirs.note_key(other, page(cooling(at(30))));
        theirs.note_key(fine, page(cooling(at(40))));
        book.adopt(theirs, |mark| mark == both || mark == fine);
        assert!(book.key(fine).is_none());
        let until = |mark| {
            book.key(mark)
                .and_then(|page| page.memory.whole)
                .map(|whole| whole.until)
        };
        assert_eq!((until(both), until(other)), (Some(at(10)), Some(at(30))));
    }

    #[test]
    fn what_another_process_was_told_of_a_provider_takes_none_out_that_is_in_use() {
        let (used, gone) = (Mark([1; 16]), Mark([2; 16]));
        let mut theirs = Book::default();
        for mark in [used, gone] {
            let memory = ProviderMemory {
                held: Some(Time::NEVER),
                ..ProviderMemory::default()
            };
            let name = "groq".into();
            theirs.note_provider(mark, ProviderPage { name, memory });
        }
        let mut book = Book::default();
        book.adopt(theirs, |mark| mark == used);
        assert!(book.provider(used).is_none() && book.provider(gone).is_some());
    }

    #[test]
    fn a_key_that_an_operator_took_out_is_kept_out_of_use_too_until_its_time() {
        let mark = Mark([1; 16]);
        let memory = |held| KeyMemory {
            held: Some(held),
            ..KeyMemory::default()
        };
        let mut book = Book::default();
        book.note_key(mark, page(memory(Time::NEVER)));
        book.tidy(at(9999), |_| false);
        assert!(book.key(mark).is_some());
        book.note_key(mark, page(memory(at(10))));
        book.tidy(at(10), |_| true);
        assert!(book.key(mark).is_none());
    }
}
