//! Changes of what is added to the process, on their way to it, and how they went.

use serde_json::{Map, Value};
use tokio::sync::oneshot;

use super::mistake::Mistake;
use crate::config::KeyOrigin;
use crate::domain::ids::ProviderName;
use crate::domain::secret::ApiKey;

/// A key that somebody wants to add.
#[derive(Debug)]
pub struct OfferedKey {
    /// Where it comes from.
    pub origin: KeyOrigin,
    /// What its program printed, where it comes from one.
    pub printed: Option<Vec<ApiKey>>,
}

/// A change of what is added.
#[derive(Debug)]
pub enum AdditionChange {
    /// A provider, with its keys.
    AddProvider {
        /// Its name.
        name: ProviderName,
        /// Its settings, as a configuration would have them.
        settings: Map<String, Value>,
        /// Its keys.
        keys: Vec<OfferedKey>,
    },
    /// A key.
    AddKey {
        /// The provider that it is for.
        provider: ProviderName,
        /// The key.
        key: OfferedKey,
    },
    /// A provider that was added, away with it.
    RemoveProvider(ProviderName),
    /// A key that was added, likewise.
    RemoveKey {
        /// Its provider.
        provider: ProviderName,
        /// Its id, as somebody wrote it.
        id: String,
    },
}

/// A change, and where its result goes.
#[derive(Debug)]
pub struct OrderedChange {
    /// What to change.
    pub change: AdditionChange,
    /// Who waits for it.
    pub reply: oneshot::Sender<Result<ChangeDone, ChangeRefusal>>,
}

/// A change is done, and is in use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChangeDone {
    /// The configuration that is in use now.
    pub generation: u64,
    /// Whether something has changed: the same may have been there.
    pub is_new: bool,
    /// The number of the key that was added, if it was one.
    pub number: Option<u64>,
    /// Why the next process will not know of it; `None`: it will, the state file has it.
    pub forgotten: Option<&'static str>,
}

/// Why nothing has changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ChangeRefusal {
    /// What it is about is not there.
    Missing(String),
    /// It contradicts the configuration, or what was added before.
    Conflict(String),
    /// It would not work.
    Invalid(Vec<Mistake>),
}
