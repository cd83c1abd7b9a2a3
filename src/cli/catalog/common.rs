//! What the commands have in common: how they fail, what they wait in, lists in files.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::runtime::{Builder, Runtime};

use crate::cli::exit::start;
use crate::wire::catalog::{self as lists, ListError, Page};

/// Why a command ends without what it was to do.
#[derive(Debug, thiserror::Error)]
pub(super) enum CatalogError {
    /// Told already.
    #[error("")]
    Told(ExitCode),
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{path} cannot be taken")]
    List { path: PathBuf, source: ListError },
    #[error("cannot write {path}")]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{0}")]
    Missing(String),
    #[error("{0}")]
    No(String),
}

pub(super) fn runtime() -> Result<Runtime, CatalogError> {
    start(Builder::new_current_thread()).map_err(CatalogError::Told)
}

/// The list in a file, of any known format.
pub(super) fn list_in(path: &Path) -> Result<Page, CatalogError> {
    let text = std::fs::read_to_string(path).map_err(|source| CatalogError::Read {
        path: path.to_owned(),
        source,
    })?;
    let read = lists::read(&text, None);
    let read = read.map_err(|source| CatalogError::List {
        path: path.to_owned(),
        source,
    })?;
    Ok(read.0)
}

/// Now, in seconds since 1970.
pub(super) fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}
