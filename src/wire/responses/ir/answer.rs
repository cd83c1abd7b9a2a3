//! Whole answers.

use serde_json::Value;

use super::encoder::ResponseEncoder;
use super::fields::{count, inside, number, text};
use super::item::decode_item;
use crate::wire::ir::{
    ChatAnswer, ChatCandidate, ChatMessage, ChatRole, ContentDelta, ContentPart, Extra, Loss,
    Losses, PartBody, StopReason, StreamItem, UsageCounts,
};
use crate::wire::request::RequestDoc;

/// Fields of a response that repeat the request, or say that there is nothing to say.
const ECHOES: [&str; 30] = [
    "background",
    "billing",
    "completed_at",
    "conversation",
    "error",
    "frequency_penalty",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "moderation",
    "object",
    "output_text",
    "parallel_tool_calls",
    "presence_penalty",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
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

/// Reads a response.
///
/// # Errors
/// A body that is no object.
pub(in crate::wire::responses) fn decode_answer(body: Value) -> Result<ChatAnswer, Loss> {
    let Value::Object(mut fields) = body else {
        return Err(Loss {
            path: String::new(),
            why: "the answer is no object",
        });
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
    let mut extra = Extra::new();
    let parts = parts_of(output, &mut extra);
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
        extra,
    });
    for name in ECHOES.into_iter().chain(["status", "incomplete_details"]) {
        fields.remove(name);
    }
    answer.extra = fields;
    Ok(answer)
}

/// The parts of a message from the items of an output. Items that have no place in one are kept by their types.
fn parts_of(output: Vec<Value>, extra: &mut Extra) -> Vec<ContentPart> {
    let mut parts = Vec::new();
    for item in output {
        for mut part in decode_item(item).parts {
            match part.body {
                PartBody::Unknown { value, .. } => {
                    let kind = value.get("type").and_then(Value::as_str);
                    let kind = kind.unwrap_or("output").to_owned();
                    extra.entry(kind).or_insert(value);
                }
                _ => {
                    part.extra.retain(|name, _| name == "logprobs");
                    parts.push(part);
                }
            }
        }
    }
    parts
}

/// Why a response is not whole.
pub(super) fn incomplete_reason(response: &Extra) -> Option<StopReason> {
    let status = response.get("status").and_then(Value::as_str);
    let details = response.get("incomplete_details");
    let reason = details.and_then(|details| details.get("reason")?.as_str());
    match (status, reason) {
        (_, Some("max_output_tokens")) => Some(StopReason::Length),
        (_, Some("content_filter")) => Some(StopReason::ContentFilter),
        (Some("incomplete"), reason) => {
            Some(StopReason::Other(reason.unwrap_or("incomplete").to_owned()))
        }
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
        let CandidateParts { parts, extra } =
            CandidateParts::of(candidate.message, candidate.extra);
        for part in parts {
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
        PartBody::ToolCall(call) => {
            let index = *calls;
            *calls += 1;
            vec![ContentDelta::ToolCall {
                index,
                id: call.id,
                name: Some(call.name),
                arguments: Some(call.arguments),
                kind: call.kind,
                signature: call.signature,
                extra: part.extra,
            }]
        }
        PartBody::Unknown { field, value } => vec![ContentDelta::Unknown {
            field: field.to_owned(),
            value,
        }],
        PartBody::Image { .. } => lost("image"),
        PartBody::Audio { .. } => lost("audio"),
        PartBody::Document { .. } => lost("document"),
        PartBody::ToolResult(_) => lost("tool_result"),
    }
}

fn lost(field: &str) -> Vec<ContentDelta> {
    vec![ContentDelta::Unknown {
        field: field.to_owned(),
        value: Value::Null,
    }]
}
