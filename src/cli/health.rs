//! `pointsman health`: asks a running process how it is, for images without a shell and an HTTP client.
//!
//! One request over a plain connection. Exit code 0 or 1 and nothing else: container engines reserve the others.

use std::process::ExitCode;
use std::time::Duration;

use super::arguments::Health;
use super::ask::{Asking, Unasked, ask};
use super::data_listener::{UnknownAddress, data_listener};
use super::exit::{complain, say_json};
use crate::app;
use crate::config::Listen;

/// The time for name resolution, connecting and the whole answer together.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Health answers are a few hundred bytes.
const LONGEST_ANSWER: u64 = 16 * 1024;

/// Why a process is not well, or cannot be asked.
#[derive(Debug, thiserror::Error)]
enum Unwell {
    #[error(transparent)]
    Address(#[from] UnknownAddress),
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
    let address = data_listener(arguments.address, arguments.config)?;
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
