//! One step of a request: an attempt, and a second one beside it when the first token is late, or when so much of the
//! request's time is gone that nobody else could be asked later.
//!
//! The first with content wins; the other is dropped on the spot, which cancels its call and its lease. So
//! nothing of a loser is ever seen (law L8).

use std::pin::Pin;
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
use crate::domain::hedge;
use crate::domain::mutant::{self, Mutant};
use crate::domain::outcome::{Class, Failure, Retry};
use crate::domain::refusal::Reason;

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

/// Why a second attempt is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Why {
    /// The first token is late, as hedging has it.
    Late,
    /// A good part of the request's time is gone.
    TimeGoes,
}

/// An attempt that may yet have company: its own, and when.
struct Start<'a> {
    endpoint: &'a Arc<Endpoint>,
    lease: Lease,
    tried: Tried,
}

impl<'a> Start<'a> {
    fn landed(self, end: End) -> Landed<'a> {
        Landed {
            endpoint: self.endpoint,
            lease: self.lease,
            tried: self.tried,
            end,
        }
    }
}

/// How an attempt's time alone ended.
enum Alone<'a> {
    Over(End),
    Joined(Start<'a>, Why),
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
        let tried = Tried::new(&lease, self.clock.now());
        story.current = vec![tried.under_way()];
        let first = Start {
            endpoint,
            lease,
            tried,
        };
        let hedge = self.hedger.as_ref().filter(|_| course.request.doc.stream());
        let late = hedge.and_then(|hedger| hedger.late_after(&first.tried.upstream));
        let goes = self.time_goes_after(&course, endpoint, &first.tried);
        if late.is_none() && goes.is_none() {
            let end = self.fly(course, &first).await;
            self.learn(hedge, &first.tried, &end);
            return first.landed(end);
        }
        // In a box of its own: requests that are not hedged, which are nearly all, stay small.
        Box::pin(self.hedged(course, (late, goes), first, attempts, story)).await
    }

    /// When so much of the request's time is gone that another upstream must be asked to have a chance, if the
    /// attempt's own timers would leave less.
    fn time_goes_after(
        &self,
        course: &Course<'_>,
        endpoint: &Endpoint,
        tried: &Tried,
    ) -> Option<Duration> {
        let timeouts = &endpoint.timeouts;
        let longest = match course.request.doc.stream() {
            true => timeouts.first_byte.max(timeouts.first_token),
            false => timeouts.response,
        };
        let left = course.limits.deadline.since(tried.started);
        hedge::share_gone(
            left,
            self.policy.deadline_hedge,
            longest.min(timeouts.total),
        )
    }

    /// The attempt `first`, and a second one beside it when it is late.
    async fn hedged<'a>(
        &'a self,
        course: Course<'_>,
        (late, goes): (Option<Duration>, Option<Duration>),
        first: Start<'a>,
        attempts: &mut Attempts,
        story: &mut Story,
    ) -> Landed<'a> {
        let hedge = self.hedger.as_ref().filter(|_| course.request.doc.stream());
        let mut alarms: Vec<(Duration, Why)> =
            late.map(|after| (after, Why::Late)).into_iter().collect();
        alarms.extend(goes.map(|after| (after, Why::TimeGoes)));
        alarms.sort_by_key(|(after, _)| *after);
        let mut flying = Box::pin(self.fly(course, &first));
        let alone = self.alone(course, flying.as_mut(), &first, &alarms, attempts);
        let (second, why) = match alone.await {
            Alone::Joined(second, why) => (second, why),
            Alone::Over(end) => {
                drop(flying);
                self.learn(hedge, &first.tried, &end);
                return first.landed(end);
            }
        };
        story.current.push(second.tried.under_way());
        tracing::debug!(
            request_id = %course.request.id,
            upstream = %second.tried.upstream,
            key = %second.tried.key,
            ?why,
            "nothing came yet: a second attempt is made"
        );
        let mut beside = Box::pin(self.fly(course, &second));
        let (end, is_first) = tokio::select! {
            biased;
            end = flying.as_mut() => (end, true),
            end = beside.as_mut() => (end, false),
        };
        // The preferred upstream's answer to the request as such stands; the second one's can wait.
        let failed = |failure: &Failure| !is_first || failure.class.retry() != Retry::Never;
        match (&end, is_first) {
            (End::Failed(failure, _), true) if failed(failure) => {
                drop(flying);
                self.failed(course.request, first.lease, &first.tried, failure, attempts);
                story.records = attempts.records().to_vec();
                story.current = vec![second.tried.under_way()];
                let end = beside.await;
                self.learn(hedge, &second.tried, &end);
                second.landed(end)
            }
            (End::Failed(failure, _), false) => {
                drop(beside);
                self.failed(
                    course.request,
                    second.lease,
                    &second.tried,
                    failure,
                    attempts,
                );
                story.records = attempts.records().to_vec();
                story.current = vec![first.tried.under_way()];
                let end = flying.await;
                self.learn(hedge, &first.tried, &end);
                first.landed(end)
            }
            (_, true) => {
                // Both calls end here and now.
                drop(flying);
                if mutant::on(Mutant::LoserGoesOn) {
                    std::mem::forget(beside);
                } else {
                    drop(beside);
                }
                self.learn(hedge, &first.tried, &end);
                let record = second
                    .tried
                    .record(Class::Cancelled, None, self.clock.now());
                attempts.cancelled(record);
                first.landed(end)
            }
            (_, false) => {
                drop((flying, beside));
                let now = self.clock.now();
                let (waited, took) = (
                    now.since(first.tried.started),
                    now.since(second.tried.started),
                );
                if let Some(hedger) = hedge {
                    hedger.learn(&first.tried.upstream, waited);
                }
                self.learn(hedge, &second.tried, &end);
                let served = matches!(end, End::Whole(..) | End::Begun(_));
                if why == Why::TimeGoes && served && hedge::is_silence(waited, took) {
                    let silent =
                        Failure::new(Class::Timeout, "no answer while another upstream gave one");
                    self.failed(course.request, first.lease, &first.tried, &silent, attempts);
                } else {
                    attempts.cancelled(first.tried.record(Class::Cancelled, None, now));
                }
                second.landed(end)
            }
        }
    }

    /// The first attempt's time alone: until it is over, or one of the alarms finds it company.
    async fn alone<'a>(
        &'a self,
        course: Course<'_>,
        mut flying: Pin<&mut impl Future<Output = End>>,
        first: &Start<'a>,
        alarms: &[(Duration, Why)],
        attempts: &Attempts,
    ) -> Alone<'a> {
        for (after, why) in alarms {
            let alarm = tokio::time::sleep_until(self.clock.instant(first.tried.started + *after));
            tokio::select! {
                biased;
                end = flying.as_mut() => return Alone::Over(end),
                () = alarm => {}
            }
            let budget = self.hedger.as_ref().map(|hedger| &hedger.budget);
            let budget = budget.filter(|_| *why == Why::Late);
            if !attempts.may_start_beside(1) || budget.is_some_and(|budget| !budget.take()) {
                continue;
            }
            let asking = self.second_lease(course, attempts, first, *why);
            let (over, second) = tokio::select! {
                biased;
                end = flying.as_mut() => (Some(end), None),
                lease = asking => (None, lease),
            };
            if let Some((endpoint, lease)) = second {
                let tried = Tried::new(&lease, self.clock.now());
                let second = Start {
                    endpoint,
                    lease,
                    tried,
                };
                return Alone::Joined(second, *why);
            }
            if let Some(budget) = budget {
                budget.give_back();
            }
            if let Some(end) = over {
                return Alone::Over(end);
            }
        }
        Alone::Over(flying.await)
    }

    async fn fly(&self, course: Course<'_>, start: &Start<'_>) -> End {
        let times = Times {
            clock: self.clock,
            started: start.tried.started,
            deadline: course.limits.deadline,
        };
        attempt::make(course.request, start.endpoint, &start.lease, times).await
    }

    fn learn(&self, hedger: Option<&Hedger>, tried: &Tried, end: &End) {
        if let (Some(hedger), End::Begun(_)) = (hedger, end) {
            let span = self.clock.now().since(tried.started);
            hedger.learn(&tried.upstream, span);
        }
    }

    /// A lease in the chain's order, anywhere but at the first attempt's key; anywhere but at its upstream when that
    /// said nothing for so long that the request's time runs out.
    async fn second_lease<'a>(
        &'a self,
        course: Course<'_>,
        attempts: &Attempts,
        first: &Start<'_>,
        why: Why,
    ) -> Option<(&'a Arc<Endpoint>, Lease)> {
        let (index, key) = (first.lease.index, &first.tried.key);
        let mut ask = attempts.ask();
        // Its own key declines, and counts nothing.
        ask.refused_keys.push((index, key.index));
        if why == Why::TimeGoes
            && let Some(closed) = ask.closed.get_mut(index)
        {
            *closed = Some(Reason::Tried);
        }
        let lease = self
            .lease_now(course.request, course.chain, ask, course.limits.deadline)
            .await?;
        // The router forgets refusals of a request that sat out a restart.
        let other = lease.index != index || lease.key != *key;
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
