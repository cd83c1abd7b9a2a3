//! `pointsman catalog`: makes indexes of models, and looks after the lists that a configuration names.

mod build;
mod diff;
mod show;
mod update;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::runtime::{Builder, Runtime};

use super::arguments::CatalogCommand;
use super::exit::{BAD_CONFIGURATION, BAD_INPUT, NO, SOFTWARE, complain, start};
use crate::app;
use crate::wire::catalog::{self as lists, ListError, Page};

/// Why a command ends without what it was to do.
#[derive(Debug, thiserror::Error)]
enum CatalogError {
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

pub(super) fn run(command: &CatalogCommand) -> ExitCode {
    let done = match command {
        CatalogCommand::Build(arguments) => build::run(arguments),
        CatalogCommand::Update(arguments) => update::run(arguments),
        CatalogCommand::Show(arguments) => show::run(arguments),
        CatalogCommand::Diff(arguments) => diff::run(arguments),
    };
    match done {
        Ok(code) => code,
        Err(CatalogError::Told(code)) => code,
        Err(error) => {
            complain(&app::chain(&error));
            ExitCode::from(match error {
                CatalogError::Read { .. } | CatalogError::List { .. } => BAD_INPUT,
                CatalogError::Missing(_) => BAD_CONFIGURATION,
                CatalogError::No(_) | CatalogError::Told(_) => NO,
                CatalogError::Write { .. } => SOFTWARE,
            })
        }
    }
}

fn runtime() -> Result<Runtime, CatalogError> {
    start(Builder::new_current_thread()).map_err(CatalogError::Told)
}

/// The list in a file, of any known format.
fn list_in(path: &Path) -> Result<Page, CatalogError> {
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
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}
