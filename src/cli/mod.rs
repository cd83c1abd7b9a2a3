//! Floor 7: the command line. Parses it, loads the configuration, runs a command, chooses the exit code.

mod admin;
mod arguments;
mod ask;
mod bench;
mod cache;
mod catalog;
pub mod check;
mod data_listener;
mod eval;
mod exit;
mod explain;
mod fleet;
mod health;
mod import;
mod init;
mod keys;
mod manual;
mod models;
mod progress;
mod serve;
mod shown;
mod top;

use std::process::ExitCode;

use clap::Parser;

use self::arguments::{Check, Cli, CliCommand};
use self::check::FixEnd;
use self::exit::{BAD_CONFIGURATION, complain, refuse, say, say_json, surroundings, tell};
use crate::config::{self, Additions, Config, ConfigErrors, LoadRequest, LoadedAdditions, Problem};
use crate::store;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        CliCommand::Serve(arguments) => serve::run(arguments),
        CliCommand::Init(arguments) => init::run(&arguments),
        CliCommand::Check(arguments) => check(&arguments),
        CliCommand::Health(arguments) => health::run(arguments),
        CliCommand::Explain(arguments) => explain::run(arguments),
        CliCommand::Models(arguments) => models::run(&arguments),
        CliCommand::Bench(arguments) => bench::run(&arguments),
        CliCommand::Catalog(command) => catalog::run(&command),
        CliCommand::Eval(arguments) => eval::run(&arguments),
        CliCommand::Keys(command) => keys::run(&command),
        CliCommand::Cache(command) => cache::run(command),
        CliCommand::Fleet(arguments) => fleet::run(arguments),
        CliCommand::Top(arguments) => top::run(arguments),
        CliCommand::Import(arguments) => import::run(&arguments),
        CliCommand::Completions(arguments) => manual::completions(&arguments),
        CliCommand::Man(arguments) => manual::man(&arguments),
    }
}

fn check(arguments: &Check) -> ExitCode {
    if arguments.reference || arguments.schema {
        say(&if arguments.schema {
            format!("{:#}\n", config::schema())
        } else {
            config::reference()
        });
        return ExitCode::SUCCESS;
    }
    if arguments.fix && !fixed(arguments) {
        return ExitCode::from(BAD_CONFIGURATION);
    }
    let (config, added) = match loaded(arguments) {
        Ok(loaded) => loaded,
        Err(errors) => return refuse(&errors, arguments.json),
    };
    if let Err(error) = crate::app::try_tls(&config.server) {
        let problem = Problem {
            place: "server.tls".to_owned(),
            message: crate::app::chain(&error),
            suggestion: None,
        };
        return refuse(&ConfigErrors::one(problem), arguments.json);
    }
    if arguments.json {
        say_json(&format!("{:#}\n", check::render_json(&config, &added)));
    } else {
        say(&check::render(&config, &added));
    }
    ExitCode::SUCCESS
}

/// The configuration, with what was added to the process that has its state file, if any.
fn loaded(arguments: &Check) -> Result<(Config, Additions), ConfigErrors> {
    let request = LoadRequest {
        config_path: arguments.config.clone(),
        ..surroundings()
    };
    let alone = config::load(&request)?;
    let kept = alone.state_path.as_deref().and_then(store::additions_in);
    let added = LoadedAdditions {
        additions: kept.unwrap_or_default(),
        ..LoadedAdditions::default()
    };
    if added.additions.is_empty() {
        return Ok((alone, added.additions));
    }
    let config = config::load_with(&request, &added)?;
    Ok((config, added.additions))
}

/// Mends what can be mended, and tells of it; whether the file is to be read now.
fn fixed(arguments: &Check) -> bool {
    let request = LoadRequest {
        config_path: arguments.config.clone(),
        ..surroundings()
    };
    match check::fix(&request, arguments.yes) {
        FixEnd::Nothing => true,
        FixEnd::Written(file, count) => {
            let mends = if count == 1 { "mend" } else { "mends" };
            tell(&format!("{count} {mends} in {}\n", file.display()), false);
            true
        }
        FixEnd::NoMend(errors) => {
            refuse(&errors, arguments.json);
            false
        }
        FixEnd::Declined(errors) => {
            refuse(&errors, arguments.json);
            complain("nothing was written; --fix --yes writes without asking");
            false
        }
        FixEnd::Unwritten(file, error) => {
            complain(&format!("cannot write {}: {error}", file.display()));
            false
        }
    }
}
