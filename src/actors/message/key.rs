//! Messages to a key's actor.

use std::sync::Arc;

use crate::actors::lease::LeaseRecord;
use crate::actors::route::Route;

/// What a key's actor understands.
#[derive(Debug)]
pub enum KeyMessage {
    /// From its provider: admit this route, or give it back. Lost: the route's task asks again.
    Offer(Box<Route>),
    /// From a lease that is a trial: its answer has begun well. Lost: its end tells the same.
    Began(Arc<LeaseRecord>),
    /// From the supervisor: the configuration has it no longer. It takes no more and ends with its last lease.
    /// Lost with the actor, which then is not started again.
    Retire,
    /// From a lease that ended. Lost: the next incarnation finds the outcome in the record.
    Settled(Arc<LeaseRecord>),
}

impl KeyMessage {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Offer(_) => "Offer",
            Self::Began(_) => "Began",
            Self::Settled(_) => "Settled",
            Self::Retire => "Retire",
        }
    }
}
