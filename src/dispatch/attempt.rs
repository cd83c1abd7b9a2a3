//! One attempt: build the call, send it, read until it is clear whether the upstream served.
//!
//! A whole answer is read to its end and looked at. A stream is held back until its first content, so that
//! a 200 followed by an error, or by nothing, can still be hidden.

mod adjust;
mod begin;
mod let_in;
pub(super) mod make;
mod pipe;

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use http::{HeaderMap, HeaderValue, header};

use super::events::{Events, StreamFault, look};
use super::held::HeldEvents;
use super::open_attempt::OpenAttempt;
use super::redacted;
use super::request::{Endpoint, Request};
use crate::actors::lease::Lease;
use crate::domain::attempt_record::ResponseMeta;
use crate::domain::dropped::Dropped;
use crate::domain::finish::Finish;
use crate::domain::outcome::{Class, Failure};
use crate::domain::time::Time;
use crate::domain::usage::Usage;
use crate::runtime::buffers::Buffers;
use crate::runtime::clock::Clock;
use crate::runtime::gathered_bytes::GatheredBytes;
use crate::runtime::yield_budget::YieldBudget;
use crate::upstream::{SendError, Transport, UpstreamRequest, UpstreamResponse};
use crate::wire::encoding::whole::unmarked;
use crate::wire::exchange::{AttemptStamp, Exchange, Translation};
use crate::wire::inspection::{ErrorDoc, Inspection};
use crate::wire::passing_usage::PassingUsage;
use crate::wire::{classify, ratelimit};

const FIRST_TOKEN: &str = "first token";

/// An answer that is there.
#[derive(Debug)]
pub(super) struct FullResponse {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) answered: Option<Box<ResponseMeta>>,
    /// What has no place in the other side's dialect.
    pub(super) dropped: Dropped,
}

/// A stream whose first content is there.
pub(super) struct StreamStarted {
    pub(super) exchange: Exchange,
    /// The translation of the stream, with its state so far.
    pub(super) translation: Option<Translation>,
    pub(super) headers: HeaderMap,
    pub(super) held: HeldEvents,
    pub(super) events: Events,
    pub(super) usage: Option<Usage>,
    pub(super) answered: Option<Box<ResponseMeta>>,
    pub(super) finish: Finish,
    pub(super) done: bool,
    /// What has no place in the other side's dialect, as far as that is known.
    pub(super) dropped: Dropped,
}

/// An answer that passes as it comes.
pub(super) struct PipedResponse {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// What of it is there.
    pub(super) held: Vec<Bytes>,
    /// Its token counts, as far as they were seen; `None` where it has none.
    pub(super) usage: Option<PassingUsage>,
    /// What is still to come.
    pub(super) rest: BoxStream<'static, Result<Bytes, SendError>>,
    /// Bytes of it in all; `None` where only its end tells.
    pub(super) length: Option<u64>,
}

/// What became of an attempt.
pub(super) enum AttemptResult {
    /// A whole answer, and its usage.
    Whole(FullResponse, Option<Usage>),
    /// A stream has begun.
    Begun(Box<StreamStarted>),
    /// An answer that is not looked at has begun.
    Piped(Box<PipedResponse>),
    /// It failed; the answer, if there was one, may go back to the caller.
    Failed(Failure, Option<FullResponse>),
    /// The request's own time is over, not the upstream's.
    OutOfTime,
    /// There is no room for the answer here (`server.max_buffered`), which is not the upstream's fault.
    OutOfRoom,
}

/// When an attempt began, and when its request must have ended.
#[derive(Clone, Copy)]
pub(super) struct Times<'a> {
    pub(super) clock: Clock,
    pub(super) tried: &'a OpenAttempt,
    pub(super) deadline: Time,
    /// What is held of all requests.
    pub(super) buffers: &'a Buffers,
    /// When the first token of a stream is due, counted from its beginning, where the target's profile says so.
    pub(super) first_token: Option<Duration>,
}

/// Why an attempt ended without an answer.
enum Early {
    /// The failure that ended the attempt.
    Failed(Failure),
    /// The request's deadline passed first.
    OutOfTime,
    /// There is no room for the answer.
    OutOfRoom,
}

impl From<Failure> for Early {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

struct Attempt<'a> {
    exchange: Exchange,
    request: &'a Request,
    wire: &'a dyn Transport,
    /// Whether the events of its answer stay as they come.
    raw: bool,
    endpoint: &'a Endpoint,
    lease: &'a Lease,
    times: Times<'a>,
    /// What the request said and the upstream's dialect cannot.
    dropped: Dropped,
}

impl Attempt<'_> {
    async fn whole(&self, call: UpstreamRequest) -> Result<AttemptResult, Early> {
        let reply = self.send(call).await?;
        self.read(reply).await
    }

    async fn stream(&self, call: UpstreamRequest) -> Result<AttemptResult, Early> {
        let timeouts = self.endpoint.timeouts;
        let timeouts = timeouts.with_first_token(self.times.first_token);
        let sending = self.send(call);
        // No first content without a head: the shorter of the two limits counts for both.
        let (span, what) = if timeouts.first_token < timeouts.first_byte {
            (timeouts.first_token, FIRST_TOKEN)
        } else {
            (timeouts.first_byte, "first byte")
        };
        let reply = self.within(span, what, sending).await?;
        if !is_success(reply.status) {
            return self
                .within(timeouts.response, "answer", self.read(reply))
                .await;
        }
        let looking = async {
            let looked = look(reply, self.exchange.streams_lines()).await;
            looked.map_err(|error| Failure::new(Class::Network, error.to_string()).into())
        };
        let (events, reply) = self
            .within(timeouts.first_token, FIRST_TOKEN, looking)
            .await?;
        if !events {
            return self
                .within(timeouts.response, "answer", self.read(reply))
                .await;
        }
        let beginning = self.begin(reply);
        self.within(timeouts.first_token, FIRST_TOKEN, beginning)
            .await
    }

    async fn send(&self, call: UpstreamRequest) -> Result<UpstreamResponse, Early> {
        let reply = self.let_in(call).await?;
        let Times { clock, tried, .. } = self.times;
        let started = tried.begun().started;
        let now = clock.now();
        let kind = &self.endpoint.kind;
        let allowances = ratelimit::allowances(kind, &reply.headers, clock.wall());
        // The head of a whole answer comes when the answer is complete: that measures its length.
        let streams = self.request.doc.stream() && is_success(reply.status);
        let first_byte = streams.then(|| now.since(started));
        self.lease.heard(allowances, first_byte, now);
        Ok(reply)
    }

    /// What its answer's translation makes ids of.
    fn stamp(&self) -> AttemptStamp {
        stamp(self.times.clock.wall())
    }

    /// Whether a whole answer is not what was asked for.
    fn wants_stream(&self) -> bool {
        self.request.doc.stream() && !self.request.fetched && !self.is_piped()
    }

    /// Reads a whole answer and says what it is.
    async fn read(&self, reply: UpstreamResponse) -> Result<AttemptResult, Early> {
        let UpstreamResponse {
            status,
            mut headers,
            body,
        } = reply;
        let body = self.collect(status, &headers, body).await?;
        let kind = &self.endpoint.kind;
        let wall = self.times.clock.wall();
        let mut answered = self.times.tried.answered();
        let mut dropped = self.dropped.clone();
        // A 2xx may still be a failure: an error inside, another form than asked for, or no translation.
        let failure = if is_success(status) {
            match self
                .exchange
                .inspect(&headers, &body, answered.as_deref_mut())
            {
                Inspection::ErrorInside(error) => {
                    let failure = classify::classify_inband(kind, &error, &headers, wall);
                    redacted::fit(failure, &headers, &error.body, self.lease, self.endpoint)
                }
                Inspection::Malformed(detail) => Failure::new(Class::Malformed, detail),
                Inspection::Good(_) if self.wants_stream() => {
                    Failure::new(Class::Malformed, "asked for a stream, got a whole answer")
                }
                Inspection::Good(usage) => match self.exchange.answer(
                    &self.request.doc,
                    &mut headers,
                    body.clone(),
                    self.stamp(),
                    &mut dropped,
                ) {
                    Ok(body) => {
                        let whole = FullResponse {
                            status,
                            headers,
                            body,
                            answered,
                            dropped,
                        };
                        return Ok(AttemptResult::Whole(whole, usage));
                    }
                    Err(loss) => Failure::new(Class::Malformed, loss.why),
                },
            }
        } else {
            let operation = self.request.operation;
            let failure = classify::classify(kind, operation, status, &headers, &body, wall);
            redacted::fit(failure, &headers, &body, self.lease, self.endpoint)
        };
        // Inside a 2xx it goes back as the refusal that it is.
        let relayed = if is_success(status) {
            refused_with(&failure)
        } else {
            status
        };
        // The answer is kept: it may go back if no other upstream serves.
        let failure = stamped(failure, status);
        let whole = FullResponse {
            status: relayed,
            headers,
            body,
            answered: None,
            dropped,
        };
        Ok(AttemptResult::Failed(failure, Some(whole)))
    }

    /// All of an answer's body, within the bounds of one answer (`server.max_answer`) and of all together
    /// (`server.max_buffered`).
    async fn collect(
        &self,
        status: u16,
        headers: &HeaderMap,
        mut body: BoxStream<'static, Result<Bytes, SendError>>,
    ) -> Result<Bytes, Early> {
        let most = self.endpoint.max_answer;
        // An announcement takes no room: an upstream that sends nothing after it must not keep others from being served.
        let buffers = self.times.buffers;
        if !buffers.has_room(announced(headers).min(most)) {
            return Err(Early::OutOfRoom);
        }
        let mut buffered = buffers.count(0);
        let mut whole = GatheredBytes::default();
        let mut turn = YieldBudget::default();
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| {
                Failure::new(Class::Network, error.to_string()).with_status(status)
            })?;
            turn.took(chunk.len()).await;
            whole.take(chunk);
            if whole.len() > most {
                let detail = format!("the answer is larger than {most} bytes (server.max_answer)");
                return Err(Failure::new(Class::Malformed, detail)
                    .with_status(status)
                    .into());
            }
            if !buffered.reach(whole.len()) {
                return Err(Early::OutOfRoom);
            }
        }
        Ok(unmarked(buffered.keep(whole.freeze())))
    }

    /// An error came in a stream before its first content.
    fn refused_inside(&self, error: &ErrorDoc, headers: &HeaderMap, status: u16) -> AttemptResult {
        let kind = &self.endpoint.kind;
        let wall = self.times.clock.wall();
        let read = classify::classify_inband(kind, error, headers, wall);
        let failure = redacted::fit(read, headers, &error.body, self.lease, self.endpoint);
        let refusal = FullResponse {
            dropped: self.dropped.clone(),
            ..refusal(error, &failure)
        };
        AttemptResult::Failed(stamped(failure, status), Some(refusal))
    }

    /// Runs `work` until this long after the attempt's start, and no longer than the request's deadline.
    ///
    /// No `async fn`: it would keep the work twice, as its argument and as what it waits for.
    fn within<T>(
        &self,
        span: Duration,
        what: &'static str,
        work: impl Future<Output = Result<T, Early>>,
    ) -> impl Future<Output = Result<T, Early>> {
        let started = self.times.tried.begun().started;
        let limit = started + span.min(self.endpoint.timeouts.total);
        let is_short = self.times.deadline < limit;
        let end = self.times.clock.instant(limit.min(self.times.deadline));
        tokio::time::timeout_at(end, work).map(move |done| match done {
            Ok(result) => result,
            Err(_) if is_short => Err(Early::OutOfTime),
            Err(_) => {
                let detail = format!("no {what} within {span:?}");
                Err(Failure::new(Class::Timeout, detail).into())
            }
        })
    }
}

/// Of what the translation of an answer that begins now makes ids.
pub(super) fn stamp(now: SystemTime) -> AttemptStamp {
    AttemptStamp {
        unique: fastrand::u128(..),
        now,
    }
}

/// With the answer's status, unless the error inside names a better one.
fn stamped(failure: Failure, status: u16) -> Failure {
    Failure {
        status: failure.status.or(Some(status)),
        ..failure
    }
}

/// The answer that an error inside a stream would have been outside of one.
fn refusal(error: &ErrorDoc, failure: &Failure) -> FullResponse {
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    FullResponse {
        status: refused_with(failure),
        headers,
        body: error.body.clone(),
        answered: None,
        dropped: Dropped::default(),
    }
}

/// The status of an error that came inside a 2xx, had it come as an answer of its own.
fn refused_with(failure: &Failure) -> u16 {
    let named = failure.status.filter(|status| *status >= 400);
    let usual = match failure.class {
        Class::TooLargeForLimit => 429,
        _ => 400,
    };
    named.unwrap_or(usual)
}

pub(super) fn class_of(fault: &StreamFault) -> Class {
    match fault {
        StreamFault::Broken(_) => Class::Network,
        StreamFault::NoRoom => Class::Cancelled,
        StreamFault::NotEvents(_)
        | StreamFault::Compression(_)
        | StreamFault::Framing(_)
        | StreamFault::Foreign
        | StreamFault::Contentless(_) => Class::Malformed,
    }
}

/// The length that an answer announces, in bytes; 0 when it does not.
fn announced(headers: &HeaderMap) -> usize {
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    length.unwrap_or(0)
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}
