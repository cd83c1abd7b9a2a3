//! Whole answers of chat completions.

use serde_json::Value;

use super::custom::CustomTools;
use super::fields::{Encoder, UNKNOWN, count, encoder, inside, list, number, put, put_in, text};
use super::fit;
use super::message::{decode_message, encode_message};
use super::request::{answering_role, index};
use crate::wire::ir::tier::TierWords;
use crate::wire::ir::{
    ChatAnswer, ChatCandidate, ContentPart, Extra, Loss, Losses, PartBody, StopReason, UsageCounts,
    logprobs,
};

/// Reads the body of an answer.
///
/// # Errors
/// A body that is no object.
pub(in crate::wire::openai) fn decode_answer(body: Value) -> Result<ChatAnswer, Loss> {
    let unreadable = Loss::new::<String>;
    let Value::Object(mut fields) = body else {
        return Err(unreadable(String::new(), "the answer is no object"));
    };
    let choices = list(&mut fields, "choices").unwrap_or_default();
    let candidates = choices.into_iter().map(|value| {
        let mut choice = match value {
            Value::Object(choice) => choice,
            other => Extra::from_iter([("choice".to_owned(), other)]),
        };
        let mut message = spoken(&mut choice);
        let role = answering_role(&mut message);
        ChatCandidate {
            index: index(&mut choice),
            message: decode_message(role, message),
            stop: stop_reason(&mut choice),
            logprobs: Vec::new(),
            extra: choice,
        }
    });
    Ok(ChatAnswer {
        origin: crate::wire::openai::ID,
        candidates: candidates.collect(),
        id: text(&mut fields, "id"),
        model: text(&mut fields, "model"),
        created: number(&mut fields, "created"),
        usage: decode_usage(&mut fields),
        service_tier: None,
        extra: fields,
    })
}

/// What a choice says. Some hosts write the delta of a stream or the text of a completion in place of a message; one without
/// any of them says nothing, which is no reason to refuse what the choices beside it say.
fn spoken(choice: &mut Extra) -> Extra {
    for place in ["message", "delta"] {
        match choice.remove(place) {
            Some(Value::Object(message)) => return message,
            Some(other) => _ = choice.insert(place.to_owned(), other),
            None => {}
        }
    }
    let content = choice.remove("text");
    content.map_or_else(Extra::new, |text| {
        Extra::from_iter([("content".to_owned(), text)])
    })
}

pub(super) fn stop_reason(choice: &mut Extra) -> Option<StopReason> {
    let word = text(choice, "finish_reason")?;
    Some(match word.as_str() {
        "stop" => StopReason::EndTurn,
        "length" => StopReason::Length,
        "tool_calls" => StopReason::ToolCalls,
        "content_filter" => StopReason::ContentFilter,
        _ => StopReason::Other(word),
    })
}

/// The word for a reason; of one that only another dialect has, the nearest.
pub(super) fn stop_word(reason: StopReason, same: bool) -> String {
    let word = match reason {
        StopReason::EndTurn | StopReason::StopSequence(_) | StopReason::Pause => "stop",
        StopReason::Length => "length",
        StopReason::ToolCalls => "tool_calls",
        StopReason::ContentFilter | StopReason::Refusal => "content_filter",
        StopReason::Other(word) if same => return word,
        // Never an ordinary end: something went wrong that this dialect has no word for.
        StopReason::Other(word) => return word.to_ascii_lowercase(),
    };
    word.to_owned()
}

pub(super) fn decode_usage(fields: &mut Extra) -> Option<UsageCounts> {
    let Some(Value::Object(usage)) = fields.get_mut("usage") else {
        return None;
    };
    let counts = UsageCounts {
        input: count(usage, "prompt_tokens"),
        output: count(usage, "completion_tokens"),
        total: count(usage, "total_tokens"),
        cache_read: inside(usage, "prompt_tokens_details", |inner| {
            count(inner, "cached_tokens")
        }),
        cache_write: inside(usage, "prompt_tokens_details", |inner| {
            count(inner, "cache_write_tokens")
        }),
        reasoning: inside(usage, "completion_tokens_details", |inner| {
            count(inner, "reasoning_tokens")
        }),
        extra: std::mem::take(usage),
    };
    fields.remove("usage");
    Some(counts)
}

pub(super) fn encode_usage(encoder: &mut Encoder, usage: UsageCounts) -> Value {
    let mut fields = encoder.begin_usage(usage.extra);
    let sum = usage.input.zip(usage.output);
    let sum = sum.map(|(input, output)| input.saturating_add(output));
    put(&mut fields, "prompt_tokens", usage.input);
    put(&mut fields, "completion_tokens", usage.output);
    let total = usage.total.or(sum.filter(|_| !encoder.same));
    put(&mut fields, "total_tokens", total);
    let details = [
        ("prompt_tokens_details", "cached_tokens", usage.cache_read),
        (
            "prompt_tokens_details",
            "cache_write_tokens",
            usage.cache_write,
        ),
        (
            "completion_tokens_details",
            "reasoning_tokens",
            usage.reasoning,
        ),
    ];
    for (place, name, value) in details {
        if value.is_some() {
            put_in(&mut fields, place, name, value);
        }
    }
    Value::Object(fields)
}

/// The word for the queue that served it.
pub(super) fn served<'a>(encoder: &mut Encoder, tier: &'a str) -> Option<&'a str> {
    let word = TierWords::OpenAi.served(tier);
    if word.is_none() {
        encoder.lose("service_tier", UNKNOWN);
    }
    word
}

/// Tells of each citation which characters of the whole text it is about: clients require that. One without an address is
/// none here.
fn cite(encoder: &mut Encoder, path: &str, parts: &mut [ContentPart]) {
    let mut before = 0;
    for part in parts {
        let PartBody::Text { text, citations } = &mut part.body else {
            continue;
        };
        let all = citations.len();
        citations.retain(|citation| citation.url.is_some());
        if citations.len() < all {
            encoder.lose(format!("{path}.message.annotations"), UNKNOWN);
        }
        let end = before + text.chars().count() as u64;
        for citation in citations {
            let whole = (before, end);
            citation.span = citation.span.or(Some(whole));
        }
        before = end;
    }
}

/// Writes the body of an answer, and says what has no place in it.
pub(in crate::wire::openai) fn encode_answer(
    answer: ChatAnswer,
    tools: &CustomTools,
) -> (Value, Losses) {
    let mut encoder = encoder(answer.origin);
    let mut fields = encoder.begin("", answer.extra);
    put(&mut fields, "id", answer.id);
    put(&mut fields, "model", answer.model);
    put(&mut fields, "created", answer.created.map(Value::Number));
    if !encoder.same {
        put(&mut fields, "object", Some("chat.completion"));
        fields.entry("id").or_insert("chatcmpl-0".into());
        fields.entry("created").or_insert(0.into());
        fields.entry("model").or_insert("".into());
    }
    let tier = answer.service_tier.as_deref();
    let tier = tier.and_then(|tier| served(&mut encoder, tier));
    put(&mut fields, "service_tier", tier);
    let mut choices = Vec::new();
    for candidate in answer.candidates {
        let path = format!("choices[{}]", candidate.index);
        let mut choice = encoder.begin(&path, candidate.extra);
        choice.entry("index").or_insert(candidate.index.into());
        let told = logprobs::choice(&candidate.logprobs);
        put(&mut choice, "logprobs", told);
        let mut message = candidate.message;
        if !encoder.same {
            cite(&mut encoder, &path, &mut message.parts);
            tools.restore(&mut message.parts);
            // Clients want one text.
            message.parts = fit::join(message.parts, "");
        }
        let message = encode_message(&mut encoder, &format!("{path}.message"), message);
        put(&mut choice, "message", message.into_iter().next_back());
        let reason = candidate.stop.map(|reason| stop_word(reason, encoder.same));
        put(&mut choice, "finish_reason", reason);
        choices.push(Value::Object(choice));
    }
    put(
        &mut fields,
        "choices",
        (!choices.is_empty()).then_some(choices),
    );
    let usage = answer.usage.map(|usage| encode_usage(&mut encoder, usage));
    put(&mut fields, "usage", usage);
    (Value::Object(fields), encoder.losses)
}
