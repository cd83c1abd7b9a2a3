//! Orders to the process: read the configuration again, end, log more or less.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use super::answer::Refused;
use super::body::Fields;
use super::snapshot::mistakes;
use super::state::Admin;
use crate::telemetry::level::{self, LevelError};

type Answer = Result<Response, Refused>;

pub(super) async fn reload(State(admin): State<Arc<Admin>>, fields: Fields) -> Answer {
    fields.finish()?;
    if admin.is_draining() {
        return Err(Refused::ending());
    }
    let reloaded = admin.reload().await.map_err(|_| Refused::ending())?;
    match reloaded.result {
        Ok(needs_restart) => {
            let generation = reloaded.generation;
            let body = json!({"generation": generation, "needs_restart": needs_restart});
            Ok(Json(body).into_response())
        }
        Err(wrong) => Err(Refused {
            mistakes: Some(mistakes(&wrong)),
            ..Refused::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid_configuration",
                "the configuration has mistakes: nothing has changed",
            )
        }),
    }
}

pub(super) async fn drain(State(admin): State<Arc<Admin>>, fields: Fields) -> Answer {
    fields.finish()?;
    // Twice is no reason to hurry: only a signal is.
    if !admin.is_draining() {
        // One that takes no more orders is ending already, which is what is wanted.
        let _ = admin.order_drain().await;
    }
    let body = Json(json!({"status": "draining"}));
    Ok((StatusCode::ACCEPTED, body).into_response())
}

pub(super) async fn log_level(State(_): State<Arc<Admin>>, mut fields: Fields) -> Answer {
    let text = fields.text("level")?;
    fields.finish()?;
    level::set(&text, "admin").map_err(|error| match error {
        LevelError::Invalid(_) => Refused::invalid(error.to_string()),
        LevelError::NoLog => Refused::new(StatusCode::CONFLICT, "no_log", error.to_string()),
    })?;
    let current = level::current().unwrap_or_default();
    Ok(Json(json!({"level": current})).into_response())
}
