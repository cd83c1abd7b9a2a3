//! The one place where an error becomes a status and a body in the caller's dialect.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};

use super::answer_headers::describe;
use crate::dispatch::Failed;
use crate::domain::attempt_record::AttemptRecord;
use crate::domain::connection::Unidentified;
use crate::domain::error_code::ErrorCode;
use crate::domain::outcome::Class;
use crate::domain::skipped::Skipped;
use crate::domain::time::Time;
use crate::wire::dialect::CallerDialect;
use crate::wire::encoding;
use crate::wire::error_body::{AttemptLine, ErrorBody, SkippedLine};

/// The number of characters of each upstream's message that are quoted.
const SAID: usize = 200;

/// An error on its way to the caller.
#[derive(Debug)]
pub(super) struct ApiError {
    pub(super) code: ErrorCode,
    pub(super) message: String,
    pub(super) param: Option<&'static str>,
    pub(super) retry_after: Option<Duration>,
    pub(super) records: Vec<AttemptRecord>,
    pub(super) skipped: Box<[Skipped]>,
    pub(super) arrived: Time,
    pub(super) ended: Time,
    /// The caller has probably left, so that this error reaches no one.
    pub(super) caller_left: bool,
}

impl ApiError {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            param: None,
            retry_after: None,
            records: Vec::new(),
            skipped: Box::default(),
            arrived: Time::ZERO,
            ended: Time::ZERO,
            caller_left: false,
        }
    }

    pub(super) fn caller_left(mut self) -> Self {
        self.caller_left = true;
        self
    }

    pub(super) fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// When to ask again. A 429 says so always: some clients give up when it doesn't.
    fn comes_back(&self) -> Option<Duration> {
        let usual = (self.code.status() == 429).then_some(Duration::from_secs(1));
        self.retry_after.or(usual)
    }

    /// The error body, in the caller's dialect.
    pub(super) fn body(&self, request_id: &str, caller: &dyn CallerDialect) -> bytes::Bytes {
        let attempts = self.records.iter().map(|record| AttemptLine {
            upstream: record.upstream.to_string(),
            key: record.key.to_string(),
            class: record.class.as_str(),
            status: record.status,
            after_ms: millis(record.ended.since(self.arrived)),
            message: said(record),
        });
        let skipped = self.skipped.iter().map(|skipped| SkippedLine {
            upstream: skipped.upstream.to_string(),
            reason: skipped.reason(),
            ready_in_ms: skipped.ready_at.map(|at| millis(at.since(self.ended))),
        });
        let body = ErrorBody {
            message: &self.message,
            status: self.code.status(),
            retry_after: self.comes_back(),
            kind: self.code.kind(),
            code: self.code.as_str(),
            param: self.param,
            request_id,
            attempts: attempts.collect(),
            skipped: skipped.collect(),
        };
        caller.error(&body)
    }

    /// The whole answer; `x-request-id` is added by the caller of this.
    pub(super) fn response(&self, request_id: &str, caller: &dyn CallerDialect) -> Response {
        let mut response = Response::new(Body::from(self.body(request_id, caller)));
        *response.status_mut() =
            StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let unidentified = matches!(
            self.code,
            ErrorCode::InvalidClientToken
                | ErrorCode::HostNotAllowed
                | ErrorCode::CrossOriginRefused
        );
        if unidentified {
            response.extensions_mut().insert(Unidentified);
        }
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        match self.code {
            ErrorCode::InvalidClientToken => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            // RFC 9110, 15.5.16.
            ErrorCode::UnsupportedEncoding => {
                headers.insert(header::ACCEPT_ENCODING, encoding::TAKEN);
            }
            // RFC 9110, 15.5.22.
            ErrorCode::UpgradeRequired => {
                headers.insert(header::UPGRADE, HeaderValue::from_static("HTTP/1.1"));
                headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            }
            _ => {}
        }
        if self.code.is_final() {
            headers.insert("x-should-retry", HeaderValue::from_static("false"));
        }
        if let Some(last) = self.records.last() {
            describe(headers, &last.upstream, &last.key, self.records.len());
        }
        if let Some(after) = self.comes_back() {
            // Whole seconds, rounded up: a caller that obeys is never too early. Zero would say nothing.
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
            headers.insert("retry-after-ms", HeaderValue::from(millis(after).max(1)));
        }
        response
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// The beginning of an upstream's error message. Texts of failures on the way there name addresses and are not quoted. What
/// keeps a key from getting a token is: nobody could tell otherwise what to mend.
fn said(record: &AttemptRecord) -> Option<&str> {
    let answered = match record.class {
        Class::NoToken | Class::InvalidKey => true,
        class => record.status.is_some() && class != Class::Network,
    };
    let text = record.detail.as_deref().filter(|_| answered)?;
    let end = text.char_indices().nth(SAID);
    text.get(..end.map_or(text.len(), |(end, _)| end))
}

impl From<Failed> for ApiError {
    fn from(failed: Failed) -> Self {
        Self {
            code: failed.code,
            message: failed.message,
            param: failed.param,
            retry_after: failed.retry_after,
            records: failed.records,
            skipped: failed.skipped,
            arrived: failed.arrived,
            ended: failed.ended,
            caller_left: false,
        }
    }
}
