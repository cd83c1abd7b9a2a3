//! All routes of the data listener.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::routing::{any, get, post};

use super::state::Api;
use super::{handlers, health, model_list, passthrough, stats};
use crate::domain::dialect::Operation;

/// All routes, with and without `/v1`. Each is written out: nesting would take every
/// request's path apart and put it together again.
pub(super) fn router(api: Arc<Api>) -> Router {
    let mut routes = Router::new();
    // Operations of models that stand in the path never come here: the router has no form for such paths.
    routes = routes
        .route("/v1beta/models", get(model_list::models))
        .route(
            "/v1beta/models/{*id}",
            get(model_list::model).post(handlers::unknown_route),
        );
    for root in ["/v1", ""] {
        let in_body = |operation: &Operation| operation.has_callers() && operation.has_fixed_path();
        for operation in Operation::ALL.into_iter().filter(in_body) {
            let handler = move |State(api): State<Arc<Api>>, request: Request| async move {
                handlers::relay(operation, &api, request).await
            };
            routes = routes.route(&format!("{root}{}", operation.path()), post(handler));
        }
        routes = routes
            .route(&format!("{root}/models"), get(model_list::models))
            .route(&format!("{root}/models/{{*id}}"), get(model_list::model))
            .route(&format!("{root}/stats"), get(stats::stats));
    }
    routes
        .route("/passthrough/{*path}", any(passthrough::relay))
        .route("/", get(health::root))
        .route("/health", get(health::summary))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .fallback(handlers::unknown_route)
        .method_not_allowed_fallback(handlers::wrong_method)
        .with_state(api)
}
