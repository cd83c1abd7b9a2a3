//! What our own errors say, before a caller's dialect gives them a form. Kinds of errors have OpenAI's names.

use std::time::Duration;

use serde::Serialize;

use crate::domain::outcome::Class;

/// Something failed here, and not at the caller's.
pub(super) const SERVER_ERROR: &str = "server_error";

/// An error as an answer of its own.
#[derive(Debug, Serialize)]
pub struct ErrorBody<'a> {
    /// What happened and what to do.
    pub message: &'a str,
    /// The HTTP status that it goes out with.
    #[serde(skip)]
    pub status: u16,
    /// When asking again may help.
    #[serde(skip)]
    pub retry_after: Option<Duration>,
    /// OpenAI's error type.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// The error code of Pointsman.
    pub code: &'a str,
    /// The field at fault, if one is.
    pub param: Option<&'a str>,
    /// The request's id.
    pub request_id: &'a str,
    /// What was tried, in order.
    pub attempts: Vec<AttemptLine<'a>>,
    /// The upstreams of the chain that were not asked, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<SkippedLine>,
}

/// One attempt of a failed request.
#[derive(Debug, Serialize)]
pub struct AttemptLine<'a> {
    /// Such as `groq:llama-3.3-70b`.
    pub upstream: String,
    /// Such as `groq#2`.
    pub key: String,
    /// The outcome class.
    pub class: &'static str,
    /// The answer's status, if there was one.
    pub status: Option<u16>,
    /// From the request's arrival to the attempt's end, in milliseconds.
    pub after_ms: u64,
    /// The beginning of the upstream's error text, with keys masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<&'a str>,
}

/// One upstream that was not asked.
#[derive(Debug, Serialize)]
pub struct SkippedLine {
    /// Such as `groq:llama-3.3-70b`.
    pub upstream: String,
    /// Why: `cooling`, `breaker_open`, `too_large` and others; `not_reached` when the request ended before.
    pub reason: &'static str,
    /// When it can be asked, in milliseconds from now; null when that is not known.
    pub ready_in_ms: Option<u64>,
}

/// What an error says that ends a stream.
#[derive(Clone, Copy, Debug)]
pub struct Trouble<'a> {
    /// For people, and for clients that search it.
    pub message: &'a str,
    /// OpenAI's `type` of an error.
    pub kind: &'a str,
    /// Our code, or an upstream's.
    pub code: &'a str,
}

/// OpenAI's `type` for a failure of this class as the caller sees it: an upstream's trouble with our key is no
/// mistake of the caller.
pub const fn kind_of(class: Class) -> &'static str {
    match class {
        Class::CallerFault
        | Class::ContextOverflow
        | Class::TooLargeForLimit
        | Class::Unsupported
        | Class::NotOffered
        | Class::ContentPolicy => "invalid_request_error",
        Class::RateLimited | Class::QuotaExhausted => "rate_limit_error",
        Class::Success
        | Class::ModelGone
        | Class::InvalidKey
        | Class::NoToken
        | Class::Overloaded
        | Class::Transient
        | Class::Network
        | Class::Timeout
        | Class::Malformed
        | Class::Cancelled => SERVER_ERROR,
    }
}
