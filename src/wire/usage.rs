//! What an answer used, as an upstream reports it: the object of counts of any dialect, by the names of its fields.
//!
//! One reader for all, because hosts mix the dialects' names, and because each dialect says something else of whether one
//! count is a part of another. A field that is something else than expected counts as not there.

mod fields;

use fields::{CountFields, Raw, amount, count, has, number, parse, small, text};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::domain::dialect::Operation;
use crate::domain::money::Pico;
use crate::domain::usage::{Usage, UsageDetails};
use crate::domain::word::ShortWord;

/// The usage in these bytes, if that is what they are; upstreams put odd things there, which is no error.
pub(super) fn read(raw: &[u8]) -> Option<Usage> {
    let fields: CountFields<'_> = parse(raw)?;
    // Cohere has the counts one level deeper.
    if let Some(inner) = fields
        .tokens
        .and_then(|raw| parse::<CountFields<'_>>(raw.get().as_bytes()))
    {
        return Some(usage(&inner));
    }
    Some(usage(&fields))
}

/// The usage in a field that may be there.
pub(super) fn read_field(raw: Raw<'_>) -> Option<Usage> {
    read(raw?.get().as_bytes())
}

/// What Groq puts into its field `x_groq` of a streamed chunk.
pub(super) fn in_x_groq(raw: &RawValue) -> Option<Usage> {
    #[derive(Deserialize)]
    struct GroqExtra<'a> {
        #[serde(borrow)]
        usage: &'a RawValue,
    }
    let inside: GroqExtra<'_> = parse(raw.get().as_bytes())?;
    read_field(Some(inside.usage))
}

/// The usage with the service tier that stands beside it.
pub(super) fn with_tier(usage: Option<Usage>, tier: Raw<'_>) -> Option<Usage> {
    let mut usage = usage?;
    let beside = ShortWord::of(&text(tier).unwrap_or_default());
    usage.details.tier = usage.details.tier.or(beside);
    Some(usage)
}

/// The usage with what the answer to such a request has of things that are paid by the piece: pictures, and the seconds of the
/// sound that was heard, where nothing else is told.
pub(super) fn with_pieces(
    usage: Option<Usage>,
    operation: Operation,
    answer: &[u8],
) -> Option<Usage> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Pieces<'a> {
        #[serde(borrow)]
        data: Raw<'a>,
        #[serde(borrow)]
        duration: Raw<'a>,
    }
    let pieces = match operation {
        Operation::ImageGenerations | Operation::ImageEdits => parse::<Pieces<'_>>(answer),
        Operation::Transcriptions | Operation::Translations if usage.is_none() => parse(answer),
        _ => None,
    };
    let Some(Pieces { data, duration }) = pieces else {
        return usage;
    };
    let mut counted = usage.unwrap_or_default();
    match operation {
        Operation::ImageGenerations | Operation::ImageEdits => {
            let list = data.and_then(|raw| serde_json::from_str::<Vec<IgnoredAny>>(raw.get()).ok());
            let made = list.map_or(0, |list| list.len());
            counted.details.images = u32::try_from(made).unwrap_or(u32::MAX);
        }
        _ => counted.details.seconds = seconds(duration),
    }
    counted.has_pieces().then_some(counted).or(usage)
}

fn usage(fields: &CountFields<'_>) -> Usage {
    let details = details(fields);
    let cached = cached(fields);
    let prompt = prompt(fields, cached, &details);
    let reasoning = reasoning(fields);
    Usage {
        prompt_tokens: prompt,
        completion_tokens: answer(fields, prompt, reasoning),
        cached_tokens: cached,
        reasoning_tokens: reasoning,
        details,
    }
}

/// The sum of what is told of these; `None` when nothing is.
fn sum(parts: &[Option<u64>]) -> Option<u64> {
    let told = parts.iter().flatten();
    let any = parts.iter().any(Option::is_some);
    any.then(|| told.fold(0, |sum: u64, part| sum.saturating_add(*part)))
}

/// What was read from a cache.
fn cached(fields: &CountFields<'_>) -> Option<u64> {
    let detail = fields.prompt_details().and_then(|it| it.cached_tokens);
    // Anthropic, Bedrock; Google; OpenAI; DeepSeek; Moonshot.
    [
        fields.cache_read_input_tokens,
        fields.cache_read_camel,
        fields.cached_content_token_count,
        detail,
        fields.prompt_cache_hit_tokens,
        fields.cached_tokens,
    ]
    .into_iter()
    .find_map(count)
}

/// The whole prompt.
fn prompt(fields: &CountFields<'_>, cached: Option<u64>, details: &UsageDetails) -> Option<u64> {
    if let Some(whole) = count(fields.prompt_tokens) {
        // What was read from a cache is a part of it; where it is more than the whole (some of xAI's models), it stands
        // beside it.
        let beside = cached.filter(|cached| *cached > whole).unwrap_or(0);
        return Some(whole.saturating_add(beside));
    }
    if let Some(whole) = count(fields.prompt_token_count) {
        let tools = count(fields.tool_use_prompt_token_count).unwrap_or(0);
        return Some(whole.saturating_add(tools));
    }
    let input = count(fields.input_tokens).or_else(|| count(fields.input_tokens_camel));
    // Responses: everything is a part of it.
    if input.is_some() && has(fields.input_tokens_details) {
        return input;
    }
    // Anthropic and Bedrock: what a cache had or got stands beside it.
    let read = count(fields.cache_read_input_tokens).or_else(|| count(fields.cache_read_camel));
    let told = has(fields.cache_creation_input_tokens)
        || has(fields.cache_write_camel)
        || has(fields.cache_creation);
    let written = told.then_some(u64::from(details.cache_write));
    let all = sum(&[input, read, written]);
    // Embeddings of some have one count for all.
    let alone = || count(fields.total_tokens).filter(|_| fields.has_no_answer());
    all.or_else(alone)
}

/// Reasoning.
fn reasoning(fields: &CountFields<'_>) -> Option<u64> {
    let detail = fields
        .answer_details()
        .and_then(|it| it.reasoning_tokens.or(it.thinking_tokens));
    [
        fields.thoughts_token_count,
        detail,
        // Perplexity.
        fields.reasoning_tokens,
    ]
    .into_iter()
    .find_map(count)
}

/// The whole answer.
fn answer(fields: &CountFields<'_>, prompt: Option<u64>, reasoning: Option<u64>) -> Option<u64> {
    let total = count(fields.total_tokens);
    // Google: thoughts stand beside what was said.
    let spoken = count(fields.candidates_token_count);
    if has(fields.prompt_token_count) || spoken.is_some() {
        let all = sum(&[spoken, count(fields.thoughts_token_count)]);
        let rest = total
            .zip(prompt)
            .map(|(total, prompt)| total.saturating_sub(prompt));
        return all.or(rest.filter(|rest| *rest > 0));
    }
    let told = [
        fields.completion_tokens,
        fields.output_tokens,
        fields.output_tokens_camel,
    ]
    .into_iter()
    .find_map(count)?;
    let Some(reasoning) = reasoning else {
        return Some(told);
    };
    // Reasoning is a part of the answer, but for xAI, where it stands beside it: then it is in the total, or is more than
    // the answer.
    let beside = match (total, prompt) {
        (Some(total), Some(prompt)) => {
            let both = prompt.saturating_add(told).saturating_add(reasoning);
            reasoning > 0 && total == both
        }
        _ => false,
    };
    let all = told.saturating_add(reasoning);
    Some(if beside || reasoning > told {
        all
    } else {
        told
    })
}

fn details(fields: &CountFields<'_>) -> UsageDetails {
    let prompt = fields.prompt_details().unwrap_or_default();
    let answer = fields.answer_details().unwrap_or_default();
    let (cache_write, cache_write_1h) = written(fields, prompt.cache_write_tokens);
    let [audio, cached_audio, spoken, pictures] = fields.modalities();
    let tools = fields.server_tools().unwrap_or_default();
    let searches = [
        tools.web_search_requests,
        // Perplexity, xAI.
        fields.num_search_queries,
        fields.num_sources_used,
    ];
    UsageDetails {
        cache_write,
        cache_write_1h,
        input_audio: audio.max(small(prompt.audio_tokens)),
        cached_audio,
        output_audio: spoken.max(small(answer.audio_tokens)),
        output_images: pictures.max(small(answer.image_tokens)),
        searches: searches.into_iter().find(|raw| has(*raw)).map_or(0, small),
        // OpenAI's transcriptions: seconds in place of tokens.
        seconds: match text(fields.kind).as_deref() {
            Some("duration") => seconds(fields.seconds),
            _ => 0,
        },
        pages: small(fields.pages_processed),
        // Not in an object of counts.
        images: 0,
        characters: 0,
        tier: word(fields.service_tier.or(fields.traffic_type)),
        geo: word(fields.inference_geo),
        speed: word(fields.speed),
        cost: cost(fields),
    }
}

/// What was written to a cache, and the part of it for an hour.
fn written(fields: &CountFields<'_>, detail: Raw<'_>) -> (u32, u32) {
    // Anthropic's breakdown; Bedrock's, by how long it is kept.
    let creation = fields.creation().unwrap_or_default();
    let hour = small(creation.ephemeral_1h_input_tokens).max(fields.written_for_an_hour());
    let minutes = small(creation.ephemeral_5m_input_tokens);
    let whole = [
        fields.cache_creation_input_tokens,
        fields.cache_write_camel,
        detail,
        fields.cache_write_tokens,
    ];
    let whole = whole.into_iter().find(|raw| has(*raw)).map_or(0, small);
    (whole.max(minutes.saturating_add(hour)), hour)
}

fn word(raw: Raw<'_>) -> ShortWord {
    ShortWord::of(&text(raw).unwrap_or_default())
}

/// Begun seconds are charged.
fn seconds(raw: Raw<'_>) -> u32 {
    let Some(told) = number(raw) else { return 0 };
    let (whole, part) = told.split_once('.').unwrap_or((told, ""));
    let begun = part.bytes().any(|digit| (b'1'..=b'9').contains(&digit));
    let whole: u32 = whole.parse().unwrap_or(0);
    whole.saturating_add(u32::from(begun))
}

/// xAI counts in this many parts of a dollar (10¹⁰), which are so many of ours.
const PER_TICK: u64 = 100;

/// What the upstream says that the answer cost.
fn cost(fields: &CountFields<'_>) -> Pico {
    // OpenRouter; DeepInfra; Perplexity, whose object has the sum of its parts.
    let told = amount(fields.cost)
        .or_else(|| amount(fields.cost_object().and_then(|it| it.total_cost)))
        .or_else(|| amount(fields.estimated_cost))
        .or_else(|| count(fields.cost_in_usd_ticks).map(|ticks| Pico::new(PER_TICK).times(ticks)))
        .unwrap_or_default();
    // OpenRouter with a key of one's own: its fee alone, and beside it what the provider charges.
    let own_key = fields.is_byok.is_some_and(|raw| raw.get() == "true");
    let beside = fields
        .cost_parts()
        .filter(|_| own_key)
        .and_then(|parts| amount(parts.upstream_inference_cost));
    told.plus(beside.unwrap_or_default())
}

#[cfg(test)]
mod tests;
