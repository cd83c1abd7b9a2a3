//! The router: offers each route to the candidates of its chain, keeps those that must wait, and decides what happens
//! to actors that fail. See `actors.md`.

mod plan;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::child::Child;
use super::fault_hook::FaultHook;
use super::handle::Handle;
use super::handoff::{OnEnd, Renew, StateHandoff};
use super::message::provider::ProviderMessage;
use super::message::router::RouterMessage;
use super::message::supervisor::SupervisorMessage;
use super::provider::{KeyRing, RESTART_POLL};
use super::route::{LeaseReply, RouteProgress, RouteRequest};
use super::status::{Life, ProviderStatus, RouterStatus};
use crate::domain::attempts::{Cause, LeaseRefused};
use crate::domain::chain::Chain;
use crate::domain::client::Priority;
use crate::domain::hash_map::HashMap;
use crate::domain::ids::{ProviderName, Upstream};
use crate::domain::plan::{Conclusion, Traversal};
use crate::domain::refusal::{Reason, Refusal};
use crate::domain::restart::{RestartHistory, RestartPolicy};
use crate::domain::time::Time;
use crate::domain::waiting::{Waiter, WaitingRoom, Want};
use crate::runtime::clock::Clock;
use crate::telemetry::events;

/// Requests that wait for something without a known end are offered again after this long at the latest.
pub const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Added for each waiting request, up to [`LOOK_AGAIN_LATEST`]: offering all of them again ten times a second would
/// delay the router's other messages. A request that can be served is called anyway.
const LOOK_AGAIN_EACH: Duration = Duration::from_micros(250);
/// The longest such time.
pub const LOOK_AGAIN_LATEST: Duration = Duration::from_secs(1);

/// What the router owns and leaves to its next incarnation.
#[derive(Debug)]
pub struct RouterCore {
    room: WaitingRoom<Box<RouteRequest>>,
    /// Counts readiness events: a route that was declined while one came in is offered again (see `conclude`).
    ready_count: u64,
    histories: HashMap<Child, RestartHistory>,
    /// The full waiting room has been reported, and it has not emptied since.
    full: bool,
    /// A test has spoilt this state: no message is survived with it.
    #[cfg(test)]
    spoilt: bool,
}

impl OnEnd for RouterCore {}

impl RouterCore {
    pub(crate) fn new(max_waiting: usize) -> Self {
        Self {
            room: WaitingRoom::new(max_waiting),
            ready_count: 0,
            histories: HashMap::default(),
            full: false,
            #[cfg(test)]
            spoilt: false,
        }
    }
}

impl Renew<RouterCore> for RouterActor {
    /// An empty room: the tasks of requests that waited see their reply ports close, and ask again. The histories of
    /// the other actors go on.
    fn renewed(&self, left: RouterCore) -> RouterCore {
        RouterCore {
            histories: left.histories,
            ..RouterCore::new(self.table.load().max_waiting)
        }
    }
}

/// A provider as the router sees it.
#[derive(Clone, Debug)]
pub(crate) struct ProviderSlot {
    pub(crate) handle: Handle<ProviderMessage>,
    pub(crate) ring: Arc<ArcSwap<KeyRing>>,
    pub(crate) status: Arc<ProviderStatus>,
}

/// Where routes may go, as of one configuration.
#[derive(Debug, Default)]
pub(crate) struct RoutingTable {
    pub(crate) providers: HashMap<ProviderName, ProviderSlot>,
    pub(crate) max_waiting: usize,
}

/// The fixed part of the router.
#[derive(Clone)]
pub(crate) struct RouterActor {
    pub(crate) table: Arc<ArcSwap<RoutingTable>>,
    pub(crate) supervisor: Handle<SupervisorMessage>,
    pub(crate) status: Arc<RouterStatus>,
    pub(crate) restart: RestartPolicy,
    pub(crate) clock: Clock,
    pub(crate) fault_hook: FaultHook,
}

/// The router's state: what it leaves behind, and the timer that ends with it.
pub(crate) struct RouterState {
    handoff: StateHandoff<RouterCore>,
    /// When the next tick comes.
    timer: Option<Time>,
}

impl Actor for RouterActor {
    type Msg = RouterMessage;
    type State = RouterState;
    type Arguments = StateHandoff<RouterCore>;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        handoff: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let mut state = RouterState {
            handoff,
            timer: None,
        };
        if let Some(core) = state.handoff.get_mut() {
            // The news of callers that left may be lost with the last incarnation.
            core.room.leave(|route| route.reply.is_closed());
            self.status.publish_waiting(core.room.len());
            self.status.publish_ready(core.ready_count);
        }
        self.set_timer(&mut state, &myself);
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let is_counted = !matches!(message, RouterMessage::Tick(_));
        self.fault_hook.fire("router", message.name());
        if let RouterMessage::Tick(at) = &message
            && state.timer == Some(*at)
        {
            state.timer = None;
        }
        if let Some(core) = state.handoff.get_mut() {
            #[cfg(test)]
            self.fault_hook.spoil("router", &mut core.spoilt);
            self.act(core, message);
        }
        self.set_timer(state, &myself);
        if is_counted {
            // Only now, as what follows from it is published: see `RouterStatus::quiet`.
            self.status.mailbox.taken();
        }
        Ok(())
    }
}

impl RouterActor {
    fn act(&self, core: &mut RouterCore, message: RouterMessage) {
        match message {
            RouterMessage::Route(mut route) => {
                route.walk.seen = core.ready_count;
                self.walk(core, route);
            }
            RouterMessage::Returned { route, refusal } => self.returned(core, route, refusal),
            RouterMessage::Ready { provider, slots } => {
                core.ready_count += 1;
                let woken = core.room.ready(&provider, slots);
                self.walk_again(core, woken);
            }
            RouterMessage::Plan(request, reply) => {
                // The sender may have given up.
                drop(reply.send(self.plan(core, &request)));
            }
            RouterMessage::Exited(child) => self.decide(core, child),
            RouterMessage::Left(ticket) => {
                // Without one it never waited; where it is now it is noticed by its closed port.
                drop(ticket.get().and_then(|ticket| core.room.remove(*ticket)));
            }
            RouterMessage::Tick(_) => {
                let woken = core.room.due(self.clock.now());
                self.walk_again(core, woken);
            }
        }
        let waiting = core.room.len();
        self.status.publish_waiting(waiting);
        self.status.publish_ready(core.ready_count);
        if core.full && waiting <= self.table.load().max_waiting / 10 * 9 {
            core.full = false;
        }
    }

    fn walk_again(&self, core: &mut RouterCore, woken: Vec<Waiter<Box<RouteRequest>>>) {
        let now = self.clock.now();
        for waiter in woken {
            let mut route = waiter.payload;
            if now >= route.deadline {
                // With the refusals of its last traversal.
                refuse(route, Cause::TimeUp);
                continue;
            }
            // The request waited, so keys that refused it earlier and are ready now may be asked again. A request that
            // is woken at the moment at which it came did not wait for them.
            if route
                .walk
                .parked_at
                .is_some_and(|parked_at| now > parked_at)
            {
                route.ask.refused_keys.clear();
            }
            route.walk = RouteProgress {
                parked_at: route.walk.parked_at,
                grace_until: route.walk.grace_until,
                seen: core.ready_count,
                ..RouteProgress::default()
            };
            self.walk(core, route);
        }
    }

    /// Offers the route to the next candidate that may take it.
    fn walk(&self, core: &mut RouterCore, mut route: Box<RouteRequest>) {
        if route.reply.is_closed() {
            return;
        }
        let now = self.clock.now();
        if now >= route.deadline {
            return refuse(route, Cause::TimeUp);
        }
        while route.advance() {
            // A request with a ticket is no newcomer.
            let obstacle = match (route.ticket.get(), route.upstream()) {
                (None, Some(upstream)) => {
                    let class = route.standing.priority;
                    self.obstacle(core, upstream, class, route.generation, now)
                }
                (Some(_), _) | (_, None) => None,
            };
            let refusal = match obstacle {
                Some(refusal) => refusal,
                None => match self.offer(route, now) {
                    Ok(()) => return,
                    Err((back, refusal)) => {
                        route = back;
                        refusal
                    }
                },
            };
            let limits = route.limits();
            if route.walk.traversal.declined(refusal, &limits, now) {
                return self.park(core, route, now);
            }
        }
        self.conclude(core, route, now);
    }

    /// Newcomers do not overtake requests of their class, or of one before it, that wait for the same upstream.
    fn obstacle(
        &self,
        core: &RouterCore,
        upstream: &Upstream,
        class: Priority,
        generation: u64,
        now: Time,
    ) -> Option<Refusal> {
        // Requests that began under another configuration may be waiting for keys that this one has no more.
        if !core.room.contended(upstream, class)
            || !core.room.any(&upstream.provider, |other| {
                other.generation == generation && other.standing.priority <= class
            })
        {
            return None;
        }
        let next = core.room.next_wake_for(&upstream.provider);
        Some(Refusal::until(
            Reason::Contended,
            next.unwrap_or(now + LOOK_AGAIN)
                .max(now + Duration::from_millis(1)),
        ))
    }

    fn offer(
        &self,
        route: Box<RouteRequest>,
        now: Time,
    ) -> Result<(), (Box<RouteRequest>, Refusal)> {
        let table = self.table.load();
        let slot = route
            .upstream()
            .and_then(|upstream| table.providers.get(&upstream.provider));
        let Some(slot) = slot else {
            return Err((route, Refusal::open_ended(Reason::NoKeys)));
        };
        let (handle, life) = (slot.handle.clone(), slot.status.life.get());
        match handle.send(ProviderMessage::Offer(route)) {
            Err(ProviderMessage::Offer(route)) => Err((route, down(life, now))),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn returned(&self, core: &mut RouterCore, mut route: Box<RouteRequest>, refusal: Refusal) {
        let (limits, now) = (route.limits(), self.clock.now());
        if route.walk.traversal.declined(refusal, &limits, now) {
            return self.park(core, route, now);
        }
        self.walk(core, route);
    }

    /// Every candidate was asked: wait, or give up.
    fn conclude(&self, core: &mut RouterCore, mut route: Box<RouteRequest>, now: Time) {
        let (limits, chain) = (route.limits(), Arc::clone(&route.chain));
        let behind_restart =
            |declined: &[(usize, Refusal)]| is_behind_a_restart(core, &chain, declined, now);
        let RouteProgress {
            traversal,
            grace_until,
            ..
        } = &mut route.walk;
        match traversal.conclude(&limits, grace_until, behind_restart, now) {
            Conclusion::Again => self.walk(core, route),
            Conclusion::Refuse(cause) => refuse(route, cause),
            // Something became ready during this traversal: its refusals may be out of date.
            Conclusion::Wait if route.walk.seen != core.ready_count => {
                route.walk.seen = core.ready_count;
                route.walk.traversal = Traversal::default();
                self.walk(core, route);
            }
            Conclusion::Wait => self.park(core, route, now),
        }
    }

    fn park(&self, core: &mut RouterCore, mut route: Box<RouteRequest>, now: Time) {
        if route.reply.is_closed() {
            return;
        }
        let declined = &route.walk.traversal.declined;
        let hopeful = declined
            .iter()
            .filter(|(_, refusal)| refusal.reason.may_pass());
        let wants = hopeful
            .clone()
            // A request without retry budget does not block others.
            .filter(|(_, refusal)| refusal.reason != Reason::RetryBudget)
            .filter_map(|(index, refusal)| {
                let upstream = route.chain.upstreams.get(*index)?;
                Some(Want {
                    provider: upstream.provider.clone(),
                    model: refusal.reason.is_of_model().then(|| upstream.model.clone()),
                })
            })
            .collect();
        let again = now + look_again(core.room.len());
        let wake_at = hopeful
            .map(|(_, refusal)| refusal.ready_at.unwrap_or(again))
            .min()
            .unwrap_or(again)
            // Never at `now`: a request is not offered twice at the same moment. A millisecond late does no harm.
            .max(now + Duration::from_millis(1))
            .min(
                (route.limits().until(route.walk.grace_until))
                    .max(route.patience_until)
                    .min(route.deadline),
            );
        let had_a_place = route.ticket.get().is_some();
        let standing = &route.standing;
        let ticket = *(route.ticket).get_or_init(|| core.room.ticket(standing.priority));
        route.walk.parked_at.get_or_insert(now);
        let waiter = Waiter {
            ticket,
            standing: route.standing.clone(),
            wake_at,
            wants,
            payload: route,
        };
        if had_a_place {
            // It had a place before it was called to look again.
            return core.room.park_again(waiter);
        }
        core.room.resize(self.table.load().max_waiting);
        if let Err(waiter) = core.room.park(waiter) {
            // Requests whose callers left take no place.
            core.room.leave(|route| route.reply.is_closed());
            if let Err(waiter) = core.room.park(waiter) {
                if !std::mem::replace(&mut core.full, true) {
                    let waiting = u64::try_from(core.room.len()).unwrap_or(u64::MAX);
                    events::waiting_room_full(waiting);
                }
                let (Ok(out) | Err(out)) = core.room.displace(waiter);
                refuse(out.payload, Cause::RoomFull);
            }
        }
    }

    fn decide(&self, core: &mut RouterCore, child: Child) {
        let history = core.histories.entry(child.clone()).or_default();
        let decision = history.exited(&self.restart, self.clock.now());
        // Without a supervisor the whole tree is about to be started again.
        drop(
            self.supervisor
                .send(SupervisorMessage::Decided(child, decision)),
        );
    }

    fn set_timer(&self, state: &mut RouterState, myself: &ActorRef<RouterMessage>) {
        let next = state
            .handoff
            .get_mut()
            .and_then(|core| core.room.next_wake());
        let Some(next) = next else { return };
        if state.timer.is_some_and(|timer| timer <= next) {
            return;
        }
        state.timer = Some(next);
        // The tick of a timer that was set for later comes too; it sets no new one.
        let wait = next.until(self.clock.now());
        drop(myself.send_after(wait, move || RouterMessage::Tick(next)));
    }
}

/// The interval at which a request that waits for something without a known end is offered again.
fn look_again(waiting: usize) -> Duration {
    let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
    let each = LOOK_AGAIN_EACH.saturating_mul(waiting);
    each.clamp(LOOK_AGAIN, LOOK_AGAIN_LATEST)
}

/// Whether a request with these refusals stands behind others that only wait for the restart of an actor.
fn is_behind_a_restart(
    core: &RouterCore,
    chain: &Chain,
    declined: &[(usize, Refusal)],
    now: Time,
) -> bool {
    let contended = declined.iter();
    let mut contended = contended.filter(|(_, refusal)| refusal.reason == Reason::Contended);
    contended.any(|(at, _)| {
        chain.upstreams.get(*at).is_some_and(|upstream| {
            core.room.any(&upstream.provider, |other| {
                other.walk.grace_until.is_some_and(|end| now < end)
            })
        })
    })
}

/// The refusal of a provider whose actor does not run.
fn down(life: Life, now: Time) -> Refusal {
    match life {
        Life::Quarantined => Refusal::open_ended(Reason::Quarantined),
        Life::Up | Life::Restarting => Refusal::until(Reason::Restarting, now + RESTART_POLL),
    }
}

fn refuse(route: Box<RouteRequest>, cause: Cause) {
    let refused = LeaseRefused {
        cause,
        declined: route.walk.traversal.declined,
    };
    // A task that is gone needs no answer.
    drop(route.reply.send(LeaseReply::Refused(refused)));
}
