//! Whole answers, reasons for their end, and token counts.

use std::hash::{DefaultHasher, Hasher};
use std::ops::Range;

use serde_json::Value;

use super::super::ID;
use crate::wire::ir::fields::{count, flag, list, take, text};
use crate::wire::ir::{
    ChatAnswer, ChatCandidate, ChatMessage, ChatRole, ContentPart, Extra, Loss, MediaSource,
    PartBody, ReasoningPart, StopReason, TokenLogprob, ToolCall, UsageCounts, logprobs,
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
    let prefix = call_prefix(body);
    let mut parts = Vec::new();
    if let Some(words) = filled(&mut message, THINKING) {
        parts.push(ContentPart::new(PartBody::Reasoning(thought(words))));
    }
    let words = filled(&mut message, "content");
    let tokens = tokens_of(
        &mut fields,
        words.as_deref().unwrap_or_default(),
        !parts.is_empty(),
    );
    parts.extend(words.map(ContentPart::text));
    parts.extend(images(&mut message).map(ContentPart::new));
    let calls = list(&mut message, "tool_calls").unwrap_or_default();
    let mut number = 0;
    for value in calls {
        parts.push(ContentPart::new(
            match decode_call(value, &prefix, number) {
                Ok(call) => {
                    number += 1;
                    PartBody::ToolCall(call)
                }
                Err(value) => PartBody::Unknown {
                    field: "tool_calls",
                    value,
                },
            },
        ));
    }
    flag(&mut fields, "done");
    let stop = decode_stop(&mut fields, number > 0);
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
        logprobs: tokens,
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

/// How probable the tokens of these words were. Ollama tells it of all that the model wrote in one list: what it `thinks` stays
/// behind, as does everything where the words are not found in the list.
fn tokens_of(fields: &mut Extra, words: &str, thinks: bool) -> Vec<TokenLogprob> {
    let all = take(fields, "logprobs", logprobs::read).unwrap_or_default();
    if !thinks || all.is_empty() {
        return all;
    }
    let spoken = spoken(&all, words);
    let of_words = all.get(spoken.clone()).unwrap_or_default().to_vec();
    let others = [all.get(..spoken.start), all.get(spoken.end..)];
    let others = others.into_iter().flatten().flat_map(logprobs::write);
    fields.insert("logprobs".to_owned(), Value::Array(others.collect()));
    of_words
}

/// Which of these tokens say these words, the last place where they do; none where the words begin or end inside of a token,
/// but for white space.
fn spoken(tokens: &[TokenLogprob], words: &str) -> Range<usize> {
    let bytes_of = |token: &'_ TokenLogprob| {
        token
            .bytes
            .clone()
            .unwrap_or_else(|| token.token.clone().into_bytes())
    };
    let mut all = Vec::new();
    let ends: Vec<usize> = tokens
        .iter()
        .map(|token| {
            all.extend(bytes_of(token));
            all.len()
        })
        .collect();
    let words = words.trim().as_bytes();
    let found = memchr::memmem::rfind(&all, words).filter(|_| !words.is_empty());
    let Some(start) = found else { return 0..0 };
    let end = start + words.len();
    let first = ends.partition_point(|own| *own <= start);
    let last = ends.partition_point(|own| *own < end);
    let begins = first
        .checked_sub(1)
        .and_then(|before| ends.get(before))
        .map_or(0, |at| *at);
    let ended = ends.get(last).map_or(end, |at| *at);
    let beside = [all.get(begins..start), all.get(end..ended)];
    let blank = beside
        .into_iter()
        .flatten()
        .all(|bytes| bytes.trim_ascii().is_empty());
    match blank {
        true => first..(last + 1).min(tokens.len()),
        false => 0..0,
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

/// What the ids begin with that calls get here whose Ollama gives them none. Each answer and each line tells when it was
/// made, so no two answers of a conversation have the same.
pub(super) fn call_prefix(raw: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(raw);
    format!("call_{:016x}", hasher.finish())
}

/// The call of this number.
///
/// # Errors
/// What is none, as it came.
pub(super) fn decode_call(value: Value, prefix: &str, number: u64) -> Result<ToolCall, Value> {
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
        id: Some(id.unwrap_or_else(|| format!("{prefix}_{number}"))),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_an_answer_with_thoughts_only_the_words_have_probabilities() {
        let tokens = |all: &[&str]| -> Vec<Value> {
            all.iter()
                .map(|token| json!({"token": token, "logprob": -0.5}))
                .collect()
        };
        for (thinking, content, all, own, rest) in [
            ("", "Hi you", &["Hi", " you"][..], &["Hi", " you"][..], 0),
            (
                "Hm",
                "Hi you",
                &["Hm", "</think>", "\n\n", "Hi", " you"],
                &["Hi", " you"],
                3,
            ),
            (
                "Hi",
                "Hi",
                &["<think>", "Hi", "</think>", " Hi", "<|end|>"],
                &[" Hi"],
                4,
            ),
            ("Hm", "Hi", &["Hm", "x", "Hill"], &[], 3),
            ("Hm", "", &["Hm", "{}"], &[], 2),
        ] {
            let body = json!({"message": {"role": "assistant", "thinking": thinking, "content": content},
                "logprobs": tokens(all), "done": true});
            let answer = decode_answer(body.to_string().as_bytes()).unwrap();
            let told = &answer.candidates[0].logprobs;
            let told: Vec<&str> = told.iter().map(|token| token.token.as_str()).collect();
            assert_eq!(told, own, "{body}");
            let left = answer.extra.get("logprobs").and_then(Value::as_array);
            assert_eq!(left.map_or(0, Vec::len), rest, "{body}");
        }
    }
}
