//! What a connection serves. The relayed operations are nearly all requests, so they go straight to their
//! handler; the router, which finds them as well, takes everything else.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, Method, Request, Uri, header};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use super::browser::{self, CorsAnswer, DataConnectionInfo, Judged};
use super::routed::Routed;
use super::state::Api;
use super::{handlers, health, passthrough, routes};
use crate::domain::dialect::Operation;

/// The service of every connection. Cheap to clone.
#[derive(Clone)]
pub struct ApiService {
    api: Arc<Api>,
    router: TowerToHyperService<Router>,
    entrance: DataConnectionInfo,
}

impl ApiService {
    /// Serves all routes of the data listener on a connection that came in by `entrance`.
    pub fn new(api: Arc<Api>, entrance: DataConnectionInfo) -> Self {
        let router = routes::router(Arc::clone(&api));
        Self {
            api,
            router: TowerToHyperService::new(router),
            entrance,
        }
    }
}

impl Service<Request<Incoming>> for ApiService {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let last = is_last(&request);
        let (request, operation) = match operation(&request) {
            None => {
                let request = straightened(request);
                let operation = operation(&request);
                (request, operation)
            }
            found => (request, found),
        };
        let serving = self.api.serving();
        let readable = CorsAnswer::of(&serving.pages, request.headers());
        let open = health::PATHS.contains(&request.uri().path());
        let judged = browser::judge(&request, &serving, self.entrance, open);
        match (judged, operation) {
            (Judged::Pass, Some(operation)) => {
                let place = Box::new_uninit();
                let api = Arc::clone(&self.api);
                let request = request.map(Body::new);
                let relaying = Box::write(place, relay(operation, api, request, last, readable));
                Box::into_pin(relaying)
            }
            (Judged::Pass, None) if asks_for_websocket(&request) => {
                let response = handlers::no_upgrade(request.map(Body::new));
                Box::pin(async move { Ok(finished(last, readable, response)) })
            }
            (Judged::Pass, None) => {
                let answering = self.router.call(request);
                Box::pin(async move { Ok(finished(last, readable, answering.await?)) })
            }
            (Judged::Answered(response), _) => Box::pin(async move { Ok(response) }),
            (Judged::Refused(error), operation) => {
                let request = request.map(Body::new);
                let response = handlers::turn_away(operation, &serving, request, &error);
                Box::pin(async move { Ok(finished(last, readable, response)) })
            }
        }
    }
}

/// Serves a relayed operation. It is not inlined so that the future, which is large, is made where it stays: else it would
/// be made on the stack and moved.
#[expect(
    clippy::manual_async_fn,
    reason = "only what makes the future must not be inlined"
)]
#[inline(never)]
fn relay(
    operation: Operation,
    api: Arc<Api>,
    request: Request<Body>,
    last: bool,
    readable: CorsAnswer,
) -> impl Future<Output = Result<Response, Infallible>> {
    async move {
        let response = handlers::relay(operation, &api, request).await;
        Ok(finished(last, readable, response))
    }
}

/// Whether the connection must close after this request.
///
/// A chunked body may have come with a length too. The HTTP library goes by the chunks, as it should, and does not
/// report the length; but a proxy in front may have gone by it, and then what follows belongs to another caller.
/// Closing is what RFC 9112, 6.1 asks for. SDKs send a length, so this costs almost nothing.
fn is_last<B>(request: &Request<B>) -> bool {
    request.headers().contains_key(header::TRANSFER_ENCODING)
}

/// What every answer says, whatever was asked for. `last`: nothing that follows may be taken for a request.
fn finished(last: bool, readable: CorsAnswer, mut response: Response) -> Response {
    readable.tell(response.headers_mut());
    if last {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

/// The same request without empty segments in its path, and without a slash at its end: base URLs are often written with
/// a slash too many. What is percent-encoded stays as it is.
fn straightened<B>(mut request: Request<B>) -> Request<B> {
    let path = request.uri().path();
    // What passes through is written as its provider wants it.
    if path.starts_with(passthrough::ROOT) {
        return request;
    }
    if path.len() < 2 || !(path.ends_with('/') || path.contains("//")) {
        return request;
    }
    let mut straight = String::with_capacity(path.len());
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        straight.push('/');
        straight.push_str(segment);
    }
    if straight.is_empty() {
        straight.push('/');
    }
    if let Some(query) = request.uri().query() {
        straight.push('?');
        straight.push_str(query);
    }
    let mut parts = request.uri().clone().into_parts();
    // Made of pieces of a path that was legal.
    if let Ok(straight) = straight.parse() {
        parts.path_and_query = Some(straight);
    }
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    request
}

/// Whether a connection is to become a WebSocket (RFC 6455, 4.1).
fn asks_for_websocket<B>(request: &Request<B>) -> bool {
    let upgrades = request.headers().get_all(header::UPGRADE).iter();
    let mut upgrades = upgrades
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    upgrades.any(|protocol| protocol.trim().eq_ignore_ascii_case("websocket"))
}

/// The operation that a request asks for, with and without `/v1`.
pub(super) fn operation<B>(request: &Request<B>) -> Option<Operation> {
    if request.method() != Method::POST {
        return None;
    }
    let path = request.uri().path();
    // Cohere's newer clients.
    let plain = path.strip_prefix("/v1").unwrap_or(match path {
        "/v2/rerank" => "/rerank",
        path => path,
    });
    let fixed = Operation::at(plain)
        .filter(|operation| operation.has_callers() && operation.has_fixed_path());
    fixed.or_else(|| Some(Routed::method(path)?.operation))
}
