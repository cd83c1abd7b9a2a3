//! What has changed from one list of models to another.

use std::collections::BTreeMap;

use super::capability::Capability;
use super::entry::{Entry, Status};

/// A fact that two lists say differently; an empty text where one says nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FactChange {
    /// What it is: `context_window`, `input`, `tools`, ….
    pub fact: &'static str,
    /// What the first list says.
    pub before: String,
    /// What the second one says.
    pub after: String,
}

/// What became of a model.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EntryChange {
    /// Only the second list has it.
    Added,
    /// Only the first one has it.
    Removed,
    /// Both have it, and say different things.
    Changed(Vec<FactChange>),
}

/// A model of which two lists say different things.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ModelChange {
    /// What the lists call its provider; empty in a provider's own list.
    pub provider: String,
    /// The model.
    pub model: String,
    /// What became of it.
    pub change: EntryChange,
}

/// The changes from `before` to `after`, by provider and model. Prices are those of the moment `unix`, in seconds since
/// 1970, per million tokens.
pub fn changes(before: &[Entry], after: &[Entry], unix: i64) -> Vec<ModelChange> {
    let before = by_name(before);
    let after = by_name(after);
    let mut all: BTreeMap<(&str, &str), EntryChange> = BTreeMap::new();
    for (name, entry) in &before {
        let change = match after.get(name) {
            None => Some(EntryChange::Removed),
            Some(later) => {
                let facts = differing(entry, later, unix);
                (!facts.is_empty()).then_some(EntryChange::Changed(facts))
            }
        };
        all.extend(change.map(|change| (*name, change)));
    }
    let added = after.keys().filter(|name| !before.contains_key(*name));
    all.extend(added.map(|name| (*name, EntryChange::Added)));
    let named = all
        .into_iter()
        .map(|((provider, model), change)| ModelChange {
            provider: provider.to_owned(),
            model: model.to_owned(),
            change,
        });
    named.collect()
}

fn by_name(entries: &[Entry]) -> BTreeMap<(&str, &str), &Entry> {
    let named = entries.iter().map(|entry| {
        let provider = entry.provider.as_deref().unwrap_or_default();
        ((provider, &*entry.id), entry)
    });
    named.collect()
}

fn differing(before: &Entry, after: &Entry, unix: i64) -> Vec<FactChange> {
    let (before, after) = (facts(before, unix), facts(after, unix));
    let pairs = before.into_iter().zip(after);
    let changed = pairs.filter(|((_, before), (_, after))| before != after);
    let changed = changed.map(|((fact, before), (_, after))| FactChange {
        fact,
        before,
        after,
    });
    changed.collect()
}

/// What a list says of a model, without what it does not say. Prices as in [`changes`].
pub fn stated(entry: &Entry, unix: i64) -> Vec<(&'static str, String)> {
    let mut stated = facts(entry, unix);
    stated.retain(|(_, said)| !said.is_empty());
    stated
}

/// The same, always the same facts in the same order.
fn facts(entry: &Entry, unix: i64) -> Vec<(&'static str, String)> {
    let sheet = entry.sheet.as_ref().and_then(|sheet| sheet.at(unix));
    let rates = sheet.map(|sheet| sheet.rates).unwrap_or_default();
    let count = |tokens: Option<u64>| tokens.map_or_else(String::new, |tokens| tokens.to_string());
    let mut facts = vec![
        (
            "context_window",
            count(entry.effective_window.or(entry.window)),
        ),
        ("max_output_tokens", count(entry.max_output)),
    ];
    for (name, rate) in [
        ("input", rates.input),
        ("output", rates.output),
        ("cached_input", rates.cached_input),
        ("cache_write", rates.cache_write),
    ] {
        facts.push((name, rate.map_or_else(String::new, |rate| rate.decimal(6))));
    }
    for capability in Capability::ALL {
        let can = entry.capabilities.get(capability);
        let word = can.map_or_else(String::new, |can| can.to_string());
        facts.push((capability.name(), word));
    }
    let status = entry.status.map_or("", Status::name);
    facts.push(("status", status.to_owned()));
    let retires = entry.retires.as_deref().unwrap_or_default();
    facts.push(("deprecation_date", retires.to_owned()));
    facts
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::money::Pico;
    use crate::domain::price_sheet::{PriceSheet, Rates};

    fn entry(id: &str, window: u64, input: &str) -> Entry {
        let rates = Rates {
            input: Pico::per_token_of_million(input),
            ..Rates::default()
        };
        Entry {
            id: id.into(),
            window: Some(window),
            sheet: Some(Arc::new(PriceSheet {
                rates,
                ..PriceSheet::default()
            })),
            ..Entry::default()
        }
    }

    #[test]
    fn models_come_go_and_change() {
        let before = [
            entry("a", 8192, "1"),
            entry("b", 8192, "1"),
            entry("c", 1, "1"),
        ];
        let after = [
            entry("d", 1, "1"),
            entry("b", 16_384, "0.5"),
            entry("a", 8192, "1"),
        ];
        let found = changes(&before, &after, 0);
        let names: Vec<&str> = found.iter().map(|change| change.model.as_str()).collect();
        assert_eq!(names, ["b", "c", "d"]);
        let fact = |fact, before: &str, after: &str| FactChange {
            fact,
            before: before.to_owned(),
            after: after.to_owned(),
        };
        let expected = [
            EntryChange::Changed(vec![
                fact("context_window", "8192", "16384"),
                fact("input", "1", "0.5"),
            ]),
            EntryChange::Removed,
            EntryChange::Added,
        ];
        let found: Vec<EntryChange> = found.into_iter().map(|change| change.change).collect();
        assert_eq!(found, expected);
        assert!(changes(&after, &after, 0).is_empty());
    }
}
