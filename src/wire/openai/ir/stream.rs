//! Streamed answers: the items of one chunk stay together in the neutral form, and become one chunk again.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;

use super::answer::{decode_usage, encode_usage, stop_reason, stop_word};
use super::citation::{decode_citations, encode_citation};
use super::fields::{
    Encoder, UNKNOWN, count, encoder, fill, inside, list, number, put, put_in, take, text,
};
use super::message::{places, put_signature, role_of, signature, word_of};
use super::request::index;
use super::settle::settled_items;
use crate::wire::dialect::{EventDecoder, EventEncoder};
use crate::wire::ir::{ContentDelta, Extra, Losses, ReasoningPart, StreamItem, ToolCallKind};
use crate::wire::sse::{RawEvent, data_event};

pub(super) const END: &[u8] = b"[DONE]";

/// Reads chunks. Each says nearly all there is to know of it.
#[derive(Debug, Default)]
pub(in crate::wire::openai) struct ChunkDecoder {
    /// Whether other dialects are to read it.
    settles: bool,
    /// The field in which the host tells thoughts: some tell them in two.
    thinks_in: Option<&'static str>,
}

impl ChunkDecoder {
    /// One for other dialects.
    pub(in crate::wire::openai) fn settling() -> Self {
        Self {
            settles: true,
            ..Self::default()
        }
    }
}

impl EventDecoder for ChunkDecoder {
    fn event(&mut self, event: &RawEvent) -> Vec<StreamItem> {
        let data = event.data();
        match serde_json::from_slice(&data) {
            _ if data.trim_ascii() == END => vec![StreamItem::End],
            Ok(Value::Object(fields)) => {
                let items = decode_chunk(fields);
                match self.settles {
                    true => settled_items(items, &mut self.thinks_in),
                    false => items,
                }
            }
            _ => Vec::new(),
        }
    }
}

/// What a chunk says.
pub(in crate::wire::openai) fn decode_chunk(mut fields: Extra) -> Vec<StreamItem> {
    let choices = take(&mut fields, "choices", |value| {
        let all = value.as_array().filter(|all| !all.is_empty())?;
        all.iter().map(|one| one.as_object().cloned()).collect()
    });
    let usage = decode_usage(&mut fields);
    let mut items = vec![StreamItem::Head {
        id: text(&mut fields, "id"),
        model: text(&mut fields, "model"),
        created: number(&mut fields, "created"),
        extra: fields,
    }];
    let choices: Vec<Extra> = choices.unwrap_or_default();
    for choice in choices {
        decode_choice(choice, &mut items);
    }
    items.extend(usage.map(StreamItem::Usage));
    items
}

fn decode_choice(mut choice: Extra, items: &mut Vec<StreamItem>) {
    let candidate = index(&mut choice);
    inside(&mut choice, "delta", |delta| {
        let deltas = decode_delta(delta);
        (!deltas.is_empty()).then(|| {
            let deltas = deltas.into_iter();
            items.extend(deltas.map(|delta| StreamItem::Delta { candidate, delta }));
        })
    });
    let reason = stop_reason(&mut choice);
    items.push(StreamItem::CandidateExtra {
        candidate,
        extra: choice,
    });
    items.extend(reason.map(|reason| StreamItem::Stop { candidate, reason }));
}

fn decode_delta(delta: &mut Extra) -> Vec<ContentDelta> {
    let mut all = Vec::new();
    let role = text(delta, "role");
    all.extend(role.map(|role| ContentDelta::Role(role_of(&role))));
    for field in ["reasoning_content", "reasoning"] {
        all.extend(text(delta, field).map(|text| {
            ContentDelta::Reasoning(ReasoningPart {
                text: Some(text),
                field,
                ..ReasoningPart::default()
            })
        }));
    }
    all.extend(text(delta, "content").map(ContentDelta::Text));
    all.extend(text(delta, "refusal").map(ContentDelta::Refusal));
    let calls = take(delta, "tool_calls", |value| {
        let all = value.as_array().filter(|all| !all.is_empty())?;
        let decoded = all.iter().enumerate();
        decoded.map(|(at, value)| decode_call(at, value)).collect()
    });
    let calls: Vec<ContentDelta> = calls.unwrap_or_default();
    all.extend(calls);
    let citations = decode_citations(delta).into_iter();
    all.extend(citations.map(ContentDelta::Citation));
    let details = list(delta, "reasoning_details");
    all.extend(details.map(|details| ContentDelta::Unknown {
        field: "reasoning_details".to_owned(),
        value: Value::Array(details),
    }));
    all
}

/// A piece of a call. Some leave its index out, and send each call in one piece.
fn decode_call(at: usize, value: &Value) -> Option<ContentDelta> {
    let mut fields = value.as_object()?.clone();
    // Only the first piece has the type, which stays there.
    let kind = if fields.contains_key("custom") {
        ToolCallKind::Custom
    } else {
        ToolCallKind::Function
    };
    let (place, input) = places(kind);
    let name = inside(&mut fields, place, |inner| text(inner, "name"));
    let arguments = inside(&mut fields, place, |inner| text(inner, input));
    Some(ContentDelta::ToolCall {
        index: count(&mut fields, "index").unwrap_or(at as u64),
        id: text(&mut fields, "id"),
        name,
        arguments,
        kind,
        signature: signature(&mut fields),
        extra: fields,
    })
}

/// Writes chunks, each with the answer's metadata.
#[derive(Debug)]
pub(in crate::wire::openai) struct ChunkEncoder {
    encoder: Encoder,
    head: Extra,
}

impl ChunkEncoder {
    /// For a stream of the dialect of this name.
    pub(in crate::wire::openai) fn new(origin: &str) -> Self {
        Self {
            encoder: encoder(origin),
            head: Extra::new(),
        }
    }

    /// The chunk that says all of this.
    pub(super) fn chunk(&mut self, items: Vec<StreamItem>) -> Extra {
        let mut choices = BTreeMap::new();
        let mut usage = None;
        for item in items {
            match item {
                StreamItem::Head {
                    id,
                    model,
                    created,
                    extra,
                } => self.begin(id, model, created.map(Value::Number), extra),
                StreamItem::Delta { candidate, delta } => {
                    let choice = choice_of(&mut choices, candidate);
                    fill(choice, "delta", |fields| {
                        encode_delta(&mut self.encoder, fields, delta);
                    });
                }
                StreamItem::Stop { candidate, reason } => {
                    let word = stop_word(reason, self.encoder.same);
                    put(
                        choice_of(&mut choices, candidate),
                        "finish_reason",
                        Some(word),
                    );
                }
                StreamItem::CandidateExtra { candidate, extra } => {
                    let extra = self.encoder.begin("choices", extra);
                    merge(choice_of(&mut choices, candidate), extra);
                }
                StreamItem::Usage(counts) => {
                    usage = Some(encode_usage(&mut self.encoder, counts));
                }
                // Of what is read for other dialects alone.
                StreamItem::ServiceTier(_) => self.encoder.lose("service_tier", UNKNOWN),
                StreamItem::Error(_) | StreamItem::End => {}
            }
        }
        let mut chunk = self.head.clone();
        if !self.encoder.same {
            for choice in choices.values_mut() {
                fill(choice, "delta", |_| ());
                choice.entry("finish_reason").or_insert(Value::Null);
            }
        }
        let choices: Vec<Value> = choices.into_values().map(Value::Object).collect();
        put(
            &mut chunk,
            "choices",
            (!choices.is_empty()).then_some(choices),
        );
        put(&mut chunk, "usage", usage);
        if !self.encoder.same {
            chunk.entry("choices").or_insert(Value::Array(Vec::new()));
        }
        chunk
    }

    fn begin(
        &mut self,
        id: Option<String>,
        model: Option<String>,
        created: Option<Value>,
        extra: Extra,
    ) {
        self.head = self.encoder.begin("", extra);
        put(&mut self.head, "id", id);
        put(&mut self.head, "model", model);
        put(&mut self.head, "created", created);
        if !self.encoder.same {
            put(&mut self.head, "object", Some("chat.completion.chunk"));
        }
    }
}

impl EventEncoder for ChunkEncoder {
    fn event(&mut self, items: Vec<StreamItem>) -> Bytes {
        if items.contains(&StreamItem::End) {
            return data_event(END);
        }
        let says = |item: &StreamItem| !matches!(item, StreamItem::Head { .. });
        if !self.encoder.same && !items.iter().any(says) {
            drop(self.chunk(items));
            return Bytes::new();
        }
        let chunk = self.chunk(items);
        data_event(Value::Object(chunk).to_string().as_bytes())
    }

    fn losses(&mut self) -> Losses {
        std::mem::take(&mut self.encoder.losses)
    }
}

/// The choice of this candidate, begun where there is none.
fn choice_of(choices: &mut BTreeMap<u64, Extra>, candidate: u64) -> &mut Extra {
    let choice = choices.entry(candidate).or_default();
    choice.entry("index").or_insert(candidate.into());
    choice
}

/// Puts fields in, those of objects one by one.
fn merge(fields: &mut Extra, more: Extra) {
    for (name, value) in more {
        match (fields.get_mut(&name), value) {
            (Some(Value::Object(inner)), Value::Object(more)) => merge(inner, more),
            (_, value) => drop(fields.insert(name, value)),
        }
    }
}

fn encode_delta(encoder: &mut Encoder, fields: &mut Extra, delta: ContentDelta) {
    match delta {
        ContentDelta::Role(role) => put(fields, "role", Some(word_of(role))),
        ContentDelta::Text(text) => put(fields, "content", Some(text)),
        // Of what is read for other dialects alone.
        ContentDelta::Logprobs(_) => encoder.lose("logprobs", UNKNOWN),
        ContentDelta::Media(body) => encoder.lose(body.word(), UNKNOWN),
        ContentDelta::Refusal(text) => put(fields, "refusal", Some(text)),
        ContentDelta::Reasoning(reasoning) => {
            let field = match reasoning.field {
                "" => "reasoning_content",
                field => field,
            };
            put(fields, field, reasoning.text);
            if reasoning.signature.is_some() || reasoning.encrypted.is_some() {
                encoder.lose("reasoning.signature", UNKNOWN);
            }
        }
        ContentDelta::ToolCall {
            index,
            id,
            name,
            arguments,
            kind,
            signature,
            extra,
        } => {
            let mut call = encoder.begin("tool_calls", extra);
            call.entry("index").or_insert(index.into());
            let (place, input) = places(kind);
            let first = id.is_some() && !encoder.same;
            put(&mut call, "type", first.then_some(place));
            put(&mut call, "id", id);
            if name.is_some() || arguments.is_some() {
                put_in(&mut call, place, "name", name);
                put_in(&mut call, place, input, arguments);
            }
            put_signature(&mut call, signature);
            let calls = fields
                .entry("tool_calls")
                .or_insert(Value::Array(Vec::new()));
            if let Value::Array(calls) = calls {
                calls.push(Value::Object(call));
            }
        }
        ContentDelta::Unknown { field, value } if encoder.same => put(fields, &field, Some(value)),
        ContentDelta::Unknown { field, .. } => encoder.lose(field, UNKNOWN),
        ContentDelta::Citation(citation) => {
            let own = encode_citation(encoder, "annotations", citation);
            let all = fields
                .entry("annotations")
                .or_insert(Value::Array(Vec::new()));
            if let Value::Array(all) = all {
                all.push(own);
            }
        }
    }
}
