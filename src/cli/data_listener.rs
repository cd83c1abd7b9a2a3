//! The data listener of a running process, as a client sees it.

use std::path::PathBuf;

use super::admin::{AdminError, token};
use super::arguments::DataSide;
use super::ask::{Answered, Asking, Unasked, ask_all, hint, nearest};
use super::exit::surroundings;
use crate::config::{self, ConfigErrors, Listen, LoadRequest};
use crate::domain::secret::ApiKey;

/// The variable that holds the client's token. It is never on the command line, where other users of the machine see it.
const TOKEN: &str = "POINTSMAN_CLIENT_TOKEN";
/// What names the address on the command line.
const OPTION: &str = "--address";

/// Why it cannot be asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum DataError {
    #[error(transparent)]
    Address(#[from] UnknownAddress),
    #[error(transparent)]
    Token(AdminError),
    #[error(transparent)]
    Unasked(#[from] Unasked),
}

/// Where it is, and as whom it is asked.
#[derive(Clone)]
pub(super) struct DataListener {
    pub(super) address: Listen,
    pub(super) token: Option<ApiKey>,
}

impl DataListener {
    /// What the command line says of it.
    pub(super) fn of(side: &DataSide) -> Result<Self, DataError> {
        let token = token(side.token_file.clone(), TOKEN).map_err(DataError::Token)?;
        Ok(Self {
            address: data_listener(side.address.clone(), side.config.clone())?,
            token,
        })
    }

    /// The line of a request's head that says who asks; empty for nobody.
    pub(super) fn authorization(&self) -> String {
        self.token.as_ref().map_or_else(String::new, |token| {
            format!("authorization: Bearer {}\r\n", token.expose())
        })
    }

    /// Its answer to a request.
    pub(super) fn ask(&self, asking: Asking) -> Result<Answered, Unasked> {
        ask_all(&self.address, OPTION, asking)
    }
}

/// Why its address is not known.
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
