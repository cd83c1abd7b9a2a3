//! Messages to a provider's actor.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::actors::admin_command::ProviderCommand;
use crate::actors::lease::{EndReport, LeaseRecord};
use crate::actors::route::RouteRequest;
use crate::domain::fleet::FleetWord;
use crate::domain::refusal::Refusal;
use crate::domain::time::Time;

/// What a provider's actor understands.
#[derive(Debug)]
pub enum ProviderMessage {
    /// From the router, or from a request's task while that is quiet: find a key for this route, or give it back. Lost: the route's task asks again.
    Offer(Box<RouteRequest>),
    /// From a key: it cannot take the route. Lost: as above.
    Declined {
        /// The route that the key declined.
        route: Box<RouteRequest>,
        /// The key's place, from 0.
        key: usize,
        /// Why the key declined it.
        refusal: Refusal,
    },
    /// From a lease whose stream has begun well: how long that took; and if the lease is a breaker's probe, it was good.
    /// Lost: the lease's end has the same effect.
    Began(Arc<LeaseRecord>),
    /// From a lease that ended: its outcome, and how long a whole answer took. Its key hears of it once this is dropped. Lost: the
    /// breaker misses one outcome; a lost probe is noticed by its token.
    Report(EndReport),
    /// From a key whose rate limit is the whole provider's. Lost: the other keys find out for themselves.
    CoolAll {
        /// When the cooldown ends.
        until: Time,
    },
    /// From the supervisor: an operator's command; answered when it is carried out. Lost: the answer's port closes and
    /// the operator's side asks again.
    Manual(ProviderCommand, oneshot::Sender<()>),
    /// From the fleet's actor: what another process knows of it. Lost: the next comparison with the store says it again.
    Fleet(FleetWord),
    /// From itself: a hold or the cooldown of all keys may be over, at the moment that it was set for. Lost: the next
    /// incarnation sets a new timer.
    Tick(Time),
}

impl ProviderMessage {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Offer(_) => "Offer",
            Self::Declined { .. } => "Declined",
            Self::Began(_) => "Began",
            Self::Report(_) => "Report",
            Self::CoolAll { .. } => "CoolAll",
            Self::Manual(..) => "Manual",
            Self::Fleet(_) => "Fleet",
            Self::Tick(_) => "Tick",
        }
    }
}
