//! Built-in providers, keys from everywhere, aliases.

use super::*;
use crate::domain::chain::ResolveError;

#[test]
fn a_built_in_name_inherits_and_the_file_overrides_every_form() {
    let text = "llm: {providers: [{name: openai, base_url: 'http://localhost:9/v1', model: mine}]}";
    let config = yaml(text, &[("OPENAI_API_KEY", "k")]).unwrap();
    let openai = provider(&config, "openai");
    assert_eq!(openai.base_url, "http://localhost:9/v1");
    assert_eq!(keys(openai), ["k"]);
    assert_eq!(upstreams(&config, Some("openai")), ["openai:mine"]);
    assert_eq!(upstreams(&config, Some("openai:gpt-x")), ["openai:gpt-x"]);
    assert_eq!(config.providers.len(), 1);
}

#[test]
fn a_built_in_provider_without_a_key_names_its_variables() {
    let text = "llm: {providers: [{name: groq}, {name: echo}]}";
    has(
        &mistakes(text, &[]),
        &[
            "llm.providers[0]: provider groq has no key; set GROQ_API_KEY (or GROQ_API_KEYS with several)",
        ],
    );
    has(
        &mistakes(
            "llm: {providers: [{name: echo}], default_model: 'groq:x'}",
            &[],
        ),
        &["llm.default_model: `groq:x` has no key", "GROQ_API_KEY"],
    );
}

#[test]
fn keyless_upstreams_are_skipped_while_others_remain() {
    let text = "llm: {providers: [{name: echo}], virtual: [{name: v, upstreams: [{name: 'groq:x'}, {name: echo}]}]}";
    let config = yaml(text, &[]).unwrap();
    assert_eq!(upstreams(&config, Some("v")), ["echo:echo"]);
    has(
        &config.warnings.join("\n"),
        &["llm.virtual[0].upstreams[0]: groq:x is skipped in v: no key; set GROQ_API_KEY"],
    );
    let config = yaml(text, &[("GROQ_API_KEY", "k")]).unwrap();
    assert_eq!(upstreams(&config, Some("v")), ["groq:x", "echo:echo"]);
    assert!(config.warnings.is_empty());
}

#[test]
fn local_providers_need_no_key_and_come_when_they_are_named() {
    let text = "llm: {providers: [{name: echo}], default_model: v, virtual: [{name: v, upstreams: ['ollama:llama3', 'lmstudio:x']}]}";
    let config = yaml(text, &[]).unwrap();
    assert_eq!(upstreams(&config, None), ["ollama:llama3", "lmstudio:x"]);
    assert_eq!(
        provider(&config, "ollama").base_url,
        "http://localhost:11434/v1"
    );
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    // Its own API has another root, which the one of its OpenAI form stands for as well.
    for settings in [
        "",
        ", base_url: 'http://localhost:11434/v1/'",
        ", base_url: 'http://localhost:11434/api'",
    ] {
        let text = format!("llm: {{providers: [{{name: ollama, dialect: ollama{settings}}}]}}");
        let config = yaml(&text, &[]).unwrap();
        let ollama = provider(&config, "ollama");
        assert_eq!(
            (ollama.dialect.id(), ollama.base_url.as_str()),
            ("ollama", "http://localhost:11434")
        );
    }
    let config = yaml("llm: {providers: [{name: vllm}]}", &[]).unwrap();
    assert_eq!(
        config.targets.resolve(Some("vllm")).unwrap_err(),
        ResolveError::NoModel {
            provider: "vllm".into()
        }
    );
}

#[test]
fn other_names_of_a_built_in_provider_mean_the_same() {
    let variables = [
        ("TOGETHERAI_API_KEY", "t"),
        ("GEMINI_API_KEY0", "g0"),
        ("GEMINI_API_KEY1", "g1"),
    ];
    let text = "llm: {providers: [{name: echo}], virtual: [{name: v, upstreams: ['together:x', gemini, 'google:y']}]}";
    let config = yaml(text, &variables).unwrap();
    let found = upstreams(&config, Some("v"));
    assert_eq!(
        (found[0].as_str(), found[2].as_str()),
        ("togetherai:x", "google:y")
    );
    assert!(found[1].starts_with("google:gemini"));
    assert_eq!(upstreams(&config, Some("together:z")), ["togetherai:z"]);
    assert_eq!(keys(provider(&config, "google")), ["g0", "g1"]);
}

#[test]
fn a_provider_named_by_its_alias_is_not_there_twice() {
    let text = "llm: {providers: [{name: gemini}], virtual: [{name: v, upstreams: ['google:m']}]}";
    let config = yaml(text, &[("GOOGLE_API_KEY", "k")]).unwrap();
    assert_eq!(config.providers.len(), 1);
    assert_eq!(config.providers[0].kind, "google");
    assert_eq!(upstreams(&config, Some("v")), ["gemini:m"]);
    assert_eq!(upstreams(&config, Some("google:n")), ["gemini:n"]);
}

#[test]
fn googles_own_api_is_meant_by_its_name_or_by_the_dialect() {
    for named in [
        "{name: google_native}",
        "{name: gemini, dialect: gemini}",
        "{name: google, dialect: gemini}",
    ] {
        let text = format!("llm: {{providers: [{named}]}}");
        let config = yaml(&text, &[("GEMINI_API_KEY", "k")]).unwrap();
        assert_eq!(config.providers.len(), 1, "{named}");
        let provider = &config.providers[0];
        assert_eq!(provider.dialect.id(), "gemini");
        assert_eq!(
            provider.base_url,
            "https://generativelanguage.googleapis.com/v1beta"
        );
        assert_eq!((provider.kind.as_str(), provider.keys.len()), ("google", 1));
        assert_eq!(upstreams(&config, Some("gemini:m")).len(), 1, "{named}");
    }
    let config = yaml(
        "llm: {providers: [{name: echo}]}",
        &[("GEMINI_API_KEY", "k")],
    )
    .unwrap();
    assert_eq!(provider(&config, "google").dialect.id(), "openai");
    assert!(
        config
            .providers
            .iter()
            .all(|one| one.name.as_str() != "google_native")
    );
    let own = "llm: {providers: [{name: gemini, dialect: gemini, base_url: 'http://127.0.0.1:1/v1beta', api_key: k}]}";
    let config = yaml(own, &[]).unwrap();
    assert_eq!(config.providers[0].base_url, "http://127.0.0.1:1/v1beta");
}

#[test]
fn without_a_model_built_in_providers_do_not_compete_with_named_ones() {
    let text = "llm: {providers: [{name: echo}]}";
    let config = yaml(text, &[("GROQ_API_KEY", "k"), ("OPENAI_API_KEY", "k")]).unwrap();
    assert_eq!(config.providers.len(), 3);
    assert_eq!(upstreams(&config, None), ["echo:echo"]);
}

#[test]
fn keys_come_from_the_file_before_the_environment() {
    let text = "llm: {providers: [{name: groq, api_key: file}]}";
    let config = yaml(text, &[("GROQ_API_KEYS", "a,b")]).unwrap();
    assert_eq!(keys(provider(&config, "groq")), ["file"]);
}

#[test]
fn keys_come_from_named_variables_and_files() {
    let dir = ConfigDir::new()
        .with("secrets/groq", "# team keys\nfk-1\n\n  fk-2  \nek-1\n")
        .with(
            "pointsman.yaml",
            "
llm:
  providers:
    - {name: groq, api_key_env: MY_KEY, api_key_file: secrets/groq}
    - {name: my-api, base_url: 'http://localhost:1/v1', model: m}
",
        );
    let config = load(&request(
        &dir.0,
        &[
            ("MY_KEY_1", "ek-1"),
            ("MY_KEY_2", "ek-2"),
            ("MY_API_API_KEY", "own"),
        ],
    ))
    .unwrap();
    let groq = provider(&config, "groq");
    assert_eq!(keys(groq), ["ek-1", "ek-2", "fk-1", "fk-2"]);
    assert_eq!(groq.keys[0].source, "env MY_KEY_1");
    has(&groq.keys[3].source, &["secrets/groq line 4"]);
    assert_eq!(keys(provider(&config, "my-api")), ["own"]);
    let shown = load(&request(&dir.0, &[])).unwrap_err().to_string();
    has(
        &shown,
        &["llm.providers[0].api_key_env: no key is in MY_KEY; set the variable"],
    );
    std::fs::remove_file(dir.0.join("secrets/groq")).unwrap();
    has(
        &load(&request(&dir.0, &[("MY_KEY", "k")]))
            .unwrap_err()
            .to_string(),
        &["secrets/groq can't be read"],
    );
}

#[test]
fn a_full_url_is_kept() {
    let text = "llm: {providers: [{name: x, base_url: 'https://api.groq.com/openai/v1/chat/completions', api_key: k, model: m}]}";
    let config = yaml(text, &[]).unwrap();
    let x = provider(&config, "x");
    assert_eq!(
        x.chat_url.as_deref(),
        Some("https://api.groq.com/openai/v1/chat/completions")
    );
    assert_eq!(x.base_url, "https://api.groq.com/openai/v1");
}

#[test]
fn echo_needs_nothing() {
    let config = yaml(
        "llm: {providers: [{name: mirror, dialect: echo, model: m}]}",
        &[],
    )
    .unwrap();
    let mirror = provider(&config, "mirror");
    assert_eq!(
        (mirror.dialect.id(), mirror.base_url.as_str()),
        ("echo", "")
    );
    assert!(config.warnings.is_empty());
}

#[test]
fn retired_providers_warn_unless_they_have_a_url_of_their_own() {
    let config = yaml("llm: {providers: [{name: anyscale, api_key: k}]}", &[]).unwrap();
    has(&config.warnings.join("\n"), &["anyscale", "2024-08-01"]);
    let own =
        "llm: {providers: [{name: anyscale, api_key: k, base_url: 'https://mine.example/v1'}]}";
    assert!(yaml(own, &[]).unwrap().warnings.is_empty());
}

#[test]
fn a_pool_is_asked_in_order_and_is_an_allow_list() {
    let text = "llm: {providers: [{name: groq, api_key: k, models: [a, b]}, {name: e, dialect: echo, models: 'x, y'}]}";
    let config = yaml(text, &[]).unwrap();
    assert_eq!(upstreams(&config, Some("groq")), ["groq:a", "groq:b"]);
    assert!(config.targets.resolve(Some("groq:c")).is_err());
    assert_eq!(upstreams(&config, Some("y")), ["e:y"]);
}

#[test]
fn a_listed_model_that_looks_like_a_provider_is_a_model() {
    let text = "llm: {default_model: 'qwen:7b', providers: [{name: ollama, models: ['qwen:7b']}], virtual: [{name: v, upstreams: ['qwen:7b']}]}";
    let config = yaml(text, &[]).unwrap();
    assert_eq!(upstreams(&config, None), ["ollama:qwen:7b"]);
    assert_eq!(upstreams(&config, Some("v")), ["ollama:qwen:7b"]);
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn a_default_alone_brings_a_local_provider() {
    let config = yaml("llm: {default_model: 'ollama:llama3'}", &[]).unwrap();
    assert_eq!(upstreams(&config, None), ["ollama:llama3"]);
}

#[test]
fn a_key_that_no_header_can_carry_is_said_not_sent() {
    let variables = [("GROQ_API_KEY", "kö"), ("OPENAI_API_KEY", "k")];
    let config = yaml("llm: {providers: [{name: echo}]}", &variables).unwrap();
    has(
        &config.warnings.join("\n"),
        &["the key from env GROQ_API_KEY is not used"],
    );
    assert!(
        config
            .providers
            .iter()
            .all(|provider| provider.name.as_str() != "groq")
    );
}

#[test]
fn a_virtual_provider_has_a_policy_and_its_upstreams_weights() {
    let text = "
llm:
  providers:
    - {name: a, base_url: 'http://localhost:1/v1', model: m, api_key: k}
    - {name: b, base_url: 'http://localhost:1/v1', model: m, api_key: k}
  virtual:
    - {name: v, policy: weighted, upstreams: [{name: a, weight: 0}, b]}
    - {name: w, policy: cost, upstreams: [{name: a, weight: 3}, v]}
    - {name: x, upstreams: [a, b]}
";
    let config = yaml(text, &[]).unwrap();
    let of = |name| config.targets.configured(name).unwrap();
    let weights = of("v").upstreams.iter().map(|member| member.weight);
    assert_eq!(weights.collect::<Vec<_>>(), [0, 1]);
    assert_eq!(of("v").policy.name(), "weighted");
    assert!(of("x").policy.is_usual());
    let warnings: Vec<_> = config.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    has(
        &warnings[0],
        &["llm.virtual[1].upstreams[0].weight", "cost"],
    );
}

#[test]
fn a_virtual_provider_may_have_the_name_of_a_built_in_one_whose_key_is_only_in_the_environment() {
    let text = "
llm:
  providers: [{name: mine, base_url: https://llm.example.com/v1, api_key: k, model: m}]
  virtual: [{name: groq, upstreams: [mine]}]
";
    let config = yaml(text, &[("GROQ_API_KEY", "k")]).unwrap();
    assert_eq!(upstreams(&config, Some("groq")), ["mine:m"]);
    let both = text.replace("[mine]}", "[mine, \"groq:x\"]}");
    has(
        &mistakes(&both, &[("GROQ_API_KEY", "k")]),
        &["rename one of them"],
    );
}
