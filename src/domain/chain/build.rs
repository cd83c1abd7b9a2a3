//! Building the targets of a configuration: the providers' own names first, then the virtual providers, then
//! the default.

use std::borrow::Borrow;
use std::sync::Arc;

use super::{Chain, ChainError, Listed, Prefix, ProviderEntry, Targets, VirtualEntry, expand};
use crate::domain::hash_map::HashMap;
use crate::domain::ids::{ModelName, ProviderName, Upstream};

impl Targets {
    /// Flattens every chain.
    ///
    /// # Errors
    /// Every mistake at once: see [`ChainError`].
    pub fn build(
        providers: &[ProviderEntry],
        virtuals: &[VirtualEntry],
        default_model: Option<&str>,
    ) -> Result<Self, Vec<ChainError>> {
        let mut errors = expand::name_errors(providers, virtuals);
        let mut targets = Self::of_providers(providers);
        errors.extend(expand::add_virtuals(&mut targets, virtuals));
        targets.virtuals = virtuals.to_vec();
        if let Some(name) = default_model {
            match targets.named(name) {
                Ok(chain) => targets.default = Some(chain),
                // A default that is a broken virtual provider has been reported there.
                Err(_) if virtuals.iter().any(|entry| entry.name == name) => {}
                Err(source) => errors.push(ChainError::DefaultModel(source)),
            }
        } else {
            targets.default =
                only_provider(providers).and_then(|name| targets.known.get(name.as_str()).cloned());
        }
        if errors.is_empty() {
            Ok(targets)
        } else {
            Err(errors)
        }
    }

    fn of_providers(providers: &[ProviderEntry]) -> Self {
        let mut targets = Self::default();
        let mut owners: HashMap<ModelName, Vec<Arc<Chain>>> = HashMap::default();
        for entry in providers {
            let name: Arc<str> = Arc::from(entry.name.as_str());
            if targets.prefixes.contains_key(&name) {
                continue;
            }
            // `name:model` with a model that is not listed is found by the prefix.
            let pool = entry.pool();
            let prefix = Prefix {
                provider: entry.name.clone(),
                closed: !entry.models.is_empty(),
                has_default: !pool.is_empty(),
            };
            targets.prefixes.insert(Arc::clone(&name), prefix);
            // Each model of the pool by its full name, and by the model alone where one provider has it.
            for model in &pool {
                let id: Arc<str> = Arc::from(format!("{name}:{model}"));
                let chain = Arc::new(Chain {
                    target: Arc::clone(&id),
                    upstreams: vec![Upstream::new(entry.name.clone(), model.clone())],
                });
                if !entry.added {
                    let chains = owners.entry(model.clone()).or_default();
                    chains.push(Arc::clone(&chain));
                }
                targets.listed.push(Listed {
                    id,
                    provider: Some(entry.name.clone()),
                    chain,
                    discovered: false,
                });
            }
            // The bare name means the whole pool.
            if !pool.is_empty() {
                let chain = Arc::new(Chain {
                    target: Arc::clone(&name),
                    upstreams: pool
                        .into_iter()
                        .map(|model| Upstream::new(entry.name.clone(), model))
                        .collect(),
                });
                targets
                    .known
                    .insert(Arc::from(format!("{name}:")), Arc::clone(&chain));
                targets.known.insert(name, chain);
            }
        }
        targets.name_listed_models(owners);
        targets
    }

    /// Full names of listed models, then bare model ids with one owner: the weaker reading never wins.
    fn name_listed_models(&mut self, owners: HashMap<ModelName, Vec<Arc<Chain>>>) {
        for line in &self.listed {
            let stronger = self.reads_as_another_provider(&line.id, line.provider.as_ref());
            if !stronger && !self.known.contains_key(&line.id) {
                self.known
                    .insert(Arc::clone(&line.id), Arc::clone(&line.chain));
            }
        }
        self.name_models_of_one_owner(owners);
    }

    /// Bare model ids that one provider has, where they say nothing else yet.
    pub(super) fn name_models_of_one_owner<M: Borrow<ModelName>>(
        &mut self,
        owners: HashMap<M, Vec<Arc<Chain>>>,
    ) {
        for (model, chains) in owners {
            let name = model.borrow().as_str();
            let taken = self.known.contains_key(name) || self.prefixes.contains_key(name);
            if let [chain] = chains.as_slice()
                && !taken
                && !self.reads_as_another_provider(name, None)
            {
                self.known.insert(Arc::from(name), Arc::clone(chain));
            }
        }
    }

    /// Whether the first colon of `name` splits off the name of a provider other than `own`.
    pub(super) fn reads_as_another_provider(&self, name: &str, own: Option<&ProviderName>) -> bool {
        name.split_once(':')
            .and_then(|(head, _)| self.prefixes.get(head))
            .is_some_and(|prefix| Some(&prefix.provider) != own)
    }
}

/// The provider that a request without a model means: the only one, or the only one that was named.
fn only_provider(providers: &[ProviderEntry]) -> Option<&ProviderName> {
    let named = || providers.iter().filter(|entry| !entry.builtin);
    match (providers, named().next(), named().nth(1)) {
        ([only], _, _) => Some(&only.name),
        (_, Some(only), None) => Some(&only.name),
        _ => None,
    }
}
