//! The list of models in OpenAI's shape, with extension fields.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// When nothing better is known: OpenAI's clients want a number here.
const CREATED: u64 = 1_700_000_000;

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

#[derive(Serialize)]
struct Model<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'a str,
    #[serde(flatten)]
    extra: &'a Map<String, Value>,
}

impl ModelEntry {
    fn to_value(&self) -> Value {
        json!(Model {
            id: &self.id,
            object: "model",
            created: CREATED,
            owned_by: &self.owned_by,
            extra: &self.extra,
        })
    }
}

/// `GET /v1/models`.
pub fn list(entries: &[ModelEntry]) -> Bytes {
    let data: Vec<Value> = entries.iter().map(ModelEntry::to_value).collect();
    Bytes::from(json!({"object": "list", "data": data}).to_string())
}

/// `GET /v1/models/{id}`.
pub fn single(entry: &ModelEntry) -> Bytes {
    Bytes::from(entry.to_value().to_string())
}
