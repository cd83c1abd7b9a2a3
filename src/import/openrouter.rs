//! OpenRouter: the body of a request, or presets. The model and its fallbacks become an ordered chain of upstreams at
//! OpenRouter, everything else parameters that go there with each request.

use super::draft::{DraftMember, DraftProvider, DraftVirtual};
use super::error::ImportError;
use super::field_report::{
    FieldVerdict, is_secret_name, mapped, mapped_with, needless, unsupported,
};
use super::importer::Importer;
use super::source::SourceNode;
use super::table::{FieldRow, FieldRule, SourceField, read_fields};
use super::tree::YamlTree;

use FieldRule::{Lacks, Needless, Read};

/// A request or a preset, as far as it was read.
#[derive(Default)]
struct Preset {
    name: Option<String>,
    models: Vec<String>,
    fallbacks: Vec<String>,
    params: Vec<(String, YamlTree)>,
}

const FIELDS: &[FieldRow<Preset>] = &[
    (&["name", "slug"], Read(name)),
    (
        &["model"],
        Read(|it, field, _| models(&mut it.models, field)),
    ),
    (
        &["models"],
        Read(|it, field, _| models(&mut it.fallbacks, field)),
    ),
    (&["route"], Needless("failures walk the chain in any case")),
    (
        &[
            "config",
            "parameters",
            "params",
            "designated_version",
            "designatedVersion",
        ],
        Read(nested),
    ),
    (&["provider"], Read(provider)),
    (
        &["messages", "prompt", "input"],
        Needless("is each request's own"),
    ),
    (
        &["system", "system_prompt", "systemPrompt", "instructions"],
        Lacks("nothing puts words into prompts: callers send the system's words themselves"),
    ),
    (
        &["stream", "stream_options"],
        Needless("each request says whether it streams"),
    ),
    (
        &["user", "session_id", "metadata", "trace"],
        Needless("is each request's own"),
    ),
    (&["preset"], Read(preset)),
    (
        &[
            "description",
            "id",
            "created_at",
            "createdAt",
            "updated_at",
            "updatedAt",
            "status",
            "status_updated_at",
            "statusUpdatedAt",
            "version",
            "designated_version_id",
            "designatedVersionId",
            "preset_id",
            "presetId",
            "creator_id",
            "creatorId",
            "creator_user_id",
            "creatorUserId",
            "workspace_id",
            "workspaceId",
        ],
        Needless("describes the preset"),
    ),
    (
        &["tools", "tool_choice"],
        Needless("tools are each request's own"),
    ),
];

pub(super) fn read(node: &SourceNode, importer: &mut Importer<'_>) -> Result<(), ImportError> {
    // One request, a list of presets, or presets by their names.
    let presets: Vec<(String, Option<&str>, &SourceNode)> = match (node, node.get("presets")) {
        // As OpenRouter's own API lists and shows them.
        (SourceNode::Map(_), None) if node.get("data").is_some() => match node.get("data") {
            Some(list @ SourceNode::List(_)) => numbered("data", list),
            Some(one) => vec![("data".to_owned(), None, one)],
            None => Vec::new(),
        },
        (_, Some(SourceNode::Map(entries))) => {
            let preset = |(key, preset)| (format!("presets.{key}"), Some(key), preset);
            let entries = entries.iter().map(|(key, preset)| (key.as_str(), preset));
            entries.map(preset).collect()
        }
        (_, Some(list)) => numbered("presets", list),
        (SourceNode::List(_), None) => numbered("", node),
        (_, None) => vec![(String::new(), None, node)],
    };
    let known = [
        "model",
        "models",
        "config",
        "designated_version",
        "designatedVersion",
        "provider",
        "slug",
    ];
    let is_preset = |node: &SourceNode| known.iter().any(|key| node.get(key).is_some());
    if !presets.iter().any(|(_, _, preset)| is_preset(preset)) {
        return Err(ImportError::Foreign("there is neither a model nor models"));
    }
    for (path, key, preset) in presets {
        let mut read = Preset {
            name: key.map(str::to_owned),
            ..Preset::default()
        };
        read_fields(FIELDS, &Read(param), &mut read, preset, &path, importer);
        build(read, &path, importer);
    }
    Ok(())
}

fn numbered<'n>(
    path: &str,
    list: &'n SourceNode,
) -> Vec<(String, Option<&'n str>, &'n SourceNode)> {
    let items = list.items().iter().enumerate();
    items
        .map(|(at, item)| (format!("{path}[{at}]"), None, item))
        .collect()
}

fn build(read: Preset, path: &str, importer: &mut Importer<'_>) {
    let mut models = read.models;
    for model in read.fallbacks {
        if !models.contains(&model) {
            models.push(model);
        }
    }
    if models.is_empty() {
        importer.reports.drop_below(
            path,
            "it names no model; of presets in a list OpenRouter tells that one by one",
        );
        return;
    }
    let mut provider = DraftProvider::built_in("openrouter");
    for (name, value) in read.params {
        provider.set(&["params", &name], value);
    }
    let at = importer.draft.provider(provider);
    importer.draft.tells_of(path, at);
    let targets = models
        .iter()
        .map(|model| importer.draft.upstream(at, model));
    let members: Vec<DraftMember> = targets.map(DraftMember::of).collect();
    let wanted = read.name.unwrap_or_else(|| "preset".to_owned());
    let name = importer.draft.free_name(&wanted);
    if importer.draft.rest.get(&["llm", "default_model"]).is_none() {
        importer
            .draft
            .rest
            .set(&["llm", "default_model"], YamlTree::literal(&name));
    }
    importer.draft.virtuals.push(DraftVirtual {
        name,
        settings: YamlTree::map(),
        members,
    });
}

fn name(it: &mut Preset, field: &SourceField<'_>, _: &mut Importer<'_>) -> FieldVerdict {
    let Some(name) = field.node.name() else {
        return field.wrong("a text");
    };
    // Requests name a preset by its slug.
    if it.name.is_some() && field.name != "slug" {
        return needless("the slug names it");
    }
    it.name = Some(name.to_owned());
    mapped_with(
        "llm.virtual[].name",
        "requests ask for it as their model, without @preset/",
    )
}

fn models(list: &mut Vec<String>, field: &SourceField<'_>) -> FieldVerdict {
    let names = field.node.items().iter().filter_map(SourceNode::name);
    list.extend(names.map(str::to_owned));
    match list.is_empty() {
        true => field.wrong("the name of a model"),
        false => mapped("llm.virtual[].upstreams"),
    }
}

fn nested(it: &mut Preset, field: &SourceField<'_>, importer: &mut Importer<'_>) -> FieldVerdict {
    read_fields(FIELDS, &Read(param), it, field.node, &field.path, importer);
    FieldVerdict::Nested
}

/// Which of its providers OpenRouter takes is OpenRouter's own business.
fn provider(it: &mut Preset, field: &SourceField<'_>, importer: &mut Importer<'_>) -> FieldVerdict {
    const KNOWN: [&str; 15] = [
        "order",
        "only",
        "ignore",
        "allow_fallbacks",
        "require_parameters",
        "data_collection",
        "zdr",
        "enforce_distillable_text",
        "quantizations",
        "sort",
        "max_price",
        "preferred_min_throughput",
        "preferred_max_latency",
        "experimental",
        "options",
    ];
    let mut tree = YamlTree::map();
    for (name, value) in field.node.entries() {
        let path = super::table::joined(&field.path, name);
        let verdict = match KNOWN.contains(&name.as_str()) {
            true => {
                tree.set(&[name], importer.tree(name, value));
                mapped(format!("llm.providers[].params.provider.{name}"))
            }
            false => unsupported("OpenRouter has no such preference"),
        };
        importer
            .reports
            .add(&path, super::field_report::shown(name, value), verdict);
    }
    if !tree.is_empty() {
        it.params.push(("provider".to_owned(), tree));
    }
    FieldVerdict::Nested
}

fn preset(it: &mut Preset, field: &SourceField<'_>, _: &mut Importer<'_>) -> FieldVerdict {
    match field.node.name() {
        Some(name) => {
            it.params
                .push(("preset".to_owned(), YamlTree::literal(name)));
            mapped_with(
                "llm.providers[].params.preset",
                "OpenRouter keeps what it says",
            )
        }
        None => needless("nothing stands there"),
    }
}

fn param(it: &mut Preset, field: &SourceField<'_>, importer: &mut Importer<'_>) -> FieldVerdict {
    if is_secret_name(field.name) {
        return unsupported("looks like a credential: the key is OPENROUTER_API_KEY");
    }
    let value = importer.tree(field.name, field.node);
    it.params.push((field.name.to_owned(), value));
    mapped_with(
        format!("llm.providers[].params.{}", field.name),
        "filled in where the request has none",
    )
}
