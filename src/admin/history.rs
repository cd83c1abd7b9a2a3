//! The last quarter of an hour as numbers, and where the last minute went.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::state::AdminState;
use super::upstreams::ClockReading;
use crate::telemetry::history::{Flow, Point, STEP};

pub(super) async fn history(State(admin): State<Arc<AdminState>>) -> Response {
    let look = ClockReading::at(admin.clock);
    let (history, now) = (admin.recorder.history(), look.now());
    let points = history.points(now);
    let flows = history.flows(now);
    Json(json!({
        "step_seconds": STEP.as_secs(),
        "points": points.iter().map(|it| point(it, look)).collect::<Vec<_>>(),
        "flows": flows.iter().map(flow).collect::<Vec<_>>(),
    }))
    .into_response()
}

fn point(point: &Point, look: ClockReading) -> Value {
    let [p50, p95, p99] = millis(point.total);
    let [first_p50, first_p95, _] = millis(point.first_token);
    json!({
        "at": look.wall(point.at),
        "requests": point.requests,
        "failed": point.failed,
        "failovers": point.failovers,
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "first_token_p50_ms": first_p50,
        "first_token_p95_ms": first_p95,
    })
}

/// In milliseconds, to a hundredth.
fn millis(times: Option<[Duration; 3]>) -> [Option<f64>; 3] {
    let shown = |time: Duration| (time.as_secs_f64() * 100_000.0).round() / 100.0;
    times.map_or([None; 3], |times| times.map(|time| Some(shown(time))))
}

fn flow(flow: &Flow) -> Value {
    json!({
        "target": flow.target,
        "upstream": flow.upstream,
        "attempts": flow.attempts,
        "failed": flow.failed,
    })
}
