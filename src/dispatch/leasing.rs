//! How a request's task asks the tree for a lease.

use std::sync::Arc;
use std::time::Duration;

use super::request_run::{RequestContext, RequestRun};
use super::tokens;
use crate::actors::lease::Lease;
use crate::actors::route::RouteRequest;
use crate::domain::attempts::{FinalError, LeaseRefused, RouteConstraints};
use crate::domain::refusal::{Reason, Refusal};
use crate::domain::time::Time;

/// No lease was given.
pub(super) struct Denied {
    /// What the request is answered with.
    pub(super) verdict: FinalError,
    /// The tree's refusal.
    pub(super) refused: LeaseRefused,
}

impl RequestRun {
    /// A lease for the next attempt; waits for it within the request's limits.
    pub(super) async fn lease(&mut self) -> Result<Lease, Box<Denied>> {
        if self.state.prefers.is_some()
            && let Some(lease) = self.preferred_lease().await
        {
            return Ok(lease);
        }
        if self.state.attempts.may_loosen() {
            // Before it waits for an upstream that gives all the output it goes to one that gives less.
            let (ask, deadline) = (self.state.attempts.ask(), self.state.limits.deadline);
            if let Some(lease) = self.context.lease_now(ask, deadline).await {
                self.unseal_for(&lease.key);
                return Ok(lease);
            }
            self.state.attempts.loosen();
        }
        let lease = self.any_lease().await?;
        self.unseal_for(&lease.key);
        Ok(lease)
    }

    async fn any_lease(&mut self) -> Result<Lease, Box<Denied>> {
        let RequestContext {
            dispatch,
            request,
            chain,
            session,
        } = &self.context;
        let limits = self.state.limits;
        let ask = self.state.attempts.ask();
        let asked_at = dispatch.clock.now();
        let may_wait = request
            .await_cooldown
            .unwrap_or(dispatch.policy.await_cooldown)
            > Duration::ZERO;
        let reserve = tokens::estimate(&request.doc);
        let deadline = limits.deadline;
        let asked = dispatch.tree.lease(deadline, |reply| {
            let mut route =
                RouteRequest::new(Arc::clone(chain), ask.clone(), reserve, deadline, reply);
            route.operation = request.operation;
            route.generation = dispatch.generation;
            route.session = *session;
            route.standing = request.standing();
            route.may_wait = may_wait;
            route.wait_until = asked_at + limits.wait;
            route.patience_until = limits.patience_until;
            route
        });
        match asked.await {
            Ok(mut lease) => {
                lease.asked = asked_at;
                self.state.on_its_way = dispatch.routing.enter(chain, lease.index);
                pass_over(&mut lease, &ask);
                if lease.waited {
                    self.state.attempts.waited();
                    let spent = dispatch.clock.now().since(asked_at);
                    self.state.limits.wait = limits.wait.saturating_sub(spent);
                }
                Ok(lease)
            }
            Err(refused) => Err(Box::new(Denied {
                verdict: self.state.attempts.refused(&refused, dispatch.clock.now()),
                refused,
            })),
        }
    }
}

impl RequestContext {
    /// A lease for an extra attempt that more is asked of, if there is one without waiting.
    pub(super) async fn lease_now(&self, ask: RouteConstraints, deadline: Time) -> Option<Lease> {
        let reserve = tokens::estimate(&self.request.doc);
        let asked = self.dispatch.tree.lease(deadline, |reply| {
            let chain = Arc::clone(&self.chain);
            let mut route = RouteRequest::new(chain, ask.clone(), reserve, deadline, reply);
            route.operation = self.request.operation;
            route.generation = self.dispatch.generation;
            route.session = self.session;
            route.standing = self.request.standing();
            route
        });
        let mut lease = asked.await.ok()?;
        // What the filter kept out says nothing about an upstream.
        let said = |(_, refusal): &(usize, Refusal)| refusal.reason != Reason::Unsuitable;
        lease.passed_over.retain(said);
        pass_over(&mut lease, &ask);
        Some(lease)
    }
}

/// Adds the candidates before the lease's own that the request itself ruled out.
fn pass_over(lease: &mut Lease, ask: &RouteConstraints) {
    let before = ask.closed.iter().take(lease.index).enumerate();
    let closed = before.filter_map(|(place, closed)| Some((place, (*closed)?)));
    for (place, reason) in closed {
        lease.passed_over.push((place, Refusal::open_ended(reason)));
    }
}
