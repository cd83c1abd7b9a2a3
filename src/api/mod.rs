//! Floor 6: the data listener. HTTP comes in here, and answers and errors go out in the caller's shape.

mod answer_headers;
pub mod connection;
mod door;
mod error;
mod front;
mod handlers;
mod health;
mod keepalive;
mod request_headers;
mod state;
mod write_timeout;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::routing::{get, post};

use crate::domain::dialect::Operation;

pub use door::Door;
pub use front::Front;
pub use state::{Api, Shutdown};

/// All routes of the data listener, with and without `/v1`. Each is written out: nesting would take every
/// request's path apart and put it together again.
fn router(api: Arc<Api>) -> Router {
    let mut routes = Router::new();
    for root in ["/v1", ""] {
        for operation in Operation::ALL {
            let handler = move |State(api): State<Arc<Api>>, request: Request| async move {
                handlers::relay(operation, &api, request).await
            };
            routes = routes.route(&format!("{root}{}", operation.path()), post(handler));
        }
        routes = routes
            .route(&format!("{root}/models"), get(handlers::models))
            .route(&format!("{root}/models/{{*id}}"), get(handlers::model));
    }
    routes
        .route("/health", get(health::summary))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .fallback(handlers::unknown_route)
        .method_not_allowed_fallback(handlers::wrong_method)
        .with_state(api)
}
