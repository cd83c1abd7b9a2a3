//! Who in this process is whom in the fleet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::actors::fleet_status::FleetStatus;
use crate::actors::handle::Handle;
use crate::actors::message::fleet::{FleetMember, FleetMessage};
use crate::actors::message::key::KeyMessage;
use crate::actors::message::provider::ProviderMessage;
use crate::actors::provider::KeySlot;
use crate::actors::spec::ProviderSpec;
use crate::actors::status::KeyStatus;
use crate::domain::budget::SharedPurse;
use crate::domain::fleet::quota::SharedLimits;
use crate::domain::fleet::{FleetWord, LostPolicy};
use crate::domain::persisted::Fingerprint;
use crate::wire::fleet::secret::FleetSecret;

/// Whether an endpoint is on this machine.
fn is_here(endpoint: &str) -> bool {
    ["://localhost", "://127.", "://[::1]", "unix:"]
        .iter()
        .any(|here| endpoint.contains(here))
}

/// Whether other processes can have the same provider.
pub(crate) fn is_shared(provider: &ProviderSpec) -> bool {
    provider.keys.iter().any(Option::is_some) || !is_here(&provider.endpoint)
}

/// Those outside of the tree who count what is shared.
#[derive(Clone, Debug, Default)]
pub(crate) struct FleetCounters {
    /// The clients.
    pub(crate) clients: Vec<Arc<dyn SharedLimits>>,
    /// The budgets.
    pub(crate) purse: Option<Arc<dyn SharedPurse>>,
}

/// What the actors of a fleet's process share of it.
#[derive(Clone, Debug)]
pub(crate) struct FleetParts {
    pub(crate) handle: Handle<FleetMessage>,
    pub(crate) status: Arc<FleetStatus>,
    pub(crate) secret: FleetSecret,
    pub(crate) lost: LostPolicy,
    /// The supervisor's.
    pub(crate) table: Arc<ArcSwap<FleetTable>>,
    /// Written by the process when it takes over a configuration.
    pub(crate) counters: Arc<ArcSwap<FleetCounters>>,
}

impl FleetParts {
    pub(crate) fn handle(&self) -> Handle<FleetMessage> {
        self.handle.clone()
    }
}

/// Where a key or a provider is reached.
#[derive(Clone, Debug)]
pub(crate) enum FleetSeat {
    Key(Handle<KeyMessage>, Arc<KeyStatus>),
    Provider(Handle<ProviderMessage>),
}

impl FleetSeat {
    /// Without an incarnation it is lost; the next comparison with the store says it again.
    fn send(&self, word: FleetWord) {
        match self {
            Self::Key(handle, _) => drop(handle.send(KeyMessage::Fleet(word))),
            Self::Provider(handle) => drop(handle.send(ProviderMessage::Fleet(word))),
        }
    }
}

/// The keys and providers that the configuration has at present. A key that is there twice is one key in the fleet.
#[derive(Clone, Debug, Default)]
pub(crate) struct FleetTable {
    members: BTreeMap<FleetMember, (Fingerprint, FleetSeat)>,
}

impl FleetTable {
    fn add(&mut self, member: FleetMember, owner: Fingerprint, seat: FleetSeat) {
        self.members.insert(member, (owner, seat));
    }

    /// A provider and its present keys. One without keys on this machine is another one on each machine, and is nobody's
    /// business elsewhere.
    pub(crate) fn add_provider(
        &mut self,
        provider: &ProviderSpec,
        handle: &Handle<ProviderMessage>,
        keys: &[Option<KeySlot>],
        secret: &FleetSecret,
    ) {
        let home = &provider.endpoint;
        if !is_shared(provider) {
            return;
        }
        let member = FleetMember::Provider(provider.name.clone());
        let seat = FleetSeat::Provider(handle.clone());
        self.add(member, secret.provider(home), seat);
        let present = keys.iter().flatten().filter(|slot| slot.until.is_none());
        for slot in present {
            let owner = secret.key(home, slot.material.as_ref().as_ref());
            let member = FleetMember::Key(slot.status.id.clone());
            let seat = FleetSeat::Key(slot.handle.clone(), Arc::clone(&slot.status));
            self.add(member, owner, seat);
        }
    }

    pub(crate) fn owners(&self) -> BTreeSet<Fingerprint> {
        self.members.values().map(|(owner, _)| *owner).collect()
    }

    pub(crate) fn owner(&self, member: &FleetMember) -> Option<Fingerprint> {
        self.members.get(member).map(|(owner, _)| *owner)
    }

    /// The first that is known by this.
    pub(crate) fn member(&self, owner: Fingerprint) -> Option<&FleetMember> {
        let mut all = self.members.iter();
        all.find(|(_, (known, _))| *known == owner)
            .map(|(member, _)| member)
    }

    /// Tells one.
    pub(crate) fn tell(&self, member: &FleetMember, word: FleetWord) {
        if let Some((_, seat)) = self.members.get(member) {
            seat.send(word);
        }
    }

    /// Asks all keys with limits how they are used.
    pub(crate) fn count(&self) {
        for (_, seat) in self.members.values() {
            if let FleetSeat::Key(_, status) = seat
                && status.settings().limits.is_any()
            {
                seat.send(FleetWord::Count);
            }
        }
    }

    /// Tells everybody that is known by this.
    pub(crate) fn send(&self, owner: Fingerprint, word: &FleetWord) {
        for (known, seat) in self.members.values() {
            if *known == owner {
                seat.send(word.clone());
            }
        }
    }

    /// Tells everybody.
    pub(crate) fn send_all(&self, word: &FleetWord) {
        for (_, seat) in self.members.values() {
            seat.send(word.clone());
        }
    }
}
