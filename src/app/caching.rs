//! From a configuration to what keeps answers and joins equal requests.

use std::sync::Arc;

use crate::config::{Config, ProviderConfig};
use crate::dispatch::{Caching, Dispatch, Endpoint, Flights, ProviderMark};
use crate::domain::caching::{CacheStoreKind, CacheTable};
use crate::domain::hash_map::HashMap;
use crate::domain::ids::ProviderName;
use crate::store::responses::ResponseStore;
use crate::store::responses::memory::MemoryStore;
use crate::store::responses::shared::{SharedOptions, SharedStore};
use crate::store::valkey::link::{Link, LinkOptions, LinkPurpose};

/// What is kept and joined under this configuration; `None`: nothing is. What was kept before stays where the store is the
/// same. `home`: what tells a provider from others of its name.
pub(super) fn of(
    config: &Config,
    endpoints: &HashMap<ProviderName, Arc<Endpoint>>,
    before: Option<&Dispatch>,
    home: fn(&ProviderConfig) -> String,
) -> Option<Arc<Caching>> {
    let table = &config.cache;
    let keeps = table.keeps();
    if !keeps && !table.coalesce {
        return None;
    }
    let before = before.and_then(|before| before.cache.as_ref());
    let store = keeps.then(|| {
        let same = before.filter(|before| {
            let other = before.table();
            let of = |table: &CacheTable| {
                let largest = table.server.map(|_| table.largest());
                (table.store, table.server, table.max_size, largest)
            };
            of(other) == of(table)
        });
        let kept = same.and_then(|before| before.store().cloned());
        kept.unwrap_or_else(|| match table.store {
            CacheStoreKind::Memory => {
                let store: Arc<dyn ResponseStore> = Arc::new(MemoryStore::new(table.max_size));
                store
            }
            CacheStoreKind::Valkey => shared(config),
        })
    });
    let flights = table.coalesce.then(|| {
        let kept = before.and_then(|before| before.flights().cloned());
        kept.unwrap_or_else(Flights::start)
    });
    let marks = config.providers.iter().filter_map(|provider| {
        let headers = &endpoints.get(&provider.name)?.headers;
        let mark = ProviderMark::new(&home(provider), &provider.params, headers);
        Some((provider.name.clone(), mark))
    });
    let marks = marks.collect();
    Some(Arc::new(Caching::new(table.clone(), store, flights, marks)))
}

/// What an entry has besides the answer, in bytes.
const ENTRY_HEAD: usize = 64 * 1024;

/// A store in the server of this configuration.
fn shared(config: &Config) -> Arc<dyn ResponseStore> {
    let table = &config.cache;
    let started = config.cache_server.as_ref().map(|server| {
        SharedStore::start(SharedOptions {
            link: Link::start(LinkOptions {
                server: server.server.clone(),
                authorities: server.authorities.clone(),
                purpose: LinkPurpose::Answers,
            }),
            prefix: server.prefix.clone(),
            key: server.key.clone(),
            largest: table.largest().saturating_add(ENTRY_HEAD),
            memory: table.max_size,
        })
    });
    match started {
        Some(Ok(store)) => Arc::new(store),
        // Neither happens: the configuration is valid, and its key has the right length.
        Some(Err(_)) | None => Arc::new(MemoryStore::new(table.max_size)),
    }
}
