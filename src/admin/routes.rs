//! All routes of the admin listener.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};
use http::{HeaderValue, StatusCode, header};

use super::answer::AdminRefusal;
use super::keys::{self, Verb};
use super::state::AdminState;
use super::{
    additions, cache, events, explain, fleet, health, history, page, process, requests, routing,
    snapshot, spend,
};
use crate::telemetry::metrics::{Metrics, TEXT_TYPE};

/// The description for programs, OpenAPI 3.1.
const OPENAPI: &str = include_str!("openapi.json");

type RouteEntry = (&'static str, &'static str, MethodRouter<Arc<AdminState>>);

/// Path, method, handler. `openapi.json` describes each.
fn routes() -> Vec<RouteEntry> {
    let mut routes: Vec<RouteEntry> = vec![
        ("/", "get", get(page::root)),
        ("/page/{file}", "get", get(page::file)),
        ("/health/live", "get", get(health::live)),
        ("/health/ready", "get", get(health::ready)),
        ("/metrics", "get", get(metrics)),
        ("/admin/v1/openapi.json", "get", get(openapi)),
        ("/admin/v1/state", "get", get(snapshot::state)),
        ("/admin/v1/events", "get", get(events::events)),
        ("/admin/v1/history", "get", get(history::history)),
        ("/admin/v1/spend", "get", get(spend::spend)),
        ("/admin/v1/cache", "get", get(cache::stats)),
        ("/admin/v1/cache/purge", "post", post(cache::purge)),
        ("/admin/v1/fleet", "get", get(fleet::fleet)),
        ("/admin/v1/routing", "get", get(routing::routing)),
        ("/admin/v1/requests", "get", get(requests::list)),
        ("/admin/v1/requests/{id}", "get", get(requests::one)),
        ("/admin/v1/explain", "post", post(explain::explain)),
        ("/admin/v1/reload", "post", post(process::reload)),
        ("/admin/v1/drain", "post", post(process::drain)),
        ("/admin/v1/log-level", "put", put(process::log_level)),
        ("/admin/v1/additions", "get", get(additions::list)),
        ("/admin/v1/providers", "post", post(additions::add_provider)),
        (
            "/admin/v1/providers/{provider}",
            "delete",
            delete(additions::remove_provider),
        ),
        (
            "/admin/v1/providers/{provider}/keys",
            "post",
            post(additions::add_key),
        ),
        (
            "/admin/v1/providers/{provider}/keys/{number}",
            "delete",
            delete(additions::remove_key),
        ),
    ];
    for (of_key, of_provider_key, of_provider, verb) in [
        (
            "/admin/v1/keys/{id}/hold",
            "/admin/v1/providers/{provider}/keys/{number}/hold",
            Some("/admin/v1/providers/{provider}/hold"),
            Verb::Hold,
        ),
        (
            "/admin/v1/keys/{id}/release",
            "/admin/v1/providers/{provider}/keys/{number}/release",
            Some("/admin/v1/providers/{provider}/release"),
            Verb::Release,
        ),
        (
            "/admin/v1/keys/{id}/cooldown",
            "/admin/v1/providers/{provider}/keys/{number}/cooldown",
            None,
            Verb::Cooldown,
        ),
    ] {
        let one = post(move |state, id, fields| keys::key(verb, state, id, fields));
        let two = post(move |state, path, fields| keys::key_of_provider(verb, state, path, fields));
        routes.extend([(of_key, "post", one), (of_provider_key, "post", two)]);
        if let Some(path) = of_provider {
            let handler =
                post(move |state, name, fields| keys::provider(verb, state, name, fields));
            routes.push((path, "post", handler));
        }
    }
    routes
}

/// All routes of the admin listener.
pub(super) fn router(admin: Arc<AdminState>) -> Router {
    let mut router = Router::new();
    for (path, _, handler) in routes() {
        router = router.route(path, handler);
    }
    router
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        // `body` has its own.
        .layer(DefaultBodyLimit::disable())
        .with_state(admin)
}

async fn openapi() -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], OPENAPI).into_response()
}

/// Everything that is counted, in Prometheus's text form.
async fn metrics(State(admin): State<Arc<AdminState>>) -> Response {
    let text = admin.recorder.metrics().map(Metrics::text);
    let form = HeaderValue::from_static(TEXT_TYPE);
    ([(header::CONTENT_TYPE, form)], text.unwrap_or_default()).into_response()
}

async fn unknown_route(request: Request) -> Response {
    let message = format!(
        "there is no route {}: see /admin/v1/openapi.json",
        request.uri().path()
    );
    AdminRefusal::new(StatusCode::NOT_FOUND, "not_found", message).into_response()
}

async fn wrong_method(request: Request) -> Response {
    let message = format!(
        "{} does not take {}",
        request.uri().path(),
        request.method()
    );
    AdminRefusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        message,
    )
    .into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn the_description_has_every_route_and_no_other() {
        let description: Value = serde_json::from_str(OPENAPI).unwrap();
        let paths = description["paths"].as_object().unwrap();
        let described: BTreeSet<(&str, &str)> = paths
            .iter()
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().unwrap().keys();
                methods.map(|method| (path.as_str(), method.as_str()))
            })
            .filter(|(_, method)| *method != "parameters")
            .collect();
        let routes = routes();
        let served: BTreeSet<(&str, &str)> = routes
            .iter()
            .map(|(path, method, _)| (*path, *method))
            .collect();
        assert_eq!(described, served);
    }
}
