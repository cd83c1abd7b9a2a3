//! The fleet that a process belongs to, as the configuration has it.

use crate::domain::fleet::LostPolicy;
use crate::domain::secret::EncryptionKey;
use crate::wire::valkey_url::ValkeyServer;

/// The fleet that a process belongs to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FleetConfig {
    /// Where its store is, and who asks.
    pub server: ValkeyServer,
    /// Certificate authorities in DER; empty: those of the system.
    pub authorities: Vec<Vec<u8>>,
    /// Its name.
    pub name: String,
    /// What its names and signatures are made with.
    pub secret: EncryptionKey,
    /// What becomes of shared limits without the store.
    pub lost: LostPolicy,
}
