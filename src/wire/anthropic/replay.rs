//! A whole message as the events of a streamed one.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::wire::pieces::{ReplayOptions, pieces};
use crate::wire::sse::named_event;

/// The events of a message.
pub(super) fn message(answer: Value, options: ReplayOptions) -> Option<Vec<Bytes>> {
    let Value::Object(mut message) = answer else {
        return None;
    };
    let Some(Value::Array(blocks)) = message.insert("content".to_owned(), json!([])) else {
        return None;
    };
    let mut told = ToldEvents { out: Vec::new() };
    let mut end = Map::new();
    for name in ["stop_reason", "stop_sequence"] {
        let value = message.insert(name.to_owned(), Value::Null);
        end.insert(name.to_owned(), value.unwrap_or_default());
    }
    let usage = message.get("usage").cloned().unwrap_or_else(|| json!({}));
    if let Some(Value::Object(usage)) = message.get_mut("usage") {
        usage.insert("output_tokens".to_owned(), 0.into());
    }
    told.event("message_start", json!({"message": message}));
    for (index, block) in blocks.into_iter().enumerate() {
        told.block(index, block, options);
    }
    told.event("message_delta", json!({"delta": end, "usage": usage}));
    told.event("message_stop", json!({}));
    Some(told.out)
}

struct ToldEvents {
    out: Vec<Bytes>,
}

impl ToldEvents {
    fn event(&mut self, name: &str, fields: Value) {
        let mut event = Map::new();
        event.insert("type".to_owned(), name.into());
        if let Value::Object(fields) = fields {
            event.extend(fields);
        }
        let event = Value::Object(event).to_string();
        self.out.push(named_event(name, event.as_bytes()));
    }

    /// A block begins empty and is filled. What is unknown is told as it is.
    fn block(&mut self, index: usize, mut block: Value, options: ReplayOptions) {
        let kind = block.get("type").and_then(Value::as_str);
        let kind = kind.unwrap_or_default().to_owned();
        let mut deltas = Vec::new();
        let mut empty = |field: &str, with: Value| match &mut block {
            Value::Object(fields) => fields.insert(field.to_owned(), with),
            _ => None,
        };
        match kind.as_str() {
            "text" => {
                if let Some(Value::String(text)) = empty("text", "".into()) {
                    let pieces = pieces(&text, options.piece);
                    let pieces = pieces.into_iter();
                    deltas.extend(pieces.map(|text| json!({"type": "text_delta", "text": text})));
                }
                if let Some(Value::Array(citations)) = empty("citations", json!([])) {
                    let each = |citation| json!({"type": "citations_delta", "citation": citation});
                    deltas.extend(citations.into_iter().map(each));
                } else if let Value::Object(fields) = &mut block {
                    fields.remove("citations");
                }
            }
            "thinking" => {
                if let Some(Value::String(text)) = empty("thinking", "".into()) {
                    let pieces = pieces(&text, options.piece).into_iter();
                    deltas.extend(
                        pieces.map(|text| json!({"type": "thinking_delta", "thinking": text})),
                    );
                }
                if let Some(Value::String(signature)) = empty("signature", "".into()) {
                    let signed = json!({"type": "signature_delta", "signature": signature});
                    deltas.push(signed);
                }
            }
            "tool_use" | "server_tool_use" => {
                if let Some(input) = empty("input", json!({})) {
                    let input = input.to_string();
                    deltas.push(json!({"type": "input_json_delta", "partial_json": input}));
                }
            }
            _ => {}
        }
        let start = json!({"index": index, "content_block": block});
        self.event("content_block_start", start);
        for delta in deltas {
            self.event(
                "content_block_delta",
                json!({"index": index, "delta": delta}),
            );
        }
        self.event("content_block_stop", json!({"index": index}));
    }
}
