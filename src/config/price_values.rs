//! Amounts of money as they are typed: read as text, so that none goes through a floating-point number more than the YAML
//! reader makes it.

use std::fmt::Display;

use config::ValueKind;

use super::describe::{Describe, Shape};
use super::read::{ConfigNode, FromNode, Report};
use super::values::Amount;
use crate::domain::money::Pico;

/// More than this per million tokens is probably meant for another number of tokens.
const HIGH: u64 = 1000;
/// The price of one token at 1 per million.
const PER_MILLION: u64 = 1_000_000;
/// One unit of money.
const UNIT: u64 = 1_000_000 * PER_MILLION;

/// A price per million tokens, as the price of one.
#[derive(Clone, Copy)]
pub(super) struct PricePerMillion(pub Pico);

/// A price per piece.
#[derive(Clone, Copy)]
pub(super) struct PricePerPiece(pub Pico);

/// A factor, in thousandths.
#[derive(Clone, Copy)]
pub(super) struct Factor(pub u32);

/// The number as it was typed; the shortest text that means the same where only its value is known.
fn written(node: &ConfigNode<'_>) -> Option<String> {
    let shown = |number: &dyn Display| number.to_string();
    match &node.value.kind {
        ValueKind::Float(number) => Some(shown(number)),
        _ => Some(node.text()?.trim().replace('_', "")),
    }
}

/// Reads a number of at most this many decimal places.
fn read(
    node: &ConfigNode<'_>,
    places: u32,
    parse: fn(&str) -> Option<Pico>,
    report: &mut Report,
) -> Option<Pico> {
    let is_number = node.number().is_some_and(|number| number >= 0.0);
    let text = written(node).filter(|_| is_number);
    let Some(text) = text else {
        return node.wrong("a number, 0 or more", report);
    };
    parse(text.trim_start_matches('+')).or_else(|| {
        let message = format!("is too large, or has more than {places} decimal places");
        node.reject(message, "amounts of money are kept exactly", report)
    })
}

impl FromNode for PricePerMillion {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let price = read(node, 6, Pico::per_token_of_million, report)?;
        if price.get() > HIGH * PER_MILLION {
            let text = format!(
                "more than {HIGH} per million tokens: prices here are per million tokens, not per thousand or one"
            );
            report.warn(&node.path, text);
        }
        Some(Self(price))
    }
}

impl FromNode for PricePerPiece {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        read(node, 12, Pico::parse, report).map(Self)
    }
}

impl FromNode for Factor {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let thousandths = |text: &str| {
            let picos = Pico::parse(text)?.get();
            (picos % (UNIT / 1000) == 0).then_some(Pico::new(picos / (UNIT / 1000)))
        };
        let factor = read(node, 3, thousandths, report)?.get();
        match u32::try_from(factor) {
            Ok(factor) => Some(Self(factor)),
            Err(_) => node.wrong("a factor of at most 4,294,967", report),
        }
    }
}

impl Describe for PricePerMillion {
    fn shape() -> Shape {
        Amount::shape()
    }
}

impl Describe for PricePerPiece {
    fn shape() -> Shape {
        Amount::shape()
    }
}

impl Describe for Factor {
    fn shape() -> Shape {
        Amount::shape()
    }
}
