//! BorgLLM files work unchanged.

use std::time::Duration;

use super::*;

const LOCAL: &str = include_str!("../../../tests/data/borg/local-and-cloud.yaml");
const FULL: &str = include_str!("../../../tests/data/borg/full.yaml");

fn borg(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    load_as("borg.yaml", text, variables)
}

#[test]
fn a_chain_of_clouds_without_keys_runs_on_the_local_server() {
    let config = borg(LOCAL, &[]).unwrap();
    assert_eq!(
        upstreams(&config, Some("qwen-auto")),
        ["local_qwen:qwen/qwen3-8b"]
    );
    assert_eq!(
        upstreams(&config, Some("remote_gemma")),
        ["remote_gemma:google/gemma-2-27b"]
    );
    let local = provider(&config, "local_qwen");
    assert_eq!(local.context_window, Some(8192));
    assert!(local.keys.len() == 1 && local.keys[0].material.is_none());
    assert!(
        local.params.is_empty(),
        "temperature is not put into requests"
    );
    let warnings = config.warnings.join("\n");
    has(
        &warnings,
        &[
            "groq:qwen/qwen3-32b is skipped",
            "GROQ_API_KEY",
            "CEREBRAS_API_KEY",
        ],
    );
    has(&warnings, &["remote_gemma has no key"]);
    assert!(!warnings.contains("local_qwen has no key"), "{warnings}");
}

#[test]
fn with_keys_the_same_chain_begins_in_the_cloud() {
    let keys = [("GROQ_API_KEY", "g"), ("CEREBRAS_API_KEYS", "c1,c2")];
    let config = borg(LOCAL, &keys).unwrap();
    assert_eq!(
        upstreams(&config, Some("qwen-auto")),
        [
            "groq:qwen/qwen3-32b",
            "cerebras:qwen-3-32b",
            "local_qwen:qwen/qwen3-8b"
        ]
    );
    assert_eq!(super::keys(provider(&config, "cerebras")), ["c1", "c2"]);
}

#[test]
fn the_full_sample_loads_with_its_variables_set() {
    let variables = [
        ("YOUR_EXAMPLE_API_KEY", "sk-a"),
        ("YOUR_ANOTHER_EXAMPLE_API_KEY", "sk-b1,sk-b2"),
        ("OPENAI_API_KEY", "sk-o"),
    ];
    let config = borg(FULL, &variables).unwrap();
    assert_eq!(
        super::keys(provider(&config, "custom-provider-1")),
        ["sk-example"]
    );
    assert_eq!(
        super::keys(provider(&config, "custom-provider-2")),
        ["sk-a"]
    );
    assert_eq!(
        super::keys(provider(&config, "custom-provider-3")),
        ["sk-b1", "sk-b2"]
    );
    assert_eq!(
        upstreams(&config, Some("auto-fallback-model")),
        [
            "custom-provider-1:/models/your-local-model",
            "openai:gpt-4o"
        ]
    );
    assert_eq!(upstreams(&config, None), ["local_qwen:qwen/qwen3-8b"]);
}

#[test]
fn unset_variables_are_named_all_of_them() {
    let text = borg(FULL, &[]).unwrap_err().to_string();
    has(
        &text,
        &[
            "2 mistakes",
            "borg.yaml llm.providers[1].api_key: the environment variable YOUR_EXAMPLE_API_KEY is not set",
            "YOUR_ANOTHER_EXAMPLE_API_KEY",
        ],
    );
}

#[test]
fn a_file_without_llm_is_told_to_nest() {
    let text = include_str!("../../../tests/data/borg/top-level-providers.yaml");
    let shown = borg(text, &[]).unwrap_err().to_string();
    has(
        &shown,
        &["`providers:` is at the top level", "nest it under `llm:`"],
    );
    assert!(!shown.contains("sk-generic"), "{shown}");
    has(&mistakes(text, &[]), &["nest it under `llm:`"]);
}

#[test]
fn a_list_of_keys_takes_the_place_of_the_single_one() {
    let text = include_str!("../../../tests/data/borg/several-keys.yaml");
    let config = borg(text, &[]).unwrap();
    let provider = provider(&config, "generic-api-provider");
    let expected = [
        "sk-generic-key-prod-1",
        "sk-generic-key-prod-2",
        "sk-generic-key-prod-3",
    ];
    assert_eq!(super::keys(provider), expected);
    assert_eq!(
        provider.context_window,
        Some(4096),
        "numbers in quotes count"
    );
    assert_eq!(
        provider.keys[1].source,
        "file borg.yaml llm.providers[0].api_keys[1]"
    );
}

#[test]
fn unknown_keys_are_warnings_here_and_mistakes_elsewhere() {
    let text = "llm:
  providers:
    - {name: a, base_url: 'http://localhost:1/v1', model: m, flavour: x}
";
    let config = borg(text, &[]).unwrap();
    has(
        &config.warnings.join("\n"),
        &["borg.yaml llm.providers[0].flavour: unknown key"],
    );
    has(
        &mistakes(text, &[]),
        &["llm.providers[0].flavour: unknown key"],
    );
    let misplaced = text.replace("flavour", "sk-live-0123456789abcdefghij");
    let warnings = borg(&misplaced, &[]).unwrap().warnings.join("\n");
    has(&warnings, &["****ghij: unknown key"]);
    assert!(!warnings.contains("012345"), "{warnings}");
}

#[test]
fn without_a_default_the_first_provider_of_the_file_is_it() {
    let config = borg(LOCAL, &[("GROQ_API_KEY", "g")]).unwrap();
    assert_eq!(upstreams(&config, None), ["local_qwen:qwen/qwen3-8b"]);
}

#[test]
fn a_built_in_provider_without_a_key_is_left_out() {
    let text = "llm:
  providers:
    - {name: openai, model: gpt-4o, max_tokens: 4096}
    - {name: a, base_url: 'http://localhost:1/v1', model: m}
  virtual:
    - {name: v, upstreams: [{name: 'openai:gpt-4o'}, {name: a}]}
";
    let config = borg(text, &[]).unwrap();
    assert_eq!(config.providers.len(), 1);
    assert_eq!(upstreams(&config, Some("v")), ["a:m"]);
    has(
        &config.warnings.join("\n"),
        &["openai is left out: no key", "OPENAI_API_KEY"],
    );
}

#[test]
fn a_chain_with_nothing_left_is_a_mistake() {
    let text = "llm:
  providers:
    - {name: a, base_url: 'http://localhost:1/v1', model: m}
  virtual:
    - {name: v, upstreams: [{name: 'groq:x'}, {name: 'cerebras:y'}]}
  default_model: v
";
    let shown = borg(text, &[]).unwrap_err().to_string();
    has(
        &shown,
        &[
            "1 mistake:",
            "no upstream of virtual provider v has a key",
            "GROQ_API_KEY",
            "CEREBRAS_API_KEY",
        ],
    );
}

#[test]
fn cooldowns_by_exact_name_then_prefix_then_default_then_sixty() {
    let providers = "
  providers:
    - {name: exact, base_url: 'http://localhost:1/v1', model: m}
    - {name: 'a:b:c', base_url: 'http://localhost:1/v1', model: m}
    - {name: other, base_url: 'http://localhost:1/v1', model: m}
    - {name: own, base_url: 'http://localhost:1/v1', model: m, cooldown: 1}
";
    let of = |config: &Config, name: &str| provider(config, name).cooldown.default.as_secs_f64();
    let text = format!("llm:\n  cooldown: {{exact: 5, a: 7.5, default: 0}}{providers}");
    let config = borg(&text, &[]).unwrap();
    assert_eq!(of(&config, "exact"), 5.0);
    assert_eq!(of(&config, "a:b:c"), 7.5);
    assert_eq!(of(&config, "other"), 0.0);
    assert_eq!(of(&config, "own"), 1.0);
    let text = format!("llm:\n  cooldown: {{'a:b:c': 3, a: 7}}{providers}");
    assert_eq!(of(&borg(&text, &[]).unwrap(), "a:b:c"), 3.0);
    assert_eq!(of(&borg(&text, &[]).unwrap(), "other"), 60.0);
    let text = format!("llm:\n  cooldown: 30{providers}");
    assert_eq!(of(&borg(&text, &[]).unwrap(), "other"), 30.0);
    let text = format!("llm:\n  cooldown: {{}}{providers}");
    assert_eq!(of(&borg(&text, &[]).unwrap(), "other"), 60.0);
    let text = format!("llm:\n  cooldown: {{nobody: 3}}{providers}");
    has(
        &borg(&text, &[]).unwrap().warnings.join("\n"),
        &["llm.cooldown.nobody"],
    );
    has(
        &mistakes(&text, &[]),
        &["llm.cooldown.nobody: no provider has this name"],
    );
}

#[test]
fn a_cooldown_longer_than_the_usual_maximum_raises_it() {
    let text = "llm:
  cooldown: 3600
  providers:
    - {name: a, base_url: 'http://localhost:1/v1', model: m}
";
    let policy = provider(&borg(text, &[]).unwrap(), "a").cooldown;
    assert_eq!(
        (policy.default, policy.max),
        (Duration::from_secs(3600), Duration::from_secs(3600))
    );
}

#[test]
fn a_timeout_is_the_time_to_wait_for_a_key() {
    let file = |timeout: &str, more: &str| {
        format!("llm:\n  timeout: {timeout}\n  providers: [{{name: echo}}]\n{more}")
    };
    let wait = |text: &str| {
        borg(text, &[])
            .unwrap()
            .dispatch
            .await_cooldown
            .as_secs_f64()
    };
    assert_eq!(wait(&file("2.5", "")), 2.5);
    assert_eq!(wait(&file("{default: 7}", "")), 7.0);
    assert_eq!(wait(&file("7", "dispatch: {await_cooldown: 1s}")), 1.0);
    let config = borg(&file("{default: 7, openai: 9}", ""), &[]).unwrap();
    has(
        &config.warnings.join("\n"),
        &["llm.timeout.openai", "not supported"],
    );
    has(
        &mistakes(&file("{openai: 9}", ""), &[]),
        &["llm.timeout.openai"],
    );
}

#[test]
fn long_and_foreign_names_work() {
    let long = "x".repeat(1000);
    let text = format!(
        "llm:
  cooldown: {{'{long}': 3, 'ü-模型': 4}}
  providers:
    - {{name: '{long}', base_url: 'http://localhost:1/v1', model: m}}
    - {{name: 'ü-模型', base_url: 'http://localhost:1/v1', model: m}}
"
    );
    let config = borg(&text, &[]).unwrap();
    assert_eq!(provider(&config, &long).cooldown.default.as_secs(), 3);
    assert_eq!(provider(&config, "ü-模型").cooldown.default.as_secs(), 4);
    assert_eq!(upstreams(&config, Some("ü-模型:q")), ["ü-模型:q"]);
}
