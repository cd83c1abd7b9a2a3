//! What is understood of prices, and what is said of mistakes.

use std::sync::Arc;

use super::*;
use crate::domain::calendar::{Calendar, Hours};
use crate::domain::money::Pico;
use crate::domain::price::Prices;
use crate::domain::price_sheet::{LongPrompt, OffPeak, PiecePrices, PriceSheet, Rates, TierRates};
use crate::domain::zone::Zone;

fn file(keys: &str) -> String {
    format!("llm: {{providers: [{{name: x, base_url: 'http://localhost', api_key: k, {keys}}}]}}")
}

fn prices(keys: &str) -> Prices {
    let config = yaml(&file(keys), &[]).unwrap();
    provider(&config, "x").prices.clone()
}

fn per(text: &str) -> Option<Pico> {
    Some(Pico::per_token_of_million(text).unwrap())
}

fn rates(input: &str, output: &str) -> Rates {
    Rates {
        input: per(input),
        output: per(output),
        ..Rates::default()
    }
}

fn plain(input: &str, output: &str) -> Arc<PriceSheet> {
    Arc::new(PriceSheet {
        rates: rates(input, output),
        ..PriceSheet::default()
    })
}

#[test]
fn a_provider_has_a_price_and_its_models_their_own() {
    let usual = plain("2.5", "10");
    assert_eq!(prices("model: m"), Prices::default());
    let one = prices("price: {input: 2.5, output: 10}");
    assert_eq!(one.usual, Some(usual.clone()));
    let both = prices(
        "price: {input: 2.5, output: 10}, prices: {'a/B-1.5': {input: 1, output: 0, cached_input: 0.5}, m: }",
    );
    let own = Arc::new(PriceSheet {
        rates: Rates {
            cached_input: per("0.5"),
            ..rates("1", "0")
        },
        ..PriceSheet::default()
    });
    assert_eq!(both.of(&"a/B-1.5".into()), Some(&own));
    assert_eq!(both.of(&"m".into()), Some(&usual));
}

#[test]
fn amounts_are_read_as_they_are_written() {
    let expected = Some(plain("0.1", "0.000001"));
    for (input, output) in [
        ("0.1", "0.000001"),
        ("'0.1'", "'1e-6'"),
        ("1e-1", "0.0000010"),
        ("'0.10'", "1.0e-06"),
    ] {
        let read = prices(&format!("price: {{input: {input}, output: {output}}}"));
        assert_eq!(read.usual, expected, "{input} {output}");
    }
    // A number in floating point that is no such decimal: 0.1 + 0.2.
    let read = prices("price: {input: 0.3, output: 1_000}");
    assert_eq!(read.usual, Some(plain("0.3", "1000")));
}

#[test]
fn prices_may_change_at_dates() {
    let read = prices(
        "price: [{input: 1, output: 1, until: 2027-01-01}, {input: 2, output: 2, until: '2027-02-01T08:00:00+08:00'}, {input: 3, output: 3}]",
    );
    let sheet = read.usual.unwrap();
    let input = |unix| sheet.at(unix).and_then(|sheet| sheet.rates.input);
    let january: i64 = 1_798_761_600;
    assert_eq!([january - 1, january].map(input), [per("1"), per("2")]);
    let february = january + 31 * 86_400;
    assert_eq!([february - 1, february].map(input), [per("2"), per("3")]);
    let read = prices(
        "prices: {m: {input: 1, output: 1, from: 2027-01-01, off_peak: [{hours: ['1-2', '20:00-24:00'], timezone: Asia/Shanghai, input: 0}]}}",
    );
    let sheet = read.of(&"m".into()).unwrap();
    assert_eq!(sheet.at(january - 1), None);
    let off_peak = &sheet.off_peak[0].hours;
    assert_eq!(
        (&*off_peak.zone.name, off_peak.hours.len()),
        ("Asia/Shanghai", 2)
    );
    assert_eq!(prices("price: []").usual, None);
    for (keys, expected) in [
        (
            "price: [{input: 1, output: 1}, {input: 2, output: 2, from: 2027-01-01}]",
            "price: prices without dates hold always",
        ),
        (
            "price: {input: 1, output: 1, from: 2027-01-01, until: 2027-01-01}",
            "price: never holds",
        ),
        (
            "price: {input: 1, output: 1, from: soon}",
            "price.from: expected a day such as 2027-01-01",
        ),
    ] {
        let errors = yaml(&file(keys), &[]).unwrap_err().to_string();
        assert!(errors.contains(expected), "{keys}: {errors}");
    }
}

fn calendar((start, end): (u16, u16), days: [bool; 7]) -> Calendar {
    Calendar {
        hours: vec![Hours { start, end }],
        days,
        zone: Zone::utc(),
    }
}

#[test]
fn every_key_of_a_price_arrives() {
    let read = prices(
        "price: {input: 1, output: 2, cached_input: 3, cache_write: 4, cache_write_1h: 5, reasoning: 6, input_audio: 7, \
         cached_input_audio: 8, output_audio: 9, image_tokens: 10, \
         above: [{tokens: 200000, inclusive: true, input: 20}, {tokens: 100, output: 30}], \
         tiers: {priority: {input: 11, above: [{tokens: 5, output: 12}]}, flex: {output: 0}}, \
         off_peak: [{hours: '16:30-00:30', days: [mon, Sunday], input: 0.5}, {hours: '1:00-24:00', output: 1}], \
         multiply: {'geo:us': 1.1, 'speed:fast': 2}, \
         per_request: 0.005, per_image: 0.04, per_second: 0.0001, per_character: 0.000015, per_page: 0.001, \
         per_search: {low: 0.03, high: 0.05}}",
    );
    let piece = |text: &str| Some(Pico::parse(text).unwrap());
    let long = |tokens, inclusive, rates| LongPrompt {
        tokens,
        inclusive,
        rates,
    };
    let only = |input: Option<&str>, output: Option<&str>| Rates {
        input: input.and_then(per),
        output: output.and_then(per),
        ..Rates::default()
    };
    let expected = PriceSheet {
        rates: Rates {
            input: per("1"),
            output: per("2"),
            cached_input: per("3"),
            cache_write: per("4"),
            cache_write_1h: per("5"),
            reasoning: per("6"),
            input_audio: per("7"),
            cached_input_audio: per("8"),
            output_audio: per("9"),
            image_tokens: per("10"),
        },
        above: vec![
            long(100, false, only(None, Some("30"))),
            long(200_000, true, only(Some("20"), None)),
        ],
        tiers: vec![
            TierRates {
                tier: "flex".into(),
                rates: only(None, Some("0")),
                above: Vec::new(),
            },
            TierRates {
                tier: "priority".into(),
                rates: only(Some("11"), None),
                above: vec![long(5, false, only(None, Some("12")))],
            },
        ],
        off_peak: vec![
            OffPeak {
                hours: calendar((990, 30), [true, false, false, false, false, false, true]),
                rates: only(Some("0.5"), None),
            },
            OffPeak {
                hours: calendar((60, 1440), [true; 7]),
                rates: only(None, Some("1")),
            },
        ],
        multiply: vec![("geo:us".into(), 1100), ("speed:fast".into(), 2000)],
        pieces: PiecePrices {
            request: piece("0.005"),
            image: piece("0.04"),
            second: piece("0.0001"),
            character: piece("0.000015"),
            page: piece("0.001"),
            search: [piece("0.03"), None, piece("0.05")],
        },
        ..PriceSheet::default()
    };
    assert_eq!(read.usual.as_deref(), Some(&expected));
    // What has no tokens needs no price of them.
    let picture = prices("price: {per_image: 0.04, per_search: 0.01}");
    let pieces = picture.usual.unwrap().pieces;
    assert_eq!(
        (pieces.image, pieces.search),
        (piece("0.04"), [None, piece("0.01"), None])
    );
}

#[test]
fn a_price_that_looks_like_one_for_fewer_tokens_is_told_of() {
    let warned = |price: &str| {
        let config = yaml(&file(&format!("price: {{input: {price}, output: 1}}")), &[]);
        let warnings = config.unwrap().warnings;
        warnings
            .iter()
            .any(|text| text.contains("price.input: more than 1000"))
    };
    assert!(!warned("1000"));
    assert!(warned("1000.5"));
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
            "price: {input: 1, per_image: 1}",
            "price: needs input and output",
        ),
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
            "price: {input: 0.0000001, output: 1}",
            "price.input: is too large, or has more than 6 decimal places",
        ),
        (
            "price: {input: 1e14, output: 1}",
            "price.input: is too large",
        ),
        (
            "price: {input: 1, output: 1, cache_input: 1}",
            "price.cache_input: unknown key; did you mean `cached_input`?",
        ),
        (
            "price: {input: 1, output: 1, tiers: {default: {input: 1}}}",
            "price.tiers.default: is the usual tier",
        ),
        (
            "price: {input: 1, output: 1, multiply: {us: 1.1}}",
            "price.multiply.us: is no condition",
        ),
        (
            "price: {input: 1, output: 1, multiply: {'geo:us': 1.1001}}",
            "price.multiply.geo:us: is too large, or has more than 3 decimal places",
        ),
        (
            "price: {input: 1, output: 1, off_peak: [{hours: '25:00-01:00', input: 1}]}",
            "price.off_peak[0].hours: expected times of day",
        ),
        (
            "price: {input: 1, output: 1, off_peak: [{hours: '1:00-2:00', days: [mo], input: 1}]}",
            "price.off_peak[0].days: expected days such as mon",
        ),
        (
            "price: {input: 1, output: 1, above: [{input: 1}]}",
            "price.above[0]: needs tokens",
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
