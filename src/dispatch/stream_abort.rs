//! Why a stream that had begun could not be finished, and the error that its caller gets.

use std::time::Duration;

use bytes::Bytes;

use crate::domain::dialect::Operation;
use crate::domain::error_code::ErrorCode;
use crate::domain::outcome::{Class, Failure};
use crate::wire::dialect::CallerDialect;
use crate::wire::error_body::{Trouble, kind_of};
use crate::wire::progress::Progress;

const LOST: &str = "the upstream's connection was lost before the answer was complete";
const SILENT: &str = "the upstream's stream fell silent before the answer was complete (timeout)";
const UNFINISHED: &str =
    "the upstream's stream ended without a finish reason: the answer may not be complete";
const LATE: &str = "the request's deadline passed before the answer was complete (timeout)";
const HASTY: &str = "nothing more of the answer came within the caller's read timeout";
const SHUT_DOWN: &str = "this process is shutting down and had no more time for the answer";
const NO_ROOM: &str = "too many bytes of bodies and answers are held (server.max_buffered) for the rest of the answer";
const TOO_LARGE: &str = "the answer is larger than an answer may be (server.max_answer)";
const FAILED: &str = "the upstream failed before the answer was complete";

/// An upstream's own words on its failure, without credentials.
#[derive(Clone, Debug)]
pub(super) enum Own {
    /// An event that goes on as it came.
    Event(Bytes),
    /// Another error text of the upstream.
    Body(Bytes),
}

/// Why a stream could not be finished.
#[derive(Clone, Debug)]
pub(super) struct StreamAbort {
    pub(super) class: Class,
    pub(super) code: ErrorCode,
    message: &'static str,
    /// The upstream's own error, if it sent one.
    own: Option<Own>,
    retry_after: Option<Duration>,
    /// Whether it is what it seems (see `Failure::certain`).
    certain: bool,
}

impl StreamAbort {
    fn new(class: Class, code: ErrorCode, message: &'static str) -> Self {
        Self {
            class,
            code,
            message,
            own: None,
            retry_after: None,
            certain: true,
        }
    }

    /// The connection was lost, or closed too early.
    pub(super) fn lost() -> Self {
        Self::new(Class::Network, ErrorCode::UpstreamsExhausted, LOST)
    }

    /// The stream broke in a way of this class; [`Class::Cancelled`]: there is no room for what it sends.
    pub(super) fn broken(class: Class) -> Self {
        match class {
            Class::Cancelled => Self::new(class, ErrorCode::Overloaded, NO_ROOM),
            Class::Malformed => Self::new(class, ErrorCode::InvalidUpstreamResponse, FAILED),
            _ => Self {
                class,
                ..Self::lost()
            },
        }
    }

    /// The answer as a whole has too many bytes.
    pub(super) fn too_large() -> Self {
        let code = ErrorCode::InvalidUpstreamResponse;
        Self::new(Class::Malformed, code, TOO_LARGE)
    }

    /// The upstream sent nothing for too long.
    pub(super) fn silent() -> Self {
        Self::new(Class::Timeout, ErrorCode::UpstreamsExhausted, SILENT)
    }

    /// The end mark came, but nothing before it marked the answer as complete.
    pub(super) fn unfinished() -> Self {
        let code = ErrorCode::InvalidUpstreamResponse;
        Self::new(Class::Malformed, code, UNFINISHED)
    }

    /// The request's deadline passed.
    pub(super) fn late() -> Self {
        Self::new(Class::Cancelled, ErrorCode::DeadlineExceeded, LATE)
    }

    /// The caller waits no longer for its next byte.
    pub(super) fn hasty() -> Self {
        Self::new(Class::Cancelled, ErrorCode::DeadlineExceeded, HASTY)
    }

    /// The process ends.
    pub(super) fn shut_down() -> Self {
        Self::new(Class::Cancelled, ErrorCode::Draining, SHUT_DOWN)
    }

    /// The upstream sent an error, with a text that may be passed on.
    pub(super) fn said(failure: &Failure, own: Option<Own>) -> Self {
        Self {
            own,
            retry_after: failure.retry_after,
            certain: failure.certain,
            ..Self::new(failure.class, ErrorCode::UpstreamsExhausted, FAILED)
        }
    }

    /// The failure of its attempt.
    pub(super) fn failure(&self) -> Failure {
        Failure {
            retry_after: self.retry_after,
            certain: self.certain,
            ..Failure::new(self.class, self.message)
        }
    }

    /// The event that ends the answer.
    pub(super) fn event(
        &self,
        operation: Operation,
        caller: &dyn CallerDialect,
        request_id: &str,
        so_far: &Progress,
    ) -> Bytes {
        match &self.own {
            Some(Own::Event(raw)) => raw.clone(),
            Some(Own::Body(body)) => {
                let kind = kind_of(self.class);
                caller.error_event_from_body(operation, body, kind, request_id, so_far)
            }
            None => {
                let trouble = Trouble {
                    message: self.message,
                    kind: self.code.kind(),
                    code: self.code.as_str(),
                };
                caller.error_event(operation, trouble, request_id, so_far)
            }
        }
    }
}
