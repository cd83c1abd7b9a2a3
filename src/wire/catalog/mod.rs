//! Lists of models: each source's own shape and unit, read into what the catalogue merges (`domain/catalog`).
//!
//! One file for each source with a shape of its own; providers' own lists differ in names only and are rows of a table
//! (`list_rows.rs`). The unit of a price belongs to the source. Unknown keys are counted and else ignored.

mod amount;
mod details;
mod features;
mod huggingface;
mod list_rows;
mod lists;
mod litellm;
mod litellm_keys;
mod llmrouter;
mod models_dev;
mod node;
mod openrouter;
mod page;
mod sheet;

pub use self::details::{DetailCall, add_details, detail_calls, detail_page, tells_details};
use self::node::{Node, NodeFields};
pub use self::page::{ListError, NextPage, Page};
use super::dialects::Dialect;

/// The largest page of a list, in bytes.
pub const MOST_BYTES: usize = 16 * 1024 * 1024;
/// The most pages of a list that are read at once.
pub const MOST_PAGES: usize = 3;

/// What kind of list an operator's file or URL is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CatalogFormat {
    /// models.dev's `api.json`: USD per million tokens.
    ModelsDev,
    /// LiteLLM's map of prices: USD per token.
    LiteLlm,
    /// OpenRouter's list: USD per token, as text.
    OpenRouter,
    /// The list of Hugging Face's router: USD per million tokens.
    HuggingFace,
    /// llmrouter's index: no prices.
    LlmRouter,
}

/// A reader of one source.
struct FormatReader {
    format: CatalogFormat,
    name: &'static str,
    /// Whether a list looks like one of this source.
    fits: fn(&NodeFields<'_>) -> bool,
    read: fn(&NodeFields<'_>, &mut Page),
}

/// Every source; the first that fits is what a list is taken for.
static SOURCES: &[FormatReader] = &[
    FormatReader {
        format: CatalogFormat::LlmRouter,
        name: "llmrouter",
        fits: llmrouter::fits,
        read: llmrouter::read,
    },
    FormatReader {
        format: CatalogFormat::HuggingFace,
        name: "huggingface",
        fits: huggingface::fits,
        read: huggingface::read,
    },
    FormatReader {
        format: CatalogFormat::OpenRouter,
        name: "openrouter",
        fits: openrouter::fits,
        read: openrouter::read,
    },
    FormatReader {
        format: CatalogFormat::LiteLlm,
        name: "litellm",
        fits: litellm::fits,
        read: litellm::read,
    },
    FormatReader {
        format: CatalogFormat::ModelsDev,
        name: "models.dev",
        fits: models_dev::fits,
        read: models_dev::read,
    },
];

impl CatalogFormat {
    /// Every format.
    pub fn all() -> impl Iterator<Item = Self> {
        SOURCES.iter().map(|source| source.format)
    }

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        let found = SOURCES.iter().find(|source| source.format == self);
        found.map_or("", |source| source.name)
    }

    /// The format of that name.
    #[cfg(feature = "internals")]
    pub fn named(name: &str) -> Option<Self> {
        let found = SOURCES.iter().find(|source| source.name == name);
        found.map(|source| source.format)
    }
}

/// Reads a list of the operator's; `None` asks for its format to be recognised by its shape.
///
/// # Errors
/// It is no list of this format, or of any, or lists nothing.
pub fn read(text: &str, format: Option<CatalogFormat>) -> Result<(Page, CatalogFormat), ListError> {
    with_json(text, |root| {
        let list = root.object();
        let Some(object) = list else {
            return Err(format.map_or(ListError::UnknownShape, |format| {
                ListError::OtherShape(format.name())
            }));
        };
        let source = match format {
            Some(format) => SOURCES
                .iter()
                .find(|source| source.format == format && (source.fits)(&object))
                .ok_or(ListError::OtherShape(format.name()))?,
            None => SOURCES
                .iter()
                .find(|source| (source.fits)(&object))
                .ok_or(ListError::UnknownShape)?,
        };
        let mut page = Page::default();
        (source.read)(&object, &mut page);
        if page.entries.is_empty() && page.groups.is_empty() {
            return Err(ListError::Empty);
        }
        Ok((page, source.format))
    })
}

/// Reads a page of the own list of a provider of this kind (`groq`, `xai`; empty: unknown, of which no price is believed).
///
/// # Errors
/// It is no JSON, has no list of models where lists have one, or nothing in it.
pub fn read_own(text: &str, kind: &str) -> Result<Page, ListError> {
    with_json(text, |root| {
        let object = root.object();
        let mut page = Page::default();
        match (kind, &object) {
            ("openrouter", Some(object)) => openrouter::read(object, &mut page),
            ("huggingface", Some(object)) if huggingface::fits(object) => {
                huggingface::read(object, &mut page);
            }
            _ => lists::read(root, kind, &mut page)?,
        }
        for entry in &mut page.entries {
            entry.provider = None;
        }
        if page.entries.is_empty() {
            return Err(ListError::Empty);
        }
        Ok(page)
    })
}

/// The path of a provider's own list behind its API's root.
pub fn own_path(kind: &str) -> &'static str {
    lists::path(kind)
}

/// The query that asks for as much of a provider's own list at once as its API gives; empty where it gives all. `dialect`
/// is the one in which the provider is called.
pub fn own_query(kind: &str, dialect: Dialect) -> &'static str {
    lists::query(kind, dialect.id())
}

fn with_json<T>(
    text: &str,
    read: impl Fn(Node<'_>) -> Result<T, ListError>,
) -> Result<T, ListError> {
    if text.len() > MOST_BYTES {
        return Err(ListError::TooLarge);
    }
    let text = text.trim_start_matches('\u{feff}').trim();
    match Node::parse(text) {
        Ok(root) => read(root),
        Err(error) => match node::quoted_non_numbers(text) {
            Some(quoted) => {
                let root = Node::parse(&quoted);
                read(root.map_err(|error| ListError::NotJson(error.to_string()))?)
            }
            None => Err(ListError::NotJson(error.to_string())),
        },
    }
}

#[cfg(test)]
mod tests;
