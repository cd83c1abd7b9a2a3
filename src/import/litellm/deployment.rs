//! LiteLLM's deployments: an entry of `model_list`, field by field, and the provider that it becomes.

use super::prefixes::{self, PrefixPlace};
use crate::config::catalog::Cloud;
use crate::import::clouds::{name_of_host, set_azure, vertex, wrong_url};
use crate::import::draft::{DraftProvider, ProviderAt};
use crate::import::field_report::{
    FieldVerdict, approximated, mapped, mapped_with, needless, unsupported,
};
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

    fn provider(
        &mut self,
        prefix: &str,
        place: PrefixPlace,
        model: &str,
        importer: &mut Importer<'_>,
    ) -> Result<(DraftProvider, String), String> {
        let base = self.base.clone();
        if let Some(url) = base.as_deref().filter(|url| !importer.refers(url))
            && let Some(why) = wrong_url(url)
        {
            return Err(why.to_owned());
        }
        let mut model = model.to_owned();
        let mut provider = match place {
            PrefixPlace::None(why) => return Err(why.to_owned()),
            PrefixPlace::BuiltIn(name) => self.open(name, base.as_deref(), importer),
            PrefixPlace::Server => {
                let url = base.as_deref().ok_or("its api_base is missing")?;
                self.own(prefix, url, importer)
            }
            PrefixPlace::Service(url) => match base.as_deref() {
                Some(url) => self.own(prefix, url, importer),
                None => {
                    let mut provider = DraftProvider::own(prefix);
                    provider.set(&["base_url"], YamlTree::literal(url));
                    provider
                }
            },
            PrefixPlace::Ollama => {
                let mut provider = DraftProvider::built_in("ollama");
                provider.set(&["dialect"], YamlTree::bare("ollama"));
                if let Some(url) = &base {
                    let url = importer.text(url);
                    provider.set(&["base_url"], url);
                }
                provider
            }
            PrefixPlace::Anthropic => self.anthropic(base.as_deref(), importer),
            PrefixPlace::Azure => {
                for part in ["responses/", "gpt5_series/", "o_series/", "gpt-5_series/"] {
                    if let Some(rest) = model.strip_prefix(part) {
                        model = rest.to_owned();
                    }
                }
                self.azure(base.as_deref(), importer)?
            }
            PrefixPlace::AzureAi => {
                let url = base
                    .as_deref()
                    .ok_or("its api_base is missing: the address of the resource at Azure")?;
                let mut provider = self.own("azure-ai", url, importer);
                provider.set(&["auth"], YamlTree::bare("api-key"));
                if let Some(version) = self.version.take() {
                    let version = importer.text(&version);
                    provider.set(&["query", "api-version"], version);
                }
                provider
            }
            PrefixPlace::Bedrock => self.bedrock(&mut model, base.as_deref(), importer)?,
            PrefixPlace::Vertex => self.vertex(&model, importer)?,
        };
        self.keys(&mut provider, importer);
        if self.needs_responses && provider.builtin.is_none() {
            provider.set(&["responses"], YamlTree::bare("native"));
        }
        Ok((provider, model))
    }

    /// A built-in provider, at its own address or at another one.
    fn open(&self, name: &str, base: Option<&str>, importer: &mut Importer<'_>) -> DraftProvider {
        let provider = DraftProvider::built_in(name);
        let Some(url) = base else { return provider };
        let plain = url.trim().trim_end_matches('/');
        let usual = provider
            .builtin
            .is_some_and(|entry| entry.base_url == plain);
        let openai = provider.builtin.is_some_and(|entry| entry.local);
        match (usual, openai) {
            (true, _) => provider,
            (false, true) => {
                let mut provider = provider;
                let url = importer.text(url);
                provider.set(&["base_url"], url);
                provider
            }
            (false, false) => self.own(name, url, importer),
        }
    }

    /// A server of one's own.
    fn own(&self, prefix: &str, url: &str, importer: &mut Importer<'_>) -> DraftProvider {
        let hint = match importer.refers(url) {
            true => {
                let name = url.trim_start_matches("os.environ/").to_ascii_lowercase();
                let ends = ["_api_base", "_base_url", "_url", "_endpoint", "_base"];
                let cut = ends.iter().find_map(|end| name.strip_suffix(end));
                cut.unwrap_or(prefix).replace('_', "-")
            }
            false => name_of_host(url),
        };
        let mut provider = DraftProvider::own(&hint);
        let url = importer.address(url, &hint);
        provider.set(&["base_url"], url);
        provider
    }

    fn anthropic(&self, base: Option<&str>, importer: &mut Importer<'_>) -> DraftProvider {
        let Some(url) = base else {
            return DraftProvider::built_in("anthropic");
        };
        let plain = url
            .trim()
            .trim_end_matches('/')
            .trim_end_matches("/messages");
        if plain.trim_end_matches("/v1") == "https://api.anthropic.com" {
            return DraftProvider::built_in("anthropic");
        }
        let mut provider = self.own("anthropic", url, importer);
        if !importer.refers(url) {
            let root = format!("{}/v1", plain.trim_end_matches("/v1"));
            let root = importer.address(&root, &provider.hint);
            provider.set(&["base_url"], root);
        }
        provider.set(&["dialect"], YamlTree::bare("anthropic"));
        provider
    }

    fn azure(
        &mut self,
        base: Option<&str>,
        importer: &mut Importer<'_>,
    ) -> Result<DraftProvider, String> {
        let url = base.ok_or("its api_base is missing: add the address of the resource at Azure, such as https://NAME.openai.azure.com")?;
        self.is_azure = true;
        let mut provider = DraftProvider::built_in("azure");
        set_azure(&mut provider, url, self.version.as_deref(), importer);
        Ok(provider)
    }

    fn bedrock(
        &mut self,
        model: &mut String,
        base: Option<&str>,
        importer: &mut Importer<'_>,
    ) -> Result<DraftProvider, String> {
        for part in ["converse/", "converse_like/", "invoke/"] {
            if let Some(rest) = model.strip_prefix(part) {
                *model = rest.to_owned();
            }
        }
        for part in ["agent/", "agentcore/", "async_invoke/", "mantle/"] {
            if model.starts_with(part) {
                return Err("only models are called at Bedrock, by its Converse API".to_owned());
            }
        }
        let mut provider = DraftProvider::built_in("bedrock");
        if let Some(region) = self.region.take() {
            let region = importer.text(&region);
            provider.set(&["region"], region);
        }
        if let Some(url) = base {
            let url = importer.text(url);
            provider.set(&["base_url"], url);
        }
        Ok(provider)
    }

    fn vertex(
        &mut self,
        model: &str,
        importer: &mut Importer<'_>,
    ) -> Result<DraftProvider, String> {
        let name =
            vertex(model).ok_or("at Vertex only the models of Google and Anthropic are called")?;
        let mut provider = DraftProvider::built_in(name);
        let parts = [
            ("project", self.project.take()),
            ("region", self.region.take()),
        ];
        for (key, value) in parts {
            if let Some(value) = value {
                let value = importer.text(&value);
                provider.set(&[key], value);
            }
        }
        Ok(provider)
    }

    /// Keys and credentials, and what is said of them.
    fn keys(&mut self, provider: &mut DraftProvider, importer: &mut Importer<'_>) {
        let usual = provider.usual_variable();
        let mut credentials = YamlTree::map();
        for (name, path, text) in std::mem::take(&mut self.secrets) {
            let (key, wanted, became) = match name {
                "api_key" => (
                    "api_key",
                    usual.clone(),
                    "llm.providers[].api_key".to_owned(),
                ),
                "azure_ad_token" => (
                    "api_key",
                    "AZURE_AD_TOKEN".to_owned(),
                    "llm.providers[].api_key".to_owned(),
                ),
                "google" => {
                    let verdict = google(&text, provider, &mut credentials, importer);
                    importer.reports.revise(&path, verdict);
                    continue;
                }
                name => (
                    name,
                    match name {
                        "access_key_id" | "secret_access_key" | "session_token" => {
                            format!("AWS_{name}")
                        }
                        _ => format!("AZURE_{name}"),
                    },
                    format!("llm.providers[].credentials.{name}"),
                ),
            };
            let Some((value, why)) = importer.secret(&text, &wanted) else {
                let verdict = needless("stands for no key: calls are made without one");
                importer.reports.revise(&path, verdict);
                continue;
            };
            match key {
                "api_key" => provider.set(&["api_key"], value),
                key => credentials.set(&[key], value),
            }
            if name == "azure_ad_token" {
                provider.set(&["auth"], YamlTree::bare("azure"));
            }
            importer.reports.revise(&path, mapped_with(became, why));
        }
        if !credentials.is_empty() {
            provider.set(&["credentials"], credentials);
        }
        if let Some(kind) = provider.builtin.and_then(|entry| entry.cloud)
            && !provider.has("api_key")
            && !provider.has("credentials")
        {
            let why = match kind {
                Cloud::Aws => {
                    "its key comes from AWS_BEARER_TOKEN_BEDROCK, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; profiles and roles are not read"
                }
                Cloud::Azure => "its key comes from AZURE_OPENAI_API_KEY or AZURE_API_KEY",
                Cloud::Google => {
                    "its credentials are the file that GOOGLE_APPLICATION_CREDENTIALS names"
                }
            };
            let path = format!("{}.litellm_params.model", self.path);
            importer
                .reports
                .revise(&path, mapped_with("llm.virtual[].upstreams", why));
        }
    }
}

/// Google's credentials: a file's name, a variable, or the file's content.
fn google(
    text: &str,
    provider: &mut DraftProvider,
    credentials: &mut YamlTree,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    if importer.refers(text) {
        let value = importer.text(text);
        provider.set(&["api_key"], value);
        return approximated(
            "llm.providers[].api_key",
            "the variable holds the file's name, not its content",
        );
    }
    if text.trim_start().starts_with('{') {
        let value = importer.variable("GOOGLE_APPLICATION_CREDENTIALS");
        provider.set(&["api_key"], value);
        return approximated(
            "llm.providers[].api_key",
            "the credentials are not copied: write them into a file, and set GOOGLE_APPLICATION_CREDENTIALS to its name",
        );
    }
    credentials.set(&["file"], YamlTree::literal(text));
    mapped("llm.providers[].credentials.file")
}
