//! Messages to a key's actor.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::actors::admin_command::KeyCommand;
use crate::actors::lease::LeaseRecord;
use crate::actors::route::RouteRequest;
use crate::domain::allowance::Allowance;
use crate::domain::fleet::FleetWord;
use crate::domain::time::Time;

/// What a key's actor understands.
#[derive(Debug)]
pub enum KeyMessage {
    /// From its provider: admit this route, or give it back. Lost: the route's task asks again.
    Offer(Box<RouteRequest>),
    /// From a lease that is a trial: its answer has begun well. Lost: the lease's end has the same effect.
    Began(Arc<LeaseRecord>),
    /// From the supervisor: the configuration has it no longer. It takes no more and ends with its last lease.
    /// Lost with the actor, which then is not started again.
    Retire,
    /// From a lease whose answer's head has arrived: the limits in it. Lost: the next answer's head has the same
    /// fields.
    Heard {
        /// The lease that the answer belongs to.
        record: Arc<LeaseRecord>,
        /// The limits as described.
        allowances: Vec<Allowance>,
        /// How long a streamed answer took to begin.
        first_byte: Option<Duration>,
    },
    /// From a lease that ended, or from its provider, for it. Lost: the next incarnation finds the outcome in the record.
    Settled(Arc<LeaseRecord>),
    /// From the supervisor: an operator's command; answered when it is carried out. Lost: the answer's port closes and
    /// the operator's side asks again.
    Manual(KeyCommand, oneshot::Sender<()>),
    /// From the fleet's actor: what another process knows of it. Lost: the next comparison with the store says it again.
    Fleet(FleetWord),
    /// From itself: a cooldown or a hold may be over, at the moment that it was set for. Lost: the next incarnation
    /// sets a new timer.
    Tick(Time),
}

impl KeyMessage {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Offer(_) => "Offer",
            Self::Began(_) => "Began",
            Self::Heard { .. } => "Heard",
            Self::Settled(_) => "Settled",
            Self::Retire => "Retire",
            Self::Manual(..) => "Manual",
            Self::Fleet(_) => "Fleet",
            Self::Tick(_) => "Tick",
        }
    }
}
