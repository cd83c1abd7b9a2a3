//! Streamed responses, written: a small state machine that keeps to the grammar of events whatever comes. Thoughts and words
//! are one item after the other; calls, of which several may be told at once, stay open until something else comes.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use serde_json::{Map, Number, Value, json};

use super::call::{CallItem, carrier_of};
use super::fields::{Encoder, UNKNOWN, encoder};
use super::open::{MessageItem, ResponseLog, ThoughtItem};
use super::place::SentPlace;
use super::response::{ending, skeleton, usage};
use super::tools::ToolNames;
use crate::wire::dialect::EventEncoder;
use crate::wire::ir::tier::TierWords;
use crate::wire::ir::{
    ChatError, ContentDelta, Losses, MediaSource, PartBody, ReasoningPart, StopReason, StreamItem,
    TokenLogprob, UsageCounts, logprobs,
};
use crate::wire::json;
use crate::wire::request::RequestDoc;

/// Where the answer has no id of its own.
const NO_ID: &str = "0";

/// Writes the events of one response.
#[derive(Debug)]
pub(in crate::wire::responses) struct ResponseEncoder {
    encoder: Encoder,
    /// The dialect that the answer comes from.
    origin: &'static str,
    /// The response, but for its output.
    response: Map<String, Value>,
    /// What the ids of its items have in common; empty before it has begun.
    base: String,
    names: ToolNames,
    events: ResponseLog,
    /// The item that is being said, if it is no call.
    open: Open,
    /// Calls that are being told, by the index that the upstream's dialect gave them.
    calls: BTreeMap<u64, CallItem>,
    /// The ids of all calls so far.
    call_ids: HashSet<String>,
    /// So many items of each kind there were.
    counts: [u64; 4],
    stop: Option<StopReason>,
    usage: Option<UsageCounts>,
    /// Whether it was told which queue serves it.
    tiered: bool,
    /// Of tokens whose words are still to come.
    logprobs: Vec<TokenLogprob>,
    ended: bool,
}

/// An item that is not a call.
#[derive(Debug)]
enum Open {
    None,
    Thought(ThoughtItem),
    Message(MessageItem),
}

impl ResponseEncoder {
    /// For the answer to the request `doc`, read from the dialect of the name `origin`.
    pub(in crate::wire::responses) fn new(doc: &RequestDoc, origin: &'static str) -> Self {
        let tools = doc.raw("tools").and_then(json::value).unwrap_or_default();
        Self {
            // No dialect has this name: nothing is carried over as it stood.
            encoder: encoder(""),
            origin,
            response: skeleton(doc),
            base: String::new(),
            names: ToolNames::read(&tools),
            events: ResponseLog::default(),
            open: Open::None,
            calls: BTreeMap::new(),
            call_ids: HashSet::new(),
            counts: [0; 4],
            stop: None,
            usage: None,
            tiered: false,
            logprobs: Vec::new(),
            ended: false,
        }
    }

    /// The same behind what went out already.
    pub(super) fn resumed(mut self, sent: &SentPlace) -> Self {
        if let Some(response) = &sent.response {
            let id = response.get("id").and_then(Value::as_str);
            self.base = base_of(id.unwrap_or_default());
            self.response.extend(response.clone());
        }
        // Its ids are told from those of the items before it.
        self.counts = [sent.begun; 4];
        self.events = ResponseLog::resumed(sent.next, sent.begun, sent.items.clone());
        if let Some(item) = sent.open.clone() {
            self.open = Open::Message(MessageItem::resumed(item));
        }
        self
    }

    /// The response to all of this.
    pub(super) fn whole(&mut self, items: Vec<StreamItem>) -> Value {
        for item in items {
            self.take(item);
        }
        self.complete();
        Value::Object(std::mem::take(&mut self.response))
    }

    pub(super) fn take_losses(&mut self) -> Losses {
        std::mem::take(&mut self.encoder.losses)
    }

    fn take(&mut self, item: StreamItem) {
        match item {
            StreamItem::Head {
                id,
                model,
                created,
                extra,
            } => {
                let _ = self.encoder.begin("", extra);
                self.head(id, model, created);
            }
            StreamItem::Delta {
                candidate: 0,
                delta,
            } => self.delta(delta),
            StreamItem::Delta { .. } => self.encoder.lose("candidates", UNKNOWN),
            StreamItem::Stop {
                candidate: 0,
                reason,
            } => drop(self.stop.get_or_insert(reason)),
            StreamItem::Stop { .. } => {}
            StreamItem::CandidateExtra { extra, .. } => {
                let _ = self.encoder.begin("choices", extra);
            }
            StreamItem::Usage(counts) => self.usage = Some(counts),
            StreamItem::ServiceTier(tier) => match TierWords::OpenAi.served(&tier) {
                Some(word) => {
                    self.tiered = true;
                    self.response.insert("service_tier".to_owned(), word.into());
                }
                None => self.encoder.lose("service_tier", UNKNOWN),
            },
            StreamItem::Error(error) => self.fail(&error),
            StreamItem::End => self.complete(),
        }
    }

    fn head(&mut self, id: Option<String>, model: Option<String>, created: Option<Number>) {
        for (name, value) in [
            ("model", model.map(Value::String)),
            ("created_at", created.map(Value::Number)),
        ] {
            if let Some(value) = value {
                self.response.entry(name).or_insert(value);
            }
        }
        if let Some(id) = id.filter(|_| self.base.is_empty()) {
            self.begin(&id);
        }
    }

    /// The first events, with all that is known by then.
    fn begin(&mut self, id: &str) {
        self.base = base_of(id);
        let id = format!("resp_{}", self.base);
        self.response.insert("id".to_owned(), id.into());
        for (name, value) in [
            ("model", json!("")),
            ("created_at", json!(0)),
            ("output", json!([])),
        ] {
            self.response.entry(name).or_insert(value);
        }
        self.response
            .insert("status".to_owned(), json!("in_progress"));
        let response = Value::Object(self.response.clone());
        for kind in ["response.created", "response.in_progress"] {
            self.events.say(kind, [("response", response.clone())]);
        }
    }

    /// An id for the next item of a kind.
    fn next_id(&mut self, kind: usize, prefix: &str) -> String {
        if self.base.is_empty() {
            self.begin(NO_ID);
        }
        let number = self.counts.get_mut(kind).map_or(0, |count| {
            *count += 1;
            *count
        });
        format!("{prefix}_{}_{number}", self.base)
    }

    fn delta(&mut self, delta: ContentDelta) {
        match delta {
            ContentDelta::Role(_) => {}
            ContentDelta::Text(words) if words.is_empty() => {}
            ContentDelta::Text(words) => {
                self.message();
                let tokens = logprobs::write(&std::mem::take(&mut self.logprobs));
                if let Open::Message(item) = &mut self.open {
                    item.say(&mut self.events, &words, tokens);
                }
            }
            ContentDelta::Logprobs(tokens) => self.logprobs.extend(tokens),
            ContentDelta::Media(body) => self.show(body),
            ContentDelta::Refusal(words) if words.is_empty() => {}
            ContentDelta::Refusal(words) => {
                self.message();
                if let Open::Message(item) = &mut self.open {
                    item.refuse(&mut self.events, &words);
                }
            }
            ContentDelta::Reasoning(part) => self.think(part),
            ContentDelta::Citation(citation) => match &mut self.open {
                Open::Message(item) if citation.url.is_some() && item.has_text() => {
                    item.cite(&mut self.events, citation);
                }
                _ => self.encoder.lose("annotations", UNKNOWN),
            },
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
                let call = self.calls.entry(index).or_default();
                call.learn(id, name, kind);
                if let Some(signature) = signature.filter(|_| !call.is_signed()) {
                    call.sign(signature);
                }
                let arguments = arguments.unwrap_or_default();
                self.call(index, &arguments);
            }
            ContentDelta::Unknown { field, .. } => self.encoder.lose(field, UNKNOWN),
        }
    }

    /// A message is open.
    fn message(&mut self) {
        self.close_calls(false);
        if !matches!(self.open, Open::Message(_)) {
            self.close(false);
            let id = self.next_id(0, "msg");
            self.open = Open::Message(MessageItem::begin(&mut self.events, id));
        }
    }

    /// A picture, as the API's own tool would have made it. Of nothing else that is shown there is a form.
    fn show(&mut self, body: PartBody) {
        let word = body.word().to_owned();
        let PartBody::Image {
            source: MediaSource::Url(url) | MediaSource::Inline(url),
            ..
        } = body
        else {
            return self.encoder.lose(word, UNKNOWN);
        };
        let data = url
            .strip_prefix("data:")
            .and_then(|url| url.split_once(";base64,"));
        let Some((kind, data)) = data else {
            return self.encoder.lose(word, "a picture is told by its data");
        };
        self.close_calls(false);
        self.close(false);
        let id = self.next_id(3, "ig");
        let format = kind.strip_prefix("image/").unwrap_or("png");
        self.events.image(&id, data, format);
    }

    fn think(&mut self, part: ReasoningPart) {
        let text = part.text.clone().unwrap_or_default();
        let sealed = part.signature.is_some() || part.encrypted.is_some();
        if text.is_empty() && !sealed {
            return;
        }
        self.close_calls(false);
        // A seal that comes after the words is of the same thought; words after a seal are another one.
        let fits =
            matches!(&self.open, Open::Thought(item) if !item.is_sealed() || text.is_empty());
        if !fits {
            self.close(false);
            let id = self.next_id(1, "rs");
            self.open = Open::Thought(ThoughtItem::begin(&mut self.events, id));
        }
        if let Open::Thought(item) = &mut self.open {
            item.think(&mut self.events, &text);
            if sealed {
                item.seal(part, self.origin);
            }
        }
    }

    /// More of a call, which begins once its name is known.
    fn call(&mut self, index: u64, arguments: &str) {
        let Some(mut call) = self.calls.remove(&index) else {
            return;
        };
        if !call.has_begun() && call.has_name() {
            self.close(false);
            let kind = call.prefix(&self.names);
            let id = self.next_id(2, kind);
            let spare = format!("call_{}_{}", self.base, self.counts.get(2).unwrap_or(&0));
            call.give_id(spare, &mut self.call_ids);
            self.carry(&mut call);
            call.begin(&mut self.events, id, &self.names);
        } else if call.has_begun() {
            self.carry(&mut call);
        }
        call.argue(&mut self.events, arguments);
        self.calls.insert(index, call);
    }

    /// A signature of a call in an item of its own: calls have no place for it.
    fn carry(&mut self, call: &mut CallItem) {
        if let Some((call_id, signature)) = call.unsent_signature() {
            let id = self.next_id(1, "rs");
            let item = carrier_of(id, self.origin, call_id, signature);
            self.events.whole_item(item);
        }
    }

    /// Ends the item that is being said.
    fn close(&mut self, cut: bool) {
        match std::mem::replace(&mut self.open, Open::None) {
            Open::None => {}
            Open::Thought(item) => item.end(&mut self.events, self.origin),
            Open::Message(mut item) => {
                if item.has_text() {
                    item.add_logprobs(logprobs::write(&std::mem::take(&mut self.logprobs)));
                }
                item.end(&mut self.events, cut);
            }
        }
    }

    /// Ends the calls that are being told. One that never got a name is none.
    fn close_calls(&mut self, cut: bool) {
        let is_last = |index: &u64, last: u64| cut && *index == last;
        let last = self.calls.keys().next_back().copied().unwrap_or(0);
        for (index, call) in std::mem::take(&mut self.calls) {
            match call.has_begun() {
                true => call.end(&mut self.events, is_last(&index, last), &self.names),
                false => self.encoder.lose("tool_calls", "a call without a name"),
            }
        }
    }

    /// At its end a response says which queue served it, and not which one was asked for: the usual one, unless another was
    /// told.
    fn settle_tier(&mut self) {
        if !self.tiered {
            let usual = "default".into();
            self.response.insert("service_tier".to_owned(), usual);
        }
    }

    fn complete(&mut self) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        if self.base.is_empty() {
            self.begin(NO_ID);
        }
        self.settle_tier();
        let (status, reason) = ending(self.stop.as_ref());
        let cut = status != "completed";
        if let Some(StopReason::Other(word)) = &self.stop {
            let message = format!("the model stopped: {word}");
            let error = json!({"code": "server_error", "message": message});
            self.response.insert("error".to_owned(), error);
        }
        self.close_calls(cut);
        self.close(cut);
        if !std::mem::take(&mut self.logprobs).is_empty() {
            self.encoder.lose("logprobs", "they are of no words");
        }
        let mut counts = self.usage.take().unwrap_or_default();
        let _ = self.encoder.begin_usage(std::mem::take(&mut counts.extra));
        for (name, value) in [
            ("status", json!(status)),
            ("output", Value::Array(self.events.take_items())),
            ("usage", usage(&counts)),
            (
                "incomplete_details",
                reason.map_or(Value::Null, |reason| json!({"reason": reason})),
            ),
        ] {
            self.response.insert(name.to_owned(), value);
        }
        let kind = match status {
            "incomplete" => "response.incomplete",
            "failed" => "response.failed",
            _ => "response.completed",
        };
        let response = Value::Object(self.response.clone());
        self.events.say(kind, [("response", response)]);
    }

    fn fail(&mut self, error: &ChatError) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        if self.base.is_empty() {
            self.begin(NO_ID);
        }
        self.settle_tier();
        let code = error.code.as_deref().unwrap_or("server_error");
        let told = json!({"code": code, "message": error.message});
        self.response.insert("status".to_owned(), json!("failed"));
        self.response.insert("error".to_owned(), told);
        let response = Value::Object(self.response.clone());
        self.events.say("response.failed", [("response", response)]);
    }
}

/// What the ids of a response of this id have in common.
fn base_of(id: &str) -> String {
    let known = ["chatcmpl-", "msg_", "resp_", "gen-"];
    let bare = known.iter().find_map(|prefix| id.strip_prefix(prefix));
    let fit = |letter: char| match letter.is_ascii_alphanumeric() || "-_".contains(letter) {
        true => letter,
        false => '_',
    };
    let base: String = bare.unwrap_or(id).chars().map(fit).take(48).collect();
    match base.is_empty() {
        true => NO_ID.to_owned(),
        false => base,
    }
}

impl EventEncoder for ResponseEncoder {
    fn event(&mut self, items: Vec<StreamItem>) -> Bytes {
        for item in items {
            if !self.ended {
                self.take(item);
            }
        }
        self.events.take_bytes()
    }

    fn losses(&mut self) -> Losses {
        self.take_losses()
    }
}
