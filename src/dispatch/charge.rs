//! What a client was charged for a request, until it is known what that took.

use crate::access::Bill;

/// An estimate that was set aside, and what is known meanwhile.
#[derive(Debug)]
pub(super) struct Charge {
    pub(super) bill: Bill,
    /// The prompt's part of the estimate.
    pub(super) prompt: u64,
    /// Events with content that were sent on after the first one.
    pub(super) events: u64,
}
