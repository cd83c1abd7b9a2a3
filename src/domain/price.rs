//! What tokens cost, in whichever currency its author counts.

use super::ids::ModelName;
use super::usage::Usage;

/// Prices are per this many tokens.
const PER: f64 = 1e6;

/// What a million tokens cost; finite, 0 or more.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Price {
    /// The price of the prompt.
    pub input: f64,
    /// Of the answer, reasoning included.
    pub output: f64,
    /// Of the part of the prompt that was read from a cache.
    pub cached_input: f64,
}

impl Price {
    /// What one answer cost. A missing count is 0, and cached tokens are at most the prompt's.
    pub fn of(&self, usage: &Usage) -> f64 {
        let prompt = usage.prompt_tokens.unwrap_or(0);
        let cached = usage.cached_tokens.unwrap_or(0).min(prompt);
        let completion = usage.completion_tokens.unwrap_or(0);
        let millions = number(prompt - cached) * self.input
            + number(cached) * self.cached_input
            + number(completion) * self.output;
        millions / PER
    }
}

/// What a provider's models cost.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Prices {
    /// Those that are not named.
    pub usual: Option<Price>,
    /// Models with a price of their own.
    pub models: Vec<(ModelName, Price)>,
}

impl Prices {
    /// The price of this model, if it is known.
    pub fn of(&self, model: &ModelName) -> Option<Price> {
        let named = self.models.iter().find(|(name, _)| name == model);
        named.map(|(_, price)| *price).or(self.usual)
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICE: Price = Price {
        input: 4.0,
        output: 8.0,
        cached_input: 1.0,
    };

    fn cost(prompt: Option<u64>, cached: Option<u64>, completion: Option<u64>) -> f64 {
        let usage = Usage {
            prompt_tokens: prompt,
            completion_tokens: completion,
            cached_tokens: cached,
            reasoning_tokens: Some(1_000_000),
            ..Usage::default()
        };
        PRICE.of(&usage)
    }

    #[test]
    fn each_token_is_paid_once() {
        let million = Some(1_000_000);
        for (prompt, cached, completion, expected) in [
            (Some(3_000_000), million, Some(2_000_000), 8.0 + 1.0 + 16.0),
            (million, None, None, 4.0),
            (None, None, million, 8.0),
            (million, million, Some(0), 1.0),
            // More from the cache than was sent.
            (million, Some(u64::MAX), None, 1.0),
            (None, million, None, 0.0),
            (None, None, None, 0.0),
        ] {
            let told = cost(prompt, cached, completion);
            assert!((told - expected).abs() < 1e-12, "{told}, not {expected}");
        }
        let largest = cost(Some(u64::MAX), Some(0), Some(u64::MAX));
        assert!(largest.is_finite() && largest > 1e14, "{largest}");
    }

    #[test]
    fn a_model_has_its_own_price_or_the_usual_one() {
        let own = Price {
            input: 0.0,
            ..PRICE
        };
        let prices = Prices {
            usual: Some(PRICE),
            models: vec![("small".into(), own)],
        };
        assert_eq!(prices.of(&"small".into()), Some(own));
        assert_eq!(prices.of(&"large".into()), Some(PRICE));
        assert_eq!(Prices::default().of(&"large".into()), None);
    }
}
