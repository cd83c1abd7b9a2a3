//! llmrouter: `providers.yaml`, and `model_index.json`.

use super::clouds::wrong_url;
use super::draft::{DraftMember, DraftProvider, DraftVirtual, MemberTarget, ProviderAt};
use super::error::ImportError;
use super::field_report::{FieldVerdict, approximated, mapped, mapped_with, needless, unsupported};
use super::importer::Importer;
use super::source::SourceNode;
use super::spans::{count, seconds};
use super::table::{FieldRow, FieldRule, SourceField, read_fields};
use super::tree::YamlTree;
use super::variables::variable_name;
use crate::config::catalog;

use FieldRule::{Lacks, Read};

/// The target of requests for models that nobody knows.
const ANY: &str = "any";
/// The priority of a provider for which the file gives none.
const LAST: u64 = 100;
/// How far apart the models of an index are, in the order of their names.
const STEP: u64 = 10;

/// A provider as far as it was read.
#[derive(Default)]
struct RouterEntry {
    name: String,
    kind: String,
    model: Option<String>,
    base: Option<String>,
    variable: Option<String>,
    priority: Option<u64>,
    canonical: Option<String>,
    aliases: Vec<String>,
    settings: Vec<(Vec<&'static str>, YamlTree)>,
    headers: Vec<(String, String)>,
}

const FIELDS: &[FieldRow<RouterEntry>] = &[
    (
        &["name"],
        Read(|it, field, _| text(&mut it.name, field, "llm.providers[].name")),
    ),
    (&["type"], Read(kind)),
    (
        &["model"],
        Read(|it, field, _| optional(&mut it.model, field, "llm.providers[].model")),
    ),
    (
        &["base_url"],
        Read(|it, field, _| optional(&mut it.base, field, "llm.providers[].base_url")),
    ),
    (
        &["api_key_env"],
        Read(|it, field, _| optional(&mut it.variable, field, "llm.providers[].api_key")),
    ),
    (&["priority", "priority_offset"], Read(priority)),
    (&["circuit_breaker"], Read(breaker)),
    (&["mock_failure_rate"], Read(failure_rate)),
    (&["extra_headers", "headers"], Read(headers)),
    (
        &["canonical_model"],
        Read(|it, field, _| optional(&mut it.canonical, field, "llm.virtual[].name")),
    ),
    (&["aliases"], Read(aliases)),
    (
        &["allow_paid"],
        Read(|_, field, _| match field.node.is_true() {
            true => needless("paid models are called here in any case"),
            false => approximated(
                "",
                "free models only are offered of an index or a provider's list with catalog.free_only: true; what is named is called",
            ),
        }),
    ),
    (
        &["cost", "cost_metadata", "usage_caps", "policy"],
        Lacks(
            "write prices, budgets and policies as docs/prices.md, docs/budgets.md and docs/routing.md have them",
        ),
    ),
];

const BREAKER: &[FieldRow<RouterEntry>] = &[
    (
        &["failure_threshold"],
        Read(|it, field, _| match count(field.node) {
            Some(count) => {
                it.settings.push((
                    vec!["circuit_breaker", "failure_threshold"],
                    YamlTree::bare(count),
                ));
                mapped("llm.providers[].circuit_breaker.failure_threshold")
            }
            None => field.wrong("a whole number, 1 or more"),
        }),
    ),
    (
        &["recovery_time_seconds", "recovery_time"],
        Read(|it, field, _| match field.node.number().and_then(seconds) {
            Some(span) => {
                it.settings
                    .push((vec!["circuit_breaker", "recovery_time"], span));
                mapped("llm.providers[].circuit_breaker.recovery_time")
            }
            None => field.wrong("seconds, above 0"),
        }),
    ),
];

const MODEL: &[FieldRow<RouterEntry>] = &[
    (
        &["canonical"],
        Read(|it, field, _| optional(&mut it.canonical, field, "llm.virtual[].name")),
    ),
    (&["aliases"], Read(aliases)),
    (&["providers"], Read(|_, _, _| FieldVerdict::Nested)),
];

/// An upstream of a model, and its tier.
type Tiered = (ProviderAt, Option<String>, u64);

pub(super) fn read(node: &SourceNode, importer: &mut Importer<'_>) -> Result<(), ImportError> {
    let is_index = node.get("models").is_some_and(|models| {
        models
            .items()
            .iter()
            .any(|model| model.get("canonical").is_some())
    });
    let entries = node
        .get("providers")
        .map(SourceNode::items)
        .unwrap_or_default();
    if !is_index && entries.iter().all(|entry| entry.entries().is_empty()) {
        return Err(ImportError::Foreign("there are no providers"));
    }
    if is_index {
        read_index(node, importer);
        return Ok(());
    }
    let mut models: Vec<(String, Vec<String>, Vec<Tiered>)> = Vec::new();
    let mut all: Vec<Tiered> = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        let path = format!("providers[{at}]");
        let mut read = RouterEntry::default();
        read_fields(
            FIELDS,
            &Lacks("there is no such key of a provider"),
            &mut read,
            entry,
            &path,
            importer,
        );
        let aliases = std::mem::take(&mut read.aliases);
        let canonical = read.canonical.clone();
        let Some(placed) = build(read, &path, LAST, importer) else {
            continue;
        };
        all.push(placed.clone());
        if let Some(canonical) = canonical {
            match models.iter_mut().find(|(name, ..)| *name == canonical) {
                Some((_, names, members)) => {
                    names.extend(aliases);
                    members.push(placed);
                }
                None => models.push((canonical, aliases, vec![placed])),
            }
        }
    }
    for (key, section) in node.entries().iter().filter(|(key, _)| key != "providers") {
        let why = unsupported(
            "write it as docs/configuration.md has it: nothing reads it in llmrouter either",
        );
        importer
            .reports
            .add(key, super::field_report::shown(key, section), why);
    }
    push_models(models, importer);
    push_any(all, importer);
    Ok(())
}

/// Where a model is unknown, llmrouter asks every provider for its own.
fn push_any(all: Vec<Tiered>, importer: &mut Importer<'_>) {
    if all.is_empty() {
        return;
    }
    let name = importer.draft.free_name(ANY);
    let default = YamlTree::literal(&name);
    importer.draft.rest.set(&["llm", "default_model"], default);
    push(name, all, importer);
}

fn read_index(node: &SourceNode, importer: &mut Importer<'_>) {
    let mut models: Vec<(String, Vec<String>, Vec<Tiered>)> = Vec::new();
    for (at, model) in node
        .get("models")
        .map(SourceNode::items)
        .unwrap_or_default()
        .iter()
        .enumerate()
    {
        let path = format!("models[{at}]");
        let mut read = RouterEntry::default();
        read_fields(
            MODEL,
            &Lacks("there is no such key of a model"),
            &mut read,
            model,
            &path,
            importer,
        );
        let Some(canonical) = read.canonical.take() else {
            importer
                .reports
                .drop_below(&path, "its canonical name is missing");
            continue;
        };
        let mut members = Vec::new();
        for (kind, entry) in model
            .get("providers")
            .map(SourceNode::entries)
            .unwrap_or_default()
        {
            let path = super::table::joined(&format!("{path}.providers"), kind);
            let mut read = RouterEntry {
                kind: kind.clone(),
                ..RouterEntry::default()
            };
            read_fields(
                FIELDS,
                &Lacks("there is no such key of a provider"),
                &mut read,
                entry,
                &path,
                importer,
            );
            members.extend(build(read, &path, 0, importer));
        }
        if members.is_empty() {
            let why = "none of its providers was taken over";
            importer.reports.drop_below(&path, why);
        }
        models.push((canonical, read.aliases, members));
    }
    for (key, section) in node.entries().iter().filter(|(key, _)| key != "models") {
        let why =
            needless("the index itself can be read at run time: catalog.sources, format llmrouter");
        importer
            .reports
            .add(key, super::field_report::shown(key, section), why);
    }
    let mut names: Vec<&String> = models.iter().map(|(name, ..)| name).collect();
    names.sort();
    let mut all: Vec<Tiered> = Vec::new();
    for (place, name) in (0..).zip(names) {
        let of_it = models.iter().filter(|(known, ..)| known == name);
        let members = of_it.flat_map(|(.., members)| members);
        all.extend(members.map(|(at, model, offset)| (*at, model.clone(), place * STEP + offset)));
    }
    push_models(models, importer);
    push_any(all, importer);
}

fn push_models(models: Vec<(String, Vec<String>, Vec<Tiered>)>, importer: &mut Importer<'_>) {
    for (canonical, aliases, members) in models
        .into_iter()
        .filter(|(.., members)| !members.is_empty())
    {
        if importer.draft.has_virtual(&canonical) {
            continue;
        }
        push(canonical.clone(), members, importer);
        for alias in aliases {
            if alias != canonical && !importer.draft.has_virtual(&alias) {
                let members = vec![DraftMember::of(MemberTarget::Virtual(canonical.clone()))];
                importer.draft.virtuals.push(DraftVirtual {
                    name: alias,
                    settings: YamlTree::map(),
                    members,
                });
            }
        }
    }
}

fn push(name: String, members: Vec<Tiered>, importer: &mut Importer<'_>) {
    let mut list = Vec::new();
    for (at, model, priority) in members {
        let target = match model {
            Some(model) => importer.draft.upstream(at, &model),
            None => MemberTarget::Provider(at),
        };
        list.push(DraftMember {
            priority: Some(priority),
            ..DraftMember::of(target)
        });
    }
    list.sort_by_key(|member| member.priority);
    importer.draft.virtuals.push(DraftVirtual {
        name,
        settings: YamlTree::map(),
        members: list,
    });
}

/// Whether a type is that of a built-in provider. llmrouter itself knows four; an index that `pointsman catalog build` made has
/// any, and others by their addresses.
fn is_built_in(kind: &str) -> bool {
    catalog::find(kind).is_some_and(|entry| entry.cloud.is_none())
}

/// Builds a provider; `priority` is that of one that has none of its own.
fn build(
    read: RouterEntry,
    path: &str,
    priority: u64,
    importer: &mut Importer<'_>,
) -> Option<Tiered> {
    let refuse = |why: &str, importer: &mut Importer<'_>| {
        importer.reports.drop_below(path, why);
        None
    };
    if let Some(why) = read
        .base
        .as_deref()
        .and_then(|url| wrong_url(&url.replace("{model}", "model")))
    {
        return refuse(why, importer);
    }
    let is_echo = read.kind.is_empty() || read.kind == "echo";
    let kind = match is_echo {
        true => "echo",
        false => read.kind.as_str(),
    };
    let mut provider = match is_echo || is_built_in(kind) {
        true => DraftProvider::built_in(kind),
        false if read.base.is_some() => DraftProvider::own(kind),
        false => return refuse("its type is unknown, and it has no base_url", importer),
    };
    if !read.name.is_empty() {
        read.name.clone_into(&mut provider.hint);
    }
    let mut model = read.model.clone();
    if is_echo {
        provider.set(&["dialect"], YamlTree::bare("echo"));
        model = model.or_else(|| Some("echo".to_owned()));
    } else {
        place(&read, kind, path, &mut provider, importer);
        if model.is_none() && provider.builtin.is_none_or(|entry| entry.model.is_none()) {
            return refuse("it names no model", importer);
        }
    }
    for (name, value) in &read.headers {
        let value = importer.guarded(value, name);
        provider.set(&["headers", name], value);
    }
    for (path, value) in read.settings {
        provider.set(&path, value);
    }
    let at = importer.draft.provider(provider);
    importer.draft.tells_of(path, at);
    Some((at, model, read.priority.unwrap_or(priority)))
}

/// Sets where a provider is called, and with which key, as far as that is not what is usual.
fn place(
    read: &RouterEntry,
    kind: &str,
    path: &str,
    provider: &mut DraftProvider,
    importer: &mut Importer<'_>,
) {
    let usual = provider.builtin.map(|entry| entry.base_url.as_str());
    let base = read.base.as_deref();
    let base = base.map(|url| url.trim().trim_end_matches('/'));
    let own = base.filter(|url| !url.contains("api-inference.huggingface.co"));
    match (base, own) {
        (_, Some(url)) if Some(url.trim_end_matches("/chat/completions")) != usual => {
            let named = !read.name.is_empty();
            let name = if named { &read.name } else { kind };
            let url = importer.address(url, name);
            provider.set(&["base_url"], url);
        }
        (Some(_), None) => {
            let why = "that API has ended: the router of Hugging Face is called";
            let place = format!("{path}.base_url");
            importer
                .reports
                .revise(&place, approximated("llm.providers[].base_url", why));
        }
        _ => {}
    }
    if let Some(name) = &read.variable {
        let known = provider
            .builtin
            .is_some_and(|entry| entry.variables().contains(name));
        let key = importer.variable(&variable_name(name));
        if !known || read.name != kind {
            provider.set(&["api_key"], key);
        }
    }
}

fn text(target: &mut String, field: &SourceField<'_>, became: &str) -> FieldVerdict {
    match field.node.name() {
        Some(text) => {
            text.clone_into(target);
            mapped(became)
        }
        None => field.wrong("a text"),
    }
}

fn optional(target: &mut Option<String>, field: &SourceField<'_>, became: &str) -> FieldVerdict {
    match field.node.name() {
        Some(text) => {
            *target = Some(text.to_owned());
            mapped(became)
        }
        None => field.wrong("a text"),
    }
}

fn kind(it: &mut RouterEntry, field: &SourceField<'_>, _: &mut Importer<'_>) -> FieldVerdict {
    it.kind = field.node.text().unwrap_or_default().to_owned();
    match it.kind.as_str() {
        "echo" => mapped("llm.providers[].dialect: echo"),
        kind if is_built_in(kind) => mapped_with("llm.providers[]", "a built-in provider"),
        _ => approximated(
            "llm.providers[].base_url",
            "is no type that is known: taken for a server that speaks OpenAI's API",
        ),
    }
}

fn priority(it: &mut RouterEntry, field: &SourceField<'_>, _: &mut Importer<'_>) -> FieldVerdict {
    let number = field
        .node
        .number()
        .filter(|number| *number >= 0.0 && number.fract() == 0.0 && *number < 1e6);
    it.priority = number.and_then(|number| format!("{number:.0}").parse().ok());
    match it.priority {
        Some(_) => mapped("llm.virtual[].upstreams[].priority"),
        None => field.wrong("a whole number, 0 or more"),
    }
}

fn breaker(
    it: &mut RouterEntry,
    field: &SourceField<'_>,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    read_fields(
        BREAKER,
        &Lacks("there is no such setting of a breaker"),
        it,
        field.node,
        &field.path,
        importer,
    );
    FieldVerdict::Nested
}

fn failure_rate(
    it: &mut RouterEntry,
    field: &SourceField<'_>,
    _: &mut Importer<'_>,
) -> FieldVerdict {
    match field
        .node
        .number()
        .filter(|share| (0.0..=1.0).contains(share))
    {
        Some(share) => {
            if share > 0.0 {
                it.settings
                    .push((vec!["mock_failure_rate"], YamlTree::bare(share)));
            }
            mapped("llm.providers[].mock_failure_rate")
        }
        None => field.wrong("a share from 0 to 1"),
    }
}

fn headers(it: &mut RouterEntry, field: &SourceField<'_>, _: &mut Importer<'_>) -> FieldVerdict {
    let pairs = field
        .node
        .entries()
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), value.scalar()?)));
    it.headers.extend(pairs);
    mapped("llm.providers[].headers")
}

fn aliases(it: &mut RouterEntry, field: &SourceField<'_>, _: &mut Importer<'_>) -> FieldVerdict {
    let names = field.node.items().iter().filter_map(SourceNode::name);
    it.aliases.extend(names.map(str::to_owned));
    mapped_with("llm.virtual[].name", "names are taken as they are written")
}
