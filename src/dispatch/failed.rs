//! What comes out of dispatch where no upstream's answer does: an error of ours.

use std::time::Duration;

use crate::domain::attempt_record::AttemptRecord;
use crate::domain::error_code::ErrorCode;
use crate::domain::skipped::Skipped;
use crate::domain::time::Time;

const HALTED: &str = "this process is shutting down and had no more time for the answer: ask again";

/// A request that ends with an error of ours.
#[derive(Clone, Debug)]
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

impl Failed {
    /// A request that was not answered when the process had to end.
    pub(super) fn halted(arrived: Time, now: Time) -> Self {
        Self {
            code: ErrorCode::Draining,
            message: HALTED.to_owned(),
            retry_after: Some(Duration::from_secs(1)),
            records: Vec::new(),
            skipped: Box::default(),
            arrived,
            ended: now,
            param: None,
        }
    }
}
