//! The list of Hugging Face's router: each model with the providers behind it. USD per million tokens.

use super::amount::PriceUnit;
use super::features;
use super::node::{Node, NodeFields};
use super::page::Page;
use super::sheet::{Rate, SheetDraft};
use crate::domain::catalog::capability::Capability;
use crate::domain::catalog::entry::{Entry, Status};
use crate::domain::catalog::notes::Notes;
use crate::domain::money::Pico;

const IGNORED: &[&str] = &["id", "object", "created", "owned_by"];
const IGNORED_OF_PROVIDERS: &[&str] = &[
    "throughput",
    "first_token_latency_ms",
    "is_model_author",
    "provider",
];

const RATES: &[(&str, Rate)] = &[("input", Rate::Input), ("output", Rate::Output)];

const FLAGS: &[(&str, Capability)] = &[
    ("supports_tools", Capability::Tools),
    ("supports_structured_output", Capability::JsonSchema),
];

pub(super) fn fits(list: &NodeFields<'_>) -> bool {
    let models = list.get("data").into_iter().flat_map(Node::items);
    let mut objects = models.filter_map(Node::object);
    objects.any(|model| model.get("providers").is_some_and(Node::is_list))
}

pub(super) fn read(list: &NodeFields<'_>, page: &mut Page) {
    let models = list.get("data").into_iter().flat_map(Node::items);
    for model in models.filter_map(Node::object) {
        let Some(id) = model.get("id").and_then(Node::name) else {
            continue;
        };
        let providers = model.get("providers").into_iter().flat_map(Node::items);
        let mut pinned = Vec::new();
        for provider in providers.filter_map(Node::object) {
            if let Some(name) = provider.get("provider").and_then(Node::name) {
                pinned.push(entry(&id, &name, &model, &provider, &mut page.notes));
            }
        }
        page.entries.push(unpinned(&id, &model, &pinned));
        page.notes.unknown_keys += model.unknown(IGNORED);
        page.entries.extend(pinned);
    }
}

/// The model at one provider: `model:provider`.
fn entry(
    id: &str,
    name: &str,
    model: &NodeFields<'_>,
    provider: &NodeFields<'_>,
    notes: &mut Notes,
) -> Entry {
    let window = provider.get("context_length").and_then(Node::tokens);
    let mut entry = Entry {
        id: format!("{id}:{name}").into(),
        provider: Some("huggingface".into()),
        window,
        effective_window: window,
        ..Entry::default()
    };
    features::modalities(
        model.at("architecture.input_modalities"),
        &mut entry.capabilities,
    );
    features::flags(provider, FLAGS, &mut entry.capabilities);
    let status = provider.get("status").and_then(Node::text);
    if status.is_some_and(|status| status != "live") {
        entry.status = Some(Status::Offline);
    }
    let mut draft = SheetDraft::default();
    let pricing = provider.get("pricing").and_then(Node::object);
    let is_free = provider.get("is_free").and_then(Node::flag) == Some(true);
    if let Some(pricing) = &pricing {
        for (key, rate) in RATES {
            if let Some(node) = pricing.get(key) {
                draft.rate(key, *rate, node, PriceUnit::Million);
            }
        }
        for (key, _) in pricing.iter() {
            if !RATES.iter().any(|(rate, _)| *rate == key) {
                notes.lose(&format!("pricing.{key}"));
            }
        }
    } else if is_free {
        draft.sheet.rates.input = Some(Pico::ZERO);
        draft.sheet.rates.output = Some(Pico::ZERO);
    }
    draft.finish(&mut entry, notes);
    entry.free |= is_free;
    notes.unknown_keys += provider.unknown(IGNORED_OF_PROVIDERS);
    entry
}

/// The model without a choice of provider: the router takes any that is live, so it may be the dearest, and has the
/// smallest window.
fn unpinned(id: &str, model: &NodeFields<'_>, pinned: &[Entry]) -> Entry {
    let live = || pinned.iter().filter(|entry| entry.status.is_none());
    let sum = |entry: &&Entry| {
        let rates = entry.sheet.as_ref().map(|sheet| sheet.rates);
        let price = |rate: Option<Pico>| rate.map_or(0, Pico::get);
        rates.map_or(0, |rates| {
            price(rates.input).saturating_add(price(rates.output))
        })
    };
    let dearest = live().filter(|entry| entry.sheet.is_some()).max_by_key(sum);
    let mut entry = Entry {
        id: id.into(),
        provider: Some("huggingface".into()),
        window: live().filter_map(|entry| entry.window).min(),
        sheet: dearest.and_then(|entry| entry.sheet.clone()),
        free: live().next().is_some() && live().all(|entry| entry.free),
        status: live().next().is_none().then_some(Status::Offline),
        ..Entry::default()
    };
    features::modalities(
        model.at("architecture.input_modalities"),
        &mut entry.capabilities,
    );
    for (_, capability) in FLAGS {
        let mut said = live().map(|entry| *entry.capabilities.get(*capability));
        let first = said.next().flatten();
        if said.all(|other| other == first) {
            entry.capabilities.set(*capability, first);
        }
    }
    entry
}
