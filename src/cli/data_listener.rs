//! Where the data listener of a running process is.

use std::path::PathBuf;

use super::ask::{hint, nearest};
use super::exit::surroundings;
use crate::config::{self, ConfigErrors, Listen, LoadRequest};

/// Why it is not known.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnknownAddress {
    #[error("--address {given} {message}{}", hint(suggestion))]
    Given {
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
}

/// What the command line says, or else the first address of the configuration, seen from the same machine.
pub(super) fn data_listener(
    given: Option<String>,
    config_path: Option<PathBuf>,
) -> Result<Listen, UnknownAddress> {
    if let Some(given) = given {
        let parsed = Listen::parse(&given);
        return parsed.map_err(|(message, suggestion)| UnknownAddress::Given {
            given,
            message,
            suggestion,
        });
    }
    let request = LoadRequest {
        config_path,
        ..surroundings()
    };
    let all = config::addresses(&request).map_err(UnknownAddress::Configuration)?;
    nearest(all).map_err(|any_port| {
        UnknownAddress::AnyPort(any_port.unwrap_or(Listen::Tcp("127.0.0.1:0".to_owned())))
    })
}
