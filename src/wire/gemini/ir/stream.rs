//! Streamed answers.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};

use super::answer::{
    citations_of, content_of, decode_usage, encode_usage, is_blocked, put_tier, stop_reason,
    stop_word, with_calls,
};
use super::conversation::Reader;
use super::fields::{UNKNOWN, encoder};
use super::logprobs::MeanLogprob;
use super::spoken::{AnswerParts, is_sealed, signature_of, signed_thought};
use crate::wire::dialect::{EventDecoder, EventEncoder};
use crate::wire::gemini::names::camel;
use crate::wire::gemini::tool_names::GeminiToolNames;
use crate::wire::ir::fields::{Encoder, count, list, put, text};
use crate::wire::ir::{
    ChatError, ContentDelta, ContentPart, Extra, Losses, PartBody, ReasoningPart, StopReason,
    StreamItem, TokenLogprob, ToolCall, ToolCallKind, UsageCounts,
};
use crate::wire::json;
use crate::wire::sse::{RawEvent, data_event};

/// Reads the events of one answer: each is an answer by itself, with what came since the last one.
#[derive(Debug, Default)]
pub(in crate::wire::gemini) struct ContentDecoder {
    candidates: BTreeMap<u64, CandidateReader>,
}

#[derive(Debug)]
struct CandidateReader {
    reader: Reader,
    calls: u64,
}

impl EventDecoder for ContentDecoder {
    fn event(&mut self, event: &RawEvent) -> Vec<StreamItem> {
        let data = event.data();
        match json::whole_object(&data) {
            Some(fields) => self.object(fields),
            None => Vec::new(),
        }
    }
}

impl ContentDecoder {
    fn object(&mut self, mut fields: Extra) -> Vec<StreamItem> {
        camel(&mut fields);
        if let Some(Value::Object(error)) = fields.get("error") {
            return vec![StreamItem::Error(error_of(error))];
        }
        let id = text(&mut fields, "responseId");
        let model = text(&mut fields, "modelVersion");
        let usage = decode_usage(&mut fields);
        let candidates = list(&mut fields, "candidates");
        let mut items = Vec::new();
        if candidates.is_none() && is_blocked(&fields) {
            items.push(StreamItem::Stop {
                candidate: 0,
                reason: StopReason::ContentFilter,
            });
        }
        for (at, value) in candidates.into_iter().flatten().enumerate() {
            if let Value::Object(candidate) = value {
                self.candidate(at, candidate, &mut items);
            }
        }
        items.extend(usage.map(StreamItem::Usage));
        items.insert(
            0,
            StreamItem::Head {
                id,
                model,
                created: None,
                extra: fields,
            },
        );
        items
    }

    fn candidate(&mut self, at: usize, mut fields: Extra, items: &mut Vec<StreamItem>) {
        camel(&mut fields);
        let candidate = count(&mut fields, "index").unwrap_or(at as u64);
        let state = self
            .candidates
            .entry(candidate)
            .or_insert_with(|| CandidateReader {
                reader: Reader::of_answer(),
                calls: 0,
            });
        let (parts, more) = content_of(&mut state.reader, &mut fields);
        fields.extend(more);
        for mut part in parts {
            if !matches!(part.body, PartBody::ToolCall(_)) {
                fields.append(&mut part.extra);
            }
            if let Some(delta) = state.delta(part) {
                items.push(StreamItem::Delta { candidate, delta });
            }
        }
        let cited = citations_of(&fields)
            .into_iter()
            .map(ContentDelta::Citation);
        items.extend(cited.map(|delta| StreamItem::Delta { candidate, delta }));
        let reason = stop_reason(&mut fields).map(|stop| with_calls(stop, state.calls > 0));
        items.push(StreamItem::CandidateExtra {
            candidate,
            extra: fields,
        });
        items.extend(reason.map(|reason| StreamItem::Stop { candidate, reason }));
    }
}

impl CandidateReader {
    fn delta(&mut self, part: ContentPart) -> Option<ContentDelta> {
        Some(match part.body {
            PartBody::Text { text, .. } if text.is_empty() => return None,
            PartBody::Text { text, .. } => ContentDelta::Text(text),
            PartBody::Reasoning(reasoning) => ContentDelta::Reasoning(reasoning),
            PartBody::Refusal(text) => ContentDelta::Refusal(text),
            PartBody::ToolCall(call) => {
                let index = self.calls;
                self.calls += 1;
                ContentDelta::ToolCall {
                    index,
                    id: call.id,
                    name: Some(call.name),
                    arguments: Some(call.arguments),
                    kind: call.kind,
                    signature: call.signature,
                    extra: part.extra,
                }
            }
            body
            @ (PartBody::Image { .. } | PartBody::Audio { .. } | PartBody::Document { .. }) => {
                ContentDelta::Media(body)
            }
            body @ (PartBody::Unknown { .. } | PartBody::ToolResult(_)) => ContentDelta::Unknown {
                field: body.word().to_owned(),
                value: Value::Null,
            },
        })
    }
}

fn error_of(error: &Extra) -> ChatError {
    let told = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
    let status = error.get("code").and_then(Value::as_u64);
    let status = status.and_then(|status| u16::try_from(status).ok());
    ChatError {
        message: told("message").to_owned(),
        kind: status
            .map_or("server_error", crate::domain::error_code::kind_of)
            .to_owned(),
        code: Some(told("status").to_owned()).filter(|code| !code.is_empty()),
        param: None,
        status,
    }
}

/// Writes the events of one answer: words as they come, calls whole and with the end, then the reason and the counts.
pub(in crate::wire::gemini) struct ContentEncoder {
    encoder: Encoder,
    names: GeminiToolNames,
    /// The dialect that answers.
    origin: &'static str,
    head: Extra,
    candidates: BTreeMap<u64, CandidateState>,
    usage: Option<UsageCounts>,
    tier: Option<String>,
    ended: bool,
}

/// How far one candidate has come.
#[derive(Default)]
struct CandidateState {
    calls: BTreeMap<u64, ToolCall>,
    /// Reasoning that is not signed yet.
    thought: String,
    carried: Option<String>,
    stop: Option<StopReason>,
    /// Of the tokens that the next event tells.
    logprobs: Vec<TokenLogprob>,
    mean: MeanLogprob,
}

impl ContentEncoder {
    /// To a request whose tools have these names, from an upstream of the dialect `origin`.
    pub(in crate::wire::gemini) fn new(names: GeminiToolNames, origin: &'static str) -> Self {
        Self {
            // No dialect has this name: nothing is carried over as it stood.
            encoder: encoder(""),
            names,
            origin,
            head: Extra::new(),
            candidates: BTreeMap::new(),
            usage: None,
            tier: None,
            ended: false,
        }
    }

    fn delta(&mut self, candidate: u64, delta: ContentDelta) -> Vec<Value> {
        let state = self.candidates.entry(candidate).or_default();
        match delta {
            ContentDelta::Logprobs(tokens) => {
                state.logprobs.extend(tokens);
                Vec::new()
            }
            ContentDelta::Media(body) => {
                let mut spoken = AnswerParts::new(&self.names, self.origin);
                spoken.part(&mut self.encoder, "", ContentPart::new(body));
                spoken.finish()
            }
            ContentDelta::Text(text) | ContentDelta::Refusal(text) => {
                let part = (!text.is_empty()).then(|| json!({"text": text}));
                part.into_iter().collect()
            }
            ContentDelta::Reasoning(reasoning) => state.reason(reasoning, self.origin),
            ContentDelta::ToolCall {
                index,
                id,
                name,
                arguments,
                kind,
                signature,
                extra,
            } => {
                let _ = self.encoder.begin("tool_calls", extra);
                let call = state.calls.entry(index).or_default();
                call.id = call.id.take().or(id);
                call.signature = call.signature.take().or(signature);
                if call.name.is_empty() {
                    call.name = name.unwrap_or_default();
                }
                if kind == ToolCallKind::Custom {
                    call.kind = kind;
                }
                call.arguments.push_str(&arguments.unwrap_or_default());
                Vec::new()
            }
            ContentDelta::Role(_) => Vec::new(),
            ContentDelta::Citation(_) => {
                self.encoder.lose("annotations", UNKNOWN);
                Vec::new()
            }
            ContentDelta::Unknown { field, .. } => {
                self.encoder.lose(field, UNKNOWN);
                Vec::new()
            }
        }
    }

    /// An event with these candidates.
    fn event_of(&self, candidates: Vec<Value>, usage: Option<Value>) -> Bytes {
        let mut event = self.head.clone();
        put(&mut event, "candidates", Some(candidates));
        put(&mut event, "usageMetadata", usage);
        data_event(Value::Object(event).to_string().as_bytes())
    }

    /// The calls, the reasons and the counts.
    fn end(&mut self) -> Bytes {
        self.ended = true;
        self.candidates.entry(0).or_default();
        let mut candidates = Vec::new();
        for (index, state) in std::mem::take(&mut self.candidates) {
            let mut spoken = AnswerParts::new(&self.names, self.origin);
            if let Some(signature) = state.carried {
                spoken.carry(signature, true);
            } else if let Some(signature) = unsigned(state.thought, self.origin) {
                spoken.carry(signature, false);
            }
            for call in state.calls.into_values() {
                if call.name.is_empty() {
                    self.encoder.lose("tool_calls", "a call of no tool");
                    continue;
                }
                let part = ContentPart::new(PartBody::ToolCall(call));
                spoken.part(&mut self.encoder, "tool_calls", part);
            }
            let parts = spoken.finish();
            let mut content = Extra::new();
            put(&mut content, "role", Some("model"));
            put(&mut content, "parts", (!parts.is_empty()).then_some(parts));
            let reason = stop_word(state.stop.unwrap_or(StopReason::EndTurn), false);
            let mut own = Extra::new();
            put(&mut own, "content", Some(content));
            put(&mut own, "finishReason", Some(reason));
            put(&mut own, "index", Some(index));
            let mut mean = state.mean;
            let told = mean.add(&mut self.encoder, &state.logprobs);
            put(&mut own, "logprobsResult", told);
            put(&mut own, "avgLogprobs", mean.told().map(Value::Number));
            candidates.push(Value::Object(own));
        }
        // Clients read the counts of the last event, and some fail without.
        let usage = self.usage.take().unwrap_or_default();
        let usage = encode_usage(&mut self.encoder, usage);
        let mut last = Extra::new();
        put(&mut last, "usageMetadata", Some(usage));
        if let Some(tier) = self.tier.take() {
            put_tier(&mut self.encoder, &mut last, &tier);
        }
        self.event_of(candidates, last.remove("usageMetadata"))
    }
}

/// What a call carries of reasoning that nobody signed.
fn unsigned(thought: String, origin: &'static str) -> Option<String> {
    let thought = ReasoningPart {
        text: Some(thought),
        ..ReasoningPart::default()
    };
    signature_of(thought, origin)
}

impl CandidateState {
    /// Words go out; what signs them waits for the call that carries it, or for what signs the next thought.
    fn reason(&mut self, mut reasoning: ReasoningPart, origin: &'static str) -> Vec<Value> {
        let words = reasoning.text.take().filter(|text| !text.is_empty());
        let mut parts = Vec::new();
        if let Some(words) = &words {
            self.thought.push_str(words);
        }
        if is_sealed(&reasoning) {
            let before = self.carried.take();
            parts.extend(before.map(|signature| signed_thought(&signature)));
            let thought = std::mem::take(&mut self.thought);
            reasoning.text = (!thought.is_empty()).then_some(thought);
            self.carried = signature_of(reasoning, origin);
        }
        parts.extend(words.map(|words| json!({"text": words, "thought": true})));
        parts
    }
}

impl EventEncoder for ContentEncoder {
    fn event(&mut self, items: Vec<StreamItem>) -> Bytes {
        if self.ended {
            return Bytes::new();
        }
        let ends = items.contains(&StreamItem::End);
        let mut parts: BTreeMap<u64, Vec<Value>> = BTreeMap::new();
        for item in items {
            match item {
                StreamItem::Head {
                    id, model, extra, ..
                } => {
                    let _ = self.encoder.begin("", extra);
                    for (name, value) in [("responseId", id), ("modelVersion", model)] {
                        if let Some(value) = value {
                            self.head.entry(name).or_insert(value.into());
                        }
                    }
                }
                StreamItem::Delta { candidate, delta } => {
                    let said = self.delta(candidate, delta);
                    if !said.is_empty() {
                        parts.entry(candidate).or_default().extend(said);
                    }
                }
                StreamItem::Stop { candidate, reason } => {
                    let state = self.candidates.entry(candidate).or_default();
                    state.stop.get_or_insert(reason);
                }
                StreamItem::CandidateExtra { extra, .. } => {
                    let _ = self.encoder.begin("candidates", extra);
                }
                StreamItem::Usage(counts) => self.usage = Some(counts),
                StreamItem::ServiceTier(tier) => self.tier = Some(tier),
                StreamItem::Error(_) | StreamItem::End => {}
            }
        }
        let mut out = BytesMut::new();
        if !parts.is_empty() {
            let mut candidates = Vec::with_capacity(parts.len());
            for (index, parts) in parts {
                let mut own = Extra::new();
                let content = json!({"role": "model", "parts": parts});
                put(&mut own, "content", Some(content));
                put(&mut own, "index", Some(index));
                if let Some(state) = self.candidates.get_mut(&index) {
                    let tokens = std::mem::take(&mut state.logprobs);
                    let told = state.mean.add(&mut self.encoder, &tokens);
                    put(&mut own, "logprobsResult", told);
                }
                candidates.push(Value::Object(own));
            }
            out.extend_from_slice(&self.event_of(candidates, None));
        }
        if ends {
            out.extend_from_slice(&self.end());
        }
        out.freeze()
    }

    fn losses(&mut self) -> Losses {
        std::mem::take(&mut self.encoder.losses)
    }
}
