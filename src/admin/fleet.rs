//! What the process knows of its fleet: who is there, how the store is, what is shared.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::state::AdminState;
use super::upstreams::{ClockReading, life, seconds};
use crate::actors::fleet_status::KnownFact;
use crate::actors::message::fleet::FleetMember;
use crate::domain::fleet::LimitHolder;
use crate::domain::fleet::money;
use crate::domain::fleet::quotas::{ClaimView, QuotaView};
use crate::domain::time::Time;

pub(super) async fn fleet(State(admin): State<Arc<AdminState>>) -> Json<Value> {
    let cells = admin.dispatcher.cells();
    let Some(status) = &cells.fleet else {
        return Json(json!({"fleet": null}));
    };
    let look = ClockReading::at(admin.clock());
    let view = status.view();
    let nodes = view.nodes.iter();
    let nodes = nodes.map(|node| json!({"name": node.as_str(), "self": *node == status.node}));
    let facts = view.facts.iter().map(|known| fact(known, look));
    let limits = view.limits.iter().map(|quota| limit(quota, look));
    let budgets = view.budgets.iter().map(budget);
    let counts = view.counts;
    Json(json!({"fleet": {
        "name": status.name,
        "node": status.node.as_str(),
        "server": status.server,
        "up": view.is_up,
        "since": look.wall(view.since),
        "trouble": view.trouble,
        "without_scripts": view.scriptless,
        "lag_seconds": view.lag.map(seconds),
        "heard_seconds_ago": view.heard_at.map(|at| seconds(look.now().since(at))),
        "life": life(&status.life),
        "restarts": status.life.restarts(),
        "nodes": nodes.collect::<Vec<_>>(),
        "facts": facts.collect::<Vec<_>>(),
        "limits": limits.collect::<Vec<_>>(),
        "budgets": budgets.collect::<Vec<_>>(),
        "unsent": view.unsent,
        "sent": counts.sent,
        "heard": counts.heard,
        "ignored": counts.ignored,
    }}))
}

/// A limit that is shared: what this process may use of it.
fn limit(quota: &QuotaView, look: ClockReading) -> Value {
    let (now, until) = (look.now(), quota.own.until);
    let of = quota.holders.first();
    let holders = quota.holders.iter().map(ToString::to_string);
    let runs = now < until && until != Time::NEVER;
    json!({
        "of": of.map(LimitHolder::kind),
        "names": holders.collect::<Vec<_>>(),
        "limit": quota.kind.word(),
        "whole": quota.limit,
        "share": quota.own.amount(now),
        "used": quota.used,
        "processes": quota.nodes,
        "seconds_left": if runs { Some(seconds(until.since(now))) } else { None },
    })
}

/// A budget that is shared: what this process has claimed of it.
fn budget(claim: &ClaimView) -> Value {
    let used = &claim.used;
    let owner = &used.meter.scope.owner;
    let amount = |units: u64| money::of_units(units).to_string();
    json!({
        "of": owner.kind(),
        "name": owner.name(),
        "targets": &used.meter.scope.targets[..],
        "every": used.meter.period.word(),
        "timezone": &*used.meter.zone,
        "window": used.window,
        "amount": used.amount.map(amount),
        "claimed": amount(used.has),
        "spent": amount(used.used),
        "spent_by_all": claim.given.map(|given| amount(given.spent)),
        "left": claim.given.map(|given| amount(given.left)),
    })
}

fn fact(known: &KnownFact, look: ClockReading) -> Value {
    let (key, provider) = match &known.member {
        Some(FleetMember::Key(key)) => (Some(key.to_string()), Some(key.provider.to_string())),
        Some(FleetMember::Provider(provider)) => (None, Some(provider.to_string())),
        None => (None, None),
    };
    let running = look.now() < known.until;
    json!({
        "kind": known.kind.word(),
        "key": key,
        "provider": provider,
        "model": known.model.as_ref().map(|model| model.as_str()),
        "reason": known.reason.word(),
        "node": known.node.as_str(),
        "generation": known.generation,
        "seconds_left": if running { Some(seconds(known.until.since(look.now()))) } else { None },
    })
}
