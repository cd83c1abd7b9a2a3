//! What an answer used, as an upstream reports it. No I/O, no clock, no logging.

use super::money::Pico;
use super::word::ShortWord;

/// The tokens of one answer. Each count is `None` when the upstream does not report it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// The prompt: what was read from a cache and what was written to one are parts of it.
    pub prompt_tokens: Option<u64>,
    /// The answer, reasoning included.
    pub completion_tokens: Option<u64>,
    /// The part of the prompt that was read from a cache.
    pub cached_tokens: Option<u64>,
    /// The part of the answer that was reasoning.
    pub reasoning_tokens: Option<u64>,
    /// What only some upstreams report.
    pub details: UsageDetails,
}

/// What only some upstreams report, and what only costs depend on. A count of 0 stands for none and for one that was not
/// reported: both cost nothing of their own, since they are parts of the prompt or the answer, or pieces that are not there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct UsageDetails {
    /// The part of the prompt that was written to a cache.
    pub cache_write: u32,
    /// The part of that which is kept for an hour.
    pub cache_write_1h: u32,
    /// Sound in the prompt.
    pub input_audio: u32,
    /// The part of that which was read from a cache.
    pub cached_audio: u32,
    /// Sound in the answer.
    pub output_audio: u32,
    /// Pictures in the answer, in tokens.
    pub output_images: u32,
    /// Searches on the web.
    pub searches: u32,
    /// Seconds of sound, where they are counted in place of tokens.
    pub seconds: u32,
    /// Pictures that were made.
    pub images: u32,
    /// Pages that were read.
    pub pages: u32,
    /// Characters of a text that was spoken.
    pub characters: u32,
    /// The service tier that served the answer, in OpenAI's words; `standard` for the usual one.
    pub tier: ShortWord,
    /// Where the answer was made.
    pub geo: ShortWord,
    /// How fast it was made.
    pub speed: ShortWord,
    /// What the upstream says that it cost; nothing where it does not say: some say 0 of what they charge for.
    pub cost: Pico,
}

impl UsageDetails {
    fn merge(self, later: Self, both: fn(u32, u32) -> u32, costs: fn(Pico, Pico) -> Pico) -> Self {
        Self {
            cache_write: both(self.cache_write, later.cache_write),
            cache_write_1h: both(self.cache_write_1h, later.cache_write_1h),
            input_audio: both(self.input_audio, later.input_audio),
            cached_audio: both(self.cached_audio, later.cached_audio),
            output_audio: both(self.output_audio, later.output_audio),
            output_images: both(self.output_images, later.output_images),
            searches: both(self.searches, later.searches),
            seconds: both(self.seconds, later.seconds),
            images: both(self.images, later.images),
            pages: both(self.pages, later.pages),
            characters: both(self.characters, later.characters),
            tier: later.tier.or(self.tier),
            geo: later.geo.or(self.geo),
            speed: later.speed.or(self.speed),
            cost: costs(self.cost, later.cost),
        }
    }
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
            details: self
                .details
                .merge(other.details, u32::saturating_add, Pico::plus),
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
            details: self.details.merge(later.details, u32::max, Pico::max),
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

    /// Whether something is counted that is paid by the piece, in place of tokens or beside them.
    pub fn has_pieces(&self) -> bool {
        let UsageDetails {
            seconds,
            images,
            pages,
            characters,
            ..
        } = self.details;
        seconds.max(images).max(pages).max(characters) > 0
    }

    /// Whether anything is told that may be charged for: also a count of 0.
    pub fn tells(&self) -> bool {
        let details = &self.details;
        self.total().is_some()
            || details.cost > Pico::ZERO
            || self.has_pieces()
            || details.searches > 0
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
            details: UsageDetails {
                cache_write: 20,
                tier: ShortWord::of("priority"),
                ..UsageDetails::default()
            },
        };
        let end = Usage {
            completion_tokens: Some(20),
            prompt_tokens: Some(0),
            details: UsageDetails {
                searches: 2,
                geo: ShortWord::of("us"),
                ..UsageDetails::default()
            },
            ..Usage::default()
        };
        let both = Usage::latest(Some(start), Some(end)).unwrap();
        assert_eq!((both.total(), both.cached_tokens), (Some(180), Some(100)));
        let details = both.details;
        assert_eq!((details.cache_write, details.searches), (20, 2));
        assert_eq!(
            (details.tier.as_str(), details.geo.as_str()),
            ("priority", "us")
        );
        assert_eq!(Usage::latest(Some(start), None), Some(start));
        assert_eq!(Usage::latest(None, Some(end)), Some(end));
        // Told again, it is the same; of another answer, it is added.
        assert_eq!(both.with(both), both);
        assert_eq!(both.plus(both).details.cache_write, 40);
    }
}
