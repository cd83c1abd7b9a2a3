//! Floor 6: the data listener. HTTP comes in here, and answers and errors go out in the caller's shape.

mod answer_headers;
pub mod connection;
mod door;
mod error;
mod handlers;
mod health;
mod keepalive;
mod request_headers;

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
    /// How far the shutdown has come.
    pub shutdown: Shutdown,
}

/// The two steps of a shutdown at the data listener.
#[derive(Debug, Default)]
pub struct Shutdown {
    draining: AtomicBool,
    closed: AtomicBool,
}

impl Api {
    /// From now on not ready, so that nobody sends more; what comes is still served.
    pub fn drain(&self) {
        self.shutdown.draining.store(true, Ordering::Relaxed);
    }

    /// From now on new requests are refused.
    pub fn close(&self) {
        self.drain();
        self.shutdown.closed.store(true, Ordering::Relaxed);
    }

    fn is_draining(&self) -> bool {
        self.shutdown.draining.load(Ordering::Relaxed)
    }

    fn is_closed(&self) -> bool {
        self.shutdown.closed.load(Ordering::Relaxed)
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
