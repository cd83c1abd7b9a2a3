//! Options that several commands have: which process they ask, and which configuration they go by.

use std::path::PathBuf;

use clap::Args;

/// Where the data listener of a running process is, and as whom it is asked.
#[derive(Debug, Args)]
pub(in crate::cli) struct DataSide {
    /// The data listener: HOST:PORT or unix:/path. Without it, that of the configuration.
    #[arg(long, value_name = "ADDR")]
    pub(in crate::cli) address: Option<String>,
    /// The configuration file of the process; its `server.listen` says where.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) config: Option<PathBuf>,
    /// A file with the token of the client whose requests these are. Without it, the variable POINTSMAN_CLIENT_TOKEN.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) token_file: Option<PathBuf>,
}

/// The configuration that a command goes by, and how it prints what it found.
#[derive(Debug, Args)]
pub(in crate::cli) struct ConfigReading {
    /// The configuration file (YAML, TOML or JSON).
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}
