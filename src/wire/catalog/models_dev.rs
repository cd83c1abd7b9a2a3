//! models.dev's `api.json`: an object of providers, each with its models (schema of 2026-07). USD per million tokens.

use super::amount::PriceUnit;
use super::features;
use super::node::{Node, NodeFields};
use super::page::Page;
use super::sheet::{Rate, RatePlace, SheetDraft};
use crate::domain::catalog::capability::Capability;
use crate::domain::catalog::entry::{Entry, Status};
use crate::domain::catalog::notes::Notes;

/// Fields of a model that say nothing that is used.
const IGNORED: &[&str] = &[
    "id",
    "name",
    "family",
    "attachment",
    "reasoning_options",
    "interleaved",
    "temperature",
    "knowledge",
    "release_date",
    "last_updated",
    "open_weights",
    "experimental",
    "provider",
    "description",
    "benchmarks",
    "weights",
    "license",
];

const FLAGS: &[(&str, Capability)] = &[
    ("tool_call", Capability::Tools),
    ("structured_output", Capability::JsonSchema),
    ("reasoning", Capability::Reasoning),
];

const RATES: &[(&str, Rate)] = &[
    ("input", Rate::Input),
    ("output", Rate::Output),
    ("reasoning", Rate::Reasoning),
    ("cache_read", Rate::CachedInput),
    ("cache_write", Rate::CacheWrite),
    ("input_audio", Rate::InputAudio),
    ("output_audio", Rate::OutputAudio),
];

/// The threshold that the old key names, true or not.
const OLD_THRESHOLD: u64 = 200_000;

fn providers<'a>(list: &NodeFields<'a>) -> Option<NodeFields<'a>> {
    // `catalog.json` has them one level deeper.
    list.get("providers")?.object()
}

fn has_models(provider: Node<'_>) -> bool {
    let provider = provider.object();
    let models = provider.and_then(|provider| provider.get("models")?.object());
    models.is_some()
}

pub(super) fn fits(list: &NodeFields<'_>) -> bool {
    let any = |list: &NodeFields<'_>| list.iter().any(|(_, provider)| has_models(provider));
    any(list) || providers(list).is_some_and(|deeper| any(&deeper))
}

pub(super) fn read(list: &NodeFields<'_>, page: &mut Page) {
    let deeper = providers(list);
    let list = deeper.as_ref().unwrap_or(list);
    for (provider, node) in list.iter() {
        let Some(models) = node
            .object()
            .and_then(|object| object.get("models")?.object())
        else {
            continue;
        };
        for (id, model) in models.iter() {
            if let Some(model) = model.object() {
                page.entries
                    .push(entry(provider, id, &model, &mut page.notes));
            }
        }
    }
}

fn entry(provider: &str, id: &str, model: &NodeFields<'_>, notes: &mut Notes) -> Entry {
    let mut entry = Entry {
        id: id.into(),
        provider: Some(provider.into()),
        window: model.at("limit.context").and_then(Node::tokens),
        max_output: model.at("limit.output").and_then(Node::tokens),
        ..Entry::default()
    };
    features::flags(model, FLAGS, &mut entry.capabilities);
    features::modalities(model.at("modalities.input"), &mut entry.capabilities);
    entry.chats = features::writes(model.at("modalities.output"));
    let status = model.get("status").and_then(Node::text);
    entry.status = match status.as_deref() {
        Some("alpha") => Some(Status::Alpha),
        Some("beta") => Some(Status::Beta),
        Some("deprecated") => Some(Status::Deprecated),
        _ => None,
    };
    if let Some(cost) = model.get("cost").and_then(Node::object) {
        let draft = prices(&cost, &entry.id, notes);
        draft.finish(&mut entry, notes);
    }
    // Ways of asking (`fast`) that cost something else.
    let modes = model.at("experimental.modes").and_then(Node::object);
    for (name, mode) in modes.iter().flat_map(NodeFields::iter) {
        if mode.object().is_some_and(|mode| mode.get("cost").is_some()) {
            notes.lose(&format!("experimental.modes.{name}.cost"));
        }
    }
    notes.unknown_keys += model.unknown(IGNORED);
    entry
}

fn prices(cost: &NodeFields<'_>, id: &str, notes: &mut Notes) -> SheetDraft {
    let mut draft = SheetDraft::default();
    for (name, rate) in RATES {
        if let Some(node) = cost.get(name) {
            draft.rate(name, *rate, node, PriceUnit::Million);
        }
    }
    let tiers = cost.get("tiers");
    for tier in tiers.into_iter().flat_map(Node::items) {
        let Some(tier) = tier.object() else { continue };
        let kind = tier.at("tier.type").and_then(Node::text);
        let size = tier.at("tier.size").and_then(Node::count);
        match size {
            Some(size) if kind.as_deref().is_none_or(|kind| kind == "context") => {
                long(&mut draft, &tier, size);
            }
            _ => notes.lose("cost.tiers"),
        }
    }
    if let Some(old) = cost.get("context_over_200k").and_then(Node::object)
        && tiers.is_none()
    {
        long(&mut draft, &old, OLD_THRESHOLD);
        notes.warn(format!(
            "`{id}`: the price of long prompts stands under `context_over_200k` alone: the true length may be another"
        ));
    }
    for (name, _) in cost.iter() {
        let known = ["tiers", "context_over_200k"].contains(&name);
        if !known && !RATES.iter().any(|(rate, _)| *rate == name) {
            notes.lose(&format!("cost.{name}"));
        }
    }
    draft
}

fn long(draft: &mut SheetDraft, rates: &NodeFields<'_>, tokens: u64) {
    let place = RatePlace {
        above: Some(tokens),
        ..RatePlace::default()
    };
    for (name, rate) in RATES {
        if let Some(node) = rates.get(name) {
            draft.long(name, place, *rate, node, PriceUnit::Million);
        }
    }
}
