//! `pointsman catalog`: makes indexes of models, and looks after the lists that a configuration names.

mod build;
mod common;
mod diff;
mod show;
mod update;

use std::process::ExitCode;

use self::common::CatalogError;
use super::arguments::CatalogCommand;
use super::exit::{BAD_CONFIGURATION, BAD_INPUT, NO, SOFTWARE, complain};
use crate::app;

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
