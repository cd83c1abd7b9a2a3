//! What the steps of resolving hand each other: their surroundings, and the providers that are there so far.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::additions::LoadedAdditions;
use super::catalog;
use super::keys;
use super::read::Report;
use super::resolved::{KeyConfig, ProviderConfig};
use crate::domain::chain::ProviderEntry;
use crate::domain::ids::ProviderName;

/// What resolving needs besides the file's content.
pub(super) struct Context<'a> {
    pub env: &'a BTreeMap<String, String>,
    /// Where relative paths of the file start.
    pub dir: PathBuf,
    /// Where relative paths of variables start.
    pub working_dir: PathBuf,
    /// Built-in providers with keys in the environment are present.
    pub with_environment: bool,
    /// Neither a file nor a variable speaks of providers.
    pub bare: bool,
    /// Whether providers' own lists of models are fetched where they do not say it themselves.
    pub discover: bool,
    /// What was added while the process runs.
    pub added: &'a LoadedAdditions,
}

impl Context<'_> {
    /// The keys that variables of these names lead to.
    pub fn keys(&self, names: &[String], report: &mut Report) -> Vec<KeyConfig> {
        keys::from_env(names, self.env, &self.working_dir).told(report)
    }
}

/// A provider and how it came to be there.
pub(super) struct Placed {
    pub provider: ProviderConfig,
    /// It was not named in the file.
    pub builtin: bool,
    /// It was added while the process runs.
    pub added: bool,
}

impl Placed {
    /// The provider as far as targets are concerned.
    pub fn entry(&self) -> ProviderEntry {
        ProviderEntry {
            name: self.provider.name.clone(),
            model: self.provider.model.clone(),
            models: self.provider.models.clone(),
            builtin: self.builtin,
            added: self.added,
        }
    }
}

/// The names that resolve to a provider besides its own: its built-in id and the aliases of that.
pub(super) fn other_names(placed: &[Placed]) -> Vec<(String, ProviderName)> {
    let mut names = Vec::new();
    for placed in placed {
        let Some(entry) = catalog::find(&placed.provider.kind) else {
            continue;
        };
        for name in entry.aliases.iter().chain([&entry.id]) {
            let taken = names.iter().any(|(other, _): &(String, _)| other == name);
            if name != placed.provider.name.as_str() && !taken {
                names.push((name.clone(), placed.provider.name.clone()));
            }
        }
    }
    names
}
