//! What a caller may ask for, and the upstreams that this means: providers, their models, and virtual
//! providers that name chains of either.
//!
//! Everything a configuration names is flattened once, so that resolving a known target is one hash lookup. Where a
//! policy ranks anew for each request, the tree is kept beside that ([`Forest`]).
//! No I/O, no clock, no logging.

mod build;
mod discovered;
mod expand;
mod inline;
mod matching;
mod name_match;

use crate::domain::hash_map::HashMap;
use std::sync::Arc;

use super::ids::{ModelName, ProviderName, Upstream};
use super::near::near;
use super::policy::Policy;
use super::session_affinity::AffinityPolicy;
use super::spill::Spill;
use super::target::{Forest, Inquiry};
use super::when::When;

pub use super::target::{Chain, RankedChain};
pub use name_match::NameMatch;

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
    /// Added while the process runs: its models alone are no names, so that what they meant before stays as it was.
    pub added: bool,
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
#[derive(Clone, PartialEq, Debug)]
pub struct VirtualEntry {
    /// The virtual provider's name.
    pub name: String,
    /// How its upstreams are ranked for a request.
    pub policy: Policy,
    /// How it keeps conversations together, if it does.
    pub affinity: Option<AffinityPolicy>,
    /// When requests leave a tier while a part of it is out, if they do.
    pub spill: Option<Spill>,
    /// Whether requests may narrow the choice with hints of their own.
    pub hints: bool,
    /// In order of preference.
    pub upstreams: Vec<MemberEntry>,
}

impl VirtualEntry {
    /// A virtual provider whose members are tried as configured.
    pub fn ordered<M: Into<MemberEntry>>(
        name: impl Into<String>,
        upstreams: impl IntoIterator<Item = M>,
    ) -> Self {
        Self {
            name: name.into(),
            policy: Policy::default(),
            affinity: None,
            spill: None,
            hints: false,
            upstreams: upstreams.into_iter().map(Into::into).collect(),
        }
    }
}

/// A member of a virtual provider, as configured.
#[derive(Clone, PartialEq, Debug)]
pub struct MemberEntry {
    /// A provider, `provider:model`, a model id or another virtual provider.
    pub name: String,
    /// Its share, for policies that take weights.
    pub weight: u32,
    /// Its tier: all of a lower one are asked first.
    pub priority: u32,
    /// When it is asked at all.
    pub when: Option<Arc<When>>,
    /// What expressions may ask for.
    pub tags: Vec<Arc<str>>,
}

/// The tier of a member that names none.
pub const PRIORITY: u32 = 100;

impl<S: Into<String>> From<S> for MemberEntry {
    fn from(name: S) -> Self {
        Self {
            name: name.into(),
            weight: 1,
            priority: PRIORITY,
            when: None,
            tags: Vec::new(),
        }
    }
}

/// A mistake in the graph of providers and virtual providers.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ChainError {
    /// Two providers of one name.
    #[error("two providers are called `{name}`: rename or merge one of them")]
    DuplicateProvider {
        /// The name that is used twice.
        name: String,
    },
    /// Two virtual providers of one name.
    #[error("two virtual providers are called `{name}`: rename or merge one of them")]
    DuplicateVirtual {
        /// The name that is used twice.
        name: String,
    },
    /// A provider and a virtual provider of one name.
    #[error("`{name}` is the name of a provider and of a virtual provider: rename one of them")]
    NameClash {
        /// The name that both have.
        name: String,
    },
    /// A virtual provider without upstreams.
    #[error("virtual provider `{name}` has no upstreams: name at least one")]
    EmptyChain {
        /// The virtual provider's name.
        name: String,
    },
    /// A virtual provider that contains itself.
    #[error("virtual providers form a cycle: {}; remove one of these links", path.join(" -> "))]
    Cycle {
        /// The names along the cycle; the first is repeated at the end.
        path: Vec<String>,
    },
    /// An upstream that no provider has.
    #[error(
        "virtual provider `{name}` references the unknown upstream `{upstream}`{}",
        hint(near)
    )]
    Dangling {
        /// The virtual provider's name.
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
        /// The provider's name.
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
    /// The chain that the name means.
    pub chain: Arc<Chain>,
    /// Whether it is there because its provider lists it, not by the configuration.
    pub discovered: bool,
}

/// The meaning of a provider prefix, in `prefix:model` with a model that is not listed.
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
    virtuals: Vec<VirtualEntry>,
    /// The virtual providers whose order depends on the request, with their places in the forest.
    ranked: HashMap<Arc<str>, usize>,
    forest: Forest,
    /// The virtual providers whose requests may narrow the choice.
    hinted: Vec<Arc<str>>,
    /// What a name means that nothing is called.
    matching: NameMatch,
}

impl Targets {
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
    /// colon; else a model id that exactly one provider lists; else, where that is turned on, every listed model whose id
    /// contains it. Several with commas between them are an ordered chain.
    /// Without a model the default target.
    ///
    /// # Errors
    /// See [`ResolveError`].
    pub fn resolve(&self, model: Option<&str>) -> Result<Arc<Chain>, ResolveError> {
        match model {
            Some(name) => self.named(name),
            None => self.default.clone().ok_or(ResolveError::NoDefault),
        }
    }

    /// The order of a resolved target for one request, for all its attempts: the same chain where the order is always
    /// that of the configuration.
    pub fn ranked(&self, chain: Arc<Chain>, inquiry: &mut Inquiry<'_>) -> RankedChain {
        let Some(root) = self.ranked.get(&chain.target) else {
            return RankedChain::whole(chain);
        };
        let (upstreams, ruled_out) = self.forest.order(*root, inquiry);
        let target = Arc::clone(&chain.target);
        RankedChain {
            chain: Arc::new(Chain { target, upstreams }),
            ruled_out,
            session: None,
            ranking: None,
        }
    }

    /// How a target keeps conversations together; `None` where it does not.
    pub fn sessions(&self, target: &str) -> Option<AffinityPolicy> {
        self.forest.sessions(*self.ranked.get(target)?)
    }

    /// Whether requests for a target may narrow the choice with hints of their own.
    pub fn takes_hints(&self, target: &str) -> bool {
        self.hinted.iter().any(|name| **name == *target)
    }

    /// Whether any target takes hints.
    pub fn any_takes_hints(&self) -> bool {
        !self.hinted.is_empty()
    }

    /// The targets whose order depends on the request; their places are those of [`UpstreamFigures::turn`](super::policy::UpstreamFigures).
    pub fn forest(&self) -> &Forest {
        &self.forest
    }

    /// Whether the order of a target depends on the request.
    pub fn is_ranked(&self, target: &str) -> bool {
        self.ranked.contains_key(target)
    }

    /// The virtual provider of that name, as configured.
    pub fn configured(&self, name: &str) -> Option<&VirtualEntry> {
        self.virtuals.iter().find(|entry| entry.name == name)
    }

    /// What a request without a model means.
    pub fn default_chain(&self) -> Option<&Arc<Chain>> {
        self.default.as_ref()
    }

    /// The models list: virtual providers, then each provider's default and listed models, as configured.
    pub fn listed(&self) -> &[Listed] {
        &self.listed
    }

    /// Every exact name and what it means, in no order.
    pub fn named_chains(&self) -> impl Iterator<Item = (&str, &Chain)> {
        self.known.iter().map(|(name, chain)| (&**name, &**chain))
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
        if let Some(chain) = self.inline(name) {
            return chain;
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
        if let Some(chain) = self.by_part(name) {
            return Ok(chain);
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
}

#[cfg(test)]
mod tests;
