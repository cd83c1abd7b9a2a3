//! The whole tree: made from plain parameters, watched over, and asked for leases.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use ractor::Actor;
use tokio::sync::oneshot;

use super::chaos::Chaos;
use super::estate::Estate;
use super::handle::Handle;
use super::key::{Key, KeyCore, KeyPort};
use super::lease::Lease;
use super::message::router::RouterMessage;
use super::message::supervisor::{Child, SupervisorMessage};
use super::provider::{KeySeat, Provider, ProviderCore};
use super::route::{Answer, Route};
use super::router::{ProviderSeat, Router, RouterCore};
use super::supervisor::{Post, Seat, Supervisor, SupervisorCore};
use super::view::{KeyCell, ProviderCell, RouterCell};
use crate::domain::attempts::{Cause, Refused};
use crate::domain::circuit::BreakerPolicy;
use crate::domain::cooldown::CooldownPolicy;
use crate::domain::ids::{KeyId, ProviderName};
use crate::domain::key_state::KeyState;
use crate::domain::limits::{KeyLimits, RetryBudgetPolicy};
use crate::domain::mutant::{self, Mutant};
use crate::domain::provider_state::ProviderState;
use crate::domain::restart::RestartPolicy;
use crate::domain::rotation::{KeyRotation, Rotation};
use crate::domain::secret::ApiKey;
use crate::domain::time::Time;
use crate::runtime::clock::Clock;
use crate::runtime::task::{TaskGuard, guarded};
use crate::telemetry::events;

/// What the tree needs to know of one provider.
#[derive(Clone, Debug)]
pub struct ProviderSpec {
    /// Its name.
    pub name: ProviderName,
    /// Its keys in order; `None` for a provider that needs none.
    pub keys: Vec<Option<ApiKey>>,
    /// The order in which they take their turns.
    pub rotation: KeyRotation,
    /// What each key may do.
    pub limits: KeyLimits,
    /// How rate-limited keys cool.
    pub cooldown: CooldownPolicy,
    /// When an upstream of it is left alone.
    pub breaker: BreakerPolicy,
    /// What each upstream of it may carry of other attempts' failures.
    pub retry_budget: RetryBudgetPolicy,
}

/// What the tree is made from.
#[derive(Clone, Debug)]
pub struct TreeSpec {
    /// The providers.
    pub providers: Vec<ProviderSpec>,
    /// Places in the waiting room.
    pub max_waiting: usize,
    /// How actors that fail are started again.
    pub restart: RestartPolicy,
    /// The clock.
    pub clock: Clock,
    /// Where a test makes actors fail.
    pub chaos: Chaos,
}

/// One provider's published state.
#[derive(Clone, Debug)]
pub struct ProviderCells {
    /// The provider's own.
    pub provider: Arc<ProviderCell>,
    /// Its keys', in order.
    pub keys: Vec<Arc<KeyCell>>,
}

/// Everything the tree publishes of itself.
#[derive(Clone, Debug, Default)]
pub struct Cells {
    /// The router's.
    pub router: Arc<RouterCell>,
    /// By provider.
    pub providers: BTreeMap<ProviderName, ProviderCells>,
}

/// The running tree. It goes down when this is dropped.
#[derive(Debug)]
pub struct Tree {
    dispatcher: Dispatcher,
    _guardian: TaskGuard,
}

/// Asks the tree for leases. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Dispatcher {
    router: Handle<RouterMessage>,
    cells: Arc<Cells>,
    clock: Clock,
}

/// A request whose route was lost in a crash asks again at once, then after pauses that double up to this.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// The router's own answer at the deadline, with its reasons, is preferred to none: it gets so long.
const OVERDUE: Duration = Duration::from_millis(1);

impl Dispatcher {
    /// Walks one route through the tree and waits for the answer, which comes at its deadline at the latest.
    ///
    /// A route that is lost because an actor crashed is sent again.
    ///
    /// # Errors
    /// Why nobody can serve it in time.
    pub async fn lease(
        &self,
        deadline: Time,
        mut route: impl FnMut(oneshot::Sender<Answer>) -> Route,
    ) -> Result<Lease, Refused> {
        let mut pause = Duration::from_millis(1);
        loop {
            let (reply, answer) = oneshot::channel();
            let sent = self
                .router
                .send(RouterMessage::Route(Box::new(route(reply))));
            if sent.is_ok() {
                let mut left = Leaving {
                    router: &self.router,
                    armed: true,
                };
                // The router answers at the deadline at the latest, and a crash closes the port: but those who
                // wait in its room hear nothing while it is restarted.
                let end = self.clock.instant(deadline + OVERDUE);
                let Ok(answer) = tokio::time::timeout_at(end, answer).await else {
                    break;
                };
                left.armed = false;
                match answer {
                    Ok(Answer::Lease(lease)) => return Ok(lease),
                    Ok(Answer::Refused(refused)) => return Err(refused),
                    Err(_) if mutant::on(Mutant::LostRouteGivesUp) => break,
                    Err(_) => {}
                }
            }
            let left = deadline.until(self.clock.now());
            if left.is_zero() {
                break;
            }
            tokio::time::sleep(pause.min(left)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Err(Refused {
            cause: Cause::TimeUp,
            declined: Vec::new(),
        })
    }

    /// What the actors publish of themselves.
    pub fn cells(&self) -> &Arc<Cells> {
        &self.cells
    }

    /// Whether the router answers.
    pub fn is_up(&self) -> bool {
        self.router.is_up()
    }
}

/// Tells the router when a request leaves while it waits.
struct Leaving<'a> {
    router: &'a Handle<RouterMessage>,
    armed: bool,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if self.armed {
            // A router that is down looks at every reply port when it is back.
            drop(self.router.send(RouterMessage::Left));
        }
    }
}

impl Tree {
    /// Spawns the supervisor and everything below it, and waits until all of it runs.
    pub async fn start(spec: TreeSpec) -> Self {
        let router = Handle::vacant();
        let supervisor_handle = Handle::vacant();
        let mut seats = BTreeMap::new();
        let mut cells = Cells::default();
        let mut provider_seats = HashMap::new();
        for provider in &spec.providers {
            let made = provider_seats_of(&spec, provider, &router, &mut seats);
            provider_seats.insert(provider.name.clone(), made.0);
            cells.providers.insert(provider.name.clone(), made.1);
        }
        let actor = Router {
            providers: Arc::new(provider_seats),
            supervisor: supervisor_handle.clone(),
            cell: Arc::clone(&cells.router),
            restart: spec.restart,
            clock: spec.clock,
            chaos: spec.chaos.clone(),
        };
        let post = post(actor, router.clone(), RouterCore::new(spec.max_waiting));
        seats.insert(Child::Router, Seat::Router(post));
        let supervisor = Supervisor {
            router: router.clone(),
            restart: spec.restart,
            clock: spec.clock,
            chaos: spec.chaos,
        };
        let (running, ready) = oneshot::channel();
        let core = SupervisorCore::new(seats);
        let guardian = guarded(guard(supervisor, core, supervisor_handle, running));
        // The guardian ends only with the process.
        drop(ready.await);
        let dispatcher = Dispatcher {
            router,
            cells: Arc::new(cells),
            clock: spec.clock,
        };
        Self {
            dispatcher,
            _guardian: guardian,
        }
    }

    /// The way in.
    pub fn dispatcher(&self) -> &Dispatcher {
        &self.dispatcher
    }
}

/// Keeps a supervisor running: one that ends is started again with what it left.
async fn guard(
    supervisor: Supervisor,
    core: SupervisorCore,
    handle: Handle<SupervisorMessage>,
    running: oneshot::Sender<()>,
) {
    let mut running = Some(running);
    let (mut estate, mut inheritance) = Estate::new(core);
    loop {
        let spawned = Actor::spawn(None, supervisor.clone(), estate).await;
        if let Ok((actor, ended)) = spawned {
            handle.point_at(Some(actor.clone()));
            let stop = StopOnDrop(actor);
            if let Some(running) = running.take() {
                // Answered after everything below it was started.
                drop(stop.0.cast(SupervisorMessage::Running(running)));
            }
            let outcome = ended.await;
            handle.point_at(None);
            let reason = match outcome {
                Ok(()) => "ended".to_owned(),
                Err(error) => error.to_string(),
            };
            events::actor_failed("supervisor", &reason);
        }
        let Ok(core) = inheritance.await else { return };
        (estate, inheritance) = Estate::new(core);
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

fn post<A, M: ractor::Message, C>(actor: A, handle: Handle<M>, core: C) -> Post<A, M, C> {
    let (estate, inheritance) = Estate::new(core);
    drop(estate);
    Post {
        actor,
        handle,
        inheritance,
    }
}

fn provider_seats_of(
    spec: &TreeSpec,
    provider: &ProviderSpec,
    router: &Handle<RouterMessage>,
    seats: &mut BTreeMap<Child, Seat>,
) -> (ProviderSeat, ProviderCells) {
    let provider_handle = Handle::vacant();
    let mut key_seats = Vec::new();
    for (place, material) in provider.keys.iter().enumerate() {
        let id = KeyId {
            provider: provider.name.clone(),
            index: u32::try_from(place + 1).unwrap_or(u32::MAX),
        };
        let handle = Handle::vacant();
        let cell = Arc::new(KeyCell::new(id, provider.limits));
        let actor = Key {
            name: Arc::from(format!("key {}", cell.id)),
            place,
            provider_name: provider.name.clone(),
            material: Arc::new(material.clone()),
            handle: handle.clone(),
            cell: Arc::clone(&cell),
            port: Arc::new(KeyPort {
                cell: Arc::clone(&cell),
                handle: handle.clone(),
                provider: provider_handle.clone(),
            }),
            provider: provider_handle.clone(),
            router: router.clone(),
            clock: spec.clock,
            chaos: spec.chaos.clone(),
        };
        let core = KeyCore::new(KeyState::new(provider.limits, provider.cooldown));
        let post = post(actor, handle.clone(), core);
        seats.insert(Child::Key(provider.name.clone(), place), Seat::Key(post));
        key_seats.push(KeySeat { cell, handle });
    }
    let cell = Arc::new(ProviderCell::default());
    let cells = ProviderCells {
        provider: Arc::clone(&cell),
        keys: key_seats
            .iter()
            .map(|seat| Arc::clone(&seat.cell))
            .collect(),
    };
    let actor = Provider {
        name: Arc::from(format!("provider {}", provider.name)),
        id: provider.name.clone(),
        keys: key_seats.into(),
        cell: Arc::clone(&cell),
        router: router.clone(),
        clock: spec.clock,
        chaos: spec.chaos.clone(),
    };
    let state = ProviderState::new(provider.breaker, provider.retry_budget);
    let core = ProviderCore::new(state, Rotation::new(provider.rotation));
    let post = post(actor, provider_handle.clone(), core);
    seats.insert(Child::Provider(provider.name.clone()), Seat::Provider(post));
    let seat = ProviderSeat {
        handle: provider_handle,
        cell: Arc::clone(&cell),
    };
    (seat, cells)
}

#[cfg(test)]
mod tests;
