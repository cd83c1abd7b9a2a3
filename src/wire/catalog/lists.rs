//! Reads providers' own lists of models, by the rows of `list_rows.rs`.

use super::amount::PriceUnit;
use super::features;
use super::list_rows::{ListRow, row};
use super::node::{Node, NodeFields};
use super::page::{ListError, NextPage, Page};
use super::sheet::{Rate, RatePlace, SheetDraft};
use crate::domain::catalog::entry::{Entry, Status};
use crate::domain::catalog::notes::Notes;

/// Fields that say nothing that is used.
const IGNORED: &[&str] = &[
    "id",
    "object",
    "created",
    "created_at",
    "owned_by",
    "name",
    "title",
    "display_name",
    "displayName",
    "description",
    "type",
    "root",
    "parent",
    "permission",
    "organization",
    "link",
    "license",
    "version",
    "fingerprint",
    "tokenizer_url",
];

/// The path of a provider's list behind its API's root.
pub(super) fn path(kind: &str) -> &'static str {
    row(kind).path
}

/// The query of the first page of a provider's list that is called in this dialect.
pub(super) fn query(kind: &str, dialect: &str) -> &'static str {
    let row = row(kind);
    match row.query_of.is_empty() || row.query_of == dialect {
        true => row.query,
        false => "",
    }
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
        chats: chats(model, row),
        retires: RETIRING.iter().find_map(|name| model.get(name)?.date()),
        ..Entry::default()
    };
    let aliases = model.get("aliases").into_iter().flat_map(Node::items);
    let aliases = aliases.filter_map(Node::name);
    entry.aliases = aliases.map(|alias| alias.as_ref().into()).collect();
    for path in row.features {
        if let Some(node) = model.at(path) {
            features::read(node, &[], &mut entry.capabilities);
        }
    }
    for (path, capability) in row.flags {
        if let Some(flag) = model.at(path).and_then(Node::flag) {
            entry.capabilities.set(*capability, Some(flag));
        }
    }
    for path in row.inputs {
        features::modalities(model.at(path), &mut entry.capabilities);
    }
    if !row.prices.is_empty() {
        prices(model, row).finish(&mut entry, notes);
        lose(model, row, notes);
    }
    notes.unknown_keys += model.unknown(IGNORED);
    Some(entry)
}

/// Whether the model chats, as far as its list says. One whose window is none of text does not.
fn chats(model: &NodeFields<'_>, row: &ListRow) -> Option<bool> {
    let mut windows = row.window.iter();
    let named = windows.find_map(|path| model.at(path)?.tokens());
    if named.is_some_and(|window| window < row.least_window) {
        return Some(false);
    }
    let (path, words) = row.chats?;
    let node = model.at(path)?;
    if let Some(flag) = node.flag() {
        return Some(flag);
    }
    let is_one = |word: &str| words.iter().any(|one| word.eq_ignore_ascii_case(one));
    match node.text() {
        Some(word) => Some(is_one(&word)),
        None => node.is_list().then(|| {
            node.items()
                .filter_map(Node::text)
                .any(|word| is_one(&word))
        }),
    }
}

/// Prices of tokens that are read elsewhere here, or are no price.
const NO_LOSS: [&str; 7] = [
    "pricing.input_tiers",
    "pricing.output_tiers",
    "pricing.input_cache_read_tiers",
    "pricing.input_cache_write_tiers",
    "pricing.hourly",
    "pricing.currency",
    "pricing.base",
];

/// Counts prices that the normal form has no place for: what stands beside those that are read.
fn lose(model: &NodeFields<'_>, row: &ListRow, notes: &mut Notes) {
    let mut roots: Vec<&str> = Vec::new();
    for (path, _) in row.prices {
        // The prices stand in an object of that name, or beside the model's other facts.
        let root = path
            .find("pricing.")
            .map_or("", |at| &path[..at + "pricing".len()]);
        if !roots.contains(&root) {
            roots.push(root);
        }
    }
    for root in roots {
        let within = match root {
            "" => None,
            root => model.at(root).and_then(Node::object),
        };
        let (all, is_price): (_, fn(&str) -> bool) = match (root, &within) {
            ("", _) => (model, |name| name.contains("price")),
            (_, Some(within)) => (within, |_| true),
            (_, None) => continue,
        };
        for (name, node) in all.iter().filter(|(name, _)| is_price(name)) {
            let path = match root {
                "" => name.to_owned(),
                root => format!("{root}.{name}"),
            };
            let inside = format!("{path}.");
            let is_read = |known: &str| known == path || known.starts_with(&inside);
            let known = row.prices.iter().any(|(known, _)| is_read(known));
            if !known && !NO_LOSS.contains(&path.as_str()) && says_something(node) {
                notes.lose(&path);
            }
        }
    }
}

/// Whether a price is more than a zero, which lists write for what they do not have.
fn says_something(node: Node<'_>) -> bool {
    let is_above_zero = |text: &str| text.bytes().any(|digit| (b'1'..=b'9').contains(&digit));
    match node.written() {
        Some(text) => is_above_zero(&text),
        None => node.object().is_some() || node.items().next().is_some(),
    }
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
    let flag = |path: &str| model.at(path).and_then(Node::flag);
    let lifecycle = model.get("lifecycle").and_then(Node::text);
    let lifecycle = lifecycle.as_deref().unwrap_or_default();
    if flag("active") == Some(false)
        || flag("archived") == Some(true)
        || flag("model_spec.offline") == Some(true)
        || lifecycle == "retired"
    {
        Some(Status::Offline)
    } else if flag("is_deprecated") == Some(true)
        || lifecycle == "deprecated"
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
    if model.at("pricing.hourly").is_some_and(says_something) {
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
