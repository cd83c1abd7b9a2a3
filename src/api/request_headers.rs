//! What Pointsman reads from a caller's headers.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use data_encoding::HEXLOWER;
use http::{HeaderMap, HeaderName};

use super::answer_headers::REQUEST_ID;
use super::error::ApiError;
use crate::dispatch::AffinityChoice;
use crate::domain::dropped::Unsupported;
use crate::domain::error_code::ErrorCode;
use crate::domain::ids::KeyId;
use crate::domain::trace::TraceContext;
use crate::telemetry::recorder::Recorder;
use crate::wire::trace_context;

const DEADLINE: HeaderName = HeaderName::from_static("x-pointsman-deadline");
const AWAIT: HeaderName = HeaderName::from_static("x-pointsman-await");
const UNSUPPORTED: HeaderName = HeaderName::from_static("x-pointsman-unsupported");
const AFFINITY: HeaderName = HeaderName::from_static("x-pointsman-affinity");
const SDK_TIMEOUT: HeaderName = HeaderName::from_static("x-stainless-read-timeout");

/// The caller's request id if it is fit to be logged and sent back, else a new one.
pub(super) fn request_id(headers: &HeaderMap) -> Arc<str> {
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let fit = |id: &&str| {
        !id.is_empty() && id.len() <= 128 && id.bytes().all(|byte| byte.is_ascii_graphic())
    };
    match given.filter(fit) {
        Some(id) => Arc::from(id),
        None => new_request_id(),
    }
}

/// `req_` and 128 random bits in hexadecimal.
fn new_request_id() -> Arc<str> {
    let mut text = String::with_capacity(36);
    text.push_str("req_");
    HEXLOWER.encode_append(&fastrand::u128(..).to_be_bytes(), &mut text);
    Arc::from(text)
}

/// The request's place in a trace: its caller's, or one that begins here. `None` where no spans are made and the caller
/// named none.
pub(super) fn trace(request: &Request, recorder: &Recorder) -> Option<Arc<TraceContext>> {
    let heard = recorder.propagates();
    let remote = heard.then(|| trace_context::read(request.headers()));
    let context = match (recorder.traces(), remote.flatten()) {
        (Some(traces), remote) => traces.begin(remote, (fastrand::u128(..), fastrand::u64(..))),
        (None, remote) => TraceContext::passing(remote?),
    };
    Some(Arc::new(TraceContext {
        versioned: request.uri().path().starts_with("/v1"),
        ..context
    }))
}

/// How long a caller waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For all of the answer.
    pub(super) whole: Option<Duration>,
    /// For each next byte.
    pub(super) silence: Option<Duration>,
}

impl Patience {
    /// For an answer that comes as a whole.
    pub(super) fn shorter(self) -> Option<Duration> {
        match (self.whole, self.silence) {
            (Some(whole), Some(silence)) => Some(whole.min(silence)),
            (whole, silence) => whole.or(silence),
        }
    }
}

/// How long the caller waits, as far as it says so.
pub(super) fn patience(headers: &HeaderMap) -> Result<Patience, ApiError> {
    let whole = duration(headers, &DEADLINE)?;
    // An SDK sends its own timeout along; one that cannot be read is its own affair.
    let silence = headers
        .get(SDK_TIMEOUT)
        .and_then(|value| value.to_str().ok()?.trim().parse::<f64>().ok())
        .filter(|seconds| *seconds > 0.0)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    Ok(Patience { whole, silence })
}

/// How long the caller lets the request wait for a key.
pub(super) fn await_cooldown(headers: &HeaderMap) -> Result<Option<Duration>, ApiError> {
    duration(headers, &AWAIT)
}

/// What the caller wants done where an upstream's dialect has no place for something that it says.
pub(super) fn unsupported(headers: &HeaderMap) -> Result<Option<Unsupported>, ApiError> {
    let Some(value) = headers.get(UNSUPPORTED) else {
        return Ok(None);
    };
    let word = value
        .to_str()
        .ok()
        .map(|text| text.trim().to_ascii_lowercase());
    let named = word.and_then(|word| Unsupported::named(&word));
    named.map(Some).ok_or_else(|| {
        let message = format!("the header {UNSUPPORTED} says neither drop nor reject");
        ApiError::new(ErrorCode::InvalidRequest, message)
    })
}

/// Which key the caller wants: `provider#2`, as `x-pointsman-key` names it, or any name of a session.
pub(super) fn affinity(headers: &HeaderMap) -> Result<Option<AffinityChoice>, ApiError> {
    const LONGEST: usize = 256;
    let Some(value) = headers.get(AFFINITY) else {
        return Ok(None);
    };
    let text = value.to_str().map_or("", str::trim);
    if text.is_empty() || text.len() > LONGEST {
        let message = format!("the header {AFFINITY} is no name of 1 to {LONGEST} characters");
        return Err(ApiError::new(ErrorCode::InvalidRequest, message));
    }
    let key = text.rsplit_once('#').and_then(|(provider, index)| {
        let index = index.parse().ok().filter(|index| *index > 0)?;
        let provider = Some(provider).filter(|name| !name.is_empty())?.into();
        Some(KeyId { provider, index })
    });
    Ok(Some(key.map_or_else(
        || AffinityChoice::Session(text.into()),
        AffinityChoice::Key,
    )))
}

fn duration(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Duration>, ApiError> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let parsed = value
        .to_str()
        .ok()
        .and_then(|text| crate::config::duration(text.trim()));
    parsed.map(Some).ok_or_else(|| {
        let message = format!("the header {name} is not a duration: write 500ms, 30s or 2m");
        ApiError::new(ErrorCode::InvalidRequest, message)
    })
}
