//! Floor 7: the command line. Parses it, loads the configuration, runs a command, chooses the exit code.

pub mod check;
mod serve;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Config, ConfigErrors, LoadRequest};

/// Exit code for a configuration with mistakes (`EX_CONFIG` of sysexits.h).
const BAD_CONFIGURATION: u8 = 78;
/// Exit code for an address that cannot be bound (`EX_UNAVAILABLE`).
const CANNOT_BIND: u8 = 69;
/// Exit code for anything else that goes wrong at the start (`EX_SOFTWARE`).
const SOFTWARE: u8 = 70;

/// The dispatcher between programs and LLM providers.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve requests until told to stop.
    Serve(Serve),
    /// Read the configuration, print what it means, and exit with 78 if it has mistakes.
    Check(Check),
}

#[derive(Debug, Args)]
struct Serve {
    /// The configuration file (YAML, TOML or JSON).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen: HOST:PORT or unix:/path. May be given several times.
    #[arg(long, value_name = "ADDR")]
    listen: Vec<String>,
    /// Where the admin listener goes; this version has none, so only `off` is taken.
    #[arg(long, value_name = "ADDR|off")]
    admin_listen: Option<String>,
    /// A built-in configuration without keys or network: see a failover with the first request.
    #[arg(long)]
    demo: bool,
}

#[derive(Debug, Args)]
struct Check {
    /// The configuration file (YAML, TOML or JSON).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(arguments) => serve::run(arguments),
        Command::Check(arguments) => check(&arguments),
    }
}

fn check(arguments: &Check) -> ExitCode {
    let request = LoadRequest {
        config_path: arguments.config.clone(),
        ..surroundings()
    };
    let config = match config::load(&request) {
        Ok(config) => config,
        Err(errors) => return refuse(&errors, arguments.json),
    };
    let text = if arguments.json {
        format!("{:#}\n", check::render_json(&config))
    } else {
        check::render(&config)
    };
    say(&text);
    ExitCode::SUCCESS
}

/// The process's working directory and environment.
fn surroundings() -> LoadRequest {
    // Variables that are not Unicode cannot be named by a configuration either.
    let env: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    LoadRequest {
        working_dir: std::env::current_dir().unwrap_or_default(),
        env,
        ..LoadRequest::default()
    }
}

fn refuse(errors: &ConfigErrors, json: bool) -> ExitCode {
    if json {
        let problems: Vec<String> = match errors {
            ConfigErrors::NothingConfigured => vec![errors.to_string()],
            ConfigErrors::Invalid(problems) => problems.iter().map(ToString::to_string).collect(),
        };
        say(&format!(
            "{:#}\n",
            serde_json::json!({"ok": false, "problems": problems})
        ));
    } else {
        complain(&errors.to_string());
    }
    ExitCode::from(BAD_CONFIGURATION)
}

fn say(text: &str) {
    // A reader that has closed the pipe has read enough.
    drop(std::io::stdout().write_all(text.as_bytes()));
}

fn complain(text: &str) {
    drop(writeln!(std::io::stderr(), "pointsman: {text}"));
}

/// What the file says may be unusual, once, at the start.
fn warn(config: &Config) {
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
}
