//! Providers and keys that are added while the process runs, and taken away again (`docs/additions.md`).

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

use super::added_json;
use super::answer::AdminRefusal;
use super::body::BodyFields;
use super::changes::{AdditionChange, ChangeDone, ChangeRefusal, OfferedKey};
use super::snapshot::mistakes;
use super::state::AdminState;
use crate::config::{KeyOrigin, SecretReference, masked, printed_keys};
use crate::domain::ids::ProviderName;
use crate::domain::secret::ApiKey;
use crate::runtime::program;

type AddedResult = Result<Response, AdminRefusal>;
type PathOf<T> = Result<Path<T>, PathRejection>;

/// Longer names are refused, in bytes.
const LONGEST_NAME: usize = 200;
/// Longer keys are refused, in bytes: the longest credentials are files of a few kilobytes.
const LONGEST_KEY: usize = 16 * 1024;

/// What was added.
pub(super) async fn list(State(admin): State<Arc<AdminState>>) -> Response {
    Json(added_json::all(&admin.now())).into_response()
}

/// Adds a provider.
pub(super) async fn add_provider(
    State(admin): State<Arc<AdminState>>,
    mut fields: BodyFields,
) -> AddedResult {
    may_change(&admin)?;
    let name = named(&fields.text("name")?)?;
    let mut keys = Vec::new();
    for reference in fields.list("keys")? {
        keys.push(referred(&admin, &reference).await?);
    }
    keys.extend(fields.text_if_any("secret")?.map(literal).transpose()?);
    let change = AdditionChange::AddProvider {
        name: name.clone(),
        settings: fields.rest(),
        keys,
    };
    let done = ordered(&admin, change).await?;
    let shown = added_json::changed_provider(&admin.now(), &name, &done);
    Ok(created(&done, shown))
}

/// Adds a key to a provider.
pub(super) async fn add_key(
    State(admin): State<Arc<AdminState>>,
    provider: PathOf<String>,
    mut fields: BodyFields,
) -> AddedResult {
    may_change(&admin)?;
    let Path(provider) = provider.map_err(|error| AdminRefusal::invalid(error.to_string()))?;
    let provider = named(&provider)?;
    let (reference, secret) = (fields.text_if_any("key")?, fields.text_if_any("secret")?);
    fields.finish()?;
    let key = match (reference, secret) {
        (Some(reference), None) => referred(&admin, &reference).await?,
        (None, Some(secret)) => literal(secret)?,
        (Some(_), Some(_)) | (None, None) => {
            let message = "one of `key`, a reference such as env:NAME, and `secret`, the key itself, is needed";
            return Err(AdminRefusal::invalid(message));
        }
    };
    let change = AdditionChange::AddKey {
        provider: provider.clone(),
        key,
    };
    let done = ordered(&admin, change).await?;
    let shown = added_json::changed_key(&admin.now(), &provider, &done);
    Ok(created(&done, shown))
}

/// Takes an added provider away.
pub(super) async fn remove_provider(
    State(admin): State<Arc<AdminState>>,
    provider: PathOf<String>,
    fields: BodyFields,
) -> AddedResult {
    may_change(&admin)?;
    let Path(name) = provider.map_err(|error| AdminRefusal::invalid(error.to_string()))?;
    fields.finish()?;
    let change = AdditionChange::RemoveProvider(named(&name)?);
    let done = ordered(&admin, change).await?;
    let shown = added_json::with_end(json!({"removed": name}), &done);
    Ok(Json(shown).into_response())
}

/// Takes an added key away.
pub(super) async fn remove_key(
    State(admin): State<Arc<AdminState>>,
    path: PathOf<(String, String)>,
    fields: BodyFields,
) -> AddedResult {
    may_change(&admin)?;
    let Path((provider, id)) = path.map_err(|error| AdminRefusal::invalid(error.to_string()))?;
    fields.finish()?;
    let change = AdditionChange::RemoveKey {
        provider: named(&provider)?,
        id: id.clone(),
    };
    let done = ordered(&admin, change).await?;
    let shown = added_json::with_end(json!({"removed": id}), &done);
    Ok(Json(shown).into_response())
}

fn created(done: &ChangeDone, shown: Value) -> Response {
    let status = if done.is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    (status, Json(shown)).into_response()
}

fn may_change(admin: &AdminState) -> Result<(), AdminRefusal> {
    if admin.is_draining() {
        return Err(AdminRefusal::ending());
    }
    if admin.now().rules.allow {
        return Ok(());
    }
    let message = "nothing may be added to this process: set server.admin_token, or additions.allow: true where everybody \
                   who reaches the admin listener may send its secrets anywhere";
    Err(AdminRefusal::new(
        StatusCode::FORBIDDEN,
        "additions_not_allowed",
        message,
    ))
}

/// What comes here by mistake may be a key: it is not shown.
fn named(name: &str) -> Result<ProviderName, AdminRefusal> {
    let name = name.trim();
    if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(AdminRefusal::invalid("the name of the provider is no name"));
    }
    Ok(ProviderName::from(name))
}

fn literal(secret: String) -> Result<OfferedKey, AdminRefusal> {
    let material = ApiKey::new(secret);
    let text = material.expose();
    if text.is_empty() || text.len() > LONGEST_KEY || text.chars().any(char::is_whitespace) {
        let message = "`secret` must be one key, without blanks";
        return Err(AdminRefusal::invalid(message));
    }
    Ok(OfferedKey {
        origin: KeyOrigin::Literal(material),
        printed: None,
    })
}

/// The key that a reference leads to. A program is run here, so that nothing else of the process waits for it.
async fn referred(admin: &AdminState, text: &str) -> Result<OfferedKey, AdminRefusal> {
    let reference = SecretReference::parse(text);
    let reference = reference.map_err(|error| AdminRefusal::invalid(error.to_string()))?;
    let printed = match &reference {
        SecretReference::Exec(words) => Some(print(admin, words).await?),
        SecretReference::Env(_) | SecretReference::File(_) => None,
    };
    Ok(OfferedKey {
        origin: KeyOrigin::Reference(reference),
        printed,
    })
}

async fn print(admin: &AdminState, words: &[String]) -> Result<Vec<ApiKey>, AdminRefusal> {
    if !admin.now().rules.runs(words) {
        let message = "this program may not be run: name it in additions.exec";
        let status = StatusCode::FORBIDDEN;
        return Err(AdminRefusal::new(status, "program_not_allowed", message));
    }
    let printed = program::printed(words).await;
    let printed = printed.map_err(|error| {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        AdminRefusal::new(status, "program_failed", error.to_string())
    })?;
    Ok(printed_keys(&printed))
}

async fn ordered(admin: &AdminState, change: AdditionChange) -> Result<ChangeDone, AdminRefusal> {
    let done = admin.change(change).await;
    let done = done.map_err(|_| AdminRefusal::ending())?;
    done.map_err(|refusal| match refusal {
        ChangeRefusal::Missing(why) => {
            AdminRefusal::new(StatusCode::NOT_FOUND, "not_found", masked(&why))
        }
        ChangeRefusal::Conflict(why) => {
            AdminRefusal::new(StatusCode::CONFLICT, "conflict", masked(&why))
        }
        ChangeRefusal::Invalid(wrong) => AdminRefusal {
            mistakes: Some(mistakes(&wrong)),
            ..AdminRefusal::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid_addition",
                "this has mistakes: nothing has changed",
            )
        },
    })
}
