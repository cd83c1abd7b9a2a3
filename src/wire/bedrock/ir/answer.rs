//! Whole answers, reasons for their end, and token counts.

use serde_json::Value;

use super::words::REASONING;
use crate::wire::anthropic::ir::is_answer;
use crate::wire::ir::fields::{count, inside, list, text};
use crate::wire::ir::tier::TierWords;
use crate::wire::ir::{
    ChatAnswer, ChatCandidate, ChatMessage, ChatRole, Citation, ContentPart, Extra, Loss,
    MediaSource, PartBody, ReasoningPart, StopReason, ToolCall, UsageCounts,
};

/// What Bedrock says of its own work, and not of the answer.
pub(super) const OWN: [&str; 2] = ["metrics", "performanceConfig"];

/// Reads the body of an answer.
///
/// # Errors
/// A body that is no object, or has no message.
pub(in crate::wire::bedrock) fn decode_answer(body: Value) -> Result<ChatAnswer, Loss> {
    let unreadable = Loss::new::<&str>;
    let Value::Object(mut fields) = body else {
        return Err(unreadable("", "the answer is no object"));
    };
    let message = fields.remove("output").and_then(|mut output| {
        let message = output.get_mut("message")?.take();
        message.as_object().cloned()
    });
    let Some(mut message) = message.filter(|message| {
        let content = message.get("content");
        content.is_some_and(Value::is_array)
    }) else {
        return Err(unreadable("output.message", "an answer has a message"));
    };
    let blocks = list(&mut message, "content").unwrap_or_default();
    message.retain(|name, _| !matches!(name.as_str(), "content" | "role"));
    let (mut parts, mut answered, mut calls) = (Vec::new(), false, false);
    for part in blocks.into_iter().map(decode_block) {
        let part = match part.body {
            PartBody::ToolCall(call) if is_answer(&call.name) => {
                answered = true;
                ContentPart::text(call.arguments)
            }
            _ => part,
        };
        calls |= matches!(part.body, PartBody::ToolCall(_));
        parts.push(part);
    }
    let stop = decode_stop(&mut fields).map(|stop| match stop {
        StopReason::ToolCalls if answered && !calls => StopReason::EndTurn,
        stop => stop,
    });
    let usage = decode_usage(&mut fields);
    let tier = served(&mut fields);
    fields.retain(|name, _| !OWN.contains(&name.as_str()));
    let mut answer = ChatAnswer::new(super::super::ID);
    answer.service_tier = tier;
    answer.usage = usage;
    answer.extra = fields;
    answer.candidates.push(ChatCandidate {
        index: 0,
        message: ChatMessage {
            role: ChatRole::Assistant,
            parts,
            name: None,
            extra: message,
        },
        stop,
        logprobs: Vec::new(),
        extra: Extra::new(),
    });
    Ok(answer)
}

/// The queue that served it, in OpenAI's words.
pub(super) fn served(fields: &mut Extra) -> Option<String> {
    let tier = inside(fields, "serviceTier", |inner| text(inner, "type"));
    tier.map(|tier| TierWords::Bedrock.read(&tier))
}

/// Why it ended, and at which word, where that was asked for.
pub(super) fn decode_stop(fields: &mut Extra) -> Option<StopReason> {
    let word = text(fields, "stopReason")?;
    Some(match word.as_str() {
        "end_turn" => StopReason::EndTurn,
        "tool_use" => StopReason::ToolCalls,
        "max_tokens" | "model_context_window_exceeded" => StopReason::Length,
        "stop_sequence" => StopReason::StopSequence(stopped_at(fields)),
        "guardrail_intervened" | "content_filtered" => StopReason::ContentFilter,
        "refusal" => StopReason::Refusal,
        "pause_turn" => StopReason::Pause,
        _ => StopReason::Other(word),
    })
}

fn stopped_at(fields: &mut Extra) -> Option<String> {
    const PLACE: &str = "additionalModelResponseFields";
    let Some(Value::Object(more)) = fields.get_mut(PLACE) else {
        return None;
    };
    let word = text(more, "stop_sequence");
    if more.is_empty() {
        fields.remove(PLACE);
    }
    word
}

/// Counts by the common rule: what was read from a cache or written to one is a part of the input.
pub(super) fn decode_usage(fields: &mut Extra) -> Option<UsageCounts> {
    let Some(Value::Object(mut usage)) = fields.remove("usage") else {
        return None;
    };
    let cache_read = count(&mut usage, "cacheReadInputTokens");
    let cache_write = count(&mut usage, "cacheWriteInputTokens");
    let input = count(&mut usage, "inputTokens");
    let output = count(&mut usage, "outputTokens");
    let told = [input, cache_read, cache_write];
    let sum = told.into_iter().flatten().fold(0, u64::saturating_add);
    let input = told.iter().any(Option::is_some).then_some(sum);
    // Models differ in whether the sum that is told counts caches.
    usage.remove("totalTokens");
    Some(UsageCounts {
        input,
        output,
        total: input
            .zip(output)
            .map(|(input, output)| input.saturating_add(output)),
        cache_read,
        cache_write,
        reasoning: None,
        extra: usage,
    })
}

/// Takes the only field of a union out.
fn member(fields: &mut Extra, name: &str) -> Option<Extra> {
    match fields.remove(name)? {
        Value::Object(inner) => Some(inner),
        other => {
            fields.insert(name.to_owned(), other);
            None
        }
    }
}

fn decode_block(value: Value) -> ContentPart {
    let unknown = |value| {
        ContentPart::new(PartBody::Unknown {
            field: "content",
            value,
        })
    };
    let Value::Object(mut block) = value else {
        return unknown(value);
    };
    let before = block.clone();
    let body = if let Some(text) = text(&mut block, "text") {
        Some(PartBody::Text {
            text,
            citations: Vec::new(),
        })
    } else if let Some(call) = member(&mut block, "toolUse") {
        decode_call(call).map(PartBody::ToolCall)
    } else if let Some(thought) = member(&mut block, REASONING) {
        decode_thought(thought).map(PartBody::Reasoning)
    } else if let Some(cited) = member(&mut block, "citationsContent") {
        decode_cited(cited)
    } else if let Some(image) = member(&mut block, "image") {
        decode_image(&image)
    } else {
        None
    };
    body.map_or_else(|| unknown(Value::Object(before)), ContentPart::new)
}

/// A call of a tool that the caller runs; those that Bedrock runs itself say so by their type.
fn decode_call(mut call: Extra) -> Option<ToolCall> {
    if call.contains_key("type") {
        return None;
    }
    let input = call.remove("input").unwrap_or_default();
    Some(ToolCall {
        id: text(&mut call, "toolUseId"),
        name: text(&mut call, "name")?,
        arguments: match input {
            Value::Null => "{}".to_owned(),
            input => input.to_string(),
        },
        ..ToolCall::default()
    })
}

/// Only Claude signs its thoughts here, and its makers' other APIs read those signatures too.
pub(super) fn signed_by(signed: bool) -> &'static str {
    match signed {
        true => crate::wire::anthropic::ID,
        false => super::super::ID,
    }
}

fn decode_thought(mut thought: Extra) -> Option<ReasoningPart> {
    if let Some(data) = text(&mut thought, "redactedContent") {
        return Some(ReasoningPart {
            encrypted: Some(data),
            maker: Some(signed_by(true).into()),
            field: REASONING,
            ..ReasoningPart::default()
        });
    }
    let mut words = member(&mut thought, "reasoningText")?;
    let signature = text(&mut words, "signature").filter(|signature| !signature.is_empty());
    Some(ReasoningPart {
        text: text(&mut words, "text"),
        maker: Some(signed_by(signature.is_some()).into()),
        signature,
        field: REASONING,
        ..ReasoningPart::default()
    })
}

/// Words with where they are from.
fn decode_cited(mut cited: Extra) -> Option<PartBody> {
    let words = list(&mut cited, "content").unwrap_or_default();
    let words = words.iter().filter_map(|one| one.get("text")?.as_str());
    let citations = list(&mut cited, "citations").unwrap_or_default();
    Some(PartBody::Text {
        text: words.collect(),
        citations: citations.into_iter().filter_map(decode_citation).collect(),
    })
}

pub(super) fn decode_citation(value: Value) -> Option<Citation> {
    let Value::Object(mut fields) = value else {
        return None;
    };
    let url = fields
        .get("location")
        .and_then(|location| location.pointer("/web/url"));
    let url = url.and_then(Value::as_str).map(str::to_owned);
    Some(Citation {
        url,
        title: text(&mut fields, "title"),
        span: None,
        extra: fields,
    })
}

fn decode_image(image: &Extra) -> Option<PartBody> {
    let format = image.get("format")?.as_str()?;
    let bytes = image.get("source")?.get("bytes")?.as_str()?;
    Some(PartBody::Image {
        source: MediaSource::Url(format!("data:image/{format};base64,{bytes}")),
        detail: None,
    })
}
