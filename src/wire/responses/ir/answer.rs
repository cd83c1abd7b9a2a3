//! Whole answers.

use serde_json::Value;

use super::encoder::ResponseEncoder;
use super::fields::{count, inside, number, take, text};
use super::item::{decode_citation, decode_item};
use crate::wire::ir::{
    ChatAnswer, ChatCandidate, ChatMessage, ChatRole, ContentDelta, ContentPart, Extra, Loss,
    Losses, MediaSource, PartBody, StopReason, StreamItem, TokenLogprob, UsageCounts, logprobs,
};
use crate::wire::request::RequestDoc;

/// Fields of a response that repeat the request, or say that there is nothing to say.
const ECHOES: [&str; 36] = [
    "access_programs",
    "background",
    "background_options",
    "billing",
    "completed_at",
    "context_management",
    "conversation",
    "error",
    "frequency_penalty",
    "image",
    "incomplete_details",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "object",
    "output_text",
    "parallel_tool_calls",
    "presence_penalty",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "status",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

/// How items and parts are labelled, which says nothing of what is said.
const LABELS: [&str; 5] = ["id", "object", "role", "status", "type"];
/// What stands between two messages where they become one.
pub(super) const BREAK: &str = "\n\n";

/// Reads a response.
///
/// # Errors
/// A body that is no object.
pub(in crate::wire::responses) fn decode_answer(body: Value) -> Result<ChatAnswer, Loss> {
    let Value::Object(mut fields) = body else {
        return Err(Loss::new("", "the answer is no object"));
    };
    let mut answer = ChatAnswer::new(crate::wire::responses::ID);
    answer.id = text(&mut fields, "id");
    answer.model = text(&mut fields, "model");
    answer.created = number(&mut fields, "created_at");
    answer.usage = decode_usage(&mut fields);
    let reason = incomplete_reason(&fields);
    let output = match fields.remove("output") {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    };
    let mut said = Said::default();
    output.into_iter().for_each(|item| said.add(item));
    let Said {
        parts,
        logprobs,
        extra,
        ..
    } = said;
    let calls = |part: &ContentPart| matches!(part.body, PartBody::ToolCall(_));
    let stop = reason.unwrap_or_else(|| match parts.iter().any(calls) {
        true => StopReason::ToolCalls,
        false => StopReason::EndTurn,
    });
    answer.candidates.push(ChatCandidate {
        index: 0,
        message: ChatMessage {
            role: ChatRole::Assistant,
            parts,
            name: None,
            extra: Extra::new(),
        },
        stop: Some(stop),
        logprobs,
        extra,
    });
    answer.service_tier = text(&mut fields, "service_tier").filter(|tier| tier != "auto");
    answer.extra = without_echoes(fields);
    Ok(answer)
}

/// What a response says that neither repeats its request nor says how it is going.
pub(super) fn without_echoes(mut response: Extra) -> Extra {
    let known = [
        "id",
        "model",
        "created_at",
        "output",
        "usage",
        "service_tier",
    ];
    for name in ECHOES.into_iter().chain(known) {
        response.remove(name);
    }
    response
}

/// What of an item or a part is more than a label.
pub(super) fn without_labels(mut extra: Extra) -> Extra {
    extra.retain(|name, _| !LABELS.contains(&name.as_str()));
    extra
}

/// A picture that the model made, where an item is one.
pub(super) fn image_of(item: &Value) -> Option<PartBody> {
    let told = |name: &str| item.get(name).and_then(Value::as_str);
    if told("type") != Some("image_generation_call") {
        return None;
    }
    let (data, format) = (told("result")?, told("output_format").unwrap_or("png"));
    Some(PartBody::Image {
        source: MediaSource::Url(format!("data:image/{format};base64,{data}")),
        detail: None,
    })
}

/// What the items of an output say, as one message.
#[derive(Default)]
struct Said {
    parts: Vec<ContentPart>,
    logprobs: Vec<TokenLogprob>,
    /// What has no place in a message: fields by their names, items and parts by their types.
    extra: Extra,
    /// Whether there were words.
    spoke: bool,
}

impl Said {
    fn add(&mut self, item: Value) {
        let mut begins = item.get("type").is_none_or(|kind| kind == "message");
        let item = decode_item(item);
        for (name, value) in without_labels(item.extra) {
            self.extra.entry(name).or_insert(value);
        }
        for mut part in item.parts {
            if let PartBody::Unknown { value, .. } = part.body {
                self.unknown(value);
                continue;
            }
            part.extra = without_labels(part.extra);
            let tokens = take(&mut part.extra, "logprobs", logprobs::read);
            self.logprobs.extend(tokens.into_iter().flatten());
            cite(&mut part);
            if let PartBody::Text { text, .. } = &mut part.body
                && !text.is_empty()
            {
                if std::mem::take(&mut begins) && self.spoke {
                    text.insert_str(0, BREAK);
                }
                self.spoke = true;
            }
            self.parts.push(part);
        }
    }

    fn unknown(&mut self, value: Value) {
        if let Some(image) = image_of(&value) {
            return self.parts.push(ContentPart::new(image));
        }
        let kind = value.get("type").and_then(Value::as_str);
        let kind = kind.unwrap_or("output").to_owned();
        self.extra.entry(kind).or_insert(value);
    }
}

/// Pages that words are from stand among places of other kinds, which only this API has.
fn cite(part: &mut ContentPart) {
    let Some(Value::Array(all)) = part.extra.get_mut("annotations") else {
        return;
    };
    if let PartBody::Text { citations, .. } = &mut part.body {
        all.retain(|one| match decode_citation(one) {
            Some(citation) => {
                citations.push(citation);
                false
            }
            None => true,
        });
    }
    if all.is_empty() {
        part.extra.remove("annotations");
    }
}

/// Why a response is not whole.
pub(super) fn incomplete_reason(response: &Extra) -> Option<StopReason> {
    let status = response.get("status").and_then(Value::as_str);
    let details = response.get("incomplete_details");
    let reason = details.and_then(|details| details.get("reason")?.as_str());
    match (status, reason) {
        (_, Some("max_output_tokens")) => Some(StopReason::Length),
        (_, Some("content_filter")) => Some(StopReason::ContentFilter),
        (_, Some(reason)) => Some(StopReason::Other(reason.to_owned())),
        (Some("incomplete"), None) => Some(StopReason::Other("incomplete".to_owned())),
        _ => None,
    }
}

/// Token counts, taken out of a response.
pub(super) fn decode_usage(response: &mut Extra) -> Option<UsageCounts> {
    let Some(Value::Object(mut usage)) = response.remove("usage") else {
        return None;
    };
    let detail = |usage: &mut Extra, place: &str, name: &str| {
        inside(usage, place, |inner| count(inner, name))
    };
    Some(UsageCounts {
        input: count(&mut usage, "input_tokens"),
        output: count(&mut usage, "output_tokens"),
        total: count(&mut usage, "total_tokens"),
        cache_read: detail(&mut usage, "input_tokens_details", "cached_tokens"),
        cache_write: detail(&mut usage, "input_tokens_details", "cache_write_tokens"),
        reasoning: detail(&mut usage, "output_tokens_details", "reasoning_tokens"),
        extra: usage,
    })
}

/// Writes a response, and says what has no place in it: the one with which the same answer would end if it were streamed.
pub(in crate::wire::responses) fn encode_answer(
    doc: &RequestDoc,
    answer: ChatAnswer,
) -> (Value, Losses) {
    let mut encoder = ResponseEncoder::new(doc, answer.origin);
    let mut items = vec![StreamItem::Head {
        id: answer.id,
        model: answer.model,
        created: answer.created,
        extra: answer.extra,
    }];
    for candidate in answer.candidates {
        let index = candidate.index;
        let mut calls = 0;
        let CandidateParts { parts, mut extra } =
            CandidateParts::of(candidate.message, candidate.extra);
        if !candidate.logprobs.is_empty() {
            items.push(StreamItem::Delta {
                candidate: index,
                delta: ContentDelta::Logprobs(candidate.logprobs),
            });
        }
        for mut part in parts {
            if !matches!(part.body, PartBody::ToolCall(_) | PartBody::Reasoning(_)) {
                extra.append(&mut part.extra);
            }
            let deltas = deltas_of(part, &mut calls);
            items.extend(deltas.into_iter().map(|delta| StreamItem::Delta {
                candidate: index,
                delta,
            }));
        }
        items.push(StreamItem::CandidateExtra {
            candidate: index,
            extra,
        });
        items.extend(candidate.stop.map(|reason| StreamItem::Stop {
            candidate: index,
            reason,
        }));
    }
    items.extend(answer.usage.map(StreamItem::Usage));
    items.extend(answer.service_tier.map(StreamItem::ServiceTier));
    let response = encoder.whole(items);
    (response, encoder.take_losses())
}

/// The parts of a candidate, and everything else that is said of it.
struct CandidateParts {
    parts: Vec<ContentPart>,
    extra: Extra,
}

impl CandidateParts {
    fn of(message: ChatMessage, mut extra: Extra) -> Self {
        extra.extend(message.extra);
        Self {
            parts: message.parts,
            extra,
        }
    }
}

/// A part as the pieces in which it would have been streamed.
fn deltas_of(part: ContentPart, calls: &mut u64) -> Vec<ContentDelta> {
    match part.body {
        PartBody::Text { text, citations } => {
            let citations = citations.into_iter().map(ContentDelta::Citation);
            std::iter::once(ContentDelta::Text(text))
                .chain(citations)
                .collect()
        }
        PartBody::Reasoning(thought) => vec![ContentDelta::Reasoning(thought)],
        PartBody::Refusal(words) => vec![ContentDelta::Refusal(words)],
        body @ (PartBody::Image { .. } | PartBody::Audio { .. } | PartBody::Document { .. }) => {
            vec![ContentDelta::Media(body)]
        }
        PartBody::ToolCall(call) => {
            let index = *calls;
            *calls += 1;
            let mut extra = part.extra;
            extra.remove("index");
            vec![ContentDelta::ToolCall {
                index,
                id: call.id,
                name: Some(call.name),
                arguments: Some(call.arguments),
                kind: call.kind,
                signature: call.signature,
                extra,
            }]
        }
        body => vec![ContentDelta::Unknown {
            field: body.word().to_owned(),
            value: Value::Null,
        }],
    }
}
