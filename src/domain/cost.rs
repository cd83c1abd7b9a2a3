//! What an answer cost: what it used, priced by a sheet, in integers. No I/O, no clock, no logging.

mod components;
#[cfg(test)]
mod tests;

use std::time::SystemTime;

pub use components::Components;

use super::money::Pico;
use super::price_sheet::{LongPrompt, PiecePrices, PriceSheet, Rates, TierRates};
use super::usage::Usage;
use super::word::ShortWord;

/// Factors are in thousandths.
const WHOLE: u128 = 1000;
/// An upstream's own figure may differ by one part in so many from what its prices say.
const TOLERANCE: u64 = 100;

/// Where a figure comes from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum CostKind {
    /// From the upstream's counts and a price sheet.
    Real,
    /// The upstream's own figure.
    Upstream,
    /// From counts that were estimated in whole or in part.
    Estimated,
}

impl CostKind {
    /// Its name in logs, metrics and pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Real => "real",
            Self::Upstream => "upstream",
            Self::Estimated => "estimated",
        }
    }
}

/// What is to be known of a figure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CostFlags {
    /// What was written to a cache for an hour was priced as what is written for minutes: the sheet has no price for it.
    pub no_hour_price: bool,
    /// The sheet has no prices of the service tier: the standard ones were taken.
    pub no_tier_price: bool,
    /// The sheet has no price of the searches that were made: they were counted as free.
    pub no_search_price: bool,
    /// The upstream's own figure and that of the sheet differ by more than 1 %.
    pub differs: bool,
}

/// What one answer costs by a sheet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Priced {
    /// The sum of all components.
    pub amount: Pico,
    /// What the sheet lacks.
    pub flags: CostFlags,
}

/// What one attempt cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cost {
    /// What counts.
    pub amount: Pico,
    /// Where that comes from.
    pub kind: CostKind,
    /// What the sheet says, where there is one.
    pub priced: Option<Pico>,
    /// What the upstream says, where it does.
    pub told: Option<Pico>,
    /// What is to be known of it.
    pub flags: CostFlags,
}

impl Cost {
    /// The cost of an attempt by both figures; `None` when neither is known. The upstream's own figure counts for more than
    /// a sheet, unless it is 0. `estimated`: whether the counts were.
    pub fn of(priced: Option<Priced>, told: Pico, estimated: bool) -> Option<Self> {
        let told = Some(told).filter(|told| *told > Pico::ZERO);
        let by_sheet = priced.map(|priced| priced.amount);
        let mut flags = priced.map(|priced| priced.flags).unwrap_or_default();
        if let (Some(told), Some(priced), false) = (told, by_sheet, estimated) {
            let apart = told.minus(priced).plus(priced.minus(told));
            flags.differs = apart.get() > told.get() / TOLERANCE;
        }
        let kind = match (told, estimated) {
            (Some(_), _) => CostKind::Upstream,
            (None, true) => CostKind::Estimated,
            (None, false) => CostKind::Real,
        };
        Some(Self {
            amount: told.or(by_sheet)?,
            kind,
            priced: by_sheet,
            told,
            flags,
        })
    }
}

/// What an answer with this usage costs, of a request that began `at` this time; `None` where a price is missing for
/// something that was used: unknown is not zero. `asked` is the service tier that was asked for, which holds where the
/// answer does not say which one served it.
pub fn price(sheet: &PriceSheet, usage: &Usage, asked: &str, at: SystemTime) -> Option<Priced> {
    let unix = unix(at);
    let sheet = sheet.at(unix)?;
    let served = usage.details.tier.or(tier(asked));
    let used = Components::of(usage);
    let mut flags = CostFlags::default();
    let rates = rates(sheet, used.prompt(), served, unix, &mut flags);
    flags.no_hour_price = used.write_1h > 0 && rates.cache_write_1h.is_none();
    flags.no_search_price = used.searches > 0 && search(&sheet.pieces).is_none();
    let factors = factors(sheet, usage);
    let mut sum: u128 = 0;
    let counted = usage.total().is_some();
    for (count, rate) in priced_parts(&used, &rates, &sheet.pieces, counted) {
        if count > 0 {
            sum = sum.saturating_add(component(count, rate?, &factors));
        }
    }
    // A request has a price of its own only where the sheet says so.
    let request = sheet.pieces.request.map_or(0, |price| price.get());
    sum = sum.saturating_add(u128::from(request));
    Some(Priced {
        amount: Pico::new(u64::try_from(sum).unwrap_or(u64::MAX)),
        flags,
    })
}

/// What a request is expected to cost before it is sent: so many tokens of prompt, none of them from a cache, and so many of
/// answer. `None` where the sheet does not say.
pub fn expected_cost(
    sheet: &PriceSheet,
    prompt_tokens: u64,
    output_tokens: u64,
    at: SystemTime,
) -> Option<Pico> {
    let usage = Usage {
        prompt_tokens: Some(prompt_tokens),
        completion_tokens: Some(output_tokens),
        ..Usage::default()
    };
    price(sheet, &usage, "", at).map(|priced| priced.amount)
}

/// The word of prices for a service tier by any of the words that APIs have for it; none for the standard one.
pub fn tier(word: &str) -> ShortWord {
    // LiteLLM's map prices what OpenAI calls `fast` as `priority`, and has `batches`. Google's words may have been cut.
    let word = ShortWord::of(word);
    match word.as_str() {
        "" | "auto" | "default" | "standard" | "standard_only" | "on_demand" | "unspecified" => {
            ShortWord::NONE
        }
        "fast" | "on_demand_priori" => ShortWord::of("priority"),
        "on_demand_flex" => ShortWord::of("flex"),
        "batches" => ShortWord::of("batch"),
        _ => word,
    }
}

/// The rates of a request: of those that hold, a later one counts for more, rate by rate: the standard ones, those of the
/// hours, of a long prompt, of the service tier, of a long prompt in that tier.
fn rates(
    sheet: &PriceSheet,
    prompt: u64,
    served: ShortWord,
    unix: i64,
    flags: &mut CostFlags,
) -> Rates {
    let mut rates = sheet.rates;
    let mut off_peak = sheet.off_peak.iter();
    if let Some(hours) = off_peak.find(|off_peak| off_peak.hours.holds(unix)) {
        rates = hours.rates.over(rates);
    }
    rates = long(&sheet.above, prompt).map_or(rates, |long| long.over(rates));
    // `standard` says that no other one served it, whatever was asked for.
    let served = tier(served.as_str());
    if served.is_none() {
        return rates;
    }
    let own = |known: &&TierRates| tier(&known.tier) == served;
    let Some(known) = sheet.tiers.iter().find(own) else {
        flags.no_tier_price = true;
        return rates;
    };
    rates = known.rates.over(rates);
    long(&known.above, prompt).map_or(rates, |long| long.over(rates))
}

/// The rates of the longest prompt that this one reaches.
fn long(above: &[LongPrompt], prompt: u64) -> Option<Rates> {
    let reached =
        |step: &&LongPrompt| prompt > step.tokens || (step.inclusive && prompt == step.tokens);
    let longest = above.iter().filter(reached).max_by_key(|step| step.tokens);
    longest.map(|step| step.rates)
}

/// Each component's count with its price, every token once. `counted`: whether tokens were: what was made is paid by them
/// where its pieces have no price of their own.
fn priced_parts(
    used: &Components,
    rates: &Rates,
    pieces: &PiecePrices,
    counted: bool,
) -> [(u64, Option<Pico>); 15] {
    let or_tokens = |price: Option<Pico>| price.or(counted.then_some(Pico::ZERO));
    let cached = rates.cache_read();
    let write = rates.cache_write.or(rates.input);
    [
        (used.input, rates.input),
        (used.cached, cached),
        (used.write, write),
        (used.write_1h, rates.cache_write_1h.or(write)),
        (used.input_audio, rates.input_audio.or(rates.input)),
        (used.cached_audio, rates.cached_input_audio.or(cached)),
        (used.output, rates.output),
        (used.reasoning, rates.reasoning.or(rates.output)),
        (used.output_audio, rates.output_audio.or(rates.output)),
        (used.output_images, rates.image_tokens.or(rates.output)),
        (used.searches, search(pieces).or(Some(Pico::ZERO))),
        (used.seconds, pieces.second),
        (used.images, or_tokens(pieces.image)),
        (used.pages, or_tokens(pieces.page)),
        (used.characters, or_tokens(pieces.character)),
    ]
}

/// Seconds since 1970.
fn unix(at: SystemTime) -> i64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

/// What a search costs. Answers do not say how much of the web one read.
fn search(pieces: &PiecePrices) -> Option<Pico> {
    let [low, medium, high] = pieces.search;
    medium.or(high).or(low)
}

/// The factors that hold for an answer, in thousandths.
fn factors(sheet: &PriceSheet, usage: &Usage) -> Vec<u32> {
    let holds = |name: &str| {
        let (kind, word) = name.split_once(':')?;
        let said = match kind {
            "geo" => usage.details.geo,
            "speed" => usage.details.speed,
            _ => return None,
        };
        (!said.is_none() && said == ShortWord::of(word)).then_some(())
    };
    // Empty for most sheets, which takes no allocation.
    let all = sheet.multiply.iter();
    all.filter_map(|(name, factor)| holds(name).map(|()| *factor))
        .collect()
}

/// What so many of a component cost. A factor's result is rounded half to even.
fn component(count: u64, rate: Pico, factors: &[u32]) -> u128 {
    let mut amount = u128::from(count) * u128::from(rate.get());
    let mut divisor: u128 = 1;
    for factor in factors {
        amount = amount.saturating_mul(u128::from(*factor));
        divisor = divisor.saturating_mul(WHOLE);
    }
    let (whole, rest) = (amount / divisor, amount % divisor);
    let up = match (rest.saturating_mul(2)).cmp(&divisor) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => whole % 2 == 1,
        std::cmp::Ordering::Greater => true,
    };
    whole + u128::from(up)
}
