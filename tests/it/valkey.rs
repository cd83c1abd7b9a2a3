//! Answers in a server that processes share, against a real one: what its absence, slowness and mistakes cost.

mod faults;
mod gateways;
mod sharing;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pointsman::domain::secret::EncryptionKey;
use pointsman::store::responses::shared::{SharedOptions, SharedStore};
use pointsman::store::responses::{EntryLabels, ResponseStore as _, StoreEntry, StoreKey};
use pointsman::store::valkey::link::{Link, LinkOptions, LinkPurpose};
use pointsman::wire::cache_key::scope_hash;
use pointsman::wire::valkey_url;

use crate::support::until;

/// What one process has of the server at this URL.
fn store(url: &str) -> SharedStore {
    store_with(url, None, Vec::new())
}

fn store_with(url: &str, key: Option<[u8; 32]>, authorities: Vec<Vec<u8>>) -> SharedStore {
    let link = Link::start(LinkOptions {
        server: valkey_url::parse(url).unwrap(),
        authorities,
        purpose: LinkPurpose::Answers,
    });
    let options = SharedOptions {
        link,
        prefix: "pointsman".to_owned(),
        key: key.and_then(|key| EncryptionKey::new(&key)),
        largest: 1 << 20,
        memory: 1 << 20,
    };
    SharedStore::start(options).unwrap()
}

async fn up(store: &SharedStore) {
    until("the server to be used", async || store.link().is_up()).await;
}

async fn down(store: &SharedStore) {
    until("the server to be left alone", async || {
        !store.link().is_up()
    })
    .await;
}

async fn written(store: &SharedStore, count: u64) {
    until("entries to be written", async || {
        store.counts().written == count
    })
    .await;
}

fn key(number: u8) -> StoreKey {
    // Whose those of the tests are.
    let scope = if number > 2 { "ops" } else { "ci" };
    StoreKey {
        hash: [number; 32],
        scope: scope_hash(scope),
    }
}

fn entry(text: &str, target: &str, scope: &str, stored: u64) -> StoreEntry {
    StoreEntry {
        bytes: Bytes::copy_from_slice(text.as_bytes()),
        ttl: Duration::from_secs(600),
        labels: EntryLabels {
            target: Arc::from(target),
            scope: Arc::from(scope),
            stored,
        },
    }
}

fn answer(text: &str) -> StoreEntry {
    entry(text, "smart", "ci", 1_700_000_000)
}

async fn get(store: &SharedStore, number: u8) -> Option<String> {
    let found = store.get(key(number)).await;
    found.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}
