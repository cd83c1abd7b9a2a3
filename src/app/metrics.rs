//! Connects metrics to the other parts: names that may become labels, and the state on a scrape.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use http::Uri;

use super::error::StartError;
use crate::access::Clients;
use crate::actors::status::{FleetStatus, KeyStatus, Life, LifeStatus, TreeStatus};
use crate::admin::AdminState;
use crate::api::Api;
use crate::config::{Config, ProviderConfig};
use crate::dispatch::Dispatch;
use crate::domain::condition::BreakerCondition;
use crate::domain::fleet::{LimitHolder, money};
use crate::domain::hash_map::HashMap;
use crate::domain::ids::{ProviderName, Upstream};
use crate::domain::time::Time;
use crate::telemetry::metrics::specs::Sizes;
use crate::telemetry::metrics::{
    self, ActorGauges, BudgetGauges, CacheGauges, ConfiguredNames, FleetGauges, KeyGauges,
    LimitGauges, Metrics, StateGauges, StateObserver, UpstreamGauges,
};
use crate::telemetry::names;
use crate::telemetry::recorder::Recorder;
use crate::telemetry::traces::Traces;

/// How long the last push may take at the end.
const LAST_PUSH: Duration = Duration::from_secs(5);

/// Creates the metrics of a configuration.
pub(super) fn start(config: &Config) -> Result<Metrics, StartError> {
    let named = named(config);
    let sizes = Sizes {
        upstreams: named.upstreams.len() + named.providers.len(),
        clients: named.clients.len(),
        targets: named.targets.len(),
        keys: config.providers.iter().map(|it| it.keys.len()).sum(),
    };
    let metrics = Metrics::new(&config.telemetry, sizes)?;
    metrics.name(&named);
    Ok(metrics)
}

/// What of this configuration may become a label.
pub(super) fn named(config: &Config) -> ConfiguredNames {
    let listed = config.targets.listed();
    let chains = listed.iter().map(|line| &line.chain);
    let clients = config.clients.iter();
    let providers = config.providers.iter();
    let upstreams: BTreeSet<Upstream> = chains
        .clone()
        .flat_map(|chain| chain.upstreams.iter().cloned())
        .chain(providers.clone().flat_map(priced))
        .collect();
    ConfiguredNames {
        targets: chains
            .clone()
            .map(|chain| Arc::clone(&chain.target))
            .chain(providers.clone().map(|it| Arc::from(it.name.as_str())))
            .collect(),
        clients: clients
            .map(|client| Arc::clone(&client.policy.name))
            .collect(),
        upstreams: upstreams.into_iter().collect(),
        providers: providers
            .map(|provider| (provider.name.clone(), in_conventions(provider)))
            .collect(),
    }
}

/// Models with a price of their own are counted apart, also where no target leads to them.
fn priced(provider: &ProviderConfig) -> impl Iterator<Item = Upstream> {
    let models = provider.prices.models.iter();
    models.map(|(model, _)| Upstream {
        provider: provider.name.clone(),
        model: model.clone(),
    })
}

/// How the conventions of generative AI call a provider; where they have no name for it, it is its own.
fn in_conventions(provider: &ProviderConfig) -> metrics::ProviderLabels {
    let name = match provider.kind.as_str() {
        "" => provider.name.as_str(),
        kind => names::provider(kind),
    };
    let uri: Option<Uri> = provider.base_url.parse().ok();
    metrics::ProviderLabels {
        name: Arc::from(name),
        address: uri
            .as_ref()
            .and_then(Uri::host)
            .map(|host| Arc::from(host.trim_matches(['[', ']']))),
    }
}

/// Reads the state of the parts, by weak references: the parts own what owns this.
pub(super) fn look(api: &Arc<Api>, admin: &Arc<AdminState>) -> StateObserver {
    let (api, admin) = (Arc::downgrade(api), Arc::downgrade(admin));
    Box::new(move || state(&api, &admin).unwrap_or_default())
}

fn state(api: &Weak<Api>, admin: &Weak<AdminState>) -> Option<StateGauges> {
    let (api, admin) = (api.upgrade()?, admin.upgrade()?);
    let serving = api.serving();
    let now = admin.clock().now();
    let dispatch = &serving.dispatch;
    let cells = dispatch.tree.cells();
    let clients = serving.clients.as_ref().map(Clients::all);
    let clients = clients.unwrap_or_default().into_iter();
    let mut upstreams = HashMap::default();
    for line in dispatch.targets.listed() {
        for upstream in &line.chain.upstreams {
            upstreams
                .entry(upstream)
                .or_insert_with(|| state_of_upstream(upstream, &cells, now));
        }
    }
    let keys = cells.providers.iter().flat_map(|(name, cells)| {
        let keys = cells.keys.iter();
        keys.map(move |status| state_of_key(name, status, now))
    });
    Some(StateGauges {
        in_flight: api.admission.inside(),
        buffered: (dispatch.buffers.held(), dispatch.buffers.most()),
        waiting: cells.router.waiting(),
        draining: admin.is_draining(),
        generation: dispatch.generation,
        clients: clients
            .map(|client| (Arc::clone(client.name()), client.in_flight()))
            .collect(),
        budgets: budgets(dispatch, &admin),
        cache: cache(dispatch),
        fleet: cells.fleet.as_deref().map(|status| fleet(status, now)),
        actors: actors(&cells),
        upstreams: upstreams.into_values().collect(),
        keys: keys.collect(),
        spans: dispatch.recorder.traces().map(Traces::counts),
    })
}

/// Figures of bytes and entries stay below what an `f64` has exactly.
#[expect(clippy::cast_precision_loss, reason = "counts of things in memory")]
fn cache(dispatch: &Dispatch) -> Option<CacheGauges> {
    let stats = dispatch.cache.as_ref()?.store()?.stats();
    Some(CacheGauges {
        entries: stats.entries as f64,
        bytes: stats.bytes as f64,
        most: stats.most as f64,
    })
}

#[expect(clippy::cast_precision_loss, reason = "limits and amounts, for people")]
fn fleet(status: &FleetStatus, now: Time) -> FleetGauges {
    let view = status.view();
    let shares = view.limits.iter().flat_map(|quota| {
        let amount = quota.own.amount(now) as f64;
        let of =
            |holder: &LimitHolder| (holder.kind(), holder.to_string(), quota.kind.word(), amount);
        quota.holders.iter().map(of).collect::<Vec<_>>()
    });
    let claims = view.budgets.iter().map(|claim| {
        let (used, owner) = (&claim.used, &claim.used.meter.scope.owner);
        let open = money::of_units(used.has.saturating_sub(used.used));
        let amount = open.get() as f64 / 1e12;
        (
            owner.kind(),
            owner.name().to_owned(),
            used.meter.period.word(),
            amount,
        )
    });
    FleetGauges {
        is_up: view.is_up,
        lag: view.lag.map(|lag| lag.as_secs_f64()),
        nodes: view.nodes.len(),
        facts: view.known,
        unsent: view.unsent,
        shares: shares.collect(),
        claims: claims.collect(),
    }
}

fn budgets(dispatch: &Dispatch, admin: &AdminState) -> Vec<BudgetGauges> {
    let wall = admin.clock().anchor().wall.as_secs();
    let views = dispatch
        .budgets
        .views(i64::try_from(wall).unwrap_or(i64::MAX));
    let mut numbers = BTreeMap::new();
    let gauges = views.iter().map(|view| BudgetGauges {
        number: {
            let number = numbers.entry(&view.budget.scope.owner).or_insert(0);
            *number += 1;
            number.to_string()
        },
        of: view.budget.scope.owner.kind(),
        name: view.budget.scope.owner.name().to_owned(),
        every: view.budget.period.word(),
        amount: view.budget.amount.to_f64(),
        spent: view.spent.to_f64(),
        reserved: view.reserved.to_f64(),
    });
    gauges.collect()
}

fn actors(cells: &TreeStatus) -> Vec<ActorGauges> {
    let actor = |name: String, life: &LifeStatus, mailbox: Option<i64>| ActorGauges {
        name,
        life: life.get(),
        restarts: life.restarts(),
        mailbox,
    };
    let router = &cells.router;
    let mut actors = vec![
        actor("supervisor".to_owned(), &cells.supervisor, None),
        actor(
            "router".to_owned(),
            &router.life,
            Some(router.mailbox.depth()),
        ),
    ];
    if let Some(status) = &cells.fleet {
        let depth = status.mailbox.depth();
        actors.push(actor("fleet".to_owned(), &status.life, Some(depth)));
    }
    for (name, cells) in &cells.providers {
        let status = &cells.provider;
        actors.push(actor(
            format!("provider {name}"),
            &status.life,
            Some(status.mailbox.depth()),
        ));
        let keys = cells.keys.iter();
        actors.extend(keys.map(|status| {
            actor(
                format!("key {}", status.id),
                &status.life,
                Some(status.mailbox.depth()),
            )
        }));
    }
    actors
}

fn state_of_upstream(upstream: &Upstream, cells: &TreeStatus, now: Time) -> UpstreamGauges {
    let model = &upstream.model;
    let cells = cells.providers.get(&upstream.provider);
    let view = cells.map(|cells| cells.provider.view());
    let up = cells.is_some_and(|cells| cells.provider.life.get() == Life::Up);
    let out = !up
        || view
            .as_ref()
            .is_none_or(|view| view.gate(model, None, now).is_err());
    let keys = cells.map(|cells| &cells.keys[..]).unwrap_or_default();
    let usable = |status: &&Arc<KeyStatus>| {
        status.life.get() == Life::Up && status.view().refusal(model, now).is_none()
    };
    UpstreamGauges {
        upstream: upstream.clone(),
        breaker: view.map_or(BreakerCondition::Closed, |view| view.breaker(model, now).0),
        keys: keys.len(),
        usable: if out {
            0
        } else {
            keys.iter().filter(usable).count()
        },
    }
}

fn state_of_key(provider: &ProviderName, status: &KeyStatus, now: Time) -> KeyGauges {
    let view = status.view();
    let ends = view.cooling.iter().map(|(_, until)| *until);
    let whole = view.cooling_all.and_then(|refusal| refusal.ready_at);
    let last = ends
        .chain(whole)
        .filter(|until| *until != Time::NEVER)
        .max();
    let configured = status.settings().limits.max_in_flight;
    let learned = status.learned_concurrency();
    let limits = status.learned_limits();
    KeyGauges {
        id: status.id.clone(),
        state: status.condition(now),
        cooldown: last.map_or(0.0, |until| until.until(now).as_secs_f64()),
        in_flight: status.in_flight(),
        attempts: status.attempts(),
        concurrency: configured.into_iter().chain(learned).min(),
        limits: limits
            .iter()
            .map(|known| LimitGauges {
                upstream: Upstream {
                    provider: provider.clone(),
                    model: known.model.clone(),
                },
                unit: known.unit,
                limit: known.limit,
                remaining: known.remaining,
            })
            .collect(),
    }
}

/// Pushes a last time, if anything is pushed. With `patient` it waits for that, for a bounded time.
pub(super) async fn end(recorder: &Arc<Recorder>, patient: bool) {
    if !recorder.metrics().is_some_and(Metrics::pushes) {
        return;
    }
    let recorder = Arc::clone(recorder);
    // It waits for the network, on a thread of its own.
    let push = tokio::task::spawn_blocking(move || recorder.metrics().is_none_or(Metrics::end));
    if !patient {
        return;
    }
    let pushed = tokio::time::timeout(LAST_PUSH, push).await;
    if !matches!(pushed, Ok(Ok(true))) {
        tracing::warn!("the last metrics could not be pushed (telemetry.otlp)");
    }
}
