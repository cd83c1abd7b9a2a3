//! The fields of an object of counts, in the names of every dialect. Reading them allocates nothing.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::money::Pico;

/// A field that may be there.
pub(in crate::wire) type Raw<'a> = Option<&'a RawValue>;

/// Longer texts are no words.
const LONGEST: usize = 64;

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct CountFields<'a> {
    /// Cohere's object around its counts.
    #[serde(borrow)]
    pub(super) tokens: Raw<'a>,
    // OpenAI's chat completions.
    #[serde(borrow)]
    pub(super) prompt_tokens: Raw<'a>,
    #[serde(borrow)]
    pub(super) completion_tokens: Raw<'a>,
    #[serde(borrow)]
    prompt_tokens_details: Raw<'a>,
    #[serde(borrow)]
    completion_tokens_details: Raw<'a>,
    // Responses, and Anthropic's messages.
    #[serde(borrow)]
    pub(super) input_tokens: Raw<'a>,
    #[serde(borrow)]
    pub(super) output_tokens: Raw<'a>,
    #[serde(borrow, alias = "input_token_details")]
    pub(super) input_tokens_details: Raw<'a>,
    #[serde(borrow, alias = "output_token_details")]
    output_tokens_details: Raw<'a>,
    #[serde(
        borrow,
        alias = "totalTokens",
        alias = "totalTokenCount",
        alias = "total_token_count"
    )]
    pub(super) total_tokens: Raw<'a>,
    #[serde(borrow)]
    pub(super) cache_read_input_tokens: Raw<'a>,
    #[serde(borrow)]
    pub(super) cache_creation_input_tokens: Raw<'a>,
    #[serde(borrow)]
    pub(super) cache_creation: Raw<'a>,
    #[serde(borrow)]
    server_tool_use: Raw<'a>,
    #[serde(borrow)]
    pub(super) inference_geo: Raw<'a>,
    #[serde(borrow)]
    pub(super) speed: Raw<'a>,
    #[serde(borrow)]
    pub(super) service_tier: Raw<'a>,
    // What hosts of OpenAI's API add.
    #[serde(borrow)]
    pub(super) prompt_cache_hit_tokens: Raw<'a>,
    #[serde(borrow)]
    pub(super) cached_tokens: Raw<'a>,
    #[serde(borrow)]
    pub(super) cache_write_tokens: Raw<'a>,
    #[serde(borrow)]
    pub(super) reasoning_tokens: Raw<'a>,
    #[serde(borrow)]
    pub(super) num_search_queries: Raw<'a>,
    #[serde(borrow)]
    pub(super) num_sources_used: Raw<'a>,
    #[serde(borrow)]
    pub(super) cost: Raw<'a>,
    #[serde(borrow)]
    pub(super) estimated_cost: Raw<'a>,
    #[serde(borrow)]
    pub(super) cost_in_usd_ticks: Raw<'a>,
    #[serde(borrow)]
    cost_details: Raw<'a>,
    #[serde(borrow)]
    pub(super) is_byok: Raw<'a>,
    #[serde(borrow, rename = "type")]
    pub(super) kind: Raw<'a>,
    #[serde(borrow)]
    pub(super) seconds: Raw<'a>,
    // Mistral's readers of documents.
    #[serde(borrow)]
    pub(super) pages_processed: Raw<'a>,
    // Google's.
    #[serde(borrow, rename = "promptTokenCount", alias = "prompt_token_count")]
    pub(super) prompt_token_count: Raw<'a>,
    #[serde(
        borrow,
        rename = "toolUsePromptTokenCount",
        alias = "tool_use_prompt_token_count"
    )]
    pub(super) tool_use_prompt_token_count: Raw<'a>,
    #[serde(
        borrow,
        rename = "candidatesTokenCount",
        alias = "candidates_token_count"
    )]
    pub(super) candidates_token_count: Raw<'a>,
    #[serde(borrow, rename = "thoughtsTokenCount", alias = "thoughts_token_count")]
    pub(super) thoughts_token_count: Raw<'a>,
    #[serde(
        borrow,
        rename = "cachedContentTokenCount",
        alias = "cached_content_token_count"
    )]
    pub(super) cached_content_token_count: Raw<'a>,
    #[serde(borrow, rename = "promptTokensDetails")]
    prompt_modalities: Raw<'a>,
    #[serde(borrow, rename = "cacheTokensDetails")]
    cache_modalities: Raw<'a>,
    #[serde(borrow, rename = "candidatesTokensDetails")]
    candidates_modalities: Raw<'a>,
    #[serde(borrow, rename = "trafficType")]
    pub(super) traffic_type: Raw<'a>,
    // Bedrock's.
    #[serde(borrow, rename = "inputTokens")]
    pub(super) input_tokens_camel: Raw<'a>,
    #[serde(borrow, rename = "outputTokens")]
    pub(super) output_tokens_camel: Raw<'a>,
    #[serde(
        borrow,
        rename = "cacheReadInputTokens",
        alias = "cacheReadInputTokenCount"
    )]
    pub(super) cache_read_camel: Raw<'a>,
    #[serde(
        borrow,
        rename = "cacheWriteInputTokens",
        alias = "cacheWriteInputTokenCount"
    )]
    pub(super) cache_write_camel: Raw<'a>,
    #[serde(borrow, rename = "cacheDetails")]
    cache_details: Raw<'a>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct PromptDetails<'a> {
    #[serde(borrow)]
    pub(super) cached_tokens: Raw<'a>,
    #[serde(borrow, alias = "cache_creation_tokens")]
    pub(super) cache_write_tokens: Raw<'a>,
    #[serde(borrow)]
    pub(super) audio_tokens: Raw<'a>,
    #[serde(borrow)]
    cached_tokens_details: Raw<'a>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct AnswerDetails<'a> {
    #[serde(borrow)]
    pub(super) reasoning_tokens: Raw<'a>,
    #[serde(borrow)]
    pub(super) thinking_tokens: Raw<'a>,
    #[serde(borrow)]
    pub(super) audio_tokens: Raw<'a>,
    #[serde(borrow)]
    pub(super) image_tokens: Raw<'a>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct Creation<'a> {
    #[serde(borrow)]
    pub(super) ephemeral_5m_input_tokens: Raw<'a>,
    #[serde(borrow)]
    pub(super) ephemeral_1h_input_tokens: Raw<'a>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct ServerTools<'a> {
    #[serde(borrow)]
    pub(super) web_search_requests: Raw<'a>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
pub(super) struct CostParts<'a> {
    #[serde(borrow)]
    pub(super) total_cost: Raw<'a>,
    #[serde(borrow)]
    pub(super) upstream_inference_cost: Raw<'a>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Modality<'a> {
    #[serde(borrow)]
    modality: Raw<'a>,
    #[serde(borrow, rename = "tokenCount")]
    token_count: Raw<'a>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct WrittenFor<'a> {
    #[serde(borrow)]
    ttl: Raw<'a>,
    #[serde(borrow, rename = "inputTokens")]
    input_tokens: Raw<'a>,
}

impl<'a> CountFields<'a> {
    pub(super) fn prompt_details(&self) -> Option<PromptDetails<'a>> {
        inner(self.prompt_tokens_details).or_else(|| inner(self.input_tokens_details))
    }

    pub(super) fn answer_details(&self) -> Option<AnswerDetails<'a>> {
        inner(self.completion_tokens_details).or_else(|| inner(self.output_tokens_details))
    }

    pub(super) fn creation(&self) -> Option<Creation<'a>> {
        inner(self.cache_creation)
    }

    pub(super) fn server_tools(&self) -> Option<ServerTools<'a>> {
        inner(self.server_tool_use)
    }

    pub(super) fn cost_object(&self) -> Option<CostParts<'a>> {
        inner(self.cost)
    }

    pub(super) fn cost_parts(&self) -> Option<CostParts<'a>> {
        inner(self.cost_details)
    }

    /// Whether no count of an answer is there.
    pub(super) fn has_no_answer(&self) -> bool {
        ![
            self.completion_tokens,
            self.output_tokens,
            self.output_tokens_camel,
            self.candidates_token_count,
        ]
        .into_iter()
        .any(has)
    }

    /// Bedrock's tokens that were written for an hour.
    pub(super) fn written_for_an_hour(&self) -> u32 {
        each(self.cache_details, |kept: WrittenFor<'_>| {
            (text(kept.ttl).as_deref() == Some("1h")).then(|| small(kept.input_tokens))
        })
    }

    /// Sound in the prompt, the part of it that was cached, sound and pictures in the answer; where they are told by
    /// modality, or OpenAI's detail of what was cached.
    pub(super) fn modalities(&self) -> [u32; 4] {
        let of = |list: Raw<'a>, kind: &str| {
            each(list, |part: Modality<'_>| {
                let is = text(part.modality).is_some_and(|word| word.eq_ignore_ascii_case(kind));
                is.then(|| small(part.token_count))
            })
        };
        let detail = self
            .prompt_details()
            .and_then(|it| inner::<PromptDetails<'_>>(it.cached_tokens_details));
        let cached = small(detail.and_then(|it| it.audio_tokens));
        [
            of(self.prompt_modalities, "AUDIO"),
            of(self.cache_modalities, "AUDIO").max(cached),
            of(self.candidates_modalities, "AUDIO"),
            of(self.candidates_modalities, "IMAGE"),
        ]
    }
}

/// An object, read into the fields of one of these; a list would fill a struct too.
pub(super) fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Option<T> {
    let object = json.first() == Some(&b'{');
    object.then(|| serde_json::from_slice(json).ok()).flatten()
}

fn inner<'a, T: Deserialize<'a>>(raw: Raw<'a>) -> Option<T> {
    parse(raw?.get().as_bytes())
}

/// The sum over a list's items.
fn each<'a, T: Deserialize<'a>>(list: Raw<'a>, count: impl Fn(T) -> Option<u32>) -> u32 {
    let list = list.filter(|list| list.get().starts_with('['));
    let items = list.and_then(|list| serde_json::from_str::<Vec<T>>(list.get()).ok());
    let items = items.into_iter().flatten();
    items.filter_map(count).fold(0, u32::saturating_add)
}

/// Whether a field is there and holds something.
pub(super) fn has(raw: Raw<'_>) -> bool {
    raw.is_some_and(|raw| raw.get() != "null")
}

/// A number as it is written, also one in a text.
pub(super) fn number(raw: Raw<'_>) -> Option<&str> {
    let text = raw?.get();
    let text = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text);
    text.starts_with(|first: char| first.is_ascii_digit())
        .then_some(text)
}

/// A count; some write it with a point.
pub(super) fn count(raw: Raw<'_>) -> Option<u64> {
    let text = number(raw)?;
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let is_whole = part.bytes().all(|digit| digit == b'0');
    is_whole.then(|| whole.parse().ok()).flatten()
}

/// A count that is not larger than any answer has; 0 for what is none.
pub(super) fn small(raw: Raw<'_>) -> u32 {
    count(raw).map_or(0, |count| u32::try_from(count).unwrap_or(u32::MAX))
}

/// An amount of money.
pub(super) fn amount(raw: Raw<'_>) -> Option<Pico> {
    Pico::rounded(number(raw)?)
}

/// A short text.
pub(super) fn text(raw: Raw<'_>) -> Option<Cow<'_, str>> {
    let raw = raw?.get();
    if raw.len() > LONGEST || !raw.starts_with('"') {
        return None;
    }
    serde_json::from_str(raw).ok()
}
