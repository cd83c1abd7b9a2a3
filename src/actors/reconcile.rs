//! Brings the tree's child slots in line with a configuration: new children get a slot, removed ones lose it, and
//! those that stay keep their state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use arc_swap::ArcSwap;

use super::child::Child;
use super::child_slot::{ActorSlot, ChildSlot};
use super::fault_hook::FaultHook;
use super::fleet::table::{self, FleetParts, FleetTable};
use super::handle::Handle;
use super::handoff::{OnEnd, StateHandoff};
use super::key::{self, KeyActor, KeyCore, KeyPort};
use super::key_index::KeyIndex;
use super::message::provider::ProviderMessage;
use super::message::router::RouterMessage;
use super::provider::{self, KeyRing, KeySlot, ProviderActor, ProviderCore};
use super::router::{ProviderSlot, RoutingTable};
use super::spec::{ProviderSpec, RestoredKey, RestoredProvider, TreeSpec};
use super::status::{
    KeySettings, KeyStatus, LifeStatus, ProviderStatus, ProviderStatuses, RouterStatus, TreeStatus,
};
use crate::domain::hash_map::HashMap;
use crate::domain::ids::{KeyId, ProviderName};
use crate::domain::key_state::KeyState;
use crate::domain::provider_state::ProviderState;
use crate::domain::rotation::{KeyHome, Rotation};
use crate::domain::secret::ApiKey;
use crate::runtime::clock::Clock;

/// What all child slots share.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) router: Handle<RouterMessage>,
    pub(crate) router_status: Arc<RouterStatus>,
    pub(crate) supervisor_life: Arc<LifeStatus>,
    /// What the router looks providers up in.
    pub(crate) table: Arc<ArcSwap<RoutingTable>>,
    /// The statuses that readers outside the actors see.
    pub(crate) statuses: Arc<ArcSwap<TreeStatus>>,
    /// In a process that belongs to a fleet.
    pub(crate) fleet: Option<FleetParts>,
    pub(crate) clock: Clock,
    pub(crate) fault_hook: FaultHook,
}

/// What is left to do once the slots are in line.
pub(crate) struct Reconciliation {
    /// Children whose actors are to be started.
    pub(crate) started: Vec<Child>,
    /// Slots that were removed; their actors still run.
    pub(crate) leaving: Vec<(Child, ChildSlot)>,
    /// Slots that were replaced before they were published, because a supervisor failed in between.
    pub(crate) replaced: Vec<ChildSlot>,
    rings: Vec<(Arc<ArcSwap<KeyRing>>, KeyRing)>,
    settings: Vec<(Arc<KeyStatus>, KeySettings)>,
    table: RoutingTable,
    members: FleetTable,
    statuses: TreeStatus,
}

impl Reconciliation {
    /// Shows the new slots to routers and providers. Their actors should run by now.
    pub(crate) fn publish(self, common: &Common) {
        for (cell, settings) in self.settings {
            cell.configure(settings);
        }
        for (ring, new) in self.rings {
            ring.store(Arc::new(new));
        }
        common.table.store(Arc::new(self.table));
        if let Some(fleet) = &common.fleet {
            fleet.table.store(Arc::new(self.members));
        }
        common.statuses.store(Arc::new(self.statuses));
    }
}

/// Changes `seats` as `spec` says. `places` keeps how many keys a provider that is gone had: their numbers
/// are not given out again, because the last of their leases may still be on its way.
pub(crate) fn reconcile(
    slots: &mut BTreeMap<Child, ChildSlot>,
    places: &mut HashMap<ProviderName, usize>,
    spec: &TreeSpec,
    common: &Common,
) -> Reconciliation {
    let mut difference = Reconciliation {
        started: Vec::new(),
        leaving: Vec::new(),
        replaced: Vec::new(),
        rings: Vec::new(),
        settings: Vec::new(),
        table: RoutingTable {
            providers: HashMap::default(),
            max_waiting: spec.max_waiting,
        },
        members: FleetTable::default(),
        statuses: TreeStatus {
            supervisor: Arc::clone(&common.supervisor_life),
            router: Arc::clone(&common.router_status),
            fleet: common.fleet.as_ref().map(|fleet| Arc::clone(&fleet.status)),
            providers: BTreeMap::new(),
        },
    };
    // Providers that are gone are stopped first, so that their keys are out before others get slots.
    let wanted = |name: &ProviderName| spec.providers.iter().any(|other| other.name == *name);
    let gone: Vec<ProviderName> = slots
        .keys()
        .filter_map(|child| match child {
            Child::Provider(name) if !wanted(name) => Some(name.clone()),
            _ => None,
        })
        .collect();
    for name in gone {
        let known = stop(slots, &name, spec, &mut difference);
        places.insert(name, known);
    }
    for provider in &spec.providers {
        let aligned = Reconciling {
            spec,
            provider,
            common,
            difference: &mut difference,
        };
        aligned.reconcile(slots, places.get(&provider.name).copied().unwrap_or(0));
    }
    difference
}

/// Lets a provider go: at once, or when the last request that may still use it is over. Says how many places its
/// keys had.
fn stop(
    slots: &mut BTreeMap<Child, ChildSlot>,
    name: &ProviderName,
    spec: &TreeSpec,
    difference: &mut Reconciliation,
) -> usize {
    let child = Child::Provider(name.clone());
    let Some(ChildSlot::Provider(post)) = slots.get(&child) else {
        return 0;
    };
    let shared = Arc::clone(&post.actor.ring);
    let ring = shared.load();
    let handle = post.handle.clone();
    let cell = Arc::clone(&post.actor.status);
    let keys: Vec<Option<KeySlot>> = ring
        .keys
        .iter()
        .enumerate()
        .map(|(place, slot)| retire(slots, difference, spec, name, place, slot.as_ref()?))
        .collect();
    let places = keys.len();
    // The actor ends at once when no key is left, else it serves requests that may still use one.
    if keys.iter().all(Option::is_none) {
        let slot = slots.remove(&child);
        difference.leaving.extend(slot.map(|slot| (child, slot)));
    } else {
        let slot = ProviderSlot {
            handle,
            ring: Arc::clone(&shared),
            status: cell,
        };
        difference.table.providers.insert(name.clone(), slot);
        let order = present(&keys);
        let new = KeyRing {
            homes: order
                .iter()
                .map(|place| KeyHome::new(*place, None))
                .collect(),
            accounts: Vec::new(),
            order,
            keys,
            endpoint: ring.endpoint.clone(),
            ..**ring
        };
        difference.rings.push((Arc::clone(&shared), new));
    }
    places
}

/// The places that are not empty.
fn present(keys: &[Option<KeySlot>]) -> Vec<usize> {
    let places = keys.iter().enumerate();
    let places = places.filter_map(|(place, slot)| slot.as_ref().map(|_| place));
    places.collect()
}

/// A key that the configuration no longer has: it is marked, and removed once no lease uses it.
fn retire(
    slots: &mut BTreeMap<Child, ChildSlot>,
    difference: &mut Reconciliation,
    spec: &TreeSpec,
    provider: &ProviderName,
    place: usize,
    slot: &KeySlot,
) -> Option<KeySlot> {
    let until = slot.until.unwrap_or(spec.generation);
    if until > spec.oldest {
        return Some(KeySlot {
            until: Some(until),
            ..slot.clone()
        });
    }
    let child = Child::Key(provider.clone(), place);
    let slot = slots.remove(&child);
    difference.leaving.extend(slot.map(|slot| (child, slot)));
    None
}

/// One provider being brought in line.
struct Reconciling<'a> {
    spec: &'a TreeSpec,
    provider: &'a ProviderSpec,
    common: &'a Common,
    difference: &'a mut Reconciliation,
}

impl<'a> Reconciling<'a> {
    fn reconcile(mut self, slots: &mut BTreeMap<Child, ChildSlot>, first_place: usize) {
        let child = Child::Provider(self.provider.name.clone());
        // A provider that stays keeps its handle, status and ring; a new one gets them here, with empty places for the
        // keys that an earlier provider of its name had.
        let present = match slots.get(&child) {
            Some(ChildSlot::Provider(post)) => {
                let actor = &post.actor;
                Some((
                    post.handle.clone(),
                    Arc::clone(&actor.status),
                    Arc::clone(&actor.ring),
                ))
            }
            _ => None,
        };
        let (handle, cell, ring) = present.unwrap_or_else(|| {
            let keys = vec![None; first_place];
            let ring = Arc::new(ArcSwap::from_pointee(self.ring(keys)));
            let (slot, handle, cell) = self.provider_seat(&ring);
            self.difference
                .replaced
                .extend(slots.insert(child.clone(), slot));
            self.difference.started.push(child);
            (handle, cell, ring)
        });
        cell.latency
            .configure(&self.provider.models, self.provider.latency_decay);
        cell.output.configure(&self.provider.models);
        // Statuses show the keys of this configuration only; the ring also has those that earlier requests may use.
        let keys = self.keys(slots, &handle, &cell, &ring.load());
        let present = |slot: &&KeySlot| slot.until.is_none();
        let cells = keys.iter().flatten().filter(present);
        let cells = cells.map(|slot| Arc::clone(&slot.status));
        let cells = ProviderStatuses {
            provider: Arc::clone(&cell),
            keys: cells.collect(),
        };
        if let Some(fleet) = &self.common.fleet {
            let (secret, table) = (&fleet.secret, &mut self.difference.members);
            table.add_provider(self.provider, &handle, &keys, secret);
        }
        let name = &self.provider.name;
        self.difference
            .statuses
            .providers
            .insert(name.clone(), cells);
        let slot = ProviderSlot {
            handle,
            ring: Arc::clone(&ring),
            status: cell,
        };
        self.difference.table.providers.insert(name.clone(), slot);
        let new = self.ring(keys);
        self.difference.rings.push((ring, new));
    }

    /// The keys of the new ring: each that stays in its old place, new ones behind them.
    fn keys(
        &mut self,
        slots: &mut BTreeMap<Child, ChildSlot>,
        provider: &Handle<ProviderMessage>,
        provider_status: &Arc<ProviderStatus>,
        old: &KeyRing,
    ) -> Vec<Option<KeySlot>> {
        let settings = self.settings();
        // Keys are the same when their material and the address are. What stays wanted after this loop is new.
        let mut wanted: Vec<Option<&Option<ApiKey>>> =
            self.provider.keys.iter().map(Some).collect();
        let mut found = KeyIndex::of(self.provider.keys.iter().enumerate());
        let mut keys = Vec::with_capacity(old.keys.len());
        for (place, slot) in old.keys.iter().enumerate() {
            let Some(slot) = slot else {
                keys.push(None);
                continue;
            };
            let may_stay = slot.until.is_none() && old.endpoint == self.provider.endpoint;
            let stays = may_stay
                && found
                    .take(&slot.material)
                    .and_then(|at| wanted.get_mut(at)?.take())
                    .is_some();
            if stays {
                let cell = Arc::clone(&slot.status);
                self.difference.settings.push((cell, settings));
                keys.push(Some(slot.clone()));
            } else {
                let name = &self.provider.name;
                keys.push(retire(slots, self.difference, self.spec, name, place, slot));
            }
        }
        // New keys get new places behind the old ones, since places are not given out again.
        let recall = self.restored();
        let new = wanted.into_iter().enumerate();
        for (at, material) in new.filter_map(|(at, key)| Some((at, key?))) {
            let recall = recall.and_then(|recall| recall.keys.get(at));
            let child = Child::Key(self.provider.name.clone(), keys.len());
            let (post, slot) =
                self.key_seat(keys.len(), material, recall, provider, provider_status);
            self.difference
                .replaced
                .extend(slots.insert(child.clone(), post));
            self.difference.started.push(child);
            keys.push(Some(slot));
        }
        keys
    }

    fn restored(&self) -> Option<&'a RestoredProvider> {
        self.spec.restored.get(&self.provider.name)
    }

    fn settings(&self) -> KeySettings {
        KeySettings {
            limits: self.provider.limits,
            cooldown: self.provider.cooldown,
        }
    }

    fn ring(&self, keys: Vec<Option<KeySlot>>) -> KeyRing {
        let mut left = present(&keys);
        let mut found = KeyIndex::of(left.iter().filter_map(|place| {
            let slot = keys.get(*place)?.as_ref()?;
            slot.until.is_none().then_some((*place, &*slot.material))
        }));
        let mut order = Vec::with_capacity(left.len());
        let mut homes = Vec::with_capacity(left.len());
        let mut names = Vec::with_capacity(left.len());
        let accounts = &self.provider.accounts;
        for (at, material) in self.provider.keys.iter().enumerate() {
            let account = accounts.get(at).and_then(Option::as_deref);
            if let Some(place) = found.take(material) {
                order.push(place);
                homes.push(KeyHome::new(place, account));
                names.push(account.map(Arc::from));
            }
        }
        let ordered: BTreeSet<usize> = order.iter().copied().collect();
        left.retain(|place| !ordered.contains(place));
        homes.extend(left.iter().map(|place| KeyHome::new(*place, None)));
        order.extend(left);
        KeyRing {
            endpoint: self.provider.endpoint.clone(),
            fingerprint: self.restored().map(|recall| recall.fingerprint),
            keys,
            order,
            homes,
            accounts: names,
            rotation: self.provider.rotation,
            longest_cooldown: self.provider.cooldown.max,
            breaker: self.provider.breaker,
            retry_budget: self.provider.retry_budget,
        }
    }

    fn provider_seat(
        &self,
        ring: &Arc<ArcSwap<KeyRing>>,
    ) -> (ChildSlot, Handle<ProviderMessage>, Arc<ProviderStatus>) {
        let cell = Arc::new(ProviderStatus::default());
        let handle = Handle::vacant(&cell.mailbox);
        let provider = self.provider;
        let actor = ProviderActor {
            name: Arc::from(format!("provider {}", provider.name)),
            id: provider.name.clone(),
            ring: Arc::clone(ring),
            status: Arc::clone(&cell),
            router: self.common.router.clone(),
            fleet: self.common.fleet.as_ref().map(FleetParts::handle),
            clock: self.common.clock,
            fault_hook: self.common.fault_hook.clone(),
        };
        let mut state = ProviderState::new(provider.breaker, provider.retry_budget);
        if let Some(recall) = self.restored() {
            let now = self.common.clock.now();
            state.restore(&recall.persisted, provider.cooldown.max, now);
            cell.publish(provider::published::view(
                &state,
                &provider.endpoint,
                Some(recall.fingerprint),
                now,
            ));
        }
        let core = ProviderCore::new(state, Rotation::new(provider.rotation), ring.load_full());
        let post = post(actor, handle.clone(), core);
        (ChildSlot::Provider(post), handle, cell)
    }

    fn key_seat(
        &self,
        place: usize,
        material: &Option<ApiKey>,
        recall: Option<&RestoredKey>,
        provider: &Handle<ProviderMessage>,
        provider_status: &Arc<ProviderStatus>,
    ) -> (ChildSlot, KeySlot) {
        let id = KeyId {
            provider: self.provider.name.clone(),
            index: u32::try_from(place + 1).unwrap_or(u32::MAX),
        };
        let settings = self.settings();
        let cell = Arc::new(KeyStatus::new(
            id,
            recall.map(|recall| recall.fingerprint),
            settings,
        ));
        let handle = Handle::vacant(&cell.mailbox);
        let material = Arc::new(material.clone());
        let live = Arc::default();
        let actor = KeyActor {
            name: Arc::from(format!("key {}", cell.id)),
            place,
            provider_name: self.provider.name.clone(),
            material: Arc::clone(&material),
            handle: handle.clone(),
            status: Arc::clone(&cell),
            port: Arc::new(KeyPort {
                status: Arc::clone(&cell),
                handle: handle.clone(),
                provider: provider.clone(),
                live: Arc::clone(&live),
                passed_on: AtomicU32::default(),
            }),
            live: Arc::clone(&live),
            provider: provider.clone(),
            provider_status: Arc::clone(provider_status),
            router: self.common.router.clone(),
            fleet: self.common.fleet.as_ref().map(FleetParts::handle),
            clock: self.common.clock,
            fault_hook: self.common.fault_hook.clone(),
        };
        let mut state = KeyState::new(settings.limits, settings.cooldown);
        if let Some(fleet) = &self.common.fleet
            && table::is_shared(self.provider)
        {
            state.join_fleet(fleet.lost);
        }
        if let Some(recall) = recall {
            // Published before the actor runs, so that readers see at once that it is out.
            let now = self.common.clock.now();
            state.restore(&recall.persisted, &recall.limits, now);
            cell.publish(key::published::view(&state, now));
            cell.publish_limits(state.learned_limits(now), state.limits_memory(now));
        }
        let core = KeyCore::new(state, Arc::clone(&cell));
        let slot = KeySlot {
            status: cell,
            live,
            handle: handle.clone(),
            material,
            since: self.spec.generation,
            until: None,
        };
        (ChildSlot::Key(post(actor, handle, core)), slot)
    }
}

/// The slot of a child that has not run yet: its first incarnation starts with `core`.
pub(crate) fn post<A, M: ractor::Message, C: OnEnd>(
    actor: A,
    handle: Handle<M>,
    core: C,
) -> ActorSlot<A, M, C> {
    let (handoff, receiver) = StateHandoff::new(core);
    drop(handoff);
    ActorSlot {
        actor,
        handle,
        receiver,
        anew: false,
    }
}
