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
use crate::domain::record::Why;
use crate::domain::refusal::Reason;
use crate::domain::time::Time;
use futures_util::future::BoxFuture;
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
enum Haste {
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
    Joined(Start<'a>, Haste),
}

/// What decided a race.
enum Decided<'a> {
    /// The attempt that it began with.
    Given(Box<End>),
    /// Another one; all that the other came to is settled and recorded.
    Other(Box<Landed<'a>>),
}

/// When, and why.
type Alarms = Vec<(Time, Haste)>;

type Flying<'s> = Pin<&'s mut (dyn Future<Output = End> + Send + 's)>;

impl Dispatch {
    /// Makes the attempt that `lease` allows, and perhaps another one beside it. What comes back decides; the other
    /// attempts, if there were any, are settled and recorded.
    pub(super) async fn step<'a>(
        &'a self,
        course: Course<'_>,
        endpoint: &'a Arc<Endpoint>,
        mut lease: Lease,
        attempts: &mut Attempts,
        story: &mut Story,
    ) -> Landed<'a> {
        let why = Why::after(attempts.records(), lease.upstream());
        let trace = course.request.trace.as_deref();
        let tried = Tried::new(&mut lease, why, self.clock.now(), trace);
        story.current = vec![tried.under_way()];
        let first = Start {
            endpoint,
            lease,
            tried,
        };
        let late = self.hedger(&course);
        let late = late.filter(|_| course.limits.policy.hedge);
        let late = late.and_then(|hedger| hedger.late_after(&first.tried.begun().upstream));
        let late = late.map(|after| (first.tried.begun().started + after, Haste::Late));
        let goes = self.time_goes_at(&course, &first, attempts);
        if late.is_none() && goes.is_none() {
            let end = self.fly(course, &first).await;
            self.learn(course, &first.tried, &end);
            return first.landed(end);
        }
        let mut alarms: Alarms = late.into_iter().chain(goes).collect();
        alarms.sort_by_key(|(at, _)| *at);
        // In a box of its own: requests that nothing is done beside, which are nearly all, stay small.
        let mut flying = Box::pin(self.fly(course, &first));
        let racing = self.race(course, flying.as_mut(), &first, alarms, attempts, story);
        let decided = racing.await;
        drop(flying);
        match decided {
            Decided::Given(end) => first.landed(*end),
            Decided::Other(landed) => *landed,
        }
    }

    fn hedger(&self, course: &Course<'_>) -> Option<&Hedger> {
        self.hedger.as_ref().filter(|_| course.request.doc.stream())
    }

    /// When so much of the time that the caller gave is gone that another upstream must be asked to have a chance.
    fn time_goes_at(
        &self,
        course: &Course<'_>,
        start: &Start<'_>,
        attempts: &Attempts,
    ) -> Option<(Time, Haste)> {
        let asked = course.request.patience();
        let asked = asked.filter(|asked| *asked < self.policy.deadline)?;
        let mut others =
            (0..course.chain.upstreams.len()).filter(|other| *other != start.lease.index);
        if !others.any(|other| attempts.is_open(other)) {
            return None;
        }
        let timeouts = &start.endpoint.timeouts;
        let longest = match course.request.doc.stream() {
            true => timeouts.first_byte.max(timeouts.first_token),
            false => timeouts.response,
        };
        let started = start.tried.begun().started;
        let left = course.limits.deadline.since(started);
        let share = self.policy.deadline_hedge;
        let gone = hedge::share_gone(asked, left, share, longest.min(timeouts.total))?;
        Some((started + gone, Haste::TimeGoes))
    }

    /// The attempt `given`, and others beside it: one at a time, when an alarm says so. When one of two fails the other
    /// goes on, and may be joined again.
    fn race<'s, 'a: 's>(
        &'a self,
        course: Course<'s>,
        mut flying: Flying<'s>,
        given: &'s Start<'a>,
        alarms: Alarms,
        attempts: &'s mut Attempts,
        story: &'s mut Story,
    ) -> BoxFuture<'s, Decided<'a>> {
        Box::pin(async move {
            let alone = self.alone(course, flying.as_mut(), given, &alarms, attempts);
            let (other, why) = match alone.await {
                Alone::Joined(other, why) => (other, why),
                Alone::Over(end) => {
                    self.learn(course, &given.tried, &end);
                    return Decided::Given(Box::new(end));
                }
            };
            story.current.push(other.tried.under_way());
            tracing::debug!(
                request_id = %course.request.id,
                trace_id = course.request.trace.as_ref().map(|trace| display(trace.trace_id)),
                span_id = other.tried.begun().span.map(display),
                upstream = %other.tried.begun().upstream,
                key = %other.tried.begun().key,
                ?why,
                "nothing came yet: a second attempt is made"
            );
            let mut beside = Box::pin(self.fly(course, &other));
            let (mut end, is_given) = tokio::select! {
                biased;
                end = flying.as_mut() => (end, true),
                end = beside.as_mut() => (end, false),
            };
            match (&mut end, is_given) {
                // The preferred upstream's answer to the request as such stands; the other one's can wait.
                (End::Failed(failure, whole), true) if failure.class.retry() != Retry::Never => {
                    story.keep(&given.tried, failure, whole.take());
                    self.failed(
                        course.request,
                        &given.lease,
                        &given.tried,
                        failure,
                        attempts,
                    );
                    story.records = attempts.records().to_vec();
                    story.current = vec![other.tried.under_way()];
                    let alarms = self
                        .time_goes_at(&course, &other, attempts)
                        .into_iter()
                        .collect();
                    let going = self.race(course, beside.as_mut(), &other, alarms, attempts, story);
                    let decided = going.await;
                    drop(beside);
                    Decided::Other(match decided {
                        Decided::Given(end) => Box::new(other.landed(*end)),
                        Decided::Other(landed) => landed,
                    })
                }
                (End::Failed(failure, whole), false) => {
                    drop(beside);
                    story.keep(&other.tried, failure, whole.take());
                    self.failed(
                        course.request,
                        &other.lease,
                        &other.tried,
                        failure,
                        attempts,
                    );
                    drop(other);
                    story.records = attempts.records().to_vec();
                    story.current = vec![given.tried.under_way()];
                    let alarms = self
                        .time_goes_at(&course, given, attempts)
                        .into_iter()
                        .collect();
                    self.race(course, flying, given, alarms, attempts, story)
                        .await
                }
                (_, true) => {
                    // Its call ends here and now.
                    if mutant::on(Mutant::LoserGoesOn) {
                        std::mem::forget(beside);
                    } else {
                        drop(beside);
                    }
                    self.learn(course, &given.tried, &end);
                    self.lost(course, &other, None, attempts);
                    Decided::Given(Box::new(end))
                }
                (_, false) => {
                    drop(beside);
                    self.learn(course, &other.tried, &end);
                    let served = matches!(end, End::Whole(..) | End::Begun(_));
                    let now = self.clock.now();
                    if let Some(hedger) = self.hedger(&course) {
                        // It needs so much at least.
                        hedger.learn(
                            &given.tried.begun().upstream,
                            now.since(given.tried.begun().started),
                        );
                    }
                    let took = now.since(other.tried.begun().started);
                    let took = Some(took).filter(|_| served && why == Haste::TimeGoes);
                    self.lost(course, given, took, attempts);
                    Decided::Other(Box::new(other.landed(end)))
                }
            }
        })
    }

    /// Settles and records the loser of a race; its call ends with this. `took` is what the winner needed, where that
    /// may say something about the loser.
    fn lost(
        &self,
        course: Course<'_>,
        loser: &Start<'_>,
        took: Option<Duration>,
        attempts: &mut Attempts,
    ) {
        let now = self.clock.now();
        let upstream = &loser.tried.begun().upstream;
        let waited = now.since(loser.tried.begun().started);
        let pulse = self.pulses.of(upstream);
        let lives = loser.lease.is_heard()
            || pulse.is_none_or(|pulse| pulse.served_since(loser.tried.begun().started));
        let slowest = pulse.and_then(|pulse| pulse.slowest(course.request.doc.stream()));
        let timeout = Failure::new(Class::Timeout, "no answer while another upstream gave one");
        if !lives && took.is_some_and(|took| hedge::is_silence(waited, took, slowest)) {
            self.failed(
                course.request,
                &loser.lease,
                &loser.tried,
                &timeout,
                attempts,
            );
            return;
        }
        attempts.cancelled(loser.tried.record(Class::Cancelled, None, now));
        let slow = slowest.is_none_or(|slowest| waited >= slowest);
        if loser.lease.is_probe() && !lives && slow {
            // A breaker that learns nothing of its probe would let the next request hang, and the next.
            loser.lease.settle(settlement(&timeout, false));
        }
    }

    /// The attempt's time alone: until it is over, or one of the alarms finds it company.
    async fn alone<'a>(
        &'a self,
        course: Course<'_>,
        mut flying: Flying<'_>,
        start: &Start<'a>,
        alarms: &[(Time, Haste)],
        attempts: &Attempts,
    ) -> Alone<'a> {
        let hurries = alarms.iter().any(|(_, why)| *why == Haste::TimeGoes);
        for (at, why) in alarms {
            let alarm = tokio::time::sleep_until(self.clock.instant(*at));
            tokio::select! {
                biased;
                end = flying.as_mut() => return Alone::Over(end),
                () = alarm => {}
            }
            let budget = self.hedger.as_ref().map(|hedger| &hedger.budget);
            let budget = budget.filter(|_| *why == Haste::Late);
            if !attempts.may_start_beside(1) || budget.is_some_and(|budget| !budget.take()) {
                continue;
            }
            let asking = self.second_lease(course, attempts, start, hurries);
            let (over, second) = tokio::select! {
                biased;
                end = flying.as_mut() => (Some(end), None),
                lease = asking => (None, lease),
            };
            if let Some((endpoint, mut lease)) = second {
                let reason = match why {
                    Haste::Late => Why::Hedge,
                    Haste::TimeGoes => Why::DeadlineHedge,
                };
                let trace = course.request.trace.as_deref();
                let tried = Tried::new(&mut lease, reason, self.clock.now(), trace);
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
            tried: &start.tried,
            deadline: course.limits.deadline,
            buffers: &self.buffers,
            first_token: course
                .limits
                .first_token(course.request, start.endpoint, &start.lease),
        };
        attempt::make(course.request, start.endpoint, &start.lease, times).await
    }

    /// What an attempt that served tells about its upstream.
    fn learn(&self, course: Course<'_>, tried: &Tried, end: &End) {
        let stream = match end {
            End::Begun(_) => true,
            End::Whole(..) => false,
            End::Failed(..) | End::OutOfTime | End::OutOfRoom => return,
        };
        let now = self.clock.now();
        let span = now.since(tried.begun().started);
        self.pulses
            .served(&tried.begun().upstream, stream, span, now);
        if let Some(hedger) = self.hedger(&course) {
            hedger.learn(&tried.begun().upstream, span);
        }
    }

    /// A lease in the chain's order, anywhere but at the first attempt's key; for who `hurries` anywhere but at its
    /// upstream, because there is no time to find out that its other keys are as silent.
    async fn second_lease<'a>(
        &'a self,
        course: Course<'_>,
        attempts: &Attempts,
        first: &Start<'_>,
        hurries: bool,
    ) -> Option<(&'a Arc<Endpoint>, Lease)> {
        let (index, key) = (first.lease.index, &first.tried.begun().key);
        let mut ask = attempts.ask();
        // Its own key declines, and counts nothing.
        ask.refused_keys.push((index, key.index));
        if hurries && let Some(closed) = ask.closed.get_mut(index) {
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
        lease: &Lease,
        tried: &Tried,
        failure: &Failure,
        attempts: &mut Attempts,
    ) -> Next {
        let now = self.clock.now();
        let record = tried.failed(failure, now);
        let (counts, then) = attempts.failed(lease.index, record, failure, fastrand::f64(), now);
        tracing::debug!(
            request_id = %request.id,
            trace_id = request.trace.as_ref().map(|trace| display(trace.trace_id)),
            span_id = tried.begun().span.map(display),
            upstream = %tried.begun().upstream,
            key = %tried.begun().key,
            class = failure.class.as_str(),
            detail = %failure.detail,
            "attempt failed"
        );
        lease.settle(settlement(failure, counts));
        then
    }
}
