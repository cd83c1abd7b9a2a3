//! Whole answers, reasons for their end, and token counts.

use serde_json::Value;

use super::super::ID;
use crate::wire::ir::fields::{count, flag, list, take, text};
use crate::wire::ir::{
    ChatAnswer, ChatCandidate, ChatMessage, ChatRole, ContentPart, Extra, Loss, MediaSource,
    PartBody, ReasoningPart, StopReason, ToolCall, UsageCounts, logprobs,
};
use crate::wire::json;

/// The field in which thoughts stand here.
pub(super) const THINKING: &str = "thinking";
/// What Ollama says of its own work, and not of the answer.
const OWN: [&str; 8] = [
    "created_at",
    "eval_duration",
    "load_duration",
    "prompt_eval_duration",
    "remote_host",
    "remote_model",
    "total_duration",
    "_debug_info",
];

/// Reads the body of an answer.
///
/// # Errors
/// A body that is no object, or has no message.
pub(in crate::wire::ollama) fn decode_answer(body: &[u8]) -> Result<ChatAnswer, Loss> {
    let fields = json::whole_object(body);
    let mut fields = fields.ok_or_else(|| Loss::new("", "the answer is no object"))?;
    let mut message =
        message_of(&mut fields).ok_or_else(|| Loss::new("message", "an answer has a message"))?;
    let mut parts = Vec::new();
    if let Some(words) = filled(&mut message, THINKING) {
        parts.push(ContentPart::new(PartBody::Reasoning(thought(words))));
    }
    parts.extend(filled(&mut message, "content").map(ContentPart::text));
    parts.extend(images(&mut message).map(ContentPart::new));
    let calls = list(&mut message, "tool_calls").unwrap_or_default();
    let mut number = 0_u64;
    for value in calls {
        parts.push(ContentPart::new(match decode_call(value) {
            Ok(call) => {
                number += 1;
                PartBody::ToolCall(call)
            }
            Err(value) => PartBody::Unknown {
                field: "tool_calls",
                value,
            },
        }));
    }
    flag(&mut fields, "done");
    let stop = decode_stop(&mut fields, number > 0);
    let tokens = take(&mut fields, "logprobs", logprobs::read);
    let mut answer = ChatAnswer::new(ID);
    answer.model = text(&mut fields, "model");
    answer.usage = decode_usage(&mut fields);
    without_own(&mut fields);
    answer.extra = fields;
    answer.candidates.push(ChatCandidate {
        index: 0,
        message: ChatMessage {
            role: ChatRole::Assistant,
            parts,
            name: None,
            extra: message,
        },
        stop: Some(stop),
        logprobs: tokens.unwrap_or_default(),
        extra: Extra::new(),
    });
    Ok(answer)
}

/// The message of an answer or of a line, without its role.
pub(super) fn message_of(fields: &mut Extra) -> Option<Extra> {
    match fields.remove("message")? {
        Value::Object(mut message) => {
            message.remove("role");
            Some(message)
        }
        other => {
            fields.insert("message".to_owned(), other);
            None
        }
    }
}

/// A text with something in it.
pub(super) fn filled(fields: &mut Extra, name: &str) -> Option<String> {
    text(fields, name).filter(|text| !text.is_empty())
}

pub(super) fn thought(words: String) -> ReasoningPart {
    ReasoningPart {
        text: Some(words),
        maker: Some(ID.into()),
        field: THINKING,
        ..ReasoningPart::default()
    }
}

/// How pictures begin, in Base64, and their types.
const PICTURES: [(&str, &str); 3] = [
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
];

fn media_of(data: &str) -> &'static str {
    let known = PICTURES.iter().find(|(start, _)| data.starts_with(start));
    known.map_or("image/png", |(_, media)| media)
}

/// The pictures of an answer: bytes in Base64.
pub(super) fn images(message: &mut Extra) -> impl Iterator<Item = PartBody> + use<> {
    let all = list(message, "images").unwrap_or_default().into_iter();
    all.map(|value| match value {
        Value::String(data) => PartBody::Image {
            source: MediaSource::Url(format!("data:{};base64,{data}", media_of(&data))),
            detail: None,
        },
        value => PartBody::Unknown {
            field: "images",
            value,
        },
    })
}

/// A call. Older versions give it no id.
///
/// # Errors
/// What is none, as it came.
pub(super) fn decode_call(value: Value) -> Result<ToolCall, Value> {
    let name = value.pointer("/function/name").and_then(Value::as_str);
    let Some(name) = name.map(str::to_owned) else {
        return Err(value);
    };
    let arguments = match value.pointer("/function/arguments") {
        None | Some(Value::Null) => "{}".to_owned(),
        // Of servers that only look like Ollama.
        Some(Value::String(text)) if text.trim().is_empty() => "{}".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(arguments) => arguments.to_string(),
    };
    let id = value.get("id").and_then(Value::as_str);
    let id = id.filter(|id| !id.is_empty()).map(str::to_owned);
    Ok(ToolCall {
        id,
        name,
        arguments,
        ..ToolCall::default()
    })
}

/// Why it ended. Ollama has no reason for calls: they stand beside an ordinary end.
pub(super) fn decode_stop(fields: &mut Extra, calls: bool) -> StopReason {
    match text(fields, "done_reason").as_deref() {
        None | Some("stop" | "") if calls => StopReason::ToolCalls,
        None | Some("stop" | "") => StopReason::EndTurn,
        Some("tool_calls") => StopReason::ToolCalls,
        Some("length") => StopReason::Length,
        Some(other) => StopReason::Other(other.to_owned()),
    }
}

/// The counts: thoughts are a part of the answer, what a cache gave is a part of the prompt.
pub(super) fn decode_usage(fields: &mut Extra) -> Option<UsageCounts> {
    let input = count(fields, "prompt_eval_count");
    let output = count(fields, "eval_count");
    (input.is_some() || output.is_some()).then(|| UsageCounts {
        input,
        output,
        total: input
            .zip(output)
            .map(|(input, output)| input.saturating_add(output)),
        ..UsageCounts::default()
    })
}

/// Leaves out what Ollama says of itself.
pub(super) fn without_own(fields: &mut Extra) {
    fields.retain(|name, _| !OWN.contains(&name.as_str()));
}
