//! Token counts as an upstream reports them.

use serde::Deserialize;

/// What one answer used. Each count is `None` when the upstream did not tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// The prompt, cached tokens included.
    pub prompt_tokens: Option<u64>,
    /// The answer, reasoning included.
    pub completion_tokens: Option<u64>,
    /// The part of the prompt that was read from a cache.
    pub cached_tokens: Option<u64>,
    /// The part of the answer that was reasoning.
    pub reasoning_tokens: Option<u64>,
}

impl Usage {
    /// Prompt and answer together.
    pub fn total(&self) -> Option<u64> {
        match (self.prompt_tokens, self.completion_tokens) {
            (None, None) => None,
            (prompt, completion) => {
                Some(prompt.unwrap_or(0).saturating_add(completion.unwrap_or(0)))
            }
        }
    }
}

/// Both spellings: chat completions' and responses'.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct RawUsage {
    #[serde(default, alias = "input_tokens")]
    prompt_tokens: Option<u64>,
    #[serde(default, alias = "output_tokens")]
    completion_tokens: Option<u64>,
    #[serde(default, alias = "input_tokens_details")]
    prompt_tokens_details: Option<Details>,
    #[serde(default, alias = "output_tokens_details")]
    completion_tokens_details: Option<Details>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Details {
    #[serde(default)]
    cached_tokens: Option<u64>,
    #[serde(default)]
    reasoning_tokens: Option<u64>,
}

impl From<RawUsage> for Usage {
    fn from(raw: RawUsage) -> Self {
        Self {
            prompt_tokens: raw.prompt_tokens,
            completion_tokens: raw.completion_tokens,
            cached_tokens: raw
                .prompt_tokens_details
                .and_then(|details| details.cached_tokens),
            reasoning_tokens: raw
                .completion_tokens_details
                .and_then(|details| details.reasoning_tokens),
        }
    }
}

/// The usage in these bytes, if that is what they are; upstreams put odd things there, which is no error.
pub(super) fn read(raw: &[u8]) -> Option<Usage> {
    let raw: RawUsage = serde_json::from_slice(raw).ok()?;
    Some(Usage::from(raw))
}
