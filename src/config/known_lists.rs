//! What the configuration says of lists of models, and what is known of them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::catalog::entry::ModelList;
use crate::domain::catalog::refresh;
use crate::domain::chain::{NameMatch, ProviderEntry, VirtualEntry};
use crate::domain::ids::{ModelName, ProviderName};
use crate::wire::catalog::CatalogFormat;

/// Where a provider's own list of models is, and how long it holds.
#[derive(Clone, PartialEq, Eq)]
pub struct Discovery {
    /// `None`: at its API's root.
    pub url: Option<String>,
    /// Between two fetches.
    pub ttl: Duration,
}

impl fmt::Debug for Discovery {
    /// Without the query, which may hold a credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.url.as_deref().map(shown_url);
        f.debug_struct("Discovery")
            .field("url", &url)
            .field("ttl", &self.ttl)
            .finish()
    }
}

/// A URL without its query, which may hold a credential.
pub fn shown_url(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

impl Default for Discovery {
    fn default() -> Self {
        Self {
            url: None,
            ttl: refresh::TTL,
        }
    }
}

/// Where a list of the operator's is.
#[derive(Clone, PartialEq, Eq)]
pub enum ListPlace {
    /// A file, which has been read.
    File(Arc<ModelList>),
    /// A URL, which may hold a credential in its query.
    Url(String),
}

impl fmt::Debug for ListPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(list) => write!(f, "File({})", list.origin.name),
            Self::Url(url) => write!(f, "Url({})", shown_url(url)),
        }
    }
}

/// One list of the operator's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListSource {
    /// Where it is.
    pub place: ListPlace,
    /// What it is; `None`: it is known by its shape.
    pub format: Option<CatalogFormat>,
    /// Between two fetches.
    pub ttl: Duration,
}

/// Everything about lists of models.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CatalogConfig {
    /// The operator's lists, best first.
    pub sources: Vec<ListSource>,
    /// Providers that must all have a model of an index.
    pub required: Vec<String>,
    /// Whether only free models are offered.
    pub free_only: bool,
    /// Where fetched lists are kept.
    pub state: Option<PathBuf>,
    /// Ids, and what lists have for each.
    pub aliases: Vec<(ModelName, ModelName)>,
}

impl CatalogConfig {}

/// What a fetched list is known by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ListKey {
    /// A provider's own.
    Provider(ProviderName),
    /// The operator's, at this URL.
    Url(String),
}

/// What was fetched.
pub type FetchedLists = BTreeMap<ListKey, Arc<ModelList>>;

/// What the targets are made of, lists of models aside.
#[derive(Clone, PartialEq, Debug)]
pub struct Offering {
    /// The providers.
    pub entries: Vec<ProviderEntry>,
    /// The virtual providers.
    pub chains: Vec<VirtualEntry>,
    /// Other names of providers.
    pub aliases: Vec<(String, ProviderName)>,
    /// What a request without a model means.
    pub default_model: Option<String>,
    /// What a name in a request means that nothing is called.
    pub matching: NameMatch,
}
