//! `pointsman completions` and `pointsman man`: what shells and `man` are told of the command line.

use std::process::ExitCode;

use clap::CommandFactory;

use super::arguments::{Cli, Completions, Man};
use super::exit::{SOFTWARE, complain, say};

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
    if let Some(folder) = &arguments.all {
        let written = std::fs::create_dir_all(folder)
            .and_then(|()| clap_mangen::generate_to(Cli::command(), folder));
        return match written {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain(&format!("cannot write to {}: {error}", folder.display()));
                ExitCode::from(SOFTWARE)
            }
        };
    }
    let mut command = Cli::command();
    command.build();
    let mut found = &command;
    for name in &arguments.command {
        let Some(inside) = found.find_subcommand(name) else {
            complain(&format!(
                "there is no command `{}`",
                arguments.command.join(" ")
            ));
            return ExitCode::from(USAGE);
        };
        found = inside;
    }
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(found.clone())
        .source(concat!("pointsman ", env!("CARGO_PKG_VERSION")))
        .manual("Pointsman");
    let rendered = man.render(&mut page);
    // Writing to memory does not fail.
    drop(rendered);
    say(&String::from_utf8_lossy(&page));
    ExitCode::SUCCESS
}
