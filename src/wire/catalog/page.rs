//! What a reader makes of one page of a list, or why it cannot.

use crate::domain::catalog::entry::Entry;
use crate::domain::catalog::notes::Notes;
use crate::domain::catalog::offer::ModelGroup;

/// What a list says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Page {
    /// Its models.
    pub entries: Vec<Entry>,
    /// Its models across providers (llmrouter's index).
    pub groups: Vec<ModelGroup>,
    /// Where the next page is.
    pub next: Option<NextPage>,
    /// What was odd.
    pub notes: Notes,
}

/// How the next page of a list is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NextPage {
    /// By this parameter of the query.
    Parameter(&'static str, String),
    /// By this query in place of the first one.
    Query(String),
}

/// Why a list could not be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ListError {
    /// More bytes than a page may have.
    #[error("it is larger than 16 MiB")]
    TooLarge,
    /// No JSON.
    #[error("it is no JSON: {0}")]
    NotJson(String),
    /// JSON of no known list.
    #[error(
        "it is no list that is known by its shape: set `format` to one of models.dev, litellm, openrouter, huggingface or llmrouter"
    )]
    UnknownShape,
    /// JSON, but not of this list.
    #[error("it has not the shape of a list of format `{0}`")]
    OtherShape(&'static str),
    /// A list without models.
    #[error("it lists no model")]
    Empty,
}
