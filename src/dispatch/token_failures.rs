//! Why no token could be fetched for keys of one provider, for people. A memory aid: whether a key is out its actor knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::domain::ids::KeyId;

/// The words of each key's last failure.
#[derive(Debug)]
pub struct TokenFailures(watch::Sender<BTreeMap<u32, Arc<str>>>);

impl Default for TokenFailures {
    fn default() -> Self {
        Self(watch::channel(BTreeMap::new()).0)
    }
}

impl TokenFailures {
    /// Notes what a failure says, without credentials.
    pub(super) fn note(&self, key: &KeyId, words: &str) {
        self.0
            .send_modify(|all| _ = all.insert(key.index, words.into()));
    }

    /// What the last failure of this key said.
    pub(super) fn failure(&self, key: &KeyId) -> Option<Arc<str>> {
        self.0.borrow().get(&key.index).cloned()
    }
}
