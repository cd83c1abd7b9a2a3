//! LiteLLM's map of models and prices (1.110.2). USD for one token. A price of zero may mean that it is not known.

use std::collections::HashMap;

use super::amount::PriceUnit;
use super::features;
use super::litellm_keys::{Key, parse};
use super::node::{Node, NodeFields};
use super::page::Page;
use super::sheet::{PiecePrice, RatePlace, SheetDraft};
use crate::domain::calendar::{Calendar, Hours};
use crate::domain::catalog::capability::Capability;
use crate::domain::catalog::entry::{Entry, Status, Zero};
use crate::domain::catalog::notes::Notes;
use crate::domain::price_sheet::{OffPeak, Rates};
use crate::domain::zone::Zone;

/// Entries that describe the file.
const NO_MODELS: &[&str] = &["sample_spec", "fallback_generalizations"];

/// The most links from an alias to another.
const MOST_LINKS: usize = 8;

const FLAGS: &[(&str, Capability)] = &[
    ("supports_function_calling", Capability::Tools),
    ("supports_vision", Capability::Images),
    ("supports_audio_input", Capability::Audio),
    ("supports_response_schema", Capability::JsonSchema),
    ("supports_reasoning", Capability::Reasoning),
];

/// Modes of models that answer conversations.
const CHATS: [&str; 3] = ["chat", "responses", "completion"];

/// Factors under `provider_specific_entry`, and what they depend on.
const FACTORS: &[(&str, &str)] = &[("us", "geo:us"), ("eu", "geo:eu"), ("fast", "speed:fast")];

/// The same as fields of their own.
const UPLIFTS: &[(&str, &str)] = &[
    ("regional_processing_uplift_multiplier_eu", "geo:eu"),
    ("regional_processing_uplift_multiplier_us", "geo:us"),
    ("regional_endpoint_uplift_multiplier", "geo:regional"),
    ("fedramp_uplift_multiplier", "geo:fedramp"),
];

/// Where searches are priced by the size of their context.
const SEARCHES: [&str; 3] = [
    "search_context_size_low",
    "search_context_size_medium",
    "search_context_size_high",
];

pub(super) fn fits(list: &NodeFields<'_>) -> bool {
    list.get("sample_spec").is_some() || list.iter().any(|(_, node)| is_model(node))
}

fn is_model(node: Node<'_>) -> bool {
    const SIGNS: [&str; 4] = [
        "litellm_provider",
        "input_cost_per_token",
        "max_input_tokens",
        "alias_of",
    ];
    let model = node.object();
    model.is_some_and(|model| SIGNS.iter().any(|sign| model.get(sign).is_some()))
}

pub(super) fn read(list: &NodeFields<'_>, page: &mut Page) {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut aliases: Vec<(&str, String)> = Vec::new();
    for (key, node) in list.iter().filter(|(key, _)| !NO_MODELS.contains(key)) {
        let Some(model) = node.object() else {
            page.notes.warn(format!("`{key}` is no entry: left out"));
            continue;
        };
        if let Some(of) = model.get("alias_of").and_then(Node::name) {
            aliases.push((key, of.into_owned()));
            continue;
        }
        places.insert(key, page.entries.len());
        let entry = entry(key, &model, &mut page.notes);
        page.entries.push(entry);
    }
    let links: HashMap<&str, &str> = aliases
        .iter()
        .map(|(key, of)| (*key, of.as_str()))
        .collect();
    for (key, of) in &aliases {
        let mut at = of.as_str();
        for _ in 0..MOST_LINKS {
            match links.get(at) {
                Some(next) => at = next,
                None => break,
            }
        }
        let target = places
            .get(at)
            .and_then(|place| page.entries.get_mut(*place));
        match target {
            Some(target) => {
                let provider = target.provider.clone().unwrap_or_default();
                target.aliases.push(id_of(key, &provider).into());
            }
            None => page.notes.warn(format!(
                "`{key}` is an alias of `{of}`, which is not there: left out"
            )),
        }
    }
}

/// The id without its prefix, where that names the provider.
fn id_of<'a>(key: &'a str, provider: &str) -> &'a str {
    match key.split_once('/') {
        Some((head, rest)) if !rest.is_empty() => {
            let family = provider.strip_prefix(head);
            // `vertex_ai-anthropic_models` has keys `vertex_ai/…`.
            match family {
                Some("") => rest,
                Some(family) if family.starts_with(['-', '_']) => rest,
                _ => key,
            }
        }
        _ => key,
    }
}

fn entry(key: &str, model: &NodeFields<'_>, notes: &mut Notes) -> Entry {
    let provider = model.get("litellm_provider").and_then(Node::name);
    // Users' own entries may have a prefix alone.
    let prefix = key.split_once('/').map(|(head, _)| head);
    let provider = provider.as_deref().or(prefix).unwrap_or("openai");
    let mut entry = Entry {
        id: id_of(key, provider).into(),
        provider: Some(provider.into()),
        window: model.get("max_input_tokens").and_then(Node::tokens),
        max_output: model.get("max_output_tokens").and_then(Node::tokens),
        zero: Zero::FreeIfLocal,
        retires: model.get("deprecation_date").and_then(Node::date),
        ..Entry::default()
    };
    let mode = model.get("mode").and_then(Node::text);
    entry.chats = mode.map(|mode| CHATS.contains(&mode.as_ref()));
    features::flags(model, FLAGS, &mut entry.capabilities);
    if model.get("deprecation_date").is_some() {
        entry.status = Some(Status::Deprecated);
    }
    let mut draft = SheetDraft::default();
    for (name, node) in model.iter().filter(|(_, node)| !node.is_null()) {
        price(name, node, &mut draft, notes);
    }
    ranges(model, &mut draft, notes);
    off_peak(model, &mut draft, notes);
    let searches = model
        .get("search_context_cost_per_query")
        .and_then(Node::object);
    for (size, name) in SEARCHES.iter().enumerate() {
        if let Some(node) = searches.as_ref().and_then(|searches| searches.get(name)) {
            draft.piece(name, PiecePrice::Search(size), node);
        }
    }
    factors(model, &mut draft, notes);
    draft.finish(&mut entry, notes);
    entry
}

fn price(name: &str, node: Node<'_>, draft: &mut SheetDraft, notes: &mut Notes) {
    match parse(name) {
        Some(Key::Rate {
            rate,
            above: None,
            tier: None,
        }) => draft.rate(name, rate, node, PriceUnit::Each),
        Some(Key::Rate { rate, above, tier }) => {
            let place = RatePlace {
                tier,
                above,
                inclusive: false,
            };
            draft.long(name, place, rate, node, PriceUnit::Each);
        }
        Some(Key::PiecePrice(piece)) => draft.piece(name, piece, node),
        Some(Key::Lost) if !name.starts_with("search_context_cost") => notes.lose(name),
        Some(Key::Lost) => {}
        None => notes.unknown_keys += u64::from(!is_known(name)),
    }
}

/// Fields that are read elsewhere here, or say nothing that is used.
fn is_known(name: &str) -> bool {
    const KNOWN: [&str; 17] = [
        "litellm_provider",
        "mode",
        "max_tokens",
        "max_input_tokens",
        "max_output_tokens",
        "deprecation_date",
        "successor_model",
        "source",
        "rpm",
        "tpm",
        "prompt_cache_min_tokens",
        "tiered_pricing",
        "off_peak_pricing",
        "provider_specific_entry",
        "metadata",
        "output_vector_size",
        "comment",
    ];
    name.starts_with("supports_")
        || name.starts_with("supported_")
        || name.ends_with("_multiplier")
        || name.contains("_multiplier_")
        || name.starts_with("max_")
        || KNOWN.contains(&name)
}

/// `tiered_pricing`: ranges of the prompt's length; one begins above its first number, and the last never ends.
fn ranges(model: &NodeFields<'_>, draft: &mut SheetDraft, notes: &mut Notes) {
    let tiers = model
        .get("tiered_pricing")
        .into_iter()
        .flat_map(Node::items);
    for tier in tiers.filter_map(Node::object) {
        let start = tier.get("range").and_then(|range| range.items().next());
        let Some(start) = start.and_then(Node::count) else {
            notes.lose("tiered_pricing without a range of the prompt");
            continue;
        };
        let above = Some(start).filter(|start| *start > 0);
        for (name, node) in tier.iter() {
            match parse(name) {
                Some(Key::Rate {
                    rate,
                    above: None,
                    tier: None,
                }) if above.is_none() => {
                    draft.rate(name, rate, node, PriceUnit::Each);
                }
                Some(Key::Rate {
                    rate,
                    above: None,
                    tier,
                }) => {
                    let place = RatePlace {
                        tier,
                        above,
                        inclusive: false,
                    };
                    draft.long(name, place, rate, node, PriceUnit::Each);
                }
                Some(_) => notes.lose(&format!("tiered_pricing.{name}")),
                None => {}
            }
        }
    }
}

/// `off_peak_pricing`: prices of some hours in UTC.
fn off_peak(model: &NodeFields<'_>, draft: &mut SheetDraft, notes: &mut Notes) {
    let Some(off_peak) = model.get("off_peak_pricing").and_then(Node::object) else {
        return;
    };
    let mut rates = Rates::default();
    let inner = off_peak.get("rates").and_then(Node::object);
    for (name, node) in inner.as_ref().unwrap_or(&off_peak).iter() {
        match parse(name) {
            Some(Key::Rate {
                rate,
                above: None,
                tier: None,
            }) => {
                let price = draft.read(name, node, PriceUnit::Each);
                if price.is_none() {
                    draft.distrust();
                }
                *rate.slot(&mut rates) = price;
            }
            Some(_) => notes.lose(&format!("off_peak_pricing.{name}")),
            None => {}
        }
    }
    let windows = off_peak.get("windows").into_iter().flat_map(Node::items);
    for window in windows.filter_map(Node::object) {
        let hours = window.get("hours_utc");
        let several = hours
            .into_iter()
            .flat_map(Node::items)
            .filter_map(Node::text);
        let all = hours.and_then(Node::text).into_iter().chain(several);
        for hours in all {
            let Some(minutes) = span(&hours) else {
                notes.lose("off_peak_pricing.windows");
                continue;
            };
            draft.off_peak(OffPeak {
                hours: Calendar {
                    hours: vec![minutes],
                    days: days(&window),
                    zone: Zone::utc(),
                },
                rates,
            });
        }
    }
}

/// Weekdays as numbers from 1, Monday; all where none are named.
fn days(window: &NodeFields<'_>) -> [bool; 7] {
    let Some(named) = window.get("weekdays") else {
        return [true; 7];
    };
    let mut days = [false; 7];
    for day in named.items().filter_map(Node::count) {
        let at = usize::try_from(day).ok().and_then(|day| day.checked_sub(1));
        if let Some(slot) = at.and_then(|at| days.get_mut(at)) {
            *slot = true;
        }
    }
    days
}

/// Minutes of the day of `16:30-00:30`.
fn span(text: &str) -> Option<Hours> {
    let minute = |text: &str| {
        let (hours, minutes) = text.trim().split_once(':')?;
        let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
        (hours <= 24 && minutes < 60).then(|| (hours * 60 + minutes) % (24 * 60))
    };
    let (start, end) = text.split_once('-')?;
    Some(Hours {
        start: minute(start)?,
        end: minute(end)?,
    })
}

fn factors(model: &NodeFields<'_>, draft: &mut SheetDraft, notes: &mut Notes) {
    let entry = model.get("provider_specific_entry").and_then(Node::object);
    for (name, node) in entry.iter().flat_map(NodeFields::iter) {
        match FACTORS.iter().find(|(known, _)| *known == name) {
            Some((_, on)) => draft.multiply((*on).to_owned(), name, node),
            None => notes.lose(&format!("provider_specific_entry.{name}")),
        }
    }
    for (name, on) in UPLIFTS {
        if let Some(node) = model.get(name) {
            draft.multiply((*on).to_owned(), name, node);
        }
    }
}
