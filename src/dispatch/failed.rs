//! What comes out of dispatch where no upstream's answer does: an error of ours.

use std::time::Duration;

use crate::domain::attempt_record::AttemptRecord;
use crate::domain::error_code::ErrorCode;
use crate::domain::skipped::Skipped;
use crate::domain::time::Time;

/// A request that ends with an error of ours.
#[derive(Debug)]
pub struct Failed {
    /// The error code that the caller gets.
    pub code: ErrorCode,
    /// The message for the caller.
    pub message: String,
    /// When a new request may be served.
    pub retry_after: Option<Duration>,
    /// The attempts.
    pub records: Vec<AttemptRecord>,
    /// The upstreams of its chain that were not asked.
    pub skipped: Box<[Skipped]>,
    /// When it arrived.
    pub arrived: Time,
    /// When it failed.
    pub ended: Time,
    /// The field at fault, if one is.
    pub param: Option<&'static str>,
}
