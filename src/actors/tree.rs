//! The whole tree: made from plain parameters, watched over, and asked for leases.

mod planning;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use ractor::Actor;
use tokio::sync::oneshot;

use super::child::Child;
use super::child_slot::{ActorSlot, ChildSlot};
use super::command_sender::CommandSender;
use super::fleet::table::{FleetCounters, FleetParts};
use super::fleet::{FleetActor, FleetCore};
use super::handle::Handle;
use super::handoff::StateHandoff;
use super::lease::Lease;
use super::message::fleet::FleetMessage;
use super::message::provider::ProviderMessage;
use super::message::router::RouterMessage;
use super::message::supervisor::SupervisorMessage;
use super::reconcile::{self, Common};
use super::route::{LeaseReply, RouteProgress, RouteRequest};
use super::router::{RouterActor, RouterCore, RoutingTable};
#[cfg(feature = "internals")]
pub use super::spec::ProviderSpec;
pub use super::spec::{FleetSpec, TreeSpec};
use super::status::{FleetStatus, KeyStatus, Life, RouterStatus, TreeStatus};
use super::supervisor::{SupervisorActor, SupervisorCore};
use crate::domain::attempts::{Cause, LeaseRefused};
use crate::domain::budget::{BudgetUse, SharedPurse};
use crate::domain::fleet::quota::SharedLimits;
use crate::domain::fleet::{FleetNews, FleetQuotas, FleetState};
use crate::domain::hash_map::HashMap;
use crate::domain::ids::{ProviderName, Upstream};
use crate::domain::latency::{Averages, LatencySnapshot};
use crate::domain::output_average::OutputAverage;
use crate::domain::spill::TierKeys;
use crate::domain::time::Time;
use crate::domain::waiting::WaitTicket;
use crate::runtime::clock::Clock;
use crate::runtime::task::{TaskGuard, guarded};
use crate::telemetry::events;

/// The running tree. It goes down when this is dropped.
#[derive(Debug)]
pub struct Tree {
    client: TreeClient,
    fleet: Option<FleetParts>,
    supervisor: Handle<SupervisorMessage>,
    _guardian: TaskGuard,
}

/// Asks the tree for leases. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TreeClient {
    router: Handle<RouterMessage>,
    router_status: Arc<RouterStatus>,
    table: Arc<ArcSwap<RoutingTable>>,
    statuses: Arc<ArcSwap<TreeStatus>>,
    clock: Clock,
}

/// A request whose route was lost in a crash asks again at once, then after pauses that double up to this.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// How long to wait past the deadline for the router's own refusal, which has its reasons.
const OVERDUE: Duration = Duration::from_millis(1);

impl TreeClient {
    /// Sends one route through the tree and waits for the answer, which comes at its deadline at the latest.
    ///
    /// A route that is lost because an actor crashed is sent again.
    ///
    /// # Errors
    /// Why no upstream can serve it in time.
    pub async fn lease(
        &self,
        deadline: Time,
        mut route: impl FnMut(oneshot::Sender<LeaseReply>) -> RouteRequest,
    ) -> Result<Lease, LeaseRefused> {
        let mut pause = Duration::from_millis(1);
        let mut again = false;
        loop {
            let (reply, answer) = oneshot::channel();
            let mut route = Box::new(route(reply));
            route.again = again;
            let ticket = Arc::clone(&route.ticket);
            if self.begin(route, deadline) {
                let mut left = LeaveGuard {
                    router: &self.router,
                    ticket: Some(ticket),
                };
                // The router answers at the deadline at the latest, and a crash closes the port; but requests that
                // wait in its room get no answer while it is restarted.
                let end = self.clock.instant(deadline + OVERDUE);
                let Ok(answer) = tokio::time::timeout_at(end, answer).await else {
                    break;
                };
                left.ticket = None;
                match answer {
                    Ok(LeaseReply::Lease(lease)) => return Ok(lease),
                    Ok(LeaseReply::Refused(refused)) => return Err(refused),
                    Err(_) => again = true,
                }
            }
            let left = deadline.until(self.clock.now());
            if left.is_zero() {
                break;
            }
            tokio::time::sleep(pause.min(left)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Err(LeaseRefused {
            cause: Cause::TimeUp,
            declined: Vec::new(),
        })
    }

    /// Sets a route on its way; false when there is nobody to take it.
    ///
    /// With nobody waiting the router would pass it on to the provider of its first open candidate: that is done here, which
    /// saves a hand-over of two. From there on it goes the same way, and comes to the router when it is declined.
    fn begin(&self, mut route: Box<RouteRequest>, deadline: Time) -> bool {
        let quiet = self.router_status.quiet();
        if let Some(seen) = quiet.filter(|_| self.clock.now() < deadline) {
            route.walk.seen = seen;
            let is_open = route.advance();
            let upstream = route.upstream().filter(|_| is_open);
            let table = self.table.load();
            let slot = upstream.and_then(|upstream| table.providers.get(&upstream.provider));
            match slot.map(|slot| &slot.handle) {
                None => {}
                Some(provider) => match provider.send(ProviderMessage::Offer(route)) {
                    Err(ProviderMessage::Offer(back)) => route = back,
                    Ok(()) | Err(_) => return true,
                },
            }
            route.walk = RouteProgress::default();
        }
        self.router.send(RouterMessage::Route(route)).is_ok()
    }

    /// What the actors publish of themselves.
    pub fn cells(&self) -> Arc<TreeStatus> {
        self.statuses.load_full()
    }

    /// How an upstream answered of late, as its provider last published it; `None` for one that the configuration does
    /// not name.
    pub fn latency(&self, upstream: &Upstream) -> Option<LatencySnapshot> {
        let cells = self.statuses.load();
        let provider = &cells.providers.get(&upstream.provider)?.provider;
        provider.latency.of(&upstream.model)
    }

    /// The averages of how long an upstream took, and their decay; `None` for one that the configuration does not name.
    pub fn averages(&self, upstream: &Upstream) -> Option<(Averages, Duration)> {
        let cells = self.statuses.load();
        let provider = &cells.providers.get(&upstream.provider)?.provider;
        let averages = provider.latency.averages(&upstream.model)?;
        Some((averages, provider.latency.decay()))
    }

    /// The used share of an upstream's tightest limit, by its least used key; `None` where a key has none.
    pub fn used_share(&self, upstream: &Upstream) -> Option<f64> {
        let cells = self.statuses.load();
        let keys = &cells.providers.get(&upstream.provider)?.keys;
        let now = self.clock.now();
        let shares = keys.iter();
        let shares = shares.map(|key| {
            let learned = key.learned_limits();
            key.used.tightest(&learned, &upstream.model, now)
        });
        let shares: Option<Vec<f64>> = shares.collect();
        shares?.into_iter().reduce(f64::min)
    }

    /// The keys by which an attempt there would be let through now, as far as the actors publish, and all of them. A key
    /// that is full, or whose limit is used up for a moment, is among the former.
    pub fn usable_keys(&self, upstream: &Upstream) -> TierKeys {
        let cells = self.statuses.load();
        let Some(cells) = cells.providers.get(&upstream.provider) else {
            return TierKeys::default();
        };
        let (now, model) = (self.clock.now(), &upstream.model);
        let is_up = cells.provider.life.get() == Life::Up
            && cells.provider.view().gate(model, None, now).is_ok();
        let ready = |key: &&Arc<KeyStatus>| {
            key.life.get() == Life::Up && key.view().refusal(model, now).is_none()
        };
        let ready = cells.keys.iter().filter(ready);
        let count = |keys: usize| u32::try_from(keys).unwrap_or(u32::MAX);
        TierKeys {
            usable: if is_up { count(ready.count()) } else { 0 },
            all: count(cells.keys.len()),
        }
    }

    /// How long an upstream's answers are.
    pub fn output_of(&self, upstream: &Upstream) -> OutputAverage {
        let cells = self.statuses.load();
        let cells = cells.providers.get(&upstream.provider);
        let average = cells.map(|cells| cells.provider.output.of(&upstream.model));
        average.unwrap_or_default()
    }

    /// Requests in flight at a provider.
    pub fn in_flight(&self, provider: &ProviderName) -> u32 {
        let cells = self.statuses.load();
        let keys = cells.providers.get(provider).map(|cells| &cells.keys);
        let keys = keys.into_iter().flatten();
        keys.map(|key| key.in_flight()).sum()
    }

    /// Whether the router answers.
    pub fn is_up(&self) -> bool {
        self.router.is_up()
    }
}

/// Reports to the router that a request has left while it waited. By then its reply port is closed: a place that it has
/// not reached yet is never given to it.
struct LeaveGuard<'a> {
    router: &'a Handle<RouterMessage>,
    /// Its place in the waiting room; `None` when it has its answer.
    ticket: Option<Arc<OnceLock<WaitTicket>>>,
}

impl Drop for LeaveGuard<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            // A router that is down looks at every reply port when it is back.
            drop(self.router.send(RouterMessage::Left(ticket)));
        }
    }
}

impl Tree {
    /// Spawns the supervisor and everything below it, and waits until all of it runs.
    pub async fn start(spec: TreeSpec) -> Self {
        // Handles and statuses exist before the actors, so that each actor can be given those of the others.
        let router_cell = Arc::<RouterStatus>::default();
        let common = Common {
            router: Handle::vacant(&router_cell.mailbox),
            router_status: router_cell,
            supervisor_life: Arc::default(),
            table: Arc::default(),
            statuses: Arc::default(),
            fleet: spec.fleet.as_ref().map(fleet_parts),
            clock: spec.clock,
            fault_hook: spec.fault_hook.clone(),
        };
        let supervisor_handle = Handle::vacant(&Arc::default());
        let mut slots = BTreeMap::new();
        let actor = RouterActor {
            table: Arc::clone(&common.table),
            supervisor: supervisor_handle.clone(),
            status: Arc::clone(&common.router_status),
            restart: spec.restart,
            clock: spec.clock,
            fault_hook: spec.fault_hook.clone(),
        };
        let core = RouterCore::new(spec.max_waiting);
        let post = reconcile::post(actor, common.router.clone(), core);
        slots.insert(Child::Router, ChildSlot::Router(post));
        // The supervisor starts every child that has a slot.
        reconcile::reconcile(&mut slots, &mut HashMap::default(), &spec, &common).publish(&common);
        if let (Some(fleet), Some(parts)) = (&spec.fleet, &common.fleet) {
            let slot = ChildSlot::Fleet(fleet_slot(fleet, parts, &spec));
            slots.insert(Child::Fleet, slot);
        }
        let fleet = common.fleet.clone();
        let supervisor = SupervisorActor {
            common: common.clone(),
            restart: spec.restart,
        };
        // The guardian spawns the supervisor, which spawns the rest.
        let (running, ready) = oneshot::channel();
        let core = SupervisorCore::new(slots);
        let guardian = guarded(guard(supervisor, core, supervisor_handle.clone(), running));
        // The guardian ends only with the process.
        drop(ready.await);
        let dispatcher = TreeClient {
            router: common.router,
            router_status: common.router_status,
            table: common.table,
            statuses: common.statuses,
            clock: spec.clock,
        };
        Self {
            client: dispatcher,
            fleet,
            supervisor: supervisor_handle,
            _guardian: guardian,
        }
    }

    /// Brings the running tree in line with another configuration: new providers and keys take part at once, those that
    /// are gone get nothing more and end with their last lease, and what stays keeps its cooldowns, counts and
    /// breakers. Clock, fault hook and restart policy stay as they were.
    pub async fn apply(&self, spec: &TreeSpec) {
        loop {
            let (reply, done) = oneshot::channel();
            let message = SupervisorMessage::Apply(Box::new(spec.clone()), reply);
            if self.supervisor.send(message).is_ok() && done.await.is_ok() {
                return;
            }
            // The supervisor failed while it applied the specification: its next incarnation finishes that.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// The sender of an operator's commands.
    pub fn operator(&self) -> CommandSender {
        CommandSender::new(self.supervisor.clone())
    }

    /// Where news of the fleet's store goes, in a process that belongs to a fleet.
    pub fn fleet_news(&self) -> Option<impl Fn(FleetNews) + Send + Sync + 'static> {
        let fleet = self.fleet.as_ref()?.handle();
        // Without an incarnation it is lost, and found by the next comparison with the store.
        Some(move |news| drop(fleet.send(FleetMessage::News(news))))
    }

    /// Where budgets say how they are used, in a process that belongs to a fleet.
    pub fn fleet_spending(&self) -> Option<impl Fn(Vec<BudgetUse>) + Send + Sync + 'static> {
        let fleet = self.fleet.as_ref()?.handle();
        // Without an incarnation it is lost: the next one asks.
        Some(move |uses| drop(fleet.send(FleetMessage::Spent(uses))))
    }

    /// Those outside of the tree who count what a fleet shares.
    pub fn fleet_counts(
        &self,
        clients: Vec<Arc<dyn SharedLimits>>,
        purse: Option<Arc<dyn SharedPurse>>,
    ) {
        if let Some(fleet) = &self.fleet {
            let counters = FleetCounters { clients, purse };
            fleet.counters.store(Arc::new(counters));
        }
    }

    /// The client by which requests reach the actors.
    pub fn client(&self) -> &TreeClient {
        &self.client
    }
}

fn fleet_parts(fleet: &FleetSpec) -> FleetParts {
    let (name, node) = (fleet.name.clone(), fleet.node.clone());
    let status = Arc::new(FleetStatus::new(name, node, fleet.server.clone()));
    FleetParts {
        handle: Handle::vacant(&status.mailbox),
        status,
        secret: fleet.secret.clone(),
        lost: fleet.lost,
        table: Arc::default(),
        counters: Arc::default(),
    }
}

fn fleet_slot(
    fleet: &FleetSpec,
    parts: &FleetParts,
    spec: &TreeSpec,
) -> ActorSlot<FleetActor, FleetMessage, FleetCore> {
    let mut state = FleetState::new(fleet.node.clone());
    let now = spec.clock.now();
    state.own(parts.table.load().owners(), now);
    let quotas = FleetQuotas::new(fleet.node.clone(), fleet.lost, now);
    let actor = FleetActor {
        status: Arc::clone(&parts.status),
        table: Arc::clone(&parts.table),
        counters: Arc::clone(&parts.counters),
        secret: fleet.secret.clone(),
        orders: fleet.orders.clone(),
        clock: spec.clock,
        fault_hook: spec.fault_hook.clone(),
    };
    reconcile::post(actor, parts.handle.clone(), FleetCore::new(state, quotas))
}

/// Keeps a supervisor running: one that ends is started again with what it left.
async fn guard(
    supervisor: SupervisorActor,
    core: SupervisorCore,
    handle: Handle<SupervisorMessage>,
    running: oneshot::Sender<()>,
) {
    let life = Arc::clone(&supervisor.common.supervisor_life);
    let mut running = Some(running);
    let (mut handoff, mut receiver) = StateHandoff::new(core);
    loop {
        let spawned = Actor::spawn(None, supervisor.clone(), handoff).await;
        if let Ok((actor, ended)) = spawned {
            handle.point_at(Some(actor.clone()));
            life.set(Life::Up);
            let stop = StopOnDrop(actor);
            if let Some(running) = running.take() {
                // Answered after everything below it was started.
                drop(stop.0.cast(SupervisorMessage::Running(running)));
            }
            let outcome = ended.await;
            handle.point_at(None);
            life.set(Life::Restarting);
            let reason = match outcome {
                Ok(()) => "ended".to_owned(),
                Err(error) => error.to_string(),
            };
            events::actor_failed("supervisor", &reason);
        }
        let Ok(core) = receiver.await else { return };
        (handoff, receiver) = StateHandoff::new(core);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Takes the tree down with its guardian: a supervisor that stops kills its children.
struct StopOnDrop(ractor::ActorRef<SupervisorMessage>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop(None);
    }
}

#[cfg(test)]
mod tests;
