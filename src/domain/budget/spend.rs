//! What was spent, by day, client, target and provider: a bounded table.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::period::{date, day_of};
use crate::domain::money::Pico;

/// Rows that are kept. Beyond them a day has one row for everything else.
pub const MOST_ROWS: usize = 4096;
/// Days that are kept, the present one included.
pub const KEPT_DAYS: i64 = 92;
/// The name of everything else. Callers make up names of models.
const OTHER: &str = "other";
/// Names are kept up to this length.
const LONGEST: usize = 128;

/// What a row is of.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SpendKey {
    /// Days since 1970, in UTC.
    pub day: i64,
    /// The client's name; empty without one.
    pub client: Arc<str>,
    /// What was asked for.
    pub target: Arc<str>,
    /// The provider that was paid.
    pub provider: Arc<str>,
}

/// A sum of what was spent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SpendSum {
    /// All of it.
    pub cost: Pico,
    /// The part whose counts were estimated.
    pub estimated: Pico,
    /// Requests that ended.
    pub requests: u64,
    /// Attempts that cost something, or whose cost is known to be nothing.
    pub attempts: u64,
}

impl SpendSum {
    fn add(&mut self, other: &Self) {
        self.cost = self.cost.plus(other.cost);
        self.estimated = self.estimated.plus(other.estimated);
        self.requests = self.requests.saturating_add(other.requests);
        self.attempts = self.attempts.saturating_add(other.attempts);
    }
}

/// By what it is summed up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpendBy {
    /// The day, in UTC.
    Day,
    /// The client.
    Client,
    /// The target.
    Target,
    /// The provider.
    Provider,
}

impl SpendBy {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Day, Self::Client, Self::Target, Self::Provider];

    /// Its word in questions and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Client => "client",
            Self::Target => "target",
            Self::Provider => "provider",
        }
    }

    fn of(self, key: &SpendKey) -> String {
        match self {
            Self::Day => date(key.day),
            Self::Client => key.client.to_string(),
            Self::Target => key.target.to_string(),
            Self::Provider => key.provider.to_string(),
        }
    }
}

/// The table.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SpendLedger {
    rows: BTreeMap<SpendKey, SpendSum>,
}

impl SpendLedger {
    /// Adds to the row of the day of this moment, in seconds since 1970.
    pub fn add(&mut self, unix: i64, client: &str, target: &str, provider: &str, sum: &SpendSum) {
        let day = day_of(unix);
        self.add_to(
            SpendKey {
                day,
                client: cut(client),
                target: cut(target),
                provider: cut(provider),
            },
            sum,
        );
    }

    /// A row of an earlier process.
    pub fn restore(&mut self, key: SpendKey, sum: &SpendSum) {
        self.add_to(key, sum);
    }

    fn add_to(&mut self, key: SpendKey, sum: &SpendSum) {
        let newest = self
            .rows
            .last_key_value()
            .map_or(key.day, |(last, _)| last.day);
        let newest = newest.max(key.day);
        if self.rows.len() >= MOST_ROWS && !self.rows.contains_key(&key) {
            self.rows.retain(|row, _| newest - row.day < KEPT_DAYS);
        }
        let has_room = self.rows.len() < MOST_ROWS || self.rows.contains_key(&key);
        let key = match has_room {
            true => key,
            false => SpendKey {
                client: OTHER.into(),
                target: OTHER.into(),
                provider: OTHER.into(),
                ..key
            },
        };
        self.rows.entry(key).or_default().add(sum);
    }

    /// All rows, the oldest first.
    pub fn rows(&self) -> impl Iterator<Item = (&SpendKey, &SpendSum)> {
        self.rows.iter()
    }

    /// Sums of the rows of the last `days` days up to this moment, by these columns; without columns the sum of all.
    pub fn sums(&self, by: &[SpendBy], days: i64, unix: i64) -> Vec<(Vec<String>, SpendSum)> {
        let first = day_of(unix).saturating_sub(days.saturating_sub(1));
        let mut sums: BTreeMap<Vec<String>, SpendSum> = BTreeMap::new();
        for (key, sum) in self.rows.iter().filter(|(key, _)| key.day >= first) {
            let names = by.iter().map(|by| by.of(key)).collect();
            sums.entry(names).or_default().add(sum);
        }
        sums.into_iter().collect()
    }
}

fn cut(name: &str) -> Arc<str> {
    let end = name
        .char_indices()
        .nth(LONGEST)
        .map_or(name.len(), |(end, _)| end);
    name.get(..end).unwrap_or_default().into()
}
