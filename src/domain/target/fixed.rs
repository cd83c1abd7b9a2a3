//! UpstreamFigures for tests: what a table says.

use std::time::Duration;

use crate::domain::ids::{ProviderName, Upstream};
use crate::domain::money::Pico;
use crate::domain::policy::{Signal, TokenPrices, UpstreamFigures};
use crate::domain::spill::TierKeys;
use crate::domain::unmet::Unmet;

/// By provider's name.
#[derive(Default)]
pub(crate) struct Fixed {
    pub(crate) in_flight: Vec<(&'static str, u32)>,
    pub(crate) pending: Vec<(&'static str, u32)>,
    pub(crate) cost: Vec<(&'static str, u64)>,
    /// Of a token of the prompt; one of the answer costs twice as much.
    pub(crate) prices: Vec<(&'static str, u64)>,
    pub(crate) latency: Vec<(&'static str, u64)>,
    pub(crate) used: Vec<(&'static str, f64)>,
    pub(crate) lacks: Vec<(&'static str, Unmet)>,
    pub(crate) window: Vec<(&'static str, u64)>,
    pub(crate) tags: Vec<(&'static str, &'static str)>,
    pub(crate) turn: u64,
    /// Usable and all; of others one of one.
    pub(crate) keys: Vec<(&'static str, (u32, u32))>,
}

fn of<T: Copy>(table: &[(&str, T)], provider: &ProviderName) -> Option<T> {
    let row = table.iter().find(|(name, _)| *name == provider.as_str());
    row.map(|(_, value)| *value)
}

impl UpstreamFigures for Fixed {
    fn in_flight(&self, provider: &ProviderName) -> u32 {
        of(&self.in_flight, provider).unwrap_or(0)
    }

    fn pending(&self, upstream: &Upstream) -> u32 {
        of(&self.pending, &upstream.provider).unwrap_or(0)
    }

    fn cost(&self, upstream: &Upstream) -> Option<Pico> {
        of(&self.cost, &upstream.provider).map(Pico::new)
    }

    fn token_prices(&self, upstream: &Upstream) -> TokenPrices {
        let input = of(&self.prices, &upstream.provider);
        TokenPrices {
            input: input.map(Pico::new),
            output: input.map(|price| Pico::new(2 * price)),
        }
    }

    fn latency(&self, upstream: &Upstream, _: Signal) -> Option<Duration> {
        of(&self.latency, &upstream.provider).map(Duration::from_millis)
    }

    fn first_token(&self, upstream: &Upstream) -> Option<Duration> {
        self.latency(upstream, Signal::FirstToken)
    }

    fn tags(&self, upstream: &Upstream) -> Vec<&str> {
        let own = self.tags.iter();
        let own = own.filter(|(name, _)| *name == upstream.provider.as_str());
        own.map(|(_, tag)| *tag).collect()
    }

    fn used(&self, upstream: &Upstream) -> Option<f64> {
        of(&self.used, &upstream.provider)
    }

    fn context_window(&self, upstream: &Upstream) -> Option<u64> {
        of(&self.window, &upstream.provider)
    }

    fn base_priority(&self, _: &ProviderName) -> f64 {
        1.0
    }

    fn keys(&self, upstream: &Upstream) -> TierKeys {
        let (usable, all) = of(&self.keys, &upstream.provider).unwrap_or((1, 1));
        TierKeys { usable, all }
    }

    fn lacks(&self, upstream: &Upstream) -> Option<Unmet> {
        of(&self.lacks, &upstream.provider)
    }

    fn turn(&self, _: usize) -> u64 {
        self.turn
    }
}
