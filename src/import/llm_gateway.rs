//! LLM Gateway: `meta-providers.yaml`, and the `providers.yaml` that it makes of it.

use super::clouds::{name_of_host, wrong_url};
use super::draft::{DraftMember, DraftProvider, DraftVirtual};
use super::error::ImportError;
use super::field_report::{FieldVerdict, approximated, mapped, mapped_with, needless};
use super::importer::Importer;
use super::source::SourceNode;
use super::table::{FieldRow, FieldRule, SourceField, read_fields};
use super::tree::YamlTree;
use crate::config::catalog;

use FieldRule::{Lacks, Read};

/// The target of requests that name no model: everything, by its score.
const EVERYTHING: &str = "priority-auto";

/// A provider as far as it was read.
#[derive(Default)]
struct GatewayEntry {
    variable: Option<String>,
    /// A key that stands where the name of its variable belongs.
    key: Option<YamlTree>,
    base: Option<String>,
    list: Option<String>,
    factor: Option<YamlTree>,
    model: Option<String>,
}

const FIELDS: &[FieldRow<GatewayEntry>] = &[
    (&["api_key_env_var"], Read(variable)),
    (
        &["base_url"],
        Read(|it, field, _| text(&mut it.base, field, "llm.providers[].base_url")),
    ),
    (
        &["model_url"],
        Read(|it, field, _| text(&mut it.list, field, "llm.providers[].discover.url")),
    ),
    (&["base_priority"], Read(factor)),
    (
        &["model_name"],
        Read(|it, field, _| text(&mut it.model, field, "llm.providers[].models")),
    ),
    (&["priority"], Read(priority)),
];

const ROOT: &[FieldRow<()>] = &[
    (
        &["adjustments"],
        Lacks("keep the file, and name it: policy: {kind: score, adjustments: FILE}"),
    ),
    (
        &["authentication_enabled"],
        Lacks("callers are clients with tokens: ALLOWED_BEARER_TOKENS becomes clients"),
    ),
];

pub(super) fn read(node: &SourceNode, importer: &mut Importer<'_>) -> Result<(), ImportError> {
    let Some(providers) = node.get("providers") else {
        return Err(ImportError::Foreign("there are no providers"));
    };
    for (key, section) in node.entries().iter().filter(|(key, _)| key != "providers") {
        let one = SourceNode::Map(vec![(key.clone(), section.clone())]);
        read_fields(
            ROOT,
            &Lacks("there is no such setting here"),
            &mut (),
            &one,
            "",
            importer,
        );
    }
    let mut members = Vec::new();
    for (at, entry) in providers.items().iter().enumerate() {
        let path = format!("providers[{at}]");
        let mut read = GatewayEntry::default();
        let others = Lacks("there is no such key of a provider");
        read_fields(FIELDS, &others, &mut read, entry, &path, importer);
        members.extend(build(read, &path, importer));
    }
    if !importer.draft.is_empty() {
        let target = YamlTree::bare(EVERYTHING);
        importer.draft.rest.set(&["llm", "default_model"], target);
    }
    // Of providers whose lists are fetched there is one of that name anyway.
    if !members.is_empty() {
        let mut settings = YamlTree::map();
        settings.set(&["policy"], YamlTree::bare("score"));
        importer.draft.virtuals.push(DraftVirtual {
            name: EVERYTHING.to_owned(),
            settings,
            members,
        });
    }
    Ok(())
}

/// Builds a provider; the member that its model is, where the file names one.
fn build(read: GatewayEntry, path: &str, importer: &mut Importer<'_>) -> Option<DraftMember> {
    let Some(base) = &read.base else {
        importer.reports.drop_below(path, "its base_url is missing");
        return None;
    };
    if let Some(why) = wrong_url(base) {
        importer.reports.drop_below(path, why);
        return None;
    }
    let root = base.trim().trim_end_matches('/');
    let host = |url: &str| url.split('/').nth(2).map(str::to_owned);
    let all = catalog::all().iter();
    let mut same = all
        .filter(|entry| entry.cloud.is_none() && !entry.local && host(&entry.base_url).is_some());
    let found = same.find(|entry| entry.base_url == root);
    let mut provider = match found {
        Some(entry) => DraftProvider::built_in(&entry.id),
        None => {
            let name = name_of_host(root);
            let mut provider = DraftProvider::own(&name);
            let url = importer.address(root, &name);
            provider.set(&["base_url"], url);
            provider
        }
    };
    if let Some(name) = &read.variable {
        let known = found.is_some_and(|entry| entry.variables().contains(name));
        let key = importer.variable(name);
        if !known {
            provider.set(&["api_key"], key);
        }
    }
    if let Some(key) = read.key {
        provider.set(&["api_key"], key);
    }
    if let Some(factor) = read.factor {
        provider.set(&["base_priority"], factor);
    }
    if read.model.is_none() {
        match &read.list {
            Some(url) => {
                // What others take for the whole address of the list is one too.
                let base = url.trim().trim_end_matches('/');
                let base = base.strip_suffix("/models").unwrap_or(base);
                let url = format!("{base}/models");
                provider.set(&["discover", "url"], YamlTree::literal(&url));
            }
            None => provider.set(&["discover"], YamlTree::bare("true")),
        }
    }
    let at = importer.draft.provider(provider);
    importer.draft.tells_of(path, at);
    let model = read.model?;
    importer.draft.list(at, &model);
    Some(DraftMember::of(importer.draft.upstream(at, &model)))
}

fn variable(
    it: &mut GatewayEntry,
    field: &SourceField<'_>,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    let Some(name) = field.node.name() else {
        return field.wrong("the name of a variable");
    };
    let legal = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !legal || name.starts_with(|c: char| c.is_ascii_digit()) {
        // Somebody wrote the key itself.
        return match importer.secret(name, "LLM_API_KEY") {
            Some((key, why)) => {
                it.key = Some(key);
                mapped_with("llm.providers[].api_key", why)
            }
            None => field.wrong("the name of a variable"),
        };
    }
    it.variable = Some(name.to_owned());
    mapped_with("llm.providers[].api_key", name)
}

fn text(target: &mut Option<String>, field: &SourceField<'_>, became: &str) -> FieldVerdict {
    match field.node.name() {
        Some(text) => {
            *target = Some(text.to_owned());
            mapped(became)
        }
        None => field.wrong("a text"),
    }
}

fn factor(it: &mut GatewayEntry, field: &SourceField<'_>, _: &mut Importer<'_>) -> FieldVerdict {
    match field.node.number().filter(|number| *number >= 0.0) {
        Some(number) => {
            if number != 1.0 {
                it.factor = Some(YamlTree::bare(number));
            }
            mapped("llm.providers[].base_priority")
        }
        None => field.wrong("a number, 0 or more"),
    }
}

/// The scores of a generated file are computed here for each request.
fn priority(it: &mut GatewayEntry, field: &SourceField<'_>, _: &mut Importer<'_>) -> FieldVerdict {
    let base = field.node.get("base").and_then(SourceNode::number);
    if let Some(base) = base.filter(|base| *base >= 0.0 && *base != 1.0) {
        it.factor = Some(YamlTree::bare(base));
    }
    match base {
        Some(_) => approximated(
            "llm.providers[].base_priority",
            "scores are computed anew (policy score): from the model's name and window, a leaderboard and adjustments",
        ),
        None => needless("scores are computed anew (policy score)"),
    }
}
