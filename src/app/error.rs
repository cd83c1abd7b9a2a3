//! Why the process cannot start, or cannot take another configuration over.

use std::io;

use crate::listener::TlsError;
use crate::store::OpenError;
use crate::telemetry::otlp::OtlpError;
use crate::upstream::http_client::ClientError;

/// Why the process cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address that cannot be bound.
    #[error("cannot listen on {address}: is another process using it?")]
    Bind {
        /// The address as configured.
        address: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// Another configuration would let anyone call at an address that stays bound.
    #[error(
        "{address} stays bound until a restart, can be reached from outside, and nobody would have to identify: keep \
         `clients`, set server.insecure_open: true, or restart with another server.listen"
    )]
    Open {
        /// The address that is bound.
        address: String,
    },
    /// Certificates that cannot be used.
    #[error("server.tls cannot be used")]
    Tls(#[from] TlsError),
    /// A provider whose client cannot be made.
    #[error("provider `{name}` cannot be set up")]
    Provider {
        /// The name of what failed.
        name: String,
        /// The underlying error.
        source: ClientError,
    },
    /// A state file that cannot be written.
    #[error(transparent)]
    State(#[from] OpenError),
    /// Metrics or traces that cannot be pushed.
    #[error("telemetry.otlp cannot be used")]
    Telemetry(#[from] OtlpError),
    /// No thread to send traces.
    #[error("cannot start the thread that sends traces")]
    Traces(#[source] io::Error),
    /// No signal handlers, so no orderly end.
    #[error("cannot watch for signals")]
    Signals(#[source] io::Error),
}

/// An error and all its causes in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}
