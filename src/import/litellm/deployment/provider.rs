//! The provider that a deployment becomes: by its prefix, its address, and its keys.

use super::Deployment;
use crate::config::catalog::Cloud;
use crate::import::clouds::{name_of_host, set_azure, vertex, wrong_url};
use crate::import::draft::DraftProvider;
use crate::import::field_report::{FieldVerdict, approximated, mapped, mapped_with, needless};
use crate::import::importer::Importer;
use crate::import::litellm::prefixes::PrefixPlace;
use crate::import::tree::YamlTree;

impl Deployment {
    /// The provider, and the model as it is called there.
    pub(super) fn provider(
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
