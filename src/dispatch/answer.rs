//! What comes out of dispatch: an upstream's answer, or an error of ours.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;

use super::relay::Relay;
use crate::domain::error_code::ErrorCode;
use crate::domain::ids::{KeyId, Upstream};
use crate::domain::record::Record;
use crate::domain::skipped::Skipped;
use crate::domain::time::Time;

/// An upstream's answer on its way to the caller.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The upstream's headers that may go on.
    pub headers: HeaderMap,
    /// The body.
    pub body: AnswerBody,
    /// Who answered.
    pub upstream: Upstream,
    /// With which key.
    pub key: KeyId,
    /// Attempts made, this one included.
    pub attempts: usize,
}

/// A body that is there, or that is still coming.
#[derive(Debug)]
pub enum AnswerBody {
    /// Whole.
    Full(Bytes),
    /// A stream whose first content is there.
    Stream(Box<Relay>),
}

/// A request that ends with an error of ours.
#[derive(Debug)]
pub struct Failed {
    /// Which.
    pub code: ErrorCode,
    /// For the caller.
    pub message: String,
    /// When a new request may be served.
    pub retry_after: Option<Duration>,
    /// What was tried.
    pub records: Vec<Record>,
    /// The upstreams of its chain that were not asked.
    pub skipped: Box<[Skipped]>,
    /// When it arrived.
    pub arrived: Time,
    /// When it failed.
    pub ended: Time,
    /// The field at fault, if one is.
    pub param: Option<&'static str>,
}
