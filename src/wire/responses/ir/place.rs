//! Where a response stands of which a part went out.

use serde_json::{Map, Value};

/// How far it has come.
#[derive(Debug, Default)]
pub(super) struct SentPlace {
    /// The response as its first event had it.
    pub(super) response: Option<Map<String, Value>>,
    /// The number of the next event.
    pub(super) next: u64,
    /// Items that have begun.
    pub(super) begun: u64,
    /// Items that are whole, by their places.
    pub(super) items: Vec<(u64, Value)>,
    /// The message that is being told.
    pub(super) open: Option<SentItem>,
}

/// A message that is being told.
#[derive(Clone, Debug)]
pub(super) struct SentItem {
    pub(super) id: String,
    pub(super) index: u64,
    /// Parts that are whole.
    pub(super) content: Vec<Value>,
    /// The text of the part that is being told.
    pub(super) text: Option<String>,
    /// Whether the end of that text was told.
    pub(super) told: bool,
}
