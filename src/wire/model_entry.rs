//! What the list of models lists, before a caller's dialect gives it a form.

use serde_json::{Map, Value};

/// One thing that may be asked for.
#[derive(Clone, PartialEq, Debug)]
pub struct ModelEntry {
    /// What a request's `model` would be.
    pub id: String,
    /// Provider's name, or `pointsman` for a virtual provider.
    pub owned_by: String,
    /// Extension fields, such as the chain of a virtual provider.
    pub extra: Map<String, Value>,
}
