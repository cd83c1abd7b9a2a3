//! Messages to the router.

use std::sync::{Arc, OnceLock};

use tokio::sync::oneshot;

use crate::actors::child::Child;
use crate::actors::route::{PlanRequest, Planned, RouteRequest};
use crate::domain::ids::ProviderName;
use crate::domain::refusal::Refusal;
use crate::domain::time::Time;
use crate::domain::waiting::WaitTicket;

/// What the router understands.
#[derive(Debug)]
pub enum RouterMessage {
    /// From a request's task, which asks for a lease. Lost: the task's reply port closes and it asks again.
    Route(Box<RouteRequest>),
    /// From a provider: it cannot serve the route now. Lost: as above.
    Returned {
        /// The route that the provider returned.
        route: Box<RouteRequest>,
        /// Why the provider returned it.
        refusal: Refusal,
    },
    /// From a key or a provider: `slots` more requests can be served. Lost: waiters look again by themselves
    /// within [`LOOK_AGAIN_LATEST`](crate::actors::router::LOOK_AGAIN_LATEST).
    Ready {
        /// The provider that can serve them.
        provider: ProviderName,
        /// How many waiters to wake.
        slots: usize,
    },
    /// From a task that asks where a request would go: answered from published state; nothing changes. Lost: the reply
    /// port closes and it is sent again.
    Plan(Box<PlanRequest>, oneshot::Sender<Planned>),
    /// From the supervisor: a child ended without being asked to. Lost: the supervisor decides alone.
    Exited(Child),
    /// From a request's task: it left, with its place in the waiting room if it has come to one by now. Lost: noticed at
    /// the next look at its route.
    Left(Arc<OnceLock<WaitTicket>>),
    /// From its own timer, set for this moment: a waiting time may be over. Lost: the next message sets a new timer.
    Tick(Time),
}

impl RouterMessage {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Route(_) => "Route",
            Self::Returned { .. } => "Returned",
            Self::Ready { .. } => "Ready",
            Self::Plan(..) => "Plan",
            Self::Exited(_) => "Exited",
            Self::Left(_) => "Left",
            Self::Tick(_) => "Tick",
        }
    }
}
