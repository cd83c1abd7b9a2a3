//! Streamed responses, read.
//!
//! Servers differ in what they leave out: deltas, the events that end a part, numbers. So what a delta said is counted, and
//! what an event that ends something says beyond that is taken from there.

use std::collections::BTreeMap;

use serde_json::Value;

use super::answer::{
    BREAK, decode_usage, image_of, incomplete_reason, without_echoes, without_labels,
};
use super::fields::{number, take, text};
use super::item::{decode_citation, decode_item};
use crate::wire::dialect::EventDecoder;
use crate::wire::ir::{
    ChatError, ChatRole, ContentDelta, Extra, PartBody, ReasoningPart, StopReason, StreamItem,
    ToolCall, ToolCallKind, logprobs,
};
use crate::wire::sse::RawEvent;

/// Reads the events of one response.
#[derive(Debug, Default)]
pub(in crate::wire::responses) struct ResponseEvents {
    /// Whether other dialects are to read it, where several messages become one.
    joins: bool,
    has_role: bool,
    /// The item that spoke last.
    spoke: Option<u64>,
    items: BTreeMap<u64, Item>,
    calls: u64,
    ended: bool,
}

/// What is known of one item.
#[derive(Debug, Default)]
struct Item {
    /// Its place among the calls, if it is one.
    call: Option<u64>,
    /// Bytes of its text or its arguments so far.
    said: usize,
    /// Bytes of its refusal so far.
    refused: usize,
    /// Bytes of its thoughts so far.
    thought: usize,
    /// Places that its words are from so far.
    cited: usize,
    /// Whether it was told how probable its tokens were.
    weighed: bool,
    /// Whether it was named as one that has no place elsewhere.
    named: bool,
    done: bool,
}

impl ResponseEvents {
    /// One for other dialects.
    pub(in crate::wire::responses) fn joining() -> Self {
        Self {
            joins: true,
            ..Self::default()
        }
    }
}

impl EventDecoder for ResponseEvents {
    fn event(&mut self, event: &RawEvent) -> Vec<StreamItem> {
        let data = event.data();
        let Ok(Value::Object(fields)) = serde_json::from_slice(&data) else {
            return match data.trim_ascii() == b"[DONE]" {
                true => self.end(None),
                false => Vec::new(),
            };
        };
        if self.ended {
            return Vec::new();
        }
        let deltas = match self.read(fields) {
            EventMeaning::Deltas(deltas) => deltas,
            EventMeaning::Items(items) => return items,
        };
        let role = (!deltas.is_empty() && !std::mem::replace(&mut self.has_role, true))
            .then_some(ContentDelta::Role(ChatRole::Assistant));
        let all = role.into_iter().chain(deltas);
        all.map(|delta| StreamItem::Delta {
            candidate: 0,
            delta,
        })
        .collect()
    }
}

/// What an event says.
enum EventMeaning {
    Deltas(Vec<ContentDelta>),
    Items(Vec<StreamItem>),
}

impl ResponseEvents {
    fn read(&mut self, mut fields: Extra) -> EventMeaning {
        let kind = text(&mut fields, "type").unwrap_or_default();
        let index = fields
            .get("output_index")
            .and_then(Value::as_u64)
            .unwrap_or(0);
        let words = |fields: &mut Extra, name| text(fields, name).unwrap_or_default();
        let deltas = match kind.as_str() {
            "response.created" | "response.in_progress" | "response.queued" => {
                return EventMeaning::Items(head(fields));
            }
            "response.completed" | "response.incomplete" => {
                let response = fields.remove("response");
                return EventMeaning::Items(self.end(response));
            }
            "response.failed" | "error" => {
                self.ended = true;
                return EventMeaning::Items(vec![StreamItem::Error(error(&mut fields))]);
            }
            "response.output_item.added" => self.added(index, fields.get("item")),
            "response.output_item.done" => self.done(index, fields.remove("item")),
            "response.output_text.delta" => {
                let tokens = self.weigh(index, &mut fields);
                let said = self.say(index, words(&mut fields, "delta"));
                tokens.into_iter().chain(said).collect()
            }
            "response.output_text.annotation.added" => {
                self.item(index).cited += 1;
                vec![cited(fields.get("annotation").unwrap_or(&Value::Null))]
            }
            "response.refusal.delta" => self.refuse(index, words(&mut fields, "delta")),
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                self.think(index, words(&mut fields, "delta"))
            }
            "response.reasoning_summary_part.added" => self.next_thought(index),
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                self.argue(index, words(&mut fields, "delta"))
            }
            "response.function_call_arguments.done" => {
                self.argue_rest(index, &words(&mut fields, "arguments"))
            }
            "response.custom_tool_call_input.done" => {
                self.argue_rest(index, &words(&mut fields, "input"))
            }
            // What belongs to an item is told by the item.
            _ if fields.contains_key("output_index") || fields.contains_key("item_id") => {
                Vec::new()
            }
            _ => match kind.strip_prefix("response.") {
                Some(what) => vec![unknown(what.split('.').next().unwrap_or(what))],
                None => Vec::new(),
            },
        };
        EventMeaning::Deltas(deltas)
    }

    fn item(&mut self, index: u64) -> &mut Item {
        self.items.entry(index).or_default()
    }

    /// Words; those of another message than the last ones stand apart.
    fn say(&mut self, index: u64, mut words: String) -> Vec<ContentDelta> {
        self.item(index).said += words.len();
        if self.joins
            && !words.is_empty()
            && self.spoke.replace(index).is_some_and(|last| last != index)
        {
            words.insert_str(0, BREAK);
        }
        filled(words, ContentDelta::Text)
    }

    /// How probable the tokens are of what an event or a part says.
    fn weigh(&mut self, index: u64, fields: &mut Extra) -> Option<ContentDelta> {
        let tokens = take(fields, "logprobs", logprobs::read)?;
        self.item(index).weighed = true;
        Some(ContentDelta::Logprobs(tokens))
    }

    fn refuse(&mut self, index: u64, words: String) -> Vec<ContentDelta> {
        self.item(index).refused += words.len();
        filled(words, ContentDelta::Refusal)
    }

    fn think(&mut self, index: u64, words: String) -> Vec<ContentDelta> {
        self.item(index).thought += words.len();
        filled(words, thought)
    }

    fn next_thought(&mut self, index: u64) -> Vec<ContentDelta> {
        match self.item(index).thought {
            0 => Vec::new(),
            _ => vec![thought(BREAK.to_owned())],
        }
    }

    /// More of a call's arguments.
    fn argue(&mut self, index: u64, more: String) -> Vec<ContentDelta> {
        let item = self.item(index);
        item.said += more.len();
        let Some(place) = item.call.filter(|_| !more.is_empty()) else {
            return Vec::new();
        };
        vec![ContentDelta::ToolCall {
            index: place,
            id: None,
            name: None,
            arguments: Some(more),
            kind: ToolCallKind::Function,
            signature: None,
            extra: Extra::new(),
        }]
    }

    /// What a call's arguments have beyond what was said of them.
    fn argue_rest(&mut self, index: u64, all: &str) -> Vec<ContentDelta> {
        let said = self.item(index).said;
        let rest = all.get(said..).unwrap_or_default().to_owned();
        self.argue(index, rest)
    }

    /// A call begins, or something that has no place elsewhere.
    fn added(&mut self, index: u64, item: Option<&Value>) -> Vec<ContentDelta> {
        let Some(Value::Object(item)) = item else {
            return Vec::new();
        };
        let known = |name: &str| item.get(name).and_then(Value::as_str);
        let kind = match known("type") {
            Some("function_call") => ToolCallKind::Function,
            Some("custom_tool_call") => ToolCallKind::Custom,
            // A picture is there once it is whole.
            Some("message" | "reasoning" | "image_generation_call") | None => return Vec::new(),
            Some(other) => {
                self.item(index).named = true;
                return vec![unknown(other)];
            }
        };
        let call = ToolCall {
            id: known("call_id").map(str::to_owned),
            name: known("name").unwrap_or_default().to_owned(),
            arguments: String::new(),
            kind,
            signature: None,
        };
        self.begin(index, call)
    }

    fn begin(&mut self, index: u64, call: ToolCall) -> Vec<ContentDelta> {
        if self.item(index).call.is_some() {
            return Vec::new();
        }
        let place = self.calls;
        self.calls += 1;
        self.item(index).call = Some(place);
        vec![ContentDelta::ToolCall {
            index: place,
            id: call.id,
            name: Some(call.name).filter(|name| !name.is_empty()),
            arguments: None,
            kind: call.kind,
            signature: None,
            extra: Extra::new(),
        }]
    }

    /// An item as a whole: what of it was not told yet.
    fn done(&mut self, index: u64, item: Option<Value>) -> Vec<ContentDelta> {
        let Some(item) = item else { return Vec::new() };
        if std::mem::replace(&mut self.item(index).done, true) {
            return Vec::new();
        }
        let Item {
            said,
            refused,
            thought: told,
            cited: known,
            weighed,
            named,
            ..
        } = *self.item(index);
        let mut deltas = Vec::new();
        let item = decode_item(item);
        for mut part in item.parts {
            if !weighed {
                deltas.extend(self.weigh(index, &mut part.extra));
            }
            part.extra.remove("logprobs");
            let places = take(&mut part.extra, "annotations", |all| {
                all.as_array().cloned()
            });
            deltas.extend(rest(part.extra));
            match part.body {
                PartBody::Text { text, citations } => {
                    if said == 0 {
                        deltas.extend(self.say(index, text));
                    }
                    let citations = citations.into_iter().map(ContentDelta::Citation);
                    let others = places.iter().flatten().map(cited);
                    deltas.extend(citations.chain(others).skip(known));
                }
                PartBody::Unknown { value, .. } => match image_of(&value) {
                    Some(image) => deltas.push(ContentDelta::Media(image)),
                    None if named => {}
                    None => {
                        let kind = value.get("type").and_then(Value::as_str);
                        deltas.push(unknown(kind.unwrap_or("output")));
                    }
                },
                PartBody::Refusal(words) if refused == 0 => {
                    deltas.extend(filled(words, ContentDelta::Refusal));
                }
                PartBody::Reasoning(mut part) => {
                    part.text = part.text.filter(|_| told == 0);
                    let says = part.text.is_some() || part.encrypted.is_some();
                    let says = says || part.signature.is_some();
                    deltas.extend(says.then_some(ContentDelta::Reasoning(part)));
                }
                PartBody::ToolCall(call) => {
                    let arguments = call.arguments.clone();
                    deltas.extend(self.begin(index, call));
                    deltas.extend(self.argue_rest(index, &arguments));
                }
                _ => {}
            }
        }
        deltas.extend(rest(item.extra));
        deltas
    }

    /// The response is there. Without one, only the stream's end is known.
    fn end(&mut self, response: Option<Value>) -> Vec<StreamItem> {
        if std::mem::replace(&mut self.ended, true) {
            return Vec::new();
        }
        let mut response = match response {
            Some(Value::Object(response)) => response,
            _ => Extra::new(),
        };
        let mut items = Vec::new();
        let output = response.get_mut("output").and_then(Value::as_array_mut);
        let output = output.map(std::mem::take).unwrap_or_default();
        for (index, item) in (0..).zip(output) {
            // What was told in no other event.
            if !self.items.contains_key(&index) {
                let deltas = self.done(index, Some(item));
                items.extend(deltas.into_iter().map(|delta| StreamItem::Delta {
                    candidate: 0,
                    delta,
                }));
            }
        }
        let reason = incomplete_reason(&response);
        let whole = match self.calls {
            0 => StopReason::EndTurn,
            _ => StopReason::ToolCalls,
        };
        items.extend(decode_usage(&mut response).map(StreamItem::Usage));
        items.push(StreamItem::Stop {
            candidate: 0,
            reason: reason.unwrap_or(whole),
        });
        items.extend(about(response));
        items.push(StreamItem::End);
        items
    }
}

fn filled(words: String, delta: impl Fn(String) -> ContentDelta) -> Vec<ContentDelta> {
    match words.is_empty() {
        true => Vec::new(),
        false => vec![delta(words)],
    }
}

fn thought(words: String) -> ContentDelta {
    ContentDelta::Reasoning(ReasoningPart {
        text: Some(words),
        field: "summary",
        ..ReasoningPart::default()
    })
}

/// Something that has no place in the neutral form, by its name.
fn unknown(field: &str) -> ContentDelta {
    ContentDelta::Unknown {
        field: field.to_owned(),
        value: Value::Null,
    }
}

/// What else an item or a part says.
fn rest(extra: Extra) -> Vec<ContentDelta> {
    let says = |value: &Value| !value.is_null() && *value != serde_json::json!([]);
    let more = without_labels(extra).into_iter();
    more.filter(|(_, value)| says(value))
        .map(|(name, _)| unknown(&name))
        .collect()
}

/// A place that words are from, if it is a page.
fn cited(annotation: &Value) -> ContentDelta {
    match decode_citation(annotation) {
        Some(citation) => ContentDelta::Citation(citation),
        None => unknown("annotations"),
    }
}

fn head(mut fields: Extra) -> Vec<StreamItem> {
    let Some(Value::Object(mut response)) = fields.remove("response") else {
        return Vec::new();
    };
    let head = StreamItem::Head {
        id: text(&mut response, "id"),
        model: text(&mut response, "model"),
        created: number(&mut response, "created_at"),
        extra: Extra::new(),
    };
    [head].into_iter().chain(about(response)).collect()
}

/// What a response says of itself. The queue that was only asked for is not the one that serves it.
fn about(mut response: Extra) -> Vec<StreamItem> {
    let tier = text(&mut response, "service_tier").filter(|tier| tier != "auto");
    let extra = without_echoes(response);
    let more = (!extra.is_empty()).then_some(StreamItem::Head {
        id: None,
        model: None,
        created: None,
        extra,
    });
    let tier = tier.map(StreamItem::ServiceTier);
    tier.into_iter().chain(more).collect()
}

/// An error of its own, or inside of a response.
fn error(fields: &mut Extra) -> ChatError {
    let inside = match fields.get_mut("response") {
        Some(Value::Object(response)) => response.remove("error"),
        _ => fields.remove("error"),
    };
    let mut inside = match inside {
        Some(Value::Object(inside)) => inside,
        _ => std::mem::take(fields),
    };
    ChatError {
        message: text(&mut inside, "message").unwrap_or_default(),
        kind: "server_error".to_owned(),
        code: text(&mut inside, "code"),
        param: text(&mut inside, "param"),
        status: None,
    }
}
