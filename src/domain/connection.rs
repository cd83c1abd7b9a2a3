//! What bounds the connections of a listener. Defaults are the documented ones; ranges are checked where the
//! configuration is read.

use std::time::Duration;

/// An extension of an answer: the caller has no access, or did not identify. A connection without another
/// answer is the first to be closed for new ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unidentified;

/// What the clients of a listener may do, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConnectionPolicy {
    /// Connections at the same time, over all listeners; at least 1.
    pub max_connections: usize,
    /// The largest head of a request, in bytes.
    pub max_head: usize,
    /// From the first byte of a head (or of a TLS handshake) to its last one.
    pub head: Duration,
    /// Between two pieces of a request's body.
    pub body: Duration,
    /// How long a connection may stay without a request. The default is longer than the 60 s for which load balancers
    /// keep a connection, so that they close it first: a close from here could meet a request on its way.
    pub idle: Duration,
    /// How long a client may take in nothing of what is written to it.
    pub write: Duration,
    /// `None`: HTTP/1.1 only.
    pub http2: Option<Http2Policy>,
}

impl Default for ConnectionPolicy {
    fn default() -> Self {
        Self {
            max_connections: 20_000,
            max_head: 64 * 1024,
            head: Duration::from_secs(30),
            body: Duration::from_secs(30),
            idle: Duration::from_secs(75),
            write: Duration::from_secs(60),
            http2: Some(Http2Policy::default()),
        }
    }
}

/// What an HTTP/2 connection may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Http2Policy {
    /// Requests at the same time on one connection; at least 1.
    pub max_streams: u32,
    /// How often a silent connection is asked whether it is still there; zero means never.
    pub ping_interval: Duration,
    /// How long it may take to answer that.
    pub ping_timeout: Duration,
    /// Streams that a client may open and reset before we have looked at them; one more ends the connection
    /// (CVE-2023-44487, "rapid reset").
    pub max_resets: usize,
}

impl Default for Http2Policy {
    fn default() -> Self {
        Self {
            max_streams: 200,
            ping_interval: Duration::from_secs(30),
            ping_timeout: Duration::from_secs(20),
            max_resets: 20,
        }
    }
}
