//! What policies rank by at this moment: the figures of every upstream, and how each target that is ranked would rank its
//! members.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::ranking;
use super::state::AdminState;
use super::upstreams::seconds;
use crate::dispatch::{CurrentFigures, Dispatch, USUAL_PROMPT};
use crate::domain::money::Pico;
use crate::domain::price::PriceSource;
use crate::domain::price_sheet::PriceSheet;
use crate::domain::target::Target;

/// So many targets are told, each with so many members: there may be thousands, and somebody looks every few seconds.
const MOST: usize = 200;
/// So many upstreams are told: lists of models have thousands.
const MOST_UPSTREAMS: usize = 2000;

pub(super) async fn routing(State(admin): State<Arc<AdminState>>) -> Response {
    let dispatch = admin.dispatch();
    let all = dispatch.ranked_targets();
    let mut targets = Vec::new();
    // Those that contain others come last in the forest; people look at them first.
    for one in all.iter().rev().take(MOST) {
        targets.push(target(&dispatch, one));
        // A ranking of many members takes its time: requests on the same thread come in between.
        tokio::task::yield_now().await;
    }
    let (figures, more) = dispatch.figures(MOST_UPSTREAMS);
    let upstreams: Vec<Value> = figures.iter().map(upstream).collect();
    let body = json!({
        "prompt_tokens": USUAL_PROMPT,
        "targets": targets,
        "more_targets": all.len().saturating_sub(MOST),
        "upstreams": upstreams,
        "more_upstreams": more,
    });
    Json(body).into_response()
}

fn target(dispatch: &Dispatch, target: &Target) -> Value {
    let step = dispatch.usual_ranking(&target.name, 0);
    let mut members = step.map_or_else(Vec::new, |step| step.members);
    let more = members.len().saturating_sub(MOST);
    members.truncate(MOST);
    let affinity = target.affinity.map(|affinity| {
        json!({
            "by": affinity.by.as_str(),
            "bound": affinity.bound,
            "ttl_seconds": affinity.ttl.as_secs(),
        })
    });
    json!({
        "name": *target.name,
        "policy": target.policy.to_string(),
        "affinity": affinity,
        "members": members.iter().map(ranking::member).collect::<Vec<_>>(),
        "more_members": more,
    })
}

fn upstream(known: &CurrentFigures) -> Value {
    let millis = |span: Option<Duration>| span.map(|span| seconds(span * 1000));
    let used = known.used.map(|used| (used * 1e4).round() / 1e4);
    json!({
        "upstream": known.upstream.to_string(),
        "pending": known.pending,
        "provider_in_flight": known.in_flight,
        "stream_ms": millis(known.stream),
        "whole_ms": millis(known.whole),
        "per_token_ms": millis(known.per_token),
        "used_share": used,
        "expected_output_tokens": known.expected_output,
        "context_window": known.context_window,
        "price": known.price.as_ref().map(|(sheet, source)| price(sheet, source)),
    })
}

/// Per million tokens, as decimals; `more` where the sheet has other rates as well.
fn price(sheet: &PriceSheet, source: &PriceSource) -> Value {
    let rates = sheet.rates;
    let mut price = Map::new();
    for (name, rate) in [
        ("input", rates.input),
        ("output", rates.output),
        ("cached_input", rates.cache_read()),
        ("cache_write", rates.cache_write),
    ] {
        price.insert(
            name.to_owned(),
            json!(rate.map(|rate| Pico::decimal(rate, 6))),
        );
    }
    let more = !sheet.above.is_empty() || !sheet.tiers.is_empty() || !sheet.off_peak.is_empty();
    price.insert("more".to_owned(), json!(more));
    price.insert("source".to_owned(), json!(source.as_str()));
    Value::Object(price)
}
