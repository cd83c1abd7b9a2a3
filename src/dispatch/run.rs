//! The stages of one request: admission, lookup, attempts (`race.rs`), then a whole answer, a stream (`relay.rs`) or an
//! error of ours.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;

use super::active_stream::ActiveStream;
use super::admission::{Admitted, failed};
use super::answer::{AnswerBody, ProxyResponse};
use super::attempt::{AttemptResult, FullResponse, PipedResponse, StreamStarted};
use super::budgeted;
use super::caching::flight::Flown;
use super::caching::found::Looked;
use super::caching::keep::GoneBack;
use super::caching::marks::CacheResult;
use super::caching::place::CachePlace;
use super::counting;
use super::failed::Failed;
use super::hedging::{self, AttemptDone};
use super::leasing::Denied;
use super::open_attempt::{OpenAttempt, settle, settlement};
use super::pipe::Pipe;
use super::relay::Relay;
use super::request::{Endpoint, Request};
use super::request_run::RequestRun;
use super::request_trace::RequestEnd;
use super::shared::Dispatch;
use super::tokens;
use crate::actors::lease::Lease;
use crate::domain::attempt_record::{AttemptRecord, CacheLookup};
use crate::domain::attempts::{FinalError, Next};
use crate::domain::dropped::Dropped;
use crate::domain::error_code::ErrorCode;
use crate::domain::outcome::{Class, Failure};
use crate::domain::time::Time;
use crate::domain::usage::Usage;
use crate::wire::encoding::whole::readable;
use crate::wire::headers::forward_response_headers;

/// Nothing is left to try, and no upstream's own answer can go back.
const EXHAUSTED: FinalError = FinalError {
    code: ErrorCode::UpstreamsExhausted,
    ready_at: None,
};

impl Dispatch {
    /// Serves one request, or says why not.
    ///
    /// # Errors
    /// One of the contract's errors, with everything that was tried.
    pub async fn run(self: &Arc<Self>, mut request: Request) -> Result<ProxyResponse, Box<Failed>> {
        let complete = self.clock.now();
        if let Err(failed) = self.take_hints(&mut request) {
            return Err(self.tell_refused(request, *failed, complete));
        }
        let mut admitted = match self.admit(&request) {
            Ok(admitted) => admitted,
            Err(refused) => return self.serve_refused(request, *refused, complete).await,
        };
        let looked = match self.look_up(&request, &admitted.chain.chain).await {
            Ok(looked) => looked,
            Err(failed) => return Err(self.turn_down(request, admitted, *failed, complete)),
        };
        let (mark, result) = match looked {
            Looked::Off => {
                return self.serve(request, admitted, complete, None, None).await;
            }
            Looked::Found(found) => {
                return Ok(self.serve_kept(request, admitted, complete, *found));
            }
            Looked::NotCached { why } => {
                let message = match why {
                    None => {
                        "no answer to this request is kept, and only-if-cached asks no upstream"
                    }
                    Some(_) => {
                        "answers to such requests are not kept, and only-if-cached asks no upstream"
                    }
                };
                let failed = Failed {
                    param: why,
                    ..failed(&request, ErrorCode::NotCached, message.to_owned())
                };
                return Err(self.turn_down(request, admitted, failed, complete));
            }
            Looked::Bypassed => {
                admitted.lookup = CacheLookup::Bypassed;
                let served = self.serve(request, admitted, complete, None, None).await;
                (CacheResult::Bypass, served)
            }
            Looked::Missed(place) => {
                let mark = place.missed();
                let served = match place.is_shared() {
                    true => Box::pin(self.share(request, admitted, complete, place)).await,
                    false => {
                        self.serve(request, admitted, complete, Some(place), None)
                            .await
                    }
                };
                (mark, served)
            }
        };
        result.map(|mut answer| {
            mark.put_if_none(&mut answer.headers);
            answer
        })
    }

    /// Serves a request by upstreams. `place`: where its answer may be kept; `flown`: others may wait for it.
    pub(super) async fn serve(
        self: &Arc<Self>,
        request: Request,
        admitted: Admitted,
        complete: Time,
        place: Option<Box<CachePlace>>,
        flown: Option<Flown>,
    ) -> Result<ProxyResponse, Box<Failed>> {
        let admitted = match self.reserve_cost(&request, admitted).await {
            Ok(admitted) => admitted,
            Err(refused) => return Err(self.tell_refused(request, *refused, complete)),
        };
        let soft = admitted.budgeted.as_ref().is_some_and(|it| it.note.soft);
        let arrived = request.arrived;
        // In a box, as its kilobyte would be held by each of the futures that it goes through; pinned where it is made, as
        // `select!` would move it.
        let mut run = Box::new(RequestRun::new(self, request, admitted, complete));
        if let Some(place) = place {
            run.takes_place(place, flown);
        }
        let serving = pin!(run.serve());
        tokio::select! {
            biased;
            result = serving => result.map(|mut answer| {
                if soft {
                    budgeted::name_soft(&mut answer.headers);
                }
                answer
            }),
            // Begun only when there is something to wait for; polled at each step, so without a lock.
            () = async { self.abort.waiting().await } => Err(Box::new(Failed::halted(arrived, self.clock.now()))),
        }
    }
}

impl RequestRun {
    /// From the admission to the answer, or to its first content.
    async fn serve(mut self: Box<Self>) -> Result<ProxyResponse, Box<Failed>> {
        let fetched = self.fetch_as_stream();
        let answer = self.attempts().await?;
        match fetched {
            Some(fetched) => fetched.whole(answer).await,
            None => Ok(answer),
        }
    }

    /// One attempt after another, until one serves.
    async fn attempts(mut self) -> Result<ProxyResponse, Box<Failed>> {
        self.pin().await;
        self.measure().await;
        let mut next = self.state.attempts.start(self.context.now());
        loop {
            // What the machine said: wait and ask, pass on a kept answer, or fail.
            match next {
                Next::Ask(Duration::ZERO) => {}
                Next::Ask(wait) => tokio::time::sleep(wait).await,
                Next::Relay => {
                    return match self.state.kept.take() {
                        Some(kept) => {
                            let (tried, whole) = *kept;
                            Ok(self.whole(&tried, whole))
                        }
                        // There is no answer to pass on: the error came inside a stream.
                        None => self.give_up(EXHAUSTED),
                    };
                }
                Next::Fail(verdict) => return self.give_up(verdict),
            }
            // A lease, or the reasons why there is none.
            let lease = match self.lease().await {
                Ok(lease) => lease,
                Err(denied) => {
                    let Denied { verdict, refused } = *denied;
                    self.state.trace.refused = Some((self.context.now(), refused));
                    return self.give_up(verdict);
                }
            };
            let attempt = hedging::attempt(&self.context, &mut self.state, lease);
            let Some(landed) = attempt.await else {
                return self.give_up(EXHAUSTED);
            };
            let AttemptDone {
                endpoint,
                lease,
                open_attempt: tried,
                end,
            } = landed;
            // Only a failure goes on; everything else ends the loop.
            match end {
                AttemptResult::Whole(whole, usage) => {
                    return Ok(self.served_whole(lease, &tried, whole, usage));
                }
                AttemptResult::Begun(begun) => {
                    let endpoint = Arc::clone(endpoint);
                    return Ok(self.served_stream(*begun, lease, &tried, endpoint));
                }
                AttemptResult::Piped(piped) => {
                    let endpoint = Arc::clone(endpoint);
                    return Ok(self.served_piped(*piped, lease, tried, &endpoint));
                }
                AttemptResult::OutOfTime => {
                    return self.cut_off(&lease, &tried, ErrorCode::DeadlineExceeded);
                }
                AttemptResult::OutOfRoom => {
                    return self.cut_off(&lease, &tried, ErrorCode::Overloaded);
                }
                AttemptResult::Failed(failure, whole) => {
                    next = self.failed(&lease, &tried, &failure, whole);
                }
            }
        }
    }

    /// Before the first attempt: what the request needs of a context window, and what it adds to the hedges' budget.
    async fn measure(&mut self) {
        let prompt = self.prompt_tokens().await;
        let output = self.context.request.doc.max_output_tokens();
        self.state.attempts.needs(prompt, output.unwrap_or(0));
        let hedges = self.context.request.doc.stream() && self.state.limits.policy.hedge;
        let hedger = self.context.dispatch.hedge_controller.as_ref();
        if let Some(hedger) = hedger.filter(|_| hedges) {
            hedger.budget.earn();
        }
    }

    /// The tokens of the prompt, which a context window must hold beside the output; exact only where that decides
    /// something, else 0.
    async fn prompt_tokens(&self) -> u64 {
        let request = &self.context.request;
        let attempts = &self.state.attempts;
        let bound = tokens::upper_bound(&request.doc);
        let largest = match (attempts.windows().min(), attempts.largest_window()) {
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
            now: self.context.now(),
        });
        let deadline = self.context.dispatch.clock.instant(request.deadline);
        // A count that fails decides nothing: the upstream's own refusal will. One that takes too long need
        // not decide: the deadline does.
        match tokio::time::timeout_at(deadline, counting).await {
            // Far too much text is not counted.
            Ok(Some(u64::MAX)) => tokens::prompt(&request.doc).max(largest.saturating_add(1)),
            Ok(Some(tokens)) => tokens,
            Ok(None) | Err(_) => 0,
        }
    }

    /// An attempt failed. Returns the next step; an upstream's own answer that may go back is kept.
    fn failed(
        &mut self,
        lease: &Lease,
        tried: &OpenAttempt,
        failure: &Failure,
        whole: Option<FullResponse>,
    ) -> Next {
        let (counts, next) = self
            .state
            .failed(&self.context, lease.index, tried, failure);
        hedging::learn_failure(&self.context, lease, tried, failure);
        lease.settle(settlement(failure, counts));
        let request = &self.context.request;
        let payload = request.payload.as_ref();
        let keeps = payload.is_some_and(|payload| payload.keeps(failure));
        self.state.keep(tried, failure, whole, keeps);
        match next {
            Next::Ask(_) if !request.may_repeat(failure) => Next::Relay,
            // The provider's own words say more than an error of ours.
            Next::Fail(_) if keeps && self.state.kept.is_some() => Next::Relay,
            next => next,
        }
    }

    /// The attempt was ended by what bounds its request, which is not the upstream's fault.
    fn cut_off(
        mut self,
        lease: &Lease,
        tried: &OpenAttempt,
        code: ErrorCode,
    ) -> Result<ProxyResponse, Box<Failed>> {
        settle(lease, Class::Cancelled, None);
        let record = tried.record(Class::Cancelled, None, self.context.now());
        self.state.attempts.ended(record);
        self.give_up(FinalError {
            code,
            ready_at: None,
        })
    }

    /// An upstream served the request with a whole answer.
    fn served_whole(
        mut self,
        lease: Lease,
        tried: &OpenAttempt,
        mut whole: FullResponse,
        usage: Option<Usage>,
    ) -> ProxyResponse {
        self.learn(&lease.key, &whole.body);
        self.state.trace.usage = usage;
        lease.answered(usage.and_then(|usage| usage.completion_tokens));
        settle(
            &lease,
            Class::Success,
            usage.and_then(|usage| usage.total()),
        );
        let record = tried.record(Class::Success, Some(whole.status), self.context.now());
        let said = self.said_by(&whole, usage);
        self.state.attempts.ended(AttemptRecord {
            usage,
            said,
            answered: whole.answered.take().map(Arc::from),
            dropped: whole.dropped.clone(),
            ..record
        });
        drop(lease);
        self.whole(tried, whole)
    }

    /// A whole answer of an upstream goes back, good or bad.
    fn whole(mut self, tried: &OpenAttempt, whole: FullResponse) -> ProxyResponse {
        let trace = &mut self.state.trace;
        trace.ending = Some(RequestEnd::Answered(whole.status));
        let good = (200..300).contains(&whole.status);
        let uncounted = good && trace.usage.is_none();
        if let Some(charge) = trace.charge.as_ref().filter(|_| uncounted) {
            charge
                .said
                .note_whole(&readable(&whole.headers, &whole.body));
        }
        if let Some(content) = trace.content.as_mut().filter(|_| good) {
            content.answer = Some(readable(&whole.headers, &whole.body));
        }
        let attempts = self.state.attempts.records().len();
        let mut headers = forwarded(&self.context.request.id, tried, &whole.headers);
        self.add_cost(&mut headers);
        let (upstream, key) = (&tried.begun().upstream, &tried.begun().key);
        let mark = self.keep(&GoneBack {
            status: whole.status,
            headers: &whole.headers,
            body: &whole.body,
            upstream,
            key,
            dropped: &whole.dropped,
        });
        if let Some(mark) = mark {
            mark.put(&mut headers);
        }
        ProxyResponse {
            status: whole.status,
            headers,
            body: AnswerBody::Full(whole.body),
            upstream: tried.begun().upstream.clone(),
            key: tried.begun().key.clone(),
            attempts,
            dropped: whole.dropped,
        }
    }

    /// An upstream's stream has begun: the request goes on while it is relayed.
    fn served_stream(
        mut self,
        begun: StreamStarted,
        lease: Lease,
        tried: &OpenAttempt,
        endpoint: Arc<Endpoint>,
    ) -> ProxyResponse {
        let now = self.context.now();
        let attempts = self.state.attempts.records().len() + 1;
        let (live, headers) = ActiveStream::new(begun, lease, tried, endpoint, now);
        let dropped = live.dropped.clone();
        let key = &tried.begun().key;
        self.learn(key, live.held.first());
        let seals = self.context.request.may_be_sealed();
        for event in live.held.each().skip(1) {
            self.learn_event(key, event, seals);
        }
        self.state.trace.first_token = Some(now);
        self.state.kept = None;
        ProxyResponse {
            status: 200,
            headers: forwarded(&self.context.request.id, tried, &headers),
            body: AnswerBody::Stream(Box::new(Relay::new(live, self))),
            upstream: tried.begun().upstream.clone(),
            key: tried.begun().key.clone(),
            attempts,
            dropped,
        }
    }

    /// An answer that is not looked at has begun: the rest of the request happens while it passes.
    fn served_piped(
        mut self,
        mut piped: PipedResponse,
        lease: Lease,
        tried: OpenAttempt,
        endpoint: &Arc<Endpoint>,
    ) -> ProxyResponse {
        let headers = std::mem::take(&mut piped.headers);
        self.learn(&lease.key, &piped.held.concat());
        self.state.trace.first_token = Some(self.context.now());
        self.state.kept = None;
        let attempts = self.state.attempts.records().len() + 1;
        let begun = tried.begun();
        let (upstream, key) = (begun.upstream.clone(), begun.key.clone());
        ProxyResponse {
            status: piped.status,
            headers: forwarded(&self.context.request.id, &tried, &headers),
            body: AnswerBody::Piped(Box::new(Pipe::new(piped, self, lease, tried, endpoint))),
            upstream,
            key,
            attempts,
            dropped: Dropped::default(),
        }
    }
}

/// The headers of an answer that go back. The first of those that do not for want of room are named in the log.
fn forwarded(request_id: &str, tried: &OpenAttempt, headers: &HeaderMap) -> HeaderMap {
    const NAMED: usize = 16;
    let (passed, left_out) = forward_response_headers(headers);
    if !left_out.is_empty() {
        let names: Vec<&str> = left_out.iter().map(|name| name.as_str()).collect();
        tracing::info!(
            request_id,
            upstream = %tried.begun().upstream,
            left_out = names.len(),
            names = names.get(..NAMED).unwrap_or(&names).join(" "),
            "the answer has more headers than clients read: the others are dropped"
        );
    }
    passed
}
