//! A request that cannot be said to an upstream: a failed attempt without a call, and the answer that its caller gets if no
//! other upstream serves it.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};

use super::request::{Endpoint, Request};
use crate::domain::error_code::ErrorCode;
use crate::domain::outcome::{Class, Failure};
use crate::wire::error_body::ErrorBody;
use crate::wire::unfit::Unfit;

/// What a request's caller is told that cannot be said to an upstream.
pub(super) struct UnfitAnswer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// The failure, and the answer.
pub(super) fn refused(
    unfit: &Unfit,
    request: &Request,
    endpoint: &Endpoint,
) -> (Failure, UnfitAnswer) {
    let code = unfit.code();
    let message = unfit.message(request.operation.path(), endpoint.dialect.id());
    let body = request.caller().error(&ErrorBody {
        message: &message,
        status: code.status(),
        retry_after: None,
        kind: code.kind(),
        code: code.as_str(),
        param: unfit.field(),
        request_id: &request.id,
        attempts: Vec::new(),
        skipped: Vec::new(),
    });
    let mut headers = HeaderMap::new();
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json);
    if code == ErrorCode::StateUnavailable {
        // Some clients repeat a 409 by themselves.
        headers.insert("x-should-retry", HeaderValue::from_static("false"));
    }
    let answer = UnfitAnswer {
        status: code.status(),
        headers,
        body,
    };
    (Failure::new(Class::Unsupported, message), answer)
}
