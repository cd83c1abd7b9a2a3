//! What one list says of one model, and the list itself.

use std::sync::Arc;

use super::capability::Capabilities;
use super::notes::Notes;
use super::offer::ModelGroup;
use crate::domain::price_sheet::PriceSheet;

/// How far along a model is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// Not for everyone yet, and may change.
    Alpha,
    /// Usable, and may change.
    Beta,
    /// Will be switched off.
    Deprecated,
    /// Not served at present.
    Offline,
}

impl Status {
    /// Its name in lists of models.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alpha => "alpha",
            Self::Beta => "beta",
            Self::Deprecated => "deprecated",
            Self::Offline => "offline",
        }
    }
}

/// What a list's price of zero means.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Zero {
    /// Free of charge.
    #[default]
    Free,
    /// Free of charge at a provider that the operator runs, unknown at any other (LiteLLM's map).
    FreeIfLocal,
}

/// What one list says of one model of one provider.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Entry {
    /// The model as its provider spells it.
    pub id: Box<str>,
    /// The list's name for the provider; `None` in a provider's own list.
    pub provider: Option<Box<str>>,
    /// Other ids that the list declares to mean the same model.
    pub aliases: Vec<Box<str>>,
    /// Tokens that the model supports, prompt and answer together.
    pub window: Option<u64>,
    /// Tokens that this provider really takes, where that is said apart: the server was started with fewer, say.
    pub effective_window: Option<u64>,
    /// The most tokens of an answer.
    pub max_output: Option<u64>,
    /// What it can do.
    pub capabilities: Capabilities,
    /// What it costs.
    pub sheet: Option<Arc<PriceSheet>>,
    /// What a sheet of zeros means.
    pub zero: Zero,
    /// Whether it costs nothing by the list's own word.
    pub free: bool,
    /// Whether it answers conversations, as far as that is said: one for embeddings does not.
    pub chats: Option<bool>,
    /// `None`: in general use, or unknown.
    pub status: Option<Status>,
    /// The day on which it is switched off, or since when it is deprecated: `2026-11-29`.
    pub retires: Option<Box<str>>,
}

/// Where a fact comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin {
    /// `configuration`, `groq /models`, `prices.json`, `https://models.dev/api.json`.
    pub name: Box<str>,
    /// When it was read, in seconds since 1970; `None` for the configuration, which has no age.
    pub read_at: Option<u64>,
}

/// An age beyond which what a list says is marked.
const MARKED: u64 = 7 * 24 * 60 * 60;
/// An age beyond which the operator is warned.
const WARNED: u64 = 30 * 24 * 60 * 60;

/// How old a fact is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Freshness {
    /// At most 7 days, or without an age.
    Fresh,
    /// Older than 7 days: it is marked where it is shown.
    Old,
    /// Older than 30 days: the operator is warned.
    Stale,
}

impl Origin {
    /// The configuration itself.
    pub fn configuration() -> Self {
        Self {
            name: "configuration".into(),
            read_at: None,
        }
    }

    /// Seconds since it was read, at `now` (seconds since 1970).
    pub fn age(&self, now: u64) -> Option<u64> {
        self.read_at.map(|read_at| now.saturating_sub(read_at))
    }

    /// Whether it is old, at `now` (seconds since 1970).
    pub fn freshness(&self, now: u64) -> Freshness {
        match self.age(now).unwrap_or(0) {
            0..=MARKED => Freshness::Fresh,
            age if age <= WARNED => Freshness::Old,
            _ => Freshness::Stale,
        }
    }

    /// Its age in days, if the operator is to be warned of it.
    pub fn stale_days(&self, now: u64) -> Option<u64> {
        let is_stale = self.freshness(now) == Freshness::Stale;
        let days = self.age(now)? / (24 * 60 * 60);
        is_stale.then_some(days)
    }
}

/// Everything that one list says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ModelList {
    /// Where it comes from.
    pub origin: Arc<Origin>,
    /// The provider whose own list it is; `None` for a list that the operator names.
    pub of: Option<Box<str>>,
    /// What it lists.
    pub entries: Vec<Entry>,
    /// What it groups under one name across providers (llmrouter's index).
    pub groups: Vec<ModelGroup>,
    /// What of it could not be taken.
    pub notes: Notes,
}

impl ModelList {
    /// Whether it states any price: where none is stated, none makes a model free or paid.
    pub fn states_prices(&self) -> bool {
        self.entries
            .iter()
            .any(|entry| entry.sheet.is_some() || entry.free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_list_says_is_marked_after_a_week_and_warned_of_after_a_month() {
        const DAY: u64 = 24 * 60 * 60;
        let origin = Origin {
            name: "prices.json".into(),
            read_at: Some(DAY),
        };
        let of = |age: u64| (origin.freshness(DAY + age), origin.stale_days(DAY + age));
        assert_eq!(of(7 * DAY), (Freshness::Fresh, None));
        assert_eq!(of(7 * DAY + 1), (Freshness::Old, None));
        assert_eq!(of(30 * DAY), (Freshness::Old, None));
        assert_eq!(of(31 * DAY), (Freshness::Stale, Some(31)));
        assert_eq!(Origin::configuration().stale_days(u64::MAX), None);
        // A clock that was set back makes nothing old.
        assert_eq!(origin.freshness(0), Freshness::Fresh);
    }
}
