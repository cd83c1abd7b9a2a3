//! What requests cost: what answers say themselves, else tokens at the prices that the process lists.

use std::collections::HashMap;

use serde_json::Value;

use crate::domain::bench::RequestSample;
use crate::domain::money::Pico;

/// What one upstream asks for a token of a prompt and one of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct UpstreamRates {
    input: Pico,
    output: Pico,
}

/// Prices by upstream.
#[derive(Clone, Debug, Default)]
pub(super) struct PriceTable(HashMap<String, UpstreamRates>);

impl PriceTable {
    /// Those of a list of models, and of upstreams that cost nothing whatever a list says.
    pub(super) fn new(list: &Value, free: impl Iterator<Item = String>) -> Self {
        let models = list["data"].as_array();
        let listed = models.into_iter().flatten().filter_map(|model| {
            let price = |name: &str| {
                let text = model["pricing"][name].as_str()?;
                Pico::per_token_of_million(text)
            };
            let prices = UpstreamRates {
                input: price("input")?,
                output: price("output")?,
            };
            Some((model["id"].as_str()?.to_owned(), prices))
        });
        let nothing = UpstreamRates {
            input: Pico::ZERO,
            output: Pico::ZERO,
        };
        let free = free.map(|upstream| (upstream, nothing));
        Self(listed.chain(free).collect())
    }

    /// What a request cost, at least; `None` where that is not known.
    pub(super) fn cost(&self, sample: &RequestSample) -> Option<Pico> {
        let upstream = sample.upstream.as_deref()?;
        let provider = upstream.split(':').next().unwrap_or_default();
        let prices = self.0.get(upstream).or_else(|| self.0.get(provider))?;
        let input = prices.input.times(sample.input_tokens);
        Some(input.plus(prices.output.times(sample.output_tokens)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tokens_cost_what_the_list_says() {
        let list = json!({"data": [
            {"id": "a:m", "pricing": {"input": "1.5", "output": "10"}},
            {"id": "b:m"},
        ]});
        let table = PriceTable::new(&list, ["demo".to_owned()].into_iter());
        let cost = |upstream: &str| {
            table.cost(&RequestSample {
                upstream: Some(upstream.into()),
                input_tokens: 1000,
                output_tokens: 10,
                ..RequestSample::failed("")
            })
        };
        assert_eq!(cost("a:m"), Pico::parse("0.0016"));
        assert_eq!(cost("b:m"), None);
        assert_eq!(cost("demo:echo"), Some(Pico::ZERO));
    }
}
