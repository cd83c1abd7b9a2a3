//! `catalog` and `discover`: what lists of models add to the targets.

use super::*;
use crate::domain::catalog::entry::{ModelList, Origin};
use crate::domain::ids::ModelName;
use crate::wire::catalog as lists;
use std::sync::Arc;
use std::time::Duration;

const PROVIDERS: &str = "llm: {providers: [
    {name: groq, api_key: k, model: base},
    {name: openrouter, api_key: k, discover: {ttl: 1h}},
    {name: echo}]}";

const INDEX: &str = r#"{"models": [
    {"canonical": "zeta", "aliases": ["z"], "providers": {"groq": {"model": "g"}, "openrouter": {"model": "o:free"}, "echo": {"model": "e"}}},
    {"canonical": "zz", "providers": {"groq": {"model": "g2"}}},
    {"canonical": "mid", "providers": {"openrouter": {"model": "o2"}, "groq": {"model": "g3", "priority_offset": 3}, "nvidia_nim": {"model": "n"}}}],
    "provider_catalogs": {}}"#;

fn with_index(catalog: &str) -> Result<Config, ConfigErrors> {
    let text = format!("catalog: {catalog}\n{PROVIDERS}");
    let dir = ConfigDir::new()
        .with("pointsman.yaml", &text)
        .with("index.json", INDEX);
    load(&request(&dir.0, &[]))
}

fn own_list(of: &str, text: &str) -> (ListKey, Arc<ModelList>) {
    let page = lists::read_own(text, of).unwrap();
    let list = ModelList {
        origin: Arc::new(Origin {
            name: format!("{of} /models").into(),
            read_at: Some(1),
        }),
        of: Some(of.into()),
        entries: page.entries,
        groups: page.groups,
        notes: page.notes,
    };
    (ListKey::Provider(of.into()), Arc::new(list))
}

#[test]
fn an_index_makes_targets_where_all_required_providers_have_a_model() {
    let config =
        with_index("{sources: [{file: index.json}], required: [groq, openrouter]}").unwrap();
    assert_eq!(
        upstreams(&config, Some("mid")),
        ["openrouter:o2", "groq:g3"]
    );
    assert_eq!(
        upstreams(&config, Some("zeta")),
        ["groq:g", "openrouter:o:free", "echo:e"]
    );
    assert_eq!(
        upstreams(&config, Some("z")),
        upstreams(&config, Some("zeta"))
    );
    assert_eq!(
        upstreams(&config, Some("priority-auto")),
        [
            "openrouter:o2",
            "groq:g3",
            "groq:g",
            "openrouter:o:free",
            "echo:e"
        ]
    );
    assert!(config.targets.resolve(Some("zz")).is_err());
    has(&config.warnings.join("\n"), &["`zz`", "openrouter"]);
    let config = with_index("{sources: [{file: index.json}], required: [groq, cerebras]}").unwrap();
    assert!(config.targets.resolve(Some("priority-auto")).is_err());
    has(
        &config.warnings.join("\n"),
        &["`zeta`", "`zz`", "`mid`", "cerebras"],
    );
}

#[test]
fn what_a_provider_lists_can_be_asked_for_by_its_id() {
    let config = with_index("{free_only: true}").unwrap();
    assert!(config.known.is_none());
    let fetched = FetchedLists::from([
        own_list(
            "openrouter",
            r#"{"data": [{"id": "a/free", "context_length": 8192, "pricing": {"prompt": "0", "completion": "0"}},
                {"id": "a/paid", "pricing": {"prompt": "1", "completion": "1"}}, {"id": "a/unknown"}]}"#,
        ),
        // It is not asked to be discovered.
        own_list("groq", r#"{"data": [{"id": "other"}]}"#),
    ]);
    let config = config.with_lists(&fetched);
    assert_eq!(upstreams(&config, Some("a/free")), ["openrouter:a/free"]);
    assert_eq!(
        upstreams(&config, Some("priority-auto")),
        ["openrouter:a/free"]
    );
    for name in ["a/paid", "a/unknown", "other"] {
        assert!(config.targets.resolve(Some(name)).is_err(), "{name}");
    }
    let known = config.known.as_ref().unwrap();
    let facts = known.facts(&"openrouter".into(), &ModelName::from("a/free"));
    assert_eq!(facts.window.as_ref().map(|known| known.value), Some(8_192));
    // A provider that states no price passes by being listed.
    let text = format!("catalog: {{free_only: true, discover: true}}\n{PROVIDERS}");
    let config = yaml(&text, &[]).unwrap().with_lists(&fetched);
    assert_eq!(upstreams(&config, Some("other")), ["groq:other"]);
}

#[test]
fn the_keys_of_a_provider_and_of_the_catalogue_say_what_is_fetched() {
    let config = with_index("{sources: [{url: 'https://models.dev/api.json', format: models.dev, ttl: 2h}], state: kept}").unwrap();
    let source = &config.catalog.sources[0];
    assert_eq!(source.ttl, Duration::from_secs(7_200));
    assert_eq!(source.format, Some(lists::CatalogFormat::ModelsDev));
    assert!(
        config
            .catalog
            .state
            .as_ref()
            .is_some_and(|path| path.ends_with("kept"))
    );
    let discover = |name: &str| provider(&config, name).discover.clone();
    assert_eq!(discover("groq"), None);
    assert_eq!(
        discover("openrouter").unwrap().ttl,
        Duration::from_secs(3_600)
    );
    let config = with_index("{discover: true}").unwrap();
    assert!(provider(&config, "groq").discover.is_some());
}

#[test]
fn a_list_that_cannot_be_used_is_a_mistake_and_never_an_empty_catalogue() {
    for (catalog, says) in [
        ("{sources: [{file: nothing.json}]}", "nothing.json"),
        (
            "{sources: [{file: index.json, format: litellm}]}",
            "litellm",
        ),
        ("{sources: [{file: pointsman.yaml}]}", "no JSON"),
        ("{sources: [{}]}", "either a file or a url"),
        (
            "{sources: [{file: index.json, url: 'http://x/'}]}",
            "either a file or a url",
        ),
        ("{sources: [{url: 'ftp://x/'}]}", "no URL"),
        ("{sources: [{file: index.json, format: csv}]}", "models.dev"),
        ("{source: []}", "sources"),
    ] {
        let problems = with_index(catalog).unwrap_err().to_string();
        has(&problems, &["catalog", says]);
    }
}

#[test]
fn the_operators_word_on_a_model_goes_first_and_files_are_watched() {
    let text = "catalog: {sources: [{file: map.json}], aliases: {house: m}}
llm: {providers: [{name: p, base_url: 'https://example.com/v1', api_key: k, prices: {m: {input: 0.9, output: 2}}}]}";
    let map = r#"{"p/m": {"litellm_provider": "p", "max_input_tokens": 8192, "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}}"#;
    let dir = ConfigDir::new()
        .with("pointsman.yaml", text)
        .with("map.json", map);
    let config = load(&request(&dir.0, &[])).unwrap();
    assert!(config.files.iter().any(|file| file.ends_with("map.json")));
    let known = config.known.as_ref().unwrap();
    let of = |model: &str| known.facts(&"p".into(), &ModelName::from(model));
    let sheet = of("m").sheet.clone().unwrap();
    assert_eq!(sheet.value.rates.input.unwrap().get(), 900_000);
    assert_eq!(&*sheet.origin.name, "configuration");
    let window = of("house").window.clone().unwrap();
    assert_eq!((window.value, &*window.origin.name), (8_192, "map.json"));
    assert!(window.origin.read_at.is_some());
}

#[test]
fn everything_that_lists_have_may_be_the_default() {
    let text = |more: &str| {
        format!(
            "{more}\n{}, default_model: priority-auto}}",
            PROVIDERS.trim_end_matches('}')
        )
    };
    let config = yaml(&text(""), &[]).unwrap();
    assert!(
        config.targets.resolve(None).is_err(),
        "no list has come yet"
    );
    let fetched = FetchedLists::from([own_list("openrouter", r#"{"data": [{"id": "a/b"}]}"#)]);
    let config = config.with_lists(&fetched);
    assert_eq!(upstreams(&config, None), ["openrouter:a/b"]);
    let nothing = text("").replace(", discover: {ttl: 1h}", "");
    let problems = yaml(&nothing, &[]).unwrap_err().to_string();
    has(&problems, &["default_model", "priority-auto"]);
}

#[test]
fn what_does_not_chat_is_asked_by_its_name_only() {
    let config = with_index("{}").unwrap();
    let fetched = FetchedLists::from([own_list(
        "openrouter",
        r#"{"data": [{"id": "a/embed", "architecture": {"output_modalities": ["embeddings"]}},
            {"id": "a/chat", "architecture": {"output_modalities": ["text"]}}, {"id": "a/unknown"}]}"#,
    )]);
    let config = config.with_lists(&fetched);
    assert_eq!(upstreams(&config, Some("a/embed")), ["openrouter:a/embed"]);
    assert_eq!(
        upstreams(&config, Some("priority-auto")),
        ["openrouter:a/chat", "openrouter:a/unknown"]
    );
}

#[test]
fn a_part_of_an_id_means_models_of_lists_too() {
    let text = format!("{}, match: substring}}", PROVIDERS.trim_end_matches('}'));
    let fetched = FetchedLists::from([own_list(
        "openrouter",
        r#"{"data": [{"id": "meta/llama-4"}, {"id": "qwen"}, {"id": "meta/llama-3"}]}"#,
    )]);
    let config = yaml(&text, &[]).unwrap();
    assert!(config.targets.resolve(Some("llama")).is_err());
    let config = config.with_lists(&fetched);
    assert_eq!(
        upstreams(&config, Some("llama")),
        ["openrouter:meta/llama-4", "openrouter:meta/llama-3"]
    );
    let problems = yaml(&text.replace("substring", "fuzzy"), &[]).unwrap_err();
    has(&problems.to_string(), &["llm.match", "substring"]);
}

#[test]
fn of_many_providers_with_lists_those_without_a_key_are_left_out() {
    let text = "llm:
  default_model: priority-auto
  providers:
    - {name: groq, discover: {ttl: 24h}, base_priority: 1}
    - {name: cohere, discover: {url: 'https://api.cohere.com/v1/models'}, base_priority: 0.5}
    - {name: mine, base_url: 'https://example.com/v1', api_key_env: MY_KEY, discover: true, base_priority: 2}
";
    let config = yaml(text, &[("GROQ_API_KEY", "k")]).unwrap();
    let names: Vec<&str> = config.providers.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["groq"]);
    has(
        &config.warnings.join("\n"),
        &["cohere is left out", "COHERE_API_KEY", "mine is left out"],
    );
    let all = [("GROQ_API_KEY", "k"), ("CO_API_KEY", "c"), ("MY_KEY", "m")];
    assert_eq!(yaml(text, &all).unwrap().providers.len(), 3);
    // Who names a provider for itself wants it.
    let plain = text.replace(", base_priority: 0.5", "");
    let problems = yaml(&plain, &all[..1]).unwrap_err().to_string();
    has(&problems, &["cohere has no key"]);
}
