//! What answers cost, by sheets as they are written.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::calendar::{Calendar, Hours};
use crate::domain::price_sheet::OffPeak;
use crate::domain::usage::UsageDetails;
use crate::domain::zone::Zone;

/// A price per million tokens.
fn per(text: &str) -> Option<Pico> {
    Some(Pico::per_token_of_million(text).unwrap())
}

fn rates_of(input: &str, output: &str) -> Rates {
    Rates {
        input: per(input),
        output: per(output),
        ..Rates::default()
    }
}

fn plain(input: &str, output: &str) -> PriceSheet {
    PriceSheet {
        rates: rates_of(input, output),
        ..PriceSheet::default()
    }
}

fn used(prompt: u64, cached: u64, answer: u64) -> Usage {
    Usage {
        prompt_tokens: Some(prompt),
        completion_tokens: Some(answer),
        cached_tokens: Some(cached),
        ..Usage::default()
    }
}

fn with(usage: Usage, details: UsageDetails) -> Usage {
    Usage { details, ..usage }
}

/// Thursday, 1 January 1970, at this minute of the day, so many days later.
fn at(days: u64, minute: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_mins(days * 24 * 60 + minute)
}

fn cost(sheet: &PriceSheet, usage: &Usage) -> String {
    let priced = price(sheet, usage, "", SystemTime::UNIX_EPOCH).unwrap();
    priced.amount.to_string()
}

fn flags(sheet: &PriceSheet, usage: &Usage, asked: &str) -> (String, CostFlags) {
    let priced = price(sheet, usage, asked, SystemTime::UNIX_EPOCH).unwrap();
    (priced.amount.to_string(), priced.flags)
}

#[test]
fn what_is_written_to_a_cache_has_its_own_price() {
    let mut sheet = plain("3", "15");
    sheet.rates.cached_input = per("0.30");
    sheet.rates.cache_write = per("3.75");
    sheet.rates.cache_write_1h = per("6");
    let details = UsageDetails {
        cache_write: 3000,
        cache_write_1h: 2000,
        ..UsageDetails::default()
    };
    let usage = with(used(200 + 50_000 + 3000, 50_000, 400), details);
    assert_eq!(
        flags(&sheet, &usage, ""),
        ("0.037350".to_owned(), CostFlags::default())
    );
    sheet.rates.cache_write_1h = None;
    let (amount, told) = flags(&sheet, &usage, "");
    assert_eq!((amount.as_str(), told.no_hour_price), ("0.032850", true));
    // Without any price of writing, it is a prompt like any other.
    sheet.rates.cache_write = None;
    assert_eq!(cost(&sheet, &usage), "0.030600");
}

#[test]
fn cached_tokens_are_a_part_of_the_prompt() {
    let mut sheet = plain("2.50", "10");
    sheet.rates.cached_input = per("1.25");
    let priced = price(&sheet, &used(12_000, 8000, 1500), "", at(0, 0)).unwrap();
    assert_eq!(priced.amount, Pico::new(35_000_000_000));
    sheet.rates.cached_input = None;
    assert_eq!(cost(&sheet, &used(12_000, 8000, 1500)), "0.045000");
    sheet.rates.cached_input = Some(Pico::ZERO);
    assert_eq!(cost(&sheet, &used(12_000, 8000, 1500)), "0.025000");
    // More from the cache than was sent.
    assert_eq!(cost(&sheet, &used(12_000, u64::MAX, 1500)), "0.015000");
}

#[test]
fn the_whole_prompt_decides_on_the_rates_of_all_components() {
    let mut sheet = plain("1.25", "10");
    sheet.rates.cached_input = per("0.125");
    sheet.above = vec![LongPrompt {
        tokens: 200_000,
        inclusive: false,
        rates: Rates {
            cached_input: per("0.25"),
            ..rates_of("2.50", "15")
        },
    }];
    assert_eq!(cost(&sheet, &used(200_000, 0, 1000)), "0.260000");
    // Six decimals are shown, all twelve are counted.
    let priced = price(&sheet, &used(200_001, 0, 1000), "", at(0, 0)).unwrap();
    assert_eq!(priced.amount, Pico::new(515_002_500_000));
    assert_eq!(cost(&sheet, &used(250_000, 100_000, 1000)), "0.415000");
    // What is written to a cache is as long as what is not.
    let details = UsageDetails {
        cache_write: 100_000,
        ..UsageDetails::default()
    };
    assert_eq!(
        cost(&sheet, &with(used(250_000, 0, 1000), details)),
        "0.640000"
    );
    // A rate that is missing for long prompts is that of short ones.
    sheet.above[0].rates.output = None;
    sheet.above[0].rates.cached_input = None;
    assert_eq!(cost(&sheet, &used(250_000, 100_000, 1000)), "0.397500");

    sheet.above[0] = LongPrompt {
        tokens: 200_000,
        inclusive: true,
        rates: rates_of("4", "12"),
    };
    assert_eq!(cost(&sheet, &used(200_000, 0, 1000)), "0.812000");
    assert_eq!(cost(&sheet, &used(199_999, 0, 0)), "0.249998");
    // The longest step that is reached, whatever their order.
    sheet.above.insert(
        0,
        LongPrompt {
            tokens: 1_000_000,
            inclusive: false,
            rates: rates_of("8", "24"),
        },
    );
    assert_eq!(cost(&sheet, &used(2_000_000, 0, 0)), "16.000000");
}

#[test]
fn the_service_tier_that_served_decides() {
    let mut sheet = plain("2", "8");
    sheet.rates.cached_input = per("1");
    sheet.above = vec![LongPrompt {
        tokens: 1000,
        inclusive: false,
        rates: rates_of("4", "16"),
    }];
    sheet.tiers = vec![TierRates {
        tier: "priority".into(),
        rates: Rates {
            output: None,
            ..rates_of("5", "0")
        },
        above: vec![LongPrompt {
            tokens: 2000,
            inclusive: false,
            rates: rates_of("10", "32"),
        }],
    }];
    let served = |tier: &str, prompt| {
        let tier = ShortWord::of(tier);
        let details = UsageDetails {
            tier,
            ..UsageDetails::default()
        };
        with(used(prompt, 0, 1000), details)
    };
    let none = CostFlags::default();
    for (tier, asked, prompt, amount) in [
        ("", "", 1000, "0.010000"),
        ("default", "priority", 1000, "0.010000"),
        ("priority", "", 1000, "0.013000"),
        ("fast", "flex", 1000, "0.013000"),
        ("ON_DEMAND_PRIORITY", "", 1000, "0.013000"),
        ("", "priority", 1000, "0.013000"),
        ("", "auto", 1000, "0.010000"),
        // What the tier does not say is as usual for such prompts; what it says holds, unless it says something of long ones.
        ("priority", "", 2000, "0.026000"),
        ("priority", "", 3000, "0.062000"),
    ] {
        let told = flags(&sheet, &served(tier, prompt), asked);
        assert_eq!(told, (amount.to_owned(), none), "{tier} {asked} {prompt}");
    }
    let (amount, told) = flags(&sheet, &served("flex", 1000), "");
    assert_eq!((amount.as_str(), told.no_tier_price), ("0.010000", true));
}

#[test]
fn reasoning_and_sound_are_parts_of_what_they_are_in() {
    let mut sheet = plain("1", "2");
    let details = UsageDetails {
        input_audio: 300_000,
        cached_audio: 100_000,
        output_audio: 200_000,
        output_images: 100_000,
        ..UsageDetails::default()
    };
    let mut usage = with(used(1_000_000, 400_000, 1_000_000), details);
    usage.reasoning_tokens = Some(500_000);
    assert_eq!(cost(&sheet, &usage), "3.000000");
    sheet.rates.reasoning = per("4");
    assert_eq!(cost(&sheet, &usage), "4.000000");
    sheet.rates.output_audio = per("12");
    sheet.rates.image_tokens = per("32");
    // 200,000 of text, 500,000 of thoughts, 200,000 of sound, 100,000 of pictures.
    assert_eq!(cost(&sheet, &usage), "9.000000");
    sheet.rates.input_audio = per("10");
    sheet.rates.cached_input = per("0.5");
    // 300,000 cached, 400,000 plain, 200,000 of sound, 100,000 of it cached.
    assert_eq!(cost(&sheet, &usage), "10.600000");
    sheet.rates.cached_input_audio = per("1");
    assert_eq!(cost(&sheet, &usage), "10.650000");
}

#[test]
fn hours_belong_to_the_day_on_which_they_began() {
    let mut sheet = plain("10", "0");
    let mut days = [false; 7];
    // Thursday.
    days[3] = true;
    sheet.off_peak = vec![OffPeak {
        hours: Calendar {
            hours: vec![Hours {
                start: 16 * 60 + 30,
                end: 30,
            }],
            days,
            zone: Zone::utc(),
        },
        rates: Rates {
            input: per("5"),
            ..Rates::default()
        },
    }];
    let usage = used(1_000_000, 0, 0);
    for (day, minute, amount) in [
        (0, 16 * 60 + 29, "10.000000"),
        (0, 16 * 60 + 30, "5.000000"),
        (0, 23 * 60 + 59, "5.000000"),
        (1, 29, "5.000000"),
        (1, 30, "10.000000"),
        (1, 17 * 60, "10.000000"),
        // The night from Wednesday.
        (0, 10, "10.000000"),
        (7, 17 * 60, "5.000000"),
    ] {
        let told = price(&sheet, &usage, "", at(day, minute)).unwrap();
        assert_eq!(told.amount.to_string(), amount, "{day} {minute}");
    }
    // Where it is two hours later, they begin two hours earlier.
    sheet.off_peak[0].hours.zone = Zone {
        name: "X".into(),
        offset: Arc::new(|_| 2 * 3600),
    };
    for (minute, amount) in [(14 * 60 + 29, "10.000000"), (14 * 60 + 30, "5.000000")] {
        let told = price(&sheet, &usage, "", at(0, minute)).unwrap();
        assert_eq!(told.amount.to_string(), amount, "{minute}");
    }
}

#[test]
fn prices_change_at_their_dates() {
    let mut sheet = plain("10", "0");
    sheet.dates.until = Some(86_400);
    let mut later = plain("5", "0");
    later.dates.from = Some(2 * 86_400);
    sheet.others = vec![later];
    let usage = used(1_000_000, 0, 0);
    let told = |day, minute| {
        let told = price(&sheet, &usage, "", at(day, minute));
        told.map(|told| told.amount.to_string())
    };
    assert_eq!(told(0, 1439).as_deref(), Some("10.000000"));
    assert_eq!(told(1, 0), None, "nobody said");
    assert_eq!(told(2, 0).as_deref(), Some("5.000000"));
}

#[test]
fn pieces_are_paid_by_their_prices_or_by_tokens_where_those_are_counted() {
    let piece = |text: &str| Some(Pico::parse(text).unwrap());
    let made = |details| with(Usage::default(), details);
    let images = made(UsageDetails {
        images: 3,
        ..UsageDetails::default()
    });
    let pages = made(UsageDetails {
        pages: 29,
        ..UsageDetails::default()
    });
    let spoken = made(UsageDetails {
        characters: 1_000,
        ..UsageDetails::default()
    });
    let sheet = PriceSheet {
        pieces: PiecePrices {
            image: piece("0.04"),
            page: piece("0.001"),
            character: piece("0.000015"),
            request: piece("0.5"),
            ..PiecePrices::default()
        },
        ..PriceSheet::default()
    };
    assert_eq!(cost(&sheet, &images), "0.620000");
    assert_eq!(cost(&sheet, &pages), "0.529000");
    assert_eq!(cost(&sheet, &spoken), "0.515000");
    // Unknown is not zero: tokens would have to be counted.
    let tokens = plain("10", "10");
    let none = price(&tokens, &images, "", at(0, 0));
    assert_eq!(none, None);
    let both = with(used(1_000, 0, 1_000), images.details);
    assert_eq!(cost(&tokens, &both), "0.020000");
    let dear = PriceSheet {
        pieces: sheet.pieces,
        ..plain("10", "10")
    };
    assert_eq!(cost(&dear, &both), "0.640000");
}

#[test]
fn factors_are_rounded_half_to_even_for_each_component() {
    let mut sheet = PriceSheet {
        rates: Rates {
            input: Some(Pico::new(5)),
            output: Some(Pico::new(15)),
            ..Rates::default()
        },
        ..PriceSheet::default()
    };
    sheet.multiply = vec![("geo:us".into(), 1100), ("speed:fast".into(), 2000)];
    let made = |geo: &str, speed: &str, prompt, answer| {
        let details = UsageDetails {
            geo: ShortWord::of(geo),
            speed: ShortWord::of(speed),
            ..UsageDetails::default()
        };
        let usage = with(used(prompt, 0, answer), details);
        price(&sheet, &usage, "", SystemTime::UNIX_EPOCH)
            .unwrap()
            .amount
            .get()
    };
    assert_eq!(made("", "", 1, 1), 20);
    assert_eq!(made("global", "standard", 1, 1), 20);
    // 5.5 is 6 and 16.5 is 16.
    assert_eq!(made("us", "", 1, 0), 6);
    assert_eq!(made("us", "", 0, 1), 16);
    assert_eq!(made("us", "", 1, 1), 22);
    assert_eq!(made("US", "fast", 1, 1), 11 + 33);
}

#[test]
fn what_has_no_price_is_not_free() {
    let mut sheet = PriceSheet::default();
    let cost = |sheet: &PriceSheet, usage: &Usage| price(sheet, usage, "", at(0, 0));
    assert_eq!(cost(&sheet, &used(1, 0, 0)), None);
    assert_eq!(
        cost(&sheet, &used(0, 0, 0)).map(|priced| priced.amount),
        Some(Pico::ZERO)
    );
    sheet.rates.input = per("1");
    assert_eq!(cost(&sheet, &used(1, 0, 1)), None);
    assert!(cost(&sheet, &used(1, 1, 0)).is_some());
    let seconds = UsageDetails {
        seconds: 60,
        ..UsageDetails::default()
    };
    let heard = with(Usage::default(), seconds);
    assert_eq!(cost(&sheet, &heard), None);
    sheet.pieces.second = Pico::parse("0.0001");
    let told = cost(&sheet, &heard).map(|priced| priced.amount.to_string());
    assert_eq!(told.as_deref(), Some("0.006000"));
    let searches = UsageDetails {
        searches: 2,
        ..UsageDetails::default()
    };
    let searched = with(used(0, 0, 0), searches);
    assert!(cost(&sheet, &searched).unwrap().flags.no_search_price);
    sheet.pieces.search = [None, Pico::parse("0.01"), Pico::parse("0.012")];
    sheet.pieces.request = Pico::parse("0.005");
    let told = cost(&sheet, &searched).unwrap();
    assert_eq!(told.amount.to_string(), "0.025000");
    assert!(!told.flags.no_search_price);
}

#[test]
fn an_upstreams_own_figure_counts_unless_it_is_nothing() {
    let amount = |text: &str| Pico::parse(text).unwrap();
    let priced = |text: &str| {
        Some(Priced {
            amount: amount(text),
            flags: CostFlags::default(),
        })
    };
    let of = |by_sheet, told: &str, estimated| {
        let cost = Cost::of(by_sheet, amount(told), estimated)?;
        Some((cost.amount.to_string(), cost.kind, cost.flags.differs))
    };
    let is = |text: &str, kind, differs| Some((text.to_owned(), kind, differs));
    assert_eq!(of(None, "0", false), None);
    assert_eq!(
        of(priced("0.5"), "0", false),
        is("0.500000", CostKind::Real, false)
    );
    assert_eq!(
        of(priced("0.5"), "0", true),
        is("0.500000", CostKind::Estimated, false)
    );
    assert_eq!(
        of(None, "0.2", false),
        is("0.200000", CostKind::Upstream, false)
    );
    assert_eq!(
        of(priced("0.99"), "1", false),
        is("1.000000", CostKind::Upstream, false)
    );
    assert_eq!(
        of(priced("0.989"), "1", false),
        is("1.000000", CostKind::Upstream, true)
    );
    assert_eq!(
        of(priced("1.02"), "1", false),
        is("1.000000", CostKind::Upstream, true)
    );
    assert_eq!(
        of(priced("2"), "1", true),
        is("1.000000", CostKind::Upstream, false)
    );
}

#[test]
fn what_is_expected_turns_with_the_shape_of_the_request() {
    let (a, b) = (plain("0.15", "0.60"), plain("0.10", "1.00"));
    let expected = |sheet: &PriceSheet, prompt, answer| {
        expected_cost(sheet, prompt, answer, at(0, 0)).map(|amount| amount.to_string())
    };
    for (prompt, answer, of_a, of_b) in [
        (1000, 500, "0.000450", "0.000600"),
        (10_000, 100, "0.001560", "0.001100"),
    ] {
        assert_eq!(expected(&a, prompt, answer).as_deref(), Some(of_a));
        assert_eq!(expected(&b, prompt, answer).as_deref(), Some(of_b));
    }
    assert_eq!(
        expected(&plain("0", "0"), 1000, 500).as_deref(),
        Some("0.000000")
    );
    assert_eq!(expected(&PriceSheet::default(), 1000, 500), None);
}

fn any_usage() -> impl Strategy<Value = Usage> {
    let counts = prop::array::uniform4(prop::option::of(0u64..3_000_000));
    let details = prop::array::uniform6(0u32..500_000);
    (counts, details).prop_map(|([prompt, answer, cached, reasoning], details)| {
        let [write, write_1h, audio, cached_audio, spoken, images] = details;
        Usage {
            prompt_tokens: prompt,
            completion_tokens: answer,
            cached_tokens: cached,
            reasoning_tokens: reasoning,
            details: UsageDetails {
                cache_write: write,
                cache_write_1h: write_1h,
                input_audio: audio,
                cached_audio,
                output_audio: spoken,
                output_images: images,
                ..UsageDetails::default()
            },
        }
    })
}

fn any_rates() -> impl Strategy<Value = Rates> {
    prop::array::uniform10(1u64..100_000_000).prop_map(|rates| {
        let [
            input,
            output,
            cached,
            write,
            hour,
            thought,
            audio,
            cached_audio,
            spoken,
            images,
        ] = rates.map(|rate| Some(Pico::new(rate)));
        Rates {
            input,
            output,
            cached_input: cached,
            cache_write: write,
            cache_write_1h: hour,
            reasoning: thought,
            input_audio: audio,
            cached_input_audio: cached_audio,
            output_audio: spoken,
            image_tokens: images,
        }
    })
}

proptest! {
    #[test]
    fn every_token_is_in_one_component(usage in any_usage()) {
        let parts = Components::of(&usage);
        prop_assert_eq!(parts.prompt(), usage.prompt_tokens.unwrap_or(0));
        let answer = parts.output + parts.reasoning + parts.output_audio + parts.output_images;
        prop_assert_eq!(answer, usage.completion_tokens.unwrap_or(0));
    }

    #[test]
    fn with_one_price_for_all_only_the_total_matters(usage in any_usage(), each in 1u64..1_000_000) {
        let one = Some(Pico::new(each));
        let sheet = PriceSheet {
            rates: Rates { input: one, output: one, ..Rates::default() },
            ..PriceSheet::default()
        };
        let priced = price(&sheet, &usage, "", SystemTime::UNIX_EPOCH).unwrap();
        prop_assert_eq!(priced.amount, Pico::new(each).times(usage.total().unwrap_or(0)));
    }

    #[test]
    fn a_cost_is_the_sum_of_its_parts_and_more_tokens_cost_no_less(
        usage in any_usage(), rates in any_rates(), more in 0u64..100_000,
    ) {
        let sheet = PriceSheet { rates, ..PriceSheet::default() };
        let cost = |usage: &Usage| price(&sheet, usage, "", SystemTime::UNIX_EPOCH).unwrap().amount;
        let prompt = Usage { completion_tokens: None, ..usage };
        let answer = Usage { prompt_tokens: None, ..usage };
        prop_assert_eq!(cost(&usage), cost(&prompt).plus(cost(&answer)));
        // Without parts that are cut from a whole, which may be dearer or cheaper than it.
        let whole = Usage { cached_tokens: None, reasoning_tokens: None, details: UsageDetails::default(), ..usage };
        let longer = Usage {
            prompt_tokens: whole.prompt_tokens.map(|count| count + more),
            completion_tokens: whole.completion_tokens.map(|count| count + more),
            ..whole
        };
        prop_assert!(cost(&longer) >= cost(&whole));
    }

    #[test]
    fn no_usage_is_too_much(counts in prop::array::uniform4(any::<u64>()), details in prop::array::uniform4(any::<u32>()), rate in any::<u64>(), factor in any::<u32>()) {
        let [prompt, answer, cached, reasoning] = counts.map(Some);
        let [write, write_1h, audio, searches] = details;
        let one = Some(Pico::new(rate));
        let sheet = PriceSheet {
            rates: Rates { input: one, output: one, ..Rates::default() },
            multiply: vec![("geo:us".into(), factor), ("speed:fast".into(), factor)],
            ..PriceSheet::default()
        };
        let details = UsageDetails {
            cache_write: write,
            cache_write_1h: write_1h,
            input_audio: audio,
            searches,
            geo: ShortWord::of("us"),
            speed: ShortWord::of("fast"),
            ..UsageDetails::default()
        };
        let usage = Usage { prompt_tokens: prompt, completion_tokens: answer, cached_tokens: cached, reasoning_tokens: reasoning, details };
        let _ = price(&sheet, &usage, "", SystemTime::UNIX_EPOCH);
    }
}
