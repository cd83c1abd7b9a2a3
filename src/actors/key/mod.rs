//! One API key's actor: the only authority on whether the key may be used right now.
//!
//! It admits routes as leases, learns from their outcomes, and reports to its provider. See `actors.md`.

mod fleet;
mod manual;
mod port;
pub(crate) mod published;
mod renewed;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::expiry_timer::ExpiryTimer;
use super::fault_hook::FaultHook;
use super::handle::Handle;
use super::handoff::{OnEnd, StateHandoff};
use super::lease::{Lease, LeaseRecord, SettlePort};
use super::message::fleet::FleetMessage;
use super::message::key::KeyMessage;
use super::message::provider::ProviderMessage;
use super::message::router::RouterMessage;
use super::route::{LeaseReply, RouteRequest};
use super::status::{KeySettings, KeyStatus, ProviderStatus};
use crate::domain::allowance::Allowance;
use crate::domain::fleet::FactKind;
use crate::domain::hash_map::HashMap;
use crate::domain::ids::{LeaseId, ModelName, ProviderName};
use crate::domain::key_state::{KeyChange, KeyState};
use crate::domain::outcome::Class;
use crate::domain::refusal::{Reason, Refusal};
use crate::domain::secret::ApiKey;
use crate::domain::time::Time;
use crate::runtime::clock::Clock;
use crate::telemetry::events;

pub(crate) use port::KeyPort;

/// What was learned of limits is published so often at most: it changes with every answer.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);

/// What a key's actor owns and leaves to its next incarnation.
#[derive(Debug)]
pub struct KeyCore {
    state: KeyState,
    live: HashMap<LeaseId, Arc<LeaseRecord>>,
    /// A route was declined since the last lease ended, so that requests may be waiting.
    wanted: bool,
    /// Where the count of leases is published.
    status: Arc<KeyStatus>,
    /// The settings that the state was last updated with.
    settings: Arc<KeySettings>,
    /// The configuration has it no longer.
    retired: bool,
    /// When what was learned is published again at the earliest.
    publish_at: Time,
    /// The timer of this incarnation: when something that was published ends.
    timer: ExpiryTimer,
    /// Something was published with the present message.
    published: bool,
    /// What is tried here first, before other processes of the fleet.
    tried: Vec<(FactKind, Option<ModelName>)>,
    /// A test has spoilt this state: no message is survived with it.
    #[cfg(test)]
    spoilt: bool,
}

impl KeyCore {
    pub(crate) fn new(state: KeyState, status: Arc<KeyStatus>) -> Self {
        Self {
            state,
            settings: status.settings(),
            status,
            retired: false,
            live: HashMap::default(),
            wanted: false,
            publish_at: Time::ZERO,
            timer: ExpiryTimer::default(),
            published: false,
            tried: Vec::new(),
            #[cfg(test)]
            spoilt: false,
        }
    }
}

impl OnEnd for KeyCore {
    /// Counts the live leases anew: reports of ended ones were lost with the mailbox, and their records have the outcomes.
    fn on_end(&self) {
        let live = self.live.values();
        let live = live.filter(|record| record.outcome().is_none());
        self.status.publish_in_flight(live.count());
    }
}

/// The fixed part of a key's actor: the same for every incarnation.
#[derive(Clone)]
pub(crate) struct KeyActor {
    pub(crate) name: Arc<str>,
    pub(crate) place: usize,
    pub(crate) provider_name: ProviderName,
    pub(crate) material: Arc<Option<ApiKey>>,
    pub(crate) handle: Handle<KeyMessage>,
    pub(crate) status: Arc<KeyStatus>,
    pub(crate) port: Arc<dyn SettlePort>,
    /// Leases that have not ended.
    pub(crate) live: Arc<AtomicU32>,
    pub(crate) provider: Handle<ProviderMessage>,
    pub(crate) provider_status: Arc<ProviderStatus>,
    pub(crate) router: Handle<RouterMessage>,
    /// In a process that belongs to a fleet.
    pub(crate) fleet: Option<Handle<FleetMessage>>,
    pub(crate) clock: Clock,
    pub(crate) fault_hook: FaultHook,
}

impl Actor for KeyActor {
    type Msg = KeyMessage;
    type State = StateHandoff<KeyCore>;
    type Arguments = StateHandoff<KeyCore>;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        mut handoff: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        // Reachable before it looks for what ended in the meantime: no end falls in between. Until it has looked, its
        // provider does not go by what the last incarnation published: see `KeyStatus::looks_full`.
        self.handle.reachable(myself.clone());
        self.status.begin_incarnation();
        if let Some(core) = handoff.get_mut() {
            self.catch_up(core);
            self.status.publish_in_flight(core.state.in_flight());
            // Timers end with their incarnation.
            core.timer = ExpiryTimer::default();
            self.set_alarm(core, &myself);
        }
        self.status.mailbox.taken();
        Ok(handoff)
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        handoff: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let is_counted = !matches!(message, KeyMessage::Tick(_));
        self.fault_hook.fire(&self.name, message.name());
        let Some(core) = handoff.get_mut() else {
            return Ok(());
        };
        #[cfg(test)]
        self.fault_hook.spoil(&self.name, &mut core.spoilt);
        // The supervisor may have written other settings since the last message.
        let settings = self.status.settings();
        if !Arc::ptr_eq(&settings, &core.settings) {
            core.state.configure(settings.limits, settings.cooldown);
            core.settings = settings;
            // It may have published something since these settings came.
            self.status.forget_unlearned();
            self.tell_limited(core, self.clock.now());
        }
        match message {
            KeyMessage::Offer(route) => self.offer(core, route),
            KeyMessage::Retire => core.retired = true,
            KeyMessage::Began(record) => self.began(core, &record),
            KeyMessage::Heard {
                record,
                allowances,
                first_byte,
            } => self.heard(core, &record, &allowances, first_byte),
            KeyMessage::Settled(record) => self.settled(core, &record),
            KeyMessage::Manual(order, reply) => {
                self.manual(core, order);
                // The sender may be gone; the command is carried out all the same.
                let _ = reply.send(());
            }
            KeyMessage::Fleet(word) => self.fleet_says(core, word),
            KeyMessage::Tick(at) => self.ended(core, at),
        }
        if std::mem::take(&mut core.published) {
            self.set_alarm(core, &myself);
            self.tell_fleet(core);
        }
        if is_counted {
            // The message is taken off the count only after what follows from it is published: see
            // `KeyStatus::looks_full`.
            self.status.mailbox.taken();
        }
        if core.retired && core.live.is_empty() {
            myself.stop(None);
        }
        Ok(())
    }
}

impl KeyActor {
    /// Settles what ended while no incarnation ran.
    fn catch_up(&self, core: &mut KeyCore) {
        let ended: Vec<_> = core
            .live
            .values()
            .filter(|record| record.outcome().is_some())
            .cloned()
            .collect();
        for record in ended {
            self.settled(core, &record);
        }
    }

    fn offer(&self, core: &mut KeyCore, mut route: Box<RouteRequest>) {
        if route.reply.is_closed() {
            return;
        }
        let Some(upstream) = route.upstream().cloned() else {
            return;
        };
        let now = self.clock.now();
        let record = Arc::new(LeaseRecord::new(
            upstream,
            route.operation,
            self.place,
            route.walk.visit.probe.take(),
        ));
        let model = &record.upstream.model;
        let admitted = if core.retired {
            Err(Refusal::open_ended(Reason::NoKeys))
        } else if self.has_refused(&route) {
            let ready = core.state.readiness(model, route.tokens, now);
            ready.and(Err(Refusal::open_ended(Reason::KeysTried)))
        } else {
            let passes = self.still_passes(&route, model, now);
            passes.and_then(|()| core.state.admit(record.id, model, route.tokens, now))
        };
        // Declined: what the key learned is published, so that routes like this one do not come here in vain.
        if let Err(refusal) = admitted {
            core.wanted = true;
            match (refusal.reason, refusal.ready_at) {
                (Reason::Paced, Some(until)) => {
                    core.state.held_back(model, now);
                    self.status.publish_paced(model, route.tokens, until, now);
                }
                (Reason::Limited, _) => {
                    let limited = core.state.limited(route.tokens, now);
                    self.status.publish_limited(limited);
                }
                _ => {}
            }
            route.walk.visit.probe = Arc::into_inner(record).and_then(|record| record.probe);
            let declined = ProviderMessage::Declined {
                route,
                key: self.place,
                refusal,
            };
            // A provider that is down has lost the route: the route's task asks again.
            drop(self.provider.send(declined));
            return;
        }
        // Admitted: the record is in the core before the lease exists, so that a crash loses no lease.
        core.live.insert(record.id, Arc::clone(&record));
        if core.state.is_trial(record.id) {
            self.publish(core, now);
        }
        self.count(core);
        self.status.used.put(core.state.used_shares(now), now);
        // The next one like this need not ask.
        self.status
            .publish_limited(core.state.limited(route.tokens, now));
        let lease = Lease {
            index: route.walk.traversal.at,
            key: self.status.id.clone(),
            material: Arc::clone(&self.material),
            token: std::sync::OnceLock::new(),
            waited: route
                .walk
                .parked_at
                .is_some_and(|parked_at| now > parked_at),
            asked: now,
            passed_over: std::mem::take(&mut route.walk.traversal.declined),
            preference: route.walk.visit.preference.take(),
            trial: record.probe.is_some() || core.state.is_trial(record.id),
            record,
            port: Arc::clone(&self.port),
        };
        // If the task is gone the lease comes back in the error and settles itself.
        drop(route.reply.send(LeaseReply::Lease(lease)));
    }

    /// Counts a lease that is about to be given.
    fn count(&self, core: &KeyCore) {
        self.live.fetch_add(1, Ordering::Relaxed);
        self.status.publish_attempt();
        self.status.publish_in_flight(core.state.in_flight());
    }

    /// Whether the provider would still let the route pass, by what it published: the route may have waited here while
    /// its breaker opened, or the model was found to be gone.
    fn still_passes(
        &self,
        route: &RouteRequest,
        model: &ModelName,
        now: Time,
    ) -> Result<(), Refusal> {
        // A probe is what the breaker waits for; a route without a pass goes to an earlier address.
        let asks = route.walk.visit.pass.is_some_and(|pass| !pass.probe);
        if !asks {
            return Ok(());
        }
        let view = self.provider_status.view();
        view.gate(model, Some(route.operation), now).map(|_| ())
    }

    /// Whether this request was refused by this very key, and has not waited since. It is asked all the
    /// same, when no other key is left: only here is it known when it will be ready.
    fn has_refused(&self, route: &RouteRequest) -> bool {
        let here = (route.walk.traversal.at, self.status.id.index);
        route.ask.refused_keys.contains(&here)
    }

    /// A trial's answer has begun well: the key is valid.
    fn began(&self, core: &mut KeyCore, record: &LeaseRecord) {
        if let Some(change) = core.state.began(record.id) {
            self.announce(core, &change);
        }
    }

    /// An answer's head is there, maybe with news of the key's limits.
    fn heard(
        &self,
        core: &mut KeyCore,
        record: &LeaseRecord,
        allowances: &[Allowance],
        first_byte: Option<Duration>,
    ) {
        let now = self.clock.now();
        core.state.heard(record.id, allowances, first_byte, now);
        let model = &record.upstream.model;
        self.tell_paced(core, model, now);
        self.publish_limits(core, model, now);
    }

    /// Whether room that a configured limit had reserved is free again, for requests that were made to wait for it.
    fn tell_limited(&self, core: &KeyCore, now: Time) -> bool {
        let Some(tokens) = self.status.limited_tokens() else {
            return false;
        };
        let limited = core.state.limited(tokens, now);
        self.status.publish_limited(limited);
        self.status.limited_tokens().is_none()
    }

    /// A model's limits have changed: requests that were made to wait for them may be offered again, unless the limits
    /// still do not suffice.
    fn tell_paced(&self, core: &KeyCore, model: &ModelName, now: Time) {
        let Some(tokens) = self.status.forget_paced(model) else {
            return;
        };
        match core.state.readiness(model, tokens, now) {
            Ok(()) => self.ready(usize::MAX),
            Err(Refusal {
                reason: Reason::Paced,
                ready_at: Some(until),
            }) => self.status.publish_paced(model, tokens, until, now),
            Err(_) => {}
        }
    }

    /// Publishes what was learned: the limit of concurrency when it changes, other limits from time to time, and at
    /// once when nothing is left for `model` any more, which is what the next process has to know.
    fn publish_limits(&self, core: &mut KeyCore, model: &ModelName, now: Time) {
        let concurrency = core.state.learned_concurrency();
        self.status.publish_concurrency(concurrency);
        let is_used_up = || core.state.is_used_up(model, now);
        if now >= core.publish_at || (!self.status.is_used_up(model, now) && is_used_up()) {
            core.publish_at = now + PUBLISH_EVERY;
            let known = core.state.learned_limits(now);
            self.status
                .publish_limits(known, core.state.limits_memory(now));
        }
    }

    fn settled(&self, core: &mut KeyCore, record: &Arc<LeaseRecord>) {
        let (Some(_), Some(settlement)) = (core.live.remove(&record.id), record.outcome()) else {
            return;
        };
        let now = self.clock.now();
        // While it was full others were not even asked to be declined.
        let wanted = std::mem::take(&mut core.wanted) || core.state.is_full(now);
        let was_trial = core.state.is_trial(record.id);
        let change = core.state.settle(record.id, settlement, now);
        if settlement.class == Class::Success && !core.tried.is_empty() {
            self.tried(core, &record.upstream.model);
        }
        self.status.publish_in_flight(core.state.in_flight());
        self.status.used.put(core.state.used_shares(now), now);
        // First of all: what is published survives whatever may go wrong.
        match change {
            Some(change) => self.announce(core, &change),
            // The probe gave no evidence about the key: the next request may probe it.
            None if was_trial => self.publish(core, now),
            None => {}
        }
        let wanted = self.tell_limited(core, now) || was_trial || wanted;
        self.status
            .publish_concurrency(core.state.learned_concurrency());
        self.tell_paced(core, &record.upstream.model, now);
        if settlement.class == Class::RateLimited {
            self.publish_limits(core, &record.upstream.model, now);
        }
        if wanted {
            self.ready(1);
        }
    }

    fn announce(&self, core: &mut KeyCore, change: &KeyChange) {
        let now = self.clock.now();
        let id = &self.status.id;
        self.publish(core, now);
        match change {
            KeyChange::Cooling {
                model,
                until,
                reason,
            } => events::key_cooling(id, model.as_ref(), until.since(now), *reason),
            KeyChange::Quarantined { until } => events::key_invalid(id, until.since(now)),
            KeyChange::Held { until } => {
                let span = (*until != Time::NEVER).then(|| until.since(now));
                events::key_held(id, span);
            }
            KeyChange::Cooled { model, until } => {
                events::key_cooled_by_operator(id, model.as_ref(), until.since(now));
            }
            KeyChange::Released => {
                events::key_released(id);
                self.released();
                self.ready(usize::MAX);
            }
            KeyChange::Recovered => {
                events::key_recovered(id);
                self.recovered(FactKind::Invalid, None);
                self.ready(usize::MAX);
            }
            KeyChange::ProviderCooling { until } => {
                drop(
                    self.provider
                        .send(ProviderMessage::CoolAll { until: *until }),
                );
            }
        }
    }

    fn ready(&self, slots: usize) {
        let provider = self.provider_name.clone();
        // Without a router no request waits.
        drop(self.router.send(RouterMessage::Ready { provider, slots }));
    }
}
