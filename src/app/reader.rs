//! How the configuration is read again.

use crate::config::{Config, ConfigErrors, LoadedAdditions};

/// Reads the configuration again, with what was added beside it.
pub type ConfigReader = Box<dyn Fn(&LoadedAdditions) -> Result<Config, ConfigErrors> + Send + Sync>;
