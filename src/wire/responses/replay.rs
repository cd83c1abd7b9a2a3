//! A whole response as the events of a streamed one: items begin empty, and the last event has all of it.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::wire::pieces::{ReplayOptions, pieces};
use crate::wire::sse::named_event;

/// The events of a response.
pub(super) fn response(answer: &Value, options: ReplayOptions) -> Option<Vec<Bytes>> {
    let Some(Value::Array(items)) = answer.get("output").cloned() else {
        return None;
    };
    let mut told = NumberedEvents::default();
    let mut begun = answer.clone();
    if let Value::Object(fields) = &mut begun {
        fields.insert("status".to_owned(), "in_progress".into());
        fields.insert("output".to_owned(), json!([]));
        fields.insert("usage".to_owned(), Value::Null);
    }
    told.event("response.created", json!({"response": begun}));
    told.event("response.in_progress", json!({"response": begun}));
    for (place, item) in items.into_iter().enumerate() {
        told.item(place, &item, options);
    }
    told.event("response.completed", json!({"response": answer}));
    Some(told.out)
}

#[derive(Default)]
struct NumberedEvents {
    out: Vec<Bytes>,
}

impl NumberedEvents {
    fn event(&mut self, name: &str, fields: Value) {
        let mut event = Map::new();
        event.insert("type".to_owned(), name.into());
        event.insert("sequence_number".to_owned(), self.out.len().into());
        if let Value::Object(fields) = fields {
            event.extend(fields);
        }
        let event = Value::Object(event).to_string();
        self.out.push(named_event(name, event.as_bytes()));
    }

    fn item(&mut self, place: usize, item: &Value, options: ReplayOptions) {
        let text_of = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
        let id = text_of("id").to_owned();
        let kind = text_of("type").to_owned();
        let (field, empty) = match kind.as_str() {
            "message" => ("content", json!([])),
            "reasoning" => ("summary", json!([])),
            "function_call" => ("arguments", json!("")),
            "custom_tool_call" => ("input", json!("")),
            _ => ("", Value::Null),
        };
        let mut begun = item.clone();
        let mut content = None;
        if let Value::Object(fields) = &mut begun
            && !field.is_empty()
        {
            content = fields.insert(field.to_owned(), empty);
            if fields.contains_key("status") {
                fields.insert("status".to_owned(), "in_progress".into());
            }
        }
        let added = json!({"output_index": place, "item": begun});
        self.event("response.output_item.added", added);
        let at = json!({"item_id": id, "output_index": place});
        match (kind.as_str(), content) {
            ("message", Some(Value::Array(parts))) => {
                for (index, part) in parts.into_iter().enumerate() {
                    self.part(&with(&at, json!({"content_index": index})), &part, options);
                }
            }
            ("reasoning", Some(Value::Array(parts))) => {
                for (index, part) in parts.into_iter().enumerate() {
                    self.summary(&with(&at, json!({"summary_index": index})), &part, options);
                }
            }
            ("function_call", Some(arguments)) => {
                let names = ("response.function_call_arguments", "arguments");
                self.text(names, &at, &arguments, usize::MAX);
            }
            ("custom_tool_call", Some(input)) => {
                self.text(
                    ("response.custom_tool_call_input", "input"),
                    &at,
                    &input,
                    usize::MAX,
                );
            }
            _ => {}
        }
        let done = json!({"output_index": place, "item": item});
        self.event("response.output_item.done", done);
    }

    /// A part of a message.
    fn part(&mut self, at: &Value, part: &Value, options: ReplayOptions) {
        let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
        let (names, field) = match kind {
            "output_text" => (("response.output_text", "text"), "text"),
            "refusal" => (("response.refusal", "refusal"), "refusal"),
            _ => (("", ""), ""),
        };
        let mut begun = part.clone();
        let text = match &mut begun {
            Value::Object(fields) if !field.is_empty() => {
                fields.insert(field.to_owned(), "".into())
            }
            _ => None,
        };
        self.event(
            "response.content_part.added",
            with(at, json!({"part": begun})),
        );
        if let Some(text) = text {
            self.text(names, at, &text, options.piece);
        }
        self.event(
            "response.content_part.done",
            with(at, json!({"part": part})),
        );
    }

    /// A part of the summary of a thought.
    fn summary(&mut self, at: &Value, part: &Value, options: ReplayOptions) {
        let mut begun = part.clone();
        let text = match &mut begun {
            Value::Object(fields) => fields.insert("text".to_owned(), "".into()),
            _ => None,
        };
        let added = with(at, json!({"part": begun}));
        self.event("response.reasoning_summary_part.added", added);
        if let Some(text) = text {
            let names = ("response.reasoning_summary_text", "text");
            self.text(names, at, &text, options.piece);
        }
        let done = with(at, json!({"part": part}));
        self.event("response.reasoning_summary_part.done", done);
    }

    /// A text in pieces, and then all of it in the field of the second name.
    fn text(&mut self, names: (&str, &str), at: &Value, text: &Value, piece: usize) {
        let (name, field) = names;
        for piece in pieces(text.as_str().unwrap_or_default(), piece) {
            self.event(&format!("{name}.delta"), with(at, json!({"delta": piece})));
        }
        self.event(&format!("{name}.done"), with(at, json!({field: text})));
    }
}

/// The fields of both.
fn with(at: &Value, more: Value) -> Value {
    let mut all = at.clone();
    if let (Value::Object(all), Value::Object(more)) = (&mut all, more) {
        all.extend(more);
    }
    all
}
