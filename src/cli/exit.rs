//! How a command ends and what it prints on the way: exit codes, words, the process's surroundings.

use std::io::Write;
use std::process::ExitCode;

use tokio::runtime::{Builder, Runtime};

use super::arguments::ConfigReading;
pub(super) use crate::app::surroundings;
use crate::config::{self, Config, ConfigErrors, LoadRequest, masked};
use crate::domain::shown::{json, plain};

/// Exit code for a configuration with mistakes (`EX_CONFIG` of sysexits.h).
pub(super) const BAD_CONFIGURATION: u8 = 78;
/// Exit code for an address that cannot be bound (`EX_UNAVAILABLE`).
pub(super) const CANNOT_BIND: u8 = 69;
/// Exit code of a command that ran, and whose answer is no.
pub(super) const NO: u8 = 1;
/// Exit code for a command line with mistakes (`EX_USAGE`).
pub(super) const USAGE: u8 = 64;
/// Exit code for an input file that cannot be taken (`EX_DATAERR`).
pub(super) const BAD_INPUT: u8 = 65;
/// Exit code for anything else that goes wrong at the start (`EX_SOFTWARE`).
pub(super) const SOFTWARE: u8 = 70;

/// The configuration of the file that is named, or of where one is looked for; else the mistakes are told.
pub(super) fn load(reading: &ConfigReading) -> Result<Config, ExitCode> {
    let request = LoadRequest {
        config_path: reading.config.clone(),
        ..surroundings()
    };
    config::load(&request).map_err(|errors| refuse(&errors, reading.json))
}

/// What a command waits in.
pub(super) fn start(mut builder: Builder) -> Result<Runtime, ExitCode> {
    builder.enable_all().build().map_err(|error| {
        complain(&format!("cannot start the runtime: {error}"));
        ExitCode::from(SOFTWARE)
    })
}

pub(super) fn refuse(errors: &ConfigErrors, as_json: bool) -> ExitCode {
    if as_json {
        let problems: Vec<String> = match errors {
            ConfigErrors::NothingConfigured { .. } => vec![errors.to_string()],
            ConfigErrors::Invalid { problems, .. } => {
                problems.iter().map(ToString::to_string).collect()
            }
        };
        say_json(&format!(
            "{:#}\n",
            serde_json::json!({"ok": false, "problems": problems})
        ));
    } else {
        complain(&errors.to_string());
    }
    ExitCode::from(BAD_CONFIGURATION)
}

pub(super) fn say(text: &str) {
    // A reader that has closed the pipe has read enough.
    let text = plain(text, true);
    drop(std::io::stdout().write_all(text.as_bytes()));
}

/// The same of JSON, which stays JSON.
pub(super) fn say_json(text: &str) {
    drop(std::io::stdout().write_all(json(text).as_bytes()));
}

/// Prints a report beside the result. Its text may quote a file, where a key may be in a wrong place.
pub(super) fn tell(text: &str, as_json: bool) {
    let text = match as_json {
        true => json(text).into_owned(),
        false => plain(text, true).into_owned(),
    };
    drop(std::io::stderr().write_all(text.as_bytes()));
}

/// Prints an error. Its text may quote the configuration, where a key may be in a wrong place.
pub(super) fn complain(text: &str) {
    let text = masked(text);
    let text = plain(&text, true);
    drop(writeln!(std::io::stderr(), "pointsman: {text}"));
}

/// What the file says may be unusual, once, at the start.
pub(super) fn warn(config: &Config) {
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
}
