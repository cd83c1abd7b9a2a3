//! A whole answer put together from a streamed one.

use std::collections::BTreeMap;

use serde_json::Value;

use super::answer::{
    ChatAnswer, ChatCandidate, ChatError, ContentDelta, StopReason, StreamItem, UsageCounts,
};
use super::logprobs::TokenLogprob;
use super::loss::{Extra, Loss, Losses};
use super::part::{ContentPart, PartBody, ReasoningPart, ToolCall};
use super::request::{ChatMessage, ChatRole};

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
                StreamItem::CandidateExtra { candidate, extra } => {
                    let candidate = self.candidates.entry(candidate).or_default();
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
                    extra: Extra::new(),
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
        let last = match self.last() {
            Some(PartBody::Reasoning(last)) => Some(last),
            _ => None,
        };
        let goes_on = |last: &&mut ReasoningPart| {
            let same = more.id.is_none() || last.id.is_none() || last.id == more.id;
            let is_open = last.signature.is_none() && last.encrypted.is_none();
            same && last.field == more.field && (is_open || more.text.is_none())
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::wire::dialects;
    use crate::wire::sse::RawEvent;

    fn assembled(chunks: &[Value]) -> (ChatAnswer, Losses) {
        let dialect = dialects::usual();
        let mut decoder = dialect.own_event_decoder();
        let mut assembly = Assembly::new(dialect.id());
        for chunk in chunks {
            let raw = Bytes::from(format!("data: {chunk}\n\n"));
            assembly.add(decoder.event(&RawEvent { raw }));
        }
        assembly.finish().unwrap()
    }

    #[test]
    fn chunks_become_one_completion() {
        let chunk = |choice: Value| json!({"id": "c1", "object": "chat.completion.chunk", "created": 5, "model": "m", "system_fingerprint": "fp", "choices": [choice], "obfuscation": "xx"});
        let (answer, losses) = assembled(&[
            chunk(
                json!({"index": 0, "delta": {"role": "assistant", "content": ""}, "logprobs": {"content": [{"token": "a"}]}}),
            ),
            chunk(json!({"index": 0, "delta": {"reasoning_content": "th"}})),
            chunk(json!({"index": 0, "delta": {"reasoning_content": "ink"}})),
            chunk(
                json!({"index": 0, "delta": {"content": "Hel"}, "logprobs": {"content": [{"token": "b"}]}}),
            ),
            chunk(json!({"index": 1, "delta": {"content": "other"}, "finish_reason": "length"})),
            chunk(json!({"index": 0, "delta": {"content": "lo", "future": 1}})),
            chunk(
                json!({"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "t1", "type": "function", "function": {"name": "f", "arguments": "{\"a\""}}]}}),
            ),
            chunk(
                json!({"index": 0, "delta": {"tool_calls": [{"index": 1, "id": "t2", "type": "function", "function": {"name": "g", "arguments": ""}}]}}),
            ),
            chunk(
                json!({"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}}),
            ),
            chunk(json!({"index": 0, "delta": {}, "finish_reason": "tool_calls"})),
            json!({"id": "c1", "object": "chat.completion.chunk", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}),
        ]);
        let caller = dialects::usual_caller();
        let doc = crate::wire::request::RequestDoc::parse(Bytes::from_static(b"{}")).unwrap();
        let (body, _) = caller.encode_answer(crate::domain::dialect::Operation::Chat, &doc, answer);
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["object"], "chat.completion");
        assert_eq!(
            (&body["id"], &body["created"], &body["system_fingerprint"]),
            (&json!("c1"), &json!(5), &json!("fp"))
        );
        assert_eq!(body["usage"]["total_tokens"], 5);
        assert!(body.get("obfuscation").is_none(), "{body}");
        let message = &body["choices"][0]["message"];
        assert_eq!(message["content"], "Hello");
        assert_eq!(message["reasoning_content"], "think");
        assert_eq!(message["role"], "assistant");
        assert_eq!(
            message["tool_calls"],
            json!([
                {"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
                {"id": "t2", "type": "function", "function": {"name": "g", "arguments": ""}},
            ])
        );
        assert_eq!(body["choices"][0]["finish_reason"], "tool_calls");
        assert_eq!(
            body["choices"][0]["logprobs"]["content"]
                .as_array()
                .unwrap()
                .len(),
            2
        );
        assert_eq!(
            (
                &body["choices"][1]["message"]["content"],
                &body["choices"][1]["finish_reason"]
            ),
            (&json!("other"), &json!("length"))
        );
        assert!(losses.len() <= 1, "{losses:?}");
    }

    #[test]
    fn details_of_reasoning_are_joined_by_their_index() {
        let chunk = |details: Value| json!({"choices": [{"index": 0, "delta": {"reasoning_details": details}}]});
        let (answer, _) = assembled(&[
            chunk(json!([{"type": "reasoning.text", "index": 0, "text": "a"}])),
            chunk(json!([{"type": "reasoning.text", "index": 0, "text": "b", "signature": "s"}])),
            chunk(json!([{"type": "reasoning.encrypted", "index": 1, "data": "x"}])),
        ]);
        let caller = dialects::usual_caller();
        let doc = crate::wire::request::RequestDoc::parse(Bytes::from_static(b"{}")).unwrap();
        let (body, _) = caller.encode_answer(crate::domain::dialect::Operation::Chat, &doc, answer);
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            body["choices"][0]["message"]["reasoning_details"],
            json!([
                {"type": "reasoning.text", "index": 0, "text": "ab", "signature": "s"},
                {"type": "reasoning.encrypted", "index": 1, "data": "x"},
            ])
        );
    }

    proptest! {
        #[test]
        fn text_in_any_pieces_is_the_text(pieces in prop::collection::vec("\\PC{0,8}", 0..12)) {
            let chunks: Vec<Value> = pieces.iter().map(|text| json!({"choices": [{"index": 0, "delta": {"content": text}}]})).collect();
            let (answer, _) = assembled(&chunks);
            let said: String = answer.candidates.iter().flat_map(|one| &one.message.parts).map(|part| match &part.body {
                PartBody::Text { text, .. } => text.clone(),
                other => panic!("{other:?}"),
            }).collect();
            prop_assert_eq!(said, pieces.concat());
        }
    }
}
