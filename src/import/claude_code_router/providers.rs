//! An entry of `Providers`: where it is, its key, its models, and what its transformers make of it.

use super::transformers::{Transformed, read_transformers};
use crate::config::catalog;
use crate::import::clouds::{name_of_host, wrong_url};
use crate::import::draft::{DraftProvider, MemberTarget, ProviderAt};
use crate::import::field_report::{FieldVerdict, approximated, mapped, mapped_with, needless};
use crate::import::importer::Importer;
use crate::import::source::SourceNode;
use crate::import::table::{FieldRow, FieldRule, SourceField, read_fields};
use crate::import::tree::YamlTree;

use FieldRule::{Lacks, Read};

/// A provider that routes can lead to.
pub(super) struct RoutedProvider {
    /// Its name in the file.
    pub(super) name: String,
    at: ProviderAt,
    /// Models that it is asked for in a way of their own.
    apart: Vec<(String, ProviderAt)>,
}

impl RoutedProvider {
    /// A model of it.
    pub(super) fn upstream(&self, model: &str, importer: &mut Importer<'_>) -> MemberTarget {
        let apart = self.apart.iter().find(|(name, _)| name == model);
        let at = apart.map_or(self.at, |(_, at)| *at);
        importer.draft.upstream(at, model)
    }
}

/// A provider as far as it was read.
#[derive(Default)]
struct CodeProvider {
    name: String,
    url: Option<String>,
    key: Option<(String, String)>,
    models: Vec<String>,
    /// Whether it is switched off.
    off: bool,
    /// What transformers make of all models, and of single ones.
    all: Transformed,
    single: Vec<(String, Transformed)>,
}

const FIELDS: &[FieldRow<CodeProvider>] = &[
    (
        &["name"],
        Read(|it, field, _| {
            it.name = field.node.name().unwrap_or_default().to_owned();
            mapped("llm.providers[].name")
        }),
    ),
    (
        &["api_base_url", "baseURL", "base_url", "baseUrl"],
        Read(|it, field, _| {
            it.url = field.node.name().map(str::to_owned);
            mapped("llm.providers[].base_url")
        }),
    ),
    (
        &["api_key", "apiKey"],
        Read(|it, field, _| {
            it.key = field
                .node
                .text()
                .map(|text| (field.path.clone(), text.to_owned()));
            mapped("llm.providers[].api_key")
        }),
    ),
    (&["models"], Read(models)),
    (&["transformer", "transformers"], Read(transformer)),
    (
        &["enabled"],
        Read(|it, field, _| {
            it.off = matches!(field.node, SourceNode::Bool(false));
            needless("is on here too")
        }),
    ),
];

/// Reads a provider into the draft.
pub(super) fn read_provider(
    name: Option<&str>,
    entry: &SourceNode,
    path: &str,
    timeout: Option<u64>,
    importer: &mut Importer<'_>,
) -> Option<RoutedProvider> {
    let mut read = CodeProvider {
        name: name.unwrap_or_default().to_owned(),
        ..CodeProvider::default()
    };
    read_fields(
        FIELDS,
        &Lacks("there is no such key of a provider"),
        &mut read,
        entry,
        path,
        importer,
    );
    let off = read.off.then_some("is switched off");
    if let Some(why) = read.all.refused.or(off) {
        importer.reports.drop_below(path, why);
        return None;
    }
    let Some(url) = read.url.clone() else {
        importer
            .reports
            .drop_below(path, "its api_base_url is missing");
        return None;
    };
    let refers = importer.refers(&url);
    if let Some(why) = wrong_url(&url).filter(|_| !refers) {
        importer.reports.drop_below(path, why);
        return None;
    }
    if read.name.is_empty() {
        read.name = name_of_host(&url);
    }
    let mut provider = addressed(&read, &url, importer);
    if let Some((path, text)) = read.key.take() {
        let usual = provider.usual_variable();
        let verdict = match importer.secret(&text, &usual) {
            Some((key, why)) => {
                provider.set(&["api_key"], key);
                mapped_with("llm.providers[].api_key", why)
            }
            None => needless("stands for no key: calls are made without one"),
        };
        importer.reports.revise(&path, verdict);
    }
    if let Some(millis) = timeout {
        provider.set_timeout(millis);
    }
    read.all.apply(&mut provider);
    Some(placed(read, &provider, path, importer))
}

/// Puts the provider into the draft, and beside it one for each model that transformers ask for in a way of its own.
fn placed(
    read: CodeProvider,
    provider: &DraftProvider,
    path: &str,
    importer: &mut Importer<'_>,
) -> RoutedProvider {
    let at = importer.draft.provider(provider.clone());
    importer.draft.tells_of(path, at);
    let mut apart = Vec::new();
    for (model, transformed) in &read.single {
        let mut other = provider.clone();
        transformed.apply(&mut other);
        let other = importer.draft.provider(other);
        if other != at {
            apart.push((model.clone(), other));
        }
    }
    for model in &read.models {
        let other = apart.iter().find(|(name, _)| name == model);
        importer
            .draft
            .list(other.map_or(at, |(_, other)| *other), model);
    }
    RoutedProvider {
        name: read.name,
        at,
        apart,
    }
}

/// The provider with its address and dialect.
fn addressed(read: &CodeProvider, url: &str, importer: &mut Importer<'_>) -> DraftProvider {
    if importer.refers(url) {
        let mut provider = DraftProvider::own(&read.name);
        let url = importer.text(url);
        provider.set(&["base_url"], url);
        return provider;
    }
    let plain = url.trim().trim_end_matches('/');
    let dialect = match read.all.dialect {
        Some(dialect) => dialect,
        // An address that ends like Anthropic's or Google's is one of those.
        None if plain.ends_with("/v1/messages") => "anthropic",
        None => "openai",
    };
    let root = match dialect {
        "gemini" => plain.trim_end_matches("/models").to_owned(),
        "anthropic" => format!(
            "{}/v1",
            plain.trim_end_matches("/messages").trim_end_matches("/v1")
        ),
        "responses" => plain.trim_end_matches("/responses").to_owned(),
        _ => plain.trim_end_matches("/chat/completions").to_owned(),
    };
    let same = |entry: &&'static catalog::BuiltIn| {
        let usual = entry.base_url.as_str();
        let bare = |url: &str| {
            url.trim_end_matches("/v1")
                .replace("//localhost", "//127.0.0.1")
        };
        entry.dialect().id() == dialect
            && entry.cloud.is_none()
            && !usual.is_empty()
            && bare(usual) == bare(&root)
    };
    if let Some(entry) = catalog::all().iter().find(same) {
        let mut provider = DraftProvider::built_in(&entry.id);
        // The name that people know it by, where that means the same.
        if catalog::find(&read.name.to_lowercase()) == Some(entry) {
            provider.hint = read.name.to_lowercase();
        }
        return provider;
    }
    let mut provider = DraftProvider::own(&read.name);
    let base = if dialect == "openai" {
        plain
    } else {
        root.as_str()
    };
    let base = importer.address(base, &read.name);
    provider.set(&["base_url"], base);
    if dialect != "openai" {
        provider.set(&["dialect"], YamlTree::bare(dialect));
    }
    provider
}

fn models(it: &mut CodeProvider, field: &SourceField<'_>, _: &mut Importer<'_>) -> FieldVerdict {
    let names = field.node.items().iter().filter_map(SourceNode::name);
    it.models.extend(names.map(str::to_owned));
    mapped_with(
        "llm.providers[].models",
        "others are refused; take the list out to allow any",
    )
}

fn transformer(
    it: &mut CodeProvider,
    field: &SourceField<'_>,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    for (name, node) in field.node.entries() {
        let path = crate::import::table::joined(&field.path, name);
        match name.as_str() {
            "use" => read_transformers(&mut it.all, node, &path, importer),
            model => {
                let mut transformed = Transformed::default();
                let list = node.get("use").unwrap_or(node);
                read_transformers(&mut transformed, list, &format!("{path}.use"), importer);
                if transformed.dialect.is_some() {
                    let why = "a provider has one dialect";
                    importer.reports.revise(&path, approximated("", why));
                    transformed.dialect = None;
                }
                it.single.push((model.to_owned(), transformed));
            }
        }
    }
    FieldVerdict::Nested
}
