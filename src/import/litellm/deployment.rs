//! LiteLLM's deployments: an entry of `model_list`, field by field, and the provider that it becomes.

mod provider;

use super::prefixes::{self, PrefixPlace};
use crate::import::draft::ProviderAt;
use crate::import::field_report::{approximated, mapped_with, needless, unsupported};
use crate::import::importer::Importer;
use crate::import::tree::YamlTree;

/// Keys of a region, a project and a version.
const REGIONS: &[&str] = &[
    "aws_region_name",
    "region_name",
    "aws_region",
    "vertex_location",
    "vertex_ai_location",
];
const PROJECTS: &[&str] = &["vertex_project", "vertex_ai_project"];
const VERSIONS: &[&str] = &["api_version"];

/// A deployment as far as it was read.
#[derive(Default)]
pub(super) struct Deployment {
    /// Where it stands.
    pub(super) path: String,
    /// The name that requests ask for.
    pub(super) group: String,
    pub(super) model: String,
    pub(super) prefix: Option<String>,
    pub(super) base: Option<String>,
    pub(super) version: Option<String>,
    pub(super) region: Option<String>,
    pub(super) project: Option<String>,
    /// Keys and credentials, with where they stand.
    pub(super) secrets: Vec<(&'static str, String, String)>,
    /// What goes into the provider as it is.
    settings: Vec<(Vec<String>, YamlTree)>,
    pub(super) prices: YamlTreeMap,
    pub(super) windows: Vec<(String, u64)>,
    pub(super) budget: (Option<YamlTree>, Option<YamlTree>),
    pub(super) weight: Option<f64>,
    pub(super) order: Option<u64>,
    pub(super) tags: Vec<String>,
    pub(super) rpm: Option<f64>,
    pub(super) tpm: Option<f64>,
    /// How long calls may take, in milliseconds.
    pub(super) timeout: Option<u64>,
    pub(super) needs_responses: bool,
    /// Which model it is, where its name does not tell.
    pub(super) base_model: Option<(String, String)>,
    /// Where the credentials stand that it names.
    pub(super) credential: String,
    is_azure: bool,
}

/// Prices by their keys.
type YamlTreeMap = Vec<(&'static str, YamlTree)>;

/// A deployment that became an upstream.
pub(super) struct PlacedDeployment {
    pub(super) read: Deployment,
    pub(super) at: ProviderAt,
    /// The model; `None` where any may be asked for.
    pub(super) model: Option<String>,
}

impl Deployment {
    /// One of which nothing was read.
    pub(super) fn new(path: &str, group: &str) -> Self {
        Self {
            path: path.to_owned(),
            credential: path.to_owned(),
            group: group.to_owned(),
            ..Self::default()
        }
    }

    /// Sets a key of its provider.
    pub(super) fn set(&mut self, path: &[&str], value: YamlTree) {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        self.settings.push((path, value));
    }

    /// Whether it names a model with a wildcard.
    fn is_wildcard(model: &str) -> bool {
        model.is_empty() || model.contains('*')
    }

    /// Makes an upstream of it, and says what became of its fields.
    pub(super) fn place(mut self, importer: &mut Importer<'_>) -> Option<PlacedDeployment> {
        if self.group.is_empty() {
            importer
                .reports
                .drop_below(&self.path, "it has no model_name");
            return None;
        }
        let (prefix, model) = self.named();
        let found = prefix
            .as_deref()
            .map(|prefix| (prefix, prefixes::place(prefix)));
        let made = match found {
            Some((prefix, Some(place))) => self.provider(prefix, place, &model, importer),
            Some((prefix, None)) if self.base.is_some() => {
                self.provider(prefix, PrefixPlace::Server, &model, importer)
            }
            Some((prefix, None)) => Err(format!(
                "`{prefix}` is no provider that is known here: write it with its base_url"
            )),
            None if self.base.is_some() => {
                self.provider("openai", PrefixPlace::Server, &model, importer)
            }
            None => Err("nothing says whose model it is".to_owned()),
        };
        let (mut provider, model) = match made {
            Ok(made) => made,
            Err(why) => {
                importer.reports.drop_below(&self.path, &why);
                return None;
            }
        };
        for (path, value) in std::mem::take(&mut self.settings) {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            provider.set(&path, value);
        }
        if let Some(millis) = self.timeout {
            provider.set_timeout(millis);
        }
        let at = importer.draft.provider(provider);
        importer.draft.tells_of(&self.path, at);
        importer.draft.tells_of(&self.credential, at);
        self.left_over(importer);
        let model = (!Self::is_wildcard(&model)).then_some(model);
        self.settle(at, model.as_deref(), importer);
        Some(PlacedDeployment {
            read: self,
            at,
            model,
        })
    }

    /// Says of what only clouds have that it is nothing at this provider.
    fn left_over(&self, importer: &mut Importer<'_>) {
        let parts = [
            (self.region.is_some(), "its provider has no regions"),
            (self.project.is_some(), "its provider has no projects"),
            (
                self.version.is_some() && !self.is_azure,
                "only Azure has versions of its API",
            ),
        ];
        for ((_, why), names) in parts
            .into_iter()
            .zip([REGIONS, PROJECTS, VERSIONS])
            .filter(|((is, _), _)| *is)
        {
            for name in names {
                let path = format!("{}.litellm_params.{name}", self.path);
                importer.reports.revise(&path, needless(why));
            }
        }
    }

    /// Prices, windows and budgets, which are of a model rather than of a provider.
    fn settle(&mut self, at: ProviderAt, model: Option<&str>, importer: &mut Importer<'_>) {
        let Some(model) = model else { return };
        importer.draft.upstream(at, model);
        self.alias(model, importer);
        let mut price = YamlTree::map();
        for (name, value) in &self.prices {
            price.set(&[name], value.clone());
        }
        if !price.is_empty() && !importer.draft.price(at, model, price) {
            let path = format!("{}.litellm_params.model", self.path);
            let why = "another entry has other prices for this model of the same provider: these are left out";
            importer
                .reports
                .revise(&path, approximated("llm.virtual[].upstreams", why));
        }
        for (path, tokens) in &self.windows {
            importer.draft.window(at, path, model, *tokens);
        }
        if let (Some(amount), every) = &self.budget {
            let mut budget = YamlTree::map();
            budget.set(&["amount"], amount.clone());
            let every = every.clone().unwrap_or_else(|| YamlTree::bare("total"));
            budget.set(&["every"], every);
            budget.set(&["unpriced"], YamlTree::bare("allow"));
            importer.draft.budget(at, model, budget);
        }
    }

    /// Tells lists of models which one it is.
    fn alias(&self, model: &str, importer: &mut Importer<'_>) {
        let Some((path, base)) = &self.base_model else {
            return;
        };
        let bare = base.split_once('/');
        let bare = bare.filter(|(prefix, _)| prefixes::place(prefix).is_some());
        let bare = bare.map_or(base.as_str(), |(_, rest)| rest);
        let key = ["catalog", "aliases", model];
        let known = importer.draft.rest.get(&key).cloned();
        let wanted = YamlTree::literal(bare);
        let verdict = match known {
            _ if bare == model => needless("is the name that the model has anyway"),
            Some(known) if known != wanted => {
                unsupported("another entry tells of this name that it is another model")
            }
            _ => {
                importer.draft.rest.set(&key, wanted);
                mapped_with("catalog.aliases", "read with catalog.sources")
            }
        };
        importer.reports.revise(path, verdict);
    }

    /// Its prefix and its model.
    fn named(&self) -> (Option<String>, String) {
        let model = self.model.as_str();
        if let Some(prefix) = &self.prefix {
            let rest = model
                .strip_prefix(prefix.as_str())
                .and_then(|rest| rest.strip_prefix('/'));
            return (Some(prefix.clone()), rest.unwrap_or(model).to_owned());
        }
        match model.split_once('/') {
            Some((prefix, rest)) if prefixes::place(prefix).is_some() || self.base.is_none() => {
                (Some(prefix.to_owned()), rest.to_owned())
            }
            _ => {
                let vertex = self.project.is_some().then_some("vertex_ai");
                let prefix = prefixes::guessed(model).or(vertex);
                (prefix.map(str::to_owned), model.to_owned())
            }
        }
    }
}
