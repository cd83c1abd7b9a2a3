//! A whole answer put together from a streamed one.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use serde_json::Value;

use super::answer::{
    ChatAnswer, ChatCandidate, ChatError, ContentDelta, StopReason, StreamItem, UsageCounts,
};
use super::logprobs::TokenLogprob;
use super::loss::{Extra, Loss, Losses};
use super::part::{ContentPart, PartBody, ReasoningPart, ToolCall};
use super::request::{ChatMessage, ChatRole};

#[cfg(test)]
mod tests;

/// Why something of a stream is not in the answer.
const NO_PLACE: &str = "pieces of it cannot be put together";

/// What has come of an answer.
#[derive(Debug)]
pub struct Assembly {
    answer: ChatAnswer,
    candidates: BTreeMap<u64, AssembledCandidate>,
    error: Option<ChatError>,
    losses: Losses,
}

#[derive(Debug, Default)]
struct AssembledCandidate {
    role: Option<ChatRole>,
    parts: Vec<ContentPart>,
    /// Where the calls are, by their own count.
    calls: BTreeMap<u64, usize>,
    stop: Option<StopReason>,
    logprobs: Vec<TokenLogprob>,
    /// What else is said of the message.
    message: Extra,
    extra: Extra,
}

impl Assembly {
    /// Of a stream in the dialect of this name.
    pub fn new(origin: &'static str) -> Self {
        Self {
            answer: ChatAnswer::new(origin),
            candidates: BTreeMap::new(),
            error: None,
            losses: Losses::new(),
        }
    }

    /// Adds what one event said.
    pub fn add(&mut self, items: Vec<StreamItem>) {
        for item in items {
            match item {
                StreamItem::Head {
                    id,
                    model,
                    created,
                    extra,
                } => {
                    let answer = &mut self.answer;
                    answer.id = id.or(answer.id.take());
                    answer.model = model.or(answer.model.take());
                    answer.created = created.or(answer.created.take());
                    merge(&mut answer.extra, extra);
                }
                StreamItem::Delta { candidate, delta } => {
                    let candidate = self.candidates.entry(candidate).or_default();
                    candidate.add(delta, &mut self.losses);
                }
                StreamItem::Stop { candidate, reason } => {
                    self.candidates.entry(candidate).or_default().stop = Some(reason);
                }
                StreamItem::CandidateExtra {
                    candidate,
                    mut extra,
                } => {
                    let candidate = self.candidates.entry(candidate).or_default();
                    if let Some(Value::Object(delta)) = extra.remove("delta") {
                        merge_message(&mut candidate.message, delta);
                    }
                    merge(&mut candidate.extra, extra);
                }
                StreamItem::Usage(counts) => {
                    let before = self.answer.usage.take().unwrap_or_default();
                    self.answer.usage = Some(later(before, counts));
                }
                StreamItem::ServiceTier(tier) => self.answer.service_tier = Some(tier),
                StreamItem::Error(error) => self.error = Some(error),
                StreamItem::End => {}
            }
        }
    }

    /// The answer, and what of the stream is not in it.
    ///
    /// # Errors
    /// The error that the stream ended with.
    pub fn finish(mut self) -> Result<(ChatAnswer, Losses), ChatError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        // A chunk says that it is one, and may be padded so that its length tells nothing.
        self.answer.extra.remove("obfuscation");
        if let Some(Value::String(object)) = self.answer.extra.get_mut("object")
            && let Some(whole) = object.strip_suffix(".chunk")
        {
            *object = whole.to_owned();
        }
        let candidates = self.candidates.into_iter();
        self.answer.candidates = candidates
            .map(|(index, candidate)| ChatCandidate {
                index,
                message: ChatMessage {
                    role: candidate.role.unwrap_or(ChatRole::Assistant),
                    parts: candidate.parts.into_iter().flat_map(one_by_one).collect(),
                    name: None,
                    extra: candidate.message,
                },
                stop: candidate.stop,
                logprobs: candidate.logprobs,
                extra: candidate.extra,
            })
            .collect();
        Ok((self.answer, self.losses))
    }
}

impl AssembledCandidate {
    fn add(&mut self, delta: ContentDelta, losses: &mut Losses) {
        match delta {
            ContentDelta::Role(role) => self.role = Some(role),
            ContentDelta::Text(more) => match self.last() {
                Some(PartBody::Text { text, .. }) => text.push_str(&more),
                _ if more.is_empty() => {}
                _ => self.push(PartBody::Text {
                    text: more,
                    citations: Vec::new(),
                }),
            },
            ContentDelta::Logprobs(tokens) => self.logprobs.extend(tokens),
            ContentDelta::Media(body) => self.push(body),
            ContentDelta::Citation(citation) => match self.last() {
                Some(PartBody::Text { citations, .. }) => citations.push(citation),
                _ => self.push(PartBody::Text {
                    text: String::new(),
                    citations: vec![citation],
                }),
            },
            ContentDelta::Refusal(more) => match self.last() {
                Some(PartBody::Refusal(text)) => text.push_str(&more),
                _ => self.push(PartBody::Refusal(more)),
            },
            ContentDelta::Reasoning(more) => self.think(more),
            ContentDelta::ToolCall {
                index,
                id,
                name,
                arguments,
                kind,
                signature,
                extra,
            } => {
                let at = *self.calls.entry(index).or_insert(self.parts.len());
                if at == self.parts.len() {
                    self.push(PartBody::ToolCall(ToolCall {
                        kind,
                        ..ToolCall::default()
                    }));
                }
                let Some(part) = self.parts.get_mut(at) else {
                    return;
                };
                merge(&mut part.extra, extra);
                if let PartBody::ToolCall(call) = &mut part.body {
                    call.id = id.or(call.id.take());
                    call.signature = signature.or(call.signature.take());
                    call.name.push_str(&name.unwrap_or_default());
                    call.arguments.push_str(&arguments.unwrap_or_default());
                }
            }
            ContentDelta::Unknown { field, value } => self.add_unknown(&field, value, losses),
        }
    }

    fn think(&mut self, more: ReasoningPart) {
        // Some hosts tell the same thought in several fields, a piece of each in turn.
        let parts = self.parts.iter_mut().rev().map(|part| &mut part.body);
        let mut thoughts = parts
            .take_while(|body| matches!(body, PartBody::Reasoning(_) | PartBody::Unknown { .. }));
        let last = thoughts.find_map(|body| match body {
            PartBody::Reasoning(last) => Some(last).filter(|last| last.field == more.field),
            _ => None,
        });
        let goes_on = |last: &&mut ReasoningPart| {
            let same = more.id.is_none() || last.id.is_none() || last.id == more.id;
            let is_open = last.signature.is_none() && last.encrypted.is_none();
            same && (is_open || more.text.is_none())
        };
        let Some(last) = last.filter(goes_on) else {
            return self.push(PartBody::Reasoning(more));
        };
        if let Some(text) = more.text {
            last.text.get_or_insert_default().push_str(&text);
        }
        last.signature = more.signature.or(last.signature.take());
        last.encrypted = more.encrypted.or(last.encrypted.take());
        last.id = more.id.or(last.id.take());
        last.maker = more.maker.or(last.maker.take());
    }

    /// Lists go on where they have a place in a message.
    fn add_unknown(&mut self, field: &str, value: Value, losses: &mut Losses) {
        const DETAILS: &str = "reasoning_details";
        let mut parts = self.parts.iter_mut();
        let known = parts.find_map(|part| match &mut part.body {
            PartBody::Unknown { field, value } if *field == DETAILS => Some(value),
            _ => None,
        });
        match (field, known, value) {
            (DETAILS, Some(Value::Array(all)), Value::Array(more)) => join_details(all, more),
            (DETAILS, None, value) => self.push(PartBody::Unknown {
                field: DETAILS,
                value,
            }),
            (field, ..) => losses.push(Loss::new(field, NO_PLACE)),
        }
    }

    fn last(&mut self) -> Option<&mut PartBody> {
        self.parts.last_mut().map(|part| &mut part.body)
    }

    fn push(&mut self, body: PartBody) {
        self.parts.push(ContentPart {
            body,
            cache: None,
            extra: Extra::new(),
        });
    }
}

/// Details of reasoning, which came as a list, are parts of their own.
fn one_by_one(part: ContentPart) -> Vec<ContentPart> {
    match part.body {
        PartBody::Unknown {
            field,
            value: Value::Array(details),
        } => {
            let each = |value| ContentPart::new(PartBody::Unknown { field, value });
            details.into_iter().map(each).collect()
        }
        body => vec![ContentPart { body, ..part }],
    }
}

/// Pieces of one detail of reasoning have one index and one type: their texts belong together.
fn join_details(all: &mut Vec<Value>, more: Vec<Value>) {
    for piece in more {
        let same = |one: &&mut Value| {
            let known = one.get("index").is_some_and(|index| !index.is_null());
            known && one.get("index") == piece.get("index") && one.get("type") == piece.get("type")
        };
        let Some(Value::Object(known)) = all.iter_mut().find(same) else {
            all.push(piece);
            continue;
        };
        let Value::Object(fields) = piece else {
            continue;
        };
        for (name, value) in fields {
            match (known.get_mut(&name), value) {
                (Some(Value::String(text)), Value::String(more))
                    if matches!(&*name, "text" | "summary" | "data") =>
                {
                    text.push_str(&more);
                }
                (_, Value::Null) => {}
                (_, value) => _ = known.insert(name, value),
            }
        }
    }
}

/// What is said later counts, but for nothing said; lists, and those within an object such as `logprobs`, go on.
fn merge(known: &mut Extra, more: Extra) {
    for (name, value) in more {
        match (known.get_mut(&name), value) {
            (Some(_), Value::Null) => {}
            (Some(Value::Array(all)), Value::Array(more)) => all.extend(more),
            (Some(Value::Object(fields)), Value::Object(more)) => merge(fields, more),
            (_, value) => _ = known.insert(name, value),
        }
    }
}

/// Fields of a message that come in pieces of one text: the words and the data of a sound, and the arguments of the calls
/// that were there before tools.
const PIECES: [&str; 3] = ["arguments", "data", "transcript"];

/// More of what a message says in fields without a typed place. Nothing said is nothing; lists go on.
fn merge_message(known: &mut Extra, more: Extra) {
    for (name, value) in more {
        match (known.get_mut(&name), value) {
            (_, Value::Null) => {}
            (Some(Value::Array(all)), Value::Array(more)) => all.extend(more),
            (_, Value::Array(more)) if more.is_empty() => {}
            (Some(Value::Object(fields)), Value::Object(more)) => merge_message(fields, more),
            (_, Value::Object(more)) => {
                let mut fields = Extra::new();
                merge_message(&mut fields, more);
                if !fields.is_empty() {
                    known.insert(name, Value::Object(fields));
                }
            }
            (Some(Value::String(text)), Value::String(more)) if PIECES.contains(&&*name) => {
                append(text, &more);
            }
            (_, value) => _ = known.insert(name, value),
        }
    }
}

/// More of a text, which may be base64: nothing may follow what fills that up.
fn append(text: &mut String, more: &str) {
    let both = text.ends_with('=').then(|| {
        let mut bytes = BASE64.decode(text.as_bytes()).ok()?;
        bytes.extend(BASE64.decode(more.as_bytes()).ok()?);
        Some(BASE64.encode(&bytes))
    });
    match both.flatten() {
        Some(both) => *text = both,
        None => text.push_str(more),
    }
}

/// Each event counts all there is to be counted of what it names.
fn later(before: UsageCounts, counts: UsageCounts) -> UsageCounts {
    let mut extra = before.extra;
    for (name, value) in counts.extra {
        extra.insert(name, value);
    }
    UsageCounts {
        input: counts.input.or(before.input),
        output: counts.output.or(before.output),
        total: counts.total.or(before.total),
        cache_read: counts.cache_read.or(before.cache_read),
        cache_write: counts.cache_write.or(before.cache_write),
        reasoning: counts.reasoning.or(before.reasoning),
        extra,
    }
}
