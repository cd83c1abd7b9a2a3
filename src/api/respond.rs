//! Answers of upstreams as responses.

use axum::body::Body;
use axum::response::Response;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::admission_limit::AdmissionPermit;
use super::answer_headers;
use super::event_list::{EVENTS, is_events};
use crate::dispatch::{AnswerBody, ProxyResponse};
use crate::runtime::kept::Kept;

/// Whether nginx may collect an answer: `ngx_http_proxy_module`, `proxy_buffering`.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// A whole answer of more bytes keeps its request's place until it is written. What is smaller fits into the buffers of
/// its connection.
const LARGE: usize = 64 * 1024;

/// A stream of events.
pub(super) fn events(body: Body, mut headers: HeaderMap) -> Response {
    // Whatever the upstream called them: they were understood as events.
    if !headers.get(header::CONTENT_TYPE).is_some_and(is_events) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(EVENTS));
    }
    // nginx would collect the whole stream before it passes it on.
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-cache"));
    // What came compressed was looked at, and goes on plain.
    headers.remove(header::CONTENT_ENCODING);
    headers.remove(header::CONTENT_LENGTH);
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    response
}

/// An upstream's answer.
pub(super) fn write(mut answer: ProxyResponse, place: AdmissionPermit) -> Response {
    let mut headers = std::mem::take(&mut answer.headers);
    answer_headers::describe(&mut headers, &answer.upstream, &answer.key, answer.attempts);
    answer_headers::name_dropped(&mut headers, &answer.dropped);
    match answer.body {
        AnswerBody::Full(body) => {
            headers.remove(header::CONTENT_LENGTH);
            let large = body.len() > LARGE;
            let mut response = Response::new(Body::from(body));
            if large {
                response.extensions_mut().insert(Kept::new(place));
            }
            *response.status_mut() = status(answer.status);
            *response.headers_mut() = headers;
            response
        }
        AnswerBody::Piped(pipe) => {
            let body = pipe.map(move |piece| {
                // The place is taken until the answer ends or is dropped.
                let _ = &place;
                piece
            });
            let mut response = Response::new(Body::from_stream(body));
            *response.status_mut() = status(answer.status);
            *response.headers_mut() = headers;
            response
        }
        AnswerBody::Told(told) => {
            let body = told.map(move |chunk| {
                // The place is taken until the stream ends or is dropped.
                let _ = &place;
                chunk
            });
            events(Body::from_stream(body), headers)
        }
        AnswerBody::Stream(relay) => {
            let body = relay.map(move |chunk| {
                // The place is taken until the stream ends or is dropped.
                let _ = &place;
                chunk
            });
            events(Body::from_stream(body), headers)
        }
    }
}

fn status(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY)
}
