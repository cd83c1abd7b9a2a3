//! `pointsman health`: asks a running process how it is, for images without a shell and an HTTP client.
//!
//! One request over a plain connection. Exit code 0 or 1 and nothing else: container engines reserve the others.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::arguments::Health;
use super::ask::{Asking, Unasked, ask, hint, nearest};
use super::exit::{complain, say_json, surroundings};
use crate::app;
use crate::config::{self, ConfigErrors, Listen, LoadRequest};

/// The time for name resolution, connecting and the whole answer together.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Health answers are a few hundred bytes.
const LONGEST_ANSWER: u64 = 16 * 1024;

/// Why a process is not well, or cannot be asked.
#[derive(Debug, thiserror::Error)]
enum Unwell {
    #[error("--address {given} {message}{}", hint(suggestion))]
    Address {
        given: String,
        message: String,
        suggestion: String,
    },
    #[error("the address is unknown; set it with --address")]
    Configuration(#[source] ConfigErrors),
    #[error(
        "{0} is a different port each time: take the one of the log line `listening`, with --address"
    )]
    AnyPort(Listen),
    #[error(transparent)]
    Unasked(#[from] Unasked),
    #[error("{address} answers {status}: {body}")]
    Status {
        address: Listen,
        status: u16,
        body: String,
    },
}

pub(super) fn run(arguments: Health) -> ExitCode {
    match is_well(arguments) {
        Ok(body) => {
            say_json(&format!("{body}\n"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(&app::chain(&error));
            ExitCode::FAILURE
        }
    }
}

fn is_well(arguments: Health) -> Result<String, Unwell> {
    let path = if arguments.ready {
        "/health/ready"
    } else {
        "/health/live"
    };
    let address = match arguments.address {
        Some(given) => Listen::parse(&given).map_err(|(message, suggestion)| Unwell::Address {
            given,
            message,
            suggestion,
        })?,
        None => configured(arguments.config)?,
    };
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let asking = Asking {
        request: request.into_bytes(),
        timeout: TIMEOUT,
        longest: LONGEST_ANSWER,
    };
    match ask(&address, "--address", asking)? {
        (200, body) => Ok(body),
        (status, body) => Err(Unwell::Status {
            address,
            status,
            body,
        }),
    }
}

/// Where the process of this configuration can be asked: its first address, seen from the same machine.
fn configured(config_path: Option<PathBuf>) -> Result<Listen, Unwell> {
    let request = LoadRequest {
        config_path,
        ..surroundings()
    };
    let all = config::addresses(&request).map_err(Unwell::Configuration)?;
    nearest(all).map_err(|any_port| {
        Unwell::AnyPort(any_port.unwrap_or(Listen::Tcp("127.0.0.1:0".to_owned())))
    })
}
