//! One request from arrival to answer: the loop round the attempts machine.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::answer::{Answer, AnswerBody, Failed};
use super::attempt::{self, Begun, End, Times, Whole};
use super::relay::{Relay, RelayParts};
use super::request::{Endpoint, Request};
use super::story::{Ending, Story};
use super::tokens;
use crate::actors::lease::Lease;
use crate::actors::route::Route;
use crate::actors::tree::Dispatcher;
use crate::domain::attempts::{Attempts, Candidate, Next, Record, Verdict};
use crate::domain::chain::{Chain, ResolveError, Targets};
use crate::domain::error_code::ErrorCode;
use crate::domain::ids::ProviderName;
use crate::domain::key_state::Settlement;
use crate::domain::limits::DispatchPolicy;
use crate::domain::mutant::{self, Mutant};
use crate::domain::outcome::{Class, Failure};
use crate::domain::time::Time;
use crate::runtime::clock::Clock;
use crate::wire::headers::forward_response_headers;

/// Everything a request's task needs. One per process, shared.
pub struct Dispatch {
    /// The way into the tree.
    pub dispatcher: Dispatcher,
    /// What may be asked for.
    pub targets: Arc<Targets>,
    /// By name.
    pub endpoints: HashMap<ProviderName, Arc<Endpoint>>,
    /// What bounds a request.
    pub policy: DispatchPolicy,
    /// The clock.
    pub clock: Clock,
}

/// What bounds one request's waiting.
#[derive(Clone, Copy)]
struct Limits {
    deadline: Time,
    /// What is left of the time that it may wait for keys.
    wait: Duration,
    patience_until: Time,
}

impl Dispatch {
    /// Serves one request, or says why not.
    ///
    /// # Errors
    /// One of the contract's errors, with everything that was tried.
    pub async fn run(&self, request: Request) -> Result<Answer, Box<Failed>> {
        let mut story = Story {
            id: Arc::clone(&request.id),
            operation: request.operation,
            stream: request.doc.stream(),
            target: request
                .doc
                .model()
                .map_or_else(String::new, |model| model.into_owned()),
            started: request.arrived,
            clock: self.clock,
            records: Vec::new(),
            current: None,
            first_token: None,
            usage: None,
            ending: None,
        };
        match self.resolve(&request) {
            Ok(chain) => {
                if story.target.is_empty() {
                    chain.target.as_ref().clone_into(&mut story.target);
                }
                self.serve(request, chain, story).await
            }
            Err(failed) => {
                story.ending = Some(Ending::Failed(failed.code));
                Err(Box::new(failed))
            }
        }
    }

    fn resolve(&self, request: &Request) -> Result<Arc<Chain>, Failed> {
        let model = request.doc.model();
        self.targets.resolve(model.as_deref()).map_err(|error| {
            let code = match error {
                ResolveError::UnknownTarget { .. } | ResolveError::NoModel { .. } => {
                    ErrorCode::ModelNotFound
                }
                ResolveError::NoDefault => ErrorCode::NoDefaultModel,
            };
            Failed {
                code,
                message: error.to_string(),
                retry_after: None,
                records: Vec::new(),
                arrived: request.arrived,
                param: Some("model"),
            }
        })
    }

    async fn serve(
        &self,
        request: Request,
        chain: Arc<Chain>,
        mut story: Story,
    ) -> Result<Answer, Box<Failed>> {
        let mut limits = self.limits(&request);
        let endpoints: Vec<Option<&Arc<Endpoint>>> = chain
            .upstreams
            .iter()
            .map(|upstream| self.endpoints.get(&upstream.provider))
            .collect();
        let needed = self.tokens_needed(&request, &endpoints).await;
        let candidates = chain.upstreams.iter().zip(&endpoints);
        let candidates = candidates.map(|(upstream, endpoint)| Candidate {
            upstream: upstream.clone(),
            context_window: endpoint.and_then(|endpoint| endpoint.context_window),
            retry: endpoint.map_or_else(Arc::default, |endpoint| Arc::clone(&endpoint.retry)),
        });
        let policy = DispatchPolicy {
            await_cooldown: limits.wait,
            ..self.policy
        };
        let mut attempts = Attempts::new(policy, limits.deadline, needed, candidates);
        let mut next = attempts.start(self.clock.now());
        loop {
            match next {
                Next::Ask(wait) if wait > Duration::ZERO => {
                    tokio::time::sleep(wait).await;
                    next = Next::Ask(Duration::ZERO);
                }
                Next::Ask(_) => {
                    let lease = match self
                        .lease(&request, &chain, &mut attempts, &mut limits)
                        .await
                    {
                        Ok(lease) => lease,
                        Err(verdict) => return Err(self.fail(story, &attempts, &chain, verdict)),
                    };
                    let Some(endpoint) = endpoints.get(lease.index).copied().flatten() else {
                        let verdict = Verdict {
                            code: ErrorCode::UpstreamsExhausted,
                            ready_at: None,
                        };
                        return Err(self.fail(story, &attempts, &chain, verdict));
                    };
                    let tried = Tried::new(&lease, &request, self.clock.now());
                    story.current = Some(tried.record(Class::Cancelled, None, tried.started));
                    let times = Times {
                        clock: self.clock,
                        started: tried.started,
                        deadline: limits.deadline,
                    };
                    let end = attempt::make(&request, endpoint, &lease, times).await;
                    story.current = None;
                    match end {
                        End::Whole(whole, usage) => {
                            story.usage = usage;
                            settle(
                                lease,
                                Class::Success,
                                story.usage.as_ref().and_then(|usage| usage.total()),
                            );
                            attempts.succeeded(tried.record(
                                Class::Success,
                                Some(whole.status),
                                self.clock.now(),
                            ));
                            return Ok(self.whole(story, attempts, tried, whole));
                        }
                        End::Begun(begun) => {
                            return Ok(self
                                .begun(story, &attempts, &tried, *begun, lease, endpoint, limits));
                        }
                        End::OutOfTime => {
                            settle(lease, Class::Cancelled, None);
                            story.records = attempts.records().to_vec();
                            story.records.push(tried.record(
                                Class::Cancelled,
                                None,
                                self.clock.now(),
                            ));
                            let verdict = Verdict {
                                code: ErrorCode::DeadlineExceeded,
                                ready_at: None,
                            };
                            return Err(self.fail(story, &attempts, &chain, verdict));
                        }
                        End::Failed(failure, whole) => {
                            let now = self.clock.now();
                            let record = tried.record(failure.class, failure.status, now);
                            let (counts, then) = attempts.failed(
                                lease.index,
                                record,
                                &failure,
                                fastrand::f64(),
                                now,
                            );
                            tracing::debug!(
                                request_id = %request.id,
                                upstream = %tried.upstream,
                                key = %tried.key,
                                class = failure.class.as_str(),
                                detail = %failure.detail,
                                "attempt failed"
                            );
                            lease.settle(settlement(&failure, counts));
                            story.records = attempts.records().to_vec();
                            if let (Next::Relay, Some(whole)) = (&then, whole) {
                                return Ok(self.whole(story, attempts, tried, whole));
                            }
                            next = then;
                        }
                    }
                }
                Next::Relay => {
                    // Nothing to pass on: the upstream said it inside a stream.
                    let verdict = Verdict {
                        code: ErrorCode::UpstreamsExhausted,
                        ready_at: None,
                    };
                    return Err(self.fail(story, &attempts, &chain, verdict));
                }
                Next::Fail(verdict) => return Err(self.fail(story, &attempts, &chain, verdict)),
            }
        }
    }

    fn limits(&self, request: &Request) -> Limits {
        let policy = &self.policy;
        let span = request
            .deadline
            .map_or(policy.deadline, |asked| asked.min(policy.deadline));
        Limits {
            deadline: request.arrived + span,
            wait: request.await_cooldown.unwrap_or(policy.await_cooldown),
            patience_until: request.arrived + policy.patience,
        }
    }

    /// The tokens that a context window must hold; exact only where that decides something.
    async fn tokens_needed(&self, request: &Request, endpoints: &[Option<&Arc<Endpoint>>]) -> u64 {
        let windows = endpoints
            .iter()
            .filter_map(|endpoint| (*endpoint)?.context_window);
        let bound = tokens::upper_bound(&request.doc);
        let largest = match (windows.clone().min(), windows.max()) {
            (Some(smallest), Some(largest)) if smallest < bound => largest,
            _ => return 0,
        };
        let doc = request.doc.clone();
        let counting = tokio::task::spawn_blocking(move || tokens::count(&doc, largest));
        let deadline = self.clock.instant(self.limits(request).deadline);
        // A count that fails decides nothing: the upstream's own refusal will. One that takes too long need
        // not decide: the deadline does.
        match tokio::time::timeout_at(deadline, counting).await {
            Ok(Ok(tokens)) => tokens,
            Ok(Err(_)) | Err(_) => 0,
        }
    }

    async fn lease(
        &self,
        request: &Request,
        chain: &Arc<Chain>,
        attempts: &mut Attempts,
        limits: &mut Limits,
    ) -> Result<Lease, Verdict> {
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
            route.may_wait = may_wait;
            route.wait_until = asked_at + limits.wait;
            route.patience_until = limits.patience_until;
            route
        });
        match asked.await {
            Ok(lease) => {
                if lease.waited {
                    attempts.waited();
                    let spent = self.clock.now().since(asked_at);
                    limits.wait = limits.wait.saturating_sub(spent);
                }
                Ok(lease)
            }
            Err(refused) => Err(attempts.refused(&refused, self.clock.now())),
        }
    }

    fn whole(&self, mut story: Story, attempts: Attempts, tried: Tried, whole: Whole) -> Answer {
        story.records = attempts.into_records();
        story.ending = Some(Ending::Answered(whole.status));
        Answer {
            status: whole.status,
            headers: forward_response_headers(&whole.headers),
            body: AnswerBody::Full(whole.body),
            upstream: tried.upstream,
            key: tried.key,
            attempts: story.records.len() - usize::from(mutant::on(Mutant::AttemptNotTold)),
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one answer, each of its own kind"
    )]
    fn begun(
        &self,
        mut story: Story,
        attempts: &Attempts,
        tried: &Tried,
        begun: Begun,
        lease: Lease,
        endpoint: &Endpoint,
        limits: Limits,
    ) -> Answer {
        story.records = attempts.records().to_vec();
        story.first_token = Some(self.clock.now());
        lease.began();
        let answer = Answer {
            status: 200,
            headers: forward_response_headers(&begun.headers),
            body: AnswerBody::Full(bytes::Bytes::new()),
            upstream: tried.upstream.clone(),
            key: tried.key.clone(),
            attempts: story.records.len() + 1,
        };
        let parts = RelayParts {
            record: tried.record(Class::Success, Some(200), self.clock.now()),
            story,
            counts: attempts.may_count(lease.index),
            lease,
            choices: tried.choices,
            kind: endpoint.kind.clone(),
            idle: endpoint.timeouts.idle,
            end: tried.started + endpoint.timeouts.total,
            deadline: limits.deadline,
        };
        Answer {
            body: AnswerBody::Stream(Box::new(Relay::new(begun, parts))),
            ..answer
        }
    }

    fn fail(
        &self,
        mut story: Story,
        attempts: &Attempts,
        chain: &Chain,
        verdict: Verdict,
    ) -> Box<Failed> {
        if story.records.is_empty() {
            story.records = attempts.records().to_vec();
        }
        story.ending = Some(Ending::Failed(verdict.code));
        let now = self.clock.now();
        let retry_after = verdict.ready_at.map(|ready_at| ready_at.since(now));
        // A place may be free at any moment: nobody knows when, but soon is likely.
        let soon = (verdict.code.status() == 429).then_some(Duration::from_secs(1));
        let retry_after = retry_after.or(soon);
        Box::new(Failed {
            code: verdict.code,
            message: message(verdict.code, &chain.target, &story.records),
            retry_after,
            records: story.records.clone(),
            arrived: story.started,
            param: None,
        })
    }
}

/// An attempt that is under way.
struct Tried {
    upstream: crate::domain::ids::Upstream,
    key: crate::domain::ids::KeyId,
    started: Time,
    choices: u32,
}

impl Tried {
    fn new(lease: &Lease, request: &Request, started: Time) -> Self {
        Self {
            choices: request.doc.choices(),
            upstream: lease.upstream().clone(),
            key: lease.key.clone(),
            started,
        }
    }

    fn record(&self, class: Class, status: Option<u16>, ended: Time) -> Record {
        Record {
            upstream: self.upstream.clone(),
            key: self.key.clone(),
            class,
            status,
            started: self.started,
            ended,
        }
    }
}

fn settle(lease: Lease, class: Class, tokens: Option<u64>) {
    lease.settle(Settlement {
        class,
        retry_after: None,
        tokens,
        counts: false,
    });
}

fn settlement(failure: &Failure, counts: bool) -> Settlement {
    Settlement {
        class: failure.class,
        retry_after: failure.retry_after,
        // Nothing was generated: the reservation goes back whole.
        tokens: Some(0),
        counts,
    }
}

/// For the caller: what happened and what to do.
fn message(code: ErrorCode, target: &str, records: &[Record]) -> String {
    let tried = match records.len() {
        0 => "nothing was sent".to_owned(),
        1 => "1 attempt was made".to_owned(),
        n => format!("{n} attempts were made"),
    };
    let what = match code {
        ErrorCode::UpstreamsRateLimited => {
            "every upstream is rate limited or at its limits, and waiting would take too long: retry later"
        }
        ErrorCode::CoolingDown => {
            "every upstream is cooling down, and the request forbids waiting: retry later"
        }
        ErrorCode::WaitingRoomFull => {
            "every upstream is busy, and too many requests wait already: retry later"
        }
        ErrorCode::NoUsableKeys => {
            "no upstream has a usable API key: check the keys (`pointsman check`)"
        }
        ErrorCode::ContextLengthExceeded => {
            "the prompt and the requested output do not fit into the context window of any upstream"
        }
        ErrorCode::DeadlineExceeded => "the deadline passed before any upstream had answered",
        ErrorCode::InvalidUpstreamResponse => "the last upstream's answer was malformed",
        _ => "every upstream failed",
    };
    format!("`{target}`: {what} ({tried})")
}
