//! Floor 7: the command line. Parses it, loads the configuration, runs a command, chooses the exit code.

mod admin;
mod arguments;
mod ask;
mod bench;
mod cache;
mod catalog;
pub mod check;
mod data_listener;
mod exit;
mod explain;
mod fleet;
mod health;
mod import;
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
use self::exit::{load, refuse, say, say_json};
use crate::config::{self, ConfigErrors, Problem};

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        CliCommand::Serve(arguments) => serve::run(arguments),
        CliCommand::Check(arguments) => check(&arguments),
        CliCommand::Health(arguments) => health::run(arguments),
        CliCommand::Explain(arguments) => explain::run(arguments),
        CliCommand::Models(arguments) => models::run(&arguments),
        CliCommand::Bench(arguments) => bench::run(&arguments),
        CliCommand::Catalog(command) => catalog::run(&command),
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
    let config = match load(arguments.config.clone(), arguments.json) {
        Ok(config) => config,
        Err(code) => return code,
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
        say_json(&format!("{:#}\n", check::render_json(&config)));
    } else {
        say(&check::render(&config));
    }
    ExitCode::SUCCESS
}
