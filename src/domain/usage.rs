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

    /// What one answer used, as two of its events tell it. Counts grow while an answer is streamed, and a later event may
    /// leave out what an earlier one told: the larger one holds.
    #[must_use]
    pub fn with(self, later: Self) -> Self {
        // `None` is less than any count.
        Self {
            prompt_tokens: self.prompt_tokens.max(later.prompt_tokens),
            completion_tokens: self.completion_tokens.max(later.completion_tokens),
            cached_tokens: self.cached_tokens.max(later.cached_tokens),
            reasoning_tokens: self.reasoning_tokens.max(later.reasoning_tokens),
        }
    }

    /// The same where either may be missing.
    pub fn latest(earlier: Option<Self>, later: Option<Self>) -> Option<Self> {
        match (earlier, later) {
            (Some(earlier), Some(later)) => Some(earlier.with(later)),
            (earlier, later) => later.or(earlier),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_later_event_leaves_out_is_not_lost() {
        let start = Usage {
            prompt_tokens: Some(160),
            completion_tokens: Some(1),
            cached_tokens: Some(100),
            reasoning_tokens: None,
        };
        let end = Usage {
            completion_tokens: Some(20),
            prompt_tokens: Some(0),
            ..Usage::default()
        };
        let both = Usage::latest(Some(start), Some(end)).unwrap();
        assert_eq!((both.total(), both.cached_tokens), (Some(180), Some(100)));
        assert_eq!(Usage::latest(Some(start), None), Some(start));
        assert_eq!(Usage::latest(None, Some(end)), Some(end));
    }
}
