//! Orders to keys and providers. Each may be given twice; the answer is the state that it led to.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::answer::Refused;
use super::body::Fields;
use super::snapshot::models;
use super::state::Admin;
use super::upstreams::{self, Look};
use crate::actors::operator::{Down, KeyOrder, ProviderOrder};
use crate::actors::view::{Cells, KeyCell};
use crate::domain::ids::{KeyId, ProviderName};

type Answer = Result<Response, Refused>;
type By<T> = Result<Path<T>, PathRejection>;

/// What may be ordered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verb {
    Quarantine,
    Release,
    Cooldown,
}

/// `/keys/groq%231/…`
pub(super) async fn key(
    verb: Verb,
    State(admin): State<Arc<Admin>>,
    id: By<String>,
    fields: Fields,
) -> Answer {
    let Path(id) = id.map_err(|error| Refused::invalid(error.to_string()))?;
    let parsed = id.rsplit_once('#').and_then(|(provider, number)| {
        let index = number.parse().ok()?;
        Some((provider.to_owned(), index))
    });
    match parsed {
        Some((provider, number)) => order_key(verb, &admin, provider, number, fields).await,
        None => Err(unknown(&format!(
            "`{id}` is no key: write groq%231 for the key groq#1"
        ))),
    }
}

/// `/providers/groq/keys/1/…`
pub(super) async fn key_of_provider(
    verb: Verb,
    State(admin): State<Arc<Admin>>,
    path: By<(String, u32)>,
    fields: Fields,
) -> Answer {
    let Path((provider, number)) = path.map_err(|error| Refused::invalid(error.to_string()))?;
    order_key(verb, &admin, provider, number, fields).await
}

async fn order_key(
    verb: Verb,
    admin: &Admin,
    provider: String,
    index: u32,
    mut fields: Fields,
) -> Answer {
    let id = KeyId {
        provider: ProviderName::from(provider),
        index,
    };
    let cell = find(&admin.dispatcher.cells(), &id)?;
    let order = match verb {
        Verb::Quarantine => KeyOrder::Quarantine(fields.span()?),
        Verb::Release => KeyOrder::Release,
        Verb::Cooldown => {
            let span = fields.span()?;
            let span = span.ok_or_else(|| Refused::invalid("`for` is needed: how long to cool"))?;
            KeyOrder::Cool(fields.model()?, span)
        }
    };
    fields.finish()?;
    admin.operator.key(&id, order).await.map_err(down)?;
    let state = upstreams::key(&cell, Look::at(admin.clock));
    Ok(Json(state).into_response())
}

/// `/providers/groq/…`
pub(super) async fn provider(
    verb: Verb,
    State(admin): State<Arc<Admin>>,
    name: By<String>,
    mut fields: Fields,
) -> Answer {
    let Path(name) = name.map_err(|error| Refused::invalid(error.to_string()))?;
    let name = ProviderName::from(name);
    let order = match verb {
        Verb::Quarantine => ProviderOrder::Quarantine(fields.span()?),
        Verb::Release | Verb::Cooldown => ProviderOrder::Release,
    };
    fields.finish()?;
    let cells = admin.dispatcher.cells();
    let cells = cells.providers.get(&name);
    let cells = cells.ok_or_else(|| unknown(&format!("no provider is called `{name}`")))?;
    admin.operator.provider(&name, order).await.map_err(down)?;
    let models = models(&admin.now()).remove(&name).unwrap_or_default();
    let state = upstreams::provider(&name, cells, &models, Look::at(admin.clock));
    Ok(Json(state).into_response())
}

fn find(cells: &Cells, id: &KeyId) -> Result<Arc<KeyCell>, Refused> {
    let provider = cells.providers.get(&id.provider);
    let mut keys = provider.into_iter().flat_map(|cells| &cells.keys);
    let found = keys.find(|cell| cell.id == *id);
    found
        .cloned()
        .ok_or_else(|| unknown(&format!("there is no key `{id}`")))
}

fn unknown(message: &str) -> Refused {
    let message: String = message.chars().take(300).collect();
    Refused::new(StatusCode::NOT_FOUND, "not_found", message)
}

fn down(error: Down) -> Refused {
    Refused::new(StatusCode::CONFLICT, "actor_down", error.to_string())
}
