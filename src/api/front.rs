//! What a connection serves. The relayed operations are nearly all requests, so they go straight to their
//! handler; the router, which finds them as well, takes everything else.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::{Method, Request};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use super::state::Api;
use super::{handlers, routes};
use crate::domain::dialect::Operation;

/// The service of every connection. Cheap to clone.
#[derive(Clone)]
pub struct Front {
    api: Arc<Api>,
    router: TowerToHyperService<Router>,
}

impl Front {
    /// Serves all routes of the data listener.
    pub fn new(api: Arc<Api>) -> Self {
        let router = routes::router(Arc::clone(&api));
        Self {
            api,
            router: TowerToHyperService::new(router),
        }
    }
}

impl Service<Request<Incoming>> for Front {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        match operation(&request) {
            Some(operation) => {
                let api = Arc::clone(&self.api);
                let request = request.map(Body::new);
                Box::pin(async move { Ok(handlers::relay(operation, &api, request).await) })
            }
            None => Box::pin(self.router.call(request)),
        }
    }
}

/// The operation that a request asks for, with and without `/v1`.
fn operation<B>(request: &Request<B>) -> Option<Operation> {
    if request.method() != Method::POST {
        return None;
    }
    let path = request.uri().path();
    let path = path.strip_prefix("/v1").unwrap_or(path);
    let mut all = Operation::ALL.into_iter();
    all.find(|operation| operation.path() == path)
}
