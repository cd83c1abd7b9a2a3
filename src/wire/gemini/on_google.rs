//! Gemini as Google's cloud hosts it: the same but for counts, which are asked of the request itself, and embeddings.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::Value;

use super::{Gemini, vertex_embeddings};
use crate::domain::dialect::Operation;
use crate::wire::dialect::UpstreamDialect;
use crate::wire::hosted::OnGoogle;
use crate::wire::json;

/// Google's API there.
pub(super) static ON_GOOGLE: OnGoogle = OnGoogle {
    inner: &Gemini,
    publisher: "google",
    path,
    fit,
    adapter: vertex_embeddings::adapter,
};

fn path(operation: Operation, model: &str, stream: bool) -> Cow<'static, str> {
    let own = match operation {
        Operation::Predict if vertex_embeddings::embeds_content(model) => Operation::EmbedContent,
        _ => operation,
    };
    Gemini.call_path(own, model, stream)
}

fn fit(operation: Operation, body: Bytes) -> Bytes {
    if !operation.counts() {
        return body;
    }
    let Some(mut fields) = json::whole_object(&body) else {
        return body;
    };
    let inner = ["generateContentRequest", "generate_content_request"];
    let inner = inner.into_iter().find_map(|name| fields.remove(name));
    if let Some(Value::Object(inner)) = inner {
        for (name, value) in inner {
            fields.entry(name).or_insert(value);
        }
    }
    // It would have to be a whole resource's name.
    fields.remove("model");
    Value::Object(fields).to_string().into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_count_is_asked_of_the_request_itself() {
        let raw = br#"{"generateContentRequest":{"model":"models/m","contents":[],"tools":[]}}"#;
        let fit = fit(Operation::CountTokens, Bytes::from_static(raw));
        let fit: Value = serde_json::from_slice(&fit).unwrap();
        assert_eq!(fit, json!({"contents": [], "tools": []}));
        let path = ON_GOOGLE.call_path(Operation::GenerateContent, "gemini-3.5-flash", true);
        assert_eq!(
            path,
            "/models/gemini-3.5-flash:streamGenerateContent?alt=sse"
        );
    }
}
