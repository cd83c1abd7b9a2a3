//! Whole answers, reasons for their end, and token counts.

use serde_json::{Value, json};

use super::carrier::Carried;
use super::ids;
use super::part::{
    THINKING, decode_call, decode_citation, decode_content, encode_part, input_of, is_answer,
};
use super::words::UNKNOWN;
use crate::wire::ir::fields::{Encoder, count, inside, put, put_in, text};
use crate::wire::ir::tier::TierWords;
use crate::wire::ir::{
    ChatAnswer, ChatCandidate, ChatMessage, ChatRole, Citation, ContentPart, Extra, Loss, Losses,
    PartBody, ReasoningPart, StopReason, ToolCall, UsageCounts,
};

/// The word for an answer that filled the window, which elsewhere is one with that for the limit.
const WINDOW: &str = "model_context_window_exceeded";

/// Reads the body of an answer.
///
/// # Errors
/// A body that is no object, or has no content.
pub(in crate::wire::anthropic) fn decode_answer(body: Value) -> Result<ChatAnswer, Loss> {
    let unreadable = |path: &str, why| Loss::new(path, why);
    let Value::Object(mut fields) = body else {
        return Err(unreadable("", "the answer is no object"));
    };
    if !fields.get("content").is_some_and(Value::is_array) {
        return Err(unreadable("content", "an answer has a content"));
    }
    let mut parts = decode_content(&mut fields);
    fields.remove("content");
    text(&mut fields, "type");
    text(&mut fields, "role");
    let mut stop = decode_stop(&mut fields);
    if answers_by_tool(&mut parts) && stop == Some(StopReason::ToolCalls) {
        stop = Some(StopReason::EndTurn);
    }
    if stop == Some(StopReason::Refusal)
        && let Some(words) = explanation(&fields)
    {
        parts.push(ContentPart::new(PartBody::Refusal(words)));
    }
    let usage = decode_usage(&mut fields);
    let message = ChatMessage {
        role: ChatRole::Assistant,
        parts,
        name: None,
        extra: Extra::new(),
    };
    Ok(ChatAnswer {
        id: text(&mut fields, "id"),
        model: text(&mut fields, "model"),
        candidates: vec![ChatCandidate {
            index: 0,
            message,
            stop,
            logprobs: Vec::new(),
            extra: Extra::new(),
        }],
        usage,
        extra: fields,
        ..ChatAnswer::new(super::super::ID)
    })
}

/// Why the model declines, where it says so.
pub(super) fn explanation(fields: &Extra) -> Option<String> {
    let words = fields.get("stop_details")?.get("explanation")?.as_str()?;
    (!words.is_empty()).then(|| words.to_owned())
}

/// Turns a call of the tool that stands for the form of the answer into the answer; whether there was one.
fn answers_by_tool(parts: &mut [ContentPart]) -> bool {
    let mut any = false;
    for part in parts {
        if let PartBody::ToolCall(ToolCall {
            name, arguments, ..
        }) = &mut part.body
            && is_answer(name)
        {
            *part = ContentPart::text(std::mem::take(arguments));
            any = true;
        }
    }
    any
}

/// Why it ended. `stop_sequence` is told beside the reason.
pub(super) fn decode_stop(fields: &mut Extra) -> Option<StopReason> {
    let word = text(fields, "stop_reason")?;
    Some(match word.as_str() {
        "end_turn" => StopReason::EndTurn,
        "stop_sequence" => StopReason::StopSequence(text(fields, "stop_sequence")),
        "max_tokens" => StopReason::Length,
        WINDOW => {
            fields.insert(WINDOW.to_owned(), Value::Null);
            StopReason::Length
        }
        "tool_use" => StopReason::ToolCalls,
        "refusal" => StopReason::Refusal,
        "pause_turn" => StopReason::Pause,
        _ => StopReason::Other(word),
    })
}

/// The word for a reason, and the word that was stopped at.
pub(super) fn stop_words(reason: StopReason, calls: bool, same: bool) -> (String, Option<String>) {
    let word = match reason {
        StopReason::StopSequence(Some(word)) => return ("stop_sequence".to_owned(), Some(word)),
        StopReason::StopSequence(None) if same => "stop_sequence",
        // Many say that they had no more to say where they wait for their calls.
        StopReason::EndTurn if calls && !same => "tool_use",
        StopReason::EndTurn | StopReason::StopSequence(None) => "end_turn",
        StopReason::Length => "max_tokens",
        StopReason::ToolCalls if calls || same => "tool_use",
        StopReason::ToolCalls => "end_turn",
        StopReason::ContentFilter | StopReason::Refusal => "refusal",
        StopReason::Pause => "pause_turn",
        StopReason::Other(word) if same => return (word, None),
        // Never an ordinary end: something went wrong that the API has no word for.
        StopReason::Other(word) => return (word.to_ascii_lowercase(), None),
    };
    (word.to_owned(), None)
}

/// Counts by the common rule: what was read from a cache or written to one is a part of the input.
pub(super) fn decode_usage(fields: &mut Extra) -> Option<UsageCounts> {
    let Some(Value::Object(usage)) = fields.get_mut("usage") else {
        return None;
    };
    let cache_read = count(usage, "cache_read_input_tokens");
    let cache_write = count(usage, "cache_creation_input_tokens");
    let input = count(usage, "input_tokens");
    let told = [input, cache_read, cache_write];
    let sum = told.into_iter().flatten().fold(0, u64::saturating_add);
    if input.is_none() && told.iter().any(Option::is_some) {
        usage.insert("input_tokens".to_owned(), Value::Null);
    }
    let counts = UsageCounts {
        input: told.iter().any(Option::is_some).then_some(sum),
        output: count(usage, "output_tokens"),
        total: None,
        cache_read,
        cache_write,
        reasoning: inside(usage, "output_tokens_details", |inner| {
            count(inner, "thinking_tokens")
        }),
        extra: std::mem::take(usage),
    };
    fields.remove("usage");
    Some(counts)
}

/// The same as the API counts; where another dialect did not count, zero.
pub(super) fn encode_usage(encoder: &mut Encoder, usage: UsageCounts) -> Extra {
    let same = encoder.same;
    let mut fields = encoder.begin_usage(usage.extra);
    let apart = usage
        .cache_read
        .unwrap_or(0)
        .saturating_add(usage.cache_write.unwrap_or(0));
    let input = usage.input.map(|input| input.saturating_sub(apart));
    let zero = |count: Option<u64>| count.or((!same).then_some(0));
    let silent = fields.get("input_tokens") == Some(&Value::Null);
    put(&mut fields, "input_tokens", zero(input).filter(|_| !silent));
    put(
        &mut fields,
        "cache_read_input_tokens",
        zero(usage.cache_read),
    );
    put(
        &mut fields,
        "cache_creation_input_tokens",
        zero(usage.cache_write),
    );
    put(&mut fields, "output_tokens", zero(usage.output));
    put_in(
        &mut fields,
        "output_tokens_details",
        "thinking_tokens",
        usage.reasoning,
    );
    fields.retain(|name, value| name != "input_tokens" || !value.is_null());
    fields
}

/// An id as clients know it.
pub(super) fn message_id(id: Option<String>) -> String {
    match id {
        Some(id) if id.starts_with("msg_") => id,
        Some(id) => format!("msg_{id}"),
        None => "msg_0".to_owned(),
    }
}

/// Writes the body of an answer, and says what has no place in it.
pub(in crate::wire::anthropic) fn encode_answer(answer: ChatAnswer) -> (Extra, Losses) {
    let mut encoder = Encoder::new(answer.origin, super::super::ID, UNKNOWN);
    let mut fields = encoder.begin("", answer.extra);
    let mut candidates = answer.candidates.into_iter();
    let first = candidates.next();
    for other in candidates {
        encoder.lose(format!("choices[{}]", other.index), UNKNOWN);
    }
    let (parts, stop) = match first {
        Some(first) => {
            let _ = encoder.begin("choices[0]", first.extra);
            let _ = encoder.begin("choices[0].message", first.message.extra);
            if !first.logprobs.is_empty() {
                let word = logprobs_of(answer.origin);
                encoder.lose(format!("choices[0].{word}"), UNKNOWN);
            }
            (first.message.parts, first.stop)
        }
        None => (Vec::new(), None),
    };
    let same = encoder.same;
    let refuses = parts
        .iter()
        .any(|part| matches!(part.body, PartBody::Refusal(_)));
    let cut = stop == Some(StopReason::Length);
    let mut content = Vec::new();
    for (at, part) in parts.into_iter().enumerate() {
        match same {
            // What was put there for other dialects.
            true if matches!(part.body, PartBody::Refusal(_)) => {}
            true => {
                let path = format!("content[{at}]");
                content.extend(encode_part(&mut encoder, &path, part));
            }
            false => answer_part(&mut encoder, (answer.origin, cut), part, &mut content),
        }
    }
    let calls = content.iter().any(|block| block["type"] == "tool_use");
    let reason = match stop {
        None if same => None,
        _ if refuses && !same => Some(StopReason::Refusal),
        stop => Some(stop.unwrap_or(StopReason::EndTurn)),
    };
    if let Some(reason) = reason {
        let (word, sequence) = stop_words(reason, calls, same);
        let window = fields.remove(WINDOW).is_some();
        let word = if window { WINDOW.to_owned() } else { word };
        put(&mut fields, "stop_reason", Some(word));
        put(&mut fields, "stop_sequence", sequence);
    }
    put(&mut fields, "type", Some("message"));
    put(&mut fields, "role", Some("assistant"));
    put(&mut fields, "content", Some(content));
    if same {
        put(&mut fields, "id", answer.id);
        put(&mut fields, "model", answer.model);
        let usage = answer.usage.map(|usage| encode_usage(&mut encoder, usage));
        put(&mut fields, "usage", usage);
    } else {
        put(&mut fields, "id", Some(message_id(answer.id)));
        put(&mut fields, "model", Some(answer.model.unwrap_or_default()));
        fields.entry("stop_sequence").or_insert(Value::Null);
        let mut usage = encode_usage(&mut encoder, answer.usage.unwrap_or_default());
        put_tier(&mut encoder, &mut usage, answer.service_tier);
        put(&mut fields, "usage", Some(usage));
    }
    (fields, encoder.losses)
}

/// Says which queue served an answer.
pub(super) fn put_tier(encoder: &mut Encoder, usage: &mut Extra, tier: Option<String>) {
    let Some(tier) = tier else { return };
    match TierWords::Anthropic.served(&tier) {
        Some(word) => put(usage, "service_tier", Some(word)),
        None => encoder.lose("service_tier", UNKNOWN),
    }
}

/// What a dialect calls the probabilities of tokens.
pub(super) fn logprobs_of(origin: &str) -> &'static str {
    match origin {
        "gemini" => "logprobsResult",
        _ => "logprobs",
    }
}

/// Writes a part of another dialect's answer.
fn answer_part(
    encoder: &mut Encoder,
    (origin, cut): (&str, bool),
    part: ContentPart,
    content: &mut Vec<Value>,
) {
    let mut extra = part.extra;
    match part.body {
        // What stands beside a thought tells of its maker.
        PartBody::Reasoning(_) => extra.clear(),
        PartBody::ToolCall(_) => extra.retain(|name, _| name != "index"),
        _ => {}
    }
    let _ = encoder.begin("content[0]", extra);
    match part.body {
        PartBody::Text { text, .. } | PartBody::Refusal(text) if text.is_empty() => {}
        PartBody::Refusal(text) => content.push(json!({"type": "text", "text": text})),
        PartBody::Text { text, citations } => {
            if !citations.is_empty() {
                encoder.lose("citations", UNKNOWN);
            }
            content.push(json!({"type": "text", "text": text}));
        }
        PartBody::Reasoning(thought) => {
            add_thought(content, origin, thought);
        }
        PartBody::ToolCall(call) => {
            // Arguments that were cut off must not look like a call that is ready to run.
            let broken = serde_json::from_str::<serde::de::IgnoredAny>(&call.arguments).is_err();
            if cut && broken && !call.arguments.trim().is_empty() {
                encoder.lose("tool_calls", "the call was cut off");
                let text = format!("[{} {}", call.name, call.arguments);
                return content.push(json!({"type": "text", "text": text}));
            }
            content.extend(
                call.signature
                    .as_deref()
                    .map(|sign| signed_call(origin, sign)),
            );
            let id = call_id(call.id.as_deref(), content.len());
            let input = input_of(call.kind, &call.arguments);
            content.push(json!({"type": "tool_use", "id": id, "name": call.name, "input": input}));
        }
        body => encoder.lose_part("content[0]", body.word(), UNKNOWN),
    }
}

/// The id of a call; one of its own where it has none.
pub(super) fn call_id(id: Option<&str>, at: usize) -> String {
    match id {
        Some(id) if !id.is_empty() => ids::fitting(id),
        _ => format!("toolu_{at}"),
    }
}

/// What its maker wants back with the next call.
pub(super) fn signed_call(origin: &str, signature: &str) -> Value {
    let carried = Carried {
        maker: Some(origin.to_owned()),
        signature: Some(signature.to_owned()),
        of_call: true,
        ..Carried::default()
    };
    json!({"type": "redacted_thinking", "data": carried.write()})
}

/// Words of a thought in the block of those before it; what stands in for a signature ends it.
fn add_thought(content: &mut Vec<Value>, origin: &str, thought: ReasoningPart) {
    let carried = Carried::of(&thought, origin).write();
    let text = thought.text.unwrap_or_default();
    let signed = thought.signature.is_some() || thought.encrypted.is_some();
    // Chat completions tell a thought once in words, and once more with its signature.
    let again = content
        .last()
        .is_some_and(|last| last["type"] == THINKING && last[THINKING] == text.as_str());
    match (again, signed) {
        (true, true) => drop(content.pop()),
        // Some tell it in two fields.
        (true, false) => return,
        (false, _) => {}
    }
    let block = match text.is_empty() {
        true if signed => json!({"type": "redacted_thinking", "data": carried}),
        true => return,
        false => json!({"type": THINKING, THINKING: text, "signature": carried}),
    };
    content.push(block);
}

/// A call as a block begins it.
pub(super) fn begun_call(fields: &mut Extra) -> Option<ToolCall> {
    fields.entry("input").or_insert_with(|| json!({}));
    decode_call(fields)
}

/// Where the words of a stream are from.
pub(super) fn streamed_citation(delta: &mut Extra) -> Option<Citation> {
    decode_citation(delta.remove("citation")?)
}
