//! A whole answer as those of a stream: one of them says everything, or one for each piece of its text.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::wire::pieces::{ReplayOptions, pieces};
use crate::wire::sse::data_event;

/// The events of an answer.
pub(super) fn content(mut answer: Value, options: ReplayOptions) -> Option<Vec<Bytes>> {
    answer.get("candidates")?;
    let mut out = Vec::new();
    let mut event = |answer: &Value| out.push(data_event(answer.to_string().as_bytes()));
    let is_single = answer
        .get("candidates")
        .and_then(Value::as_array)
        .is_some_and(|candidates| candidates.len() == 1);
    let parts = answer.pointer_mut("/candidates/0/content/parts");
    if let Some(Value::Array(parts)) = parts.filter(|_| is_single && options.piece < usize::MAX) {
        let parts = std::mem::take(parts);
        let mut said = answer.clone();
        if let Value::Object(fields) = &mut said {
            fields.remove("usageMetadata");
        }
        if let Some(Value::Object(candidate)) = said.pointer_mut("/candidates/0") {
            candidate.retain(|name, _| matches!(name.as_str(), "content" | "index"));
        }
        for part in parts {
            let text = part.get("text").and_then(Value::as_str);
            let all: Vec<Value> = match text {
                Some(text) => {
                    let each = |piece: &str| {
                        let mut part = part.clone();
                        if let Value::Object(fields) = &mut part {
                            fields.insert("text".to_owned(), piece.into());
                        }
                        part
                    };
                    pieces(text, options.piece).into_iter().map(each).collect()
                }
                None => vec![part],
            };
            for part in all {
                if let Some(parts) = said.pointer_mut("/candidates/0/content/parts") {
                    *parts = json!([part]);
                }
                event(&said);
            }
        }
    }
    event(&answer);
    Some(out)
}
