//! A provider of the draft, and how it is written once its name is known.

use super::provider::DraftProvider;
use crate::config::catalog::{self, BuiltIn, Cloud};
use crate::import::field_report::{FieldReports, approximated, mapped};
use crate::import::tree::YamlTree;

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
/// A provider of the draft, with what is known of its models.
pub(super) struct PlacedDraft {
    pub(super) wanted: DraftProvider,
    /// Models that are asked of it.
    pub(super) asked: Vec<String>,
    /// Models that it is restricted to.
    pub(super) listed: Vec<String>,
    pub(super) prices: Vec<(String, YamlTree)>,
    /// Windows of its models, with where the file says so.
    pub(super) windows: Vec<(String, String, u64)>,
    pub(super) budgets: Vec<(String, YamlTree)>,
}

impl PlacedDraft {
    /// The provider under that name.
    pub(super) fn tree(&self, name: &str, reports: &mut FieldReports) -> YamlTree {
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

    /// The variables of which one has to hold its key, where nothing says which: those of a built-in provider.
    pub(super) fn usual_variables(&self) -> Vec<String> {
        let settings = &self.wanted.settings;
        let says = |key: &&str| settings.get(&[key]).is_some();
        let told = ["api_key", "api_key_env", "credentials", "base_url"];
        // Clouds let in by more than one kind of key.
        let builtin = self.wanted.builtin.filter(|entry| entry.cloud.is_none());
        match builtin {
            Some(entry) if entry.is_automatic() && !told.iter().any(says) => entry.variables(),
            _ => Vec::new(),
        }
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
        let url = cloud_url(entry, tree);
        if tree.get(&["base_url"]).is_none() && !url.is_empty() {
            tree.set(&["base_url"], YamlTree::Text(url));
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
            reports.revise(path, approximated("catalog.sources", why));
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

/// Adds a name to a list that has it not yet.
pub(super) fn push_new(list: &mut Vec<String>, name: &str) {
    if !list.iter().any(|known| known == name) {
        list.push(name.to_owned());
    }
}
