//! Claude as Google's cloud hosts it: the model stands in the path and not in the body, which names the version of the API
//! instead.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::Value;

use super::Anthropic;
use crate::domain::dialect::Operation;
use crate::wire::hosted::OnGoogle;
use crate::wire::ir::Losses;
use crate::wire::{json, segment};

/// Which version of the API is spoken there.
const VERSION: &str = "vertex-2023-10-16";

/// Anthropic's API there.
pub(super) static ON_GOOGLE: OnGoogle = OnGoogle {
    inner: &Anthropic,
    publisher: "anthropic",
    path,
    fit,
    unfit: |_| Losses::new(),
    left_out: |_| Losses::new(),
    adapter: |_| None,
};

fn path(operation: Operation, model: &str, stream: bool) -> Cow<'static, str> {
    if operation.counts() {
        return "/models/count-tokens:rawPredict".into();
    }
    let model = model.strip_prefix("models/").unwrap_or(model);
    // Versions stand behind an `@`, which Google's own paths do not escape.
    let model = segment::escaped(model).replace("%40", "@");
    let method = if stream {
        "streamRawPredict"
    } else {
        "rawPredict"
    };
    format!("/models/{model}:{method}").into()
}

/// Only a count names its model in the body.
fn fit(operation: Operation, body: Bytes) -> Bytes {
    let Some(mut fields) = json::whole_object(&body) else {
        return body;
    };
    if !operation.counts() {
        fields.remove("model");
    }
    let version = || Value::from(VERSION);
    fields.entry("anthropic_version").or_insert_with(version);
    Value::Object(fields).to_string().into()
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::wire::dialect::UpstreamDialect;
    use crate::wire::request::RequestDoc;

    #[test]
    fn the_model_stands_in_the_path_and_the_version_in_the_body() {
        let model = "claude-sonnet-4-5@20250929";
        let at = |operation, stream| ON_GOOGLE.call_path(operation, model, stream);
        let messages = Operation::Messages;
        assert_eq!(at(messages, false), format!("/models/{model}:rawPredict"));
        assert_eq!(
            at(messages, true),
            format!("/models/{model}:streamRawPredict")
        );
        let count = Operation::CountMessageTokens;
        assert_eq!(at(count, false), "/models/count-tokens:rawPredict");
        let raw = br#"{"model":"v","max_tokens":1,"messages":[],"new":1.0}"#;
        let doc = RequestDoc::parse(Bytes::from_static(raw)).unwrap();
        let body = |operation| {
            let body = ON_GOOGLE.body(operation, &doc, "m", &Map::new());
            serde_json::from_slice::<Value>(&body).unwrap()
        };
        assert_eq!(
            body(messages),
            json!({"anthropic_version": VERSION, "max_tokens": 1, "messages": [], "new": 1.0})
        );
        assert_eq!(body(count)["model"], "m");
    }
}
