//! What a provider's tokens cost, as typed by its author.

use config::ValueKind;

use super::describe::{Describe, Shape};
use super::read::{ConfigNode, FromNode, Report, section};
use super::values::Amount;
use crate::domain::ids::ModelName;
use crate::domain::price::{Price, Prices};

section! {
    /// `llm.providers[].price`
    PriceTable {
        /// A million tokens of prompts.
        input: Amount = required,
        /// A million tokens of answers, reasoning included.
        output: Amount = required,
        /// A million tokens of prompts that were read from a cache. Default: `input`.
        cached_input: Amount,
    }
}

/// `llm.providers[].price`, complete.
pub(super) struct PriceForm(Price);

impl FromNode for PriceForm {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let before = report.problems.len();
        let table = PriceTable::read(node, report)?;
        if let (Some(Amount(input)), Some(Amount(output))) = (table.input, table.output) {
            let cached_input = table.cached_input.map_or(input, |Amount(price)| price);
            return Some(Self(Price {
                input,
                output,
                cached_input,
            }));
        }
        // Wrong values have been reported already.
        if report.problems.len() > before {
            return None;
        }
        node.reject(
            "needs input and output",
            "write {input: 2.5, output: 10}, per million tokens; 0 for what is free",
            report,
        )
    }
}

impl Describe for PriceForm {
    fn shape() -> Shape {
        PriceTable::shape()
    }
}

/// `llm.providers[].prices`: by model, in the order of their names.
pub(super) struct PricesForm(Vec<(ModelName, Price)>);

impl FromNode for PricesForm {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let ValueKind::Table(table) = &node.value.kind else {
            return node.wrong("a map of models and prices", report);
        };
        let given = table
            .iter()
            .filter(|(_, value)| value.kind != ValueKind::Nil);
        let read = given.filter_map(|(model, value)| {
            let PriceForm(price) = PriceForm::read(&node.child(model, value), report)?;
            Some((model.as_str().into(), price))
        });
        let mut prices: Vec<(ModelName, Price)> = read.collect();
        prices.sort_by(|(one, _), (other, _)| one.cmp(other));
        Some(Self(prices))
    }
}

impl Describe for PricesForm {
    fn shape() -> Shape {
        Shape {
            // `price` leads to it.
            sections: Vec::new(),
            ..PriceTable::shape().mapped("map of models and prices like `price`")
        }
    }
}

/// The prices of `price` and `prices` together.
pub(super) fn prices(usual: Option<PriceForm>, models: Option<PricesForm>) -> Prices {
    Prices {
        usual: usual.map(|PriceForm(price)| price),
        models: models.map(|PricesForm(models)| models).unwrap_or_default(),
    }
}
