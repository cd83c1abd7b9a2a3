//! Commands to the process: read the configuration again, end, log more or less.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use super::answer::AdminRefusal;
use super::body::BodyFields;
use super::snapshot::mistakes;
use super::state::AdminState;
use crate::telemetry::level::{self, LevelError};

type ProcessResult = Result<Response, AdminRefusal>;

pub(super) async fn reload(
    State(admin): State<Arc<AdminState>>,
    fields: BodyFields,
) -> ProcessResult {
    fields.finish()?;
    if admin.is_draining() {
        return Err(AdminRefusal::ending());
    }
    let reloaded = admin.reload().await.map_err(|_| AdminRefusal::ending())?;
    match reloaded.result {
        Ok(needs_restart) => {
            let generation = reloaded.generation;
            let body = json!({"generation": generation, "needs_restart": needs_restart});
            Ok(Json(body).into_response())
        }
        Err(wrong) => Err(AdminRefusal {
            mistakes: Some(mistakes(&wrong)),
            ..AdminRefusal::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid_configuration",
                "the configuration has mistakes: nothing has changed",
            )
        }),
    }
}

pub(super) async fn drain(
    State(admin): State<Arc<AdminState>>,
    fields: BodyFields,
) -> ProcessResult {
    fields.finish()?;
    // A second command changes nothing; only a second signal ends the process at once.
    if !admin.is_draining() {
        // A process that takes no more commands is ending already.
        let _ = admin.order_drain().await;
    }
    let body = Json(json!({"status": "draining"}));
    Ok((StatusCode::ACCEPTED, body).into_response())
}

pub(super) async fn log_level(
    State(_): State<Arc<AdminState>>,
    mut fields: BodyFields,
) -> ProcessResult {
    let text = fields.text("level")?;
    fields.finish()?;
    level::set(&text, "admin").map_err(|error| match error {
        LevelError::Invalid(_) => AdminRefusal::invalid(error.to_string()),
        LevelError::NoLog => AdminRefusal::new(StatusCode::CONFLICT, "no_log", error.to_string()),
    })?;
    let current = level::current().unwrap_or_default();
    Ok(Json(json!({"level": current})).into_response())
}
