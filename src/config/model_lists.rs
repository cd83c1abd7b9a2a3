//! `catalog`: lists of models, and what they come to. Files are read with the configuration; what is fetched comes later
//! (`Config::with_lists`).

use std::fs;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use config::ValueKind;
use serde_json::json;

use super::context::Context;
use super::describe::{Describe, Shape};
use super::known_lists::{CatalogConfig, Discovery, ListPlace, ListSource};
use super::read::{ConfigNode, FromNode, Report, section};
use super::state::StateFile;
use super::values::{Names, PositiveSpan, Texts};
use crate::domain::catalog::entry::{ModelList, Origin};
use crate::domain::catalog::notes::Notes;
use crate::domain::catalog::refresh;
use crate::domain::ids::ModelName;
use crate::wire::catalog::{self as lists, CatalogFormat};

section! {
    /// `catalog`
    CatalogSection {
        /// Lists of models with windows, limits, capabilities and prices, best first. They are asked after the configuration
        /// itself and the providers' own lists.
        sources: Vec<SourceSection>,
        /// Whether the own list of each provider is fetched that does not say so itself. Default false.
        discover: bool,
        /// Providers that must all have a model of an index (`format: llmrouter`) before the model is offered.
        required: Names,
        /// Whether an index and discovered lists offer free models only. Default false.
        free_only: bool,
        /// The file that keeps what was fetched for the next process, relative to this one.
        state: StateFile,
        /// Ids of models, and the id that lists have for each.
        aliases: Texts,
    }
}

section! {
    /// `catalog.sources[]`
    SourceSection {
        /// A file, relative to this one. It is read again when it changes.
        file: String,
        /// A URL, fetched in the background once the process serves.
        url: ListUrl,
        /// `models.dev`, `litellm`, `openrouter`, `huggingface`, `llmrouter`, or `auto`: known by its shape. Default `auto`.
        format: ListFormat,
        /// The time between two fetches of a URL. Default `24h`.
        ttl: PositiveSpan,
    }
}

section! {
    /// `llm.providers[].discover`
    DiscoverTable {
        /// Where the list is, if not at `base_url` and `/models`.
        url: ListUrl,
        /// The time between two fetches. Default `24h`.
        ttl: PositiveSpan,
    }
}

/// `catalog.sources[].format`
pub(super) struct ListFormat(Option<CatalogFormat>);

fn formats() -> Vec<(&'static str, Option<CatalogFormat>)> {
    let named = CatalogFormat::all().map(|format| (format.name(), Some(format)));
    named.chain([("auto", None)]).collect()
}

impl FromNode for ListFormat {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        super::values::choice(node, &formats(), report).map(Self)
    }
}

impl Describe for ListFormat {
    fn shape() -> Shape {
        let formats = formats();
        Shape::choice(formats.iter().map(|(name, _)| *name))
    }
}

/// `llm.providers[].discover`: true, false or a map.
pub(super) struct DiscoverForm(Option<Discovery>);

impl FromNode for DiscoverForm {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        if !matches!(node.value.kind, ValueKind::Table(_)) {
            let on = bool::read(node, report)?;
            return Some(Self(on.then(Discovery::default)));
        }
        let table = DiscoverTable::read(node, report)?;
        let url = table.url.map(|ListUrl(url)| url);
        let ttl = table.ttl.map_or(refresh::TTL, |PositiveSpan(span)| span);
        Some(Self(Some(Discovery { url, ttl })))
    }
}

impl Describe for DiscoverForm {
    fn shape() -> Shape {
        bool::shape().or(DiscoverTable::shape())
    }
}

/// Where a list is.
pub(super) struct ListUrl(String);

impl FromNode for ListUrl {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let text = node.text().unwrap_or_default();
        let url = text.trim();
        let uri: Option<http::Uri> = url.parse().ok();
        let known = uri.as_ref().is_some_and(|uri| {
            let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
            let user = uri.authority().is_some_and(|at| at.as_str().contains('@'));
            scheme && !user && uri.host().is_some_and(|host| !host.is_empty())
        });
        if known {
            return Some(Self(url.to_owned()));
        }
        node.reject(
            "is no URL of a list, or holds a user name",
            "write one like https://models.dev/api.json",
            report,
        )
    }
}

impl Describe for ListUrl {
    fn shape() -> Shape {
        let schema = json!({"type": "string", "pattern": "^\\s*[hH][tT][tT][pP][sS]?://"});
        Shape::plain("URL", schema)
    }
}

/// What a provider says, or what is said for all; `None`: its list is not fetched.
pub(super) fn discovery(own: Option<DiscoverForm>, all: bool) -> Option<Discovery> {
    match own {
        Some(DiscoverForm(own)) => own,
        None => all.then(Discovery::default),
    }
}

/// Reads the section, and the files that it names.
pub(super) fn resolve(
    raw: CatalogSection,
    context: &Context<'_>,
    report: &mut Report,
) -> CatalogConfig {
    let sources = raw.sources.unwrap_or_default().into_iter().enumerate();
    let sources = sources.filter_map(|(at, source)| {
        let path = format!("catalog.sources[{at}]");
        self::source(source, &path, context, report)
    });
    let sources = sources.collect();
    let aliases = raw.aliases.map(|Texts(texts)| texts).unwrap_or_default();
    let mut aliases: Vec<(ModelName, ModelName)> = aliases
        .into_iter()
        .map(|(name, of)| (name.into(), of.into()))
        .collect();
    aliases.sort();
    CatalogConfig {
        sources,
        required: raw.required.map(|names| names.0).unwrap_or_default(),
        free_only: raw.free_only.unwrap_or(false),
        state: raw.state.map(|file| file.at(&context.dir)),
        aliases,
    }
}

fn source(
    raw: SourceSection,
    path: &str,
    context: &Context<'_>,
    report: &mut Report,
) -> Option<ListSource> {
    let format = raw.format.and_then(|ListFormat(format)| format);
    let ttl = raw.ttl.map_or(refresh::TTL, |PositiveSpan(span)| span);
    let place = match (raw.file, raw.url) {
        (Some(file), None) => {
            let file = context.dir.join(file.trim());
            report.files.push(file.clone());
            ListPlace::File(read_file(&file, format, path, report)?)
        }
        (None, Some(ListUrl(url))) => ListPlace::Url(url),
        _ => {
            report.problem(
                path,
                "a list has either a file or a url",
                "write {file: prices.json} or {url: \"https://models.dev/api.json\"}",
            );
            return None;
        }
    };
    Some(ListSource { place, format, ttl })
}

fn read_file(
    file: &std::path::Path,
    format: Option<CatalogFormat>,
    path: &str,
    report: &mut Report,
) -> Option<Arc<ModelList>> {
    let name = file.display().to_string();
    let size = fs::metadata(file).map(|found| found.len());
    let too_large = |size: u64| usize::try_from(size).map_or(true, |size| size > lists::MOST_BYTES);
    let read = match size {
        Ok(size) if too_large(size) => Err("it is larger than 16 MiB".to_owned()),
        Ok(_) => fs::read_to_string(file).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let read = read.and_then(|text| lists::read(&text, format).map_err(|error| error.to_string()));
    let (page, _) = match read {
        Ok(read) => read,
        Err(why) => {
            let message = format!("the list {name} cannot be used: {why}");
            report.problem(path, message, "");
            return None;
        }
    };
    for warning in shown_notes(&page.notes) {
        report.warn(path, format!("{name}: {warning}"));
    }
    let changed = fs::metadata(file).and_then(|found| found.modified()).ok();
    let read_at = changed.as_ref().map(seconds);
    let shown = file.file_name();
    let shown = shown.map_or_else(|| name.clone(), |it| it.to_string_lossy().into_owned());
    let origin = Origin {
        name: shown.into(),
        read_at,
    };
    Some(Arc::new(ModelList {
        origin: Arc::new(origin),
        of: None,
        entries: page.entries,
        groups: page.groups,
        notes: page.notes,
    }))
}

/// Seconds since 1970.
fn seconds(time: &SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// The warnings of a list that are shown one by one.
const MOST_SHOWN: usize = 20;

/// What was odd in a list, in a bounded number of lines.
pub fn shown_notes(notes: &Notes) -> Vec<String> {
    let mut lines: Vec<String> = notes.warnings.iter().take(MOST_SHOWN).cloned().collect();
    let rest = notes.warnings.len().saturating_sub(MOST_SHOWN);
    let rest = u64::try_from(rest).unwrap_or(0) + notes.more_warnings;
    if rest > 0 {
        lines.push(format!(
            "{rest} more entries have prices that cannot be read"
        ));
    }
    lines
}
