//! What is understood of prices, and what is said of mistakes.

use super::*;
use crate::domain::price::{Price, Prices};

fn file(keys: &str) -> String {
    format!("llm: {{providers: [{{name: x, base_url: 'http://localhost', api_key: k, {keys}}}]}}")
}

fn prices(keys: &str) -> Prices {
    let config = yaml(&file(keys), &[]).unwrap();
    provider(&config, "x").prices.clone()
}

#[test]
fn a_provider_has_a_price_and_its_models_their_own() {
    let usual = Price {
        input: 2.5,
        output: 10.0,
        cached_input: 2.5,
    };
    assert_eq!(prices("model: m"), Prices::default());
    assert_eq!(prices("price: {input: 2.5, output: 10}").usual, Some(usual));
    let both = prices(
        "price: {input: 2.5, output: 10}, prices: {'a/B-1.5': {input: 1, output: 0, cached_input: 0.5}, m: }",
    );
    let own = Price {
        input: 1.0,
        output: 0.0,
        cached_input: 0.5,
    };
    assert_eq!(both.of(&"a/B-1.5".into()), Some(own));
    assert_eq!(both.of(&"m".into()), Some(usual));
}

#[test]
fn mistakes_are_told() {
    let place = "llm.providers[0]";
    for (keys, expected) in [
        ("price: 3", "price: expected"),
        (
            "price: {}",
            "price: needs input and output; write {input: 2.5, output: 10}",
        ),
        ("price: {input: 1}", "price: needs input and output"),
        (
            "price: {input: -1, output: 1}",
            "price.input: expected a number, 0 or more",
        ),
        (
            "price: {input: 'inf', output: 1}",
            "price.input: expected a number, 0 or more",
        ),
        (
            "price: {input: 1, output: 'nan'}",
            "price.output: expected a number, 0 or more",
        ),
        (
            "price: {input: 1, output: 1, cache_input: 1}",
            "price.cache_input: unknown key; did you mean `cached_input`?",
        ),
        ("prices: [m]", "prices: expected a map of models and prices"),
        ("prices: {m: 3}", "prices.m: expected"),
        (
            "prices: {m: {input: 1}}",
            "prices.m: needs input and output",
        ),
    ] {
        let shown = mistakes(&file(keys), &[]);
        has(&shown, &[&format!("{place}.{expected}")]);
        assert_eq!(shown.matches(place).count(), 1, "{shown}");
    }
}
