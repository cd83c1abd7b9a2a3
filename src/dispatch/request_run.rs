//! The owner of one request from its admission to its end: its parameters, its progress, and its trace.
//! Dropping it records how the request ended (`dispatch/request_trace.rs`).

use std::sync::Arc;

use super::admission::Admitted;
use super::attempt::FullResponse;
use super::caching::flight::StarterFate;
use super::caching::place::CachePlace;
use super::costs;
use super::failed::Failed;
use super::limits::RequestLimits;
use super::open_attempt::OpenAttempt;
use super::request::{Endpoint, Request};
use super::request_trace::{RequestEnd, RequestTrace};
use super::routing_state::PendingGuard;
use super::shared::Dispatch;
use super::verdict::{FailedRequest, come_back, retry_after, stay_away};
use crate::domain::attempt_record::AttemptRecord;
use crate::domain::attempts::{Attempts, Candidate, FinalError, Next};
use crate::domain::chain::{Chain, RankedChain};
use crate::domain::ids::KeyId;
use crate::domain::limits::DispatchPolicy;
use crate::domain::outcome::{Class, Failure, Retry};
use crate::domain::refusal::Reason;
use crate::domain::routing_note::RoutingNote;
use crate::domain::skipped::skipped;
use crate::domain::time::Time;
use crate::telemetry::request_record::RequestRecord as Ended;
use crate::wire::dialects;

/// One request under way. Its stages are in `dispatch/run.rs`.
pub(super) struct RequestRun {
    pub(super) context: RequestContext,
    pub(super) state: RunState,
}

/// What does not change while attempts are under way: they borrow it.
pub(super) struct RequestContext {
    pub(super) dispatch: Arc<Dispatch>,
    pub(super) request: Request,
    /// The upstreams that its target means.
    pub(super) chain: Arc<Chain>,
    /// The hash of what its conversation is known by, where that decides where it goes.
    pub(super) session: Option<u64>,
}

/// What each attempt changes.
pub(super) struct RunState {
    /// The machine that says what comes next; it keeps the records of the attempts.
    pub(super) attempts: Attempts,
    pub(super) limits: RequestLimits,
    /// The last answer that may go back as it is, in case that no other upstream serves, and its attempt.
    pub(super) kept: Option<Box<(OpenAttempt, FullResponse)>>,
    /// Where its answer is put for equal requests, if it is to be kept.
    pub(super) place: Option<Box<CachePlace>>,
    /// What became of its caller, where others may wait for its answer too.
    pub(super) fate: Option<StarterFate>,
    /// The key that it should go to first, if that one is ready.
    pub(super) prefers: Option<KeyId>,
    /// The key that alone can open what is sealed in the request, as long as it is in there.
    pub(super) sealed_by: Option<KeyId>,
    /// Its place in the count of the upstream that it goes to.
    pub(super) on_its_way: PendingGuard,
    /// The facts that are recorded when the request ends.
    pub(super) trace: RequestTrace,
}

impl RequestRun {
    /// The run of an admitted request, whose body was complete at `complete`.
    pub(super) fn new(
        dispatch: &Arc<Dispatch>,
        mut request: Request,
        admitted: Admitted,
        complete: Time,
    ) -> Self {
        let RankedChain {
            chain,
            ruled_out,
            session,
            ranking,
        } = admitted.chain;
        let budgeted = admitted.budgeted;
        let policy = *dispatch.policies.of(&chain.target);
        request.unsupported = request.unsupported.or(policy.unsupported);
        let limits = RequestLimits::new(&dispatch.policy, policy, &request);
        let policy = DispatchPolicy {
            await_cooldown: limits.wait,
            ..dispatch.policy
        };
        let plain = request.caller().continues_itself(request.operation);
        let candidates = dispatch.candidates(&chain).map(|candidate| Candidate {
            continues: candidate.continues || plain,
            ..candidate
        });
        let mut attempts = Attempts::new(policy, limits.deadline, 0, candidates);
        if let Some(budgeted) = &budgeted {
            budgeted.rule_out(&mut attempts);
        }
        for (place, unmet) in ruled_out {
            attempts.rule_out(place, Reason::Unmet(unmet));
        }
        let pending = dispatch.routing.enter(&chain, 0);
        let Admitted {
            target,
            charge,
            lookup,
            ..
        } = admitted;
        let mut trace = RequestTrace::new(dispatch, &request, target, charge, complete);
        trace.lookup = lookup;
        trace.budgeted = budgeted;
        trace.ranking = ranking;
        Self {
            context: RequestContext {
                dispatch: Arc::clone(dispatch),
                request,
                chain,
                session,
            },
            state: RunState {
                attempts,
                limits,
                kept: None,
                prefers: None,
                sealed_by: None,
                place: None,
                fate: None,
                on_its_way: pending,
                trace,
            },
        }
    }

    /// The request ends with this error.
    pub(super) fn fail(mut self, verdict: FinalError) -> Box<Failed> {
        let RequestContext {
            dispatch,
            request,
            chain,
            ..
        } = &self.context;
        let RunState {
            attempts, trace, ..
        } = &mut self.state;
        trace.ending = Some(RequestEnd::Failed(verdict.code));
        let now = dispatch.clock.now();
        let refused = trace.refused.as_ref();
        let declined = refused.map_or(&[][..], |(_, refused)| &refused.declined);
        let closed = attempts.ask().closed;
        let skipped = skipped(&chain.upstreams, &closed, declined, attempts.records());
        let recorded = FailedRequest {
            target: &chain.target,
            tried: attempts.records().len(),
            skipped: &skipped,
            attempts,
            caller: dialects::caller(request.operation),
            now,
        };
        Box::new(Failed {
            code: verdict.code,
            message: recorded.message(verdict.code),
            retry_after: retry_after(verdict, now),
            records: attempts.records().to_vec(),
            skipped: skipped.into(),
            arrived: request.arrived,
            ended: now,
            param: None,
        })
    }
}

impl RequestContext {
    /// Where candidate `index` is.
    pub(super) fn endpoint(&self, index: usize) -> Option<&Arc<Endpoint>> {
        self.dispatch.endpoint(&self.chain, index)
    }

    /// The present time.
    pub(super) fn now(&self) -> Time {
        self.dispatch.clock.now()
    }
}

impl RunState {
    /// Notes that the attempt at candidate `index` failed. Returns whether that counts against the upstream's health,
    /// with which its lease is to be settled, and the next step.
    pub(super) fn failed(
        &mut self,
        context: &RequestContext,
        index: usize,
        tried: &OpenAttempt,
        failure: &Failure,
    ) -> (bool, Next) {
        let now = context.now();
        tracing::debug!(
            request_id = %context.request.id,
            trace_id = context.request.trace.as_ref().map(|trace| display(trace.trace_id)),
            span_id = tried.begun().span.map(display),
            upstream = %tried.begun().upstream,
            key = %tried.begun().key,
            class = failure.class.as_str(),
            detail = %failure.detail,
            "attempt failed"
        );
        let record = tried.failed(failure, now);
        self.attempts
            .failed(index, record, failure, fastrand::f64(), now)
    }

    /// Keeps an answer that says more to the caller than an error of ours, if this is one.
    pub(super) fn keep(
        &mut self,
        tried: &OpenAttempt,
        failure: &Failure,
        whole: Option<FullResponse>,
        always: bool,
    ) {
        let goes_back = matches!(failure.class.retry(), Retry::Never | Retry::Elsewhere);
        if let Some(mut whole) = whole.filter(|_| goes_back || always) {
            match failure.class {
                Class::TooLargeForLimit => stay_away(&mut whole.headers),
                _ => come_back(whole.status, &mut whole.headers, failure.retry_after),
            }
            self.kept = Some(Box::new((tried.clone(), whole)));
        }
    }

    /// Notes the attempts under way, for the record if the request ends during them.
    pub(super) fn under_way<'a>(&mut self, tried: impl IntoIterator<Item = &'a OpenAttempt>) {
        let mut tried = tried.into_iter().map(OpenAttempt::under_way);
        self.trace.current = [tried.next(), tried.next()];
    }
}

impl Drop for RequestRun {
    fn drop(&mut self) {
        let RequestContext {
            dispatch,
            request,
            chain,
            ..
        } = &mut self.context;
        let trace = &mut self.state.trace;
        let now = dispatch.clock.now();
        let mut records = self.state.attempts.take_records();
        let ended = records.len();
        for under_way in trace.current.iter_mut().filter_map(Option::take) {
            records.push(AttemptRecord {
                ended: now,
                // Told so far by an answer that passes as it comes; others are recorded with their own.
                usage: trace.usage,
                ..Arc::unwrap_or_clone(under_way)
            });
        }
        costs::price(dispatch, request, trace, &mut records);
        let under_way = records.len() - ended;
        let mut budgeted = trace.budgeted.take();
        let routing = RoutingNote::of(
            trace.ranking.take(),
            self.state.attempts.closed(),
            budgeted.as_mut().map(|it| std::mem::take(&mut it.note)),
        );
        dispatch.settle_cost(request, chain, budgeted, &records, under_way);
        let halted = dispatch.abort.is_on();
        if !halted {
            trace.ending = trace.ending.or_else(|| trace.overdue(request, now));
        }
        trace.settle(&records, now);
        let fate = self.state.fate.take();
        if fate.as_ref().is_some_and(StarterFate::is_late) {
            trace.ending = Some(trace.too_late(request));
        }
        let (outcome, status) = match fate.is_some_and(|fate| fate.is_left()) && !halted {
            // Its answer was for others.
            true => ("caller_left", None),
            false => trace.outcome(halted, request.streams()),
        };
        let recorded = Ended {
            id: Arc::clone(&request.id),
            client: request
                .client
                .as_ref()
                .map(|client| Arc::clone(client.name())),
            operation: request.operation,
            stream: request.streams(),
            target: std::mem::take(&mut trace.target),
            chain: Some(Arc::clone(chain)),
            routing,
            outcome,
            status,
            attempts: records,
            refused: trace.refused.take(),
            lookup: trace.lookup,
            saved: trace.saved,
            rescue_obstacles: std::mem::take(&mut trace.obstacles),
            started: request.arrived,
            complete: trace.complete,
            ended: now,
            first_token: trace.first_token,
            usage: trace.usage,
            trace: request.trace.take(),
        };
        dispatch.recorder.record(recorded, trace.content.take());
    }
}
