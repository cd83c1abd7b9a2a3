//! What is kept for equal requests, and its purge.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::AdminRefusal;
use super::body::BodyFields;
use super::state::AdminState;
use crate::dispatch::FlightCounts;
use crate::store::responses::PurgeFilter;
use crate::store::responses::report::ServerReport;
use crate::telemetry::cache_totals::CacheTotals;

/// No answer is kept for longer.
const OLDEST: Duration = Duration::from_hours(30 * 24);

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CacheQuestion {
    /// Whether the entries in a server are counted, which goes through all of their names.
    #[serde(default)]
    count: bool,
}

pub(super) async fn stats(
    State(admin): State<Arc<AdminState>>,
    asked: Result<Query<CacheQuestion>, QueryRejection>,
) -> Result<Json<Value>, AdminRefusal> {
    let Query(asked) = asked.map_err(|error| AdminRefusal::invalid(error.body_text()))?;
    let dispatch = admin.dispatch();
    let caching = dispatch.cache.as_ref();
    let shared_calls = match caching.and_then(|cache| cache.flights()) {
        Some(flights) => {
            let FlightCounts { calls, requests } = flights.counts().await;
            json!({"calls": calls, "requests": requests})
        }
        None => Value::Null,
    };
    let Some(store) = caching.and_then(|cache| cache.store()) else {
        return Ok(Json(
            json!({"store": "none", "lookups": null, "memory": null, "server": null, "shared_calls": shared_calls}),
        ));
    };
    let held = store.stats();
    let memory = json!({"entries": held.entries, "bytes": held.bytes, "max_bytes": held.most});
    let report = store.server(asked.count).await;
    let kind = if report.is_some() { "valkey" } else { "memory" };
    let server = report.as_ref().map(server);
    let lookups = lookups(admin.recorder.cache());
    Ok(Json(
        json!({"store": kind, "lookups": lookups, "memory": memory, "server": server, "shared_calls": shared_calls}),
    ))
}

/// What came of looks, and what that saved.
fn lookups(totals: &CacheTotals) -> Value {
    let looks = totals.looks();
    let mut fields: Map<String, Value> = looks
        .map(|(word, count)| (word.to_owned(), json!(count)))
        .collect();
    fields.insert("saved_tokens".to_owned(), json!(totals.saved_tokens()));
    let cost = totals.saved_cost().to_string();
    fields.insert("saved_cost".to_owned(), json!(cost));
    Value::Object(fields)
}

fn server(report: &ServerReport) -> Value {
    let (counts, held) = (report.counts, report.held);
    json!({
        "address": report.address,
        "up": report.is_up,
        "trouble": report.trouble,
        "encrypted": report.is_encrypted,
        "entries": held.map(|held| held.entries),
        "bytes": held.map(|held| held.bytes),
        "complete": held.map(|held| held.is_complete),
        "found": counts.found,
        "missed": counts.missed,
        "unanswered": counts.unanswered,
        "broken": counts.broken,
        "foreign": counts.foreign,
        "written": counts.written,
        "unwritten": counts.unwritten,
        "connections": counts.link.connections,
        "timeouts": counts.link.timeouts,
        "failures": counts.link.failures,
    })
}

pub(super) async fn purge(
    State(admin): State<Arc<AdminState>>,
    mut fields: BodyFields,
) -> Result<Json<Value>, AdminRefusal> {
    let target = fields.text_if_any("target")?;
    let scope = fields.text_if_any("scope")?;
    let older = fields.time("older", OLDEST, "30 days")?;
    fields.finish()?;
    let wall = admin.clock.anchor().wall;
    let which = PurgeFilter {
        target,
        scope,
        before: older.map(|older| wall.saturating_sub(older).as_secs()),
    };
    let dispatch = admin.dispatch();
    let Some(store) = dispatch.cache.as_ref().and_then(|cache| cache.store()) else {
        let message = "no answers are kept: the configuration has no `cache`";
        return Err(AdminRefusal::new(StatusCode::CONFLICT, "no_cache", message));
    };
    match store.purge(which).await {
        Ok(purged) => Ok(Json(json!({"purged": purged}))),
        Err(fault) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            let message = fault.to_string();
            Err(AdminRefusal::new(status, "store_unreachable", message))
        }
    }
}
