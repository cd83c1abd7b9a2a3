//! Token counts as an upstream reports them. No I/O, no clock, no logging.

/// The tokens of one answer. Each count is `None` when the upstream does not report it.
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
    /// The tokens of two answers together; a count that only one of them reports is taken as it is.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let sum = |one: Option<u64>, other: Option<u64>| match (one, other) {
            (Some(one), Some(other)) => Some(one.saturating_add(other)),
            (one, other) => one.or(other),
        };
        Self {
            prompt_tokens: sum(self.prompt_tokens, other.prompt_tokens),
            completion_tokens: sum(self.completion_tokens, other.completion_tokens),
            cached_tokens: sum(self.cached_tokens, other.cached_tokens),
            reasoning_tokens: sum(self.reasoning_tokens, other.reasoning_tokens),
        }
    }

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
