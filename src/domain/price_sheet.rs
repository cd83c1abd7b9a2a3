//! What a model costs, in one normal form for all sources. No I/O, no clock, no logging.

use super::calendar::Calendar;
use super::money::Pico;

/// What one token of each kind costs. `None` means that the source has no rate of its own: what holds then is said at
/// each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rates {
    /// The prompt, as far as it was not read from a cache.
    pub input: Option<Pico>,
    /// The answer.
    pub output: Option<Pico>,
    /// What was read from a cache; else as `input`.
    pub cached_input: Option<Pico>,
    /// What was written to a cache for minutes; else as `input`.
    pub cache_write: Option<Pico>,
    /// What was written for an hour; else as `cache_write`.
    pub cache_write_1h: Option<Pico>,
    /// Reasoning; else as `output`, of which it is a part.
    pub reasoning: Option<Pico>,
    /// Sound in the prompt; else as `input`.
    pub input_audio: Option<Pico>,
    /// Sound that was read from a cache; else as `cached_input`.
    pub cached_input_audio: Option<Pico>,
    /// Sound in the answer; else as `output`.
    pub output_audio: Option<Pico>,
    /// Pictures in the answer, counted in tokens; else as `output`.
    pub image_tokens: Option<Pico>,
}

impl Rates {
    /// What a token of the prompt costs that was read from a cache.
    #[must_use]
    pub fn cache_read(&self) -> Option<Pico> {
        self.cached_input.or(self.input)
    }

    /// These rates, and of `base` those that are missing here.
    #[must_use]
    pub fn over(self, base: Self) -> Self {
        Self {
            input: self.input.or(base.input),
            output: self.output.or(base.output),
            cached_input: self.cached_input.or(base.cached_input),
            cache_write: self.cache_write.or(base.cache_write),
            cache_write_1h: self.cache_write_1h.or(base.cache_write_1h),
            reasoning: self.reasoning.or(base.reasoning),
            input_audio: self.input_audio.or(base.input_audio),
            cached_input_audio: self.cached_input_audio.or(base.cached_input_audio),
            output_audio: self.output_audio.or(base.output_audio),
            image_tokens: self.image_tokens.or(base.image_tokens),
        }
    }
}

/// Rates that hold for the whole request from some length of the prompt on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LongPrompt {
    /// Tokens of the whole prompt.
    pub tokens: u64,
    /// Whether it holds at that length already (xAI), not only above it.
    pub inclusive: bool,
    /// A rate that is missing here is the one without this.
    pub rates: Rates,
}

/// Rates of one service tier, by the word that answers have for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TierRates {
    /// `priority`, `flex`, `batch`.
    pub tier: Box<str>,
    /// A rate that is missing here is the standard one.
    pub rates: Rates,
    /// For long prompts, shortest first.
    pub above: Vec<LongPrompt>,
}

/// Rates of some hours of the day.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OffPeak {
    /// The hours.
    pub hours: Calendar,
    /// A rate that is missing here is the standard one.
    pub rates: Rates,
}

/// What is paid per piece, beside tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PiecePrices {
    /// A request.
    pub request: Option<Pico>,
    /// A picture.
    pub image: Option<Pico>,
    /// A second of sound.
    pub second: Option<Pico>,
    /// A character of text to speak.
    pub character: Option<Pico>,
    /// A page that is read.
    pub page: Option<Pico>,
    /// A search on the web, of low, medium and high context.
    pub search: [Option<Pico>; 3],
}

/// From when until when prices hold, in seconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PriceDates {
    /// From this moment on; `None`: always before `until`.
    pub from: Option<i64>,
    /// Before this moment; `None`: always after `from`.
    pub until: Option<i64>,
}

impl PriceDates {
    /// Whether they hold at this moment, in seconds since 1970.
    pub fn hold(self, unix: i64) -> bool {
        self.from.is_none_or(|from| from <= unix) && self.until.is_none_or(|until| unix < until)
    }
}

/// Everything one source says of what a model costs. Sheets of two sources are never mixed: a rate of one beside a rate of
/// the other fits nobody's bill.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PriceSheet {
    /// What holds where nothing else does.
    pub rates: Rates,
    /// For long prompts, shortest first.
    pub above: Vec<LongPrompt>,
    /// Of service tiers.
    pub tiers: Vec<TierRates>,
    /// Of some hours; the first that holds.
    pub off_peak: Vec<OffPeak>,
    /// Factors in thousandths, by what they depend on (`geo:us`, `speed:fast`).
    pub multiply: Vec<(Box<str>, u32)>,
    /// Beside tokens.
    pub pieces: PiecePrices,
    /// When all of this holds.
    pub dates: PriceDates,
    /// Sheets of other dates: where this one does not hold, the first of them that does.
    pub others: Vec<PriceSheet>,
}

impl PriceSheet {
    /// The sheet of a moment, in seconds since 1970. `None`: nothing is known of its prices.
    pub fn at(&self, unix: i64) -> Option<&Self> {
        let mut all = std::iter::once(self).chain(&self.others);
        all.find(|sheet| sheet.dates.hold(unix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sheet_that_holds_at_a_moment_counts() {
        let of = |from, until, others| PriceSheet {
            dates: PriceDates { from, until },
            others,
            ..PriceSheet::default()
        };
        let later = of(Some(100), None, Vec::new());
        let between = of(Some(50), Some(150), Vec::new());
        let all = of(None, Some(20), vec![later, between]);
        let from = |unix| all.at(unix).map(|sheet| sheet.dates.from);
        assert_eq!(from(19), Some(None));
        assert_eq!(from(20), None, "the end is outside");
        assert_eq!(from(50), Some(Some(50)));
        assert_eq!(from(100), Some(Some(100)));
        let always = PriceSheet::default();
        assert_eq!(always.at(i64::MIN), Some(&always));
    }
}
