//! Which price sheet holds for which upstream, and where it comes from. No I/O, no clock, no logging.

use std::sync::Arc;

use super::ids::ModelName;
use super::price_sheet::PriceSheet;

/// Where a sheet comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PriceSource {
    /// The operator wrote it.
    Configuration,
    /// A list of this name has it.
    List(Arc<str>),
}

impl PriceSource {
    /// Its name in pages and answers.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Configuration => "configuration",
            Self::List(name) => name,
        }
    }
}

/// What a provider's models cost, as configured.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Prices {
    /// Those that are not named.
    pub usual: Option<Arc<PriceSheet>>,
    /// Models with prices of their own.
    pub models: Vec<(ModelName, Arc<PriceSheet>)>,
}

impl Prices {
    /// The sheet of this model, if there is one.
    pub fn of(&self, model: &ModelName) -> Option<&Arc<PriceSheet>> {
        let named = self.models.iter().find(|(name, _)| name == model);
        named.map(|(_, sheet)| sheet).or(self.usual.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Pico;
    use crate::domain::price_sheet::Rates;

    #[test]
    fn a_model_has_its_own_sheet_or_the_usual_one() {
        let of = |picos| {
            Arc::new(PriceSheet {
                rates: Rates {
                    input: Some(Pico::new(picos)),
                    ..Rates::default()
                },
                ..PriceSheet::default()
            })
        };
        let prices = Prices {
            usual: Some(of(4)),
            models: vec![("small".into(), of(0))],
        };
        assert_eq!(prices.of(&"small".into()), Some(&of(0)));
        assert_eq!(prices.of(&"large".into()), Some(&of(4)));
        assert_eq!(Prices::default().of(&"large".into()), None);
    }
}
