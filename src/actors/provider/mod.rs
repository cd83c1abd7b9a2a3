//! One provider's actor: its breakers, and the rotation of its keys.
//!
//! It takes a route from the router, decides whether the upstream may be asked, and offers the route to
//! one key after the other until one admits it. See `actors.md`.

mod fleet;
mod manual;
mod outcomes;
pub(crate) mod published;
mod renewed;
mod ring;

use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::expiry_timer::ExpiryTimer;
use super::fault_hook::FaultHook;
use super::handle::Handle;
use super::handoff::{OnEnd, StateHandoff};
use super::lease::LeaseRecord;
use super::message::fleet::FleetMessage;
use super::message::key::KeyMessage;
use super::message::provider::ProviderMessage;
use super::message::router::RouterMessage;
use super::route::{ProviderVisit, RouteRequest};
use super::status::ProviderStatus;
use crate::domain::dialect::Operation;
use crate::domain::hash_map::HashMap;
use crate::domain::ids::{ModelName, ProviderName, Upstream};
use crate::domain::key_preference::KeyPreference;
use crate::domain::latency::LatencyStats;
use crate::domain::provider_state::{Pass, ProviderState};
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
    /// The probes under way: when a token is gone, its probe has ended.
    probes: HashMap<ModelName, Weak<()>>,
    /// How long answers took, by those models that the configuration names.
    latencies: HashMap<ModelName, LatencyStats>,
    /// The timer of this incarnation: when something that was published ends.
    timer: ExpiryTimer,
    /// Something was published with the present message.
    published: bool,
    /// A test has spoilt this state: no message is survived with it.
    #[cfg(test)]
    spoilt: bool,
}

impl OnEnd for ProviderCore {}

impl ProviderCore {
    pub(crate) fn new(state: ProviderState, rotation: Rotation, ring: Arc<KeyRing>) -> Self {
        Self {
            state,
            rotation,
            ring,
            moved: 0,
            probes: HashMap::default(),
            latencies: HashMap::default(),
            timer: ExpiryTimer::default(),
            published: false,
            #[cfg(test)]
            spoilt: false,
        }
    }

    /// Whether a lease was made under the provider's present address, so that its outcome counts.
    fn is_from_here(&self, record: &LeaseRecord) -> bool {
        // A removed key still gets the outcome of its last lease.
        let seat = self.ring.seat(record.place);
        seat.map_or(self.moved == 0, |seat| seat.since >= self.moved)
    }
}

/// The fixed part of a provider's actor.
#[derive(Clone)]
pub(crate) struct ProviderActor {
    pub(crate) name: Arc<str>,
    pub(crate) id: ProviderName,
    /// The settings that the supervisor wrote last; the actor takes them over with its next message.
    pub(crate) ring: Arc<ArcSwap<KeyRing>>,
    pub(crate) status: Arc<ProviderStatus>,
    pub(crate) router: Handle<RouterMessage>,
    /// In a process that belongs to a fleet.
    pub(crate) fleet: Option<Handle<FleetMessage>>,
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
        // The supervisor may have written other settings since the last message.
        let ring = self.ring.load();
        if !Arc::ptr_eq(&ring, &core.ring) {
            let moved = ring.endpoint != core.ring.endpoint;
            core.ring = Arc::clone(&ring);
            core.rotation.configure(ring.rotation);
            core.latencies
                .retain(|model, _| self.status.latency.is_of(model));
            if moved {
                // What is known is about another address. An operator's hold is about the provider, so it stays.
                let held = core.state.held(self.clock.now());
                core.state = ProviderState::new(ring.breaker, ring.retry_budget);
                if let Some(until) = held {
                    core.state.hold(until);
                }
                core.probes.clear();
                core.latencies.clear();
                self.status.latency.forget();
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
                let now = self.clock.now();
                match self.still_passes(core, &route, now) {
                    Ok(()) => self.find_key(core, route, now),
                    Err(refusal) => {
                        self.withdraw(core, &mut route, now);
                        self.give_back(route, refusal);
                    }
                }
            }
            ProviderMessage::Began(record) => self.began(core, &record),
            // Its key hears of it afterwards, when it is dropped.
            ProviderMessage::Report(end) => self.report(core, end.record()),
            ProviderMessage::CoolAll { until } => self.cool_all(core, until),
            ProviderMessage::Manual(order, reply) => {
                self.manual(core, &order);
                // The sender may be gone; the command is carried out all the same.
                let _ = reply.send(());
            }
            ProviderMessage::Fleet(word) => self.fleet_says(core, word),
            ProviderMessage::Tick(at) => self.fired(core, at),
        }
        if std::mem::take(&mut core.published) {
            self.set_alarm(core, &myself);
            self.tell_fleet(core);
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
        // In order: whether the upstream may be asked at all, whether it lacks the operation, whether a recovering one
        // takes this request. The last two hold only while another candidate may serve.
        let gate = self.gate(core, &upstream, operation, route.ask.first, now);
        let insists = route.walk.traversal.insists;
        let gate = gate.and_then(|pass| {
            let absent = core.state.not_offered(&upstream.model, operation, now);
            match absent.filter(|_| !insists) {
                Some(until) => Err(Refusal::until(Reason::NotOffered, until)),
                None => Ok(pass),
            }
        });
        let gate = gate.and_then(|pass| {
            if pass.probe || insists {
                Ok(pass)
            } else {
                self.ramp(core, &upstream.model, now).map(|()| pass)
            }
        });
        match gate {
            Err(refusal) => self.give_back(route, refusal),
            Ok(pass) => {
                core.state
                    .started(&upstream.model, pass, route.charge(), now);
                // The route holds the token; when it is dropped without an outcome, the probe counts as lost.
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

    /// Whether a route that was let pass would be let pass again. While its first key had it, other outcomes may have
    /// come: a breaker that opened, a model that is gone, all keys cooling.
    fn still_passes(
        &self,
        core: &ProviderCore,
        route: &RouteRequest,
        now: Time,
    ) -> Result<(), Refusal> {
        if let Some(until) = core.state.cooling(now) {
            return Err(Refusal::until(Reason::Cooling, until));
        }
        let (Some(pass), Some(upstream)) = (route.walk.visit.pass, route.upstream()) else {
            // It goes to an earlier address.
            return Ok(());
        };
        if pass.probe {
            // The route is the probe that the breaker waits for.
            return Ok(());
        }
        // Its retry is paid for.
        let gate = core.state.gate(&upstream.model, route.operation, true, now);
        gate.map(|_| ())
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
            route.walk.visit.preference = preference(&core.ring, &route, &upstream, now);
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
        let only = route.ask.only_key.map(place_of);
        // Whether a key is worth asking, by what it published. Of those that are not, the best refusal is noted.
        let mut looks_ready = |place: usize| {
            let Some(seat) = ring.seat(place) else {
                return false;
            };
            let other = only.is_some_and(|only| only != Some(place));
            if other || asked.contains(&place) || !seat.is_for(generation) {
                return false;
            }
            let why_not = if not_with == Some(place) {
                Some(Refusal::open_ended(Reason::Unsuitable))
            } else {
                seat.why_not(&upstream.model, tokens, now)
            };
            if let Some(why) = why_not {
                *refusal = Some(sooner(*refusal, why));
            }
            why_not.is_none()
        };
        let in_flight = |place: usize| ring.seat(place).map_or(0, KeySlot::in_flight);
        // The key that refused this request last is asked first: only its actor knows when it will be ready.
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
        // Else the rotation decides, which counts turns in the configured order.
        let fresh = |place: usize| !refused.contains(&place) && looks_ready(place);
        let place = |turn: usize| ring.order.get(turn).copied().unwrap_or(usize::MAX);
        let avoid = avoid.and_then(|avoid| ring.order.iter().position(|place| *place == avoid));
        let fresh = {
            let mut fresh = fresh;
            move |turn: usize| fresh(place(turn))
        };
        let busy = |turn: usize| in_flight(place(turn));
        let conversation = ring.conversation(route.session, &upstream.provider);
        let count = ring.order.len();
        let next = core.rotation.pick(count, avoid, conversation, fresh, busy);
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
        // Without a router the route is lost: the route's task asks again.
        drop(self.router.send(RouterMessage::Returned { route, refusal }));
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

/// The key that the route's conversation belongs to, and why it is not to be had.
fn preference(
    ring: &KeyRing,
    route: &RouteRequest,
    upstream: &Upstream,
    now: Time,
) -> Option<KeyPreference> {
    let at = route.walk.traversal.at;
    let has_refused = |place: usize| {
        let mut all = route.ask.refused_keys.iter();
        all.any(|(of, index)| *of == at && usize::try_from(*index) == Ok(place + 1))
    };
    ring.preference(route.session, upstream, |place| {
        let seat = ring.seat(place)?;
        if has_refused(place) {
            return Some(Reason::Tried);
        }
        if !seat.is_for(route.generation) {
            return Some(Reason::Unsuitable);
        }
        let visit = &route.walk.visit;
        // What it published may lag behind its own refusal.
        let said = visit.refusal.filter(|_| visit.asked.contains(&place));
        let why_not = seat.why_not(&upstream.model, route.tokens, now);
        why_not.or(said).map(|refusal| refusal.reason)
    })
}
