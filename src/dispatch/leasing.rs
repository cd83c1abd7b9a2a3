//! What every request's task shares, and how it asks the tree for a lease.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::hedger::Hedger;
use super::pulses::Pulses;
use super::request::{Endpoint, Request};
use super::tokens;
use crate::actors::lease::Lease;
use crate::actors::route::Route;
use crate::actors::tree::Dispatcher;
use crate::domain::attempts::{Ask, Attempts, Refused, Verdict};
use crate::domain::chain::{Chain, Targets};
use crate::domain::ids::ProviderName;
use crate::domain::limits::DispatchPolicy;
use crate::domain::mutant::{self, Mutant};
use crate::domain::profile::{TargetPolicies, TargetPolicy};
use crate::domain::refusal::Refusal;
use crate::domain::time::Time;
use crate::runtime::buffers::Buffers;
use crate::runtime::clock::Clock;
use crate::runtime::halt::Halt;
use crate::telemetry::recorder::Recorder;
use crate::wire::reasoning;

/// Everything a request's task needs, as one configuration says. Shared by all requests that begin under it.
pub struct Dispatch {
    /// Counts the configurations of this process, from 0.
    pub generation: u64,
    /// The way into the tree.
    pub dispatcher: Dispatcher,
    /// What may be asked for.
    pub targets: Arc<Targets>,
    /// By name.
    pub endpoints: HashMap<ProviderName, Arc<Endpoint>>,
    /// What bounds a request.
    pub policy: DispatchPolicy,
    /// What is known of late first tokens; `None` when nothing is hedged.
    pub hedger: Option<Hedger>,
    /// How upstreams answered of late.
    pub pulses: Pulses,
    /// What holds for which target.
    pub policies: TargetPolicies,
    /// The clock.
    pub clock: Clock,
    /// When it comes, requests that are still under way end.
    pub halt: Halt,
    /// Where ended requests are told of.
    pub recorder: Arc<Recorder>,
    /// How many bytes of bodies and answers are held.
    pub buffers: Buffers,
}

/// No lease.
pub(super) struct Denied {
    /// What the request is answered with.
    pub(super) verdict: Verdict,
    /// What the tree said.
    pub(super) refused: Refused,
}

/// What bounds one request's waiting.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// When its answer must have begun, or be there if it is not streamed.
    pub(super) deadline: Time,
    /// When its answer must have ended.
    pub(super) end: Time,
    /// What is left of the time that it may wait for keys.
    pub(super) wait: Duration,
    patience_until: Time,
    /// What holds for its target.
    pub(super) policy: TargetPolicy,
}

impl Limits {
    /// When the first token of an attempt is due by its target's profile, counted from its beginning; `None` where the
    /// model may think first.
    pub(super) fn first_token(
        &self,
        request: &Request,
        endpoint: &Endpoint,
        lease: &Lease,
    ) -> Option<Duration> {
        let due = self.policy.first_token?;
        let thinks = reasoning::model_reasons(lease.upstream().model.as_str())
            || reasoning::is_asked_for(&request.doc, &endpoint.params);
        (!thinks).then_some(due)
    }
}

impl Dispatch {
    /// When the request must have ended.
    pub(super) fn deadline(&self, request: &Request) -> Time {
        let most = self.policy.deadline;
        request.arrived + request.deadline.map_or(most, |asked| asked.min(most))
    }

    pub(super) fn limits(&self, request: &Request, chain: &Chain) -> Limits {
        let policy = *self.policies.of(&chain.target);
        let wait = request.await_cooldown;
        let span = request.deadline.map_or(self.policy.deadline, |asked| {
            asked.min(self.policy.deadline)
        });
        let begin = request.begins_within.map_or(span, |asked| asked.min(span));
        Limits {
            deadline: request.arrived + begin,
            end: self.deadline(request),
            wait: wait.unwrap_or(self.policy.await_cooldown),
            patience_until: request.arrived + policy.patience,
            policy,
        }
    }

    /// Where candidate `index` of a chain is.
    pub(super) fn endpoint(&self, chain: &Chain, index: usize) -> Option<&Arc<Endpoint>> {
        self.endpoints.get(&chain.upstreams.get(index)?.provider)
    }

    /// A lease for the next attempt of a request; waits for it within the request's limits.
    pub(super) async fn lease(
        &self,
        request: &Request,
        chain: &Arc<Chain>,
        attempts: &mut Attempts,
        limits: &mut Limits,
    ) -> Result<Lease, Box<Denied>> {
        let ask = attempts.ask();
        let asked_at = self.clock.now();
        let may_wait =
            request.await_cooldown.unwrap_or(self.policy.await_cooldown) > Duration::ZERO;
        let reserve = tokens::estimate(&request.doc);
        let deadline = if mutant::on(Mutant::DeadlineIgnored) {
            Time::NEVER
        } else {
            limits.deadline
        };
        let asked = self.dispatcher.lease(deadline, |reply| {
            let mut route = Route::new(Arc::clone(chain), ask.clone(), reserve, deadline, reply);
            route.generation = self.generation;
            route.standing = request.standing();
            route.may_wait = may_wait;
            route.wait_until = asked_at + limits.wait;
            route.patience_until = limits.patience_until;
            route
        });
        match asked.await {
            Ok(mut lease) => {
                lease.asked = asked_at;
                pass_over(&mut lease, &ask);
                if lease.waited {
                    attempts.waited();
                    let spent = self.clock.now().since(asked_at);
                    limits.wait = limits.wait.saturating_sub(spent);
                }
                Ok(lease)
            }
            Err(refused) => Err(Box::new(Denied {
                verdict: attempts.refused(&refused, self.clock.now()),
                refused,
            })),
        }
    }

    /// A lease for an extra attempt, if there is one without waiting.
    pub(super) async fn lease_now(
        &self,
        request: &Request,
        chain: &Arc<Chain>,
        ask: Ask,
        deadline: Time,
    ) -> Option<Lease> {
        let ask = Ask {
            first: false,
            ..ask
        };
        if ask.closed.iter().all(Option::is_some) {
            return None;
        }
        let reserve = tokens::estimate(&request.doc);
        let asked = self.dispatcher.lease(deadline, |reply| {
            let mut route = Route::new(Arc::clone(chain), ask.clone(), reserve, deadline, reply);
            route.generation = self.generation;
            route.standing = request.standing();
            route
        });
        let mut lease = asked.await.ok()?;
        pass_over(&mut lease, &ask);
        Some(lease)
    }
}

/// Adds the candidates before the lease's own that the request itself ruled out.
fn pass_over(lease: &mut Lease, ask: &Ask) {
    let before = ask.closed.iter().take(lease.index).enumerate();
    let closed = before.filter_map(|(place, closed)| Some((place, (*closed)?)));
    for (place, reason) in closed {
        lease.passed_over.push((place, Refusal::open_ended(reason)));
    }
}
