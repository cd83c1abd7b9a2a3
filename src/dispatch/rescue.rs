//! Finding another stream for an answer that broke off after content was sent.
//!
//! The request's own machine goes on: attempt limits, deadline, retry budgets and breakers hold as before the
//! first content. What is found is spliced to what was sent by `wire/splice.rs`.

use std::sync::Arc;
use std::time::Duration;

use super::asked_call::AskedCall;
use super::attempt::{self, AttemptResult, StreamStarted, Times};
use super::open_attempt::{OpenAttempt, settle, settlement};
use super::request::{Continuation, Endpoint, Request};
use super::request_run::RequestRun;
use super::shared::Dispatch;
use crate::actors::lease::Lease;
use crate::domain::attempt_record::{AttemptReason, AttemptRecord};
use crate::domain::attempts::{LeaseFilter, Next};
use crate::domain::chain::Chain;
use crate::domain::outcome::{Class, Failure};
use crate::domain::rescue::{Prefill, RescueMode, RescueObstacle, RescuePolicy};
use crate::domain::time::Time;
use crate::wire::request::RequestDoc;

/// What the caller has.
pub(super) struct SentAnswer {
    pub(super) text: String,
    /// About how many tokens the text has.
    pub(super) tokens: u64,
    /// Whether another stream must be written into the state of the first one.
    pub(super) is_resumed: bool,
}

/// How a stream that was found goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ContinuationKind {
    /// From the beginning of the answer.
    Restarted,
    /// From what was sent, which it may repeat first.
    Continued {
        /// Whether the upstream is known to repeat that first.
        echoed: bool,
        /// Bytes of white space at the end of what was sent that it was not told.
        cut: usize,
    },
}

/// Another stream that continues the answer.
pub(super) struct FoundStream {
    pub(super) started: StreamStarted,
    pub(super) lease: Lease,
    pub(super) open_attempt: OpenAttempt,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) how: ContinuationKind,
}

/// What became of the search.
pub(super) struct Searched {
    pub(super) run: RequestRun,
    pub(super) found: Option<FoundStream>,
}

/// How the request's stream may be rescued.
///
/// # Errors
/// What keeps it from that, where the target asks for it.
pub(super) fn policy(run: &RequestRun) -> Result<RescuePolicy, Option<RescueObstacle>> {
    if run.context.request.fetched {
        return Ok(RescuePolicy::OF_WHOLE);
    }
    let policy = run.state.limits.policy.rescue.ok_or(None)?;
    let request = &run.context.request;
    if !request
        .caller()
        .may_be_rescued(request.operation, &request.doc)
    {
        return Err(Some(RescueObstacle::RequestBound));
    }
    match barred(&run.context.dispatch, &run.context.chain) {
        Some(obstacle) => Err(Some(obstacle)),
        None => Ok(policy),
    }
}

/// What keeps every answer of a chain from being rescued: what the configuration fills in may bind it too.
pub(super) fn barred(dispatch: &Dispatch, chain: &Chain) -> Option<RescueObstacle> {
    let mut endpoints = (0..chain.upstreams.len()).filter_map(|at| dispatch.endpoint(chain, at));
    let plain = endpoints.all(|endpoint| endpoint.dialect.leaves_plain(&endpoint.params));
    (!plain).then_some(RescueObstacle::ParamsBound)
}

/// What keeps an answer from being continued by this model of an upstream, whatever was sent of it.
pub(super) fn discontinued(endpoint: &Endpoint, model: &str) -> Option<RescueObstacle> {
    if endpoint.prefill.is_none() {
        Some(RescueObstacle::NoPrefill)
    } else {
        let takes = endpoint.dialect.takes_prefill(model);
        (!takes).then_some(RescueObstacle::ModelTakesNone)
    }
}

/// Looks for another stream, until `until` at the latest: `next` is the machine's step after the failure at candidate
/// `dead`. It borrows the request, so that the record is complete even if the caller leaves meanwhile.
pub(super) async fn search(
    mut run: RequestRun,
    mode: RescueMode,
    next: Next,
    dead: usize,
    sent: SentAnswer,
    until: Time,
) -> Searched {
    run.state.limits.deadline = until;
    let deadline = run.context.dispatch.clock.instant(until);
    let search = StreamSearch {
        may_continue: mode == RescueMode::Continue && !sent.text.is_empty(),
        run: &mut run,
        sent,
        dead: vec![dead],
        unwilling: Vec::new(),
    };
    let found = match tokio::time::timeout_at(deadline, search.find(next)).await {
        Ok(found) => found,
        Err(_) => {
            let now = run.context.now();
            let current = std::mem::take(&mut run.state.trace.current);
            for under_way in current.into_iter().flatten() {
                run.state.attempts.ended(AttemptRecord {
                    ended: now,
                    ..Arc::unwrap_or_clone(under_way)
                });
            }
            None
        }
    };
    run.state.under_way([]);
    Searched { run, found }
}

/// The search for another stream.
struct StreamSearch<'r> {
    run: &'r mut RequestRun,
    sent: SentAnswer,
    /// Candidates whose streams broke off, or that failed to begin one.
    dead: Vec<usize>,
    /// Candidates that take no prefill: usable, but tried after those whose form is unknown.
    unwilling: Vec<usize>,
    /// Whether candidates may be asked to go on from what was sent.
    may_continue: bool,
}

impl StreamSearch<'_> {
    async fn find(mut self, mut next: Next) -> Option<FoundStream> {
        loop {
            let Next::Ask(wait) = next else { return None };
            let lease = self.lease(wait).await?;
            let endpoint = Arc::clone(self.run.context.endpoint(lease.index)?);
            let (lease, tried, how, end) = self.attempt(lease, &endpoint).await;
            let failure = match end {
                AttemptResult::Begun(begun) => {
                    return Some(FoundStream {
                        started: *begun,
                        lease,
                        open_attempt: tried,
                        endpoint,
                        how,
                    });
                }
                AttemptResult::OutOfTime | AttemptResult::OutOfRoom => {
                    settle(&lease, Class::Cancelled, None);
                    let now = self.run.context.now();
                    let record = tried.record(Class::Cancelled, None, now);
                    self.run.state.attempts.ended(record);
                    return None;
                }
                AttemptResult::Whole(..) | AttemptResult::Piped(_) => {
                    Failure::new(Class::Malformed, "asked for a stream, got an answer")
                }
                AttemptResult::Failed(failure, _) => failure,
            };
            next = self.failed(&lease, &tried, how, &failure);
        }
    }

    /// Makes the attempt that `lease` allows: it goes on from what was sent where its endpoint can, else it starts again.
    async fn attempt(
        &mut self,
        mut lease: Lease,
        endpoint: &Endpoint,
    ) -> (Lease, OpenAttempt, ContinuationKind, AttemptResult) {
        let RequestRun { context, state } = &mut *self.run;
        let request = &context.request;
        let continued = self.may_continue.then(|| {
            let model = lease.upstream().model.as_str();
            continued(endpoint, request, model, &self.sent)
        });
        let continued = match continued {
            Some(Ok(continued)) => Some(continued),
            Some(Err(obstacle)) => {
                let upstream = Some(lease.upstream().clone());
                state.trace.meets(context.now(), obstacle, upstream);
                None
            }
            None => None,
        };
        // Where no continuation can be asked for, the request starts again.
        let (how, why) = match &continued {
            Some(Continued { prefill, cut, .. }) => {
                let continued = ContinuationKind::Continued {
                    echoed: prefill.is_some_and(|it| it.form == Prefill::PrefixEchoed),
                    cut: *cut,
                };
                (continued, AttemptReason::Continue)
            }
            None => (ContinuationKind::Restarted, AttemptReason::Restart),
        };
        let trace = request.trace.as_deref();
        let tried = OpenAttempt::new(&mut lease, why, context.now(), trace);
        state.under_way([&tried]);
        let times = Times {
            clock: context.dispatch.clock,
            tried: &tried,
            deadline: state.limits.deadline,
            buffers: &context.dispatch.buffers,
            first_token: state.limits.first_token(request, endpoint, &lease),
        };
        let raw = self.sent.is_resumed;
        let asked = match &continued {
            Some(Continued { doc, prefill, .. }) => {
                let own = prefill.and_then(|prefill| prefill.transport.as_ref());
                AskedCall {
                    doc,
                    wire: &**own.unwrap_or(&endpoint.transport),
                    prefill: prefill.map(|prefill| prefill.form),
                    raw,
                }
            }
            None => AskedCall {
                raw,
                ..AskedCall::of(request, endpoint)
            },
        };
        let end = attempt::make::make_of(asked, request, endpoint, &lease, times).await;
        state.under_way([]);
        (lease, tried, how, end)
    }

    /// Settles and records a failed attempt, and says what comes next.
    fn failed(
        &mut self,
        lease: &Lease,
        tried: &OpenAttempt,
        how: ContinuationKind,
        failure: &Failure,
    ) -> Next {
        let RequestRun { context, state } = &mut *self.run;
        let (request, now) = (&context.request, context.now());
        tracing::debug!(
            request_id = %request.id,
            trace_id = request.trace.as_ref().map(|trace| display(trace.trace_id)),
            span_id = tried.begun().span.map(display),
            upstream = %tried.begun().upstream,
            key = %tried.begun().key,
            class = failure.class.as_str(),
            detail = %failure.detail,
            ?how,
            "attempt to go on with a broken stream failed"
        );
        let record = tried.failed(failure, now);
        // An upstream that does not take prefills says so like this: the request itself was good.
        let refused = matches!(
            failure.class,
            Class::CallerFault
                | Class::ContentPolicy
                | Class::ModelGone
                | Class::Unsupported
                | Class::NotOffered
        );
        let (counts, next) = if refused && how != ContinuationKind::Restarted {
            self.may_continue = false;
            self.unwilling.push(lease.index);
            let upstream = Some(tried.begun().upstream.clone());
            let refused = RescueObstacle::PrefillRefused;
            state.trace.meets(now, refused, upstream);
            (false, state.attempts.rejected(record, now))
        } else {
            self.dead.push(lease.index);
            let random = fastrand::f64();
            let attempts = &mut state.attempts;
            attempts.failed(lease.index, record, failure, random, now)
        };
        lease.settle(settlement(failure, counts));
        next
    }

    /// A lease for the next try: at another upstream at once, else at one that broke off, with another key if there
    /// is one and after its `wait`; where it can go on from what was sent before where it would start again.
    async fn lease(&mut self, mut wait: Duration) -> Option<Lease> {
        let not_at = |not_at: &[usize], continues: bool| LeaseFilter {
            not_at: not_at.to_vec(),
            continues,
            not_with: None,
        };
        if self.may_continue {
            if let Some(lease) = self.lease_now(&not_at(&self.dead, true)).await {
                return Some(lease);
            }
            let request = &self.run.context.request;
            let plain = request.caller().continues_itself(request.operation);
            let again = |index: &usize| {
                let endpoint = self.run.context.endpoint(*index);
                self.run.state.attempts.is_open(*index)
                    && endpoint.is_some_and(|endpoint| plain || endpoint.prefill.is_some())
            };
            if self.dead.iter().any(again) {
                tokio::time::sleep(std::mem::take(&mut wait)).await;
                if let Some(lease) = self.lease_now(&not_at(&[], true)).await {
                    return Some(lease);
                }
            }
        }
        let tried = [&*self.dead, &*self.unwilling].concat();
        if let Some(lease) = self.lease_now(&not_at(&tried, false)).await {
            return Some(lease);
        }
        if let Some(lease) = self.lease_now(&not_at(&self.dead, false)).await {
            return Some(lease);
        }
        tokio::time::sleep(wait).await;
        self.run.lease().await.ok()
    }

    /// A lease at any candidate that is open and of this kind, without waiting.
    async fn lease_now(&self, filter: &LeaseFilter) -> Option<Lease> {
        let RequestRun { context, state } = &*self.run;
        let ask = state.attempts.ask_for(filter)?;
        context.lease_now(ask, state.limits.deadline).await
    }
}

/// What asks for the rest of an answer.
struct Continued<'e> {
    doc: RequestDoc,
    /// How that is said; `None` where the request says it by itself.
    prefill: Option<&'e Continuation>,
    /// Bytes of white space at the end of what was sent that are not in the request.
    cut: usize,
}

/// The request for the rest of the answer, or why there is none.
fn continued<'e>(
    endpoint: &'e Endpoint,
    request: &Request,
    model: &str,
    sent: &SentAnswer,
) -> Result<Continued<'e>, RescueObstacle> {
    let caller = request.caller();
    // What this process answers itself is an answer to the prompt, and no more of it.
    let plain = caller.continues_itself(request.operation) && endpoint.dialect.is_remote();
    let obstacle = match plain {
        true => None,
        false => discontinued(endpoint, model),
    };
    if let Some(obstacle) = obstacle {
        return Err(obstacle);
    }
    let trimmed = match endpoint.dialect.trims_prefill() && !plain {
        true => sent.text.trim_end(),
        false => &sent.text,
    };
    let begun = (!trimmed.is_empty()).then_some(trimmed);
    let doc =
        begun.and_then(|text| caller.continued(request.operation, &request.doc, text, sent.tokens));
    Ok(Continued {
        doc: doc.ok_or(RescueObstacle::NoPlace)?,
        prefill: endpoint.prefill.as_ref().filter(|_| !plain),
        cut: sent.text.len() - trimmed.len(),
    })
}
