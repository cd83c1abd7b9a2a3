//! What is known of the models of a configuration, with lists of models or without.

use std::sync::Arc;

use super::known_lists::FetchedLists;
use super::offering;
use super::resolved::Config;
use crate::domain::catalog::coverage::{Coverage, coverage};
use crate::domain::catalog::entry::ModelList;
use crate::domain::catalog::facts::Facts;
use crate::domain::catalog::offer::ModelGroup;
use crate::domain::ids::Upstream;

impl Config {
    /// What is known of an upstream.
    pub fn facts(&self, upstream: &Upstream) -> Arc<Facts> {
        if let Some(known) = &self.known {
            return known.facts(&upstream.provider, &upstream.model);
        }
        let mut providers = self.providers.iter();
        let provider = providers.find(|provider| provider.name == upstream.provider);
        let configured = provider.map(|provider| {
            let sheet = provider.prices.of(&upstream.model);
            offering::configured(provider, sheet.map(Arc::clone))
        });
        Arc::new(Facts::merged(&configured.unwrap_or_default(), &[], false))
    }

    /// All lists of models in the order in which they are asked, with those that were fetched.
    pub fn lists(&self, fetched: &FetchedLists) -> Vec<Arc<ModelList>> {
        offering::lists(&self.providers, &self.catalog, fetched)
    }

    /// Which providers have which models of the indexes among these lists.
    pub fn coverage(&self, lists: &[Arc<ModelList>]) -> Coverage {
        let groups = lists.iter().flat_map(|list| list.groups.iter().cloned());
        let groups: Vec<ModelGroup> = groups.collect();
        let called = self.providers.iter().map(|provider| {
            let view = offering::view(provider, &self.catalog);
            (view.name, view.called)
        });
        coverage(&groups, &self.catalog.required, &called.collect::<Vec<_>>())
    }
}
