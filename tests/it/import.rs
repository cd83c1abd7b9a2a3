//! `pointsman import`: files of other programs, what became of them, and what the command says.

mod command;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use pointsman::config::{LoadRequest, catalog, load_text};
use pointsman::import::{ImportFormat, Imported, import};

/// Set to write the expected files anew; they are to be read afterwards.
const REWRITE: &str = "POINTSMAN_WRITE_FIXTURES";

/// Pieces of secrets that stand in the files, and of nothing else.
const SECRETS: [&str; 12] = [
    "0123456789abcd",
    "not-to-be-shown",
    "hunter2",
    "hidden",
    "secretpw",
    "wJalrXUtn",
    "IOSFODNN",
    "secret-part",
    "literal-secret",
    "my-own-secret",
    "ccr-secret",
    "azure-key-0",
];

fn fixtures(format: ImportFormat) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/import");
    let files = fs::read_dir(dir.join(format.as_str())).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.retain(|file| !file.to_string_lossy().contains(".expected."));
    files.sort();
    files
}

fn imported(format: ImportFormat, text: &str) -> Imported {
    import(format, text, false, &|_| Err("no files".to_owned())).unwrap()
}

/// What a fixture is expected to become: the configuration, then a line for each field.
fn described(imported: &Imported) -> String {
    let mut out = imported.yaml.clone();
    out.push_str("---\n");
    for field in &imported.fields {
        let kind = field.kind.as_str();
        write!(out, "# {kind}: {}", field.path).unwrap();
        for (mark, text) in [
            (" = ", &field.value),
            (" -> ", &field.became),
            ("  # ", &field.why),
        ] {
            if !text.is_empty() {
                write!(out, "{mark}{text}").unwrap();
            }
        }
        out.push('\n');
    }
    out
}

/// Values for all variables that a configuration names, and keys of every built-in provider.
fn environment(variables: &[String]) -> BTreeMap<String, String> {
    let usual = catalog::all().iter().filter_map(|entry| entry.env.first());
    let usual = usual.map(|name| (name.clone(), format!("k-{name}")));
    let clouds = [
        ("AWS_ACCESS_KEY_ID", "AKIA"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
        ("VERTEX_ACCESS_TOKEN", "ya29.t"),
    ];
    let clouds = clouds.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let named = variables.iter().map(|name| {
        let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
        let value = match name.as_str() {
            "GOOGLE_APPLICATION_CREDENTIALS" | "VERTEX_FILE" => "ya29.token",
            _ if ends(&["_VERSION"]) => "2024-10-21",
            _ if ends(&["_RPM"]) => "7",
            _ if ends(&["_BASE", "_URL", "_ENDPOINT"]) => "https://host.example.com",
            _ => "key-of-a-variable",
        };
        (name.clone(), value.to_owned())
    });
    usual.chain(clouds).chain(named).collect()
}

#[test]
fn every_file_becomes_what_is_expected_of_it_and_passes_the_check() {
    let mut problems = Vec::new();
    let mut count = 0;
    for format in ImportFormat::ALL {
        for file in fixtures(format) {
            count += 1;
            let shown = file.file_name().unwrap().to_string_lossy().into_owned();
            let result = imported(format, &fs::read_to_string(&file).unwrap());
            let found = described(&result);
            for secret in SECRETS.iter().filter(|secret| found.contains(**secret)) {
                problems.push(format!("{shown} shows {secret}"));
            }
            let request = LoadRequest {
                env: environment(&result.variables).into(),
                ..LoadRequest::default()
            };
            if let Err(errors) = load_text("imported.yaml", &result.yaml, &request) {
                problems.push(format!("{shown} does not pass: {errors}\n{}", result.yaml));
            }
            let expected = file.with_extension("expected.yaml");
            if std::env::var_os(REWRITE).is_some() {
                fs::write(&expected, &found).unwrap();
            } else if fs::read_to_string(&expected).unwrap_or_default() != found {
                problems.push(format!("{shown} became something else (set {REWRITE} and read the difference):\n{found}"));
            }
        }
    }
    assert!(count >= 25, "{count} files");
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}

#[test]
fn the_configuration_routes_as_the_file_did() {
    let file = fixtures(ImportFormat::LiteLlm);
    let named = |name: &str| {
        let path = file
            .iter()
            .find(|path| path.to_string_lossy().contains(name))
            .unwrap();
        let result = imported(ImportFormat::LiteLlm, &fs::read_to_string(path).unwrap());
        let request = LoadRequest {
            env: environment(&result.variables).into(),
            ..LoadRequest::default()
        };
        load_text("imported.yaml", &result.yaml, &request).unwrap()
    };
    let config = named("nested-fallbacks");
    let upstreams = |name: &str| {
        let chain = config
            .targets
            .chains()
            .find(|chain| &*chain.target == name)
            .unwrap();
        chain
            .upstreams
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let (groq, cerebras) = ("groq:openai/gpt-oss-20b", "cerebras:gpt-oss-120b");
    let (together, last) = (
        "together_ai:openai/gpt-oss-20b",
        "openrouter:openai/gpt-oss-20b",
    );
    let together = together.replace("together_ai", "togetherai");
    assert_eq!(upstreams("quick"), [groq, cerebras, &together, last]);
    assert_eq!(upstreams("steady"), [&together, last, groq, cerebras]);
    assert_eq!(upstreams("last"), [last]);
    let config = named("two-deployments-latency");
    assert_eq!(config.dispatch.max_attempts, 4);
    assert_eq!(config.clients.len(), 1);
}

#[test]
fn whatever_is_not_of_the_format_is_refused_with_the_reason() {
    for (format, text, part) in [
        (ImportFormat::LiteLlm, "a: [", "can't be read"),
        (ImportFormat::LiteLlm, "providers: []", "model_list"),
        (ImportFormat::LiteLlm, "model_list: []", "no provider"),
        (ImportFormat::Portkey, "[]", "strategy"),
        (ImportFormat::LlmRouter, "x: 1", "providers"),
        (ImportFormat::LlmGateway, "x: 1", "providers"),
        (ImportFormat::OpenRouter, "{}", "model"),
        (
            ImportFormat::ClaudeCodeRouter,
            "{\"Providers\": [], \"Router\": {}}",
            "no provider",
        ),
        (ImportFormat::ClaudeCodeRouter, "", "Providers"),
    ] {
        let error = import(format, text, false, &|_| Err(String::new())).unwrap_err();
        assert!(error.to_string().contains(part), "{text}: {error}");
    }
}
