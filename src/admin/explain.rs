//! Where a request would go now, and why not elsewhere.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

use super::answer::AdminRefusal;
use super::body::BodyFields;
use super::ranking;
use super::requests;
use super::spend;
use super::state::AdminState;
use super::upstreams::{ClockReading, seconds};
use crate::access::Client;
use crate::dispatch::{
    CandidateStanding, CostLook, Explanation, Fate, KeyExplanation, KeyTurn, Question,
    UpstreamExplanation, UpstreamSettings,
};
use crate::domain::catalog::capability::Capability;
use crate::domain::hints::Hints;
use crate::domain::refusal::{Reason, Refusal};
use crate::domain::rescue::{RescueMode, RescueObstacle};
use crate::domain::time::Time;
use crate::domain::unmet::Features;
use crate::wire::{self, request::RequestDoc};

pub(super) async fn explain(
    State(admin): State<Arc<AdminState>>,
    mut fields: BodyFields,
) -> Result<Response, AdminRefusal> {
    let target = fields.text_if_any("target")?;
    let tokens = fields.number("tokens")?;
    let output_tokens = fields.number("output_tokens")?;
    let stream = fields.flag("stream")?.unwrap_or(false);
    let seed = fields.number("seed")?;
    let session = fields.text_if_any("session")?;
    let hints = hints(fields.text_if_any("hints")?)?;
    let features = features(fields.text_if_any("has")?.as_deref())?;
    let client = match fields.text_if_any("client")? {
        Some(name) => Some(client(&admin, &name)?),
        None => None,
    };
    let headers = fields.texts("headers")?;
    let temperature = fields.decimal("temperature")?;
    let at = fields.moment("at")?;
    fields.finish()?;
    let question = Question {
        target,
        tokens,
        output_tokens,
        client,
        stream,
        features,
        temperature,
        at,
        headers,
        session,
        hints,
        seed,
    };
    let explained = admin.dispatch().explain(&question).await;
    let explained = explained.map_err(|error| {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        AdminRefusal::new(status, "router_down", error.to_string())
    })?;
    Ok(Json(shown(&explained, ClockReading::at(admin.clock))).into_response())
}

/// The fields of a request's body by which it narrows the choice, as JSON.
fn hints(text: Option<String>) -> Result<Option<Hints>, AdminRefusal> {
    let Some(text) = text else { return Ok(None) };
    let wrong = |error: String| AdminRefusal::invalid(format!("`hints`: {error}"));
    let doc = RequestDoc::parse(text.into()).map_err(|error| wrong(error.to_string()))?;
    let read = wire::hints::read(&doc).map_err(|error| wrong(error.to_string()))?;
    Ok(read.map(|read| read.hints))
}

/// Names of features with commas between them.
fn features(text: Option<&str>) -> Result<Features, AdminRefusal> {
    let names = text.unwrap_or_default().split([',', ' ']);
    let names = names.map(str::trim).filter(|name| !name.is_empty());
    let found = names.map(|name| {
        let mut all = Capability::ALL.into_iter();
        all.find(|feature| feature.name() == name).ok_or_else(|| {
            let known = Capability::ALL.map(Capability::name).join(", ");
            AdminRefusal::invalid(format!("`has` knows {known}"))
        })
    });
    found.collect()
}

fn client(admin: &AdminState, name: &str) -> Result<Arc<Client>, AdminRefusal> {
    let now = admin.now();
    let found = now.clients.iter().find(|client| **client.name() == *name);
    found.cloned().ok_or_else(|| {
        let name: String = name.chars().take(100).collect();
        let message = format!("no client is called `{name}`");
        AdminRefusal::new(StatusCode::NOT_FOUND, "not_found", message)
    })
}

fn shown(explained: &Explanation, look: ClockReading) -> Value {
    let name = |at: usize| {
        let line = explained.lines.get(at);
        line.map_or_else(String::new, |line| line.upstream.to_string())
    };
    let (answer, would_wait, code, detail) = match &explained.fate {
        Fate::Goes(at) => ("goes_now", json!(0), None, format!("goes to {}", name(*at))),
        Fate::Waits { until, at } => {
            let span = until.map(|until| until.since(explained.at));
            let detail = match span {
                Some(span) => format!("waits {} s for {}", seconds(span), name(*at)),
                None => format!("waits for a place at {}", name(*at)),
            };
            let millis = span.map(|span| seconds(span * 1000));
            ("waits", json!(millis), None, detail)
        }
        Fate::Refused { code, message, .. } => {
            ("refused", Value::Null, Some(*code), message.clone())
        }
    };
    let retry_after = match &explained.fate {
        Fate::Refused { retry_after, .. } => *retry_after,
        Fate::Goes(_) | Fate::Waits { .. } => None,
    };
    let lines = explained.lines.iter().enumerate();
    json!({
        "target": explained.target,
        "ranked_per_request": explained.ranked,
        "seed": explained.ranked.then_some(explained.seed),
        "ranking": explained.steps.iter().map(ranking::step).collect::<Vec<_>>(),
        "budgets": explained.cost.as_ref().map(|cost| cost.budgets.iter().map(spend::budget).collect::<Vec<_>>()),
        "steered_by": explained.cost.as_ref().and_then(|cost| cost.steered_by.as_deref()),
        "reserved": explained.cost.as_ref().and_then(|cost| cost.reserved).map(|reserved| reserved.to_string()),
        "answer": answer,
        "detail": detail,
        "would_wait_ms": would_wait,
        "code": code.map(|code| code.as_str()),
        "status": code.map(|code| code.status()),
        "retry_after_ms": retry_after.map(|span| seconds(span * 1000)),
        "candidates": lines.map(|(at, line)| candidate(at, line, explained.cost.as_ref(), look)).collect::<Vec<_>>(),
    })
}

fn candidate(
    at: usize,
    line: &UpstreamExplanation,
    cost: Option<&CostLook>,
    look: ClockReading,
) -> Value {
    let estimate = cost.and_then(|cost| *cost.estimates.get(at)?);
    let budget = cost.and_then(|cost| cost.closed.get(at)?.as_ref());
    let (verdict, refusal) = match line.standing {
        CandidateStanding::Chosen => ("chosen", None),
        CandidateStanding::Next => ("next", None),
        CandidateStanding::Excluded(refusal) => ("excluded", Some(refusal)),
    };
    let mut shown = out(verdict, refusal, look);
    if let Some(fields) = shown.as_object_mut() {
        let keys = line.keys.iter().map(|line| key(line, look));
        fields.insert("place".to_owned(), json!(at + 1));
        let estimate = estimate.map(|estimate| estimate.to_string());
        fields.insert("estimate".to_owned(), json!(estimate));
        fields.insert("upstream".to_owned(), json!(line.upstream.to_string()));
        let mut detail = detail(line, refusal);
        if let Some(budget) = budget {
            detail.push_str(": ");
            detail.push_str(&spend::in_words(budget));
        }
        fields.insert("detail".to_owned(), json!(detail));
        fields.insert("budget".to_owned(), json!(budget.map(spend::standing)));
        fields.insert("tags".to_owned(), json!(line.tags));
        let preference = line.preference.as_ref().map(requests::preference);
        fields.insert("key_affinity".to_owned(), json!(preference));
        fields.insert("keys".to_owned(), keys.collect());
        let UpstreamSettings {
            dialect,
            auth,
            responses,
            fetch,
            unsupported,
            rescue,
            rescue_obstacle,
        } = line.settings;
        for (name, word) in [
            ("dialect", Some(dialect)),
            ("auth", Some(auth)),
            ("responses", responses),
            ("fetch", Some(fetch.as_str())),
            ("unsupported", Some(unsupported.as_str())),
            ("rescue", rescue.map(RescueMode::as_str)),
            (
                "rescue_obstacle",
                rescue_obstacle.map(RescueObstacle::as_str),
            ),
        ] {
            fields.insert(name.to_owned(), json!(word));
        }
    }
    shown
}

fn key(line: &KeyExplanation, look: ClockReading) -> Value {
    let (verdict, refusal) = match line.turn {
        KeyTurn::First => ("first", None),
        KeyTurn::Ready => ("ready", None),
        KeyTurn::Excluded(refusal) => ("excluded", Some(refusal)),
    };
    let mut shown = out(verdict, refusal, look);
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("id".to_owned(), json!(line.id.to_string()));
        fields.insert("detail".to_owned(), json!(line.detail.as_deref()));
    }
    shown
}

/// A verdict with its reason, and until when it holds.
fn out(verdict: &str, refusal: Option<Refusal>, look: ClockReading) -> Value {
    let until = refusal.and_then(|refusal| refusal.ready_at);
    let until = until.filter(|until| *until != Time::NEVER);
    json!({
        "verdict": verdict,
        "reason": refusal.map(|refusal| refusal.reason.as_str()),
        "until": until.map(|until| look.wall(until)),
        "seconds_left": until.map(|until| seconds(until.until(look.now()))),
    })
}

/// The same for people, with what there is more to know.
fn detail(line: &UpstreamExplanation, refusal: Option<Refusal>) -> String {
    let mut text = match refusal {
        None => String::new(),
        Some(Refusal {
            reason: Reason::TooLarge,
            ..
        }) => {
            let window = line.context_window.unwrap_or_default();
            format!("the context window holds {window} tokens")
        }
        Some(Refusal {
            reason: Reason::NoToken,
            ..
        }) => {
            let said = line.keys.iter().find_map(|key| key.detail.as_deref());
            let said = said.map_or_else(String::new, |said| format!(": {said}"));
            format!("{}{said}", words(Reason::NoToken))
        }
        Some(refusal) => words(refusal.reason).to_owned(),
    };
    let mut add = |more: String| {
        if !text.is_empty() {
            text.push_str("; ");
        }
        text.push_str(&more);
    };
    if line.probe {
        add("the breaker is half-open: this request would be the probe".to_owned());
    }
    if let Some((share, admits)) = line.recovery {
        let this = if admits {
            "this one included"
        } else {
            "this one not"
        };
        add(format!("recovering: takes {:.0} %, {this}", share * 100.0));
    }
    text
}

fn words(reason: Reason) -> &'static str {
    match reason {
        Reason::Cooling => "cools down after a rate limit",
        Reason::Exhausted => "the quota is used up",
        Reason::Limited => "the configured limit per minute or day is used up",
        Reason::Paced => "a limit learned from the upstream is used up",
        Reason::Saturated => "as many requests are in flight as may be",
        Reason::FleetLost => "its limits are shared by a fleet whose server cannot be reached",
        Reason::Invalid => "the key was found invalid",
        Reason::NoToken => "no token could be fetched for the key",
        Reason::BreakerOpen => "the breaker is open, or its probe is under way",
        Reason::ModelGone => "the upstream does not know the model",
        Reason::NotOffered => "the upstream does not have what is asked for",
        Reason::Recovering => "takes a growing share after an outage",
        Reason::RetryBudget => "the retry budget is used up",
        Reason::Restarting => "its actor is being restarted",
        Reason::Quarantined => "its actor failed too often",
        Reason::Held => "an operator keeps it out",
        Reason::KeysTried | Reason::Tried => "was tried",
        Reason::Unsuitable => "is not what this attempt is to be",
        Reason::TooLarge => "the context window is too small",
        Reason::Budget => "a budget has no room for it",
        Reason::Unpriced => "its price is not known, which a budget refuses",
        Reason::Contended => "others wait for it already",
        Reason::NoKeys => "has no usable key",
        Reason::Unmet(unmet) => unmet.words(),
    }
}
