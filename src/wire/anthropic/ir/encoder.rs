//! Streams of other dialects as messages. A small state machine that keeps to the API's grammar whatever comes: the start,
//! blocks one after the other with deltas that fit, all closed before the reason and the counts, then the end.
//!
//! Calls of other dialects may be told in turns. The one that is open goes out at once; what is told of others meanwhile
//! waits until it is complete, which is known when its arguments are an object, or something else comes.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::answer::{
    call_id, encode_usage, logprobs_of, message_id, put_tier, signed_call, stop_words,
};
use super::carrier::Carried;
use super::part::{THINKING, custom_input};
use super::words::UNKNOWN;
use crate::wire::dialect::EventEncoder;
use crate::wire::ir::fields::Encoder;
use crate::wire::ir::{
    ContentDelta, Losses, ReasoningPart, StopReason, StreamItem, ToolCallKind, UsageCounts,
};
use crate::wire::sse::named_event;

/// Writes one streamed answer.
#[derive(Debug)]
pub(in crate::wire::anthropic) struct MessageEncoder {
    encoder: Encoder,
    origin: &'static str,
    id: Option<String>,
    model: Option<String>,
    phase: Phase,
    open: Option<OpenBlock>,
    /// Blocks so far.
    blocks: u64,
    /// By the index that the upstream's dialect gave them; those that have not begun, or are not complete.
    calls: BTreeMap<u64, WaitingCall>,
    /// Those that were closed: nothing can be added to them.
    closed: Vec<u64>,
    any_calls: bool,
    refuses: bool,
    /// The field in which the upstream tells its thoughts: some tell them in two.
    thoughts: Option<&'static str>,
    stop: Option<StopReason>,
    usage: UsageCounts,
    /// The queue that serves it, until it was told.
    tier: Option<String>,
    out: BytesMut,
}

/// How far the answer has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Before,
    Started,
    Ended,
}

/// The block that is open.
#[derive(Clone, PartialEq, Eq, Debug)]
enum OpenBlock {
    Text,
    /// With what signs it, and whether it has words.
    Thinking(Carried),
    Call(u64),
}

/// A call, as far as it was told.
#[derive(Debug, Default)]
struct WaitingCall {
    id: Option<String>,
    name: Option<String>,
    signature: Option<String>,
    kind: ToolCallKind,
    arguments: String,
    /// Bytes of the arguments that went out.
    sent: usize,
}

impl WaitingCall {
    /// Whether nothing can be added to its arguments.
    fn is_complete(&self) -> bool {
        let object = self.arguments.trim_start().starts_with('{');
        object
            && self.kind == ToolCallKind::Function
            && serde_json::from_str::<IgnoredAny>(&self.arguments).is_ok()
    }
}

impl MessageEncoder {
    /// For a stream of the dialect of this name.
    pub(in crate::wire::anthropic) fn new(origin: &'static str) -> Self {
        Self {
            // No dialect has this name: nothing is carried over as it stood.
            encoder: Encoder::new("", super::super::ID, UNKNOWN),
            origin,
            id: None,
            model: None,
            phase: Phase::Before,
            open: None,
            blocks: 0,
            calls: BTreeMap::new(),
            closed: Vec::new(),
            any_calls: false,
            refuses: false,
            thoughts: None,
            stop: None,
            usage: UsageCounts::default(),
            tier: None,
            out: BytesMut::new(),
        }
    }

    /// The same behind a start and so many blocks that are closed, with a text that is `open`.
    pub(super) fn resumed(self, blocks: u64, open: bool) -> Self {
        Self {
            phase: Phase::Started,
            open: open.then_some(OpenBlock::Text),
            blocks,
            ..self
        }
    }

    fn say(&mut self, kind: &str, mut data: Value) {
        if let Some(fields) = data.as_object_mut() {
            fields.shift_insert(0, "type".to_owned(), json!(kind));
        }
        let event = named_event(kind, data.to_string().as_bytes());
        self.out.extend_from_slice(&event);
    }

    fn start(&mut self) {
        if self.phase != Phase::Before {
            return;
        }
        self.phase = Phase::Started;
        let mut usage = encode_usage(&mut self.encoder, self.usage.clone());
        put_tier(&mut self.encoder, &mut usage, self.tier.take());
        let message = json!({
            "id": message_id(self.id.take()), "type": "message", "role": "assistant",
            "model": self.model.take().unwrap_or_default(), "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": usage,
        });
        self.say("message_start", json!({"message": message}));
    }

    /// Begins a block, and returns its index to those that follow by [`blocks`](Self::blocks).
    fn begin(&mut self, block: &Value) {
        self.start();
        let data = json!({"index": self.blocks, "content_block": block});
        self.say("content_block_start", data);
    }

    fn add(&mut self, delta: &Value) {
        let data = json!({"index": self.blocks, "delta": delta});
        self.say("content_block_delta", data);
    }

    fn stop_block(&mut self) {
        let data = json!({"index": self.blocks});
        self.say("content_block_stop", data);
        self.blocks += 1;
    }

    /// Closes the block that is open.
    fn close(&mut self) {
        match self.open.take() {
            None => return,
            Some(OpenBlock::Text) => {}
            // Clients want to see a signature, and send it back.
            Some(OpenBlock::Thinking(carried)) => {
                let signature = carried.write();
                self.add(&json!({"type": "signature_delta", "signature": signature}));
            }
            Some(OpenBlock::Call(index)) => {
                let call = self.calls.remove(&index);
                if let Some(call) = call.filter(|call| call.kind == ToolCallKind::Custom) {
                    let whole = custom_input(&call.arguments).to_string();
                    self.add(&json!({"type": "input_json_delta", "partial_json": whole}));
                }
                self.closed.push(index);
            }
        }
        self.stop_block();
    }

    /// Closes what is open, and says what waits of calls.
    fn settle(&mut self) {
        self.close();
        while let Some((index, call)) = self.calls.pop_first() {
            self.calls.insert(index, call);
            self.open_call(index);
            self.close();
        }
    }

    fn text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if self.open != Some(OpenBlock::Text) {
            self.settle();
            self.begin(&json!({"type": "text", "text": ""}));
            self.open = Some(OpenBlock::Text);
        }
        self.add(&json!({"type": "text_delta", "text": text}));
    }

    fn reason(&mut self, mut part: ReasoningPart) {
        let signed = part.signature.is_some() || part.encrypted.is_some();
        if *self.thoughts.get_or_insert(part.field) != part.field {
            // The words again; what signs them is told here alone.
            part.text = None;
        }
        let carried = Carried::of(&part, self.origin);
        let text = part.text.unwrap_or_default();
        if !text.is_empty() {
            if !matches!(self.open, Some(OpenBlock::Thinking(_))) {
                self.settle();
                self.begin(&json!({"type": THINKING, THINKING: "", "signature": ""}));
                self.open = Some(OpenBlock::Thinking(carried.clone()));
            }
            self.add(&json!({"type": "thinking_delta", THINKING: text}));
        }
        match &mut self.open {
            Some(OpenBlock::Thinking(open)) if signed => {
                *open = carried;
                self.close();
            }
            _ if signed => {
                self.settle();
                self.begin(&json!({"type": "redacted_thinking", "data": carried.write()}));
                self.stop_block();
            }
            _ => {}
        }
    }

    fn call(&mut self, index: u64, told: WaitingCall) {
        if self.closed.contains(&index) {
            if !told.arguments.is_empty() {
                self.encoder
                    .lose("tool_calls", "arguments of a call that is over");
            }
            return;
        }
        let call = self.calls.entry(index).or_default();
        if call.name.is_none() {
            call.kind = told.kind;
        }
        call.id = call.id.take().or(told.id);
        call.name = call.name.take().or(told.name);
        call.signature = call.signature.take().or(told.signature);
        call.arguments.push_str(&told.arguments);
        let named = call.name.is_some();
        match &self.open {
            Some(OpenBlock::Call(open)) if *open == index => return self.go_on(index),
            Some(OpenBlock::Call(open)) => {
                let complete = self.calls.get(open).is_some_and(WaitingCall::is_complete);
                if !complete || !named {
                    return;
                }
                self.close();
            }
            _ if !named => return,
            _ => self.close(),
        }
        self.open_call(index);
    }

    /// Begins the block of a call, with all that is known of it.
    fn open_call(&mut self, index: u64) {
        let Some(call) = self.calls.get_mut(&index) else {
            return;
        };
        let Some(name) = call.name.clone() else {
            // Nobody could run it.
            self.calls.remove(&index);
            self.encoder.lose("tool_calls", "a call without a name");
            return;
        };
        let signature = call.signature.take();
        let id = call.id.clone();
        if let Some(signature) = signature {
            let block = signed_call(self.origin, &signature);
            self.begin(&block);
            self.stop_block();
        }
        let at = usize::try_from(self.blocks).unwrap_or(usize::MAX);
        let id = call_id(id.as_deref(), at);
        self.begin(&json!({"type": "tool_use", "id": id, "name": name, "input": {}}));
        self.any_calls = true;
        self.open = Some(OpenBlock::Call(index));
        self.go_on(index);
    }

    /// Says what has not gone out of a call's arguments.
    fn go_on(&mut self, index: u64) {
        let Some(call) = self.calls.get_mut(&index) else {
            return;
        };
        // What is called with a text is told whole, as the object that it becomes.
        if call.kind == ToolCallKind::Custom {
            return;
        }
        let piece = call
            .arguments
            .get(call.sent..)
            .unwrap_or_default()
            .to_owned();
        call.sent = call.arguments.len();
        if !piece.is_empty() {
            self.add(&json!({"type": "input_json_delta", "partial_json": piece}));
        }
    }

    fn item(&mut self, item: StreamItem) {
        match item {
            StreamItem::Head {
                id, model, extra, ..
            } => {
                let _ = self.encoder.begin("", extra);
                self.id = self.id.take().or(id);
                self.model = self.model.take().or(model);
            }
            StreamItem::Delta {
                candidate: 0,
                delta,
            } => self.delta(delta),
            StreamItem::Stop {
                candidate: 0,
                reason,
            } => drop(self.stop.get_or_insert(reason)),
            StreamItem::Usage(counts) => self.usage = counts,
            StreamItem::ServiceTier(tier) => self.tier = Some(tier),
            StreamItem::Delta { .. } | StreamItem::Stop { .. } => {
                self.encoder.lose("choices[1]", UNKNOWN);
            }
            StreamItem::CandidateExtra { extra, .. } => {
                let _ = self.encoder.begin("choices", extra);
            }
            StreamItem::Error(error) => {
                let error = json!({"type": "api_error", "message": error.message});
                self.say("error", json!({"error": error}));
                self.phase = Phase::Ended;
            }
            StreamItem::End => self.end(),
        }
    }

    fn delta(&mut self, delta: ContentDelta) {
        match delta {
            ContentDelta::Role(_) => {}
            ContentDelta::Text(text) => self.text(&text),
            ContentDelta::Logprobs(_) => self.encoder.lose(logprobs_of(self.origin), UNKNOWN),
            ContentDelta::Media(body) => self.encoder.lose(body.word(), UNKNOWN),
            ContentDelta::Refusal(text) => {
                self.refuses |= !text.is_empty();
                self.text(&text);
            }
            ContentDelta::Reasoning(part) => self.reason(part),
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
                let told = WaitingCall {
                    id,
                    name,
                    signature,
                    kind,
                    arguments: arguments.unwrap_or_default(),
                    sent: 0,
                };
                self.call(index, told);
            }
            ContentDelta::Citation(_) => self.encoder.lose("citations", UNKNOWN),
            // A detail of a thought that its dialect tells in other words as well.
            ContentDelta::Unknown { field, .. } => self.encoder.lose(field, UNKNOWN),
        }
    }

    fn end(&mut self) {
        self.start();
        self.settle();
        let reason = match self.stop.take() {
            _ if self.refuses => StopReason::Refusal,
            reason => reason.unwrap_or(StopReason::EndTurn),
        };
        let (word, sequence) = stop_words(reason, self.any_calls, false);
        let mut usage = encode_usage(&mut self.encoder, std::mem::take(&mut self.usage));
        put_tier(&mut self.encoder, &mut usage, self.tier.take());
        let delta = json!({"stop_reason": word, "stop_sequence": sequence});
        self.say("message_delta", json!({"delta": delta, "usage": usage}));
        self.say("message_stop", json!({}));
        self.phase = Phase::Ended;
    }
}

impl EventEncoder for MessageEncoder {
    fn event(&mut self, items: Vec<StreamItem>) -> Bytes {
        // The first event tells what the prompt took, where that is known by then.
        let counted = items.iter().find_map(|item| match item {
            StreamItem::Usage(counts) if self.phase == Phase::Before => Some(counts),
            _ => None,
        });
        if let Some(counts) = counted {
            self.usage = counts.clone();
        }
        let tier = items.iter().find_map(|item| match item {
            StreamItem::ServiceTier(tier) if self.phase == Phase::Before => Some(tier),
            _ => None,
        });
        self.tier = tier.cloned().or(self.tier.take());
        for item in items {
            if self.phase != Phase::Ended {
                self.item(item);
            }
        }
        self.out.split().freeze()
    }

    fn losses(&mut self) -> Losses {
        std::mem::take(&mut self.encoder.losses)
    }
}
