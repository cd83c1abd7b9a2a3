//! What may be asked for once lists of models are known: the configuration's own targets, the models of an index, those
//! that providers list, and `priority-auto`, all of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::catalog;
use super::hosts;
use super::known_lists::{CatalogConfig, FetchedLists, ListKey, ListPlace, Offering};
use super::resolved::{Config, ProviderConfig};
use crate::domain::catalog::entry::{ModelList, Status};
use crate::domain::catalog::facts::Configured;
use crate::domain::catalog::lists::{Catalog, KnownProvider};
use crate::domain::catalog::names::provider_key;
use crate::domain::catalog::offer::{
    GroupMember, LeftOut, ModelGroup, Offer, Offered as Upstream, offer,
};
use crate::domain::chain::{ChainError, MemberEntry, ProviderEntry, Targets, VirtualEntry};
use crate::domain::ids::{ModelName, ProviderName};
use crate::domain::policy::Policy;
use crate::domain::price_sheet::PriceSheet;

/// The virtual provider of everything that lists have.
const EVERYTHING: &str = "priority-auto";
/// How it is ranked, where that policy is there.
const ITS_POLICY: &str = "score";
/// The most upstreams that it has.
const MOST: usize = 1_000;

/// What configuration and lists come to.
pub(super) struct OfferedTargets {
    pub targets: Result<Targets, Vec<ChainError>>,
    pub known: Option<Arc<Catalog>>,
    pub offer: Arc<Offer>,
    pub warnings: Vec<String>,
}

/// The lists in the order in which they are asked.
pub(super) fn lists(
    providers: &[ProviderConfig],
    catalog: &CatalogConfig,
    fetched: &FetchedLists,
) -> Vec<Arc<ModelList>> {
    let found = |key: ListKey| fetched.get(&key).map(Arc::clone);
    let own = providers
        .iter()
        .filter(|provider| provider.discover.is_some());
    let own = own.filter_map(|provider| found(ListKey::Provider(provider.name.clone())));
    let named = catalog
        .sources
        .iter()
        .filter_map(|source| match &source.place {
            ListPlace::File(list) => Some(Arc::clone(list)),
            ListPlace::Url(url) => found(ListKey::Url(url.clone())),
        });
    own.chain(named).collect()
}

impl Config {
    /// The same with lists that were fetched; what is odd in them is among its warnings, which are replaced.
    #[must_use]
    pub fn with_lists(&self, fetched: &FetchedLists) -> Self {
        let mut config = self.clone();
        if fetched.is_empty() {
            return config;
        }
        let lists = lists(&self.providers, &self.catalog, fetched);
        let mut offered = self
            .offering
            .offered(&self.providers, &self.catalog, &lists);
        match offered.targets {
            Ok(targets) => config.targets = Arc::new(targets),
            // The configuration's own targets have no mistakes: these are of names in a list.
            Err(errors) => {
                let errors = errors.iter().map(ToString::to_string);
                offered.warnings.extend(errors);
            }
        }
        config.known = offered.known;
        config.offer = offered.offer;
        config.warnings = offered.warnings;
        config
    }
}

impl Offering {
    /// The targets before any list has been fetched.
    pub(super) fn at_first(
        &self,
        providers: &[ProviderConfig],
        catalog: &CatalogConfig,
    ) -> OfferedTargets {
        let lists = lists(providers, catalog, &FetchedLists::new());
        self.offered(providers, catalog, &lists)
    }

    /// The targets with what `lists` add to them.
    pub(super) fn offered(
        &self,
        providers: &[ProviderConfig],
        catalog: &CatalogConfig,
        lists: &[Arc<ModelList>],
    ) -> OfferedTargets {
        let awaits =
            !catalog.sources.is_empty() || providers.iter().any(|it| it.discover.is_some());
        // Before the first list there is nothing of that name yet.
        let default = |chains: &[VirtualEntry]| {
            let is_there = |name: &str| {
                let listed = chains.iter().any(|chain| chain.name == EVERYTHING);
                name != EVERYTHING || listed || !awaits
            };
            self.default_model.as_deref().filter(|name| is_there(name))
        };
        let own = || {
            let targets = Targets::build(&self.entries, &self.chains, default(&self.chains));
            targets.map(|targets| {
                let targets = targets.with_aliases(self.aliases.clone());
                targets.with_match(self.matching)
            })
        };
        if lists.is_empty() {
            return OfferedTargets {
                targets: own(),
                known: None,
                offer: Arc::default(),
                warnings: Vec::new(),
            };
        }
        let views: Vec<KnownProvider> = providers
            .iter()
            .map(|provider| view(provider, catalog))
            .collect();
        let known = Catalog::new(views.clone(), lists);
        let usable = Usable {
            views: &views,
            entries: &self.entries,
            known: &known,
            priced: priced(lists),
            free_only: catalog.free_only,
        };
        let groups: Vec<_> = lists
            .iter()
            .flat_map(|list| list.groups.iter().cloned())
            .collect();
        let offer = offer(&groups, &catalog.required, |member| {
            usable.providers(member).next().is_some()
        });
        // An index has many providers that are not there; that is no reason to warn.
        let told = offer
            .left_out
            .iter()
            .filter(|left_out| catalog.free_only || matches!(left_out, LeftOut::Missing { .. }));
        let mut warnings: Vec<String> = told.map(ToString::to_string).collect();
        let discovered = usable.discovered(providers, lists);
        let mut chains = self.chains.clone();
        chains.extend(self.groups(&offer, &groups, &usable, &mut warnings));
        chains.extend(self.everything(&offer, &discovered, &usable));
        let targets = Targets::build(&self.entries, &chains, default(&chains));
        let targets = targets.map(|targets| {
            let targets = targets.with_aliases(self.aliases.clone());
            let targets = targets.with_discovered(&discovered);
            let targets = targets.with_other_names(&other_names(providers, lists));
            targets.with_match(self.matching)
        });
        OfferedTargets {
            targets,
            known: Some(Arc::new(known)),
            offer: Arc::new(offer),
            warnings,
        }
    }

    /// Whether a name means something without any list.
    fn has(&self, name: &str) -> bool {
        let head = name.split_once(':').map_or(name, |(head, _)| head);
        let provider = self.entries.iter().any(|entry| entry.name.as_str() == head);
        let alias = self.aliases.iter().any(|(alias, _)| alias == head);
        provider || alias || self.chains.iter().any(|chain| chain.name == name)
    }

    /// The models of indexes, and their other names, as virtual providers.
    fn groups(
        &self,
        offer: &Offer,
        groups: &[ModelGroup],
        usable: &Usable<'_>,
        warnings: &mut Vec<String>,
    ) -> Vec<VirtualEntry> {
        let mut chains: Vec<VirtualEntry> = Vec::new();
        let mut names: BTreeSet<&str> = BTreeSet::new();
        for group in groups {
            let members: Vec<String> = offer
                .of(&group.name)
                .flat_map(|at| usable.names(at))
                .collect();
            if members.is_empty() || names.contains(&*group.name) {
                continue;
            }
            if self.has(&group.name) {
                warnings.push(format!(
                    "`{}` of the index means something else already",
                    group.name
                ));
                continue;
            }
            names.insert(&group.name);
            chains.push(VirtualEntry::ordered(&*group.name, members));
        }
        let mut aliases = Vec::new();
        for group in groups
            .iter()
            .filter(|group| chains.iter().any(|chain| *chain.name == *group.name))
        {
            for alias in &group.aliases {
                if !self.has(alias) && names.insert(alias) {
                    aliases.push(VirtualEntry::ordered(&**alias, [&*group.name]));
                }
            }
        }
        chains.extend(aliases);
        chains
    }

    /// All that lists have, under one name, but for models that are not for conversations.
    fn everything(
        &self,
        offer: &Offer,
        discovered: &[(ProviderName, Vec<ModelName>)],
        usable: &Usable<'_>,
    ) -> Option<VirtualEntry> {
        if self.has(EVERYTHING) {
            return None;
        }
        let mut seen = BTreeSet::new();
        let index = offer.upstreams.iter().flat_map(|at| usable.names(at));
        let own = discovered.iter().flat_map(|(provider, models)| {
            let models = models.iter();
            let models = models.filter(move |model| usable.chats(provider, model));
            models.map(move |model| format!("{provider}:{model}"))
        });
        let all = index.chain(own).filter(|name| seen.insert(name.clone()));
        let upstreams: Vec<MemberEntry> = all.take(MOST).map(MemberEntry::from).collect();
        let policy = Policy::all().find(|policy| policy.name() == ITS_POLICY);
        (!upstreams.is_empty()).then(|| VirtualEntry {
            policy: policy.unwrap_or_default(),
            upstreams,
            ..VirtualEntry::ordered(EVERYTHING, Vec::<String>::new())
        })
    }
}

/// Which models of lists may be asked of which providers.
struct Usable<'a> {
    views: &'a [KnownProvider],
    entries: &'a [ProviderEntry],
    known: &'a Catalog,
    /// The providers whose own lists state prices.
    priced: BTreeSet<&'a str>,
    free_only: bool,
}

impl Usable<'_> {
    /// The configured providers that an index means, as far as they may be asked for the model.
    fn providers(&self, member: &GroupMember) -> impl Iterator<Item = &ProviderName> {
        self.of(&member.provider, ModelName::from(&*member.model))
    }

    fn of(&self, provider: &str, model: ModelName) -> impl Iterator<Item = &ProviderName> {
        let key = provider_key(provider);
        let called =
            move |view: &&KnownProvider| view.called.iter().any(|name| provider_key(name) == key);
        let views = self.views.iter().filter(called).map(|view| &view.name);
        views.filter(move |name| self.may_ask(name, &model))
    }

    /// The names of an upstream that is offered.
    fn names(&self, at: &Upstream) -> Vec<String> {
        let model = ModelName::from(&*at.model);
        let names = self.of(&at.provider, model);
        names.map(|name| format!("{name}:{}", at.model)).collect()
    }

    fn may_ask(&self, provider: &ProviderName, model: &ModelName) -> bool {
        let entry = self.entries.iter().find(|entry| entry.name == *provider);
        let serves = |entry: &ProviderEntry| {
            entry.models.is_empty()
                || entry.models.contains(model)
                || entry.model.as_ref() == Some(model)
        };
        entry.is_some_and(serves) && (!self.free_only || self.is_free(provider, model))
    }

    /// Whether it may answer conversations: no list says that it does not.
    fn chats(&self, provider: &ProviderName, model: &ModelName) -> bool {
        self.known.facts(provider, model).chats != Some(false)
    }

    /// Free by the word of a list that states prices; where none does, by being listed.
    fn is_free(&self, provider: &ProviderName, model: &ModelName) -> bool {
        let facts = self.known.facts(provider, model);
        facts.free || (facts.sheet.is_none() && !self.priced.contains(provider.as_str()))
    }

    /// The models of providers' own lists.
    fn discovered(
        &self,
        providers: &[ProviderConfig],
        lists: &[Arc<ModelList>],
    ) -> Vec<(ProviderName, Vec<ModelName>)> {
        let all = providers.iter().filter_map(|provider| {
            let own = |list: &&Arc<ModelList>| list.of.as_deref() == Some(provider.name.as_str());
            let list = lists.iter().find(own)?;
            let served = list
                .entries
                .iter()
                .filter(|entry| entry.status != Some(Status::Offline));
            let models = served.map(|entry| ModelName::from(&*entry.id));
            let models = models.filter(|model| self.may_ask(&provider.name, model));
            Some((provider.name.clone(), models.collect()))
        });
        all.collect()
    }
}

/// What providers' own lists call their models besides their ids.
fn other_names(
    providers: &[ProviderConfig],
    lists: &[Arc<ModelList>],
) -> Vec<(ProviderName, ModelName, ModelName)> {
    let mut names = Vec::new();
    for provider in providers {
        let own = |list: &&Arc<ModelList>| list.of.as_deref() == Some(provider.name.as_str());
        let entries = lists.iter().filter(own).flat_map(|list| &list.entries);
        for entry in entries {
            names.extend(entry.aliases.iter().map(|alias| {
                let model = ModelName::from(&*entry.id);
                (provider.name.clone(), ModelName::from(&**alias), model)
            }));
        }
    }
    names
}

fn priced(lists: &[Arc<ModelList>]) -> BTreeSet<&str> {
    let priced = lists.iter().filter(|list| list.states_prices());
    priced.filter_map(|list| list.of.as_deref()).collect()
}

/// A provider as the catalogue knows it.
pub(super) fn view(provider: &ProviderConfig, config: &CatalogConfig) -> KnownProvider {
    let name = provider.name.as_str();
    let kind = hosts::kind_of(&provider.kind, name, &provider.base_url);
    let built_in = catalog::find(kind).or_else(|| catalog::find(&provider.kind));
    let mut called: Vec<String> = Vec::new();
    let others = built_in
        .iter()
        .flat_map(|entry| entry.aliases.iter().map(String::as_str));
    for other in [kind, provider.kind.as_str(), name]
        .into_iter()
        .chain(others)
    {
        if !other.is_empty() && !called.iter().any(|known| known == other) {
            called.push(other.to_owned());
        }
    }
    let models = provider.prices.models.iter().map(|(model, sheet)| {
        let configured = Configured {
            sheet: Some(Arc::clone(sheet)),
            ..Configured::default()
        };
        (model.clone(), configured)
    });
    KnownProvider {
        name: provider.name.clone(),
        called,
        local: built_in.is_some_and(|entry| entry.local) || is_here(&provider.base_url),
        configured: configured(provider, provider.prices.usual.clone()),
        models: models.collect(),
        aliases: config.aliases.clone(),
    }
}

/// What the configuration says of a provider's models, with the prices that hold for one of them or for all.
pub(super) fn configured(provider: &ProviderConfig, sheet: Option<Arc<PriceSheet>>) -> Configured {
    Configured {
        window: provider.context_window,
        max_output: provider.capabilities.max_output_tokens,
        capabilities: provider.capabilities.each(),
        sheet,
    }
}

/// Whether a URL is at this machine.
fn is_here(url: &str) -> bool {
    let uri: Option<http::Uri> = url.parse().ok();
    let host = uri.as_ref().and_then(http::Uri::host).unwrap_or_default();
    host == "localhost" || host == "[::1]" || host.starts_with("127.")
}
