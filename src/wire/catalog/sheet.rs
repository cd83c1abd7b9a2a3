//! Builds a price sheet from the prices of one entry, whatever their list calls them.

use std::sync::Arc;

use super::amount::{self, PriceUnit};
use super::node::Node;
use crate::domain::catalog::entry::{Entry, Zero};
use crate::domain::catalog::notes::Notes;
use crate::domain::money::Pico;
use crate::domain::price_sheet::{LongPrompt, OffPeak, PriceSheet, Rates, TierRates};

/// Which rate of a sheet a price is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rate {
    Input,
    Output,
    CachedInput,
    CacheWrite,
    CacheWrite1h,
    Reasoning,
    InputAudio,
    CachedInputAudio,
    OutputAudio,
    ImageTokens,
}

impl Rate {
    /// Its place in a set of rates.
    pub fn slot(self, rates: &mut Rates) -> &mut Option<Pico> {
        match self {
            Self::Input => &mut rates.input,
            Self::Output => &mut rates.output,
            Self::CachedInput => &mut rates.cached_input,
            Self::CacheWrite => &mut rates.cache_write,
            Self::CacheWrite1h => &mut rates.cache_write_1h,
            Self::Reasoning => &mut rates.reasoning,
            Self::InputAudio => &mut rates.input_audio,
            Self::CachedInputAudio => &mut rates.cached_input_audio,
            Self::OutputAudio => &mut rates.output_audio,
            Self::ImageTokens => &mut rates.image_tokens,
        }
    }

    /// Without these no request can be priced.
    const fn is_basic(self) -> bool {
        matches!(self, Self::Input | Self::Output)
    }
}

/// What is paid per piece.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PiecePrice {
    Request,
    Image,
    Second,
    Character,
    Page,
    /// By the size of its context: 0 low, 1 medium, 2 high; anything else all of them.
    Search(usize),
}

/// A sheet in the making.
#[derive(Debug, Default)]
pub(super) struct SheetDraft {
    pub sheet: PriceSheet,
    /// What could not be read, as `key "text"`.
    bad: Vec<String>,
    /// A price without which the sheet would be wrong could not be read.
    unknown: bool,
}

impl SheetDraft {
    /// Reads a price; remembers what is none.
    pub fn read(&mut self, key: &str, node: Node<'_>, unit: PriceUnit) -> Option<Pico> {
        let written = node.written();
        let price = written
            .as_deref()
            .and_then(|text| amount::price(text, unit));
        if price.is_none() {
            let text: String = written
                .as_deref()
                .unwrap_or("a value")
                .chars()
                .take(40)
                .collect();
            self.bad.push(format!("{key} \"{text}\""));
        }
        price
    }

    /// Reads one of the usual rates.
    pub fn rate(&mut self, key: &str, rate: Rate, node: Node<'_>, unit: PriceUnit) {
        match self.read(key, node, unit) {
            Some(price) => *rate.slot(&mut self.sheet.rates) = Some(price),
            None => self.unknown |= rate.is_basic(),
        }
    }

    /// Reads a rate for prompts of more than `tokens`, of a service tier if one is named.
    pub fn long(
        &mut self,
        key: &str,
        to: RatePlace<'_>,
        rate: Rate,
        node: Node<'_>,
        unit: PriceUnit,
    ) {
        match self.read(key, node, unit) {
            Some(price) => *rate.slot(self.place(to)) = Some(price),
            // The rate without it would be too low.
            None => self.unknown = true,
        }
    }

    /// Reads what is paid per piece.
    pub fn piece(&mut self, key: &str, piece: PiecePrice, node: Node<'_>) {
        let Some(price) = self.read(key, node, PriceUnit::Each) else {
            return;
        };
        // Nothing per piece is what lists write everywhere.
        let price = Some(price).filter(|price| *price > Pico::ZERO);
        let pieces = &mut self.sheet.pieces;
        match piece {
            PiecePrice::Request => pieces.request = price,
            PiecePrice::Image => pieces.image = price,
            PiecePrice::Second => pieces.second = price,
            PiecePrice::Character => pieces.character = price,
            PiecePrice::Page => pieces.page = price,
            PiecePrice::Search(size) => match pieces.search.get_mut(size) {
                Some(slot) => *slot = price,
                None => pieces.search = [price; 3],
            },
        }
    }

    /// The rates of a place in the sheet, made if they are not there.
    pub fn place(&mut self, to: RatePlace<'_>) -> &mut Rates {
        let Some(tier) = to.tier else {
            return match to.above {
                None => &mut self.sheet.rates,
                Some(tokens) => long_rates(&mut self.sheet.above, tokens, to.inclusive),
            };
        };
        let tiers = &mut self.sheet.tiers;
        let at = tiers.iter().position(|known| &*known.tier == tier);
        let at = at.unwrap_or_else(|| {
            tiers.push(TierRates {
                tier: tier.into(),
                rates: Rates::default(),
                above: Vec::new(),
            });
            tiers.len() - 1
        });
        match tiers.get_mut(at) {
            Some(tier) => match to.above {
                None => &mut tier.rates,
                Some(tokens) => long_rates(&mut tier.above, tokens, to.inclusive),
            },
            None => &mut self.sheet.rates,
        }
    }

    /// Adds rates of some hours.
    pub fn off_peak(&mut self, hours: OffPeak) {
        self.sheet.off_peak.push(hours);
    }

    /// Adds a factor.
    pub fn multiply(&mut self, on: String, key: &str, node: Node<'_>) {
        match node.written().as_deref().and_then(amount::thousandths) {
            Some(factor) => self.sheet.multiply.push((on.into(), factor)),
            None => self.bad.push(format!("{key} is no factor")),
        }
    }

    /// The prices are known not to be what they say.
    pub fn distrust(&mut self) {
        self.unknown = true;
    }

    /// Gives the entry its sheet, and says what was wrong with it, in one warning.
    pub fn finish(mut self, entry: &mut Entry, notes: &mut Notes) {
        if !self.bad.is_empty() {
            self.bad.truncate(4);
            notes.warn(format!(
                "`{}`: {} is no price: {}",
                entry.id,
                self.bad.join(", "),
                if self.unknown {
                    "what the model costs is unknown"
                } else {
                    "it is left out"
                }
            ));
        }
        let Rates { input, output, .. } = self.sheet.rates;
        let zero = |rate: Option<Pico>| rate.is_none_or(|rate| rate == Pico::ZERO);
        let all_zero = !self.unknown && input.or(output).is_some() && zero(input) && zero(output);
        entry.free = (all_zero && entry.zero == Zero::Free) || entry.id.ends_with(":free");
        if all_zero {
            self.sheet.rates.input = Some(Pico::ZERO);
            self.sheet.rates.output = Some(Pico::ZERO);
        }
        for tier in &mut self.sheet.tiers {
            tier.above.sort_by_key(|long| long.tokens);
        }
        self.sheet.above.sort_by_key(|long| long.tokens);
        let says_nothing = self.sheet == PriceSheet::default();
        entry.sheet = (!self.unknown && !says_nothing).then(|| Arc::new(self.sheet));
        if entry.free && says_nothing && !self.unknown {
            let rates = Rates {
                input: Some(Pico::ZERO),
                output: Some(Pico::ZERO),
                ..Rates::default()
            };
            entry.sheet = Some(Arc::new(PriceSheet {
                rates,
                ..PriceSheet::default()
            }));
        }
    }
}

/// Where in a sheet a rate goes.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct RatePlace<'a> {
    /// The service tier.
    pub tier: Option<&'a str>,
    /// For prompts of more tokens than that.
    pub above: Option<u64>,
    /// Or of as many.
    pub inclusive: bool,
}

fn long_rates(above: &mut Vec<LongPrompt>, tokens: u64, inclusive: bool) -> &mut Rates {
    let known = above
        .iter()
        .position(|long| long.tokens == tokens && long.inclusive == inclusive);
    let at = known.unwrap_or_else(|| {
        above.push(LongPrompt {
            tokens,
            inclusive,
            rates: Rates::default(),
        });
        above.len() - 1
    });
    // It is there: either found, or pushed just now.
    &mut above[at].rates
}
