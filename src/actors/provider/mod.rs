//! One provider's actor: its breakers, and the rotation of its keys.
//!
//! It takes a route from the router, decides whether the upstream may be asked, and offers the route to
//! one key after the other until one admits it. See `actors.md`.

mod manual;
pub(crate) mod published;
mod renewed;
mod ring;

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::expiry_timer::ExpiryTimer;
use super::fault_hook::FaultHook;
use super::handle::Handle;
use super::handoff::StateHandoff;
use super::lease::LeaseRecord;
use super::message::key::KeyMessage;
use super::message::provider::ProviderMessage;
use super::message::router::RouterMessage;
use super::route::{ProviderVisit, RouteRequest};
use super::status::ProviderStatus;
use crate::domain::breaker::BreakerChange;
use crate::domain::dialect::Operation;
use crate::domain::ids::{ModelName, ProviderName, Upstream};
use crate::domain::outcome::Class;
use crate::domain::provider_state::{Pass, ProviderState, UpstreamChange};
use crate::domain::refusal::{Reason, Refusal};
use crate::domain::rotation::Rotation;
use crate::domain::time::Time;
use crate::runtime::clock::Clock;
use crate::telemetry::events;

pub(crate) use ring::{KeyRing, KeySlot, RESTART_POLL};

/// What a provider's actor owns and leaves to its next incarnation.
#[derive(Debug)]
pub struct ProviderCore {
    state: ProviderState,
    rotation: Rotation,
    ring: Arc<KeyRing>,
    /// The first configuration with the present address: what is known is not about an earlier one.
    moved: u64,
    /// The probes under way: a token that is gone means that its probe is.
    probes: HashMap<ModelName, Weak<()>>,
    /// The timer of this incarnation: when something that was published ends.
    timer: ExpiryTimer,
    /// Something was published with the present message.
    published: bool,
    /// A test has spoilt this state: no message is survived with it.
    #[cfg(test)]
    spoilt: bool,
}

impl ProviderCore {
    pub(crate) fn new(state: ProviderState, rotation: Rotation, ring: Arc<KeyRing>) -> Self {
        Self {
            state,
            rotation,
            ring,
            moved: 0,
            probes: HashMap::new(),
            timer: ExpiryTimer::default(),
            published: false,
            #[cfg(test)]
            spoilt: false,
        }
    }

    /// Whether what became of a lease tells about the address that the provider has now.
    fn is_from_here(&self, record: &LeaseRecord) -> bool {
        // A key that was taken away is told about by its last lease still.
        let seat = self.ring.seat(record.place);
        seat.map_or(self.moved == 0, |seat| seat.since >= self.moved)
    }
}

/// The fixed part of a provider's actor.
#[derive(Clone)]
pub(crate) struct ProviderActor {
    pub(crate) name: Arc<str>,
    pub(crate) id: ProviderName,
    /// What the supervisor last said; the actor takes it over with its next message.
    pub(crate) ring: Arc<ArcSwap<KeyRing>>,
    pub(crate) status: Arc<ProviderStatus>,
    pub(crate) router: Handle<RouterMessage>,
    pub(crate) clock: Clock,
    pub(crate) fault_hook: FaultHook,
}

impl Actor for ProviderActor {
    type Msg = ProviderMessage;
    type State = StateHandoff<ProviderCore>;
    type Arguments = StateHandoff<ProviderCore>;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        mut handoff: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        if let Some(core) = handoff.get_mut() {
            // Timers end with their incarnation.
            core.timer = ExpiryTimer::default();
            self.set_alarm(core, &myself);
        }
        Ok(handoff)
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        handoff: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if !matches!(message, ProviderMessage::Tick(_)) {
            self.status.mailbox.taken();
        }
        self.fault_hook.fire(&self.name, message.name());
        let Some(core) = handoff.get_mut() else {
            return Ok(());
        };
        #[cfg(test)]
        self.fault_hook.spoil(&self.name, &mut core.spoilt);
        let ring = self.ring.load();
        if !Arc::ptr_eq(&ring, &core.ring) {
            let moved = ring.endpoint != core.ring.endpoint;
            core.ring = Arc::clone(&ring);
            core.rotation.configure(ring.rotation);
            if moved {
                // What is known is about another place. What an operator ordered is not.
                let held = core.state.held(self.clock.now());
                core.state = ProviderState::new(ring.breaker, ring.retry_budget);
                if let Some(until) = held {
                    core.state.hold(until);
                }
                core.probes.clear();
                let seats = ring.keys.iter().flatten();
                let present = seats.filter(|seat| seat.until.is_none());
                core.moved = present.map(|seat| seat.since).min().unwrap_or(u64::MAX);
                self.publish(core, self.clock.now());
            } else {
                core.state.configure(ring.breaker, ring.retry_budget);
            }
        }
        drop(ring);
        match message {
            ProviderMessage::Offer(route) => self.offer(core, route),
            ProviderMessage::Declined {
                mut route,
                key,
                refusal,
            } => {
                let visit = &mut route.walk.visit;
                visit.asked.push(key);
                visit.refusal = Some(sooner(visit.refusal, refusal));
                // What the key said before it declined may concern all keys.
                let now = self.clock.now();
                if let Some(until) = core.state.cooling(now) {
                    self.withdraw(core, &mut route, now);
                    self.give_back(route, Refusal::until(Reason::Cooling, until));
                } else {
                    self.find_key(core, route, now);
                }
            }
            ProviderMessage::Began(record) => self.began(core, &record),
            ProviderMessage::Report(record) => self.report(core, &record),
            ProviderMessage::CoolAll { until } => self.cool_all(core, until),
            ProviderMessage::Manual(order, reply) => {
                self.manual(core, &order);
                // Whoever ordered it may be gone; it is done all the same.
                let _ = reply.send(());
            }
            ProviderMessage::Tick(at) => self.fired(core, at),
        }
        if std::mem::take(&mut core.published) {
            self.set_alarm(core, &myself);
        }
        Ok(())
    }
}

fn sooner(known: Option<Refusal>, new: Refusal) -> Refusal {
    known.map_or(new, |known| known.sooner(new))
}

impl ProviderActor {
    fn offer(&self, core: &mut ProviderCore, mut route: Box<RouteRequest>) {
        let Some(upstream) = route.upstream().cloned() else {
            return;
        };
        let now = self.clock.now();
        if route.generation < core.moved {
            // It goes to an earlier address, which nothing is known about any more.
            route.walk.visit = ProviderVisit::default();
            return self.find_key(core, route, now);
        }
        let operation = route.operation;
        let gate = self.gate(core, &upstream, operation, route.ask.first, now);
        let insists = route.walk.traversal.insists;
        let gate = gate.and_then(|pass| {
            let absent = core.state.not_offered(&upstream.model, operation, now);
            match absent.filter(|_| !insists) {
                Some(until) => Err(Refusal::until(Reason::NotOffered, until)),
                None => Ok(pass),
            }
        });
        let gate = gate.and_then(|pass| match pass.probe || insists {
            true => Ok(pass),
            false => self.ramp(core, &upstream.model, now).map(|()| pass),
        });
        match gate {
            Err(refusal) => self.give_back(route, refusal),
            Ok(pass) => {
                core.state
                    .started(&upstream.model, pass, route.charge(), now);
                let probe = pass.probe.then(|| {
                    let token = Arc::new(());
                    core.probes
                        .insert(upstream.model.clone(), Arc::downgrade(&token));
                    token
                });
                if probe.is_some() {
                    events::breaker_half_open(&self.id, &upstream.model);
                    self.publish(core, now);
                }
                route.walk.visit = ProviderVisit {
                    pass: Some(pass),
                    since: now,
                    probe,
                    ..ProviderVisit::default()
                };
                self.find_key(core, route, now);
            }
        }
    }

    /// Whether an upstream that recovers takes this one, which can go elsewhere.
    fn ramp(&self, core: &mut ProviderCore, model: &ModelName, now: Time) -> Result<(), Refusal> {
        let Some(admits) = core.state.ramp(model, now) else {
            return Ok(());
        };
        self.publish(core, now);
        admits
            .then_some(())
            .ok_or(Refusal::open_ended(Reason::Recovering))
    }

    /// The gate of `domain::provider_state`, after noticing whether a probe was lost.
    fn gate(
        &self,
        core: &mut ProviderCore,
        upstream: &Upstream,
        operation: Operation,
        first: bool,
        now: Time,
    ) -> Result<Pass, Refusal> {
        let model = &upstream.model;
        let gate = core.state.gate(model, operation, first, now);
        let lost = match gate {
            Err(refusal) if refusal.reason == Reason::BreakerOpen => core
                .probes
                .get(model)
                .is_some_and(|probe| probe.strong_count() == 0),
            Ok(_) | Err(_) => false,
        };
        if !lost {
            return gate;
        }
        core.probes.remove(model);
        core.state.probe_lost(model);
        self.publish(core, now);
        core.state.gate(model, operation, first, now)
    }

    /// Offers the route to the next key in rotation that looks ready; gives it back when there is none.
    fn find_key(&self, core: &mut ProviderCore, mut route: Box<RouteRequest>, now: Time) {
        let Some(upstream) = route.upstream().cloned() else {
            return;
        };
        loop {
            let Some(place) = self.next_key(core, &mut route, &upstream, now) else {
                let refusal = route.walk.visit.refusal;
                self.withdraw(core, &mut route, now);
                let refusal = refusal.unwrap_or(Refusal::open_ended(Reason::NoKeys));
                return self.give_back(route, refusal);
            };
            let Some(seat) = core.ring.seat(place) else {
                return;
            };
            match seat.handle.send(KeyMessage::Offer(route)) {
                Ok(()) => return,
                Err(KeyMessage::Offer(back)) => {
                    route = back;
                    let visit = &mut route.walk.visit;
                    visit.asked.push(place);
                    let back_soon = Refusal::until(Reason::Restarting, now + RESTART_POLL);
                    visit.refusal = Some(sooner(visit.refusal, back_soon));
                }
                // Only what was sent comes back.
                Err(_) => return,
            }
        }
    }

    /// The place of the key to offer the route to: in rotation among those that look ready. Before that the
    /// one that refused this request last says until when. What it published may lag behind its refusal, but
    /// its mailbox does not: it holds the settlement before this offer, and that may cool all keys.
    fn next_key(
        &self,
        core: &mut ProviderCore,
        route: &mut RouteRequest,
        upstream: &Upstream,
        now: Time,
    ) -> Option<usize> {
        let (at, tokens) = (route.walk.traversal.at, route.tokens);
        let (ring, generation) = (&core.ring, route.generation);
        let place_of = |index: u32| usize::try_from(index).ok()?.checked_sub(1);
        let here = |pair: &(usize, u32)| if pair.0 == at { place_of(pair.1) } else { None };
        let ProviderVisit { asked, refusal, .. } = &mut route.walk.visit;
        let refused: Vec<usize> = route.ask.refused_keys.iter().filter_map(here).collect();
        let avoid = route.ask.avoid.as_ref().and_then(here);
        let not_with = route.ask.not_with.as_ref().and_then(here);
        let mut looks_ready = |place: usize| {
            let Some(seat) = ring.seat(place) else {
                return false;
            };
            if asked.contains(&place) || !seat.is_for(generation) {
                return false;
            }
            let why_not = match not_with == Some(place) {
                true => Some(Refusal::open_ended(Reason::Unsuitable)),
                false => seat.why_not(&upstream.model, tokens, now),
            };
            if let Some(why) = why_not {
                *refusal = Some(sooner(*refusal, why));
            }
            why_not.is_none()
        };
        let in_flight = |place: usize| ring.seat(place).map_or(0, |seat| seat.status.in_flight());
        let latest = refused.last().copied();
        if let Some(latest) = latest.filter(|place| {
            !asked.contains(place)
                && not_with != Some(*place)
                && ring
                    .seat(*place)
                    .is_some_and(|seat| seat.is_for(generation))
        }) {
            return Some(latest);
        }
        let fresh = |place: usize| !refused.contains(&place) && looks_ready(place);
        let place = |turn: usize| ring.order.get(turn).copied().unwrap_or(usize::MAX);
        let avoid = avoid.and_then(|avoid| ring.order.iter().position(|place| *place == avoid));
        let fresh = {
            let mut fresh = fresh;
            move |turn: usize| fresh(place(turn))
        };
        let busy = |turn: usize| in_flight(place(turn));
        let next = core.rotation.pick(ring.order.len(), avoid, fresh, busy);
        self.status.publish_turn(core.rotation.turn());
        next.map(place)
    }

    fn withdraw(&self, core: &mut ProviderCore, route: &mut RouteRequest, now: Time) {
        let visit = std::mem::take(&mut route.walk.visit);
        let (Some(pass), Some(upstream)) = (visit.pass, route.upstream()) else {
            return;
        };
        core.state
            .withdrawn(&upstream.model, pass, route.charge(), visit.since, now);
        if pass.probe {
            core.probes.remove(&upstream.model);
            self.publish(core, now);
        }
    }

    fn give_back(&self, route: Box<RouteRequest>, refusal: Refusal) {
        // Without a router the walk is lost: the route's task asks again.
        drop(self.router.send(RouterMessage::Returned { route, refusal }));
    }

    /// A probe's answer has begun well: others need not wait for its end.
    fn began(&self, core: &mut ProviderCore, record: &LeaseRecord) {
        if core.is_from_here(record) && take_probe(core, record) {
            self.ended(core, record, Class::Success, false, true);
        }
    }

    fn report(&self, core: &mut ProviderCore, record: &LeaseRecord) {
        let Some(settlement) = record.outcome() else {
            return;
        };
        if !core.is_from_here(record) {
            return;
        }
        let probe = take_probe(core, record);
        self.ended(core, record, settlement.class, settlement.counts, probe);
    }

    fn ended(
        &self,
        core: &mut ProviderCore,
        record: &LeaseRecord,
        class: Class,
        counts: bool,
        probe: bool,
    ) {
        let now = self.clock.now();
        let (model, operation) = (&record.upstream.model, record.operation);
        let change = core
            .state
            .settled(model, operation, class, counts, probe, now);
        let Some(change) = change else { return };
        let before = self.status.view();
        self.publish(core, now);
        match change {
            // Who has nowhere else to go is told the same again and again.
            UpstreamChange::Absent(absence) => {
                if before
                    .upstream(model)
                    .is_none_or(|it| !it.absences.has(&absence, now))
                {
                    events::absent(&self.id, model, &absence, now);
                }
            }
            UpstreamChange::Served => {}
            UpstreamChange::Circuit(change) => {
                let span = match change {
                    BreakerChange::Opened { until, .. } => until.since(now),
                    BreakerChange::Closed | BreakerChange::ProbeFree => Duration::ZERO,
                };
                events::breaker_changed(&self.id, model, change, span);
                match change {
                    BreakerChange::Closed | BreakerChange::ProbeFree => self.ready(usize::MAX),
                    BreakerChange::Opened { .. } => {}
                }
            }
        }
    }

    fn cool_all(&self, core: &mut ProviderCore, until: Time) {
        let now = self.clock.now();
        let until = core.state.cool(until);
        self.publish(core, now);
        events::provider_cooling(&self.id, until.since(now));
    }

    fn ready(&self, slots: usize) {
        let provider = self.id.clone();
        drop(self.router.send(RouterMessage::Ready { provider, slots }));
    }
}

/// Whether the lease is the present probe of its upstream; if so, it is none any more. One that was given up
/// as lost and replaced has no say.
fn take_probe(core: &mut ProviderCore, record: &LeaseRecord) -> bool {
    let model = &record.upstream.model;
    let is_probe = record.probe.as_ref().is_some_and(|token| {
        core.probes
            .get(model)
            .is_some_and(|current| std::ptr::eq(current.as_ptr(), Arc::as_ptr(token)))
    });
    if is_probe {
        core.probes.remove(model);
    }
    is_probe
}
