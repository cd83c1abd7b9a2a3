//! What can go wrong in a program that has Pointsman inside.

use std::time::Duration;

use crate::api::DirectBodyError;
use crate::app::{self, chain};
use crate::config::{ConfigErrors, masked};

/// Why there is no configuration: every mistake with its place and what to write instead. Shows no keys.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigurationError(String);

/// Why the dispatcher cannot start: what failed, and why. Shows no keys.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartFailure(String);

/// Why there is no answer, or no more of it.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The query was refused, or every upstream that could be tried has failed. `docs/usage.md` has the codes.
    #[error("{status} {code}: {message}")]
    Refused {
        /// As over HTTP: 400 to 599.
        status: u16,
        /// What it is, for programs: `upstreams_exhausted` for example. Empty in an upstream's own answer without one.
        code: String,
        /// What it is, for people.
        message: String,
        /// When to ask again, where that is known.
        retry_after: Option<Duration>,
        /// The whole body, which lists every attempt.
        body: String,
    },
    /// A stream has ended before its answer did.
    #[error("the answer broke off: {0}")]
    BrokenOff(String),
    /// The answer is not what its route answers with.
    #[error("the answer cannot be read: {0}")]
    Unreadable(String),
    /// The dispatcher is shutting down, or has ended.
    #[error("the dispatcher is shutting down")]
    ShutDown,
}

impl From<ConfigErrors> for ConfigurationError {
    fn from(errors: ConfigErrors) -> Self {
        Self(masked(&errors.to_string()))
    }
}

impl From<app::StartError> for StartFailure {
    fn from(error: app::StartError) -> Self {
        Self(masked(&chain(&error)))
    }
}

impl From<DirectBodyError> for AskError {
    fn from(error: DirectBodyError) -> Self {
        Self::BrokenOff(error.to_string())
    }
}
