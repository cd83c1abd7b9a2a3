//! The server in which processes share answers, as the configuration has it.

use crate::domain::secret::EncryptionKey;
use crate::wire::cache_key::hash_of;
use crate::wire::valkey_url::ValkeyServer;

/// The server in which answers are kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CacheServer {
    /// Where it is, and who asks.
    pub server: ValkeyServer,
    /// Certificate authorities in DER; empty: those of the system.
    pub authorities: Vec<Vec<u8>>,
    /// What the names of entries begin with.
    pub prefix: String,
    /// What entries are encrypted with.
    pub key: Option<EncryptionKey>,
}

impl CacheServer {
    /// What tells it and its settings from another one; secrets are in it as hashes only.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        let server = &self.server;
        let key = self.key.as_ref().map(|key| hash_of(&[key.expose()]));
        let password = server.password.as_ref();
        let password = password.map(|word| hash_of(&[word.expose().as_bytes()]));
        let mut parts = vec![
            format!("{server} {:?}", server.user).into_bytes(),
            self.prefix.clone().into_bytes(),
            format!("{key:?} {password:?}").into_bytes(),
        ];
        parts.extend(self.authorities.iter().cloned());
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        hash_of(&parts)
    }
}
