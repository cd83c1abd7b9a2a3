//! What `pointsman init` has found, and what it would write.

use std::path::Path;

use serde_json::{Value, json};

use super::draft::{InitProvider, VIRTUAL};
use crate::app::key_tests::KeyTest;
use crate::config::{Config, ProviderConfig};

/// Providers with their keys, and what became of the tests of these.
pub(super) struct FoundProviders {
    pub(super) config: Config,
    /// None when no provider was asked.
    pub(super) tests: Vec<KeyTest>,
}

impl FoundProviders {
    pub(super) fn tests_of<'t>(&'t self, provider: &'t str) -> impl Iterator<Item = &'t KeyTest> {
        self.tests
            .iter()
            .filter(move |test| test.provider == provider)
    }

    /// A line for each provider.
    pub(super) fn told(&self) -> String {
        let mut out = String::new();
        for provider in &self.config.providers {
            let sources = provider.keys.iter().map(|key| key.source.as_str());
            let sources: Vec<&str> = sources.collect();
            let own = self.tests_of(provider.name.as_str());
            let verdicts: Vec<&str> = own.map(|test| test.verdict.as_str()).collect();
            let verdicts = match verdicts.is_empty() {
                true => "not tested".to_owned(),
                false => verdicts.join(", "),
            };
            let (name, sources) = (&provider.name, sources.join(", "));
            out.push_str(&format!("{name}: {sources}: {verdicts}\n"));
        }
        out
    }
}

/// How far it came.
#[derive(Default)]
pub(super) struct InitReport {
    pub(super) found: Option<FoundProviders>,
    /// The providers of the configuration.
    pub(super) taken: Vec<InitProvider>,
    /// Its text. It has no key.
    pub(super) configuration: Option<String>,
}

impl InitReport {
    /// For machines. `problem`: why nothing would be written.
    pub(super) fn to_json(&self, output: &Path, problem: Option<&str>) -> Value {
        let found = self.found.iter();
        let providers = found.flat_map(|found| {
            let providers = found.config.providers.iter();
            providers.map(|provider| self.provider(provider, found))
        });
        let chain = self
            .taken
            .iter()
            .filter(|provider| provider.model.is_some());
        let chain: Vec<&str> = chain.map(|provider| provider.name.as_str()).collect();
        json!({
            "ok": problem.is_none(),
            "problems": problem.into_iter().collect::<Vec<_>>(),
            "file": output.display().to_string(),
            "providers": providers.collect::<Vec<_>>(),
            "virtual": (!chain.is_empty()).then(|| json!({"name": VIRTUAL, "upstreams": chain})),
            "configuration": self.configuration,
        })
    }

    fn provider(&self, provider: &ProviderConfig, found: &FoundProviders) -> Value {
        let name = provider.name.as_str();
        let keys = provider.keys.iter().zip(1_usize..).map(|(key, number)| {
            let mut tests = found.tests_of(name);
            let test = tests.find(|test| test.number == number);
            json!({
                "id": format!("{name}#{number}"),
                "key": key.material.as_ref().map(|material| material.masked()),
                "source": key.source,
                "status": test.map(|test| test.verdict.as_str()),
            })
        });
        json!({
            "name": name,
            "model": provider.model.as_ref().map(|model| model.as_str()),
            "keys": keys.collect::<Vec<_>>(),
            "taken": self.taken.iter().any(|taken| taken.name == name),
        })
    }
}
