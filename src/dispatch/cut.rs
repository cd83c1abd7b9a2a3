//! Why a stream that had begun could not be finished.

use std::time::Duration;

use bytes::Bytes;

use crate::domain::error_code::ErrorCode;
use crate::domain::outcome::Class;

/// Why a stream could not be finished.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    pub(super) class: Class,
    pub(super) code: ErrorCode,
    pub(super) message: &'static str,
    /// The upstream's own error event, if it sent one.
    pub(super) event: Option<Bytes>,
    pub(super) retry_after: Option<Duration>,
    /// Whether it is what it seems (see `Failure::certain`).
    pub(super) certain: bool,
}

impl Cut {
    pub(super) fn new(class: Class, code: ErrorCode, message: &'static str) -> Self {
        Self {
            class,
            code,
            message,
            event: None,
            retry_after: None,
            certain: true,
        }
    }
}
