//! What a reader has to say of a list besides its entries: it is kept with the list, so that an operator can see what of
//! it was not taken.

use std::collections::BTreeMap;

/// Warnings that are kept of one list; more are counted.
const MOST_WARNINGS: usize = 100;
/// Names of lost keys that are kept of one list.
const MOST_LOST: usize = 500;

/// What was odd in a list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Notes {
    /// Each names the entry and what is wrong with it.
    pub warnings: Vec<String>,
    /// Further ones that were not kept.
    pub more_warnings: u64,
    /// Keys that no reader knows, in all entries.
    pub unknown_keys: u64,
    /// Prices that the normal form has no place for, with the number of entries that have them.
    pub lost: BTreeMap<String, u64>,
}

impl Notes {
    /// Keeps a warning.
    pub fn warn(&mut self, warning: String) {
        if self.warnings.len() < MOST_WARNINGS {
            self.warnings.push(warning);
        } else {
            self.more_warnings += 1;
        }
    }

    /// Counts a key of an entry whose price is lost.
    pub fn lose(&mut self, key: &str) {
        if let Some(count) = self.lost.get_mut(key) {
            *count += 1;
        } else if self.lost.len() < MOST_LOST {
            self.lost.insert(key.to_owned(), 1);
        }
    }

    /// Takes in those of another page of the same list.
    pub fn append(&mut self, other: Self) {
        for warning in other.warnings {
            self.warn(warning);
        }
        self.more_warnings += other.more_warnings;
        self.unknown_keys += other.unknown_keys;
        for (key, count) in other.lost {
            if self.lost.len() < MOST_LOST || self.lost.contains_key(&key) {
                *self.lost.entry(key).or_default() += count;
            }
        }
    }
}
