//! What the command line may say to tools: commands that look at a configuration or at a running process from outside.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::config;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum KeysCommand {
    /// Ask each provider whether it takes the keys of a configuration. It costs nothing, unless --live is given.
    ///
    /// No running process is asked or told. Exit code 1 when a key is invalid, 64 for a provider that is not configured.
    Test(KeysTest),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct KeysTest {
    /// The providers whose keys are tested. Without any: all.
    #[arg(value_name = "PROVIDER")]
    pub(in crate::cli) providers: Vec<String>,
    /// Ask for one token where nothing free proves a key.
    #[arg(long)]
    pub(in crate::cli) live: bool,
    /// Calls at the same time, 1 to 64.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(in crate::cli) concurrency: u8,
    /// Calls at the same time to one provider, 1 to 64.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(in crate::cli) per_provider: u8,
    /// How long one call may take: 500ms, 10s.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = span)]
    pub(in crate::cli) timeout: Duration,
    /// The configuration file (YAML, TOML or JSON).
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

/// A time such as `500ms`, `10s`, `2m`.
fn span(text: &str) -> Result<Duration, String> {
    let found = config::duration(text).filter(|span| !span.is_zero());
    found.ok_or_else(|| "write it as 500ms, 10s or 2m".to_owned())
}
