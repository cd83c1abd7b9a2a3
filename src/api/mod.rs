//! Floor 6: the data listener. HTTP comes in here, and answers and errors go out in the caller's shape.

pub mod connection;
mod door;
mod error;
mod handlers;
mod headers;
mod health;
mod keepalive;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};

use crate::dispatch::Dispatch;
use crate::domain::dialect::Operation;
use crate::wire::openai::models::ModelEntry;

pub use door::Door;

/// What the data listener needs to know.
pub struct Api {
    /// Serves requests.
    pub dispatch: Arc<Dispatch>,
    /// Counts those inside, and keeps the rest out.
    pub door: Door,
    /// Larger bodies are refused, in bytes.
    pub max_body: usize,
    /// A stream without content for this long gets a comment to keep proxies awake.
    pub stream_keepalive: Duration,
    /// What `GET /v1/models` lists.
    pub models: Vec<ModelEntry>,
    /// Set when shutting down.
    pub draining: AtomicBool,
}

impl Api {
    /// From now on not ready, and new requests are refused.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

/// All routes of the data listener, with and without `/v1`.
pub fn router(api: Arc<Api>) -> Router {
    let mut routes = Router::new()
        .route("/models", get(handlers::models))
        .route("/models/{*id}", get(handlers::model));
    for operation in Operation::ALL {
        let handler = move |state, request| handlers::relay(operation, state, request);
        routes = routes.route(operation.path(), post(handler));
    }
    Router::new()
        .nest("/v1", routes.clone())
        .merge(routes)
        .route("/health", get(health::summary))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .fallback(handlers::unknown_route)
        .method_not_allowed_fallback(handlers::wrong_method)
        .with_state(api)
}
