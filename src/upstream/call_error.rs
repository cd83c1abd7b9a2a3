//! Why a call failed before its answer's head, and what of it others are told.

use std::error::Error;
use std::io;

use super::SendError;
use super::connector::{ConnectError, ConnectTimeout};
use super::dns::LookupError;
use super::lack::is_local;

/// Why there is no answer's head.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// No connection.
    #[error("no connection")]
    Connect(#[source] ConnectError),
    /// A connection, and no answer on it.
    #[error("no answer")]
    Answer {
        /// What the library says.
        source: hyper::Error,
        /// The connection was there before the call: it may have been forgotten by what lies between.
        kept: bool,
    },
}

/// Whether a cause says that this machine lacks something for a connection.
fn is_local_cause(cause: &(dyn Error + 'static)) -> bool {
    let lookup = cause.downcast_ref::<LookupError>();
    cause.downcast_ref::<io::Error>().is_some_and(is_local)
        || matches!(lookup, Some(LookupError::Local { .. }))
}

/// What a call failed with before its answer's head.
pub(super) fn explain_call(error: &CallError) -> SendError {
    let connecting = matches!(error, CallError::Connect(_));
    match explain(error) {
        SendError::Broken(detail) if connecting && is_timed_out(error) => {
            SendError::ConnectTimeout(detail)
        }
        SendError::Broken(detail) if connecting => SendError::Connect(detail),
        explained => explained,
    }
}

/// Whether the operating system gave up waiting, which it may do before the connect timeout.
fn is_timed_out(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<io::Error>();
        if io.is_some_and(|io| io.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The innermost cause says it best; the URL is left out, it may hold what only the configuration should.
pub(super) fn explain(error: &(dyn Error + 'static)) -> SendError {
    let mut cause = error;
    let mut local = is_local_cause(cause);
    while let Some(source) = cause.source() {
        cause = source;
        local |= is_local_cause(cause);
    }
    let detail = cause.to_string();
    if local {
        SendError::Local(detail)
    } else if cause.is::<ConnectTimeout>() {
        SendError::ConnectTimeout(detail)
    } else {
        SendError::Broken(detail)
    }
}
