//! Floor 3: one attempt on the wire. The seam between dispatch and the network: a trait, one
//! implementation over HTTP, one that answers by itself, and one that fails on purpose.

pub mod access;
mod call_error;
mod call_stream;
mod client_options;
mod clients;
mod connector;
pub mod dns;
pub mod echo;
pub mod http_client;
mod http_connection;
mod idle_pool;
mod lack;
pub mod mock;
mod paced_body;
mod passed_url;
mod spooled_body;
pub mod tokens;
mod upstream_body;

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use http::{HeaderMap, Method};

use crate::domain::ids::ModelName;
use crate::wire::sigv4::Signing;
pub use spooled_body::{CallBody, SpooledBody};

/// One HTTP request to one upstream.
#[derive(Clone, Debug)]
pub struct UpstreamRequest {
    /// `POST` for an operation; a caller's own for a call that passes through.
    pub method: Method,
    /// Where, below the provider's API root: begins with `/`.
    pub path: Cow<'static, str>,
    /// Whether the path is a caller's own, which may repeat what the API root ends with (`upstream/passed_url.rs`).
    pub passed: bool,
    /// The model that is asked, for API roots in which it stands.
    pub model: ModelName,
    /// Complete headers, the key's included (marked sensitive).
    pub headers: HeaderMap,
    /// The body, as it goes out.
    pub body: CallBody,
    /// How it is to be signed, when it is: by what knows its URL.
    pub signing: Option<Box<Signing>>,
}

/// The head of an answer, and its body as it arrives.
pub struct UpstreamResponse {
    /// HTTP status.
    pub status: u16,
    /// The headers as received.
    pub headers: HeaderMap,
    /// As received; an error ends it.
    pub body: BoxStream<'static, Result<Bytes, SendError>>,
}

impl fmt::Debug for UpstreamResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({})", self.status)
    }
}

/// Why there is no answer, or no more of it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SendError {
    /// No connection within the connect timeout.
    #[error("no connection in time: {0}")]
    ConnectTimeout(String),
    /// Refused, unreachable, DNS, TLS.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// This process or machine lacks what a connection needs: file descriptors, local ports, memory. No doing of the
    /// upstream's.
    #[error(
        "this machine lacks what a connection needs (file descriptors: `ulimit -n`; local ports: `ip_local_port_range`): {0}"
    )]
    Local(String),
    /// The call could not be signed with its key.
    #[error("{0}")]
    Unsigned(String),
    /// The connection failed.
    #[error("connection broken: {0}")]
    Broken(String),
}

/// Makes calls to upstreams.
pub trait Transport: Send + Sync {
    /// Makes the call; dropping the future or the body cancels it.
    fn send(
        &self,
        call: UpstreamRequest,
    ) -> BoxFuture<'static, Result<UpstreamResponse, SendError>>;
}
