//! How a command talks to the admin listener of a running process: where that is, the token, requests and answers.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::arguments::AdminSide;
use super::ask::{Asking, Unasked, ask, hint, nearest};
use super::exit::surroundings;
use crate::config::{self, ConfigErrors, Listen, LoadRequest};
use crate::domain::secret::ApiKey;

/// The variable that holds the token. It is never on the command line, where other users of the machine see it.
const TOKEN: &str = "POINTSMAN_ADMIN_TOKEN";
/// How long to wait for one answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The state of a thousand keys has about a megabyte.
const LONGEST_ANSWER: u64 = 64 * 1024 * 1024;

/// Why the admin listener gives no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AdminError {
    #[error("--admin {given} {message}{}", hint(suggestion))]
    Address {
        given: String,
        message: String,
        suggestion: String,
    },
    #[error("the address of the admin listener is unknown; set it with --admin")]
    Configuration(#[source] ConfigErrors),
    #[error(
        "{0} is a different port each time: take the one of the log line `listening`, with --admin"
    )]
    AnyPort(Listen),
    #[error("the admin listener is off: give the process a `server.admin_listen`")]
    Off,
    #[error("cannot read the token in {path}")]
    TokenFile { path: PathBuf, source: io::Error },
    #[error("the token in {0} is empty or holds characters that a header can't carry")]
    Token(String),
    #[error(transparent)]
    Unasked(#[from] Unasked),
    #[error("{address} wants a token: set {TOKEN}, or name a file that holds it with --token-file")]
    NeedsToken { address: Listen },
    #[error("{address} has no {path}: is the process older than this command?")]
    Unknown { address: Listen, path: String },
    #[error("{address} refuses ({status} {code}): {message}")]
    Refused {
        address: Listen,
        status: u16,
        code: String,
        message: String,
    },
    #[error("what {address} answers to {path} is no JSON; is it the admin listener?")]
    NotJson { address: Listen, path: String },
}

/// The admin listener of a process.
#[derive(Clone, Debug)]
pub(super) struct AdminClient {
    address: Listen,
    token: Option<ApiKey>,
}

impl AdminClient {
    /// Where the command line, or else the configuration, says.
    pub(super) fn new(side: AdminSide) -> Result<Self, AdminError> {
        let token = token(side.token_file, TOKEN)?;
        let address = match side.admin {
            Some(given) => {
                let parsed = Listen::parse(&given);
                parsed.map_err(|(message, suggestion)| AdminError::Address {
                    given,
                    message,
                    suggestion,
                })?
            }
            None => configured(side.config)?,
        };
        Ok(Self { address, token })
    }

    /// The address of the admin listener.
    pub(super) fn address(&self) -> &Listen {
        &self.address
    }

    /// What it shows at `path`.
    pub(super) fn get(&self, path: &str) -> Result<Value, AdminError> {
        self.ask("GET", path, "", TIMEOUT)
    }

    /// What follows from an order or a question.
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, AdminError> {
        self.post_within(path, body, TIMEOUT)
    }

    /// The same of an order that takes its time.
    pub(super) fn post_within(
        &self,
        path: &str,
        body: &Value,
        timeout: Duration,
    ) -> Result<Value, AdminError> {
        self.ask("POST", path, &body.to_string(), timeout)
    }

    fn ask(
        &self,
        method: &str,
        path: &str,
        body: &str,
        timeout: Duration,
    ) -> Result<Value, AdminError> {
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\naccept: application/json\r\n"
        );
        if let Some(token) = &self.token {
            request.push_str("authorization: Bearer ");
            request.push_str(token.expose());
            request.push_str("\r\n");
        }
        if method != "GET" {
            let length = body.len();
            request.push_str(&format!(
                "content-type: application/json\r\ncontent-length: {length}\r\n"
            ));
        }
        request.push_str("\r\n");
        request.push_str(body);
        let asking = Asking {
            request: request.into_bytes(),
            timeout,
            longest: LONGEST_ANSWER,
        };
        let (status, body) = ask(&self.address, "--admin", asking)?;
        let (address, path) = (self.address.clone(), path.to_owned());
        let body: Option<Value> = serde_json::from_str(&body).ok();
        match (status, body) {
            (200..=299, Some(body)) => Ok(body),
            (401, _) => Err(AdminError::NeedsToken { address }),
            (_, Some(body)) if body["error"]["code"].is_string() => {
                let text = |name: &str| body["error"][name].as_str().unwrap_or_default().to_owned();
                let (code, message) = (text("code"), text("message"));
                // Its own word for a route that it has not, as opposed to a thing.
                if status == 404 && message.starts_with("there is no route") {
                    return Err(AdminError::Unknown { address, path });
                }
                Err(AdminError::Refused {
                    address,
                    status,
                    code,
                    message,
                })
            }
            _ => Err(AdminError::NotJson { address, path }),
        }
    }
}

/// The first token in a file, or in a variable; none when neither is there.
pub(super) fn token(
    file: Option<PathBuf>,
    variable: &'static str,
) -> Result<Option<ApiKey>, AdminError> {
    let (text, source) = match file {
        Some(path) => match std::fs::read_to_string(&path) {
            Ok(text) => (text, path.display().to_string()),
            Err(source) => return Err(AdminError::TokenFile { path, source }),
        },
        None => match std::env::var(variable) {
            Ok(text) => (text, variable.to_owned()),
            Err(_) => return Ok(None),
        },
    };
    // Of a file with several, the first one.
    let text = text.trim_start_matches('\u{feff}');
    let token = text.lines().map(str::trim).find(|line| !line.is_empty());
    let sendable = |token: &&str| token.bytes().all(|byte| byte.is_ascii_graphic());
    match token.filter(sendable) {
        Some(token) => Ok(Some(ApiKey::new(token))),
        None => Err(AdminError::Token(source)),
    }
}

fn configured(config_path: Option<PathBuf>) -> Result<Listen, AdminError> {
    let request = LoadRequest {
        config_path,
        ..surroundings()
    };
    let all = config::admin_addresses(&request).map_err(AdminError::Configuration)?;
    nearest(all).map_err(|any_port| any_port.map_or(AdminError::Off, AdminError::AnyPort))
}
