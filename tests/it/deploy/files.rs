//! Reading what is under `deploy/`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use config::FileFormat;
use serde_json::Value;

use crate::support::certs::Issuer;
use crate::support::gateway::run;
use crate::support::temp::TempDir;

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Fails with all problems at once.
pub fn none(what: &str, problems: &[String]) {
    assert!(
        problems.is_empty(),
        "{what}:\n  {}\n",
        problems.join("\n  ")
    );
}

/// A file of the repository.
pub fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Whether a file or folder of the repository exists.
pub fn exists(path: &str) -> bool {
    root().join(path).exists()
}

/// Every file below a folder, as paths from the root; what git ignores is left out.
pub fn walk(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root().join(folder)).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let path = format!("{folder}/{name}");
        if root().join(&path).is_dir() {
            if name != "secrets" {
                found.extend(walk(&path));
            }
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// What a file holds; `None` when its name says that it is for people.
pub fn parsed(path: &str) -> Option<Result<Value, String>> {
    let format = match path.rsplit_once('.')?.1 {
        "yaml" | "yml" => FileFormat::Yaml,
        "toml" => FileFormat::Toml,
        "json" => FileFormat::Json,
        _ => return None,
    };
    let read = config::Config::builder()
        .add_source(config::File::from_str(&read(path), format))
        .build()
        .and_then(config::Config::try_deserialize::<Value>);
    Some(read.map(merged).map_err(|error| error.to_string()))
}

/// What a file holds.
pub fn data(path: &str) -> Value {
    parsed(path).unwrap().unwrap()
}

/// YAML's merge key, `<<`.
fn merged(value: Value) -> Value {
    match value {
        Value::Object(mut members) => {
            if let Some(Value::Object(base)) = members.remove("<<") {
                for (name, member) in base {
                    members.entry(name).or_insert(member);
                }
            }
            let members = members.into_iter();
            Value::Object(members.map(|(name, it)| (name, merged(it))).collect())
        }
        Value::Array(all) => all.into_iter().map(merged).collect(),
        other => other,
    }
}

/// The members of a list, or none.
pub fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    let found = value.pointer(pointer).and_then(Value::as_array);
    found.map_or(&[], Vec::as_slice)
}

/// A text, or an empty one.
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// A list of texts.
pub fn texts(value: &Value, pointer: &str) -> Vec<String> {
    let all = list(value, pointer).iter();
    all.map(|one| one.as_str().unwrap().to_owned()).collect()
}

/// `name: value` pairs of a map.
pub fn pairs(value: Option<&Value>) -> BTreeMap<String, String> {
    let members = value.and_then(Value::as_object).into_iter().flatten();
    members
        .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect()
}

/// Seconds, as `75s` or a number.
pub fn seconds(value: &str) -> Duration {
    let number = value.trim_end_matches('s');
    Duration::from_secs(
        number
            .parse()
            .unwrap_or_else(|_| panic!("{value} is no time")),
    )
}

/// How long somebody waits for the program to stop.
pub struct Wait {
    pub place: String,
    pub grace: Duration,
    /// What has to end before it, in the same time.
    pub before: Duration,
    pub config: String,
    pub env: BTreeMap<String, String>,
}

/// Where containers find mounted secrets.
pub const MOUNTS: &str = "/run/secrets";

/// An environment with keys, tokens and a certificate, in files and in variables.
pub fn env(more: &BTreeMap<String, String>) -> (TempDir, BTreeMap<String, String>) {
    let keys = TempDir::new();
    for folder in ["groq-keys", "pointsman-clients", "pointsman-tls"] {
        std::fs::create_dir(keys.path().join(folder)).unwrap();
    }
    let pair = Issuer::new().server();
    for (name, text) in [
        ("groq_api_keys", "gsk-fake-1\ngsk-fake-2\n"),
        ("client_token", "token-that-is-fake\n"),
        ("admin_token", "admin-token-that-is-fake\n"),
        ("groq-keys/one", "gsk-fake-1\n"),
        ("groq-keys/two", "gsk-fake-2"),
        ("pointsman-clients/batch", "token-that-is-fake"),
        ("pointsman-tls/tls.crt", &pair.cert),
        ("pointsman-tls/tls.key", &pair.key),
    ] {
        keys.write(name, text);
    }
    let place = keys.path().to_str().unwrap().to_owned();
    let mut env = more.clone();
    for value in env.values_mut() {
        *value = value.replace(MOUNTS, &place);
    }
    env.insert("CLIENT_TOKEN".to_owned(), "token-that-is-fake".to_owned());
    for folder in ["KEYS_DIR", "CREDENTIALS_DIRECTORY"] {
        env.insert(folder.to_owned(), place.clone());
    }
    for key in [
        "GROQ_API_KEYS",
        "GROQ_API_KEY",
        "CEREBRAS_API_KEY",
        "OPENROUTER_API_KEY",
        "OPENAI_API_KEY",
    ] {
        env.insert(key.to_owned(), "fake".to_owned());
    }
    (keys, env)
}

/// `pointsman check` with fake keys.
pub async fn check(path: &str, more: &[(&str, &str)]) -> Result<(), String> {
    let more = more.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
    let (keys, mut env) = env(&more.collect());
    // Any variable that the file names without a default.
    for after in read(path).split("${").skip(1) {
        let name = after.split('}').next().unwrap_or_default();
        if !name.contains(":-") {
            env.entry(name.to_owned()).or_insert("fake".to_owned());
        }
    }
    let env: Vec<(&str, &str)> = env.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let full = root().join(path);
    let arguments = ["check", "--config", full.to_str().unwrap()];
    let output = run(keys.path(), &arguments, &env).await;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}
