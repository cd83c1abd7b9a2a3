//! One step of a request: an attempt, and a second one beside it when the first token is late, or when the
//! request's remaining time would not suffice for another upstream later.
//!
//! The first with content wins; the other is dropped on the spot, which cancels its call and its lease. So
//! nothing of a loser is ever seen (law L8).

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::attempt::{self, AttemptResult, Times};
use super::hedge_controller::HedgeController;
use super::limits::RequestLimits;
use super::open_attempt::{OpenAttempt, settle, settlement};
use super::request::Endpoint;
use super::request_run::{RequestContext, RunState};
use crate::actors::lease::{Lease, Settler};
use crate::domain::attempt_record::AttemptReason;
use crate::domain::attempts::LeaseFilter;
use crate::domain::hedge;
use crate::domain::latency::{LatencySample, Served};
use crate::domain::lost_race::{self, Loser, Silence};
use crate::domain::outcome::{Class, Failure, Retry};
use crate::domain::time::Time;

/// An attempt that is over, or has begun well.
pub(super) struct AttemptDone<'r> {
    pub(super) endpoint: &'r Arc<Endpoint>,
    pub(super) lease: Lease,
    pub(super) open_attempt: OpenAttempt,
    pub(super) end: AttemptResult,
}

/// Makes the attempt that `lease` allows, and perhaps others beside it. The returned attempt decides; the others
/// are settled and recorded. `None` when the lease's upstream is not configured.
pub(super) async fn attempt<'r>(
    context: &'r RequestContext,
    state: &mut RunState,
    lease: Lease,
) -> Option<AttemptDone<'r>> {
    let why = AttemptReason::after(state.attempts.records(), lease.upstream());
    let start = StartedAttempt::new(context, state, lease, why)?;
    state.under_way([&start.open_attempt]);
    let late = late_at(context, state.limits, &start.open_attempt);
    let started = start.open_attempt.begun().started;
    let goes = time_goes_at(context, state, start.lease.index, start.endpoint, started);
    let landed = if late.is_none() && goes.is_none() {
        let landed = start.run_attempt(context, state.limits).await;
        learn(context, &landed);
        landed
    } else {
        let mut alarms: Vec<Alarm> = late.into_iter().chain(goes).collect();
        alarms.sort_by_key(|timer| timer.at);
        let flight = Flight::new(context, state.limits, start);
        *Race { context, state }.run(flight, alarms).await
    };
    state.under_way([]);
    Some(landed)
}

/// Why a second attempt is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum HedgeReason {
    /// The first token is late, as hedging has it.
    Late,
    /// A good part of the request's time is gone.
    TimeGoes,
}

/// When a second attempt is to be made, and why.
#[derive(Clone, Copy)]
struct Alarm {
    at: Time,
    why: HedgeReason,
}

/// An attempt that may be made.
struct StartedAttempt<'r> {
    endpoint: &'r Arc<Endpoint>,
    lease: Lease,
    open_attempt: OpenAttempt,
    /// The most output that fits beside the prompt, where that is less than is asked for.
    output_room: Option<u64>,
}

impl<'r> StartedAttempt<'r> {
    fn new(
        context: &'r RequestContext,
        state: &RunState,
        mut lease: Lease,
        why: AttemptReason,
    ) -> Option<Self> {
        let endpoint = context.endpoint(lease.index)?;
        let output_room = state.attempts.output_room(lease.index);
        let trace = context.request.trace.as_deref();
        let tried = OpenAttempt::new(&mut lease, why, context.now(), trace);
        Some(Self {
            endpoint,
            lease,
            open_attempt: tried,
            output_room,
        })
    }

    /// Makes the attempt.
    async fn run_attempt(
        self,
        context: &'r RequestContext,
        limits: RequestLimits,
    ) -> AttemptDone<'r> {
        let Self {
            endpoint,
            lease,
            open_attempt: tried,
            output_room,
        } = self;
        let times = Times {
            clock: context.dispatch.clock,
            tried: &tried,
            deadline: limits.deadline,
            buffers: &context.dispatch.buffers,
            first_token: limits.first_token(&context.request, endpoint, &lease),
        };
        let end = attempt::make::make(&context.request, endpoint, &lease, times, output_room).await;
        AttemptDone {
            endpoint,
            lease,
            open_attempt: tried,
            end,
        }
    }
}

/// An attempt under way, alone or beside others: its future holds the lease, and the other fields hold what the others
/// need to know of it.
struct Flight<'r> {
    endpoint: &'r Endpoint,
    /// Its candidate's place in the chain.
    index: usize,
    tried: OpenAttempt,
    lease: Settler,
    /// In a box of its own: requests that nothing is done beside, which are nearly all, stay small.
    call: BoxFuture<'r, Box<AttemptDone<'r>>>,
}

impl<'r> Flight<'r> {
    fn new(context: &'r RequestContext, limits: RequestLimits, start: StartedAttempt<'r>) -> Self {
        Self {
            endpoint: start.endpoint,
            index: start.lease.index,
            tried: start.open_attempt.clone(),
            lease: start.lease.settler(),
            call: Box::pin(async move { Box::new(start.run_attempt(context, limits).await) }),
        }
    }
}

/// How an attempt's time alone ended.
enum SoloOutcome<'r> {
    Over(Box<AttemptDone<'r>>),
    Joined(Flight<'r>, HedgeReason),
}

/// How the time of two attempts side by side ended.
enum Pair<'r> {
    /// This one decides; the other one is settled and recorded.
    Decided(Box<AttemptDone<'r>>),
    /// The other one failed, and this one goes on.
    Left(Flight<'r>),
}

/// One request's attempts side by side: never more than two.
struct Race<'r, 's> {
    context: &'r RequestContext,
    state: &'s mut RunState,
}

impl<'r> Race<'r, '_> {
    /// The attempt that is given, and others beside it: one at a time, when a timer is due. When one of two fails the
    /// other goes on, and may be joined again.
    async fn run(
        &mut self,
        mut flight: Flight<'r>,
        mut alarms: Vec<Alarm>,
    ) -> Box<AttemptDone<'r>> {
        loop {
            let (second, why) = match self.alone(&mut flight, &alarms).await {
                SoloOutcome::Over(landed) => {
                    learn(self.context, &landed);
                    return landed;
                }
                SoloOutcome::Joined(second, why) => (second, why),
            };
            self.tell_joined(&flight, &second, why);
            flight = match self.pair(flight, second, why).await {
                Pair::Decided(landed) => return landed,
                Pair::Left(flight) => flight,
            };
            let started = flight.tried.begun().started;
            let (index, endpoint) = (flight.index, flight.endpoint);
            let goes = time_goes_at(self.context, self.state, index, endpoint, started);
            alarms = goes.into_iter().collect();
        }
    }

    /// The attempt's time alone: until it is over, or a timer starts a second attempt.
    async fn alone(&mut self, flight: &mut Flight<'r>, alarms: &[Alarm]) -> SoloOutcome<'r> {
        let hurries = alarms
            .iter()
            .any(|timer| timer.why == HedgeReason::TimeGoes);
        for Alarm { at, why } in alarms.iter().copied() {
            let clock = self.context.dispatch.clock;
            tokio::select! {
                biased;
                landed = flight.call.as_mut() => return SoloOutcome::Over(landed),
                () = tokio::time::sleep_until(clock.instant(at)) => {}
            }
            let hedger = self.context.dispatch.hedge_controller.as_ref();
            let budget = hedger.map(|hedger| &hedger.budget);
            let budget = budget.filter(|_| why == HedgeReason::Late);
            if !self.state.attempts.may_start_beside(1)
                || budget.is_some_and(|budget| !budget.take())
            {
                continue;
            }
            let asking = self.second(flight.index, &flight.tried, hurries, why);
            let (over, second) = tokio::select! {
                biased;
                landed = flight.call.as_mut() => (Some(landed), None),
                second = asking => (None, second),
            };
            if let Some(second) = second {
                return SoloOutcome::Joined(second, why);
            }
            if let Some(budget) = budget {
                budget.give_back();
            }
            if let Some(landed) = over {
                return SoloOutcome::Over(landed);
            }
        }
        SoloOutcome::Over(flight.call.as_mut().await)
    }

    /// Begins a second attempt in the chain's order, anywhere but at the first attempt's key; for a request that
    /// `hurries` anywhere but at its upstream, because there is no time to find out that its other keys are as silent.
    async fn second(
        &self,
        index: usize,
        first: &OpenAttempt,
        hurries: bool,
        why: HedgeReason,
    ) -> Option<Flight<'r>> {
        if self.state.sealed_by.is_some() {
            // Another key could not read the request.
            return None;
        }
        let key = &first.begun().key;
        let filter = LeaseFilter {
            not_at: if hurries { vec![index] } else { Vec::new() },
            not_with: Some((index, key.index)),
            continues: false,
        };
        let ask = self.state.attempts.ask_for(&filter)?;
        let limits = self.state.limits;
        let lease = self.context.lease_now(ask, limits.deadline).await?;
        // The router forgets refusals of a request that sat out a restart.
        if lease.index == index && lease.key == *key {
            return None;
        }
        let why = match why {
            HedgeReason::Late => AttemptReason::Hedge,
            HedgeReason::TimeGoes => AttemptReason::DeadlineHedge,
        };
        let start = StartedAttempt::new(self.context, self.state, lease, why)?;
        Some(Flight::new(self.context, limits, start))
    }

    /// Two attempts side by side, until one of them decides or fails.
    async fn pair(
        &mut self,
        mut first: Flight<'r>,
        mut second: Flight<'r>,
        why: HedgeReason,
    ) -> Pair<'r> {
        let (mut landed, other, is_first) = tokio::select! {
            biased;
            landed = first.call.as_mut() => (landed, second, true),
            landed = second.call.as_mut() => (landed, first, false),
        };
        let AttemptDone {
            lease,
            open_attempt: tried,
            end,
            ..
        } = &mut *landed;
        // The preferred upstream's answer about the request itself counts; the second one's can wait.
        if let AttemptResult::Failed(failure, whole) = end
            && (!is_first || failure.class.retry() != Retry::Never)
        {
            self.state.keep(tried, failure, whole.take(), false);
            let (counts, _) = self.state.failed(self.context, lease.index, tried, failure);
            learn_failure(self.context, lease, tried, failure);
            lease.settle(settlement(failure, counts));
            self.state.under_way([&other.tried]);
            return Pair::Left(other);
        }
        // For want of room here the second attempt ends, not the one that is under way.
        if matches!(end, AttemptResult::OutOfRoom) {
            self.state
                .attempts
                .ended(tried.record(Class::Cancelled, None, self.context.now()));
            settle(lease, Class::Cancelled, None);
            self.state.under_way([&other.tried]);
            return Pair::Left(other);
        }
        learn(self.context, &landed);
        let served = matches!(
            landed.end,
            AttemptResult::Whole(..) | AttemptResult::Begun(_) | AttemptResult::Piped(_)
        );
        let mut took = None;
        if !is_first {
            let now = self.context.now();
            let waited = now.since(other.tried.begun().started);
            // A lower bound of how long its first token takes.
            other.lease.measured(LatencySample {
                took: waited,
                served: None,
                first_token: self.context.request.doc.stream(),
                ended: now,
                failed: false,
                completion: None,
            });
            let winner = now.since(landed.open_attempt.begun().started);
            took = Some(winner).filter(|_| served && why == HedgeReason::TimeGoes);
        }
        let upstream = &landed.open_attempt.begun().upstream;
        let same_upstream = served && *upstream == other.tried.begun().upstream;
        self.lost(&other, took, same_upstream);
        // Its call ends here and now.
        drop(other);
        Pair::Decided(landed)
    }

    /// Settles and records the loser of a race. `winner_took` is what the winner needed, where that may say something
    /// about the loser; `same_upstream` whether the loser's upstream served it.
    fn lost(&mut self, loser: &Flight<'r>, winner_took: Option<Duration>, same_upstream: bool) {
        let now = self.context.now();
        let begun = loser.tried.begun();
        let judged = Loser {
            stream: self.context.request.doc.stream(),
            started: begun.started,
            heard: loser.lease.is_heard(),
            same_upstream,
            probe: loser.lease.is_probe(),
            winner_took,
        };
        let latency = self.context.dispatch.tree.latency(&begun.upstream);
        let timeout = Failure::new(Class::Timeout, "no answer while another upstream gave one");
        let cancelled = || loser.tried.record(Class::Cancelled, None, now);
        match lost_race::judge(judged, latency, now) {
            Silence::TimedOut => {
                let index = loser.index;
                let (counts, _) = self
                    .state
                    .failed(self.context, index, &loser.tried, &timeout);
                loser.lease.settle(settlement(&timeout, counts));
            }
            Silence::FailedProbe => {
                self.state.attempts.ended(cancelled());
                loser.lease.settle(settlement(&timeout, false));
            }
            Silence::Excused => self.state.attempts.ended(cancelled()),
        }
    }

    fn tell_joined(&mut self, first: &Flight<'r>, second: &Flight<'r>, why: HedgeReason) {
        self.state.under_way([&first.tried, &second.tried]);
        let request = &self.context.request;
        let begun = second.tried.begun();
        tracing::debug!(
            request_id = %request.id,
            trace_id = request.trace.as_ref().map(|trace| display(trace.trace_id)),
            span_id = begun.span.map(display),
            upstream = %begun.upstream,
            key = %begun.key,
            ?why,
            "nothing came yet: a second attempt is made"
        );
    }
}

/// What decides about hedging, where the request may be hedged.
fn hedger(context: &RequestContext) -> Option<&HedgeController> {
    let hedger = context.dispatch.hedge_controller.as_ref();
    hedger.filter(|_| context.request.doc.stream())
}

/// When an attempt's first token is late, as hedging has it.
fn late_at(context: &RequestContext, limits: RequestLimits, tried: &OpenAttempt) -> Option<Alarm> {
    let hedger = hedger(context).filter(|_| limits.policy.hedge)?;
    let tree = &context.dispatch.tree;
    let after = hedger.late_after(|| tree.latency(&tried.begun().upstream))?;
    Some(Alarm {
        at: tried.begun().started + after,
        why: HedgeReason::Late,
    })
}

/// The moment after which another upstream could no longer answer within the caller's time, beside
/// the attempt that `started` at candidate `index`.
fn time_goes_at(
    context: &RequestContext,
    state: &RunState,
    index: usize,
    endpoint: &Endpoint,
    started: Time,
) -> Option<Alarm> {
    let request = &context.request;
    let policy = &context.dispatch.policy;
    // Of a call that others wait for too it is that of its own caller, and not the longest.
    let asked = state.limits.hedge_by.since(request.arrived);
    // A caller that gives all the time that there is does not hurry.
    if asked >= policy.deadline {
        return None;
    }
    let mut others = (0..context.chain.upstreams.len()).filter(|other| *other != index);
    if !others.any(|other| state.attempts.is_open(other)) {
        return None;
    }
    let timeouts = &endpoint.timeouts;
    let longest = if request.doc.stream() {
        timeouts.first_byte.max(timeouts.first_token)
    } else {
        timeouts.response
    };
    let left = state.limits.hedge_by.since(started);
    let longest = longest.min(timeouts.total);
    let gone = hedge::share_gone(asked, left, policy.deadline_hedge, longest)?;
    Some(Alarm {
        at: started + gone,
        why: HedgeReason::TimeGoes,
    })
}

/// Updates the statistics of the upstream of an attempt that served.
fn learn(context: &RequestContext, landed: &AttemptDone<'_>) {
    let stream = match landed.end {
        AttemptResult::Begun(_) => true,
        AttemptResult::Whole(..) => false,
        AttemptResult::Piped(_) if context.request.payload.is_none() => false,
        AttemptResult::Piped(_) => return,
        AttemptResult::Failed(..) | AttemptResult::OutOfTime | AttemptResult::OutOfRoom => return,
    };
    let begun = landed.open_attempt.begun();
    let now = context.now();
    landed.lease.measured(LatencySample {
        took: now.since(begun.started),
        served: Some(Served { stream, at: now }),
        first_token: context.request.doc.stream(),
        ended: now,
        failed: false,
        completion: match &landed.end {
            AttemptResult::Whole(_, usage) => usage.and_then(|usage| usage.completion_tokens),
            _ => None,
        },
    });
}

/// Updates the statistics of an upstream that failed, so that it is not taken for fast. A rate limit says nothing of that.
pub(super) fn learn_failure(
    context: &RequestContext,
    lease: &Lease,
    tried: &OpenAttempt,
    failure: &Failure,
) {
    if failure.class.trips_breaker() {
        let now = context.now();
        lease.measured(LatencySample {
            took: now.since(tried.begun().started),
            served: None,
            first_token: context.request.doc.stream(),
            ended: now,
            failed: true,
            completion: None,
        });
    }
}
