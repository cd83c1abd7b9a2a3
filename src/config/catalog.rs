//! The built-in providers of `config/catalog.toml`.

use std::sync::LazyLock;

use config::{Config, File, FileFormat};
use serde::Deserialize;

use crate::domain::dialect::NativeRoute;
use crate::domain::rescue::Prefill;
use crate::wire::dialects::{self, Dialect};

/// A cloud that hosts others' models.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cloud {
    /// Amazon's.
    Aws,
    /// Microsoft's.
    Azure,
    /// Google's.
    Google,
}

/// A provider that needs no more than a key.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuiltIn {
    /// The provider's name.
    pub id: String,
    /// API root without a trailing slash; empty for echo.
    pub base_url: String,
    /// What it speaks, as in the configuration.
    dialect: Option<String>,
    /// Singular names of the variables that hold keys, best first.
    pub env: Vec<String>,
    /// What the bare name means.
    pub model: Option<String>,
    /// Works without a key.
    #[serde(default)]
    pub local: bool,
    /// Other names for it.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// A warning for users of the provider.
    pub note: Option<String>,
    /// How it is asked to continue the beginning of an answer, as in the configuration.
    prefill: Option<String>,
    /// Where it takes that, if not at `base_url`.
    pub prefill_url: Option<String>,
    /// Whether it has `/responses`.
    responses: Option<bool>,
    /// The cloud whose region, project or resource its address is made of.
    pub cloud: Option<Cloud>,
    /// It is there only where it is named: its keys are for much else, too.
    #[serde(default)]
    named: bool,
    /// The entry of whose provider this is another API, for those who ask for it by name or by dialect.
    of: Option<String>,
}

impl BuiltIn {
    /// The dialect of the provider's API.
    pub fn dialect(&self) -> Dialect {
        let named = self.dialect.as_deref().and_then(dialects::upstream);
        named.unwrap_or_else(dialects::usual)
    }

    /// Whose API it is: the id under which its provider's errors are known.
    pub fn kind(&self) -> &str {
        self.of.as_deref().unwrap_or(&self.id)
    }

    /// Whether it is there as soon as it has a key, without being named.
    pub fn is_automatic(&self) -> bool {
        !self.local && !self.named && self.of.is_none()
    }

    /// The entry of the same provider that speaks this dialect; itself where there is none.
    pub fn speaking(&'static self, dialect: Dialect) -> &'static Self {
        let fits = |other: &&Self| other.kind() == self.kind() && other.dialect() == dialect;
        match self.dialect() == dialect {
            true => self,
            false => all().iter().find(fits).unwrap_or(self),
        }
    }

    /// How it is asked to continue the beginning of an answer, if it can.
    pub fn prefill(&self) -> Option<Prefill> {
        self.prefill.as_deref().and_then(Prefill::named)
    }

    /// Whether it has `/responses`, as far as that is known.
    pub fn responses(&self) -> NativeRoute {
        match self.responses {
            None => NativeRoute::Auto,
            Some(true) => NativeRoute::Native,
            Some(false) => NativeRoute::Translate,
        }
    }

    /// The singular names of its variables, best first, with the general form at the end.
    pub fn variables(&self) -> Vec<String> {
        let general = format!("PROVIDER_KEY_{}", self.id.to_uppercase());
        self.env.iter().cloned().chain([general]).collect()
    }

    /// What to set, for messages: `GROQ_API_KEYS or GROQ_API_KEY`.
    pub fn wanted(&self) -> String {
        let name = self.env.first().map_or("", String::as_str);
        format!("{name} (or {name}S with several)")
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct BuiltIns {
    provider: Vec<BuiltIn>,
}

fn parse() -> Result<BuiltIns, config::ConfigError> {
    let text = include_str!("../../config/catalog.toml");
    Config::builder()
        .add_source(File::from_str(text, FileFormat::Toml))
        .build()?
        .try_deserialize()
}

/// Every built-in provider.
pub fn all() -> &'static [BuiltIn] {
    // The text is part of the program: a test holds that it parses.
    static CATALOG: LazyLock<BuiltIns> = LazyLock::new(|| parse().unwrap_or_default());
    &CATALOG.provider
}

/// What to set so that the built-in provider of that name is there: `GROQ_API_KEY (or …)`.
pub fn wanted_variables(name: &str) -> Option<String> {
    let entry = find(name).filter(|entry| !entry.env.is_empty())?;
    Some(entry.wanted())
}

/// The built-in provider of that name or alias.
pub fn find(name: &str) -> Option<&'static BuiltIn> {
    let by_id = all().iter().find(|entry| entry.id == name);
    by_id.or_else(|| {
        all()
            .iter()
            .find(|entry| entry.aliases.iter().any(|alias| alias == name))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::endpoint::ProviderAddress;
    use super::*;

    #[test]
    fn the_catalogue_parses_and_its_names_are_distinct() {
        assert!(parse().is_ok_and(|catalog| catalog.provider.len() >= 33));
        let mut seen = HashSet::new();
        for entry in all() {
            for name in entry.aliases.iter().chain([&entry.id]) {
                assert!(seen.insert(name.clone()), "{name} twice");
            }
            assert!(
                entry.local || !entry.env.is_empty(),
                "{} has no variable",
                entry.id
            );
            assert_eq!(
                entry.prefill().is_some(),
                entry.prefill.is_some(),
                "{}",
                entry.id
            );
            if let Some(url) = &entry.prefill_url {
                assert_eq!(
                    &ProviderAddress::parse(url, entry.dialect())
                        .unwrap()
                        .base_url,
                    url,
                    "{}",
                    entry.id
                );
            }
            if let Some(dialect) = &entry.dialect {
                assert!(dialects::upstream(dialect).is_some(), "{}", entry.id);
            }
            if entry.dialect().is_remote() {
                let endpoint = ProviderAddress::parse(&entry.base_url, entry.dialect()).unwrap();
                assert_eq!(endpoint.base_url, entry.base_url, "{}", entry.id);
                assert_eq!(endpoint.chat_url, None, "{}", entry.id);
            }
        }
    }

    #[test]
    fn the_names_people_use_are_there() {
        for (name, id) in [
            ("openai", "openai"),
            ("gemini", "google"),
            ("together", "togetherai"),
            ("mistral", "mistralai"),
            ("kimi", "moonshot"),
            ("hf", "huggingface"),
            ("nvidia", "nvidia_nim"),
        ] {
            assert_eq!(find(name).unwrap().id, id);
        }
        for (id, variable) in [
            ("togetherai", "TOGETHERAI_API_KEY"),
            ("mistralai", "MISTRALAI_API_KEY"),
            ("qwen", "QWEN_API_KEY"),
            ("google", "GEMINI_API_KEY"),
            ("openrouter", "OPENROUTER_KEY"),
            ("huggingface", "HUGGINGFACE_API_TOKEN"),
            ("nvidia_nim", "NVIDIA_NIM_KEY"),
            ("groq", "PROVIDER_KEY_GROQ"),
            ("nvidia_nim", "PROVIDER_KEY_NVIDIA_NIM"),
        ] {
            let variables = find(id).unwrap().variables();
            assert!(variables.iter().any(|name| name == variable), "{variable}");
        }
    }
}
