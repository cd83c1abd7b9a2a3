//! `pointsman completions` and `pointsman man`: what shells and `man` are told of the command line.

use std::process::ExitCode;

use clap::CommandFactory;

use super::arguments::{Cli, Completions, Man};
use super::exit::{complain, say};

/// Exit code for a command line that is not understood (clap's own).
const USAGE: u8 = 2;

pub(super) fn completions(arguments: &Completions) -> ExitCode {
    let mut command = Cli::command();
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "pointsman", &mut script);
    say(&String::from_utf8_lossy(&script));
    ExitCode::SUCCESS
}

pub(super) fn man(arguments: &Man) -> ExitCode {
    let mut command = Cli::command();
    command.build();
    let found = match &arguments.command {
        None => Some(&command),
        Some(name) => command.find_subcommand(name),
    };
    let Some(found) = found else {
        let name = arguments.command.as_deref().unwrap_or_default();
        complain(&format!("there is no command `{name}`"));
        return ExitCode::from(USAGE);
    };
    let mut page = Vec::new();
    let rendered = clap_mangen::Man::new(found.clone()).render(&mut page);
    // Writing to memory does not fail.
    drop(rendered);
    say(&String::from_utf8_lossy(&page));
    ExitCode::SUCCESS
}
