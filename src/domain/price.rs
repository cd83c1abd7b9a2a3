//! Which price sheet holds for which upstream, and where it comes from. No I/O, no clock, no logging.

use std::sync::Arc;

use super::catalog::entry::Origin;
use super::catalog::lists::Catalog;
use super::hash_map::HashMap;
use super::ids::{ModelName, ProviderName, Upstream};
use super::price_sheet::PriceSheet;

/// Where a sheet comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PriceSource {
    /// The operator wrote it.
    Configuration,
    /// A list of this name has it.
    List(Arc<Origin>),
}

impl PriceSource {
    /// Its name in pages and answers.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Configuration => "configuration",
            Self::List(origin) => &origin.name,
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

/// What is known of prices: all sources, the strongest first.
#[derive(Clone, Debug, Default)]
pub struct PriceBook {
    configured: HashMap<ProviderName, Prices>,
    catalog: Option<Arc<Catalog>>,
}

impl PriceBook {
    /// With what is configured of each provider, and what lists say.
    pub fn new(
        configured: impl IntoIterator<Item = (ProviderName, Prices)>,
        catalog: Option<Arc<Catalog>>,
    ) -> Self {
        let configured = configured.into_iter();
        Self {
            catalog: catalog.filter(|catalog| !catalog.is_empty()),
            configured: configured
                .filter(|(_, prices)| *prices != Prices::default())
                .collect(),
        }
    }

    /// Whether no price is known at all.
    pub fn is_empty(&self) -> bool {
        self.configured.is_empty() && self.catalog.is_none()
    }

    /// The sheet of an upstream and its source, if there is one.
    pub fn sheet_of(&self, upstream: &Upstream) -> Option<(Arc<PriceSheet>, PriceSource)> {
        let configured = self.configured.get(&upstream.provider);
        if let Some(sheet) = configured.and_then(|prices| prices.of(&upstream.model)) {
            return Some((Arc::clone(sheet), PriceSource::Configuration));
        }
        let catalog = self.catalog.as_ref()?;
        let (sheet, origin) = catalog.sheet(&upstream.provider, &upstream.model)?;
        Some((sheet, PriceSource::List(origin)))
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
        let book = PriceBook::new(
            [("p".into(), prices), ("q".into(), Prices::default())],
            None,
        );
        let source = |provider: &str| book.sheet_of(&Upstream::new(provider, "small"));
        assert_eq!(source("p"), Some((of(0), PriceSource::Configuration)));
        assert_eq!(source("q"), None);
        assert!(!book.is_empty() && PriceBook::default().is_empty());
    }
}
