//! Liveness, readiness, how many upstreams are usable, and what this is. None of it needs a client token, and none of it
//! depends on an upstream: a pool that cools is no reason to restart the process.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

use super::state::Api;
use super::{answer_headers, request_headers};
use crate::dispatch::Dispatch;
use crate::domain::ids::Upstream;

/// The paths that need no token and may be asked for under any name: probes come from anywhere.
pub(super) const PATHS: [&str; 4] = ["/", "/health", "/health/live", "/health/ready"];

/// `GET /`: what this is and where to go on, for people, for load balancers that ask for nothing else, and for clients of
/// older gateways, which read `status` and `message`.
pub(super) async fn root(request: Request) -> Response {
    let body = json!({
        "status": "ok",
        "message": "Pointsman is running: send requests to /v1/chat/completions",
        "name": "pointsman",
        "version": env!("CARGO_PKG_VERSION"),
        "links": {
            "chat_completions": "/v1/chat/completions",
            "responses": "/v1/responses",
            "messages": "/v1/messages",
            "models": "/v1/models",
            "health": "/health",
            "ready": "/health/ready",
            "stats": "/stats",
        },
    });
    answer(&request, StatusCode::OK, body)
}

pub(super) async fn live(request: Request) -> Response {
    answer(&request, StatusCode::OK, json!({"status": "ok"}))
}

pub(super) async fn ready(State(api): State<Arc<Api>>, request: Request) -> Response {
    let (status, text) = readiness(&api);
    answer(&request, status, json!({"status": text}))
}

pub(super) async fn summary(State(api): State<Arc<Api>>, request: Request) -> Response {
    let (status, text) = readiness(&api);
    let serving = api.serving();
    let listed = serving.dispatch.targets.listed();
    let upstreams: BTreeSet<&Upstream> = listed
        .iter()
        .flat_map(|listed| &listed.chain.upstreams)
        .collect();
    let usable = upstreams
        .iter()
        .filter(|upstream| is_usable(&serving.dispatch, upstream))
        .count();
    let body = json!({
        "status": text,
        "version": env!("CARGO_PKG_VERSION"),
        "upstreams": {"total": upstreams.len(), "usable": usable},
        "in_flight": api.admission.inside(),
        "waiting": serving.dispatch.tree.cells().router.waiting(),
    });
    answer(&request, status, body)
}

fn answer(request: &Request, status: StatusCode, body: Value) -> Response {
    let mut response = (status, Json(body)).into_response();
    let id = request_headers::request_id(request.headers());
    answer_headers::tag(response.headers_mut(), &id);
    response
}

fn readiness(api: &Api) -> (StatusCode, &'static str) {
    if api.is_draining() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining")
    } else if api.serving().dispatch.tree.is_up() {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "router restarting")
    }
}

/// Whether an attempt there would be let through right now, as far as the actors publish. A key that is full, or a
/// limit that is used up for a moment, does not count: requests wait for it and are served.
fn is_usable(dispatch: &Dispatch, upstream: &Upstream) -> bool {
    dispatch.tree.usable_keys(upstream).usable > 0
}
