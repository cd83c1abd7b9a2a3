//! How settings of LiteLLM are read that stand in several of its sections.

use super::settings::{FallbackList, RouterSettings};
use crate::import::field_report::{
    FieldVerdict, approximated, mapped, mapped_with, needless, unsupported,
};
use crate::import::importer::Importer;
use crate::import::source::SourceNode;
use crate::import::spans::{count, seconds};
use crate::import::table::{SourceField, joined};
use crate::import::tree::YamlTree;

pub(super) fn retries(
    it: &mut RouterSettings,
    field: &SourceField<'_>,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    let Some(count) = whole(field) else {
        return field.wrong("a whole number");
    };
    // router_settings comes before litellm_settings, wherever it stands.
    if field.path.starts_with("router_settings") {
        let verdict = needless("router_settings.num_retries comes first");
        importer
            .reports
            .revise("litellm_settings.num_retries", verdict);
    } else if it.retries.is_some() {
        return needless("router_settings.num_retries comes first");
    }
    it.retries = Some(count);
    approximated(
        "dispatch.max_attempts",
        "ours counts the attempts of the whole chain, and is enough for all of it",
    )
}

pub(super) fn whole(field: &SourceField<'_>) -> Option<u64> {
    match field.node.number() {
        Some(0.0) => Some(0),
        _ => count(field.node).filter(|count| *count <= 1000),
    }
}

pub(super) fn fallbacks(
    list: &mut Vec<FallbackList>,
    field: &SourceField<'_>,
    larger: bool,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    let entries: Vec<(usize, &(String, SourceNode))> = match field.node {
        SourceNode::List(items) => items
            .iter()
            .enumerate()
            .flat_map(|(at, item)| item.entries().iter().map(move |entry| (at, entry)))
            .collect(),
        other => other.entries().iter().map(|entry| (0, entry)).collect(),
    };
    for (at, (from, to)) in entries {
        let path = format!("{}[{at}]", field.path);
        settings_beside_names(&joined(&path, from), to, importer);
        list.push(FallbackList {
            path,
            from: from.clone(),
            to: names(to),
        });
    }
    match larger {
        false => mapped_with(
            "llm.virtual[].upstreams",
            "a group and what it falls back to are one ordered chain",
        ),
        true => approximated(
            "llm.virtual[].upstreams",
            "at the end of the chain; prompts that are too long walk on to it by themselves",
        ),
    }
}

/// The names in a list of groups: names, or maps that name a model.
pub(super) fn names(node: &SourceNode) -> Vec<String> {
    let name = |item: &SourceNode| {
        item.name()
            .or_else(|| item.get("model")?.name())
            .map(str::to_owned)
    };
    node.items().iter().filter_map(name).collect()
}

/// Reports what a list of groups says besides their names: a fallback may be written with parameters and a key of its own.
fn settings_beside_names(path: &str, node: &SourceNode, importer: &mut Importer<'_>) {
    for (at, item) in node.items().iter().enumerate() {
        let besides = item.entries().iter().filter(|(name, _)| name != "model");
        for (name, _) in besides {
            let why =
                "only groups are taken over here: write a deployment of that name in model_list";
            let path = joined(&format!("{path}[{at}]"), name);
            importer.reports.add(&path, String::new(), unsupported(why));
        }
    }
}

pub(super) fn default_fallbacks(
    it: &mut RouterSettings,
    field: &SourceField<'_>,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    settings_beside_names(&field.path, field.node, importer);
    it.default_fallbacks = names(field.node);
    approximated(
        "llm.virtual[].upstreams",
        "at the end of every chain; theirs count only for groups without fallbacks of their own",
    )
}

pub(super) fn aliases(
    it: &mut RouterSettings,
    field: &SourceField<'_>,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    for (name, target) in field.node.entries() {
        let path = joined(&field.path, name);
        let hidden = target.get("hidden").is_some_and(SourceNode::is_true);
        let Some(to) = target.name().or_else(|| target.get("model")?.name()) else {
            importer.reports.add(
                &path,
                String::new(),
                unsupported("expected the name of a group"),
            );
            continue;
        };
        it.aliases.push((path.clone(), name.clone(), to.to_owned()));
        let verdict = match hidden {
            true => approximated(
                "llm.virtual[].name",
                "it is listed in GET /v1/models; theirs is hidden",
            ),
            false => mapped("llm.virtual[].name"),
        };
        importer.reports.add(&path, to.to_owned(), verdict);
    }
    FieldVerdict::Nested
}

pub(super) fn allowed_fails(
    it: &mut RouterSettings,
    field: &SourceField<'_>,
    _: &mut Importer<'_>,
) -> FieldVerdict {
    it.allowed_fails = whole(field);
    match it.allowed_fails {
        Some(_) => approximated(
            "llm.providers[].circuit_breaker.failure_threshold",
            "one more: theirs is left alone after more than so many failures a minute, ours after so many in a row",
        ),
        None => field.wrong("a whole number"),
    }
}

pub(super) fn cooldown(
    it: &mut RouterSettings,
    field: &SourceField<'_>,
    _: &mut Importer<'_>,
) -> FieldVerdict {
    it.cooldown = field.node.number().and_then(seconds);
    match it.cooldown {
        Some(_) => approximated(
            "llm.cooldown",
            "and circuit_breaker.recovery_time; what an upstream itself says of its limit comes first",
        ),
        None => field.wrong("seconds, above 0"),
    }
}

pub(super) fn verbose(
    _: &mut RouterSettings,
    field: &SourceField<'_>,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    if !field.node.is_true() {
        return needless("info is the usual level");
    }
    importer
        .draft
        .rest
        .set(&["log", "level"], YamlTree::bare("debug"));
    mapped("log.level")
}

pub(super) fn deadline(
    _: &mut RouterSettings,
    field: &SourceField<'_>,
    importer: &mut Importer<'_>,
) -> FieldVerdict {
    let Some(span) = field.node.number().and_then(seconds) else {
        return field.wrong("seconds, above 0");
    };
    importer.draft.rest.set(&["dispatch", "deadline"], span);
    mapped_with(
        "dispatch.deadline",
        "of the whole request, all attempts and waits",
    )
}
