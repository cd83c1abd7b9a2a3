//! Commands to keys and providers. Each is idempotent; the answer is the state that it led to.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::answer::AdminRefusal;
use super::body::BodyFields;
use super::snapshot::models;
use super::state::AdminState;
use super::upstreams::{self, ClockReading};
use crate::actors::command_sender::{ActorDown, KeyCommand, ProviderCommand};
use crate::actors::status::{KeyStatus, TreeStatus};
use crate::domain::ids::{KeyId, ProviderName};

type CommandResult = Result<Response, AdminRefusal>;
type By<T> = Result<Path<T>, PathRejection>;

/// The commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verb {
    Hold,
    Release,
    Cooldown,
}

/// Commands to a key: `/keys/groq%231/…`
pub(super) async fn key(
    verb: Verb,
    State(admin): State<Arc<AdminState>>,
    id: By<String>,
    fields: BodyFields,
) -> CommandResult {
    let Path(id) = id.map_err(|error| AdminRefusal::invalid(error.to_string()))?;
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
    State(admin): State<Arc<AdminState>>,
    path: By<(String, u32)>,
    fields: BodyFields,
) -> CommandResult {
    let Path((provider, number)) =
        path.map_err(|error| AdminRefusal::invalid(error.to_string()))?;
    order_key(verb, &admin, provider, number, fields).await
}

async fn order_key(
    verb: Verb,
    admin: &AdminState,
    provider: String,
    index: u32,
    mut fields: BodyFields,
) -> CommandResult {
    let id = KeyId {
        provider: ProviderName::from(provider),
        index,
    };
    let status = find(&admin.dispatcher.cells(), &id)?;
    let order = match verb {
        Verb::Hold => KeyCommand::Hold(fields.span()?),
        Verb::Release => KeyCommand::Release,
        Verb::Cooldown => {
            let span = fields.span()?;
            let span =
                span.ok_or_else(|| AdminRefusal::invalid("`for` is needed: how long to cool"))?;
            KeyCommand::Cool(fields.model()?, span)
        }
    };
    fields.finish()?;
    admin.operator.key(&id, order).await.map_err(down)?;
    let state = upstreams::key(&status, ClockReading::at(admin.clock));
    Ok(Json(state).into_response())
}

/// Commands to a provider: `/providers/groq/…`
pub(super) async fn provider(
    verb: Verb,
    State(admin): State<Arc<AdminState>>,
    name: By<String>,
    mut fields: BodyFields,
) -> CommandResult {
    let Path(name) = name.map_err(|error| AdminRefusal::invalid(error.to_string()))?;
    let name = ProviderName::from(name);
    let order = match verb {
        Verb::Hold => ProviderCommand::Hold(fields.span()?),
        Verb::Release | Verb::Cooldown => ProviderCommand::Release,
    };
    fields.finish()?;
    let cells = admin.dispatcher.cells();
    let cells = cells.providers.get(&name);
    let cells = cells.ok_or_else(|| unknown(&format!("no provider is called `{name}`")))?;
    admin.operator.provider(&name, order).await.map_err(down)?;
    let models = models(&admin.now()).remove(&name).unwrap_or_default();
    let state = upstreams::provider(&name, cells, &models, ClockReading::at(admin.clock));
    Ok(Json(state).into_response())
}

fn find(cells: &TreeStatus, id: &KeyId) -> Result<Arc<KeyStatus>, AdminRefusal> {
    let provider = cells.providers.get(&id.provider);
    let mut keys = provider.into_iter().flat_map(|cells| &cells.keys);
    let found = keys.find(|status| status.id == *id);
    found
        .cloned()
        .ok_or_else(|| unknown(&format!("there is no key `{id}`")))
}

fn unknown(message: &str) -> AdminRefusal {
    let message: String = message.chars().take(300).collect();
    AdminRefusal::new(StatusCode::NOT_FOUND, "not_found", message)
}

fn down(error: ActorDown) -> AdminRefusal {
    AdminRefusal::new(StatusCode::CONFLICT, "actor_down", error.to_string())
}
