//! What is known of one model once all lists are merged, each fact with where it comes from.

use std::sync::Arc;

use super::capability::{Capabilities, Capability, PerCapability};
use super::entry::{Entry, Origin, Status, Zero};
use crate::domain::money::Pico;
use crate::domain::price_sheet::PriceSheet;

/// A fact and where it comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sourced<T> {
    /// What is said.
    pub value: T,
    /// Who says it.
    pub origin: Arc<Origin>,
}

/// How an id was found in a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Match {
    /// It stands there, or is declared to mean what stands there, or differs in spelling only.
    Same,
    /// It is a snapshot or a variant of what stands there: windows and capabilities hold for it, prices may not.
    Related,
}

/// What one list says of the model that was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Statement<'a> {
    /// The list.
    pub origin: &'a Arc<Origin>,
    /// What it says.
    pub entry: &'a Entry,
    /// How the model was found in it.
    pub found: Match,
}

/// What the operator says of a model.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Configured {
    /// Tokens that prompt and answer may have together.
    pub window: Option<u64>,
    /// The most tokens of an answer.
    pub max_output: Option<u64>,
    /// What it can do.
    pub capabilities: Capabilities,
    /// What it costs.
    pub sheet: Option<Arc<PriceSheet>>,
}

/// Everything that is known of one model of one provider.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Facts {
    /// Tokens that prompt and answer may have together.
    pub window: Option<Sourced<u64>>,
    /// The most tokens of an answer.
    pub max_output: Option<Sourced<u64>>,
    /// What it can do.
    pub capabilities: PerCapability<Option<Sourced<bool>>>,
    /// What it costs: a sheet of one list, never of two.
    pub sheet: Option<Sourced<Arc<PriceSheet>>>,
    /// Whether the list that knows its price says that it costs nothing.
    pub free: bool,
    /// Whether it answers conversations; `None`: unknown.
    pub chats: Option<bool>,
    /// How far along it is.
    pub status: Option<Sourced<Status>>,
    /// The day on which it is switched off, or since when it is deprecated.
    pub retires: Option<Sourced<Box<str>>>,
}

impl Facts {
    /// Merges what is said, best first, at a provider that is `local`, one that the operator runs.
    pub fn merged(configured: &Configured, said: &[Statement<'_>], local: bool) -> Self {
        let own = Arc::new(Origin::configuration());
        let own_word = |value: u64| Sourced {
            value,
            origin: Arc::clone(&own),
        };
        let mut facts = Self {
            window: configured.window.map(own_word),
            max_output: configured.max_output.map(own_word),
            ..Self::default()
        };
        if facts.window.is_none() {
            facts.window = window(said);
        }
        if facts.max_output.is_none() {
            facts.max_output = first(said, |entry| entry.max_output);
        }
        facts.chats = said.iter().find_map(|said| said.entry.chats);
        facts.status = first(said, |entry| entry.status);
        facts.retires = first(said, |entry| entry.retires.clone());
        for capability in Capability::ALL {
            let configured = configured.capabilities.get(capability);
            let known = match configured {
                Some(can) => Some(Sourced {
                    value: *can,
                    origin: Arc::clone(&own),
                }),
                None => first(said, |entry| *entry.capabilities.get(capability)),
            };
            facts.capabilities.set(capability, known);
        }
        if let Some(sheet) = &configured.sheet {
            facts.free = costs_nothing(sheet);
            facts.sheet = Some(Sourced {
                value: Arc::clone(sheet),
                origin: own,
            });
            return facts;
        }
        let priced = said.iter().find_map(|said| {
            let sheet = said.entry.sheet.as_ref()?;
            let holds = said.found == Match::Same
                && (local || said.entry.zero == Zero::Free || !costs_nothing(sheet));
            holds.then_some((said, sheet))
        });
        if let Some((said, sheet)) = priced {
            facts.free = said.entry.free || costs_nothing(sheet);
            facts.sheet = Some(Sourced {
                value: Arc::clone(sheet),
                origin: Arc::clone(said.origin),
            });
        } else {
            facts.free = said
                .iter()
                .any(|said| said.found == Match::Same && said.entry.free);
        }
        facts
    }

    /// Whether it can do this; `None`: unknown, which excludes nothing.
    pub fn can(&self, capability: Capability) -> Option<bool> {
        let known = self.capabilities.get(capability).as_ref();
        known.map(|known| known.value)
    }

    /// Everybody who said something of it, each once, best first.
    pub fn origins(&self) -> Vec<Arc<Origin>> {
        let mut all: Vec<Arc<Origin>> = Vec::new();
        let window = self.window.iter().map(|known| &known.origin);
        let output = self.max_output.iter().map(|known| &known.origin);
        let sheet = self.sheet.iter().map(|known| &known.origin);
        let each = Capability::ALL.iter();
        let can = each
            .filter_map(|capability| self.capabilities.get(*capability).as_ref())
            .map(|known| &known.origin);
        for origin in window.chain(output).chain(sheet).chain(can) {
            if !all.contains(origin) {
                all.push(Arc::clone(origin));
            }
        }
        all
    }
}

/// The first that is said.
fn first<T>(said: &[Statement<'_>], field: impl Fn(&Entry) -> Option<T>) -> Option<Sourced<T>> {
    said.iter().find_map(|said| {
        Some(Sourced {
            value: field(said.entry)?,
            origin: Arc::clone(said.origin),
        })
    })
}

/// The window that the first list names, unless some list knows that really fewer tokens are taken.
fn window(said: &[Statement<'_>]) -> Option<Sourced<u64>> {
    let supported = first(said, |entry| entry.window);
    let effective = said.iter().filter_map(|said| {
        Some(Sourced {
            value: said.entry.effective_window?,
            origin: Arc::clone(said.origin),
        })
    });
    let smallest = effective.min_by_key(|known| known.value);
    match (supported, smallest) {
        (Some(supported), Some(smallest)) if smallest.value >= supported.value => Some(supported),
        (supported, smallest) => smallest.or(supported),
    }
}

/// Whether every token is free.
fn costs_nothing(sheet: &PriceSheet) -> bool {
    let rates = &sheet.rates;
    let zero = |rate: Option<Pico>| rate.is_none_or(|rate| rate == Pico::ZERO);
    let any = rates.input.or(rates.output).is_some();
    let free = any && zero(rates.input) && zero(rates.output);
    free && sheet.others.iter().all(costs_nothing)
}
