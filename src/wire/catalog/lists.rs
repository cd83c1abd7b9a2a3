//! Providers' own lists of models: one row each says where a fact stands and in what unit prices are.
//!
//! Sources: the vendors' documentation and live lists as of 2026-11; Together's, Novita's, DeepInfra's and SambaNova's
//! units are those that clients of these lists use.

use super::amount::PriceUnit;
use super::features;
use super::node::{Node, NodeFields};
use super::notes::Notes;
use super::page::{ListError, NextPage, Page};
use super::sheet::{Rate, RatePlace, SheetDraft};
use crate::domain::catalog::capability::Capability;
use crate::domain::catalog::entry::{Entry, Status};

/// Where the facts of one provider's list stand. Paths are tried in their order.
struct ListRow {
    /// The kinds of provider that list so.
    kinds: &'static [&'static str],
    /// The path of the list behind the API's root.
    path: &'static str,
    /// Windows that the model supports.
    window: &'static [&'static str],
    /// Windows that are really taken.
    effective: &'static [&'static str],
    /// The most tokens of an answer.
    output: &'static [&'static str],
    /// A smaller window is none of text (Whisper's 448).
    least_window: u64,
    /// Prices, all in one unit.
    prices: &'static [(&'static str, Rate)],
    unit: PriceUnit,
    /// Rates of which a zero means that there is none.
    zero_is_unknown: &'static [Rate],
    /// Words, or flags, for what a model can do.
    features: &'static [&'static str],
    /// Kinds of input.
    inputs: &'static [&'static str],
    /// What a word list tells fully.
    whole: &'static [Capability],
}

/// What every list may call a window, and the only fields that are read of an unknown server's list.
const WINDOWS: &[&str] = &[
    "context_length",
    "context_window",
    "max_model_len",
    "max_context_length",
    "max_input_tokens",
    "context_size",
    "inputTokenLimit",
    "max_prompt_length",
    "meta.n_ctx_train",
];

/// Prices as OpenRouter calls them, which others have taken over.
const PROMPT_AND_COMPLETION: &[(&str, Rate)] = &[
    ("pricing.prompt", Rate::Input),
    ("pricing.completion", Rate::Output),
    ("pricing.input_cache_read", Rate::CachedInput),
    ("pricing.input_cache_reads", Rate::CachedInput),
    ("pricing.input_cache_write", Rate::CacheWrite),
    ("pricing.input_cache_writes", Rate::CacheWrite),
    ("pricing.internal_reasoning", Rate::Reasoning),
];

const USUAL: ListRow = ListRow {
    kinds: &[],
    path: "/models",
    window: WINDOWS,
    effective: &[],
    output: &[],
    least_window: 0,
    prices: &[],
    unit: PriceUnit::Each,
    zero_is_unknown: &[],
    features: &[],
    inputs: &[],
    whole: &[],
};

static ROWS: &[ListRow] = &[
    ListRow {
        kinds: &[
            "openai",
            "deepseek",
            "cerebras",
            "nvidia_nim",
            "fireworks",
            "perplexity",
            "moonshot",
            "zai",
        ],
        ..USUAL
    },
    ListRow {
        kinds: &["anthropic"],
        output: &["max_tokens"],
        features: &["capabilities"],
        ..USUAL
    },
    ListRow {
        kinds: &["google", "google_native", "vertex"],
        output: &["outputTokenLimit"],
        ..USUAL
    },
    ListRow {
        kinds: &["groq"],
        output: &["max_completion_tokens"],
        least_window: 1024,
        ..USUAL
    },
    ListRow {
        kinds: &["mistralai"],
        features: &["capabilities"],
        ..USUAL
    },
    ListRow {
        kinds: &["togetherai"],
        prices: &[
            ("pricing.input", Rate::Input),
            ("pricing.output", Rate::Output),
            ("pricing.cached_input", Rate::CachedInput),
        ],
        unit: PriceUnit::Million,
        ..USUAL
    },
    ListRow {
        kinds: &["deepinfra"],
        window: &["metadata.context_length", "context_length"],
        output: &["metadata.max_tokens"],
        prices: &[
            ("metadata.pricing.input_tokens", Rate::Input),
            ("metadata.pricing.output_tokens", Rate::Output),
            ("metadata.pricing.cache_read_tokens", Rate::CachedInput),
        ],
        unit: PriceUnit::Million,
        features: &["metadata.tags", "tags"],
        ..USUAL
    },
    ListRow {
        kinds: &["sambanova", "baseten"],
        output: &["max_completion_tokens"],
        prices: PROMPT_AND_COMPLETION,
        features: &["supported_features"],
        ..USUAL
    },
    ListRow {
        kinds: &["novita"],
        output: &["max_output_tokens"],
        prices: &[
            ("input_token_price_per_m", Rate::Input),
            ("output_token_price_per_m", Rate::Output),
            ("pricing.input_cache_read.price_per_m", Rate::CachedInput),
        ],
        unit: PriceUnit::TenThousandthOfMillion,
        features: &["features"],
        inputs: &["input_modalities"],
        ..USUAL
    },
    ListRow {
        kinds: &["xai"],
        path: "/language-models",
        prices: &[
            ("prompt_text_token_price", Rate::Input),
            ("cached_prompt_text_token_price", Rate::CachedInput),
            ("completion_text_token_price", Rate::Output),
        ],
        unit: PriceUnit::TenThousandthOfMillion,
        inputs: &["input_modalities"],
        ..USUAL
    },
    ListRow {
        kinds: &["chutes"],
        output: &["max_output_length"],
        prices: PROMPT_AND_COMPLETION,
        unit: PriceUnit::Million,
        features: &["supported_features"],
        inputs: &["input_modalities"],
        ..USUAL
    },
    ListRow {
        kinds: &["vercel"],
        output: &["max_tokens"],
        prices: &[
            ("pricing.input", Rate::Input),
            ("pricing.output", Rate::Output),
            ("pricing.input_cache_read", Rate::CachedInput),
            ("pricing.input_cache_write", Rate::CacheWrite),
        ],
        features: &["tags"],
        ..USUAL
    },
    ListRow {
        kinds: &["ovh", "ovhcloud"],
        output: &["max_output_tokens", "max_completion_tokens"],
        prices: PROMPT_AND_COMPLETION,
        features: &["supported_features", "supported_parameters"],
        ..USUAL
    },
    ListRow {
        kinds: &["llmgateway"],
        effective: &["top_provider.context_length"],
        output: &["top_provider.max_completion_tokens", "max_output"],
        prices: PROMPT_AND_COMPLETION,
        zero_is_unknown: &[Rate::CachedInput, Rate::CacheWrite, Rate::Reasoning],
        features: &["supported_parameters"],
        inputs: &["architecture.input_modalities"],
        ..USUAL
    },
    ListRow {
        kinds: &["venice"],
        window: &["model_spec.availableContextTokens"],
        output: &["model_spec.maxCompletionTokens"],
        prices: &[
            ("model_spec.pricing.input.usd", Rate::Input),
            ("model_spec.pricing.output.usd", Rate::Output),
            ("model_spec.pricing.cache_input.usd", Rate::CachedInput),
        ],
        unit: PriceUnit::Million,
        ..USUAL
    },
    ListRow {
        kinds: &["llamacpp"],
        effective: &["meta.n_ctx", "default_generation_settings.n_ctx"],
        ..USUAL
    },
    ListRow {
        kinds: &["lmstudio"],
        features: &["capabilities"],
        ..USUAL
    },
    ListRow {
        kinds: &["ollama", "ollama_native"],
        features: &["capabilities"],
        ..USUAL
    },
];

fn row(kind: &str) -> &'static ListRow {
    let found = ROWS.iter().find(|row| row.kinds.contains(&kind));
    found.unwrap_or(&USUAL)
}

/// The path of a provider's list behind its API's root.
pub(super) fn path(kind: &str) -> &'static str {
    row(kind).path
}

/// Reads a page of the own list of a provider of this kind.
pub(super) fn read(root: Node<'_>, kind: &str, page: &mut Page) -> Result<(), ListError> {
    let row = row(kind);
    let object = root.object();
    let list = match &object {
        None => Some(root).filter(|root| root.is_list()),
        Some(object) => ["data", "models"]
            .iter()
            .find_map(|name| object.get(name).filter(|list| list.is_list())),
    };
    let list = list.ok_or(ListError::UnknownShape)?;
    for model in list.items().filter_map(Node::object) {
        if let Some(entry) = entry(&model, row, &mut page.notes) {
            page.entries.push(entry);
        }
    }
    page.next = object.as_ref().and_then(next);
    Ok(())
}

/// Where the next page is: as Anthropic, Google or Cohere say it.
fn next(list: &NodeFields<'_>) -> Option<NextPage> {
    let text = |name: &str| Some(list.get(name)?.name()?.into_owned());
    if list.get("has_more").and_then(Node::flag) == Some(true) {
        return Some(NextPage::Parameter("after_id", text("last_id")?));
    }
    let google = text("nextPageToken").map(|token| NextPage::Parameter("pageToken", token));
    google.or_else(|| Some(NextPage::Parameter("page_token", text("next_page_token")?)))
}

fn entry(model: &NodeFields<'_>, row: &ListRow, notes: &mut Notes) -> Option<Entry> {
    let id = ["id", "name", "key", "model"]
        .iter()
        .find_map(|field| model.get(field)?.name())?;
    let id = id.strip_prefix("models/").unwrap_or(&id);
    let first = |paths: &[&str]| paths.iter().find_map(|path| model.at(path)?.tokens());
    let window = |paths: &[&str]| first(paths).filter(|window| *window >= row.least_window);
    let mut entry = Entry {
        id: id.into(),
        window: window(row.window),
        effective_window: window(row.effective).or_else(|| loaded(model)),
        max_output: first(row.output),
        status: status(model),
        retires: RETIRING.iter().find_map(|name| model.get(name)?.date()),
        ..Entry::default()
    };
    let aliases = model.get("aliases").into_iter().flat_map(Node::items);
    let aliases = aliases.filter_map(Node::name);
    entry.aliases = aliases.map(|alias| alias.as_ref().into()).collect();
    for path in row.features {
        if let Some(node) = model.at(path) {
            features::read(node, row.whole, &mut entry.capabilities);
        }
    }
    for path in row.inputs {
        features::modalities(model.at(path), &mut entry.capabilities);
    }
    if !row.prices.is_empty() {
        prices(model, row).finish(&mut entry, notes);
    }
    Some(entry)
}

/// The smallest window with which a model is loaded (LM Studio).
pub(super) fn loaded(model: &NodeFields<'_>) -> Option<u64> {
    let instances = model
        .get("loaded_instances")
        .into_iter()
        .flat_map(Node::items);
    let windows =
        instances.filter_map(|instance| instance.object()?.at("config.context_length")?.tokens());
    windows.min()
}

/// When a model is switched off, or since when it is deprecated.
const RETIRING: [&str; 5] = [
    "shutdown_date",
    "retires_at",
    "deprecation_date",
    "deprecation",
    "deprecated_at",
];

fn status(model: &NodeFields<'_>) -> Option<Status> {
    let flag = |name: &str| model.get(name).and_then(Node::flag);
    if flag("active") == Some(false) || flag("archived") == Some(true) {
        Some(Status::Offline)
    } else if flag("is_deprecated") == Some(true)
        || RETIRING.iter().any(|name| model.get(name).is_some())
    {
        Some(Status::Deprecated)
    } else {
        None
    }
}

fn prices(model: &NodeFields<'_>, row: &ListRow) -> SheetDraft {
    let mut draft = SheetDraft::default();
    for (path, rate) in row.prices {
        let Some(node) = model.at(path) else { continue };
        draft.rate(path, *rate, node, row.unit);
        if row.zero_is_unknown.contains(rate) {
            let slot = rate.slot(&mut draft.sheet.rates);
            *slot = slot.filter(|price| price.get() > 0);
        }
    }
    for (path, rate) in [
        ("pricing.input_tiers", Rate::Input),
        ("pricing.output_tiers", Rate::Output),
        ("pricing.input_cache_read_tiers", Rate::CachedInput),
        ("pricing.input_cache_write_tiers", Rate::CacheWrite),
    ] {
        tiers(model.at(path), path, rate, row.unit, &mut draft);
    }
    // Rented by the hour: what a token costs is not said.
    let hourly = model.at("pricing.hourly").and_then(Node::written);
    if hourly.is_some_and(|price| price.bytes().any(|digit| (b'1'..=b'9').contains(&digit))) {
        draft.distrust();
    }
    draft
}

/// Vercel's prices by the prompt's length: each from its `min` on.
fn tiers(list: Option<Node<'_>>, key: &str, rate: Rate, unit: PriceUnit, draft: &mut SheetDraft) {
    for tier in list
        .into_iter()
        .flat_map(Node::items)
        .filter_map(Node::object)
    {
        let min = tier.get("min").and_then(Node::count).unwrap_or(0);
        let Some(cost) = tier.get("cost") else {
            continue;
        };
        if min == 0 {
            draft.rate(key, rate, cost, unit);
        } else {
            let place = RatePlace {
                tier: None,
                above: Some(min),
                inclusive: true,
            };
            draft.long(key, place, rate, cost, unit);
        }
    }
}
