//! What an operator adds while the process runs: providers and keys, beside what the configuration says
//! (`docs/additions.md`). Of keys there are references; material that was given as it is stays in this process.

mod reference;
mod status;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::domain::ids::ProviderName;
use crate::domain::secret::ApiKey;

#[cfg(test)]
use self::reference::ReferenceError;
pub use self::reference::SecretReference;
pub use self::status::{AdditionUse, PlacedAddition};

/// So many providers and keys together: an operator adds a few, and each reload looks at all of them.
pub const MOST_ADDITIONS: usize = 1000;

/// Where the material of an added key comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyOrigin {
    /// From where this says, anew with each reload.
    Reference(SecretReference),
    /// It was given as it is: for this process only, since it is written nowhere.
    Literal(ApiKey),
}

/// A key that was added, or several where its reference leads to several.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AddedKey {
    /// Counts the keys that were ever added, from 1; shown as `a1`. No number is given twice, so that taking one away
    /// twice never takes another one away.
    pub number: u64,
    /// The provider that it is for.
    pub provider: ProviderName,
    /// Whether that provider was added too. Such a key never goes to a provider of the configuration that has the name
    /// later, nor the other way round: its address may be somebody else's.
    pub of_added: bool,
    /// Its material, or where that is.
    pub origin: KeyOrigin,
}

impl AddedKey {
    /// Its id among what was added.
    pub fn id(&self) -> String {
        format!("a{}", self.number)
    }

    /// Where it comes from, for people.
    pub fn shown(&self) -> String {
        match &self.origin {
            KeyOrigin::Reference(reference) => reference.to_string(),
            KeyOrigin::Literal(_) => "given as it is".to_owned(),
        }
    }
}

/// The number of a key's id.
pub fn number_of(id: &str) -> Option<u64> {
    let digits = id.strip_prefix('a')?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    digits.parse().ok().filter(|_| plain)
}

/// A provider that was added. Its keys are [`AddedKey`]s.
#[derive(Clone, PartialEq, Debug)]
pub struct AddedProvider {
    /// Its name.
    pub name: ProviderName,
    /// Its other keys, as a configuration would have them.
    pub settings: Map<String, Value>,
}

/// The keys in what a program printed: one per line; blank lines and those that begin with `#` do not count.
pub fn printed_keys(text: &str) -> Vec<ApiKey> {
    let lines = text.lines().map(str::trim);
    let keys = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    keys.map(ApiKey::new).collect()
}

/// Why something is not added.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AdditionConflict {
    /// A provider of that name was added with other settings.
    #[error("a provider of this name was added already, with other settings: take it away first")]
    Different,
    /// There are very many.
    #[error(
        "{MOST_ADDITIONS} providers and keys were added already: take some away, or write them into the configuration"
    )]
    TooMany,
}

/// All that was added, in order.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Additions {
    /// The number of the latest key.
    latest: u64,
    providers: Vec<AddedProvider>,
    keys: Vec<AddedKey>,
}

impl Additions {
    /// From what was kept; `latest` is the number of the latest key.
    pub fn restored(latest: u64, providers: Vec<AddedProvider>, keys: Vec<AddedKey>) -> Self {
        let seen = keys.iter().map(|key| key.number).max();
        Self {
            latest: latest.max(seen.unwrap_or_default()),
            providers,
            keys,
        }
    }

    /// The number of the latest key that was ever added.
    pub fn latest(&self) -> u64 {
        self.latest
    }

    /// The providers.
    pub fn providers(&self) -> &[AddedProvider] {
        &self.providers
    }

    /// The keys.
    pub fn keys(&self) -> &[AddedKey] {
        &self.keys
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.providers.is_empty() && self.keys.is_empty()
    }

    /// Whether a provider of this name was added.
    pub fn has_provider(&self, name: &ProviderName) -> bool {
        self.providers.iter().any(|it| it.name == *name)
    }

    /// The key with this number, of this provider.
    pub fn key(&self, provider: &ProviderName, number: u64) -> Option<&AddedKey> {
        let mut keys = self.keys.iter();
        keys.find(|key| key.number == number && key.provider == *provider)
    }

    /// Adds a provider; `false`: the same one is there.
    ///
    /// # Errors
    /// One with other settings is there, or there are too many.
    pub fn add_provider(
        &mut self,
        name: ProviderName,
        settings: Map<String, Value>,
    ) -> Result<bool, AdditionConflict> {
        if let Some(there) = self.providers.iter().find(|it| it.name == name) {
            let same = there.settings == settings;
            return same.then_some(false).ok_or(AdditionConflict::Different);
        }
        self.room()?;
        self.providers.push(AddedProvider { name, settings });
        Ok(true)
    }

    /// Adds a key, and returns its number, and whether it is new: the same one may be there.
    ///
    /// # Errors
    /// There are too many.
    pub fn add_key(
        &mut self,
        provider: ProviderName,
        origin: KeyOrigin,
    ) -> Result<(u64, bool), AdditionConflict> {
        let of_added = self.has_provider(&provider);
        let same = |key: &&AddedKey| {
            key.provider == provider && key.of_added == of_added && key.origin == origin
        };
        if let Some(there) = self.keys.iter().find(same) {
            return Ok((there.number, false));
        }
        self.room()?;
        self.latest += 1;
        self.keys.push(AddedKey {
            number: self.latest,
            provider,
            of_added,
            origin,
        });
        Ok((self.latest, true))
    }

    /// Takes a provider away, with the keys that were added to it; `false`: there is none.
    pub fn remove_provider(&mut self, name: &ProviderName) -> bool {
        let count = self.providers.len();
        self.providers.retain(|it| it.name != *name);
        self.keys
            .retain(|key| !(key.of_added && key.provider == *name));
        self.providers.len() < count
    }

    /// Takes a key away; `false`: there is none.
    pub fn remove_key(&mut self, provider: &ProviderName, number: u64) -> bool {
        let count = self.keys.len();
        self.keys
            .retain(|key| key.number != number || key.provider != *provider);
        self.keys.len() < count
    }

    /// What the next process may know of it: everything but material.
    #[must_use]
    pub fn without_material(&self) -> Self {
        let mut kept = self.clone();
        kept.keys
            .retain(|key| matches!(key.origin, KeyOrigin::Reference(_)));
        kept
    }

    /// None of it is used, for this reason.
    pub(super) fn unusable(&self, why: &str) -> Vec<PlacedAddition> {
        let providers = self.providers.iter().map(|it| (&it.name, None));
        let keys = self.keys.iter().map(|it| (&it.provider, Some(it.number)));
        let all = providers.chain(keys);
        all.map(|(name, number)| PlacedAddition::unusable(name, number, why))
            .collect()
    }

    fn room(&self) -> Result<(), AdditionConflict> {
        let full = self.providers.len() + self.keys.len() >= MOST_ADDITIONS;
        (!full).then_some(()).ok_or(AdditionConflict::TooMany)
    }
}

/// What may be added.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct AdditionRules {
    /// Whether anything may be.
    pub allow: bool,
    /// Programs that may be run for a key.
    pub exec: Vec<String>,
}

impl AdditionRules {
    /// Whether this program, the first of these words, may be run for a key.
    pub fn runs(&self, words: &[String]) -> bool {
        words
            .first()
            .is_some_and(|program| self.exec.contains(program))
    }
}

/// Additions, and what programs printed for them.
#[derive(Clone, Default, Debug)]
pub struct LoadedAdditions {
    /// What was added.
    pub additions: Additions,
    /// For keys from a program, by number: what it printed, or why nothing is known of it.
    pub printed: BTreeMap<u64, Result<Vec<ApiKey>, String>>,
}

#[cfg(test)]
mod tests;
