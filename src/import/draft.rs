//! The configuration while it is being put together: providers that are shared by what is equal, virtual providers, and the
//! rest. Names are given at the end, when all are known.

mod bounds;
mod placed;
mod provider;

use std::collections::{BTreeSet, HashMap};

use self::placed::{PlacedDraft, push_new};
pub(super) use self::provider::DraftProvider;
use super::field_report::FieldReports;
use super::tree::YamlTree;

/// The keys of the file.
const ROOT_KEYS: [&str; 7] = [
    "server", "clients", "llm", "catalog", "dispatch", "cache", "log",
];
const LLM_KEYS: [&str; 5] = ["default_model", "proxy", "cooldown", "providers", "virtual"];

/// A provider of the draft.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct ProviderAt(usize);

/// What a member of a virtual provider leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum MemberTarget {
    /// A model of a provider.
    Upstream(ProviderAt, String),
    /// A provider with its usual model.
    Provider(ProviderAt),
    /// Another virtual provider.
    Virtual(String),
}

/// A member of a virtual provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct DraftMember {
    pub(super) target: MemberTarget,
    /// Its share, where shares are drawn.
    pub(super) weight: Option<u64>,
    /// Its tier.
    pub(super) priority: Option<u64>,
    /// When it is asked at all.
    pub(super) when: Option<YamlTree>,
}

impl DraftMember {
    /// A member without conditions.
    pub(super) const fn of(target: MemberTarget) -> Self {
        Self {
            target,
            weight: None,
            priority: None,
            when: None,
        }
    }
}

/// A virtual provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct DraftVirtual {
    pub(super) name: String,
    /// Its keys, but `name` and `upstreams`.
    pub(super) settings: YamlTree,
    pub(super) members: Vec<DraftMember>,
}

/// A configuration that is being put together.
#[derive(Default)]
pub(super) struct ConfigDraft {
    providers: Vec<PlacedDraft>,
    /// Virtual providers, in order.
    pub(super) virtuals: Vec<DraftVirtual>,
    /// Everything else.
    pub(super) rest: YamlTreeRoot,
    /// Paths of the source whose words speak of a provider.
    named: Vec<(String, ProviderAt)>,
    /// Budgets of several providers together.
    shared_budgets: Vec<(Vec<ProviderAt>, YamlTree)>,
}

/// The root of a configuration.
#[derive(Clone)]
pub(super) struct YamlTreeRoot(YamlTree);

impl Default for YamlTreeRoot {
    fn default() -> Self {
        Self(YamlTree::map())
    }
}

impl YamlTreeRoot {
    /// Sets a key of the file.
    pub(super) fn set(&mut self, path: &[&str], value: YamlTree) {
        self.0.set(path, value);
    }

    /// Adds to a list of the file.
    pub(super) fn push(&mut self, path: &[&str], value: YamlTree) {
        self.0.push(path, value);
    }

    /// Takes a key out of a section again.
    pub(super) fn remove(&mut self, path: &[&str]) {
        if let Some((last, above)) = path.split_last()
            && let Some(YamlTree::Map(mut entries)) = self.0.get(above).cloned()
        {
            entries.retain(|(key, _)| key != last);
            self.0.set(above, YamlTree::Map(entries));
        }
    }

    /// The value of a key of the file.
    pub(super) fn get(&self, path: &[&str]) -> Option<&YamlTree> {
        self.0.get(path)
    }
}

impl ConfigDraft {
    /// Adds a provider, or finds its equal.
    pub(super) fn provider(&mut self, wanted: DraftProvider) -> ProviderAt {
        let known = self
            .providers
            .iter()
            .position(|placed| placed.wanted == wanted);
        ProviderAt(known.unwrap_or_else(|| {
            self.providers.push(PlacedDraft {
                wanted,
                asked: Vec::new(),
                listed: Vec::new(),
                prices: Vec::new(),
                windows: Vec::new(),
                budgets: Vec::new(),
            });
            self.providers.len() - 1
        }))
    }

    /// Whether there is no provider.
    pub(super) fn is_empty(&self) -> bool {
        self.providers.is_empty()
    }

    /// For each provider whose key is looked for by itself, the variables of which one has to hold it.
    pub(super) fn usual_variables(&self) -> Vec<Vec<String>> {
        let names = self.providers.iter().map(PlacedDraft::usual_variables);
        names.filter(|names| !names.is_empty()).collect()
    }

    /// All providers so far.
    pub(super) fn all(&self) -> impl Iterator<Item = ProviderAt> + use<> {
        (0..self.providers.len()).map(ProviderAt)
    }

    /// What a provider is.
    pub(super) fn is(&self, at: ProviderAt) -> Option<&DraftProvider> {
        self.providers.get(at.0).map(|placed| &placed.wanted)
    }

    fn placed(&mut self, at: ProviderAt) -> Option<&mut PlacedDraft> {
        self.providers.get_mut(at.0)
    }

    /// Sets a key of a provider that is there.
    pub(super) fn set(&mut self, at: ProviderAt, path: &[&str], value: YamlTree) {
        if let Some(placed) = self.placed(at) {
            placed.wanted.settings.set(path, value);
        }
    }

    /// A model of a provider, as a member's target.
    pub(super) fn upstream(&mut self, at: ProviderAt, model: &str) -> MemberTarget {
        if let Some(placed) = self.placed(at) {
            push_new(&mut placed.asked, model);
        }
        MemberTarget::Upstream(at, model.to_owned())
    }

    /// Restricts a provider to models, besides those that are asked of it.
    pub(super) fn list(&mut self, at: ProviderAt, model: &str) {
        if let Some(placed) = self.placed(at) {
            push_new(&mut placed.listed, model);
        }
    }

    /// The prices of a model; `false` when other ones are known of it already.
    pub(super) fn price(&mut self, at: ProviderAt, model: &str, price: YamlTree) -> bool {
        let Some(placed) = self.placed(at) else {
            return false;
        };
        match placed.prices.iter().find(|(known, _)| known == model) {
            Some((_, known)) => *known == price,
            None => {
                placed.prices.push((model.to_owned(), price));
                true
            }
        }
    }

    /// The window of a model, with where the source says so.
    pub(super) fn window(&mut self, at: ProviderAt, path: &str, model: &str, tokens: u64) {
        if let Some(placed) = self.placed(at) {
            let window = (path.to_owned(), model.to_owned(), tokens);
            placed.windows.push(window);
        }
    }

    /// What calls of one model of a provider may cost; of all where `model` is empty.
    pub(super) fn budget(&mut self, at: ProviderAt, model: &str, budget: YamlTree) {
        if let Some(placed) = self.placed(at) {
            placed.budgets.push((model.to_owned(), budget));
        }
    }

    /// What calls of several providers together may cost.
    pub(super) fn shared_budget(&mut self, providers: Vec<ProviderAt>, budget: YamlTree) {
        self.shared_budgets.push((providers, budget));
    }

    /// Remembers that what is told at and below a path is about a provider.
    pub(super) fn tells_of(&mut self, path: &str, at: ProviderAt) {
        self.named.push((path.to_owned(), at));
    }

    /// Whether a virtual provider of that name is there.
    pub(super) fn has_virtual(&self, name: &str) -> bool {
        self.virtuals.iter().any(|one| one.name == name)
    }

    /// A name for a virtual provider that none has yet.
    pub(super) fn free_name(&self, wanted: &str) -> String {
        let numbered = (2..).map(|number: u32| format!("{wanted}-{number}"));
        let mut names = std::iter::once(wanted.to_owned()).chain(numbered);
        let free = names.find(|name| !self.has_virtual(name));
        free.unwrap_or_else(|| wanted.to_owned())
    }

    /// The whole configuration, and what is known only now of what became of its fields.
    pub(super) fn finish(self, reports: &mut FieldReports) -> YamlTree {
        let names = self.names();
        let name_of = |at: ProviderAt| names.get(at.0).map_or("", String::as_str);
        let mut named: HashMap<&str, String> = HashMap::new();
        for (path, at) in &self.named {
            let name = || format!("llm.providers[{}]", name_of(*at));
            named.entry(path).or_insert_with(name);
        }
        reports.name_below("llm.providers[]", &named);
        let YamlTreeRoot(mut root) = self.rest.clone();
        for (placed, name) in self.providers.iter().zip(&names) {
            root.push(&["llm", "providers"], placed.tree(name, reports));
        }
        for one in &self.virtuals {
            let mut tree = YamlTree::map();
            tree.set(&["name"], YamlTree::literal(&one.name));
            if let YamlTree::Map(entries) = &one.settings {
                for (key, value) in entries {
                    tree.set(&[key], value.clone());
                }
            }
            for member in &one.members {
                tree.push(&["upstreams"], member.tree(&name_of));
            }
            root.push(&["llm", "virtual"], tree);
        }
        for (providers, budget) in &self.shared_budgets {
            let mut budget = budget.clone();
            let targets = providers.iter().map(|at| name_of(*at));
            budget.set(&["targets"], YamlTree::names(targets));
            root.push(&["dispatch", "budgets"], budget);
        }
        self.bound(&mut root);
        if let Some(mut llm) = root.get(&["llm"]).cloned() {
            llm.sort(&LLM_KEYS);
            root.set(&["llm"], llm);
        }
        root.sort(&ROOT_KEYS);
        root
    }

    /// A name for each provider that neither another one nor a virtual provider has.
    fn names(&self) -> Vec<String> {
        let virtuals: BTreeSet<&str> = self.virtuals.iter().map(|one| one.name.as_str()).collect();
        let mut taken: BTreeSet<String> = BTreeSet::new();
        // The number that comes next behind each name.
        let mut numbers: HashMap<String, u32> = HashMap::new();
        let mut names = Vec::new();
        for placed in &self.providers {
            let mut base = placed.wanted.base_name();
            if virtuals.contains(base.as_str()) {
                base.push_str("-provider");
            }
            let number = numbers.entry(base.clone()).or_insert(1);
            let name = loop {
                let name = match *number {
                    1 => base.clone(),
                    number => format!("{base}-{number}"),
                };
                *number += 1;
                if !virtuals.contains(name.as_str()) && !taken.contains(&name) {
                    break name;
                }
            };
            taken.insert(name.clone());
            names.push(name);
        }
        names
    }
}

impl DraftMember {
    fn tree<'n>(&self, name_of: &impl Fn(ProviderAt) -> &'n str) -> YamlTree {
        let name = match &self.target {
            MemberTarget::Upstream(at, model) => format!("{}:{model}", name_of(*at)),
            MemberTarget::Provider(at) => name_of(*at).to_owned(),
            MemberTarget::Virtual(name) => name.clone(),
        };
        let mut tree = YamlTree::map();
        tree.set(&["name"], YamlTree::literal(&name));
        let numbers = [("weight", self.weight), ("priority", self.priority)];
        for (key, number) in numbers {
            if let Some(number) = number {
                tree.set(&[key], YamlTree::bare(number));
            }
        }
        if let Some(when) = &self.when {
            tree.set(&["when"], when.clone());
        }
        tree
    }
}
