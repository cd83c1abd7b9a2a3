//! Whole answers.

use serde_json::Value;

use super::conversation::Reader;
use super::fields::{UNKNOWN, encoder};
use super::logprobs::MeanLogprob;
use super::spoken::AnswerParts;
use crate::wire::gemini::ID;
use crate::wire::gemini::names::camel;
use crate::wire::gemini::tool_names::GeminiToolNames;
use crate::wire::ir::fields::{Encoder, count, list, put, put_in, take, text};
use crate::wire::ir::tier::TierWords;
use crate::wire::ir::{
    ChatAnswer, ChatCandidate, ChatMessage, ChatRole, Citation, ContentPart, Extra, Loss, Losses,
    PartBody, StopReason, UsageCounts,
};

/// Reads the body of an answer.
///
/// # Errors
/// A body that is no object, or a candidate that is none.
pub(in crate::wire::gemini) fn decode_answer(body: Value) -> Result<ChatAnswer, Loss> {
    let unreadable = Loss::new::<String>;
    let Value::Object(mut fields) = body else {
        return Err(unreadable(String::new(), "the answer is no object"));
    };
    camel(&mut fields);
    let mut answer = ChatAnswer::new(ID);
    answer.id = text(&mut fields, "responseId");
    answer.model = text(&mut fields, "modelVersion");
    answer.usage = decode_usage(&mut fields);
    let candidates = list(&mut fields, "candidates").unwrap_or_default();
    for (at, value) in candidates.into_iter().enumerate() {
        let Value::Object(candidate) = value else {
            let path = format!("candidates[{at}]");
            return Err(unreadable(path, "a candidate is an object"));
        };
        let candidate = decode_candidate(&mut Reader::of_answer(), at, candidate);
        answer.candidates.push(candidate);
    }
    if answer.candidates.is_empty() && is_blocked(&fields) {
        // A prompt that is refused has no candidates at all: other dialects have an empty one.
        answer.candidates.push(ChatCandidate {
            index: 0,
            message: said(Vec::new(), Extra::new()),
            stop: Some(StopReason::ContentFilter),
            logprobs: Vec::new(),
            extra: Extra::new(),
        });
    }
    answer.extra = fields;
    Ok(answer)
}

/// Whether the prompt was refused.
pub(super) fn is_blocked(fields: &Extra) -> bool {
    let reason = fields
        .get("promptFeedback")
        .and_then(|feedback| crate::wire::gemini::names::get(feedback, "blockReason"));
    reason.is_some_and(|reason| reason.as_str().is_some_and(|reason| !reason.is_empty()))
}

fn said(parts: Vec<ContentPart>, extra: Extra) -> ChatMessage {
    ChatMessage {
        role: ChatRole::Assistant,
        parts,
        name: None,
        extra,
    }
}

fn decode_candidate(reader: &mut Reader, at: usize, mut fields: Extra) -> ChatCandidate {
    camel(&mut fields);
    let index = count(&mut fields, "index").unwrap_or(at as u64);
    let (mut parts, content) = content_of(reader, &mut fields);
    let calls = parts
        .iter()
        .any(|part| matches!(part.body, PartBody::ToolCall(_)));
    let stop = stop_reason(&mut fields).map(|stop| with_calls(stop, calls));
    let citations = citations_of(&fields);
    let texts = parts.iter_mut().rev().map(|part| &mut part.body);
    let mut texts = texts.filter_map(|body| match body {
        PartBody::Text { citations, .. } => Some(citations),
        _ => None,
    });
    if let Some(own) = texts.next() {
        *own = citations;
    }
    ChatCandidate {
        index,
        message: said(parts, content),
        // Nothing follows a whole answer.
        stop: Some(stop.unwrap_or(with_calls(StopReason::EndTurn, calls))),
        logprobs: Vec::new(),
        extra: fields,
    }
}

/// The parts of a candidate, and what else its content says.
pub(super) fn content_of(reader: &mut Reader, candidate: &mut Extra) -> (Vec<ContentPart>, Extra) {
    let content = take(candidate, "content", |value| value.as_object().cloned());
    let mut content = content.unwrap_or_default();
    content.remove("role");
    let parts = reader.parts(&mut content);
    (parts, content)
}

/// Google has no reason for calls: they stand beside an ordinary end.
pub(super) fn with_calls(stop: StopReason, calls: bool) -> StopReason {
    match stop {
        StopReason::EndTurn if calls => StopReason::ToolCalls,
        stop => stop,
    }
}

/// Why a candidate ended.
pub(super) fn stop_reason(fields: &mut Extra) -> Option<StopReason> {
    let word = text(fields, "finishReason")?;
    Some(match word.as_str() {
        "STOP" => StopReason::EndTurn,
        "MAX_TOKENS" | "CONTINUATION" => StopReason::Length,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "MODEL_ARMOR"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => StopReason::ContentFilter,
        "" | "FINISH_REASON_UNSPECIFIED" => return None,
        _ => StopReason::Other(word),
    })
}

/// Google's word for it.
pub(super) fn stop_word(reason: StopReason, same: bool) -> String {
    let word = match reason {
        StopReason::EndTurn
        | StopReason::StopSequence(_)
        | StopReason::ToolCalls
        | StopReason::Pause => "STOP",
        StopReason::Length => "MAX_TOKENS",
        StopReason::ContentFilter | StopReason::Refusal => "SAFETY",
        StopReason::Other(word) if same => return word,
        StopReason::Other(_) => "OTHER",
    };
    word.to_owned()
}

/// The pages that an answer is from. What Google says of them besides stays where it is.
pub(super) fn citations_of(candidate: &Extra) -> Vec<Citation> {
    let chunks = candidate.get("groundingMetadata");
    let chunks = chunks.and_then(|data| crate::wire::gemini::names::get(data, "groundingChunks"));
    let chunks = chunks.and_then(Value::as_array).into_iter().flatten();
    let pages = chunks.filter_map(|chunk| chunk.get("web"));
    let cited = candidate.get("citationMetadata");
    let cited = cited.and_then(|data| {
        data.get("citationSources")
            .or_else(|| data.get("citations"))
    });
    let cited = cited.and_then(Value::as_array).into_iter().flatten();
    let told = |value: &Value, name: &str| Some(value.get(name)?.as_str()?.to_owned());
    let citations = pages.chain(cited).filter_map(|page| {
        Some(Citation {
            url: Some(told(page, "uri")?),
            title: told(page, "title"),
            // Google counts bytes, and not in every kind of source.
            span: None,
            extra: Extra::new(),
        })
    });
    citations.collect()
}

/// Token counts. Google counts thoughts beside the answer, and what its own tools read beside the prompt.
pub(super) fn decode_usage(fields: &mut Extra) -> Option<UsageCounts> {
    let mut usage = take(fields, "usageMetadata", |value| value.as_object().cloned())?;
    camel(&mut usage);
    let prompt = count(&mut usage, "promptTokenCount");
    let by_tools = usage.get("toolUsePromptTokenCount").and_then(Value::as_u64);
    let words = count(&mut usage, "candidatesTokenCount");
    let thoughts = count(&mut usage, "thoughtsTokenCount");
    let sum = |one: Option<u64>, other: Option<u64>| match (one, other) {
        (None, None) => None,
        (one, other) => Some(one.unwrap_or(0).saturating_add(other.unwrap_or(0))),
    };
    let input = sum(prompt, by_tools);
    let total = count(&mut usage, "totalTokenCount");
    let rest = total
        .zip(input)
        .map(|(total, input)| total.saturating_sub(input));
    Some(UsageCounts {
        input,
        output: sum(words, thoughts).or(rest.filter(|rest| *rest > 0)),
        total,
        cache_read: count(&mut usage, "cachedContentTokenCount"),
        cache_write: None,
        reasoning: thoughts,
        extra: usage,
    })
}

/// Writes token counts.
pub(super) fn encode_usage(encoder: &mut Encoder, usage: UsageCounts) -> Value {
    let sum = usage.input.zip(usage.output);
    let sum = sum.map(|(input, output)| input.saturating_add(output));
    let mut fields = encoder.begin_usage(usage.extra);
    let by_tools = fields
        .get("toolUsePromptTokenCount")
        .and_then(Value::as_u64);
    let less =
        |all: Option<u64>, part: Option<u64>| all.map(|all| all.saturating_sub(part.unwrap_or(0)));
    put(&mut fields, "promptTokenCount", less(usage.input, by_tools));
    let words = less(usage.output, usage.reasoning);
    put(&mut fields, "candidatesTokenCount", words);
    put(
        &mut fields,
        "thoughtsTokenCount",
        usage.reasoning.filter(|count| *count > 0 || encoder.same),
    );
    put(
        &mut fields,
        "totalTokenCount",
        usage.total.or(sum.filter(|_| !encoder.same)),
    );
    let cached = usage.cache_read.filter(|count| *count > 0 || encoder.same);
    if usage.cache_write.is_some_and(|count| count > 0) {
        encoder.lose("usage.cache_write_tokens", UNKNOWN);
    }
    put(&mut fields, "cachedContentTokenCount", cached);
    Value::Object(fields)
}

/// Says which queue served an answer.
pub(super) fn put_tier(encoder: &mut Encoder, fields: &mut Extra, tier: &str) {
    match TierWords::Gemini.served(tier) {
        Some(word) => put_in(fields, "usageMetadata", "trafficType", Some(word)),
        None => encoder.lose("service_tier", UNKNOWN),
    }
}

/// Writes the body of an answer, and says what has no place in it. `names`: the tools of its request.
pub(in crate::wire::gemini) fn encode_answer(
    answer: ChatAnswer,
    names: &GeminiToolNames,
) -> (Value, Losses) {
    let mut encoder = encoder(answer.origin);
    let mut fields = encoder.begin("", answer.extra);
    put(&mut fields, "responseId", answer.id);
    put(&mut fields, "modelVersion", answer.model);
    let mut candidates = Vec::new();
    for candidate in answer.candidates {
        let path = format!("candidates[{}]", candidate.index);
        let mut own = encoder.begin(&path, candidate.extra);
        let mut content = encoder.begin(&path, candidate.message.extra);
        let mut spoken = AnswerParts::new(names, answer.origin);
        for part in candidate.message.parts {
            spoken.part(&mut encoder, &path, part);
        }
        let parts = spoken.finish();
        put(&mut content, "role", Some("model"));
        put(&mut content, "parts", (!parts.is_empty()).then_some(parts));
        put(&mut own, "content", Some(Value::Object(content)));
        let word = candidate.stop.map(|stop| stop_word(stop, encoder.same));
        put(&mut own, "finishReason", word);
        let mut mean = MeanLogprob::default();
        put(
            &mut own,
            "logprobsResult",
            mean.add(&mut encoder, &candidate.logprobs),
        );
        put(&mut own, "avgLogprobs", mean.told().map(Value::Number));
        own.insert("index".to_owned(), candidate.index.into());
        candidates.push(Value::Object(own));
    }
    put(
        &mut fields,
        "candidates",
        (!candidates.is_empty()).then_some(candidates),
    );
    let usage = answer.usage.map(|usage| encode_usage(&mut encoder, usage));
    put(&mut fields, "usageMetadata", usage);
    if let Some(tier) = answer.service_tier {
        put_tier(&mut encoder, &mut fields, &tier);
    }
    (Value::Object(fields), encoder.losses)
}
