//! What a caller may ask for, and the upstreams that this means: providers, their models, and virtual
//! providers that name chains of either.
//!
//! Everything a configuration names is flattened once, so that resolving a known target is one hash lookup.
//! No I/O, no clock, no logging.

mod expand;

use std::collections::HashMap;
use std::sync::Arc;

use super::ids::{ModelName, ProviderName, Upstream};
use super::near::near;

/// One provider, as far as targets are concerned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProviderEntry {
    /// Its name; may contain colons.
    pub name: ProviderName,
    /// The model its bare name means.
    pub model: Option<ModelName>,
    /// An ordered pool of models; when given, no other model (but `model`) may be asked of it.
    pub models: Vec<ModelName>,
    /// Present without having been named: it does not compete for "the only provider".
    pub builtin: bool,
}

impl ProviderEntry {
    /// The models its bare name means, in order: `model` first, then the pool.
    fn pool(&self) -> Vec<ModelName> {
        let mut pool: Vec<ModelName> = Vec::new();
        for model in self.model.iter().chain(&self.models) {
            if !pool.contains(model) {
                pool.push(model.clone());
            }
        }
        pool
    }
}

/// One virtual provider, as configured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VirtualEntry {
    /// Its name.
    pub name: String,
    /// Providers, `provider:model`, model ids or other virtual providers, in order of preference.
    pub upstreams: Vec<String>,
}

/// A target, flattened: each upstream once, where it first occurred when walking depth first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chain {
    /// What was asked for.
    pub target: Arc<str>,
    /// Never empty.
    pub upstreams: Vec<Upstream>,
}

/// A mistake in the graph of providers and virtual providers.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ChainError {
    /// Two providers of one name.
    #[error("two providers are called `{name}`: rename or merge one of them")]
    DuplicateProvider {
        /// The name.
        name: String,
    },
    /// Two virtual providers of one name.
    #[error("two virtual providers are called `{name}`: rename or merge one of them")]
    DuplicateVirtual {
        /// The name.
        name: String,
    },
    /// A provider and a virtual provider of one name.
    #[error("`{name}` is the name of a provider and of a virtual provider: rename one of them")]
    NameClash {
        /// The name.
        name: String,
    },
    /// A virtual provider without upstreams.
    #[error("virtual provider `{name}` has no upstreams: name at least one")]
    EmptyChain {
        /// The virtual provider.
        name: String,
    },
    /// A virtual provider that contains itself.
    #[error("virtual providers form a cycle: {}; remove one of these links", path.join(" -> "))]
    Cycle {
        /// The names along the cycle; the first is repeated at the end.
        path: Vec<String>,
    },
    /// An upstream that nothing is called.
    #[error(
        "virtual provider `{name}` references the unknown upstream `{upstream}`{}",
        hint(near)
    )]
    Dangling {
        /// The virtual provider.
        name: String,
        /// The upstream, as written.
        upstream: String,
        /// What may have been meant.
        near: Vec<String>,
    },
    /// An upstream that names a provider which has no default model.
    #[error(
        "virtual provider `{name}` references `{upstream}`, which has no default model: write `{upstream}:<model>` or give it a `model`"
    )]
    NoModel {
        /// The virtual provider.
        name: String,
        /// The upstream, as written.
        upstream: String,
    },
    /// A default target that cannot be resolved.
    #[error("default_model: {0}")]
    DefaultModel(ResolveError),
}

/// A target that means nothing here.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ResolveError {
    /// Nothing is called that.
    #[error(
        "`{name}` is no provider, virtual provider, provider:model or listed model{}",
        hint(near)
    )]
    UnknownTarget {
        /// What was asked for.
        name: String,
        /// What may have been meant, at most three.
        near: Vec<String>,
    },
    /// A provider was named that has no default model.
    #[error("provider `{provider}` has no default model: ask for `{provider}:<model>`")]
    NoModel {
        /// The provider.
        provider: ProviderName,
    },
    /// No target was named, and there is none to assume.
    #[error(
        "no model was named, there is no default_model, and more than one provider is configured"
    )]
    NoDefault,
}

fn hint(near: &[String]) -> String {
    if near.is_empty() {
        return String::new();
    }
    let names: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
    format!(": did you mean {}?", names.join(" or "))
}

/// One line of the models list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// What to ask for: `smart`, `groq:llama-3.3-70b`.
    pub id: Arc<str>,
    /// The provider that owns the model; `None` for a virtual provider.
    pub provider: Option<ProviderName>,
    /// What it means.
    pub chain: Arc<Chain>,
}

/// What a provider prefix stands for, in `prefix:model` with a model that is not listed.
#[derive(Clone, Debug)]
struct Prefix {
    provider: ProviderName,
    /// Only models that are listed.
    closed: bool,
    has_default: bool,
}

/// Every target of one configuration.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    /// Everything that is known by an exact name.
    known: HashMap<Arc<str>, Arc<Chain>>,
    /// By provider name or alias.
    prefixes: HashMap<Arc<str>, Prefix>,
    listed: Vec<Listed>,
    default: Option<Arc<Chain>>,
}

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

    /// Lets `alias` and `alias:model` mean the provider of that name, unless something else has the name.
    #[must_use]
    pub fn with_aliases(
        mut self,
        aliases: impl IntoIterator<Item = (String, ProviderName)>,
    ) -> Self {
        for (alias, provider) in aliases {
            let alias: Arc<str> = Arc::from(alias);
            let Some(prefix) = self.prefixes.get(provider.as_str()).cloned() else {
                continue;
            };
            if self.known.contains_key(&alias) || self.prefixes.contains_key(&alias) {
                continue;
            }
            self.prefixes.insert(Arc::clone(&alias), prefix);
            let owned = |line: &&Listed| line.provider.as_ref() == Some(&provider);
            let mut more: Vec<(String, Arc<Chain>)> = self
                .listed
                .iter()
                .filter(owned)
                .flat_map(|line| line.chain.upstreams.first().map(|first| (line, first)))
                .map(|(line, first)| (format!("{alias}:{}", first.model), Arc::clone(&line.chain)))
                .collect();
            if let Some(chain) = self.known.get(provider.as_str()) {
                more.push((alias.to_string(), Arc::clone(chain)));
                more.push((format!("{alias}:"), Arc::clone(chain)));
            }
            for (name, chain) in more {
                self.known.entry(Arc::from(name)).or_insert(chain);
            }
        }
        self
    }

    /// What `model` means: an exact provider or virtual provider; else `provider:model`, split at the first
    /// colon; else a model id that exactly one provider lists. Without a model the default target.
    ///
    /// # Errors
    /// See [`ResolveError`].
    pub fn resolve(&self, model: Option<&str>) -> Result<Arc<Chain>, ResolveError> {
        match model {
            Some(name) => self.named(name),
            None => self.default.clone().ok_or(ResolveError::NoDefault),
        }
    }

    /// What a request without a model means.
    pub fn default_chain(&self) -> Option<&Arc<Chain>> {
        self.default.as_ref()
    }

    /// The models list: virtual providers, then each provider's default and listed models, as configured.
    pub fn listed(&self) -> &[Listed] {
        &self.listed
    }

    /// The chains of the virtual providers, as configured.
    pub fn chains(&self) -> impl Iterator<Item = &Arc<Chain>> {
        self.listed
            .iter()
            .filter(|line| line.provider.is_none())
            .map(|line| &line.chain)
    }

    fn named(&self, name: &str) -> Result<Arc<Chain>, ResolveError> {
        if let Some(chain) = self.known.get(name) {
            return Ok(Arc::clone(chain));
        }
        if let Some(prefix) = self.prefixes.get(name) {
            return Err(ResolveError::NoModel {
                provider: prefix.provider.clone(),
            });
        }
        if let Some((head, model)) = name.split_once(':')
            && let Some(prefix) = self.prefixes.get(head)
        {
            if model.is_empty() && !prefix.has_default {
                return Err(ResolveError::NoModel {
                    provider: prefix.provider.clone(),
                });
            }
            if !model.is_empty() && !prefix.closed {
                let upstream = Upstream::new(prefix.provider.clone(), model);
                return Ok(Arc::new(Chain {
                    target: Arc::from(name),
                    upstreams: vec![upstream],
                }));
            }
        }
        Err(ResolveError::UnknownTarget {
            name: name.to_owned(),
            near: near(name, self.names()),
        })
    }

    /// Everything that may be asked for by an exact name, and the provider prefixes.
    fn names(&self) -> impl Iterator<Item = &str> {
        self.known
            .keys()
            .chain(self.prefixes.keys())
            .map(AsRef::as_ref)
            .filter(|name| !name.ends_with(':'))
    }

    fn of_providers(providers: &[ProviderEntry]) -> Self {
        let mut targets = Self::default();
        let mut owners: HashMap<ModelName, Vec<Arc<Chain>>> = HashMap::new();
        for entry in providers {
            let name: Arc<str> = Arc::from(entry.name.as_str());
            if targets.prefixes.contains_key(&name) {
                continue;
            }
            let pool = entry.pool();
            let prefix = Prefix {
                provider: entry.name.clone(),
                closed: !entry.models.is_empty(),
                has_default: !pool.is_empty(),
            };
            targets.prefixes.insert(Arc::clone(&name), prefix);
            for model in &pool {
                let id: Arc<str> = Arc::from(format!("{name}:{model}"));
                let chain = Arc::new(Chain {
                    target: Arc::clone(&id),
                    upstreams: vec![Upstream::new(entry.name.clone(), model.clone())],
                });
                owners
                    .entry(model.clone())
                    .or_default()
                    .push(Arc::clone(&chain));
                targets.listed.push(Listed {
                    id,
                    provider: Some(entry.name.clone()),
                    chain,
                });
            }
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
        for (model, chains) in owners {
            let name = model.as_str();
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
    fn reads_as_another_provider(&self, name: &str, own: Option<&ProviderName>) -> bool {
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

#[cfg(test)]
mod tests;
