//! What the process knows of its fleet: who is there, how the store is, what is shared.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::state::AdminState;
use super::upstreams::{ClockReading, life, seconds};
use crate::actors::fleet_status::KnownFact;
use crate::actors::message::fleet::FleetMember;

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
        "unsent": view.unsent,
        "sent": counts.sent,
        "heard": counts.heard,
        "ignored": counts.ignored,
    }}))
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
