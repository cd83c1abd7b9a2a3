//! The reference and the schema say what the loader does.

mod validate;

use ::config::{Value as Given, ValueKind};
use serde_json::{Value, json};

use super::super::describe::{Describe, FieldSpec, Section, sections};
use super::super::raw::Root;
use super::*;
use validate::accepts;

fn all() -> Vec<&'static Section> {
    let root = Root::shape().sections;
    root.into_iter().flat_map(sections).collect()
}

/// A value as a file's parser gives it.
fn given(value: &Value) -> Given {
    let kind = match value {
        Value::Null => ValueKind::Nil,
        Value::Bool(flag) => ValueKind::Boolean(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => ValueKind::I64(whole),
            None => ValueKind::Float(number.as_f64().unwrap()),
        },
        Value::String(text) => ValueKind::String(text.clone()),
        Value::Array(items) => ValueKind::Array(items.iter().map(given).collect()),
        Value::Object(map) => {
            let members = map.iter().map(|(name, value)| (name.clone(), given(value)));
            ValueKind::Table(members.collect())
        }
    };
    Given::new(None, kind)
}

/// A file's content as JSON.
fn content(name: &str, text: &str) -> Value {
    let format = match name.rsplit('.').next() {
        Some("toml") => ::config::FileFormat::Toml,
        Some("json") => ::config::FileFormat::Json,
        _ => ::config::FileFormat::Yaml,
    };
    let file = ::config::File::from_str(text, format);
    let file = ::config::Config::builder().add_source(file).build();
    file.unwrap().try_deserialize().unwrap()
}

#[test]
fn the_committed_texts_are_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_default();
    assert!(
        read("docs/configuration.md") == reference(),
        "docs/configuration.md is out of date: cargo run -- check --reference > docs/configuration.md"
    );
    let schema = schema();
    let committed: Value = serde_json::from_str(&read("config/schema.json")).unwrap_or_default();
    assert!(
        committed == schema,
        "config/schema.json is out of date: cargo run -- check --schema > config/schema.json"
    );
}

#[test]
fn every_key_is_described_and_every_section_has_a_place_of_its_own() {
    let mut paths: Vec<&str> = Vec::new();
    for section in all() {
        assert!(
            !paths.contains(&section.path()),
            "two sections at {}",
            section.path()
        );
        paths.push(section.path());
        for field in section.fields {
            let place = format!("{}.{}", section.path(), field.name());
            assert!(!field.text().is_empty(), "{place} has no comment");
            assert!(!(field.shape)().word.is_empty(), "{place} has no word");
        }
    }
    let text = reference();
    for section in all() {
        assert!(text.contains(&format!("\n## {}\n", section.title())));
        let below = all().iter().any(|above| {
            let mut shapes = above.fields.iter().map(|field| (field.shape)());
            section.path().is_empty() || shapes.any(|it| it.word.contains(&section.anchor()))
        });
        assert!(below, "nothing leads to {}", section.path());
    }
}

#[test]
fn every_example_keeps_to_the_schema() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![root.join("config/demo.yaml")];
    let mut folders = vec![root.join("config/examples"), root.join("deploy")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let example = path
                .parent()
                .is_some_and(|parent| parent.ends_with("examples"));
            if path.is_dir() {
                folders.push(path);
            } else if example || (name.starts_with("pointsman") && name.ends_with(".yaml")) {
                files.push(path);
            }
        }
    }
    assert!(files.len() > 10, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let value = content(&file.to_string_lossy(), &text);
        accepts(&schema(), &value).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
    }
}

/// Every key of the full example is one that the schema knows; the reverse is not asked.
#[test]
fn what_the_loader_calls_unknown_the_schema_refuses() {
    let full = content(
        "full.yaml",
        include_str!("../../../config/examples/full.yaml"),
    );
    let schema = schema();
    accepts(&schema, &full).unwrap();
    let mut count = 0;
    for path in tables(&full, "") {
        let mut wrong = full.clone();
        let table = wrong
            .pointer_mut(&path)
            .and_then(Value::as_object_mut)
            .unwrap();
        table.insert("no_such_key".to_owned(), json!(1));
        let open = ["/headers", "/params"]
            .iter()
            .any(|end| path.ends_with(end));
        let why = accepts(&schema, &wrong);
        assert_eq!(why.is_ok(), open, "{path}: {why:?}");
        let text = wrong.to_string();
        let variables = [("GROQ_API_KEY", "k"), ("WEB_TOKEN", "0123456789abcdef")];
        let loaded = load_as("pointsman.json", &text, &variables);
        assert_eq!(loaded.is_ok(), open, "{path}: {loaded:?}");
        count += 1;
    }
    assert!(count > 15, "{count}");
}

fn tables(value: &Value, path: &str) -> Vec<String> {
    let members: Vec<(String, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(name, it)| (name.clone(), it)).collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(at, it)| (at.to_string(), it))
            .collect(),
        _ => Vec::new(),
    };
    let mut found: Vec<String> = value
        .is_object()
        .then(|| path.to_owned())
        .into_iter()
        .collect();
    for (name, member) in members {
        let name = name.replace('~', "~0").replace('/', "~1");
        found.extend(tables(member, &format!("{path}/{name}")));
    }
    found
}

/// Values of every kind, for all keys.
fn samples() -> Vec<Value> {
    let mut samples = vec![
        json!(true),
        json!(false),
        json!(0),
        json!(1),
        json!(2),
        json!(-1),
        json!(0.25),
        json!(1.5),
        json!(700),
        json!([]),
        json!(["a", "b"]),
        json!([1, 2]),
        json!([{}]),
        json!([[]]),
        json!({}),
        json!({"a": "b"}),
        json!({"a": 1}),
        json!({"a": [1]}),
        json!({"default": "5s"}),
        json!({"default": true}),
        json!({"no_such_key": 1}),
        json!([{"name": "x"}]),
        json!({"name": "x"}),
        json!([null]),
        json!([1.5]),
    ];
    let texts = [
        "",
        "x",
        "a, b",
        "0",
        "1",
        "-1",
        "1_000",
        "0.5",
        "1.5",
        "2",
        "1e3",
        "5s",
        "Europe/Berlin",
        "5 s",
        "500ms",
        ".5h",
        "2minutes",
        "1d",
        "7us",
        "5 weeks",
        "1.2.3s",
        "32MiB",
        "10 kb",
        "1.5GiB",
        "5b",
        "5TB",
        "10MiBs",
        "yes",
        "Off",
        "off",
        "true",
        "maybe",
        "127.0.0.1:80",
        "p95",
        "http://host:1/v1",
    ];
    samples.extend(texts.map(Value::from));
    for section in all() {
        for field in section.fields {
            words((field.shape)().schema, &mut samples);
        }
    }
    samples
}

/// The words that a schema lists.
fn words(schema: Value, found: &mut Vec<Value>) {
    match schema {
        Value::Object(map) => {
            for (name, value) in map {
                match value {
                    Value::Array(values) if name == "enum" => {
                        let new = values.into_iter().filter(|value| !found.contains(value));
                        let new: Vec<Value> = new.collect();
                        found.extend(new);
                    }
                    value => words(value, found),
                }
            }
        }
        Value::Array(items) => items.into_iter().for_each(|item| words(item, found)),
        _ => {}
    }
}

/// Choices are read in any case; the schema knows their usual form, which editors complete.
fn in_usual_form(value: &Value) -> Value {
    match value.as_str() {
        Some(text) => text.to_lowercase().into(),
        None => value.clone(),
    }
}

/// What only the loader can judge: addresses, names of headers, ranges of texts, and rules between keys.
fn is_beyond(field: &FieldSpec, value: &Value) -> bool {
    let text = value.as_str().is_some_and(|text| !text.trim().is_empty());
    match (field.shape)().word.as_str() {
        word if word.contains("list of addresses") => true,
        word if word.starts_with("map of") => true,
        // The range of a number in quotes, and a time of zero in quotes.
        word if word.contains("number") || word.contains("share") => text,
        word if word.contains("time above 0") || word == "size" => text,
        // Whether it is one, and whether this program was built with its language.
        "expression" => text,
        // A list that may be empty only when it is judged with everything else.
        word => word.contains("[section]") && value.is_object(),
    }
}

#[test]
fn what_a_key_reads_the_schema_takes_and_what_it_refuses_the_schema_refuses() {
    let schema = schema();
    let samples = samples();
    let mut problems = Vec::new();
    for section in all() {
        for field in section.fields {
            let mut own = (field.shape)().schema;
            own["$defs"] = schema["$defs"].clone();
            for value in &samples {
                let reads = (field.mistakes)(&given(value)).is_empty();
                let accepted = accepts(&own, value);
                // Whether a section is whole is judged with everything else, later.
                let lacks = |why: &String| why.contains("lacks a required key");
                if reads && accepted.as_ref().is_err_and(lacks) {
                    continue;
                }
                let usual = || reads && accepts(&own, &in_usual_form(value)).is_ok();
                let takes = accepted.is_ok() || usual();
                if reads != takes && !(takes && is_beyond(field, value)) {
                    problems.push(format!(
                        "{}.{} = {value}: read {reads}, schema {takes}",
                        section.path(),
                        field.name()
                    ));
                }
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_words_that_a_key_takes_are_all_listed() {
    let mut count = 0;
    for section in all() {
        for field in section.fields {
            let wrong = (field.mistakes)(&given(&json!("no such word")));
            let words = wrong
                .first()
                .and_then(|message| message.strip_prefix("expected one of "));
            let mut listed = Vec::new();
            self::words((field.shape)().schema, &mut listed);
            for word in words.into_iter().flat_map(|words| words.split(", ")) {
                let place = format!("{}.{}", section.path(), field.name());
                assert!(
                    listed.contains(&word.into()),
                    "{place} does not list {word}"
                );
                count += 1;
            }
        }
    }
    assert!(count > 20, "{count}");
}

/// A file with a member of every list, and nothing that is not needed.
fn base() -> Value {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    // 32 bytes in hexadecimal digits, as a fleet's secret.
    let secret = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/fleet.hex");
    json!({
        "server": {"tls": {"cert": file, "key": file}},
        "fleet": {"url": "redis://127.0.0.1", "secret_file": secret},
        "clients": [{"name": "c", "token": "0123456789abcdefg", "budgets": [{"amount": 5}]}],
        "telemetry": {"otlp": {"endpoint": "http://localhost:4318"}},
        "catalog": {"sources": [{"url": "https://example.com/list.json"}]},
        "llm": {
            "providers": [
                {"name": "p", "base_url": "https://example.com/v1", "model": "m", "api_key": "k"},
                {"name": "echo"},
            ],
            "virtual": [{"name": "v", "upstreams": [{"name": "echo"}], "rescue": {"mode": "restart"}}],
        },
    })
}

/// The table of this section in `file`, made where it is not there.
fn table_of<'a>(section: &Section, file: &'a mut Value) -> &'a mut serde_json::Map<String, Value> {
    let mut at = file;
    for step in section.path().split('.').filter(|step| !step.is_empty()) {
        let (name, listed) = match step.strip_suffix("[]") {
            Some(name) => (name, true),
            None => (step, false),
        };
        let none = if listed { json!([{}]) } else { json!({}) };
        let member = at.as_object_mut().unwrap().entry(name).or_insert(none);
        at = if listed { &mut member[0] } else { member };
    }
    at.as_object_mut().unwrap()
}

fn loaded(file: &Value) -> Result<Config, ConfigErrors> {
    load_text(
        "pointsman.json",
        &file.to_string(),
        &request(Path::new("/nonexistent"), &[]),
    )
}

/// Everything that is meant, for a comparison.
fn meaning(config: &Config) -> String {
    let shown = Config {
        // In no order, and made from the rest.
        targets: Default::default(),
        ..config.clone()
    };
    let mut all = format!("{shown:?}");
    for provider in &config.providers {
        all += &format!(
            "{:?}",
            (
                (
                    &provider.base_url,
                    &provider.key_rotation,
                    &provider.context_window,
                    &provider.params
                ),
                (
                    &provider.limits,
                    &provider.timeouts,
                    &provider.retry,
                    &provider.cooldown
                ),
                (
                    &provider.breaker,
                    &provider.mock,
                    &provider.priority,
                    &provider.prefill
                ),
                (
                    &provider.proxy,
                    &provider.allow_link_local,
                    &provider.trace_context,
                    &provider.forward_user_agent,
                    &provider.unsupported,
                    &provider.responses,
                    &provider.passthrough,
                    &provider.fetch,
                    &provider.discover,
                    &provider.data_policy
                ),
            )
        );
    }
    all
}

#[test]
fn a_map_without_a_required_key_is_refused_by_both() {
    let schema = schema();
    accepts(&schema, &base()).unwrap();
    loaded(&base()).unwrap();
    let mut count = 0;
    for section in all() {
        for field in section.fields.iter().filter(|field| field.required) {
            let mut file = base();
            table_of(section, &mut file).remove(field.name());
            let place = format!("{}.{}", section.path(), field.name());
            assert!(accepts(&schema, &file).is_err(), "{place}");
            assert!(loaded(&file).is_err(), "{place}");
            count += 1;
        }
    }
    assert!(count >= 5, "{count}");
}

#[test]
fn the_defaults_that_are_told_are_those_that_hold() {
    // What shows nowhere in what was loaded.
    const UNSEEN: [&str; 1] = ["server.insecure_open"];
    let samples = samples();
    let mut problems = Vec::new();
    let mut count = 0;
    for section in all() {
        for field in section.fields {
            let place = format!("{}.{}", section.path(), field.name());
            let Some(default) = field.default() else {
                continue;
            };
            let with = |value: Option<&Value>| {
                let mut file = base();
                let table = table_of(section, &mut file);
                match value {
                    Some(value) => table.insert(field.name().to_owned(), value.clone()),
                    None => table.remove(field.name()),
                };
                loaded(&file).map(|config| meaning(&config))
            };
            let absent = with(None).unwrap_or_else(|error| panic!("{place}: {error}"));
            // An address that is named must be free.
            let says_more = place == "server.admin_listen";
            if !says_more && with(Some(&default)).as_ref() != Ok(&absent) {
                problems.push(format!("{place} = {default} is not as if it were absent"));
            }
            let others = samples
                .iter()
                .filter(|value| (field.mistakes)(&given(value)).is_empty());
            let differs = |value: &Value| with(Some(value)).is_ok_and(|other| other != absent);
            if !others.into_iter().any(differs) && !UNSEEN.contains(&place.as_str()) {
                problems.push(format!("{place}: no other value makes a difference"));
            }
            count += 1;
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(count > 30, "only {count} defaults");
}
