//! What comes out of dispatch: an upstream's answer.

use bytes::Bytes;
use http::HeaderMap;

use super::caching::told::ToldStream;
use super::pipe::Pipe;
use super::relay::Relay;
use crate::domain::dropped::Dropped;
use crate::domain::ids::{KeyId, Upstream};

/// An upstream's answer on its way to the caller.
#[derive(Debug)]
pub struct ProxyResponse {
    /// HTTP status.
    pub status: u16,
    /// The upstream's headers that may go on.
    pub headers: HeaderMap,
    /// The answer's body.
    pub body: AnswerBody,
    /// The upstream that answered.
    pub upstream: Upstream,
    /// The key of the attempt.
    pub key: KeyId,
    /// Attempts made, this one included.
    pub attempts: usize,
    /// What has no place in the dialect of the upstream or of the caller; of a stream, as far as that was known when its
    /// content began.
    pub dropped: Dropped,
}

/// A body that is there, or that is still coming.
#[derive(Debug)]
pub enum AnswerBody {
    /// A complete body.
    Full(Bytes),
    /// A stream whose first content is there.
    Stream(Box<Relay>),
    /// Bytes that are not looked at.
    Piped(Box<Pipe>),
    /// A stream of events that was kept, or that others read too.
    Told(ToldStream),
}
