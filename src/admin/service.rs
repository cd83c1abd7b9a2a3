//! What a connection to the admin listener serves: the routes behind the guard.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Request, header};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use super::answer::guarded;
use super::guard::{AdminConnectionInfo, judge};
use super::routes;
use super::state::AdminState;

/// The service of every connection. Cheap to clone.
#[derive(Clone)]
pub struct AdminService {
    admin: Arc<AdminState>,
    router: TowerToHyperService<Router>,
    entrance: AdminConnectionInfo,
}

impl AdminService {
    /// Serves all routes of the admin listener on a connection that came in by `entrance`.
    pub fn new(admin: Arc<AdminState>, entrance: AdminConnectionInfo) -> Self {
        let router = routes::router(Arc::clone(&admin));
        Self {
            admin,
            router: TowerToHyperService::new(router),
            entrance,
        }
    }
}

impl Service<Request<Incoming>> for AdminService {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (parts, body) = request.into_parts();
        // As on the data listener: what follows a chunked body may be another client's request (RFC 9112, 6.1).
        let last = parts.headers.contains_key(header::TRANSFER_ENCODING);
        let judged = judge(&parts, &self.admin.now(), self.entrance);
        match judged {
            Err(refused) => {
                Box::pin(async move { Ok(closing(last, guarded(refused.into_response()))) })
            }
            Ok(()) => {
                let answering = self.router.call(Request::from_parts(parts, body));
                Box::pin(async move { Ok(closing(last, guarded(answering.await?))) })
            }
        }
    }
}

fn closing(last: bool, mut response: Response) -> Response {
    if last {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}
