//! What a provider's tokens cost, as typed by its author.

use std::sync::Arc;

use config::ValueKind;
use serde_json::{Value, json};

use super::describe::{Describe, Shape};
use super::price_values::{Factor, PricePerMillion, PricePerPiece};
use super::read::{ConfigNode, FromNode, Report, section};
use super::when::{DaysForm, HoursForm};
use super::zone::{DateForm, ZoneForm};
use crate::domain::calendar::Calendar;
use crate::domain::cost;
use crate::domain::ids::ModelName;
use crate::domain::price::Prices;
use crate::domain::price_sheet::{
    LongPrompt, OffPeak, PiecePrices, PriceDates, PriceSheet, Rates, TierRates,
};
use crate::domain::zone::Zone;

/// Prices of dates have one of these.
const PRICED: [&str; 7] = [
    "input",
    "per_request",
    "per_image",
    "per_second",
    "per_character",
    "per_page",
    "per_search",
];
/// What factors may depend on.
const CONDITIONS: [&str; 2] = ["geo", "speed"];

/// A section with the rates of tokens, and more.
macro_rules! rated {
    ($(#[doc = $about:literal])* $name:ident { $($more:tt)* }) => {
        section! {
            $(#[doc = $about])*
            $name {
                /// A million tokens of prompts.
                input: PricePerMillion,
                /// A million tokens of answers, reasoning included.
                output: PricePerMillion,
                /// A million tokens of prompts that were read from a cache. Default: `input`.
                cached_input: PricePerMillion,
                /// A million tokens that were written to a cache for minutes. Default: `input`.
                cache_write: PricePerMillion,
                /// A million tokens that were written to a cache for an hour. Default: `cache_write`.
                cache_write_1h: PricePerMillion,
                /// A million tokens of reasoning. Default: `output`.
                reasoning: PricePerMillion,
                /// A million tokens of sound in prompts. Default: `input`.
                input_audio: PricePerMillion,
                /// A million tokens of sound that were read from a cache. Default: `cached_input`.
                cached_input_audio: PricePerMillion,
                /// A million tokens of sound in answers. Default: `output`.
                output_audio: PricePerMillion,
                /// A million tokens of pictures in answers. Default: `output`.
                image_tokens: PricePerMillion,
                $($more)*
            }
        }

        impl $name {
            fn rates(&self) -> Rates {
                let price = |rate: Option<PricePerMillion>| rate.map(|PricePerMillion(price)| price);
                Rates {
                    input: price(self.input),
                    output: price(self.output),
                    cached_input: price(self.cached_input),
                    cache_write: price(self.cache_write),
                    cache_write_1h: price(self.cache_write_1h),
                    reasoning: price(self.reasoning),
                    input_audio: price(self.input_audio),
                    cached_input_audio: price(self.cached_input_audio),
                    output_audio: price(self.output_audio),
                    image_tokens: price(self.image_tokens),
                }
            }
        }
    };
}

rated! {
    /// `llm.providers[].price`
    PriceTable {
        /// Other rates of the whole request where its prompt is long; a rate that is missing is the usual one.
        above: Vec<AboveForm>,
        /// Other rates of service tiers, by the word that answers have for one (`priority`, `flex`, `batch`): a map of maps like
        /// this one; a rate that is missing is the usual one.
        tiers: TiersForm,
        /// Other rates of some hours of the day; the first that holds counts.
        off_peak: Vec<OffPeakForm>,
        /// Factors by what an answer says of itself, such as `{"geo:us": 1.1, "speed:fast": 2}`.
        multiply: FactorsForm,
        /// A request.
        per_request: PricePerPiece,
        /// A picture.
        per_image: PricePerPiece,
        /// A second of sound.
        per_second: PricePerPiece,
        /// A character of text to speak.
        per_character: PricePerPiece,
        /// A page that is read.
        per_page: PricePerPiece,
        /// A search on the web: a price, or one each for how much of the web it reads.
        per_search: SearchForm,
        /// The day on which these prices begin, in UTC, or a moment such as `2027-01-01T08:00:00+08:00`. A list of prices has
        /// several dates; the first one that holds when a request begins counts. Default: they have always held.
        from: DateForm,
        /// The day on which they hold no longer. Default: there is none.
        until: DateForm,
    }
}

rated! {
    /// `llm.providers[].price.above[]`
    AboveTable {
        /// The tokens of the whole prompt above which they hold.
        tokens: u64 = required,
        /// Whether they hold at that length already. Default: false.
        inclusive: bool,
    }
}

rated! {
    /// `llm.providers[].price.tiers`: by service tier
    TierTable {
        /// Other rates of this tier where the prompt is long.
        above: Vec<AboveForm>,
    }
}

rated! {
    /// `llm.providers[].price.off_peak[]`
    OffPeakTable {
        /// From when until when, one or several, such as `16:30-00:30`. The start is inside, the end outside.
        hours: HoursForm = required,
        /// The days on which they begin, such as `mon, tue`. Default: every day.
        days: DaysForm,
        /// Where these are times of day: a name such as `Asia/Shanghai`. Default: `UTC`.
        timezone: ZoneForm,
    }
}

section! {
    /// `llm.providers[].price.per_search`
    SearchTable {
        /// With little of the web.
        low: PricePerPiece,
        /// With a usual part of it.
        medium: PricePerPiece,
        /// With much of it.
        high: PricePerPiece,
    }
}

/// `per_search`: low, medium, high.
pub(super) struct SearchForm([Option<PricePerPiece>; 3]);

impl FromNode for SearchForm {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        if let ValueKind::Table(_) = &node.value.kind {
            let table = SearchTable::read(node, report)?;
            return Some(Self([table.low, table.medium, table.high]));
        }
        PricePerPiece::read(node, report).map(|price| Self([None, Some(price), None]))
    }
}

impl Describe for SearchForm {
    fn shape() -> Shape {
        PricePerPiece::shape().or(SearchTable::shape())
    }
}

/// The members of a map that hold something, each read.
fn members<'a, T: FromNode>(
    node: &ConfigNode<'a>,
    what: &str,
    report: &mut Report,
) -> Option<Vec<(&'a str, ConfigNode<'a>, T)>> {
    let ValueKind::Table(table) = &node.value.kind else {
        return node.wrong(what, report);
    };
    let mut given: Vec<_> = table
        .iter()
        .filter(|(_, value)| value.kind != ValueKind::Nil)
        .collect();
    given.sort_by_key(|(name, _)| *name);
    let read = given.into_iter().filter_map(|(name, value)| {
        let node = node.child(name, value);
        let read = T::read(&node, report)?;
        Some((name.as_str(), node, read))
    });
    Some(read.collect())
}

/// `tiers`
pub(super) struct TiersForm(Vec<TierRates>);

impl FromNode for TiersForm {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let tables: Vec<(_, _, TierTable)> =
            members(node, "a map of service tiers and prices", report)?;
        let mut tiers = Vec::new();
        for (name, node, table) in tables {
            if cost::tier(name).is_none() {
                let message = "is the usual tier, whose rates are those of `price` itself";
                node.reject::<()>(message, "move them there", report);
                continue;
            }
            tiers.push(TierRates {
                tier: name.into(),
                rates: table.rates(),
                above: long_prompts(table.above),
            });
        }
        Some(Self(tiers))
    }
}

impl Describe for TiersForm {
    fn shape() -> Shape {
        let word = TierTable::shape().word;
        TierTable::shape().mapped(&format!("map of service tiers and prices: {word}"))
    }
}

/// `multiply`
pub(super) struct FactorsForm(Vec<(Box<str>, u32)>);

impl FromNode for FactorsForm {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let given: Vec<(_, _, Factor)> = members(node, "a map of conditions and factors", report)?;
        let mut factors = Vec::new();
        for (name, node, Factor(factor)) in given {
            let kind = name.split_once(':').filter(|(_, word)| !word.is_empty());
            match kind {
                Some((kind, _)) if CONDITIONS.contains(&kind) => {
                    factors.push((name.into(), factor));
                }
                _ => {
                    let message = "is no condition: answers are asked for their `geo` and `speed`";
                    node.reject::<()>(message, "write geo:us or speed:fast", report);
                }
            }
        }
        Some(Self(factors))
    }
}

impl Describe for FactorsForm {
    fn shape() -> Shape {
        Factor::shape().mapped("map of conditions and factors")
    }
}

/// A member of `above`.
pub(super) struct AboveForm(LongPrompt);

impl FromNode for AboveForm {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let before = report.problems.len();
        let table = AboveTable::read(node, report)?;
        let Some(tokens) = table.tokens else {
            if report.problems.len() == before {
                let hint = "write the length of the prompt above which these rates hold";
                node.reject::<()>("needs tokens", hint, report);
            }
            return None;
        };
        Some(Self(LongPrompt {
            tokens,
            inclusive: table.inclusive.unwrap_or(false),
            rates: table.rates(),
        }))
    }
}

impl Describe for AboveForm {
    fn shape() -> Shape {
        AboveTable::shape()
    }
}

/// The shortest first.
fn long_prompts(above: Option<Vec<AboveForm>>) -> Vec<LongPrompt> {
    let steps = above.into_iter().flatten();
    let mut steps: Vec<LongPrompt> = steps.map(|AboveForm(step)| step).collect();
    steps.sort_by_key(|step| step.tokens);
    steps
}

/// A member of `off_peak`.
pub(super) struct OffPeakForm(OffPeak);

impl FromNode for OffPeakForm {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let before = report.problems.len();
        let mut table = OffPeakTable::read(node, report)?;
        if report.problems.len() > before {
            return None;
        }
        let rates = table.rates();
        let Some(HoursForm(hours)) = table.hours.take() else {
            return node.reject("needs hours", "write hours: 16:30-00:30", report);
        };
        Some(Self(OffPeak {
            hours: Calendar {
                hours,
                days: table.days.map_or([true; 7], |DaysForm(days)| days),
                zone: table.timezone.map_or_else(Zone::utc, |ZoneForm(zone)| zone),
            },
            rates,
        }))
    }
}

impl Describe for OffPeakForm {
    fn shape() -> Shape {
        OffPeakTable::shape()
    }
}

/// `llm.providers[].price`, complete: one sheet, or several of different dates.
pub(super) struct PriceForm(Arc<PriceSheet>);

impl FromNode for PriceForm {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let ValueKind::Array(_) = &node.value.kind else {
            return sheet(node, report).map(|sheet| Self(Arc::new(sheet)));
        };
        let before = report.problems.len();
        let items = node.items();
        let sheets: Vec<PriceSheet> = items
            .iter()
            .filter_map(|item| sheet(item, report))
            .collect();
        if report.problems.len() > before {
            return None;
        }
        let always = sheets.iter().rev().skip(1);
        if always
            .into_iter()
            .any(|it| it.dates == PriceDates::default())
        {
            let hint = "write from or until, or put it last";
            let message = "prices without dates hold always, so those behind them never do";
            return node.reject(message, hint, report);
        }
        let mut sheets = sheets.into_iter();
        // An empty list says nothing of prices.
        let first = sheets.next()?;
        Some(Self(Arc::new(PriceSheet {
            others: sheets.collect(),
            ..first
        })))
    }
}

/// The prices of one span of time.
fn sheet(node: &ConfigNode<'_>, report: &mut Report) -> Option<PriceSheet> {
    let before = report.problems.len();
    let mut table = PriceTable::read(node, report)?;
    let price = |piece: Option<PricePerPiece>| piece.map(|PricePerPiece(price)| price);
    let pieces = PiecePrices {
        request: price(table.per_request),
        image: price(table.per_image),
        second: price(table.per_second),
        character: price(table.per_character),
        page: price(table.per_page),
        search: table
            .per_search
            .take()
            .map_or([None; 3], |SearchForm(prices)| prices.map(price)),
    };
    let rates = table.rates();
    let sheet = PriceSheet {
        rates,
        above: long_prompts(table.above.take()),
        tiers: table
            .tiers
            .map(|TiersForm(tiers)| tiers)
            .unwrap_or_default(),
        off_peak: table
            .off_peak
            .into_iter()
            .flatten()
            .map(|OffPeakForm(hours)| hours)
            .collect(),
        multiply: table
            .multiply
            .map(|FactorsForm(factors)| factors)
            .unwrap_or_default(),
        pieces,
        dates: PriceDates {
            from: table.from.map(|DateForm(from)| from),
            until: table.until.map(|DateForm(until)| until),
        },
        others: Vec::new(),
    };
    // Wrong values have been reported already.
    if report.problems.len() > before {
        return None;
    }
    let tokens = rates.input.is_some() && rates.output.is_some();
    let only_pieces = rates == Rates::default() && pieces != PiecePrices::default();
    if tokens || only_pieces {
        if let (Some(from), Some(until)) = (sheet.dates.from, sheet.dates.until)
            && until <= from
        {
            let hint = "`until` is the first day on which they no longer hold";
            return node.reject("never holds: it ends before it begins", hint, report);
        }
        return Some(sheet);
    }
    node.reject(
        "needs input and output",
        "write {input: 2.5, output: 10}, per million tokens; 0 for what is free",
        report,
    )
}

impl Describe for PriceForm {
    fn shape() -> Shape {
        let one = PriceTable::shape();
        let mut several = Shape {
            sections: Vec::new(),
            ..PriceTable::shape().listed()
        };
        let item = several.schema.get_mut("items");
        if let Some(item) = item.and_then(Value::as_object_mut) {
            let some = PRICED.map(|key| json!({"required": [key]}));
            item.insert("anyOf".to_owned(), Value::from(some.to_vec()));
        }
        one.or(several)
    }
}

/// `llm.providers[].prices`: by model, in the order of their names.
pub(super) struct PricesForm(Vec<(ModelName, Arc<PriceSheet>)>);

impl FromNode for PricesForm {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let read: Vec<(_, _, PriceForm)> = members(node, "a map of models and prices", report)?;
        let prices = read.into_iter();
        Some(Self(
            prices
                .map(|(model, _, PriceForm(sheet))| (model.into(), sheet))
                .collect(),
        ))
    }
}

impl Describe for PricesForm {
    fn shape() -> Shape {
        Shape {
            // `price` leads to it.
            sections: Vec::new(),
            ..PriceForm::shape().mapped("map of models and prices like `price`")
        }
    }
}

/// The prices of `price` and `prices` together.
pub(super) fn prices(usual: Option<PriceForm>, models: Option<PricesForm>) -> Prices {
    Prices {
        usual: usual.map(|PriceForm(sheet)| sheet),
        models: models.map(|PricesForm(models)| models).unwrap_or_default(),
    }
}
