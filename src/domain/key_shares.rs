//! What a key keeps to in place of its limits where a fleet shares them, and what was wanted of them.

use super::fleet::{LostPolicy, OwnShare, QuotaKind};

/// What it keeps to in place of its limits, and what was wanted of them.
#[derive(Clone, Debug, Default)]
pub(super) struct KeyShares {
    /// By [`QuotaKind`]; `None`: the fleet was not asked about it yet.
    pub(super) own: [Option<OwnShare>; 4],
    pub(super) lost: LostPolicy,
    pub(super) requests: u64,
    pub(super) tokens: u64,
    /// The largest request.
    pub(super) largest: u64,
    /// The most requests that were under way at once, one that was refused included.
    pub(super) places: u64,
    /// A limit left no room since the last count, by [`QuotaKind`].
    pub(super) short: [bool; 4],
}

/// The place of a kind in arrays.
pub(super) const fn at(kind: QuotaKind) -> usize {
    match kind {
        QuotaKind::Requests => 0,
        QuotaKind::Tokens => 1,
        QuotaKind::Day => 2,
        QuotaKind::Places => 3,
    }
}
