//! The list of models in Google's form.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::wire::model_entry::ModelEntry;

fn to_value(entry: &ModelEntry) -> Value {
    let mut model = json!({
        "name": format!("models/{}", entry.id),
        "baseModelId": entry.id,
        "version": "",
        "displayName": entry.id,
        "description": entry.owned_by,
        "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
    });
    let sizes = [
        ("inputTokenLimit", ["context_window", "context_length"]),
        (
            "outputTokenLimit",
            ["max_output_tokens", "max_completion_tokens"],
        ),
    ];
    if let Some(fields) = model.as_object_mut() {
        for (name, known) in sizes {
            let size = known.into_iter().find_map(|known| entry.extra.get(known));
            if let Some(size) = size.filter(|size| size.is_u64()) {
                fields.insert(name.to_owned(), size.clone());
            }
        }
    }
    model
}

/// `GET /v1beta/models`.
pub(super) fn list(entries: &[ModelEntry]) -> Bytes {
    let models: Vec<Value> = entries.iter().map(to_value).collect();
    Bytes::from(json!({"models": models}).to_string())
}

/// `GET /v1beta/models/{id}`.
pub(super) fn single(entry: &ModelEntry) -> Bytes {
    Bytes::from(to_value(entry).to_string())
}
