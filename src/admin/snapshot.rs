//! The whole state of the process, as of one moment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::mistake::Mistake;
use super::state::{AdminState, CurrentConfig, LastReload};
use super::upstreams::{ClockReading, life, provider, seconds};
use crate::access::Client;
use crate::domain::chain::Chain;
use crate::domain::ids::{ModelName, ProviderName};
use crate::domain::policy::Policy;
use crate::domain::time::Time;
use crate::telemetry::level;

pub(super) async fn state(State(admin): State<Arc<AdminState>>) -> Response {
    Json(admin.snapshot()).into_response()
}

impl AdminState {
    /// The whole state of the process, as `GET /admin/v1/state` answers it.
    pub fn snapshot(&self) -> Value {
        whole(self)
    }
}

fn whole(admin: &AdminState) -> Value {
    let (look, now) = (ClockReading::at(admin.clock), admin.now());
    let cells = admin.dispatcher.cells();
    let models = models(&now);
    let none = BTreeSet::new();
    let providers = cells.providers.iter().map(|(name, cells)| {
        let models = models.get(name).unwrap_or(&none);
        provider(name, cells, models, look)
    });
    json!({
        "process": process(admin, &now, look),
        "supervisor": {
            "life": life(&cells.supervisor),
            "restarts": cells.supervisor.restarts(),
        },
        "router": {
            "life": life(&cells.router.life),
            "restarts": cells.router.life.restarts(),
            "generation": now.generation,
            "waiting": cells.router.waiting(),
        },
        "providers": providers.collect::<Vec<_>>(),
        "virtual": now.targets.chains().map(|it| chain(&now, it)).collect::<Vec<_>>(),
        "default": now.targets.default_chain().map(|it| chain(&now, it)),
        "clients": now.clients.iter().map(|it| client(it)).collect::<Vec<_>>(),
    })
}

fn process(admin: &AdminState, now: &CurrentConfig, look: ClockReading) -> Value {
    let dispatch = admin.dispatch();
    let buffers = &dispatch.buffers;
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "started": look.wall(Time::ZERO),
        "uptime_seconds": seconds(look.now().since(Time::ZERO)),
        "draining": admin.is_draining(),
        "in_flight": admin.in_flight(),
        "buffered": {"bytes": buffers.held(), "limit": buffers.most()},
        "generation": now.generation,
        "files": now.files,
        "log_level": level::current(),
        "last_reload": admin.last_reload().map(|last| last_reload(&last, look)),
    })
}

fn last_reload(last: &LastReload, look: ClockReading) -> Value {
    let (needs_restart, wrong) = match &last.reloaded.result {
        Ok(needs_restart) => (needs_restart.as_slice(), None),
        Err(wrong) => (&[][..], Some(wrong.as_slice())),
    };
    json!({
        "at": look.wall(last.at),
        "trigger": last.trigger,
        "result": if wrong.is_some() { "refused" } else { "done" },
        "generation": last.reloaded.generation,
        "needs_restart": needs_restart,
        "mistakes": mistakes(wrong.unwrap_or_default()),
    })
}

/// What is wrong with a configuration.
pub(super) fn mistakes(all: &[Mistake]) -> Value {
    let mistakes = all
        .iter()
        .map(|it| json!({"place": it.place, "message": it.message, "suggestion": it.suggestion}));
    mistakes.collect()
}

/// The models of each provider that the configuration names.
pub(super) fn models(now: &CurrentConfig) -> BTreeMap<ProviderName, BTreeSet<ModelName>> {
    let mut models: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    let listed = now.targets.listed().iter();
    for upstream in listed.flat_map(|line| &line.chain.upstreams) {
        let of_provider = models.entry(upstream.provider.clone()).or_default();
        of_provider.insert(upstream.model.clone());
    }
    models
}

fn chain(now: &CurrentConfig, chain: &Chain) -> Value {
    let upstreams = chain.upstreams.iter().map(ToString::to_string);
    let entry = now.targets.configured(&chain.target);
    let members = entry.into_iter().flat_map(|entry| &entry.upstreams);
    let members = members.map(|member| json!({"name": member.name, "weight": member.weight}));
    json!({
        "name": *chain.target,
        "upstreams": upstreams.collect::<Vec<_>>(),
        "policy": entry.map_or_else(Policy::default, |entry| entry.policy.clone()).to_string(),
        "members": members.collect::<Vec<_>>(),
    })
}

fn client(client: &Client) -> Value {
    let policy = client.policy();
    let limits = &policy.limits;
    json!({
        "name": *policy.name,
        "in_flight": client.in_flight(),
        "priority": policy.priority.as_str(),
        "allow": policy.allow.patterns(),
        "limits": {
            "rpm": limits.rpm,
            "tpm": limits.tpm,
            "max_in_flight": limits.max_in_flight,
        },
    })
}
