//! What a user sees of a configuration, from text and variables to the result or the list of mistakes.

mod added;
mod admin;
mod borg;
mod cache_server;
mod catalog;
mod clients;
mod files;
mod layers;
mod listeners;
mod mistakes;
mod native;
mod otlp;
mod outbound;
mod price;
mod providers;
mod reference;
mod routing;
mod shared_env;
mod state;
mod streams;
mod traces;
mod upstreams;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// A directory that goes away with the test.
struct ConfigDir(PathBuf);

impl ConfigDir {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pointsman-config-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn with(self, name: &str, text: &str) -> Self {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }
}

impl Drop for ConfigDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

fn request(dir: &Path, variables: &[(&str, &str)]) -> LoadRequest {
    LoadRequest {
        working_dir: dir.to_path_buf(),
        env: env(variables).into(),
        ..LoadRequest::default()
    }
}

/// Loads `text` as the file `name`.
fn load_as(name: &str, text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let dir = ConfigDir::new().with(name, text);
    load(&request(&dir.0, variables))
}

/// Loads `text` as `pointsman.yaml`.
fn yaml(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    load_as("pointsman.yaml", text, variables)
}

/// The mistakes of `text` as `pointsman.yaml`, as shown.
fn mistakes(text: &str, variables: &[(&str, &str)]) -> String {
    yaml(text, variables).unwrap_err().to_string()
}

fn provider<'a>(config: &'a Config, name: &str) -> &'a ProviderConfig {
    let found = config
        .providers
        .iter()
        .find(|provider| provider.name.as_str() == name);
    found.unwrap_or_else(|| panic!("no provider {name}"))
}

fn keys(provider: &ProviderConfig) -> Vec<&str> {
    provider
        .keys
        .iter()
        .filter_map(|key| key.material.as_ref())
        .map(|key| key.expose())
        .collect()
}

fn upstreams(config: &Config, model: Option<&str>) -> Vec<String> {
    let chain = config.targets.resolve(model).unwrap();
    chain.upstreams.iter().map(ToString::to_string).collect()
}

fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
}
