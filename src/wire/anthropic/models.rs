//! The list of models in Anthropic's shape, with extension fields.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::wire::model_entry::ModelEntry;

/// When nothing better is known: Anthropic's SDKs want a time here.
const CREATED: &str = "2023-11-14T22:13:20Z";

fn to_value(entry: &ModelEntry) -> Value {
    let mut fields = entry.extra.clone();
    for (name, value) in [
        ("type", json!("model")),
        ("id", json!(entry.id)),
        ("display_name", json!(entry.id)),
        ("created_at", json!(CREATED)),
        ("owned_by", json!(entry.owned_by)),
    ] {
        fields.insert(name.to_owned(), value);
    }
    Value::Object(fields)
}

/// `GET /v1/models`: all of them on one page.
pub(super) fn list(entries: &[ModelEntry]) -> Bytes {
    let id = |entry: Option<&ModelEntry>| entry.map(|entry| entry.id.clone());
    let data: Vec<Value> = entries.iter().map(to_value).collect();
    let list = json!({
        "data": data, "has_more": false,
        "first_id": id(entries.first()), "last_id": id(entries.last()),
    });
    list.to_string().into()
}

/// `GET /v1/models/{id}`.
pub(super) fn single(entry: &ModelEntry) -> Bytes {
    to_value(entry).to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_one_page() {
        let entry = |id: &str| ModelEntry {
            id: id.to_owned(),
            owned_by: "pointsman".to_owned(),
            extra: serde_json::Map::new(),
        };
        let list: Value = serde_json::from_slice(&list(&[entry("a"), entry("b")])).unwrap();
        assert_eq!(list["first_id"], "a");
        assert_eq!(list["last_id"], "b");
        assert_eq!(list["has_more"], false);
        assert_eq!(list["data"][1]["type"], "model");
        assert_eq!(list["data"][1]["display_name"], "b");
    }
}
