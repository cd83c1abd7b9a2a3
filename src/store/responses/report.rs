//! How it stands with a server in which answers are kept.

use crate::store::valkey::link::{LinkCounts, LinkFault};

/// A server, as this process sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerReport {
    /// Its URL without user and password.
    pub address: String,
    /// Whether it is asked at this moment.
    pub is_up: bool,
    /// Why it is not, as far as that is known.
    pub trouble: Option<String>,
    /// Whether entries are encrypted.
    pub is_encrypted: bool,
    /// Counts since this configuration began to use it.
    pub counts: SharedCounts,
    /// What it holds, where that was counted.
    pub held: Option<SharedStats>,
}

/// Counts since the start.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct SharedCounts {
    /// Entries that were found in the server.
    pub found: u64,
    /// Looks at the server that found none.
    pub missed: u64,
    /// Looks without an answer, because it was away or slow.
    pub unanswered: u64,
    /// Entries that were broken.
    pub broken: u64,
    /// Entries that were encrypted with another key, or not at all.
    pub foreign: u64,
    /// Entries that were written.
    pub written: u64,
    /// Entries that could not be written.
    pub unwritten: u64,
    /// Of the connection.
    pub link: LinkCounts,
}

/// What the server holds under the prefix.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SharedStats {
    /// Entries.
    pub entries: u64,
    /// Bytes of them, as they are stored.
    pub bytes: u64,
    /// Whether these are all; else counting took too long.
    pub is_complete: bool,
}

/// A purge did not come to its end.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{gone} entries are gone, the others are not: {address}: {fault}")]
pub struct PurgeFault {
    /// Entries that are gone.
    pub gone: u64,
    /// The server.
    pub address: String,
    /// Why the others are not.
    pub fault: LinkFault,
}
