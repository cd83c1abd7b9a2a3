//! Providers' own lists, one fixture for each shape.

use super::*;
use crate::wire::dialects;

fn own(kind: &str, text: &str) -> Page {
    read_own(text, kind).unwrap()
}

#[test]
fn providers_tell_windows_and_states_in_their_own_words() {
    let groq = own(
        "groq",
        r#"{"data": [{"id": "a", "context_window": 131072, "max_completion_tokens": 8192, "active": true},
            {"id": "whisper", "context_window": 448}, {"id": "b", "active": false}]}"#,
    );
    assert_eq!(find(&groq, "a").window, Some(131_072));
    assert_eq!(find(&groq, "a").max_output, Some(8_192));
    assert_eq!(find(&groq, "whisper").window, None);
    assert_eq!(find(&groq, "b").status, Some(Status::Offline));
    let google = own(
        "google_native",
        r#"{"models": [{"name": "models/gemini", "inputTokenLimit": 1048576, "outputTokenLimit": 65536}], "nextPageToken": "t"}"#,
    );
    assert_eq!(find(&google, "gemini").window, Some(1_048_576));
    assert_eq!(
        google.next,
        Some(NextPage::Parameter("pageToken", "t".to_owned()))
    );
    let anthropic = own(
        "anthropic",
        r#"{"data": [{"id": "claude", "max_input_tokens": 200000, "max_tokens": 64000}], "has_more": true, "last_id": "claude"}"#,
    );
    assert_eq!(find(&anthropic, "claude").max_output, Some(64_000));
    assert_eq!(
        anthropic.next,
        Some(NextPage::Parameter("after_id", "claude".to_owned()))
    );
    let mistral = own(
        "mistralai",
        r#"{"data": [{"id": "m", "max_context_length": 32768, "aliases": ["m-latest"], "deprecation": null,
            "capabilities": {"function_calling": true, "vision": false}}]}"#,
    );
    let entry = find(&mistral, "m");
    assert_eq!((entry.window, entry.status), (Some(32_768), None));
    assert_eq!(*entry.capabilities.get(Capability::Tools), Some(true));
    assert_eq!(*entry.capabilities.get(Capability::Images), Some(false));
    assert_eq!(*entry.aliases, [Box::from("m-latest")]);
    let lmstudio = own(
        "lmstudio",
        r#"{"models": [{"key": "m", "max_context_length": 131072, "loaded_instances": [{"config": {"context_length": 4096}}]}]}"#,
    );
    assert_eq!(find(&lmstudio, "m").effective_window, Some(4_096));
    let vercel = own(
        "vercel",
        r#"{"data": [{"id": "m", "pricing": {"input": "0.00000125", "output": "0.00001",
            "input_tiers": [{"cost": "0.00000125", "min": 0, "max": 200001}, {"cost": "0.0000025", "min": 200001}]}}]}"#,
    );
    let above = &sheet(find(&vercel, "m")).above[0];
    assert_eq!(
        (above.tokens, above.inclusive, above.rates.input),
        (200_001, true, million("2.5"))
    );
    let gateway = own(
        "llmgateway",
        r#"{"data": [{"id": "m", "pricing": {"prompt": "0.000001", "completion": "0.000002", "input_cache_read": "0"}}]}"#,
    );
    assert_eq!(rates(find(&gateway, "m")).cached_input, None);
}

#[test]
fn of_an_unknown_server_windows_are_believed_and_prices_are_not() {
    let text = r#"{"data": [{"id": "m", "max_model_len": 8192, "pricing": {"prompt": "0.000001", "completion": "0"}},
        {"id": "n", "meta": {"n_ctx_train": 4096}}, {"no": "id"}]}"#;
    let page = read_own(text, "").unwrap();
    assert_eq!(find(&page, "m").window, Some(8_192));
    assert!(find(&page, "m").sheet.is_none() && !find(&page, "m").free);
    assert_eq!(find(&page, "n").window, Some(4_096));
    assert_eq!(page.entries.len(), 2);
}

#[test]
fn a_provider_says_which_of_its_models_chat() {
    for (kind, text) in [
        (
            "cohere",
            r#"{"models": [{"name": "yes", "endpoints": ["generate", "chat"]}, {"name": "no", "endpoints": ["embed"]}, {"name": "maybe"}]}"#,
        ),
        (
            "google",
            r#"{"models": [{"name": "models/yes", "supportedGenerationMethods": ["generateContent"]},
                {"name": "models/no", "supportedGenerationMethods": ["embedContent"]}, {"name": "models/maybe"}]}"#,
        ),
        (
            "mistralai",
            r#"{"data": [{"id": "yes", "capabilities": {"completion_chat": true}}, {"id": "no", "capabilities": {"completion_chat": false}},
                {"id": "maybe", "capabilities": null}]}"#,
        ),
        (
            "togetherai",
            r#"[{"id": "yes", "type": "chat"}, {"id": "no", "type": "embedding"}, {"id": "maybe", "type": null}]"#,
        ),
        (
            "vercel",
            r#"{"data": [{"id": "yes", "type": "language"}, {"id": "no", "type": "image"}, {"id": "maybe"}]}"#,
        ),
        (
            "venice",
            r#"{"data": [{"id": "yes", "type": "text"}, {"id": "no", "type": "tts"}, {"id": "maybe"}]}"#,
        ),
        (
            "lmstudio",
            r#"{"models": [{"key": "yes", "type": "llm"}, {"key": "no", "type": "embedding"}, {"key": "maybe"}]}"#,
        ),
        (
            "openrouter",
            r#"{"data": [{"id": "yes", "architecture": {"output_modalities": ["image", "text"]}},
                {"id": "no", "architecture": {"output_modalities": ["image"]}}, {"id": "maybe"}]}"#,
        ),
    ] {
        let page = own(kind, text);
        let chats = ["yes", "no", "maybe"].map(|id| find(&page, id).chats);
        assert_eq!(chats, [Some(true), Some(false), None], "{kind}");
    }
    let groq = r#"{"data": [{"id": "whisper", "context_window": 448}, {"id": "m", "context_window": 8192}]}"#;
    let groq = own("groq", groq);
    assert_eq!(find(&groq, "whisper").chats, Some(false));
    assert_eq!(find(&groq, "m").chats, None);
}

#[test]
fn long_lists_are_asked_for_in_large_pages() {
    let of = |kind: &str, dialect: &str| own_query(kind, dialects::upstream(dialect).unwrap());
    assert_eq!(of("anthropic", "anthropic"), "limit=1000");
    assert_eq!(of("cohere", "openai"), "page_size=1000");
    assert_eq!(of("google", "gemini"), "pageSize=1000");
    assert_eq!(of("google", "openai"), "", "OpenAI's API has no such word");
    assert_eq!(of("groq", "openai"), "");
    let page = own(
        "cohere",
        r#"{"models": [{"name": "command", "context_length": 256000, "features": ["tools", "vision"], "is_deprecated": true}], "next_page_token": "t2"}"#,
    );
    let entry = find(&page, "command");
    assert_eq!(
        (entry.window, entry.status),
        (Some(256_000), Some(Status::Deprecated))
    );
    assert_eq!(*entry.capabilities.get(Capability::Tools), Some(true));
    assert_eq!(
        page.next,
        Some(NextPage::Parameter("page_token", "t2".to_owned()))
    );
}

#[test]
fn what_stands_deeper_or_under_another_name_is_found() {
    let venice = own(
        "venice",
        r#"{"data": [{"id": "m", "type": "text", "model_spec": {"availableContextTokens": 65536, "maxCompletionTokens": 4096,
            "pricing": {"input": {"usd": 0.7, "diem": 7}, "output": {"usd": 2.8}, "cache_input": {"usd": 0.1}},
            "capabilities": {"supportsFunctionCalling": true, "supportsVision": false, "supportsReasoning": true}}},
            {"id": "off", "model_spec": {"offline": true}}]}"#,
    );
    let entry = find(&venice, "m");
    assert_eq!(
        (entry.window, entry.max_output),
        (Some(65_536), Some(4_096))
    );
    assert_eq!(rates(entry).cached_input, million("0.1"));
    let can = |capability| *entry.capabilities.get(capability);
    assert_eq!(can(Capability::Tools), Some(true));
    assert_eq!(can(Capability::Images), Some(false));
    assert_eq!(can(Capability::Reasoning), Some(true));
    assert_eq!(find(&venice, "off").status, Some(Status::Offline));
    let ovh = own(
        "ovhcloud",
        r#"{"data": [{"id": "m", "context_length": 131072, "max_output_tokens": 8192, "pricing": {"prompt": "0.0000006",
            "completion": "0.000002", "input_cache_reads": "0.0000001", "input_cache_writes": "0.0000009"}}]}"#,
    );
    let entry = find(&ovh, "m");
    assert_eq!(rates(entry).cached_input, million("0.1"));
    assert_eq!(rates(entry).cache_write, million("0.9"));
    assert_eq!(entry.max_output, Some(8_192));
    let novita = own(
        "novita",
        r#"{"data": [{"id": "m", "context_size": 163840, "max_output_tokens": 16384, "input_token_price_per_m": 2690,
            "output_token_price_per_m": 4000, "pricing": {"input_cache_read": {"price_per_m": 1345}}, "features": ["function-calling"], "status": 1}]}"#,
    );
    let entry = find(&novita, "m");
    assert_eq!(rates(entry).input, million("0.269"));
    assert_eq!(rates(entry).cached_input, million("0.1345"));
    assert_eq!(*entry.capabilities.get(Capability::Tools), Some(true));
    let xai = own(
        "xai",
        r#"{"models": [{"id": "grok", "aliases": ["grok-latest"], "max_prompt_length": 256000, "input_modalities": ["text", "image"],
            "prompt_text_token_price": 30000, "cached_prompt_text_token_price": 7500, "completion_text_token_price": 150000,
            "prompt_image_token_price": 30000, "search_price": 250000}]}"#,
    );
    let entry = find(&xai, "grok");
    assert_eq!(rates(entry).cached_input, million("0.75"));
    assert_eq!(entry.window, Some(256_000));
    assert_eq!(*entry.aliases, [Box::from("grok-latest")]);
    assert_eq!(own_path("xai"), "/language-models");
    let chutes = own(
        "chutes",
        r#"{"data": [{"id": "m", "max_model_len": 32768, "max_output_length": 8192, "supported_features": ["tools", "json_mode"],
            "pricing": {"prompt": 0.2, "completion": 0.8, "input_cache_read": 0.1}}]}"#,
    );
    assert_eq!(find(&chutes, "m").window, Some(32_768));
    assert_eq!(rates(find(&chutes, "m")).cached_input, million("0.1"));
    let baseten = own(
        "baseten",
        r#"{"data": [{"id": "m", "context_length": 131072, "max_completion_tokens": 131000,
            "pricing": {"prompt": "0.0000006", "completion": 0.0000022}}]}"#,
    );
    assert_eq!(rates(find(&baseten, "m")).output, million("2.2"));
    assert_eq!(find(&baseten, "m").max_output, Some(131_000));
    let google = own(
        "google",
        r#"{"models": [{"name": "models/gemini", "thinking": true}]}"#,
    );
    assert_eq!(
        *find(&google, "gemini")
            .capabilities
            .get(Capability::Reasoning),
        Some(true)
    );
    let openai = own(
        "openai",
        r#"{"data": [{"id": "old", "object": "model", "created": 1, "owned_by": "openai", "shutdown_date": "2027-01-31T00:00:00Z"}]}"#,
    );
    let old = find(&openai, "old");
    assert_eq!(
        (old.status, old.retires.as_deref()),
        (Some(Status::Deprecated), Some("2027-01-31"))
    );
    let anthropic = own(
        "anthropic",
        r#"{"data": [{"id": "a", "lifecycle": "deprecated", "retires_at": "2027-02-01T00:00:00Z", "deprecated_at": "2026-08-01T00:00:00Z",
            "capabilities": {"image_input": {"supported": true}, "structured_outputs": {"supported": false}}},
            {"id": "b", "lifecycle": "active", "retires_at": null}, {"id": "c", "lifecycle": "retired"}]}"#,
    );
    assert_eq!(find(&anthropic, "a").status, Some(Status::Deprecated));
    assert_eq!(find(&anthropic, "a").retires.as_deref(), Some("2027-02-01"));
    let can = |capability| *find(&anthropic, "a").capabilities.get(capability);
    assert_eq!(can(Capability::Images), Some(true));
    assert_eq!(can(Capability::JsonSchema), Some(false));
    assert_eq!(find(&anthropic, "b").status, None);
    assert_eq!(find(&anthropic, "c").status, Some(Status::Offline));
}

#[test]
fn what_a_model_is_rented_for_is_no_price_of_tokens() {
    let together = own(
        "togetherai",
        r#"[{"id": "rented", "pricing": {"input": 0, "output": 0, "hourly": 4.2}},
            {"id": "free", "pricing": {"input": 0, "output": 0, "hourly": 0, "base": 0, "finetune": 0}}]"#,
    );
    let rented = find(&together, "rented");
    assert!(rented.sheet.is_none() && !rented.free);
    assert!(find(&together, "free").free);
}

#[test]
fn prices_that_have_no_place_are_counted_in_own_lists_too() {
    let vercel = own(
        "vercel",
        r#"{"data": [{"id": "m", "odd": true, "pricing": {"input": "0.000001", "output": "0.000002", "web_search": "0.01", "image": "0",
            "input_tiers": [{"cost": "0.000001", "min": 0}]}}]}"#,
    );
    assert_eq!(
        vercel.notes.lost.into_iter().collect::<Vec<_>>(),
        [("pricing.web_search".to_owned(), 1)]
    );
    assert_eq!(vercel.notes.unknown_keys, 1);
    let xai = own(
        "xai",
        r#"{"models": [{"id": "m", "prompt_text_token_price": 1, "prompt_image_token_price": 30000, "search_price": 0}]}"#,
    );
    let lost: Vec<&String> = xai.notes.lost.keys().collect();
    assert_eq!(lost, ["prompt_image_token_price"]);
    let venice = own(
        "venice",
        r#"{"data": [{"id": "m", "model_spec": {"pricing": {"input": {"usd": 1}, "upscale": {"usd": 2}}}}]}"#,
    );
    let lost: Vec<&String> = venice.notes.lost.keys().collect();
    assert_eq!(lost, ["model_spec.pricing.upscale"]);
}
