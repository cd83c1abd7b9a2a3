//! The list of models in OpenAI's shape, with extension fields.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::wire::model_entry::ModelEntry;

/// When nothing better is known: OpenAI's clients want a number here.
const CREATED: u64 = 1_700_000_000;

#[derive(Serialize)]
struct ModelObject<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'a str,
    #[serde(flatten)]
    extra: &'a Map<String, Value>,
}

fn to_value(entry: &ModelEntry) -> Value {
    json!(ModelObject {
        id: &entry.id,
        object: "model",
        created: CREATED,
        owned_by: &entry.owned_by,
        extra: &entry.extra,
    })
}

/// The answer to `GET /v1/models`.
pub fn list(entries: &[ModelEntry]) -> Bytes {
    let data: Vec<Value> = entries.iter().map(to_value).collect();
    Bytes::from(json!({"object": "list", "data": data}).to_string())
}

/// `GET /v1/models/{id}`.
pub fn single(entry: &ModelEntry) -> Bytes {
    Bytes::from(to_value(entry).to_string())
}
