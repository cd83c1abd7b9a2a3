//! The message that goes from router to provider to key, and its reply.

use std::sync::{Arc, OnceLock};

use tokio::sync::oneshot;

use super::lease::{Lease, ProbeToken};
use crate::domain::attempts::{LeaseRefused, RouteConstraints};
use crate::domain::chain::Chain;
use crate::domain::client::Requester;
use crate::domain::dialect::Operation;
use crate::domain::ids::Upstream;
use crate::domain::key_preference::KeyPreference;
use crate::domain::plan::{CandidateFacts, Plan, Traversal, WaitLimits};
use crate::domain::provider_state::Pass;
use crate::domain::refusal::Refusal;
use crate::domain::retry_budget::BudgetCharge;
use crate::domain::time::Time;
use crate::domain::waiting::WaitTicket;

/// A request's wish for a lease at any open candidate of its chain.
#[derive(Debug)]
pub struct RouteRequest {
    /// The flattened chain of upstreams.
    pub chain: Arc<Chain>,
    /// What the caller asks for.
    pub operation: Operation,
    /// What the request's own machine allows.
    pub ask: RouteConstraints,
    /// Whether a crash lost an earlier route of the same attempt.
    pub again: bool,
    /// Tokens to reserve with the key.
    pub tokens: u64,
    /// The configuration under which the request began: keys that came later are not for it.
    pub generation: u64,
    /// The hash of what its conversation is known by, where keys are chosen by that.
    pub session: Option<u64>,
    /// The client and class under which it waits, if it has to.
    pub standing: Requester,
    /// When the request must have ended.
    pub deadline: Time,
    /// Whether it may wait for a key at all.
    pub may_wait: bool,
    /// Until when it may.
    pub wait_until: Time,
    /// Until when it waits for a preferred upstream rather than try the next one.
    pub patience_until: Time,
    /// Where the answer goes: to the request's task, directly.
    pub reply: oneshot::Sender<LeaseReply>,
    /// Its ticket in the waiting room, once it had to wait. Its task shares it, to say which request leaves.
    pub(crate) ticket: Arc<OnceLock<WaitTicket>>,
    pub(crate) walk: RouteProgress,
}

/// What the router answers, or a key in its name.
#[derive(Debug)]
pub enum LeaseReply {
    /// A lease: the attempt may start.
    Lease(Lease),
    /// No upstream can serve the request in time.
    Refused(LeaseRefused),
}

/// How far a route has come on its way through the actors.
#[derive(Debug, Default)]
pub(crate) struct RouteProgress {
    /// The present candidate, and the refusals of earlier ones in this traversal.
    pub(crate) traversal: Traversal,
    /// The router's count of readiness events when the traversal began.
    pub(crate) seen: u64,
    /// Until when it waits for an actor's restart, once it met one.
    pub(crate) grace_until: Option<Time>,
    /// When it first had to wait.
    pub(crate) parked_at: Option<Time>,
    /// The provider's part of the traversal.
    pub(crate) visit: ProviderVisit,
}

/// A route's stay at one provider.
#[derive(Debug, Default)]
pub(crate) struct ProviderVisit {
    /// Keys that declined during this stay (indices from 0).
    pub(crate) asked: Vec<usize>,
    /// The leave that the provider gave.
    pub(crate) pass: Option<Pass>,
    /// When the refusal was made.
    pub(crate) since: Time,
    /// Held while this is the breaker's probe.
    pub(crate) probe: Option<ProbeToken>,
    /// The best news so far.
    pub(crate) refusal: Option<Refusal>,
    /// The key that its conversation belongs to, where keys are chosen by that.
    pub(crate) preference: Option<KeyPreference>,
}

impl RouteRequest {
    /// A route at its beginning, for chat.
    pub fn new(
        chain: Arc<Chain>,
        ask: RouteConstraints,
        tokens: u64,
        deadline: Time,
        reply: oneshot::Sender<LeaseReply>,
    ) -> Self {
        Self {
            chain,
            operation: Operation::Chat,
            ask,
            again: false,
            tokens,
            generation: u64::MAX,
            session: None,
            standing: Requester::default(),
            deadline,
            may_wait: false,
            wait_until: Time::ZERO,
            patience_until: Time::ZERO,
            reply,
            ticket: Arc::default(),
            walk: RouteProgress::default(),
        }
    }

    /// What its attempt is to an upstream's retry budget.
    pub(crate) fn charge(&self) -> BudgetCharge {
        match (self.ask.first, self.again) {
            (true, false) => BudgetCharge::First,
            (true, true) => BudgetCharge::Again,
            (false, _) => BudgetCharge::Extra,
        }
    }

    /// Moves on to the next candidate that is open to it; false when there is none left.
    pub(crate) fn advance(&mut self) -> bool {
        let count = self.chain.upstreams.len();
        let next = self.walk.traversal.advance(&self.ask.closed, count);
        next.is_some()
    }

    /// What bounds its waiting.
    pub(crate) fn limits(&self) -> WaitLimits {
        WaitLimits {
            may_wait: self.may_wait,
            wait_until: self.wait_until,
            patience_until: self.patience_until,
            deadline: self.deadline,
        }
    }

    /// The candidate it is at.
    pub(crate) fn upstream(&self) -> Option<&Upstream> {
        self.chain.upstreams.get(self.walk.traversal.at)
    }
}

/// A request that a plan is made for.
#[derive(Clone, Debug)]
pub struct PlanRequest {
    /// Its candidates in order.
    pub chain: Arc<Chain>,
    /// What its caller asks for.
    pub operation: Operation,
    /// What its own machine allows.
    pub ask: RouteConstraints,
    /// Tokens that it would reserve with a key.
    pub tokens: u64,
    /// The configuration that it begins under.
    pub generation: u64,
    /// The hash of what its conversation is known by, where keys are chosen by that.
    pub session: Option<u64>,
    /// The client and class under which it would wait.
    pub standing: Requester,
    /// What bounds its waiting.
    pub limits: WaitLimits,
}

/// A plan, and what it was made from.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The moment that the plan describes.
    pub at: Time,
    /// Where the request would go.
    pub plan: Plan,
    /// What was known of each candidate.
    pub candidates: Vec<CandidateFacts>,
}

/// The router has not answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the router is being restarted and has not answered within 2 s: ask again")]
pub struct NoAnswer;
