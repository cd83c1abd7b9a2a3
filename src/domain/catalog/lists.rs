//! All lists together, and what they say of a provider's model.

use std::sync::Arc;

use super::entry::{Entry, ModelList, Origin};
use super::facts::{Configured, Facts, Match, Statement};
use super::names::{normalised, provider_key, undated};
use crate::domain::hash_map::HashMap;
use crate::domain::ids::{ModelName, ProviderName};
use crate::domain::price_sheet::PriceSheet;

/// A provider as the catalogue needs to know it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KnownProvider {
    /// Its configured name.
    pub name: ProviderName,
    /// What lists may call it, best first: the kind of provider that it is, its name, its aliases.
    pub called: Vec<String>,
    /// Whether the operator runs it.
    pub local: bool,
    /// What the configuration says of all of its models.
    pub configured: Configured,
    /// What it says of some.
    pub models: Vec<(ModelName, Configured)>,
    /// Other ids for models of lists, for ids that no list has.
    pub aliases: Vec<(ModelName, ModelName)>,
}

impl KnownProvider {
    fn configured(&self, model: &str) -> Configured {
        let own = self.models.iter().find(|(name, _)| name.as_str() == model);
        let own = own.map(|(_, own)| own);
        Configured {
            window: own.and_then(|own| own.window).or(self.configured.window),
            max_output: self.configured.max_output,
            capabilities: self.configured.capabilities,
            sheet: own
                .and_then(|own| own.sheet.as_ref())
                .or(self.configured.sheet.as_ref())
                .map(Arc::clone),
        }
    }

    fn alias<'a>(&'a self, model: &'a str) -> &'a str {
        let named = self.aliases.iter().find(|(name, _)| name.as_str() == model);
        named.map_or(model, |(_, model)| model.as_str())
    }
}

/// What one list says of one provider's models.
#[derive(Debug)]
struct Shelf {
    origin: Arc<Origin>,
    entries: Vec<Entry>,
    /// By id and declared alias.
    exact: HashMap<Box<str>, usize>,
    /// By normalised id; ids without a suffix go first.
    plain: HashMap<Box<str>, (usize, bool)>,
}

impl Shelf {
    fn new(origin: Arc<Origin>, entries: Vec<Entry>, keys: &[String]) -> Self {
        let mut exact: HashMap<Box<str>, usize> = HashMap::default();
        let mut plain: HashMap<Box<str>, (usize, bool)> = HashMap::default();
        for (at, entry) in entries.iter().enumerate() {
            exact.insert(entry.id.clone(), at);
            let (id, suffix) = normalised(&entry.id, keys);
            let has_suffix = suffix.is_some();
            let better = |kept: &(usize, bool)| kept.1 && !has_suffix;
            if plain.get(id.as_str()).is_none_or(better) {
                plain.insert(id.into(), (at, has_suffix));
            }
        }
        // An id goes before what another one is declared to mean.
        for (at, entry) in entries.iter().enumerate() {
            for alias in &entry.aliases {
                exact.entry(alias.clone()).or_insert(at);
                let (id, suffix) = normalised(alias, keys);
                plain.entry(id.into()).or_insert((at, suffix.is_some()));
            }
        }
        Self {
            origin,
            entries,
            exact,
            plain,
        }
    }

    fn find(&self, model: &str, keys: &[String]) -> Option<Statement<'_>> {
        let (at, found) = self.place(model, keys)?;
        Some(Statement {
            origin: &self.origin,
            entry: self.entries.get(at)?,
            found,
        })
    }

    fn place(&self, model: &str, keys: &[String]) -> Option<(usize, Match)> {
        if let Some(at) = self.exact.get(model) {
            return Some((*at, Match::Same));
        }
        let (plain, suffix) = normalised(model, keys);
        if let Some((at, has_suffix)) = self.plain.get(plain.as_str()) {
            // A suffix chooses another price: `:free`, `:nitro`, `:floor`.
            let same = !has_suffix && suffix.is_none();
            return Some((*at, if same { Match::Same } else { Match::Related }));
        }
        let (at, _) = self.plain.get(undated(&plain)?)?;
        Some((*at, Match::Related))
    }
}

/// One provider and what the lists say of its models, best list first.
#[derive(Debug)]
struct Shelves {
    provider: KnownProvider,
    keys: Vec<String>,
    shelves: Vec<Shelf>,
    /// Merged before they are asked for, by id.
    merged: HashMap<Box<str>, Arc<Facts>>,
}

impl Shelves {
    fn merge(&self, model: &str) -> Facts {
        let listed = self.provider.alias(model);
        let all = self.shelves.iter();
        let said: Vec<Statement<'_>> = all
            .filter_map(|shelf| shelf.find(listed, &self.keys))
            .collect();
        Facts::merged(&self.provider.configured(model), &said, self.provider.local)
    }
}

/// The catalogue as it stands between two refreshes.
#[derive(Debug, Default)]
pub struct Catalog {
    providers: HashMap<ProviderName, Shelves>,
}

impl Catalog {
    /// Merges lists, those that the operator names in their order. What they say of providers that are not configured is
    /// let go.
    pub fn new(providers: Vec<KnownProvider>, lists: &[Arc<ModelList>]) -> Self {
        let named: Vec<(&Arc<ModelList>, ByProvider<'_>)> = lists
            .iter()
            .filter(|list| list.of.is_none())
            .map(|list| (list, by_provider(list)))
            .collect();
        let all = providers.into_iter().map(|provider| {
            let mut keys: Vec<String> = Vec::new();
            for name in &provider.called {
                let key = provider_key(name);
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
            let own = |list: &&Arc<ModelList>| list.of.as_deref() == Some(provider.name.as_str());
            let owned = lists
                .iter()
                .filter(own)
                .map(|list| (list, list.entries.clone()));
            let named = named.iter().map(|(list, all)| {
                let found = keys.iter().find_map(|key| all.get(key));
                let entries = found.into_iter().flatten().copied();
                (*list, entries.cloned().collect())
            });
            let shelves = owned
                .chain(named)
                .filter(|(_, entries)| !entries.is_empty())
                .map(|(list, entries)| Shelf::new(Arc::clone(&list.origin), entries, &keys))
                .collect();
            let mut shelves = Shelves {
                provider,
                keys,
                shelves,
                merged: HashMap::default(),
            };
            let ids = shelves.shelves.iter().flat_map(|shelf| shelf.exact.keys());
            let ids = ids.map(AsRef::as_ref);
            let configured = shelves.provider.models.iter();
            let ids = ids.chain(configured.map(|(model, _)| model.as_str()));
            let merged = ids.map(|id| (Box::from(id), Arc::new(shelves.merge(id))));
            shelves.merged = merged.collect();
            (shelves.provider.name.clone(), shelves)
        });
        Self {
            providers: all.collect(),
        }
    }

    /// What is known of a provider's model. Costs one lookup for ids that a list has.
    pub fn facts(&self, provider: &ProviderName, model: &ModelName) -> Arc<Facts> {
        let Some(shelves) = self.providers.get(provider) else {
            return Arc::default();
        };
        match shelves.merged.get(model.as_str()) {
            Some(facts) => Arc::clone(facts),
            None => Arc::new(shelves.merge(model.as_str())),
        }
    }

    /// Every id of a provider that some list has, its other names too, in no order, with what is known of it.
    pub fn models<'a>(
        &'a self,
        provider: &ProviderName,
    ) -> impl Iterator<Item = (&'a str, &'a Arc<Facts>)> + use<'a> {
        let shelves = self.providers.get(provider).into_iter();
        let merged = shelves.flat_map(|shelves| &shelves.merged);
        merged.map(|(id, facts)| (&**id, facts))
    }

    /// What a provider's model costs, and who says so.
    pub fn sheet(
        &self,
        provider: &ProviderName,
        model: &ModelName,
    ) -> Option<(Arc<PriceSheet>, Arc<Origin>)> {
        let known = self.facts(provider, model).sheet.clone()?;
        Some((known.value, known.origin))
    }

    /// Models of all providers of which something is known.
    pub fn len(&self) -> usize {
        let all = self.providers.values();
        all.map(|shelves| shelves.merged.len()).sum()
    }

    /// Whether it knows nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The entries of a list of many providers, by the key of each.
type ByProvider<'a> = HashMap<String, Vec<&'a Entry>>;

fn by_provider(list: &ModelList) -> ByProvider<'_> {
    let mut all = ByProvider::default();
    let mut keys: HashMap<&str, String> = HashMap::default();
    for entry in &list.entries {
        let Some(provider) = entry.provider.as_deref() else {
            continue;
        };
        let key = keys
            .entry(provider)
            .or_insert_with(|| provider_key(provider));
        all.entry(key.clone()).or_default().push(entry);
    }
    all
}

#[cfg(test)]
mod tests;
