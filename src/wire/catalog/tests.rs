mod own;

use proptest::prelude::*;

use super::*;
use crate::domain::catalog::capability::Capability;
use crate::domain::catalog::entry::{Entry, Status, Zero};
use crate::domain::catalog::offer::offer;
use crate::domain::money::Pico;
use crate::domain::price_sheet::{PriceSheet, Rates};

fn page(text: &str) -> Page {
    read(text, None).unwrap().0
}

fn find<'a>(page: &'a Page, id: &str) -> &'a Entry {
    let mut entries = page.entries.iter();
    entries.find(|entry| &*entry.id == id).unwrap()
}

fn rates(entry: &Entry) -> Rates {
    entry.sheet.as_ref().unwrap().rates
}

fn sheet(entry: &Entry) -> &PriceSheet {
    entry.sheet.as_ref().unwrap()
}

fn million(text: &str) -> Option<Pico> {
    Some(Pico::per_token_of_million(text).unwrap())
}

#[test]
fn one_price_in_every_list_and_its_unit() {
    let openrouter =
        r#"{"data": [{"id": "m", "pricing": {"prompt": "0.0000025", "completion": "0.0000025"}}]}"#;
    let litellm = r#"{"p/m": {"litellm_provider": "p", "input_cost_per_token": 2.5e-06, "output_cost_per_token": "2.5e-06"}}"#;
    let models_dev = r#"{"p": {"models": {"m": {"cost": {"input": 2.5, "output": 2.5}}}}}"#;
    let huggingface = r#"{"data": [{"id": "m", "providers": [{"provider": "p", "status": "live", "pricing": {"input": 2.5, "output": 2.5}}]}]}"#;
    for text in [openrouter, litellm, models_dev, huggingface] {
        let page = page(text);
        let rates = rates(find(&page, "m"));
        assert_eq!(
            (rates.input, rates.output),
            (Some(Pico::new(2_500_000)), Some(Pico::new(2_500_000))),
            "{text}"
        );
    }
    for (kind, text) in [
        (
            "deepinfra",
            r#"{"data": [{"id": "m", "metadata": {"context_length": 8192, "pricing": {"input_tokens": 2.5, "output_tokens": 2.5}}}, {"id": "n", "metadata": null}]}"#,
        ),
        (
            "xai",
            r#"{"models": [{"id": "m", "prompt_text_token_price": 25000, "completion_text_token_price": 25000}]}"#,
        ),
        (
            "novita",
            r#"{"data": [{"id": "m", "input_token_price_per_m": 25000, "output_token_price_per_m": 25000}]}"#,
        ),
        (
            "togetherai",
            r#"[{"id": "m", "pricing": {"input": 2.5, "output": 2.5, "hourly": 0}}]"#,
        ),
        (
            "sambanova",
            r#"{"data": [{"id": "m", "pricing": {"prompt": "0.0000025", "completion": 2.5e-6}}]}"#,
        ),
        (
            "chutes",
            r#"{"data": [{"id": "m", "pricing": {"prompt": 2.5, "completion": 2.5}}]}"#,
        ),
        (
            "vercel",
            r#"{"data": [{"id": "m", "pricing": {"input": "0.0000025", "output": "0.0000025"}}]}"#,
        ),
        (
            "venice",
            r#"{"data": [{"id": "m", "model_spec": {"pricing": {"input": {"usd": 2.5}, "output": {"usd": 2.5}}}}]}"#,
        ),
    ] {
        let page = read_own(text, kind).unwrap();
        let rates = rates(find(&page, "m"));
        assert_eq!(
            (rates.input, rates.output),
            (million("2.5"), million("2.5")),
            "{kind}"
        );
    }
}

#[test]
fn what_is_no_price_is_unknown_with_one_warning_that_names_the_entry() {
    for bad in [
        r#""-1""#,
        "-1",
        "NaN",
        r#""""#,
        r#""Infinity""#,
        "-Infinity",
        "{}",
        "1e999",
    ] {
        let openrouter = format!(
            r#"{{"data": [{{"id": "a/auto", "pricing": {{"prompt": {bad}, "completion": {bad}}}}}]}}"#
        );
        let litellm = format!(
            r#"{{"a/auto": {{"litellm_provider": "x", "input_cost_per_token": {bad}, "output_cost_per_token": {bad}}}}}"#
        );
        for text in [openrouter, litellm] {
            let page = page(&text);
            let entry = find(&page, "a/auto");
            assert!(entry.sheet.is_none() && !entry.free, "{text}");
            assert_eq!(page.notes.warnings.len(), 1, "{text}");
            assert!(page.notes.warnings[0].contains("a/auto"), "{text}");
        }
    }
}

#[test]
fn free_models_of_openrouter_are_those_of_the_rule() {
    let text = r#"{"data": [
        {"id": "a", "pricing": {"prompt": "0", "completion": "0"}},
        {"id": "b", "pricing": {"prompt": "0"}},
        {"id": "c:free", "pricing": {"prompt": "0.000001"}},
        {"id": "d"},
        {"id": "e", "pricing": {"prompt": "0", "completion": "0.000001"}},
        {"id": "f", "pricing": {}},
        {"id": "g", "pricing": {"prompt": "-1", "completion": "0"}}
    ]}"#;
    let page = page(text);
    let free = page.entries.iter().filter(|entry| entry.free);
    let free: Vec<&str> = free.map(|entry| &*entry.id).collect();
    assert_eq!(free, ["a", "b", "c:free"]);
    assert_eq!(rates(find(&page, "b")).output, Some(Pico::ZERO));
    assert!(find(&page, "d").sheet.is_none() && find(&page, "f").sheet.is_none());
}

#[test]
fn openrouter_tells_windows_capabilities_and_changes_of_price() {
    let text = r#"{"data": [{"id": "m", "context_length": 1000000, "odd": 1,
        "architecture": {"input_modalities": ["text", "image"]},
        "top_provider": {"context_length": 131072, "max_completion_tokens": 8192},
        "supported_parameters": ["tools", "structured_outputs", "temperature"],
        "pricing": {"prompt": "0.000001", "completion": "0.000002", "input_cache_read": "0.0000001", "request": "0",
            "web_search": "0.004", "video": "1", "overrides": [
            {"min_prompt_tokens": 200000, "prompt": "0.000002"},
            {"utc_start": "1630", "utc_end": "0030", "prompt": "0.0000005"},
            {"min_prompt_tokens": 5, "utc_start": 1, "utc_end": 2, "prompt": "1"}]}}],
        "links": {"next": "https://openrouter.ai/api/v1/models?offset=500"}}"#;
    let page = page(text);
    let entry = find(&page, "m");
    assert_eq!(
        (entry.window, entry.effective_window, entry.max_output),
        (Some(1_000_000), Some(131_072), Some(8_192))
    );
    let can = |capability| *entry.capabilities.get(capability);
    assert_eq!(can(Capability::Tools), Some(true));
    assert_eq!(can(Capability::JsonSchema), Some(true));
    assert_eq!(can(Capability::Reasoning), Some(false));
    assert_eq!(
        (can(Capability::Images), can(Capability::Audio)),
        (Some(true), Some(false))
    );
    let sheet = sheet(entry);
    let long = &sheet.above[0];
    assert_eq!((long.tokens, long.inclusive), (200_000, false));
    assert_eq!(long.rates.input, million("2"));
    let hours = sheet.off_peak[0].hours.hours[0];
    assert_eq!((hours.start, hours.end), (990, 30));
    assert_eq!(sheet.pieces.search[1], Pico::parse("0.004"));
    assert_eq!(sheet.pieces.request, None);
    assert_eq!(page.notes.lost.len(), 2, "{:?}", page.notes.lost);
    assert_eq!(page.notes.unknown_keys, 1);
    assert_eq!(page.next, Some(NextPage::Query("offset=500".to_owned())));
}

#[test]
fn litellm_has_tiers_multipliers_aliases_and_zeros_of_two_kinds() {
    let text = r#"{"sample_spec": {"litellm_provider": "x"},
        "groq/openai/gpt": {"litellm_provider": "groq", "max_input_tokens": 131072, "max_tokens": 5, "max_output_tokens": 65536,
            "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6, "supports_function_calling": true,
            "input_cost_per_token_above_200k_tokens": 2e-6, "input_cost_per_token_priority": 4e-6,
            "input_cost_per_token_above_200k_tokens_priority": 8e-6,
            "cache_creation_input_token_cost_above_1hr": 6e-6, "input_cost_per_pixel": 1,
            "search_context_cost_per_query": {"search_context_size_low": 0.01, "search_context_size_high": 0.03},
            "provider_specific_entry": {"us": 1.1, "fast": 2.0},
            "off_peak_pricing": {"windows": [{"hours_utc": "16:30-00:30", "weekdays": [1, 7]}],
                "rates": {"input_cost_per_token": 5e-7}}},
        "groq/alias": {"alias_of": "groq/openai/gpt"},
        "vertex_ai/claude": {"litellm_provider": "vertex_ai-anthropic_models", "input_cost_per_token": 1e-6},
        "ollama/x": {"litellm_provider": "ollama", "input_cost_per_token": 0, "output_cost_per_token": 0.0},
        "dashscope/q": {"litellm_provider": "dashscope", "tiered_pricing": [
            {"range": [0, 256000.0], "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6},
            {"range": [256000, 1000000], "input_cost_per_token": 3e-6, "output_cost_per_token": 4e-6}]},
        "lost": {"alias_of": "nothing"}}"#;
    let page = page(text);
    let entry = find(&page, "openai/gpt");
    assert_eq!(entry.provider.as_deref(), Some("groq"));
    assert_eq!(
        (entry.window, entry.max_output),
        (Some(131_072), Some(65_536))
    );
    assert_eq!(*entry.aliases, [Box::from("alias")]);
    let priced = sheet(entry);
    assert_eq!(priced.rates.cache_write_1h, million("6"));
    assert_eq!(priced.above[0].rates.input, million("2"));
    let tier = &priced.tiers[0];
    assert_eq!((&*tier.tier, tier.rates.input), ("priority", million("4")));
    assert_eq!(tier.above[0].rates.input, million("8"));
    assert_eq!(
        priced.multiply,
        [("geo:us".into(), 1_100), ("speed:fast".into(), 2_000)]
    );
    let off_peak = &priced.off_peak[0];
    let hours = off_peak.hours.hours[0];
    assert_eq!(
        ((hours.start, hours.end), off_peak.rates.input),
        ((990, 30), million("0.5"))
    );
    assert_eq!(
        off_peak.hours.days,
        [true, false, false, false, false, false, true]
    );
    assert_eq!(
        priced.pieces.search,
        [Pico::parse("0.01"), None, Pico::parse("0.03")]
    );
    assert_eq!(
        page.notes.lost.keys().collect::<Vec<_>>(),
        ["input_cost_per_pixel"]
    );
    assert_eq!(
        find(&page, "claude").provider.as_deref(),
        Some("vertex_ai-anthropic_models")
    );
    let zero = find(&page, "x");
    assert!(zero.zero == Zero::FreeIfLocal && !zero.free);
    let ranges = sheet(find(&page, "q"));
    assert_eq!(ranges.rates.input, million("1"));
    assert_eq!(
        (ranges.above[0].tokens, ranges.above[0].rates.output),
        (256_000, million("4"))
    );
    assert_eq!(page.notes.warnings.len(), 1, "{:?}", page.notes.warnings);
    assert_eq!(page.entries.len(), 4);
}

#[test]
fn models_dev_has_tiers_and_an_old_key_for_one_of_them() {
    let text = r#"{"groq": {"models": {
        "tiers": {"limit": {"context": 0, "output": 8192}, "status": "deprecated", "tool_call": false, "reasoning": true,
            "modalities": {"input": ["text", "image", "pdf"]},
            "cost": {"input": 1, "output": 2, "cache_read": 0.1, "odd": 3,
                "tiers": [{"input": 2, "tier": {"size": 272000}}, {"input": 3, "tier": {"type": "context", "size": 512000}}],
                "context_over_200k": {"input": 9}}},
        "old": {"cost": {"input": 1, "output": 2, "context_over_200k": {"input": 2, "output": 4}}},
        "none": {"limit": {"context": 4096}},
        "free": {"cost": {"input": 0, "output": 0}, "experimental": {"modes": {"fast": {"cost": {"input": 6}}}},
            "modalities": {"output": ["image"]}}}}}"#;
    let page = page(text);
    let tiers = find(&page, "tiers");
    assert_eq!((tiers.window, tiers.max_output), (None, Some(8_192)));
    assert_eq!(tiers.status, Some(Status::Deprecated));
    assert_eq!(*tiers.capabilities.get(Capability::Tools), Some(false));
    assert_eq!(*tiers.capabilities.get(Capability::Images), Some(true));
    assert_eq!(*tiers.capabilities.get(Capability::JsonSchema), None);
    let above = sheet(tiers)
        .above
        .iter()
        .map(|long| (long.tokens, long.rates.input));
    assert_eq!(
        above.collect::<Vec<_>>(),
        [(272_000, million("2")), (512_000, million("3"))]
    );
    assert_eq!(sheet(find(&page, "old")).above[0].tokens, 200_000);
    assert_eq!(page.notes.warnings.len(), 1);
    assert!(page.notes.warnings[0].contains("`old`"));
    assert!(find(&page, "none").sheet.is_none() && !find(&page, "none").free);
    assert!(find(&page, "free").free);
    let lost: Vec<&String> = page.notes.lost.keys().collect();
    assert_eq!(lost, ["cost.odd", "experimental.modes.fast.cost"]);
    assert_eq!(find(&page, "free").chats, Some(false));
}

#[test]
fn hugging_faces_models_cost_what_the_dearest_live_provider_asks() {
    let text = r#"{"data": [{"id": "m", "architecture": {"input_modalities": ["text"]}, "providers": [
        {"provider": "a", "status": "live", "context_length": 131072, "pricing": {"input": 1, "output": 2}, "supports_tools": true},
        {"provider": "b", "status": "live", "context_length": 32768, "pricing": {"input": 3, "output": 4}, "supports_tools": true},
        {"provider": "c", "status": "error", "context_length": 1024, "pricing": {"input": 9, "output": 9}}]}]}"#;
    let page = page(text);
    let any = find(&page, "m");
    assert_eq!(rates(any).input, million("3"));
    assert_eq!(any.window, Some(32_768));
    assert_eq!(*any.capabilities.get(Capability::Tools), Some(true));
    assert_eq!(*any.capabilities.get(Capability::Images), Some(false));
    assert_eq!(rates(find(&page, "m:a")).input, million("1"));
    assert_eq!(find(&page, "m:c").status, Some(Status::Offline));
}

#[test]
fn openrouters_overrides_go_before_earlier_ones_key_by_key() {
    let text = r#"{"data": [{"id": "m", "expiration_date": "2027-03-01", "pricing": {"prompt": "0.000001", "completion": "0.000002", "overrides": [
        {"min_prompt_tokens": 200000, "prompt": "0.000003"}, {"min_prompt_tokens": 100000, "prompt": "0.000002", "completion": "0.000004"}]}}]}"#;
    let page = page(text);
    let entry = find(&page, "m");
    let above = sheet(entry).above.iter();
    let above: Vec<_> = above
        .map(|long| (long.tokens, long.rates.input, long.rates.output))
        .collect();
    assert_eq!(
        above,
        [
            (100_000, million("2"), million("4")),
            (200_000, million("2"), million("4"))
        ]
    );
    assert_eq!(entry.status, Some(Status::Deprecated));
}

#[test]
fn a_provider_behind_the_router_may_be_free_without_a_price() {
    let text = r#"{"data": [{"id": "m", "providers": [{"provider": "a", "status": "live", "is_free": true}]}]}"#;
    let page = page(text);
    for id in ["m", "m:a"] {
        let entry = find(&page, id);
        assert!(
            entry.free && rates(entry).output == Some(Pico::ZERO),
            "{id}"
        );
    }
}

#[test]
fn an_index_is_offered_where_all_required_providers_have_it() {
    let text = r#"{"models": [
        {"canonical": "zeta", "aliases": ["zeta", "z"], "providers": {"groq": {"model": "g"}, "openrouter": {"model": "o:free"}, "echo": {"model": "e"}}},
        {"canonical": "zz", "providers": {"groq": {"model": "g2"}}},
        {"canonical": "mid", "providers": {"openrouter": {"model": "o2"}, "groq": {"model": "g3", "priority_offset": 3}}}],
        "provider_catalogs": {"groq": ["g", "more"]}}"#;
    let page = page(text);
    assert_eq!(page.groups[0].aliases, [Box::from("z")]);
    assert_eq!(page.entries.len(), 7);
    let required = ["groq".to_owned(), "openrouter".to_owned()];
    let offer = offer(&page.groups, &required, |_| true);
    let order: Vec<String> = offer
        .upstreams
        .iter()
        .map(|at| format!("{}:{} {}", at.provider, at.model, at.priority))
        .collect();
    assert_eq!(
        order,
        [
            "openrouter:o2 0",
            "groq:g3 3",
            "groq:g 10",
            "openrouter:o:free 10",
            "echo:e 10"
        ]
    );
}

#[test]
fn a_wrong_guess_is_an_error_and_never_an_empty_catalogue() {
    let models_dev = r#"{"p": {"models": {"m": {}}}}"#;
    assert_eq!(read(models_dev, None).unwrap().1, CatalogFormat::ModelsDev);
    assert_eq!(
        read(models_dev, Some(CatalogFormat::LiteLlm)),
        Err(ListError::OtherShape("litellm"))
    );
    for text in [
        "{}",
        "[]",
        "1",
        r#"{"data": []}"#,
        r#"{"error": {"message": "no"}}"#,
    ] {
        assert_eq!(read(text, None), Err(ListError::UnknownShape), "{text}");
    }
    assert!(matches!(read("<html>", None), Err(ListError::NotJson(_))));
    assert!(matches!(
        read_own("{}", "groq"),
        Err(ListError::UnknownShape)
    ));
    assert_eq!(read_own(r#"{"data": []}"#, "groq"), Err(ListError::Empty));
    let large = format!(r#"{{"a": "{}"}}"#, "x".repeat(MOST_BYTES));
    assert_eq!(read(&large, None), Err(ListError::TooLarge));
    for format in CatalogFormat::all() {
        assert_eq!(CatalogFormat::named(format.name()), Some(format));
    }
}

fn json() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("NaN".to_owned()),
        "-?[0-9]{1,12}(\\.[0-9]{1,8})?(e-?[0-9]{1,3})?",
        "\"[a-z0-9./:-]{0,12}\"",
    ];
    const KEYS: [&str; 24] = [
        "data",
        "models",
        "id",
        "pricing",
        "prompt",
        "completion",
        "providers",
        "provider",
        "input",
        "output",
        "cost",
        "tiers",
        "tier",
        "size",
        "litellm_provider",
        "input_cost_per_token",
        "tiered_pricing",
        "range",
        "canonical",
        "model",
        "overrides",
        "min_prompt_tokens",
        "alias_of",
        "input_cost_per_token_above_200k_tokens_flex",
    ];
    scalar.prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5)
                .prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((prop::sample::select(&KEYS[..]), inner), 0..6).prop_map(
                |fields| {
                    let fields: Vec<String> = fields
                        .iter()
                        .map(|(key, value)| format!("\"{key}\":{value}"))
                        .collect();
                    format!("{{{}}}", fields.join(","))
                }
            ),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_can_be_read_as_any_list(text in json()) {
        let formats = CatalogFormat::all().map(Some).chain([None]);
        for format in formats {
            if let Ok((page, _)) = read(&text, format) {
                prop_assert!(!page.entries.is_empty() || !page.groups.is_empty());
            }
        }
        for kind in ["", "openrouter", "huggingface", "togetherai", "vercel", "xai", "venice"] {
            let _ = read_own(&text, kind);
        }
    }

    #[test]
    fn any_text_can_be_read(text in ".{0,200}") {
        let _ = read(&text, None);
        let _ = read_own(&text, "groq");
    }
}
