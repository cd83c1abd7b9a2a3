//! Liveness and readiness, as on the data listener.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use super::state::AdminState;

pub(super) async fn live() -> Response {
    Json(json!({"status": "ok"})).into_response()
}

pub(super) async fn ready(State(admin): State<Arc<AdminState>>) -> Response {
    let (status, text) = if admin.is_draining() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining")
    } else if admin.dispatcher.is_up() {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "router restarting")
    };
    (status, Json(json!({"status": text}))).into_response()
}
