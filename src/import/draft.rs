//! The configuration while it is being put together: providers that are shared by what is equal, virtual providers, and the
//! rest. Names are given at the end, when all are known.

use std::collections::BTreeSet;

use super::field_report::{FieldReports, approximated, mapped};
use super::tree::YamlTree;
use crate::config::catalog::{self, BuiltIn, Cloud};
use crate::config::masked;

/// The keys of a provider, in the order in which people read them.
const PROVIDER_KEYS: [&str; 14] = [
    "name",
    "base_url",
    "dialect",
    "auth",
    "region",
    "project",
    "query",
    "credentials",
    "api_key",
    "api_key_env",
    "model",
    "models",
    "discover",
    "headers",
];
/// The keys of the file.
const ROOT_KEYS: [&str; 6] = ["server", "clients", "llm", "catalog", "dispatch", "log"];
const LLM_KEYS: [&str; 5] = ["default_model", "proxy", "cooldown", "providers", "virtual"];

/// A provider as a file describes it. Equal ones become one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct DraftProvider {
    /// What it should be called.
    pub(super) hint: String,
    /// The built-in provider that it is.
    pub(super) builtin: Option<&'static BuiltIn>,
    /// Its keys, but `name`, `models` and `prices`.
    pub(super) settings: YamlTree,
}

impl DraftProvider {
    /// The built-in provider of that name or alias.
    pub(super) fn built_in(name: &str) -> Self {
        Self {
            hint: name.to_owned(),
            builtin: catalog::find(name),
            settings: YamlTree::map(),
        }
    }

    /// A provider of one's own.
    pub(super) fn own(hint: &str) -> Self {
        Self {
            hint: hint.to_owned(),
            builtin: None,
            settings: YamlTree::map(),
        }
    }

    /// Sets one of its keys.
    pub(super) fn set(&mut self, path: &[&str], value: YamlTree) {
        self.settings.set(path, value);
    }

    /// Whether it has that key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.settings.get(&[key]).is_some()
    }

    /// The variable that its key is usually in.
    pub(super) fn usual_variable(&self) -> String {
        let usual = self.builtin.and_then(|entry| entry.env.first());
        usual.cloned().unwrap_or_else(|| {
            let name = super::importer::variable_name(&self.hint);
            format!("{name}_API_KEY")
        })
    }
}

/// A provider of the draft.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct ProviderAt(usize);

struct PlacedDraft {
    wanted: DraftProvider,
    /// Models that are asked of it.
    asked: Vec<String>,
    /// Models that it is restricted to.
    listed: Vec<String>,
    prices: Vec<(String, YamlTree)>,
    /// Windows of its models, with where the file says so.
    windows: Vec<(String, String, u64)>,
    budgets: Vec<(String, YamlTree)>,
}

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
pub(super) struct Draft {
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

impl Draft {
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
        for (path, at) in &self.named {
            let named = format!("llm.providers[{}]", name_of(*at));
            reports.name_below(path, "llm.providers[]", &named);
        }
        let YamlTreeRoot(mut root) = self.rest;
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
        if let Some(mut llm) = root.get(&["llm"]).cloned() {
            llm.sort(&LLM_KEYS);
            root.set(&["llm"], llm);
        }
        root.sort(&ROOT_KEYS);
        root
    }

    /// A name for each provider that neither another one nor a virtual provider has.
    fn names(&self) -> Vec<String> {
        let mut taken: BTreeSet<String> =
            self.virtuals.iter().map(|one| one.name.clone()).collect();
        let mut names = Vec::new();
        for placed in &self.providers {
            let base = placed.wanted.base_name();
            let base = match taken.contains(&base) && self.has_virtual(&base) {
                true => format!("{base}-provider"),
                false => base,
            };
            let numbered = (2..).map(|number: u32| format!("{base}-{number}"));
            let mut wanted = std::iter::once(base.clone()).chain(numbered);
            let name = wanted.find(|name| !taken.contains(name)).unwrap_or(base);
            taken.insert(name.clone());
            names.push(name);
        }
        names
    }
}

fn push_new(list: &mut Vec<String>, name: &str) {
    if !list.iter().any(|known| known == name) {
        list.push(name.to_owned());
    }
}

impl DraftProvider {
    /// What it is called if nothing else is: a name that a provider may have, and that means no built-in one by accident.
    fn base_name(&self) -> String {
        let letters = self.hint.trim().chars().map(|c| match c {
            ':' | ',' | '*' => '-',
            c if c.is_whitespace() || c.is_control() => '-',
            c => c,
        });
        let name: String = letters.collect();
        let name = match name.is_empty() || masked(&name) != name {
            true => "provider".to_owned(),
            false => name,
        };
        // A built-in name would bring that provider's dialect, and its keys to a stranger.
        match self.builtin.is_none() && catalog::find(&name).is_some() {
            true => format!("{name}-custom"),
            false => name,
        }
    }
}

impl PlacedDraft {
    fn tree(&self, name: &str, reports: &mut FieldReports) -> YamlTree {
        let mut tree = self.wanted.settings.clone();
        tree.set(&["name"], YamlTree::literal(name));
        self.complete(name, &mut tree);
        if !self.listed.is_empty() {
            let mut models = self.listed.clone();
            self.asked
                .iter()
                .for_each(|model| push_new(&mut models, model));
            tree.set(&["models"], YamlTree::names(models));
        } else if let [model] = &*self.asked {
            tree.set(&["model"], YamlTree::literal(model));
        }
        for (model, price) in &self.prices {
            tree.set(&["prices", model], price.clone());
        }
        self.set_window(name, &mut tree, reports);
        for (model, budget) in &self.budgets {
            let mut budget = budget.clone();
            if !model.is_empty() {
                let target = format!("{name}:{model}");
                budget.set(&["targets"], YamlTree::names([target]));
            }
            tree.push(&["budgets"], budget);
        }
        tree.sort(&PROVIDER_KEYS);
        tree
    }

    /// A built-in provider under another name has to say what its name said.
    fn complete(&self, name: &str, tree: &mut YamlTree) {
        let Some(entry) = self.wanted.builtin else {
            return;
        };
        if catalog::find(name) == Some(entry) {
            return;
        }
        let text = |tree: &YamlTree, key: &str| match tree.get(&[key]) {
            Some(YamlTree::Text(text)) => Some(text.clone()),
            _ => None,
        };
        if entry.cloud == Some(Cloud::Azure) {
            // Where only a variable tells the address, nothing else tells its form.
            let url = text(tree, "base_url").unwrap_or_default();
            if url.ends_with('}') && !url.contains("{deployment}") {
                let form = match tree.get(&["query"]) {
                    Some(_) => "openai/deployments/{deployment}",
                    None => "openai/v1",
                };
                tree.set(&["base_url"], YamlTree::Text(format!("{url}/{form}")));
            }
            if tree.get(&["auth"]).is_none() {
                let auth = if tree.get(&["credentials"]).is_some() {
                    "azure"
                } else {
                    "api-key"
                };
                tree.set(&["auth"], YamlTree::bare(auth));
            }
        }
        if tree.get(&["base_url"]).is_none() {
            tree.set(&["base_url"], YamlTree::Text(cloud_url(entry, tree)));
        }
        let dialect = entry.dialect().id();
        if dialect != "openai" && tree.get(&["dialect"]).is_none() {
            tree.set(&["dialect"], YamlTree::bare(dialect));
        }
        let auth = match (entry.cloud, tree.get(&["api_key"]).is_some()) {
            (Some(Cloud::Aws), true) => Some("bearer"),
            (Some(Cloud::Aws), false) => Some("aws"),
            (Some(Cloud::Google), _) => Some("google"),
            _ => None,
        };
        if let Some(auth) = auth.filter(|_| tree.get(&["auth"]).is_none()) {
            tree.set(&["auth"], YamlTree::bare(auth));
        }
        let keys = ["api_key", "api_key_env", "credentials"];
        let keyed = keys.iter().any(|key| tree.get(&[key]).is_some());
        if !keyed && !entry.local && entry.cloud.is_none_or(|cloud| cloud == Cloud::Azure) {
            tree.set(&["api_key_env"], YamlTree::names(entry.variables()));
        }
    }

    /// A provider has one window: that of its models where they agree.
    fn set_window(&self, name: &str, tree: &mut YamlTree, reports: &mut FieldReports) {
        let Some((_, _, first)) = self.windows.first() else {
            return;
        };
        let covered = |model: &String| self.windows.iter().any(|(_, known, _)| known == model);
        let agree = self.windows.iter().all(|(_, _, tokens)| tokens == first);
        if agree && self.asked.iter().all(covered) {
            tree.set(&["context_window"], YamlTree::bare(first));
            for (path, ..) in &self.windows {
                let became = format!("llm.providers[{name}].context_window");
                reports.revise(path, mapped(became));
            }
            return;
        }
        for (path, ..) in &self.windows {
            let why = "the models of this provider differ: name a list of models (catalog.sources) for the window of each";
            reports.revise(path, approximated("", why));
        }
    }
}

/// Where a cloud is called that has no name of its own here.
fn cloud_url(entry: &BuiltIn, tree: &YamlTree) -> String {
    let text = |key: &str| match tree.get(&[key]) {
        Some(YamlTree::Text(text)) => Some(text.as_str()),
        _ => None,
    };
    let region = text("region");
    match entry.cloud {
        Some(Cloud::Aws) => {
            let region = region.unwrap_or("us-east-1");
            format!("https://bedrock-runtime.{region}.amazonaws.com")
        }
        Some(Cloud::Google) => {
            let location = region.unwrap_or("global");
            let project = text("project").unwrap_or("${GOOGLE_CLOUD_PROJECT}");
            let host = match location {
                "global" => "aiplatform.googleapis.com".to_owned(),
                location => format!("{location}-aiplatform.googleapis.com"),
            };
            format!("https://{host}/v1/projects/{project}/locations/{location}")
        }
        Some(Cloud::Azure) | None => entry.base_url.clone(),
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
