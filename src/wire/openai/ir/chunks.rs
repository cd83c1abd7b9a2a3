//! Streams of other dialects as chunks. Other dialects order what they say in other ways, so this is a small state machine
//! that keeps to the grammar of chunks whatever comes: one id, the role first, calls that begin with id and name at the next
//! index, one finish reason for each choice, after it nothing but token counts, then `[DONE]`.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use serde_json::{Number, Value, json};

use super::answer::{encode_usage, served, stop_word};
use super::citation::encode_citation;
use super::custom::CustomTools;
use super::fields::{Encoder, UNKNOWN, encoder, put};
use super::makers::format_of;
use super::message::{NO_PART, image_of, places, put_signature};
use crate::wire::dialect::EventEncoder;
use crate::wire::ir::{
    ContentDelta, Extra, Losses, PartBody, ReasoningPart, StopReason, StreamItem, TokenLogprob,
    ToolCall, ToolCallKind, UsageCounts, logprobs,
};
use crate::wire::sse::data_event;

/// Where the stream gave its answer no id.
const NO_ID: &str = "chatcmpl-0";

/// Writes the chunks of one streamed answer that comes from another dialect.
#[derive(Debug)]
pub(in crate::wire::openai) struct ForeignChunks {
    encoder: Encoder,
    /// Whether the caller asked for token counts.
    wants_usage: bool,
    tools: CustomTools,
    head: Option<Extra>,
    choices: BTreeMap<u64, ChoiceState>,
    usage: Option<UsageCounts>,
    ended: bool,
}

/// How far one choice has come.
#[derive(Debug, Default)]
struct ChoiceState {
    has_role: bool,
    /// The characters of its text so far.
    said: u64,
    /// By the index that the upstream's dialect gave them.
    calls: BTreeMap<u64, CallState>,
    /// How many of them have begun.
    begun: u64,
    /// Reasoning that is not signed yet.
    thought: String,
    /// How many pictures there were.
    images: u64,
    /// Of the tokens that the next chunk tells.
    logprobs: Vec<TokenLogprob>,
    stop: Option<StopReason>,
}

/// How far one call has come.
#[derive(Debug, Default)]
struct CallState {
    /// Its place among the calls, once its name was known.
    place: Option<u64>,
    id: Option<String>,
    signature: Option<String>,
    kind: ToolCallKind,
    /// Arguments that came before the name, or are told whole at the end.
    early: String,
    /// It is a custom tool's for the caller, and came as a function's: its input is only known at its end.
    wrapped: bool,
    has_arguments: bool,
}

impl ForeignChunks {
    /// For a stream whose caller asked for token counts, or did not, and has these custom tools.
    pub(in crate::wire::openai) fn new(wants_usage: bool, tools: CustomTools) -> Self {
        Self {
            // No dialect has this name: nothing is carried over as it stood.
            encoder: encoder(""),
            wants_usage,
            tools,
            head: None,
            choices: BTreeMap::new(),
            usage: None,
            ended: false,
        }
    }

    fn begin(
        &mut self,
        id: Option<String>,
        model: Option<String>,
        created: Option<Number>,
        extra: Extra,
    ) {
        let _ = self.encoder.begin("", extra);
        // All chunks of an answer have one id: the first one holds.
        let head = self.head.get_or_insert_default();
        for (name, value) in [
            ("id", id.map(Value::String)),
            ("model", model.map(Value::String)),
            ("created", created.map(Value::Number)),
        ] {
            if let Some(value) = value {
                head.entry(name).or_insert(value);
            }
        }
    }

    /// A chunk with these choices. What no head has told by the first one stays untold.
    fn chunk(&mut self, choices: Value, usage: Option<Value>) -> Bytes {
        let head = self.head.get_or_insert_default();
        for (name, value) in [
            ("id", json!(NO_ID)),
            ("model", json!("")),
            ("created", json!(0)),
        ] {
            head.entry(name).or_insert(value);
        }
        let mut chunk = head.clone();
        put(&mut chunk, "object", Some("chat.completion.chunk"));
        chunk.insert("choices".to_owned(), choices);
        put(&mut chunk, "usage", usage);
        data_event(Value::Object(chunk).to_string().as_bytes())
    }

    /// A chunk with one choice.
    fn say(&mut self, candidate: u64, delta: &Extra, reason: Option<&str>) -> Bytes {
        let mut choice = json!({"index": candidate, "delta": delta, "finish_reason": reason});
        let state = self.choices.get_mut(&candidate);
        let tokens = state.map(|state| std::mem::take(&mut state.logprobs));
        if let (Some(told), Value::Object(fields)) =
            (logprobs::choice(&tokens.unwrap_or_default()), &mut choice)
        {
            fields.insert("logprobs".to_owned(), told);
        }
        self.chunk(Value::Array(vec![choice]), None)
    }

    /// What stands in one event goes out in one chunk for each choice.
    fn deltas(&mut self, items: Vec<StreamItem>) -> BTreeMap<u64, Extra> {
        let mut deltas: BTreeMap<u64, Extra> = BTreeMap::new();
        for item in items {
            match item {
                StreamItem::Head {
                    id,
                    model,
                    created,
                    extra,
                } => self.begin(id, model, created, extra),
                StreamItem::Delta { candidate, delta } => {
                    let state = self.choices.entry(candidate).or_default();
                    let mut fields = Extra::new();
                    state.add(&mut self.encoder, &self.tools, &mut fields, delta);
                    if !fields.is_empty() || !state.logprobs.is_empty() {
                        merge(deltas.entry(candidate).or_default(), fields);
                    }
                }
                StreamItem::Stop { candidate, reason } => {
                    let state = self.choices.entry(candidate).or_default();
                    state.stop.get_or_insert(reason);
                }
                StreamItem::CandidateExtra { extra, .. } => {
                    let _ = self.encoder.begin("choices", extra);
                }
                StreamItem::Usage(counts) => self.usage = Some(counts),
                StreamItem::ServiceTier(tier) => {
                    if let Some(word) = served(&mut self.encoder, &tier) {
                        let head = self.head.get_or_insert_default();
                        head.entry("service_tier").or_insert(word.into());
                    }
                }
                StreamItem::Error(_) | StreamItem::End => {}
            }
        }
        deltas
    }

    /// Everything that is still to be said.
    fn end(&mut self, out: &mut BytesMut) {
        self.ended = true;
        self.choices.entry(0).or_default();
        let mut choices = std::mem::take(&mut self.choices);
        for (candidate, state) in &mut choices {
            let mut rest = Extra::new();
            state.complete(&mut rest);
            state.role(&mut rest);
            if !rest.is_empty() {
                out.extend_from_slice(&self.say(*candidate, &rest, None));
            }
            let reason = match state.stop.take() {
                None | Some(StopReason::EndTurn) if state.begun > 0 => StopReason::ToolCalls,
                reason => reason.unwrap_or(StopReason::EndTurn),
            };
            let reason = stop_word(reason, false);
            out.extend_from_slice(&self.say(*candidate, &Extra::new(), Some(&reason)));
        }
        if let Some(usage) = self.usage.take().filter(|_| self.wants_usage) {
            let usage = encode_usage(&mut self.encoder, usage);
            out.extend_from_slice(&self.chunk(Value::Array(Vec::new()), Some(usage)));
        }
        out.extend_from_slice(&data_event(super::stream::END));
    }
}

impl EventEncoder for ForeignChunks {
    fn event(&mut self, items: Vec<StreamItem>) -> Bytes {
        if self.ended {
            return Bytes::new();
        }
        let ends = items.contains(&StreamItem::End);
        let mut out = BytesMut::new();
        for (candidate, mut delta) in self.deltas(items) {
            if let Some(state) = self.choices.get_mut(&candidate) {
                state.role(&mut delta);
            }
            out.extend_from_slice(&self.say(candidate, &delta, None));
        }
        if ends {
            self.end(&mut out);
        }
        out.freeze()
    }

    fn losses(&mut self) -> Losses {
        std::mem::take(&mut self.encoder.losses)
    }
}

impl ChoiceState {
    /// The role, in front of everything else.
    fn role(&mut self, delta: &mut Extra) {
        if !std::mem::replace(&mut self.has_role, true) {
            put(delta, "role", Some("assistant"));
            // Clients add to it.
            let says = ["tool_calls", "refusal", "reasoning_content"];
            if !says.iter().any(|name| delta.contains_key(*name)) {
                delta.entry("content").or_insert(json!(""));
            }
        }
    }

    fn add(
        &mut self,
        encoder: &mut Encoder,
        tools: &CustomTools,
        fields: &mut Extra,
        delta: ContentDelta,
    ) {
        match delta {
            ContentDelta::Logprobs(tokens) => self.logprobs.extend(tokens),
            ContentDelta::Media(body) => self.show(encoder, fields, body),
            ContentDelta::Role(_) => self.role(fields),
            ContentDelta::Text(text) => {
                self.said += text.chars().count() as u64;
                put(fields, "content", filled(text));
            }
            ContentDelta::Refusal(text) => put(fields, "refusal", filled(text)),
            ContentDelta::Reasoning(part) => self.reason(fields, part),
            ContentDelta::ToolCall {
                index,
                id,
                name,
                arguments,
                kind,
                signature,
                extra,
            } => {
                let _ = encoder.begin("tool_calls", extra);
                let call = self.calls.entry(index).or_default();
                call.id = call.id.take().or(id);
                call.signature = call.signature.take().or(signature);
                if call.place.is_none() {
                    let custom = name.as_deref().is_some_and(|name| tools.has(name));
                    call.wrapped = custom && kind == ToolCallKind::Function;
                    call.kind = match call.wrapped {
                        true => ToolCallKind::Custom,
                        false => kind,
                    };
                }
                let arguments = arguments.unwrap_or_default();
                match name {
                    Some(name) if call.place.is_none() => {
                        let place = self.begun;
                        self.begun += 1;
                        push(fields, call.begin(place, &name, &arguments));
                    }
                    _ if call.place.is_none() => call.early.push_str(&arguments),
                    _ => call.go_on(fields, &arguments),
                }
            }
            ContentDelta::Citation(mut citation) if citation.url.is_some() => {
                // Clients require the characters that it is about: where they are not told, all of them so far.
                citation.span = citation.span.or(Some((0, self.said)));
                let citation = encode_citation(encoder, "annotations", citation);
                push_to(fields, "annotations", citation);
            }
            ContentDelta::Citation(_) => encoder.lose("annotations", UNKNOWN),
            ContentDelta::Unknown { field, .. } => encoder.lose(field, UNKNOWN),
        }
    }

    /// Words at once; what signs them, or is encrypted, with all of them in one piece, as it has to come back.
    fn reason(&mut self, fields: &mut Extra, part: ReasoningPart) {
        let ReasoningPart {
            text,
            signature,
            encrypted,
            id,
            maker,
            field: _,
        } = part;
        if let Some(text) = text.and_then(filled) {
            self.thought.push_str(&text);
            put(fields, "reasoning_content", Some(text));
        }
        if signature.is_none() && encrypted.is_none() {
            return;
        }
        let mut detail = Extra::new();
        match encrypted {
            Some(data) => {
                put(&mut detail, "type", Some("reasoning.encrypted"));
                put(&mut detail, "data", Some(data));
            }
            None => {
                let text = std::mem::take(&mut self.thought);
                put(&mut detail, "type", Some("reasoning.text"));
                put(&mut detail, "text", Some(text));
            }
        }
        put(&mut detail, "signature", signature);
        put(&mut detail, "id", id);
        put(
            &mut detail,
            "format",
            maker.map(|maker| format_of(&maker).to_owned()),
        );
        push_to(fields, "reasoning_details", Value::Object(detail));
    }

    /// A picture, as OpenRouter and others tell it. Of nothing else that is shown there is a form.
    fn show(&mut self, encoder: &mut Encoder, fields: &mut Extra, body: PartBody) {
        let word = body.word().to_owned();
        let Some(mut image) = image_of(body) else {
            return encoder.lose(word, NO_PART);
        };
        if let Value::Object(own) = &mut image {
            own.insert("index".to_owned(), self.images.into());
        }
        self.images += 1;
        push_to(fields, "images", image);
    }

    /// Calls that never got a name, and those without arguments: clients parse an empty text as JSON, and fail.
    fn complete(&mut self, fields: &mut Extra) {
        for call in self.calls.values_mut() {
            if std::mem::take(&mut call.wrapped) {
                let input = ToolCall::custom_input(&std::mem::take(&mut call.early));
                call.go_on(fields, &input);
            }
            let bare = call.kind == ToolCallKind::Function && !call.has_arguments;
            if call.place.is_some() && bare {
                call.go_on(fields, "{}");
            }
        }
    }
}

impl CallState {
    /// The first piece of it.
    fn begin(&mut self, place: u64, name: &str, arguments: &str) -> Value {
        self.place = Some(place);
        let mut arguments = std::mem::take(&mut self.early) + arguments;
        if self.wrapped {
            self.early = std::mem::take(&mut arguments);
        }
        self.has_arguments |= !arguments.is_empty();
        let (kind, input) = places(self.kind);
        let id = self.id.clone().unwrap_or_else(|| format!("call_{place}"));
        let mut call = Extra::new();
        put(&mut call, "index", Some(place));
        put(&mut call, "id", Some(id));
        put(&mut call, "type", Some(kind));
        call.insert(kind.to_owned(), json!({"name": name, input: arguments}));
        put_signature(&mut call, self.signature.take());
        Value::Object(call)
    }

    /// More of its arguments.
    fn go_on(&mut self, fields: &mut Extra, arguments: &str) {
        let Some(place) = self.place.filter(|_| !arguments.is_empty()) else {
            return;
        };
        if self.wrapped {
            return self.early.push_str(arguments);
        }
        self.has_arguments = true;
        let (kind, input) = places(self.kind);
        push(fields, json!({"index": place, kind: {input: arguments}}));
    }
}

fn filled(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn push(fields: &mut Extra, call: Value) {
    push_to(fields, "tool_calls", call);
}

fn push_to(fields: &mut Extra, list: &str, item: Value) {
    let all = fields
        .entry(list)
        .or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(all) = all {
        all.push(item);
    }
}

/// Adds one piece of a message to those before it: texts and lists grow.
fn merge(fields: &mut Extra, more: Extra) {
    for (name, value) in more {
        match (fields.get_mut(&name), value) {
            (Some(Value::String(all)), Value::String(text)) if name != "role" => {
                all.push_str(&text);
            }
            (Some(Value::Array(all)), Value::Array(items)) => all.extend(items),
            (_, value) => drop(fields.insert(name, value)),
        }
    }
}

#[cfg(test)]
mod tests;
