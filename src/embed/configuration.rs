//! A configuration for a program that has Pointsman inside.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::error::ConfigurationError;
use crate::app::{ConfigReader, surroundings};
use crate::config::{self, Config, ConfigErrors, LoadRequest, LoadedAdditions};

/// What a text of a configuration is called in messages; the extension says how it is read.
const NAME: &str = "configuration.yaml";

/// A configuration that was read and found valid (`docs/configuration.md`).
///
/// Variables of the environment and a `.env` in the working directory are read as `pointsman serve` reads them: keys, what
/// the configuration names with `${…}`, and `POINTSMAN__…`. Without [`listening`](Self::listening) nothing listens: `server.listen`,
/// `server.admin_listen` and `server.drain_delay` are left aside. `log` is never used: events go to the program's own `tracing`
/// subscriber.
#[derive(Clone)]
pub struct Configuration {
    config: Config,
    source: Arc<ConfigurationSource>,
    listens: bool,
}

/// Where it is read from, once more when a file has changed.
struct ConfigurationSource {
    request: LoadRequest,
    text: Option<String>,
}

impl Configuration {
    /// Reads a file: YAML, TOML or JSON, by its extension. The dispatcher reads it again when it changes.
    ///
    /// # Errors
    /// Every mistake in it, or that there is no such file.
    pub fn from_file(path: impl Into<PathBuf>) -> Result<Self, ConfigurationError> {
        let request = LoadRequest {
            config_path: Some(path.into()),
            ..surroundings()
        };
        Self::read(request, None)
    }

    /// Reads a text in YAML. Relative paths in it start at the working directory.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn from_yaml(text: impl Into<String>) -> Result<Self, ConfigurationError> {
        Self::read(surroundings(), Some(text.into()))
    }

    /// Reads what `pointsman serve` reads where no file is named: a file at one of the usual places, or else the providers
    /// whose keys are in the environment.
    ///
    /// # Errors
    /// Every mistake, or that nothing is configured.
    pub fn from_environment() -> Result<Self, ConfigurationError> {
        Self::read(surroundings(), None)
    }

    /// The built-in configuration of `pointsman serve --demo`: its target `demo` answers without a key and a network.
    ///
    /// # Errors
    /// A mistake in a variable `POINTSMAN__…`.
    pub fn demo() -> Result<Self, ConfigurationError> {
        let request = LoadRequest {
            demo: true,
            ..surroundings()
        };
        Self::read(request, None)
    }

    /// Also serves other programs, at the addresses of `server`.
    #[must_use]
    pub fn listening(mut self) -> Self {
        self.listens = true;
        self
    }

    /// What works but may not be meant, one sentence each.
    pub fn warnings(&self) -> &[String] {
        &self.config.warnings
    }

    fn read(request: LoadRequest, text: Option<String>) -> Result<Self, ConfigurationError> {
        let source = ConfigurationSource { request, text };
        Ok(Self {
            config: source.load(&LoadedAdditions::default())?,
            source: Arc::new(source),
            listens: false,
        })
    }

    /// What holds in this program.
    pub(super) fn config(&self) -> Config {
        inside(self.config.clone(), self.listens)
    }

    /// What reads it again.
    pub(super) fn reader(&self) -> ConfigReader {
        let (source, listens) = (Arc::clone(&self.source), self.listens);
        Box::new(move |added| Ok(inside(source.load(added)?, listens)))
    }
}

impl ConfigurationSource {
    fn load(&self, added: &LoadedAdditions) -> Result<Config, ConfigErrors> {
        match &self.text {
            Some(text) => config::load_text_with(NAME, text, &self.request, added),
            None => config::load_with(&self.request, added),
        }
    }
}

/// The same with listeners or without.
fn inside(mut config: Config, listens: bool) -> Config {
    if !listens {
        config.server.listen.clear();
        config.server.admin.listen.clear();
        // That is for load balancers to learn of the end.
        config.server.drain_delay = Duration::ZERO;
    }
    config
}

impl fmt::Debug for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Configuration")
            .field("sources", &self.config.sources)
            .field("listens", &self.listens)
            .finish_non_exhaustive()
    }
}
