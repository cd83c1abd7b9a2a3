//! A request of the program that this is a part of: no connection, but otherwise what any caller gets.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, BodyDataStream};
use axum::extract::Request;
use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};

use super::handlers;
use super::service::operation;
use super::state::Api;
use crate::domain::dialect::Operation;

/// An answer whose body may still be under way.
pub struct DirectAnswer {
    /// As over HTTP.
    pub status: StatusCode,
    /// As over HTTP.
    pub headers: HeaderMap,
    /// What was asked for; `None` where that is no operation.
    pub operation: Option<Operation>,
    /// What it comes in.
    pub body: DirectBody,
}

/// The bytes of an answer, in pieces. A request ends when this is dropped.
pub struct DirectBody {
    stream: BodyDataStream,
    /// Keeps the process from ending.
    open: Option<Box<dyn Send + Sync>>,
}

/// An answer that does not come to its end.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off: {0}")]
pub struct DirectBodyError(String);

impl DirectAnswer {
    /// Keeps this as long as the body is there.
    #[must_use]
    pub fn holding(mut self, open: impl Send + Sync + 'static) -> Self {
        self.body.open = Some(Box::new(open));
        self
    }
}

impl Stream for DirectBody {
    type Item = Result<Bytes, DirectBodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = Pin::new(&mut self.stream).poll_next(cx);
        next.map_err(|error| DirectBodyError(error.to_string()))
    }
}

impl fmt::Debug for DirectBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DirectBody")
    }
}

/// A `POST` of JSON to `path`, a route of the data listener. Any other path is answered as there, with a 404.
pub async fn post(api: &Arc<Api>, path: &str, headers: HeaderMap, body: Bytes) -> DirectAnswer {
    let mut request = Request::new(Body::from(body));
    *request.method_mut() = Method::POST;
    *request.headers_mut() = headers;
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(header::CONTENT_TYPE, json);
    // What is no path is no route either.
    *request.uri_mut() = Uri::try_from(path).unwrap_or_default();
    let operation = operation(&request);
    let response = match operation {
        Some(operation) => Box::pin(handlers::relay(operation, api, request)).await,
        None => handlers::unknown_route(request).await,
    };
    let (head, body) = response.into_parts();
    DirectAnswer {
        status: head.status,
        headers: head.headers,
        operation,
        body: DirectBody {
            stream: body.into_data_stream(),
            open: None,
        },
    }
}
