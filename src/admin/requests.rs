//! The latest requests: what each asked for, where it could go, where it went and why, and what became of it.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::AdminRefusal;
use super::state::AdminState;
use super::upstreams::ClockReading;
use super::{ranking, spend};
use crate::domain::attempt_record::AttemptRecord;
use crate::domain::attempts;
use crate::domain::chain::Chain;
use crate::domain::cost::Cost;
use crate::domain::key_preference::KeyPreference;
use crate::domain::money::Pico;
use crate::domain::refusal::{Reason, Refusal};
use crate::domain::rescue::RescueNote;
use crate::domain::routing_note::{AffinityOutcome, RoutingNote};
use crate::domain::time::Time;
use crate::telemetry::recent::NumberedRequest;
use crate::telemetry::request_record::RequestRecord;

/// The number of requests that are listed without `limit`.
const USUAL: usize = 100;
/// The largest `limit`.
const MOST: usize = 1000;

/// The parameters of the list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RequestFilter {
    limit: Option<usize>,
    before: Option<u64>,
    #[serde(default)]
    outcome: Which,
    target: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Which {
    #[default]
    All,
    Failed,
}

/// `/requests`: the latest first.
pub(super) async fn list(
    State(admin): State<Arc<AdminState>>,
    wanted: Result<Query<RequestFilter>, QueryRejection>,
) -> Result<Response, AdminRefusal> {
    let Query(wanted) = wanted.map_err(|error| AdminRefusal::invalid(error.body_text()))?;
    let limit = wanted.limit.unwrap_or(USUAL);
    if limit == 0 || limit > MOST {
        return Err(AdminRefusal::invalid(format!("`limit` is 1 to {MOST}")));
    }
    let (ring, look) = (admin.recorder.recent(), ClockReading::at(admin.clock));
    let fits = |one: &Arc<NumberedRequest>| {
        let request = &one.record;
        let good = wanted.outcome == Which::All || request.is_failed();
        good && wanted
            .target
            .as_ref()
            .is_none_or(|it| *it == request.target)
    };
    let found = ring.before(wanted.before.unwrap_or(u64::MAX)).filter(fits);
    let requests = found.take(limit).map(|one| summary(&one, look));
    let body = json!({
        "kept": ring.capacity(),
        "latest": ring.latest(),
        "requests": requests.collect::<Vec<_>>(),
    });
    Ok(Json(body).into_response())
}

/// `/requests/{id}`: by its number, or by its id. A caller that chooses numbers as ids hides no other request.
pub(super) async fn one(
    State(admin): State<Arc<AdminState>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, AdminRefusal> {
    let Path(id) = id.map_err(|error| AdminRefusal::invalid(error.to_string()))?;
    let ring = admin.recorder.recent();
    let numbered = || ring.numbered(id.parse().ok()?);
    let Some(one) = numbered().or_else(|| ring.named(&id)) else {
        let kept = ring.capacity();
        let message = format!(
            "no request `{id}` is kept: only the latest {kept} are (telemetry.recent_requests)"
        );
        return Err(AdminRefusal::new(
            StatusCode::NOT_FOUND,
            "not_found",
            message,
        ));
    };
    let look = ClockReading::at(admin.clock);
    let mut whole = summary(&one, look);
    whole.extend(attempts_of(&one.record, look));
    Ok(Json(Value::Object(whole)).into_response())
}

fn summary(one: &NumberedRequest, look: ClockReading) -> Map<String, Value> {
    let request = &one.record;
    let usage = request.usage.unwrap_or_default();
    let last = request.attempts.last();
    let cost = request.cost();
    object(json!({
        "number": one.number,
        "id": *request.id,
        "at": look.wall(request.started),
        "client": request.client.as_deref(),
        "operation": request.operation.path().get(1..),
        "stream": request.stream,
        "target": request.target,
        "outcome": request.outcome,
        "status": request.status,
        "upstream": last.map(|record| record.upstream.to_string()),
        "key": last.map(|record| record.key.to_string()),
        "attempts": request.attempts.len(),
        "total_ms": millis(request.total()),
        "first_token_ms": since(request, request.first_token),
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cost": cost.map(|(amount, _)| amount.to_string()),
        "cost_kind": cost.map(|(_, kind)| kind.as_str()),
        "cache": request.lookup.as_str(),
        "saved": request.saved.filter(|saved| saved.cost > Pico::ZERO).map(|saved| saved.cost.to_string()),
        "trace_id": request.trace.as_ref().map(|trace| trace.trace_id.to_string()),
    }))
}

fn attempts_of(request: &RequestRecord, look: ClockReading) -> Map<String, Value> {
    let names = |chain: &Chain| -> Vec<String> {
        let upstreams = chain.upstreams.iter();
        upstreams.map(ToString::to_string).collect()
    };
    let tries = request
        .attempts
        .iter()
        .map(|record| attempt(request, record, look));
    object(json!({
        "chain": request.chain.as_deref().map(names),
        "tries": tries.collect::<Vec<_>>(),
        "routing": request.routing.as_ref().map(|note| routing(request, note)),
        "rescue_obstacles": request.rescue_obstacles.iter().map(|note| obstacle(request, note)).collect::<Vec<_>>(),
        "refused": request.refused.as_ref().map(|(at, refused)| refusal(request, *at, refused, look)),
    }))
}

/// Why it went where it went.
fn routing(request: &RequestRecord, note: &RoutingNote) -> Value {
    let upstreams = request.chain.as_ref().map(|chain| &chain.upstreams[..]);
    let left_out = note.left_out.iter().filter_map(|(place, reason)| {
        let upstream = upstreams?.get(*place)?;
        Some(json!({"upstream": upstream.to_string(), "reason": reason.as_str()}))
    });
    let mut affinities = note.steps().iter();
    let affinity = affinities.find_map(|step| step.affinity.as_ref());
    let budget = note.budget.as_ref().map(|budget| {
        json!({
            "reserved": budget.reserved.to_string(),
            "soft": budget.soft,
            "steered_by": budget.steered_by,
            "tightest": budget.tightest.as_ref().map(spend::standing),
            "refused_by": budget.refused_by.as_ref().map(spend::standing),
        })
    });
    json!({
        "seed": note.ranking.as_ref().map(|ranking| ranking.seed),
        "ranking": note.steps().iter().map(ranking::step).collect::<Vec<_>>(),
        "place": request.ranked_place(),
        "affinity": affinity.map(|affinity| json!({
            "home": *affinity.home,
            "outcome": request.affinity().map(AffinityOutcome::as_str),
            "warm": affinity.warm,
        })),
        "left_out": left_out.collect::<Vec<_>>(),
        "budget": budget,
    })
}

fn attempt(request: &RequestRecord, record: &AttemptRecord, look: ClockReading) -> Value {
    json!({
        "upstream": record.upstream.to_string(),
        "key": record.key.to_string(),
        "attempt_reason": record.reason.as_str(),
        "passed_over": declined(request, &record.passed_over, look),
        "asked_ms": since(request, Some(record.asked)),
        "waited_ms": millis(record.started.since(record.asked)),
        "started_ms": since(request, Some(record.started)),
        "first_byte_ms": since(request, record.first_byte),
        "first_token_ms": since(request, record.first_token),
        "ended_ms": since(request, Some(record.ended)),
        "outcome": record.class.as_str(),
        "status": record.status,
        "detail": record.detail.as_deref(),
        "cost": record.cost.map(cost),
        "key_affinity": record.preference.as_deref().map(|it| {
            let outcome = it.outcome(&record.key);
            let mut shown = preference(it);
            shown["outcome"] = json!(outcome.as_str());
            shown
        }),
    })
}

/// Where a conversation belongs among the keys of a provider.
pub(super) fn preference(preference: &KeyPreference) -> Value {
    json!({
        "home": preference.home.to_string(),
        "account": preference.account.as_deref(),
        "over_bound": preference.over_bound,
        "reason": preference.out.map(Reason::as_str),
    })
}

/// What an attempt cost, by each figure that is known, as decimals.
fn cost(cost: Cost) -> Value {
    let decimal = |amount: Option<Pico>| amount.map(|amount| amount.to_string());
    let notes = [
        (cost.flags.no_hour_price, "no_hour_price"),
        (cost.flags.no_tier_price, "no_tier_price"),
        (cost.flags.no_search_price, "no_search_price"),
        (cost.flags.differs, "differs"),
    ];
    let notes = notes.into_iter().filter(|(is_on, _)| *is_on);
    json!({
        "amount": cost.amount.to_string(),
        "kind": cost.kind.as_str(),
        "priced": decimal(cost.priced),
        "told": decimal(cost.told),
        "notes": notes.map(|(_, note)| note).collect::<Vec<_>>(),
    })
}

/// What kept its answer from being rescued.
fn obstacle(request: &RequestRecord, note: &RescueNote) -> Value {
    json!({
        "at_ms": since(request, Some(note.at)),
        "reason": note.obstacle.as_str(),
        "upstream": note.upstream.as_ref().map(ToString::to_string),
        "detail": note.obstacle.words(),
    })
}

fn refusal(
    request: &RequestRecord,
    at: Time,
    refused: &attempts::LeaseRefused,
    look: ClockReading,
) -> Value {
    json!({
        "at_ms": since(request, Some(at)),
        "cause": refused.cause.as_str(),
        "declined": declined(request, &refused.declined, look),
    })
}

/// Candidates that could not take it, and why.
fn declined(request: &RequestRecord, all: &[(usize, Refusal)], look: ClockReading) -> Vec<Value> {
    let upstreams = request.chain.as_ref().map(|chain| &chain.upstreams[..]);
    let named = all.iter().filter_map(|(place, refusal)| {
        let upstream = upstreams?.get(*place)?;
        let until = refusal.ready_at.filter(|at| *at != Time::NEVER);
        Some(json!({
            "upstream": upstream.to_string(),
            "reason": refusal.reason.as_str(),
            "until": until.map(|at| look.wall(at)),
        }))
    });
    named.collect()
}

/// Milliseconds since the request arrived.
fn since(request: &RequestRecord, moment: Option<Time>) -> Option<f64> {
    moment.map(|moment| millis(moment.since(request.started)))
}

fn millis(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e6).round() / 1e3
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
