//! Finding another stream for an answer that broke off after content was sent.
//!
//! The request's own machine goes on: attempt limits, deadline, retry budgets and breakers hold as before the
//! first content. What is found is spliced to what was sent by `wire/splice.rs`.

use std::sync::Arc;
use std::time::Duration;

use super::attempt::{self, Begun, End, Times};
use super::leasing::{Dispatch, Limits};
use super::request::{Endpoint, Request};
use super::story::Story;
use super::tried::{Tried, settle, settlement};
use crate::actors::lease::Lease;
use crate::domain::attempts::{Attempts, Next};
use crate::domain::blame::Blame;
use crate::domain::chain::Chain;
use crate::domain::outcome::{Class, Failure};
use crate::domain::record::{Record, Why};
use crate::domain::refusal::Reason;
use crate::domain::rescue::{Prefill, RescueMode, RescuePolicy};
use crate::domain::time::Time;
use crate::wire::request::RequestDoc;

/// All that is needed to go on with a request whose stream is being relayed.
pub(super) struct Rescue {
    dispatch: Arc<Dispatch>,
    request: Request,
    chain: Arc<Chain>,
    attempts: Attempts,
    limits: Limits,
    policy: RescuePolicy,
}

/// What the caller has.
pub(super) struct Sent {
    pub(super) text: String,
    /// About.
    pub(super) tokens: u64,
}

/// How a stream that was found goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum How {
    /// From the beginning of the answer.
    Restarted,
    /// From what was sent, which it may repeat first.
    Continued { echoed: bool },
}

/// Another stream.
pub(super) struct Found {
    pub(super) begun: Begun,
    pub(super) lease: Lease,
    pub(super) tried: Tried,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) how: How,
    /// What a failure of it counts for.
    pub(super) blame: Blame,
}

/// What became of the search.
pub(super) struct Searched {
    pub(super) rescue: Box<Rescue>,
    pub(super) story: Story,
    pub(super) found: Option<Found>,
}

impl Rescue {
    /// `None` when the target or the request does not allow it.
    pub(super) fn new(
        dispatch: &Arc<Dispatch>,
        request: Request,
        chain: Arc<Chain>,
        attempts: Attempts,
        limits: Limits,
    ) -> Option<Box<Self>> {
        let policy = limits.policy.rescue?;
        // With what the configuration fills in: that may bind the answer too.
        let plain = |endpoint: &Arc<Endpoint>| {
            let filled = RequestDoc::parse(request.doc.rewritten("m", &endpoint.params));
            filled.is_ok_and(|doc| endpoint.dialect.may_be_rescued(request.operation, &doc))
        };
        let mut endpoints =
            (0..chain.upstreams.len()).filter_map(|index| dispatch.endpoint(&chain, index));
        let may = endpoints.all(plain);
        may.then(|| {
            Box::new(Self {
                dispatch: Arc::clone(dispatch),
                request,
                chain,
                attempts,
                limits,
                policy,
            })
        })
    }

    /// How long events are held back.
    pub(super) fn hold(&self) -> Duration {
        self.policy.hold
    }

    /// The attempts so far.
    pub(super) fn records(&self) -> &[Record] {
        self.attempts.records()
    }

    /// The stream of candidate `index` broke off. Returns whether that counts against the upstream, and what the
    /// request's machine says.
    pub(super) fn failed(
        &mut self,
        index: usize,
        record: Record,
        failure: &Failure,
    ) -> (bool, Next) {
        let now = self.dispatch.clock.now();
        // The wait for the first content is over: from here on the answer as a whole has its time.
        self.attempts.deadline = self.limits.end;
        self.attempts
            .failed(index, record, failure, fastrand::f64(), now)
    }

    /// An attempt is over that neither served nor failed.
    pub(super) fn given_up(&mut self, record: Record) {
        self.attempts.cancelled(record);
    }

    /// Looks for another stream, no longer than `until`: `next` is the machine's word after the failure at candidate
    /// `dead`. The story goes along, so that it is told whole even if the caller leaves meanwhile.
    pub(super) async fn search(
        mut self: Box<Self>,
        mut story: Story,
        next: Next,
        dead: usize,
        sent: Sent,
        until: Time,
    ) -> Searched {
        self.limits.deadline = until;
        let deadline = self.dispatch.clock.instant(self.limits.deadline);
        let finding = self.find(&mut story, next, dead, &sent);
        let found = match tokio::time::timeout_at(deadline, finding).await {
            Ok(found) => found,
            Err(_) => {
                let now = self.dispatch.clock.now();
                for under_way in std::mem::take(&mut story.current) {
                    self.given_up(Record {
                        ended: now,
                        ..under_way
                    });
                }
                None
            }
        };
        story.current.clear();
        story.records = self.attempts.records().to_vec();
        Searched {
            rescue: self,
            story,
            found,
        }
    }

    async fn find(
        &mut self,
        story: &mut Story,
        mut next: Next,
        dead: usize,
        sent: &Sent,
    ) -> Option<Found> {
        let dispatch = Arc::clone(&self.dispatch);
        let mut dead = vec![dead];
        // Those that want no prefill are well, and come after those that nothing is known of.
        let mut unwilling = Vec::new();
        let mut may_continue = self.policy.mode == RescueMode::Continue && !sent.text.is_empty();
        loop {
            let Next::Ask(wait) = next else { return None };
            let mut lease = self.lease(may_continue, &dead, &unwilling, wait).await?;
            let index = lease.index;
            let endpoint = Arc::clone(dispatch.endpoint(&self.chain, index)?);
            let doc = &self.request.doc;
            let asked = endpoint.prefill.as_ref().filter(|_| may_continue);
            let asked = asked.and_then(|asked| {
                let doc = endpoint
                    .dialect
                    .continued(doc, &sent.text, sent.tokens, asked.form)?;
                Some((doc, asked))
            });
            let how = match &asked {
                Some((_, asked)) => How::Continued {
                    echoed: asked.form == Prefill::PrefixEchoed,
                },
                None => How::Restarted,
            };
            let why = match how {
                How::Continued { .. } => Why::Continue,
                How::Restarted => Why::Restart,
            };
            let trace = self.request.trace.as_deref();
            let tried = Tried::new(&mut lease, why, dispatch.clock.now(), trace);
            story.current = vec![tried.under_way()];
            let times = Times {
                clock: dispatch.clock,
                tried: &tried,
                deadline: self.limits.deadline,
                buffers: &dispatch.buffers,
                first_token: self.limits.first_token(&self.request, &endpoint, &lease),
            };
            let (doc, wire) = match &asked {
                Some((doc, asked)) => (doc, asked.wire.as_ref().unwrap_or(&endpoint.wire)),
                None => (doc, &endpoint.wire),
            };
            let attempt = attempt::make_of(doc, &**wire, &self.request, &endpoint, &lease, times);
            let end = attempt.await;
            story.current.clear();
            let now = dispatch.clock.now();
            let failure = match end {
                End::Begun(begun) => {
                    let blame = self.attempts.blame(index);
                    return Some(Found {
                        begun: *begun,
                        lease,
                        tried,
                        endpoint,
                        how,
                        blame,
                    });
                }
                End::OutOfTime | End::OutOfRoom => {
                    settle(&lease, Class::Cancelled, None);
                    self.given_up(tried.record(Class::Cancelled, None, now));
                    return None;
                }
                End::Whole(..) => {
                    Failure::new(Class::Malformed, "asked for a stream, got an answer")
                }
                End::Failed(failure, _) => failure,
            };
            tracing::debug!(
                request_id = %self.request.id,
                trace_id = self.request.trace.as_ref().map(|trace| display(trace.trace_id)),
                span_id = tried.begun().span.map(display),
                upstream = %tried.begun().upstream,
                key = %tried.begun().key,
                class = failure.class.as_str(),
                detail = %failure.detail,
                ?how,
                "attempt to go on with a broken stream failed"
            );
            let record = tried.failed(&failure, now);
            // An upstream that does not take prefills says so like this: the request itself was good.
            let refused = matches!(
                failure.class,
                Class::CallerFault | Class::ContentPolicy | Class::ModelGone | Class::Unsupported
            );
            let counts;
            if refused && how != How::Restarted {
                may_continue = false;
                unwilling.push(index);
                counts = false;
                next = self.attempts.rejected(record, now);
            } else {
                (counts, next) = self.failed(index, record, &failure);
                dead.push(index);
            }
            lease.settle(settlement(&failure, counts));
            story.records = self.attempts.records().to_vec();
        }
    }

    /// A lease for the next try: at another upstream at once, else at one that broke off, with another key if there
    /// is one and after its `wait`; where it can go on from what was sent before where it would start again.
    async fn lease(
        &mut self,
        may_continue: bool,
        dead: &[usize],
        unwilling: &[usize],
        wait: Duration,
    ) -> Option<Lease> {
        let dispatch = Arc::clone(&self.dispatch);
        let continues = |index: usize| {
            let endpoint = dispatch.endpoint(&self.chain, index);
            endpoint.is_some_and(|endpoint| endpoint.prefill.is_some())
        };
        let alive = |index: usize| !dead.contains(&index);
        let mut wait = wait;
        if may_continue {
            if let Some(lease) = self
                .lease_where(|index| alive(index) && continues(index))
                .await
            {
                return Some(lease);
            }
            let again = |index: &usize| self.attempts.is_open(*index) && continues(*index);
            if dead.iter().any(again) {
                tokio::time::sleep(std::mem::take(&mut wait)).await;
                if let Some(lease) = self.lease_where(continues).await {
                    return Some(lease);
                }
            }
        }
        let fresh = |index: usize| alive(index) && !unwilling.contains(&index);
        if let Some(lease) = self.lease_where(fresh).await {
            return Some(lease);
        }
        if let Some(lease) = self.lease_where(alive).await {
            return Some(lease);
        }
        tokio::time::sleep(wait).await;
        let Self {
            request,
            chain,
            attempts,
            limits,
            ..
        } = self;
        dispatch.lease(request, chain, attempts, limits).await.ok()
    }

    /// A lease at any candidate that is open and of this kind, without waiting.
    async fn lease_where(&self, wanted: impl Fn(usize) -> bool) -> Option<Lease> {
        let mut ask = self.attempts.ask();
        for (index, closed) in ask.closed.iter_mut().enumerate() {
            if !wanted(index) {
                *closed = Some(Reason::Tried);
            }
        }
        let deadline = self.limits.deadline;
        self.dispatch
            .lease_now(&self.request, &self.chain, ask, deadline)
            .await
    }
}
