//! What may be asked for: the routes that list it, each client's own part of it.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::StatusCode;

use super::error::ApiError;
use super::handlers::{json, refuse};
use super::identity::identify;
use super::state::{Api, Serving};
use crate::access::Client;
use crate::domain::error_code::ErrorCode;
use crate::wire::dialect::CallerDialect;
use crate::wire::dialects::caller_of;
use crate::wire::model_entry::ModelEntry;

/// Serves `GET /v1/models`.
pub(super) async fn models(State(api): State<Arc<Api>>, request: Request) -> Response {
    let serving = api.serving();
    match identify(&serving, request.uri(), request.headers()) {
        Ok(None) => json(
            &request,
            StatusCode::OK,
            caller(&request).models(&serving.models),
        ),
        Ok(Some(client)) => {
            let listed = serving.models.iter();
            let own: Vec<ModelEntry> = listed
                .filter(|entry| is_listed(&serving, Some(&client), entry))
                .cloned()
                .collect();
            json(&request, StatusCode::OK, caller(&request).models(&own))
        }
        Err(error) => refuse(request, &error),
    }
}

/// `GET /v1/models/{id}`.
pub(super) async fn model(
    State(api): State<Arc<Api>>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let serving = api.serving();
    let client = match identify(&serving, request.uri(), request.headers()) {
        Ok(client) => client,
        Err(error) => return refuse(request, &error),
    };
    // What is not UTF-8 is no model's name either, and is named as it was written.
    let name = name.map_or_else(
        |_| {
            let path = request.uri().path();
            path.split_once("/models/")
                .map_or(path, |(_, name)| name)
                .to_owned()
        },
        |Path(name)| name,
    );
    let found = named(&serving, &name);
    // Google's clients write names as they are listed.
    let found = found.or_else(|| named(&serving, name.strip_prefix("models/")?));
    match found.filter(|entry| is_listed(&serving, client.as_deref(), entry)) {
        Some(entry) => json(&request, StatusCode::OK, caller(&request).model(&entry)),
        None => {
            let message = format!("there is no model `{name}`: GET /v1/models lists them");
            refuse(request, &ApiError::new(ErrorCode::ModelNotFound, message))
        }
    }
}

/// What is listed under this name, or what the name means of what is listed: a provider's name its default model, a model's
/// name the provider that has it.
fn named(serving: &Serving, name: &str) -> Option<ModelEntry> {
    let entry = |id: &str| serving.models.iter().find(|entry| entry.id == id);
    if let Some(entry) = entry(name) {
        return Some(entry.clone());
    }
    let chain = serving.dispatch.targets.resolve(Some(name)).ok()?;
    let upstreams: Vec<String> = chain.upstreams.iter().map(ToString::to_string).collect();
    let mut meant = upstreams.iter().map(|upstream| entry(upstream));
    let first = meant.next()??;
    if !meant.all(|entry| entry.is_some()) {
        return None;
    }
    let mut extra = first.extra.clone();
    extra.insert("upstreams".to_owned(), upstreams.into());
    Some(ModelEntry {
        id: name.to_owned(),
        owned_by: first.owned_by.clone(),
        extra,
    })
}

/// Whose form the answer has.
fn caller(request: &Request) -> &'static dyn CallerDialect {
    caller_of(request.uri().path(), request.headers())
}

/// Whether the client may ask for it.
fn is_listed(serving: &Serving, client: Option<&Client>, entry: &ModelEntry) -> bool {
    client.is_none_or(|client| {
        let chain = serving.dispatch.targets.resolve(Some(&entry.id));
        chain.is_ok_and(|chain| client.may_ask(Some(&entry.id), &chain))
    })
}
