//! Our own errors in OpenAI's shape.

use bytes::Bytes;
use serde::Serialize;

/// An error body: `{"error": {…}}`.
#[derive(Debug, Serialize)]
pub struct ErrorBody<'a> {
    /// What happened and what to do.
    pub message: &'a str,
    /// OpenAI's error type.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// The contract's code.
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
    /// The first of what the upstream said, without anything that looks like a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<&'a str>,
}

/// One upstream that was not asked.
#[derive(Debug, Serialize)]
pub struct SkippedLine {
    /// Such as `groq:llama-3.3-70b`.
    pub upstream: String,
    /// Why: `cooling`, `circuit_open`, `too_large` and others; `not_reached` when the request ended before.
    pub reason: &'static str,
    /// When it can be asked, in milliseconds from now; null when that is not known.
    pub ready_in_ms: Option<u64>,
}

impl ErrorBody<'_> {
    /// As it goes over the wire.
    pub fn to_bytes(&self) -> Bytes {
        #[derive(Serialize)]
        struct Envelope<'a> {
            error: &'a ErrorBody<'a>,
        }
        // Strings and numbers always serialise.
        serde_json::to_vec(&Envelope { error: self })
            .unwrap_or_default()
            .into()
    }
}
