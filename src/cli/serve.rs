//! `pointsman serve`: everything up in order, and down again in reverse with one deadline.

use std::process::ExitCode;

use tokio::runtime::Builder;

use super::arguments::Serve;
use super::exit::{
    BAD_CONFIGURATION, CANNOT_BIND, SOFTWARE, complain, refuse, start, surroundings, warn,
};
use crate::app::{self, StartError};
use crate::config::{self, LoadRequest, LoadedAdditions, LogFormat};
use crate::listener::Passed;
use crate::telemetry::init::{self, LineFormat};

pub(super) fn run(arguments: Serve) -> ExitCode {
    let environment = surroundings();
    let names = environment.env.get("LISTEN_FDNAMES").map(String::as_str);
    let passed = match Passed::take(names) {
        Ok(passed) => passed,
        Err(error) => {
            complain(&app::chain(&error));
            return ExitCode::from(CANNOT_BIND);
        }
    };
    // Sockets that are passed in take the place of addresses: what holds for those is judged by the real ones.
    let given = passed.addresses();
    let unused = !given.is_empty() && !arguments.listen.is_empty();
    let for_admin = passed.admin_addresses();
    let admin_unused = !for_admin.is_empty() && !arguments.admin_listen.is_empty();
    let request = LoadRequest {
        config_path: arguments.config,
        listen: if given.is_empty() {
            arguments.listen
        } else {
            given
        },
        admin_listen: if for_admin.is_empty() {
            arguments.admin_listen
        } else {
            for_admin
        },
        demo: arguments.demo,
        ..environment
    };
    let config = match config::load(&request) {
        Ok(config) => config,
        Err(errors) => return refuse(&errors, false),
    };
    let format = match config.log.format {
        LogFormat::Text => LineFormat::Text,
        LogFormat::Json => LineFormat::Json,
    };
    let _flush_at_the_end = init::init(format, &config.log.level);
    warn(&config);
    if unused {
        tracing::warn!("--listen is not used: sockets were passed in (LISTEN_FDS)");
    }
    if admin_unused {
        tracing::warn!("--admin-listen is not used: a socket named `admin` was passed in");
    }
    let runtime = match start(Builder::new_multi_thread()) {
        Ok(runtime) => runtime,
        Err(code) => return code,
    };
    let read = Box::new(move |added: &LoadedAdditions| config::load_with(&request, added));
    let end = runtime.block_on(app::run(&config, passed, read));
    // What is left by now was aborted and did not end.
    runtime.shutdown_background();
    match end {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&app::chain(&error));
            exit_code(&error)
        }
    }
}

fn exit_code(error: &StartError) -> ExitCode {
    ExitCode::from(match error {
        StartError::Bind { .. } => CANNOT_BIND,
        StartError::Provider { .. }
        | StartError::State(_)
        | StartError::Telemetry(_)
        | StartError::Tls(_)
        | StartError::Open { .. } => BAD_CONFIGURATION,
        StartError::Traces(_) | StartError::Signals(_) => SOFTWARE,
    })
}
