//! What the look for an answer needs under one configuration.

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use serde_json::{Map, Value};

use super::flights::Flights;
use crate::domain::caching::{CachePolicy, CacheTable};
use crate::domain::chain::Chain;
use crate::domain::hash_map::HashMap;
use crate::domain::ids::ProviderName;
use crate::store::responses::{KnownKeys, ResponseStore};
use crate::wire::cache_key::{self, UpstreamPart};

/// Where answers are kept, and for which requests.
pub struct Caching {
    table: CacheTable,
    /// `None`: nothing is kept, and equal requests are one call all the same.
    store: Option<Arc<dyn ResponseStore>>,
    /// `None`: each request is a call of its own.
    flights: Option<Flights>,
    providers: HashMap<ProviderName, ProviderMark>,
    pub(super) known_keys: KnownKeys,
}

/// What of a provider's configuration its answers depend on.
#[derive(Clone, Copy, Debug)]
pub struct ProviderMark {
    hash: [u8; 32],
    /// The temperature that is filled in where a request has none.
    temperature: Option<f64>,
}

impl ProviderMark {
    /// Of a provider at this address, with these parameters filled in and these headers of its own.
    pub fn new(home: &str, params: &Map<String, Value>, headers: &HeaderMap) -> Self {
        let filled = Value::Object(params.clone()).to_string();
        let mut parts = vec![home.as_bytes(), filled.as_bytes()];
        for (name, value) in headers {
            parts.push(name.as_str().as_bytes());
            parts.push(value.as_bytes());
        }
        Self {
            hash: cache_key::hash_of(&parts),
            temperature: params.get("temperature").and_then(Value::as_f64),
        }
    }
}

impl Caching {
    /// By this table, in this store, if there is one.
    pub fn new(
        table: CacheTable,
        store: Option<Arc<dyn ResponseStore>>,
        flights: Option<Flights>,
        providers: HashMap<ProviderName, ProviderMark>,
    ) -> Self {
        Self {
            table,
            store,
            flights,
            providers,
            known_keys: KnownKeys::default(),
        }
    }

    /// What answers are kept in, where they are.
    pub fn store(&self) -> Option<&Arc<dyn ResponseStore>> {
        self.store.as_ref()
    }

    /// The calls that others may join, where they may.
    pub fn flights(&self) -> Option<&Flights> {
        self.flights.as_ref()
    }

    /// The table that it was made from.
    pub fn table(&self) -> &CacheTable {
        &self.table
    }

    /// What holds for a target.
    pub(super) fn policy(&self, chain: &Chain) -> CachePolicy {
        let policy = self.table.of(chain);
        CachePolicy {
            enabled: policy.enabled && self.store.is_some(),
            ..policy
        }
    }

    /// What tells a chain's upstreams from others.
    pub(super) fn upstreams<'a>(&self, chain: &'a Chain) -> Vec<UpstreamPart<'a>> {
        let upstreams = chain.upstreams.iter().map(|upstream| {
            let mark = self.providers.get(&upstream.provider);
            UpstreamPart {
                provider: upstream.provider.as_str(),
                model: upstream.model.as_str(),
                settings: mark.map_or([0; 32], |mark| mark.hash),
            }
        });
        upstreams.collect()
    }

    /// Whether every upstream of a chain fills in temperature 0.
    pub(super) fn fills_in_zero(&self, chain: &Chain) -> bool {
        let mut upstreams = chain.upstreams.iter();
        upstreams.all(|upstream| {
            let mark = self.providers.get(&upstream.provider);
            mark.is_some_and(|mark| mark.temperature == Some(0.0))
        })
    }
}

impl fmt::Debug for Caching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caching")
            .field("store", &self.store)
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}
