//! One request from arrival to answer: the loop round the attempts machine.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use super::answer::{Answer, AnswerBody, Failed};
use super::attempt::{End, Whole};
use super::counting;
use super::leasing::{Denied, Dispatch};
use super::live::Live;
use super::race::{Course, Landed};
use super::relay::{Relay, Terms};
use super::request::{Endpoint, Request};
use super::rescue::Rescue;
use super::story::{Ending, Story};
use super::tokens;
use super::tried::{Tried, settle};
use super::verdict::{Told, retry_after};
use crate::domain::attempts::{Attempts, Candidate, Next, Verdict};
use crate::domain::chain::Chain;
use crate::domain::error_code::ErrorCode;
use crate::domain::limits::DispatchPolicy;
use crate::domain::mutant::{self, Mutant};
use crate::domain::outcome::Class;
use crate::domain::record::Record;
use crate::domain::skipped::skipped;
use crate::domain::time::Time;
use crate::wire::encoding::whole::readable;
use crate::wire::headers::forward_response_headers;
use crate::wire::openai::content::Content;

const HALTED: &str = "this process is shutting down and had no more time for the answer: ask again";

impl Dispatch {
    /// Serves one request, or says why not.
    ///
    /// # Errors
    /// One of the contract's errors, with everything that was tried.
    pub async fn run(self: &Arc<Self>, request: Request) -> Result<Answer, Box<Failed>> {
        let mut story = Story {
            id: Arc::clone(&request.id),
            client: request.client.clone(),
            charge: None,
            operation: request.operation,
            stream: request.doc.stream(),
            target: request
                .doc
                .model()
                .map_or_else(String::new, |model| model.into_owned()),
            chain: None,
            refused: None,
            started: request.arrived,
            deadline: self.deadline(&request),
            complete: self.clock.now(),
            clock: self.clock,
            records: Vec::new(),
            kept: None,
            current: Vec::new(),
            first_token: None,
            usage: None,
            trace: request.trace.clone(),
            content: self.content(&request),
            ending: None,
            halt: self.halt.clone(),
            recorder: Arc::clone(&self.recorder),
        };
        let admitted = self.resolve(&request).and_then(|chain| {
            if story.target.is_empty() {
                chain.target.as_ref().clone_into(&mut story.target);
            }
            story.charge = self.charge(&request)?;
            story.chain = Some(Arc::clone(&chain));
            Ok(chain)
        });
        match admitted {
            Ok(chain) => {
                let arrived = request.arrived;
                tokio::select! {
                    biased;
                    result = self.serve(request, chain, story) => result,
                    // Begun only when there is something to wait for; polled at each step, so without a lock.
                    () = async { self.halt.waiting().await } => Err(Box::new(halted(arrived, self.clock.now()))),
                }
            }
            Err(failed) => {
                story.ending = Some(Ending::Failed(failed.code));
                Err(Box::new(failed))
            }
        }
    }

    async fn serve(
        self: &Arc<Self>,
        request: Request,
        chain: Arc<Chain>,
        mut story: Story,
    ) -> Result<Answer, Box<Failed>> {
        let mut limits = self.limits(&request, &chain);
        let endpoints: Vec<Option<&Arc<Endpoint>>> = chain
            .upstreams
            .iter()
            .map(|upstream| self.endpoints.get(&upstream.provider))
            .collect();
        let needed = self.tokens_needed(&request, &endpoints).await;
        let candidates = self.candidates(&chain);
        let policy = DispatchPolicy {
            await_cooldown: limits.wait,
            ..self.policy
        };
        let hedges = story.stream && limits.policy.hedge;
        if let Some(hedger) = self.hedger.as_ref().filter(|_| hedges) {
            hedger.budget.earn();
        }
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
                        Err(denied) => {
                            let Denied { verdict, refused } = *denied;
                            story.refused = Some((self.clock.now(), refused));
                            return Err(self.fail(story, &attempts, &chain, verdict));
                        }
                    };
                    let Some(endpoint) = endpoints.get(lease.index).copied().flatten() else {
                        let verdict = Verdict {
                            code: ErrorCode::UpstreamsExhausted,
                            ready_at: None,
                        };
                        return Err(self.fail(story, &attempts, &chain, verdict));
                    };
                    let course = Course {
                        request: &request,
                        chain: &chain,
                        limits,
                    };
                    let landed = self
                        .step(course, endpoint, lease, &mut attempts, &mut story)
                        .await;
                    story.current.clear();
                    let Landed {
                        endpoint,
                        lease,
                        tried,
                        end,
                    } = landed;
                    match end {
                        End::Whole(mut whole, usage) => {
                            story.usage = usage;
                            settle(
                                &lease,
                                Class::Success,
                                story.usage.as_ref().and_then(|usage| usage.total()),
                            );
                            let now = self.clock.now();
                            let record = tried.record(Class::Success, Some(whole.status), now);
                            attempts.succeeded(Record {
                                usage,
                                answered: whole.answered.take().map(Arc::from),
                                ..record
                            });
                            return Ok(self.whole(story, attempts, &tried, whole));
                        }
                        End::Begun(begun) => {
                            story.records = attempts.records().to_vec();
                            let blame = attempts.blame(lease.index);
                            let now = self.clock.now();
                            let live = Live::new(*begun, lease, &tried, endpoint, blame, now);
                            let terms = Terms {
                                wanted: request.wanted(),
                                deadline: limits.end,
                                silence: request.silence,
                            };
                            let rescue = Rescue::new(self, request, chain, attempts, limits);
                            story.first_token = Some(now);
                            story.kept = None;
                            let (live, headers) = live;
                            let headers = forwarded(&story.id, &tried, &headers);
                            let attempts = story.records.len() + 1;
                            let relay = Relay::new(live, story, rescue, terms);
                            return Ok(Answer {
                                status: 200,
                                headers,
                                body: AnswerBody::Stream(Box::new(relay)),
                                upstream: tried.begun().upstream.clone(),
                                key: tried.begun().key.clone(),
                                attempts,
                            });
                        }
                        end @ (End::OutOfTime | End::OutOfRoom) => {
                            settle(&lease, Class::Cancelled, None);
                            story.records = attempts.records().to_vec();
                            story.records.push(tried.record(
                                Class::Cancelled,
                                None,
                                self.clock.now(),
                            ));
                            let verdict = Verdict {
                                code: match end {
                                    End::OutOfRoom => ErrorCode::Overloaded,
                                    _ => ErrorCode::DeadlineExceeded,
                                },
                                ready_at: None,
                            };
                            return Err(self.fail(story, &attempts, &chain, verdict));
                        }
                        End::Failed(failure, whole) => {
                            let then =
                                self.failed(&request, &lease, &tried, &failure, &mut attempts);
                            drop(lease);
                            story.records = attempts.records().to_vec();
                            story.keep(&tried, &failure, whole);
                            let relays = matches!(then, Next::Relay);
                            if let Some(kept) = story.kept.take_if(|_| relays) {
                                let (tried, whole) = *kept;
                                return Ok(self.whole(story, attempts, &tried, whole));
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

    /// What the request's machine needs to know of the chain.
    pub(super) fn candidates(&self, chain: &Chain) -> Vec<Candidate> {
        let candidates = chain.upstreams.iter().map(|upstream| {
            let endpoint = self.endpoints.get(&upstream.provider);
            Candidate {
                upstream: upstream.clone(),
                context_window: endpoint.and_then(|endpoint| endpoint.context_window),
                retry: endpoint.map_or_else(Arc::default, |endpoint| Arc::clone(&endpoint.retry)),
            }
        });
        candidates.collect()
    }

    /// What is said in a request, where that is told.
    fn content(&self, request: &Request) -> Option<Box<Content>> {
        let traced = request.trace.as_ref().is_some_and(|trace| trace.records);
        (traced && self.recorder.tells_content()).then(|| {
            Box::new(Content {
                request: request.doc.body().clone(),
                answer: None,
                spoken: None,
            })
        })
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
        let counting = counting::count(counting::Job {
            doc: request.doc.clone(),
            most: largest,
            owner: request
                .client
                .as_ref()
                .map(|client| Arc::clone(client.name())),
            now: self.clock.now(),
        });
        let deadline = self.clock.instant(self.deadline(request));
        // A count that fails decides nothing: the upstream's own refusal will. One that takes too long need
        // not decide: the deadline does.
        match tokio::time::timeout_at(deadline, counting).await {
            Ok(Some(tokens)) => tokens,
            Ok(None) | Err(_) => 0,
        }
    }

    fn whole(&self, mut story: Story, attempts: Attempts, tried: &Tried, whole: Whole) -> Answer {
        story.records = attempts.into_records();
        story.ending = Some(Ending::Answered(whole.status));
        let good = (200..300).contains(&whole.status);
        if let Some(charge) = story
            .charge
            .as_ref()
            .filter(|_| good && story.usage.is_none())
        {
            charge
                .said
                .note_whole(&readable(&whole.headers, &whole.body));
        }
        if let Some(content) = story.content.as_mut().filter(|_| good) {
            content.answer = Some(readable(&whole.headers, &whole.body));
        }
        Answer {
            status: whole.status,
            headers: forwarded(&story.id, tried, &whole.headers),
            body: AnswerBody::Full(whole.body),
            upstream: tried.begun().upstream.clone(),
            key: tried.begun().key.clone(),
            attempts: story.records.len() - usize::from(mutant::on(Mutant::AttemptNotTold)),
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
        let refused = story.refused.as_ref();
        let declined = refused.map_or(&[][..], |(_, refused)| &refused.declined);
        let closed = attempts.ask().closed;
        let skipped = skipped(&chain.upstreams, &closed, declined, &story.records);
        let told = Told {
            target: &chain.target,
            tried: story.records.len(),
            skipped: &skipped,
            attempts,
            now,
        };
        Box::new(Failed {
            code: verdict.code,
            message: told.message(verdict.code),
            retry_after: retry_after(verdict, now),
            records: story.records.clone(),
            skipped: skipped.into(),
            arrived: story.started,
            ended: now,
            param: None,
        })
    }
}

/// The headers of an answer that go back. The first of those that do not for want of room are named in the log.
fn forwarded(request_id: &str, tried: &Tried, headers: &HeaderMap) -> HeaderMap {
    const NAMED: usize = 16;
    let (passed, left_out) = forward_response_headers(headers);
    if !left_out.is_empty() {
        let names: Vec<&str> = left_out.iter().map(|name| name.as_str()).collect();
        tracing::info!(
            request_id,
            upstream = %tried.begun().upstream,
            left_out = names.len(),
            names = names.get(..NAMED).unwrap_or(&names).join(" "),
            "the answer has more headers than clients read: the rest does not go back"
        );
    }
    passed
}

/// A request that was not answered when the process had to end.
fn halted(arrived: Time, now: Time) -> Failed {
    Failed {
        code: ErrorCode::Draining,
        message: HALTED.to_owned(),
        retry_after: Some(Duration::from_secs(1)),
        records: Vec::new(),
        skipped: Box::default(),
        arrived,
        ended: now,
        param: None,
    }
}
