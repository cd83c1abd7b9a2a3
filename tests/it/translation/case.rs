//! The cases as they stand in their files, and JSON made from YAML with the order of fields and the spelling of numbers.

use std::fmt::Write as _;

use serde_json::Value;
use yaml_rust2::{Yaml, YamlLoader};

/// One case.
pub struct Case {
    /// Its name.
    pub id: String,
    /// What the client speaks.
    pub client: String,
    /// What the upstream speaks.
    pub upstream: String,
    /// The upstream's model.
    pub model: String,
    /// Whether a stream is asked for.
    pub stream: bool,
    yaml: Yaml,
}

/// All cases of all files.
pub fn all() -> Vec<Case> {
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/translation");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .collect();
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let docs = YamlLoader::load_from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let list = docs[0]["cases"].as_vec().cloned().unwrap();
        cases.extend(list.into_iter().map(Case::new));
    }
    cases
}

impl Case {
    fn new(yaml: Yaml) -> Self {
        let text = |name: &str| yaml[name].as_str().map(str::to_owned);
        Self {
            id: text("id").unwrap(),
            client: text("client_dialect").unwrap(),
            upstream: text("upstream_dialect").unwrap(),
            model: text("model").unwrap_or_else(|| "test-model".to_owned()),
            stream: yaml["stream"].as_bool().unwrap_or(false),
            yaml,
        }
    }

    /// A field as text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.yaml[name].as_str()
    }

    /// A field as JSON; null without it.
    pub fn value(&self, name: &str) -> Value {
        value(&self.yaml[name])
    }

    /// The fields of the client's body with their JSON, in order.
    pub fn request(&self) -> Vec<(String, String)> {
        let fields = self.yaml["client_request"].as_hash();
        let fields = fields.into_iter().flatten();
        fields
            .map(|(name, value)| (name.as_str().unwrap().to_owned(), json(value)))
            .collect()
    }

    /// The upstream's body as JSON, in order.
    pub fn answer_body(&self) -> Option<String> {
        body_of(&self.yaml["upstream_response"])
    }

    /// The same for the second turn.
    pub fn second_answer_body(&self) -> Option<String> {
        body_of(&self.yaml["second_turn"]["upstream_response"])
    }
}

fn body_of(response: &Yaml) -> Option<String> {
    let body = &response["body"];
    (!body.is_badvalue()).then(|| json(body))
}

/// YAML as a value.
pub fn value(yaml: &Yaml) -> Value {
    serde_json::from_str(&json(yaml)).unwrap()
}

/// YAML as JSON.
fn json(yaml: &Yaml) -> String {
    let mut out = String::new();
    write(yaml, &mut out);
    out
}

fn write(yaml: &Yaml, out: &mut String) {
    match yaml {
        Yaml::Real(number) => out.push_str(number),
        Yaml::Integer(number) => write!(out, "{number}").unwrap(),
        Yaml::Boolean(flag) => write!(out, "{flag}").unwrap(),
        Yaml::String(text) => out.push_str(&Value::from(text.as_str()).to_string()),
        Yaml::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Yaml::Hash(fields) => {
            out.push('{');
            for (at, (name, value)) in fields.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                let name = name
                    .as_str()
                    .unwrap_or_else(|| panic!("{name:?} is no name"));
                out.push_str(&Value::from(name).to_string());
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
        Yaml::Alias(_) | Yaml::Null | Yaml::BadValue => out.push_str("null"),
    }
}
