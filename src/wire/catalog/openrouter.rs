//! OpenRouter's list (documentation of 2026-08). Prices are text, in USD for one token, request or picture.

use super::amount::PriceUnit;
use super::features;
use super::node::{Node, NodeFields};
use super::page::{NextPage, Page};
use super::sheet::{PiecePrice, Rate, RatePlace, SheetDraft};
use crate::domain::calendar::{Calendar, Hours};
use crate::domain::catalog::capability::Capability;
use crate::domain::catalog::entry::{Entry, Status};
use crate::domain::catalog::notes::Notes;
use crate::domain::price_sheet::{OffPeak, Rates};
use crate::domain::zone::Zone;

const IGNORED: &[&str] = &[
    "canonical_slug",
    "name",
    "created",
    "hugging_face_id",
    "description",
    "per_request_limits",
    "default_parameters",
    "supported_voices",
    "knowledge_cutoff",
    "links",
];

pub(super) const RATES: &[(&str, Rate)] = &[
    ("prompt", Rate::Input),
    ("completion", Rate::Output),
    ("internal_reasoning", Rate::Reasoning),
    ("input_cache_read", Rate::CachedInput),
    ("input_cache_write", Rate::CacheWrite),
    ("audio", Rate::InputAudio),
];

const PIECES: &[(&str, PiecePrice)] = &[
    ("request", PiecePrice::Request),
    ("image", PiecePrice::Image),
    ("web_search", PiecePrice::Search(usize::MAX)),
];

pub(super) fn fits(list: &NodeFields<'_>) -> bool {
    let models = list.get("data").into_iter().flat_map(Node::items);
    let mut objects = models.filter_map(Node::object);
    objects.any(|model| model.get("pricing").and_then(Node::object).is_some())
}

pub(super) fn read(list: &NodeFields<'_>, page: &mut Page) {
    let models = list.get("data").into_iter().flat_map(Node::items);
    for model in models.filter_map(Node::object) {
        if let Some(id) = model.get("id").and_then(Node::name) {
            let entry = entry(&id, &model, &mut page.notes);
            page.entries.push(entry);
        }
    }
    let next = list.at("links.next").and_then(Node::name);
    let query = next.as_deref().and_then(|next| next.split_once('?'));
    page.next = query.map(|(_, query)| NextPage::Query(query.to_owned()));
}

fn entry(id: &str, model: &NodeFields<'_>, notes: &mut Notes) -> Entry {
    let mut entry = Entry {
        id: id.into(),
        provider: Some("openrouter".into()),
        window: model.get("context_length").and_then(Node::tokens),
        effective_window: model
            .at("top_provider.context_length")
            .and_then(Node::tokens),
        max_output: model
            .at("top_provider.max_completion_tokens")
            .and_then(Node::tokens),
        retires: model.get("expiration_date").and_then(Node::date),
        ..Entry::default()
    };
    entry.status = entry.retires.as_ref().map(|_| Status::Deprecated);
    entry.chats = features::writes(model.at("architecture.output_modalities"));
    if let Some(parameters) = model.get("supported_parameters") {
        // The list is complete: what is not in it is refused or ignored.
        let whole = [
            Capability::Tools,
            Capability::JsonSchema,
            Capability::Reasoning,
        ];
        features::read(parameters, &whole, &mut entry.capabilities);
    }
    features::modalities(
        model.at("architecture.input_modalities"),
        &mut entry.capabilities,
    );
    if let Some(pricing) = model.get("pricing").and_then(Node::object) {
        prices(&pricing, notes).finish(&mut entry, notes);
    } else {
        entry.free = entry.id.ends_with(":free");
    }
    notes.unknown_keys += model.unknown(IGNORED);
    entry
}

fn prices(pricing: &NodeFields<'_>, notes: &mut Notes) -> SheetDraft {
    let mut draft = SheetDraft::default();
    for (name, rate) in RATES {
        if let Some(node) = pricing.get(name) {
            draft.rate(name, *rate, node, PriceUnit::Each);
        }
    }
    for (name, piece) in PIECES {
        if let Some(node) = pricing.get(name) {
            draft.piece(name, *piece, node);
        }
    }
    let overrides = pricing.get("overrides").into_iter().flat_map(Node::items);
    let mut steps: Vec<(u64, Rates)> = Vec::new();
    for change in overrides.filter_map(Node::object) {
        override_of(&change, &mut draft, &mut steps, notes);
    }
    // Later ones go before earlier ones, and the sheet's first off-peak price holds.
    draft.sheet.off_peak.reverse();
    long_prompts(&steps, &mut draft);
    for (name, _) in pricing.iter() {
        let known = RATES.iter().any(|(rate, _)| *rate == name)
            || PIECES.iter().any(|(piece, _)| *piece == name)
            || ["overrides", "discount"].contains(&name);
        if !known {
            notes.lose(&format!("pricing.{name}"));
        }
    }
    draft
}

fn override_of(
    change: &NodeFields<'_>,
    draft: &mut SheetDraft,
    steps: &mut Vec<(u64, Rates)>,
    notes: &mut Notes,
) {
    let above = change.get("min_prompt_tokens").and_then(Node::count);
    let hour = |name: &str| {
        change
            .get(name)
            .and_then(Node::written)
            .and_then(|text| minutes(&text))
    };
    match (above, hour("utc_start"), hour("utc_end")) {
        (Some(tokens), None, None) => steps.push((tokens, rates_of(change, draft))),
        (None, Some(start), Some(end)) => {
            let rates = rates_of(change, draft);
            draft.off_peak(OffPeak {
                hours: Calendar {
                    hours: vec![Hours { start, end }],
                    days: [true; 7],
                    zone: Zone::utc(),
                },
                rates,
            });
        }
        (Some(_), _, _) => notes.lose("pricing.overrides of both length and hours"),
        _ => notes.lose("pricing.overrides without a length or hours"),
    }
}

fn rates_of(change: &NodeFields<'_>, draft: &mut SheetDraft) -> Rates {
    let mut rates = Rates::default();
    for (name, rate) in RATES {
        if let Some(node) = change.get(name) {
            let price = draft.read(name, node, PriceUnit::Each);
            if price.is_none() {
                draft.distrust();
            }
            *rate.slot(&mut rates) = price;
        }
    }
    rates
}

/// Overrides by the length of the prompt: of those that a prompt reaches, a later one goes before an earlier one, key by key.
/// A sheet has one set of rates for each length, so each gets those of all that it reaches.
fn long_prompts(steps: &[(u64, Rates)], draft: &mut SheetDraft) {
    for (tokens, _) in steps {
        let reached = steps.iter().filter(|(from, _)| from <= tokens);
        let rates = reached.fold(Rates::default(), |rates, (_, own)| own.over(rates));
        let place = RatePlace {
            above: Some(*tokens),
            ..RatePlace::default()
        };
        *draft.place(place) = rates;
    }
}

/// Minutes of the day of `HHMM` or `HH:MM`.
fn minutes(text: &str) -> Option<u16> {
    let digits: String = text.chars().filter(|letter| *letter != ':').collect();
    let number: u16 = digits.parse().ok().filter(|_| digits.len() <= 4)?;
    let (hours, minutes) = (number / 100, number % 100);
    (hours <= 24 && minutes < 60).then(|| (hours * 60 + minutes) % (24 * 60))
}
