//! One step of a request: an attempt, and a second one beside it when the first token is late.
//!
//! The first with content wins; the other is dropped on the spot, which cancels its call and its lease. So
//! nothing of a loser is ever seen (law L8).

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use super::attempt::{self, End, Times};
use super::hedger::Hedger;
use super::leasing::{Dispatch, Limits};
use super::request::{Endpoint, Request};
use super::story::Story;
use super::tried::{Tried, settlement};
use crate::actors::lease::Lease;
use crate::domain::attempts::{Attempts, Next};
use crate::domain::chain::Chain;
use crate::domain::outcome::{Class, Failure, Retry};

/// What a request's attempts have in common.
#[derive(Clone, Copy)]
pub(super) struct Course<'a> {
    pub(super) request: &'a Request,
    pub(super) chain: &'a Arc<Chain>,
    pub(super) limits: Limits,
}

/// An attempt that is over, or has begun well.
pub(super) struct Landed<'a> {
    pub(super) endpoint: &'a Arc<Endpoint>,
    pub(super) lease: Lease,
    pub(super) tried: Tried,
    pub(super) end: End,
}

impl Dispatch {
    /// Makes the attempt that `lease` allows, and perhaps another one beside it. What comes back decides; the other
    /// attempt, if there was one, is settled and recorded.
    pub(super) async fn step<'a>(
        &'a self,
        course: Course<'_>,
        endpoint: &'a Arc<Endpoint>,
        lease: Lease,
        attempts: &mut Attempts,
        story: &mut Story,
    ) -> Landed<'a> {
        let index = lease.index;
        let tried = Tried::new(&lease, self.clock.now());
        story.current = vec![tried.under_way()];
        let hedge = self.hedger.as_ref().filter(|_| course.request.doc.stream());
        let late = hedge.and_then(|hedger| Some((hedger, hedger.late_after(&tried.upstream)?)));
        let Some((hedger, late)) = late else {
            let landed = self.fly(course, endpoint, lease, tried).await;
            self.learn(hedge, &landed);
            return landed;
        };
        let first = self.fly(course, endpoint, lease, tried.clone());
        // In a box of its own: requests that are not hedged, which are nearly all, stay small.
        let racing = self.hedged(course, (hedger, late), first, tried, index, attempts, story);
        Box::pin(racing).await
    }

    /// The attempt `first`, and a second one beside it when it is late.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of a race, each of its own kind"
    )]
    async fn hedged<'a>(
        &'a self,
        course: Course<'_>,
        (hedger, late): (&Hedger, Duration),
        first: impl Future<Output = Landed<'a>>,
        tried: Tried,
        index: usize,
        attempts: &mut Attempts,
        story: &mut Story,
    ) -> Landed<'a> {
        let hedge = Some(hedger);
        let mut first = pin!(first);
        let alarm = tokio::time::sleep_until(self.clock.instant(tried.started + late));
        let landed = tokio::select! {
            biased;
            landed = first.as_mut() => Some(landed),
            () = alarm => None,
        };
        if let Some(landed) = landed {
            self.learn(hedge, &landed);
            return landed;
        }
        if !attempts.may_start_beside(1) || !hedger.budget.take() {
            let landed = first.await;
            self.learn(hedge, &landed);
            return landed;
        }
        let asking = self.second_lease(course, attempts, &tried, index);
        let (landed, second) = tokio::select! {
            biased;
            landed = first.as_mut() => (Some(landed), None),
            lease = asking => (None, lease),
        };
        let Some((other, lease)) = second else {
            hedger.budget.give_back();
            let landed = match landed {
                Some(landed) => landed,
                None => first.await,
            };
            self.learn(hedge, &landed);
            return landed;
        };
        let beside = Tried::new(&lease, self.clock.now());
        story.current.push(beside.under_way());
        tracing::debug!(
            request_id = %course.request.id,
            upstream = %beside.upstream,
            key = %beside.key,
            "the first token is late: a second attempt is made"
        );
        let mut second = Box::pin(self.fly(course, other, lease, beside.clone()));
        let (landed, is_first) = tokio::select! {
            biased;
            landed = first.as_mut() => (landed, true),
            landed = second.as_mut() => (landed, false),
        };
        let now = self.clock.now();
        let loser = if is_first { &beside } else { &tried };
        let failure = match landed.end {
            // The preferred upstream's answer to the request as such stands; the second one's can wait.
            End::Failed(ref failure, _) if !is_first || failure.class.retry() != Retry::Never => {
                failure.clone()
            }
            _ => {
                if !is_first {
                    hedger.learn(&tried.upstream, now.since(tried.started));
                }
                self.learn(hedge, &landed);
                attempts.cancelled(loser.record(Class::Cancelled, None, now));
                return landed;
            }
        };
        // The other goes on alone, and decides.
        self.failed(
            course.request,
            landed.lease,
            &landed.tried,
            &failure,
            attempts,
        );
        story.records = attempts.records().to_vec();
        story.current = vec![loser.under_way()];
        let landed = if is_first { second.await } else { first.await };
        self.learn(hedge, &landed);
        landed
    }

    async fn fly<'a>(
        &self,
        course: Course<'_>,
        endpoint: &'a Arc<Endpoint>,
        lease: Lease,
        tried: Tried,
    ) -> Landed<'a> {
        let times = Times {
            clock: self.clock,
            started: tried.started,
            deadline: course.limits.deadline,
        };
        let end = attempt::make(course.request, endpoint, &lease, times).await;
        Landed {
            endpoint,
            lease,
            tried,
            end,
        }
    }

    fn learn(&self, hedger: Option<&Hedger>, landed: &Landed<'_>) {
        if let (Some(hedger), End::Begun(_)) = (hedger, &landed.end) {
            let span = self.clock.now().since(landed.tried.started);
            hedger.learn(&landed.tried.upstream, span);
        }
    }

    /// A lease anywhere but at the first attempt's key: in the chain's order, so another key of the same upstream
    /// comes before the next upstream.
    async fn second_lease<'a>(
        &'a self,
        course: Course<'_>,
        attempts: &Attempts,
        first: &Tried,
        index: usize,
    ) -> Option<(&'a Arc<Endpoint>, Lease)> {
        let mut ask = attempts.ask();
        // Its own key declines, and counts nothing.
        ask.refused_keys.push((index, first.key.index));
        let lease = self
            .lease_now(course.request, course.chain, ask, course.limits.deadline)
            .await?;
        // The router forgets refusals of a request that sat out a restart.
        let other = lease.index != index || lease.key != first.key;
        let endpoint = self.endpoint(course.chain, lease.index)?;
        other.then_some((endpoint, lease))
    }

    /// Settles and records a failed attempt, and says what to do next.
    pub(super) fn failed(
        &self,
        request: &Request,
        lease: Lease,
        tried: &Tried,
        failure: &Failure,
        attempts: &mut Attempts,
    ) -> Next {
        let now = self.clock.now();
        let record = tried.record(failure.class, failure.status, now);
        let (counts, then) = attempts.failed(lease.index, record, failure, fastrand::f64(), now);
        tracing::debug!(
            request_id = %request.id,
            upstream = %tried.upstream,
            key = %tried.key,
            class = failure.class.as_str(),
            detail = %failure.detail,
            "attempt failed"
        );
        lease.settle(settlement(failure, counts));
        then
    }
}
