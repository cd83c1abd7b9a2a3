//! What the tree is made from: plain parameters, and nothing of the configuration's form.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::actors::fault_hook::FaultHook;
#[cfg(feature = "internals")]
use crate::actors::latency_status::DECAY;
use crate::domain::breaker::BreakerPolicy;
use crate::domain::cooldown::CooldownPolicy;
use crate::domain::fleet::LostPolicy;
use crate::domain::ids::{FleetNode, ModelName, ProviderName};
use crate::domain::limits::{KeyLimits, RetryBudgetPolicy};
use crate::domain::persisted::{Fingerprint, PersistedKey, PersistedLimit, PersistedProvider};
use crate::domain::restart::RestartPolicy;
use crate::domain::rotation::KeyRotation;
use crate::domain::secret::ApiKey;
use crate::runtime::clock::Clock;
use crate::store::fleet::FleetOrders;
use crate::wire::fleet::secret::FleetSecret;

/// What the tree needs to know of one provider.
#[derive(Clone, Debug)]
pub struct ProviderSpec {
    /// The provider's name.
    pub name: ProviderName,
    /// Where its calls go. When that changes, its keys are others too: none is ever sent to a place that it was
    /// not configured for.
    pub endpoint: String,
    /// Its keys in order; `None` for a provider that needs none.
    pub keys: Vec<Option<ApiKey>>,
    /// The names of their accounts in the same order; keys of one account share a cache of prompts. Those that are
    /// missing are accounts of their own.
    pub accounts: Vec<Option<Arc<str>>>,
    /// The order in which they take their turns.
    pub rotation: KeyRotation,
    /// The models that the configuration names. Latencies of other models are not kept, because callers make up names.
    pub models: Vec<ModelName>,
    /// The decay of the averages of these latencies.
    pub latency_decay: Duration,
    /// What each key may do.
    pub limits: KeyLimits,
    /// How rate-limited keys cool.
    pub cooldown: CooldownPolicy,
    /// When an upstream of it is left alone.
    pub breaker: BreakerPolicy,
    /// What each upstream of it may carry of other attempts' failures.
    pub retry_budget: RetryBudgetPolicy,
}

impl ProviderSpec {
    /// A provider with these keys, in order, and the defaults of the configuration.
    #[cfg(feature = "internals")]
    pub fn new(name: impl Into<ProviderName>, keys: Vec<Option<ApiKey>>) -> Self {
        Self {
            name: name.into(),
            endpoint: String::new(),
            keys,
            accounts: Vec::new(),
            rotation: KeyRotation::default(),
            models: Vec::new(),
            latency_decay: DECAY,
            limits: KeyLimits::default(),
            cooldown: CooldownPolicy::default(),
            breaker: BreakerPolicy::default(),
            retry_budget: RetryBudgetPolicy::default(),
        }
    }
}

/// What is remembered of one key.
#[derive(Clone, Debug)]
pub struct RestoredKey {
    /// By what it is known again after a restart.
    pub fingerprint: Fingerprint,
    /// Why it was out.
    pub persisted: PersistedKey,
    /// The limits that were learned from answers.
    pub limits: Vec<PersistedLimit>,
}

/// What is remembered of one provider.
#[derive(Clone, Debug)]
pub struct RestoredProvider {
    /// By what it is known again after a restart.
    pub fingerprint: Fingerprint,
    /// Why its upstreams were not asked.
    pub persisted: PersistedProvider,
    /// Its keys, in the order of [`ProviderSpec::keys`].
    pub keys: Vec<RestoredKey>,
}

/// What the tree is made from.
#[derive(Clone, Debug)]
pub struct TreeSpec {
    /// Counts the configurations of this process, from 0.
    pub generation: u64,
    /// The oldest configuration under which requests are still on their way. What only older ones may use goes.
    pub oldest: u64,
    /// The configured providers.
    pub providers: Vec<ProviderSpec>,
    /// What is remembered of them. Those that are new begin with it; what is there already knows better. Empty when
    /// nothing is kept.
    pub restored: BTreeMap<ProviderName, RestoredProvider>,
    /// Places in the waiting room.
    pub max_waiting: usize,
    /// How actors that fail are started again.
    pub restart: RestartPolicy,
    /// The fleet that it belongs to. Only that of the first specification counts.
    pub fleet: Option<FleetSpec>,
    /// The time source of all actors.
    pub clock: Clock,
    /// Where a test makes actors fail.
    pub fault_hook: FaultHook,
}

impl TreeSpec {
    /// The first configuration of a process that remembers nothing, with room for `max_waiting` requests that wait.
    #[cfg(feature = "internals")]
    pub fn new(providers: Vec<ProviderSpec>, max_waiting: usize, clock: Clock) -> Self {
        Self {
            generation: 0,
            oldest: 0,
            providers,
            restored: BTreeMap::new(),
            max_waiting,
            restart: RestartPolicy::default(),
            fleet: None,
            clock,
            fault_hook: FaultHook::default(),
        }
    }
}

/// What the tree needs to know of its fleet.
#[derive(Clone, Debug)]
pub struct FleetSpec {
    /// The fleet's name.
    pub name: String,
    /// This process.
    pub node: FleetNode,
    /// Its server, as it may be shown.
    pub server: String,
    /// By what keys and providers are known in it.
    pub secret: FleetSecret,
    /// What becomes of shared limits without a store.
    pub lost: LostPolicy,
    /// Where orders for the store go.
    pub orders: FleetOrders,
}
