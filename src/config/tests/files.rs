//! Which file is read, and what can be wrong with it as a file.

use super::*;

const MINIMAL: &str = "llm: {providers: [{name: echo}]}";
const OTHER: &str = "llm: {providers: [{name: echo, model: other}]}";

fn model(config: &Config) -> String {
    upstreams(config, None)[0].clone()
}

#[test]
fn the_argument_comes_first_then_the_variable_then_the_usual_places() {
    let dir = ConfigDir::new()
        .with("pointsman.yaml", MINIMAL)
        .with(
            "config/pointsman.json",
            r#"{"llm": {"providers": [{"name": "echo", "model": "json"}]}}"#,
        )
        .with("named.yml", OTHER)
        .with("borg.yml", "llm: {providers: [{name: echo, model: borg}]}");
    let named = LoadRequest {
        config_path: Some("named.yml".into()),
        ..request(&dir.0, &[("POINTSMAN_CONFIG", "config/pointsman.json")])
    };
    assert_eq!(model(&load(&named).unwrap()), "echo:other");
    let variable = request(&dir.0, &[("POINTSMAN_CONFIG", "config/pointsman.json")]);
    let config = load(&variable).unwrap();
    assert_eq!(model(&config), "echo:json");
    assert_eq!(config.sources, ["config/pointsman.json"]);
    assert_eq!(model(&load(&request(&dir.0, &[])).unwrap()), "echo:echo");
    std::fs::remove_file(dir.0.join("pointsman.yaml")).unwrap();
    assert_eq!(model(&load(&request(&dir.0, &[])).unwrap()), "echo:json");
    std::fs::remove_file(dir.0.join("config/pointsman.json")).unwrap();
    assert_eq!(model(&load(&request(&dir.0, &[])).unwrap()), "echo:borg");
}

#[test]
fn two_files_of_one_rank_are_a_mistake() {
    let dir = ConfigDir::new()
        .with("pointsman.yaml", MINIMAL)
        .with("pointsman.toml", "");
    let text = load(&request(&dir.0, &[])).unwrap_err().to_string();
    has(&text, &["pointsman.yaml: there is also pointsman.toml"]);
    let dir = ConfigDir::new()
        .with("borg.yaml", MINIMAL)
        .with("borg.yml", MINIMAL);
    has(
        &load(&request(&dir.0, &[])).unwrap_err().to_string(),
        &["borg.yaml: there is also borg.yml"],
    );
}

#[test]
fn a_named_file_must_be_there_and_say_what_it_is() {
    let dir = ConfigDir::new()
        .with("notes.txt", MINIMAL)
        .with("sub.yaml/x", "");
    for (path, part) in [
        ("gone.yaml", "can't be read"),
        ("notes.txt", ".yaml, .yml, .toml or .json"),
        ("sub.yaml", "can't be read"),
    ] {
        let named = LoadRequest {
            config_path: Some(path.into()),
            ..request(&dir.0, &[])
        };
        has(&load(&named).unwrap_err().to_string(), &[path, part]);
    }
}

#[test]
fn what_cannot_be_parsed_says_where_but_shows_no_line() {
    for (name, text) in [
        (
            "pointsman.yaml",
            "llm:\n  providers: [{api_key: sk-secret-value\n",
        ),
        ("pointsman.toml", "[llm]\napi_key = sk-secret-value\n"),
        ("pointsman.json", "{\"api_key\": sk-secret-value}"),
    ] {
        let shown = load_as(name, text, &[]).unwrap_err().to_string();
        has(&shown, &[name, "can't be parsed", "line"]);
        assert!(!shown.contains("secret"), "{shown}");
    }
}

#[test]
fn without_file_and_key_there_are_three_ways_on() {
    let dir = ConfigDir::new();
    let error = load(&request(&dir.0, &[("HOME", "/x")])).unwrap_err();
    assert_eq!(error, ConfigErrors::NothingConfigured { unread: None });
    has(
        &error.to_string(),
        &["GROQ_API_KEY", "pointsman.yaml", "--demo"],
    );
}

#[test]
fn a_key_in_the_environment_is_enough() {
    let dir = ConfigDir::new();
    let config = load(&request(&dir.0, &[("GROQ_API_KEYS", "a,b")])).unwrap();
    assert_eq!(config.providers.len(), 1);
    assert_eq!(keys(provider(&config, "groq")), ["a", "b"]);
    assert_eq!(
        config.server.listen,
        [Listen::Tcp("127.0.0.1:8080".to_owned())]
    );
    assert_eq!(
        upstreams(&config, Some("groq:any/model")),
        ["groq:any/model"]
    );
}

#[test]
fn the_demo_needs_nothing_and_takes_no_keys() {
    let dir = ConfigDir::new().with("pointsman.yaml", "not: [valid");
    let demo = LoadRequest {
        demo: true,
        ..request(&dir.0, &[("GROQ_API_KEY", "k"), ("STEADY_API_KEY", "k")])
    };
    let config = load(&demo).unwrap();
    assert_eq!(upstreams(&config, None), ["flaky:echo", "steady:echo"]);
    let flaky = provider(&config, "flaky");
    assert_eq!(flaky.mock.failure_rate, 0.5);
    assert_eq!(flaky.retry.same_upstream, 0);
    assert!(
        config
            .providers
            .iter()
            .all(|provider| provider.keys[0].material.is_none())
    );
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    let both = LoadRequest {
        config_path: Some("x.yaml".into()),
        ..demo
    };
    assert!(load(&both).is_err());
}

#[test]
fn every_example_loads_without_a_warning() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples");
    let mut count = 0;
    for entry in std::fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        let dir = ConfigDir::new();
        let named = LoadRequest {
            config_path: Some(path.clone()),
            ..request(
                &dir.0,
                &[
                    ("GROQ_API_KEY", "g"),
                    ("CEREBRAS_API_KEY", "c"),
                    ("OPENROUTER_API_KEY", "o"),
                    ("OPENAI_API_KEY", "p"),
                    ("ANTHROPIC_API_KEY", "n"),
                    ("DEEPINFRA_API_KEY", "d"),
                    ("WEB_TOKEN", "0123456789abcdef"),
                ],
            )
        };
        let loaded = load(&named);
        count += 1;
        if path.ends_with("expressions.yaml") && !cfg!(feature = "cel") {
            let said = loaded.unwrap_err().to_string();
            assert!(said.contains("without the feature `cel`"), "{said}");
            continue;
        }
        let config = loaded.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(
            config.warnings.is_empty(),
            "{}: {:?}",
            path.display(),
            config.warnings
        );
        assert!(!config.providers.is_empty());
    }
    assert_eq!(count, 18);
}
