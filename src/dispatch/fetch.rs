//! Whole answers that are fetched as streams, and put together here: the limits on the first token and on silence, hedging and
//! rescue hold for them too. Nothing goes out before all of it is there, so that a stream that breaks off is begun again
//! elsewhere.

use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue, header};

use super::answer::{AnswerBody, ProxyResponse};
use super::caching::keep::GoneBack;
use super::failed::Failed;
use super::relay::Relay;
use super::request_run::{RequestContext, RequestRun};
use super::request_trace::RequestEnd;
use super::shared::Dispatch;
use crate::domain::attempts::FinalError;
use crate::domain::chain::Chain;
use crate::domain::dialect::Operation;
use crate::domain::error_code::ErrorCode;
use crate::domain::outcome::Class;
use crate::domain::profile::Fetch;
use crate::domain::time::Time;
use crate::runtime::buffers::Buffers;
use crate::runtime::clock::Clock;
use crate::wire::collected::CollectedAnswer;
use crate::wire::ir::Losses;
use crate::wire::request::RequestDoc;
use crate::wire::sse::EventSplitter;
use crate::wire::{classify, dialects, spelling};

/// What is needed to put an answer together.
pub(super) struct Fetched {
    operation: Operation,
    /// The request as its caller wrote it.
    doc: RequestDoc,
    /// The largest event, in bytes, as for every stream.
    max_event: usize,
    buffers: Buffers,
    arrived: Time,
    clock: Clock,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum FetchFault {
    /// The stream ended with an error; its words.
    #[error("the last answer broke off: {0}")]
    BrokeOff(String),
    /// An event is larger than events may be.
    #[error("an event of the answer has more than {0} bytes (server.max_event)")]
    TooLarge(usize),
    /// The events do not make an answer.
    #[error("the answer cannot be put together: {0}")]
    Unreadable(String),
}

impl RequestRun {
    /// Makes a request for a whole answer one for a stream, where its target wants that.
    pub(super) fn fetch_as_stream(&mut self) -> Option<Fetched> {
        let RequestContext {
            dispatch,
            request,
            chain,
            ..
        } = &mut self.context;
        let operation = request.operation;
        let caller = request.caller();
        let conversation = dialects::upstream(caller.id())?.conversation();
        if request.doc.stream() || conversation != Some(operation) {
            return None;
        }
        if dispatch.fetch_of(chain) != Fetch::Stream {
            return None;
        }
        let endpoints =
            (0..chain.upstreams.len()).filter_map(|index| dispatch.endpoint(chain, index));
        let max_event = endpoints.map(|endpoint| endpoint.max_event).max()?;
        let streamed = caller.streamed(operation, &request.doc)?;
        let doc = std::mem::replace(&mut request.doc, streamed);
        request.fetched = true;
        Some(Fetched {
            operation,
            doc,
            max_event,
            buffers: dispatch.buffers.clone(),
            arrived: request.arrived,
            clock: dispatch.clock,
        })
    }
}

impl Dispatch {
    /// How whole answers of a chain are fetched: what the target says; else its providers; else its profile.
    pub(super) fn fetch_of(&self, chain: &Chain) -> Fetch {
        let policy = self.policies.of(&chain.target);
        let said = policy.fetch.or_else(|| {
            let all = 0..chain.upstreams.len();
            let said = all.filter_map(|index| self.endpoint(chain, index)?.fetch);
            said.max()
        });
        said.unwrap_or(match policy.profile {
            Some(_) => Fetch::Stream,
            None => Fetch::Whole,
        })
    }
}

impl Fetched {
    /// The whole answer. The request ends with it, so that it is recorded as what its caller got.
    ///
    /// # Errors
    /// The stream ended with an error, and nothing else could be had.
    pub(super) async fn whole(self, answer: ProxyResponse) -> Result<ProxyResponse, Box<Failed>> {
        let ProxyResponse {
            body,
            mut headers,
            mut dropped,
            ..
        } = answer;
        let mut relay = match body {
            AnswerBody::Stream(relay) => relay,
            // A refusal, or an upstream that does not stream.
            body => {
                return Ok(ProxyResponse {
                    body,
                    headers,
                    dropped,
                    ..answer
                });
            }
        };
        let collected = self.collect(&mut relay).await;
        let mut run = relay.into_run();
        // Why the stream was cut decides, whatever words it ended with.
        let ending = run.as_ref().and_then(|run| run.state.trace.ending);
        let cut = match ending {
            Some(RequestEnd::Cut(code) | RequestEnd::Failed(code)) => Some(code),
            Some(RequestEnd::Answered(_)) => None,
            // It was aborted with the process, and recorded as that.
            None => Some(ErrorCode::Draining),
        };
        let (body, losses) = match (cut, collected) {
            (None, Ok(collected)) => collected,
            (cut, collected) => {
                let code = cut.unwrap_or(ErrorCode::InvalidUpstreamResponse);
                let Some(mut run) = run else {
                    return Err(Box::new(Failed::halted(self.arrived, self.clock.now())));
                };
                return match run.stale_for(code) {
                    Some(found) => Ok(run.serve_found(found)),
                    None => Err(failed(run, code, collected.err())),
                };
            }
        };
        spelling::note_answer(&mut dropped, &losses);
        as_json(&mut headers);
        let mut answer = ProxyResponse {
            body: AnswerBody::Full(self.buffers.count(body.len()).keep(body)),
            headers,
            dropped,
            ..answer
        };
        // It may have begun once more elsewhere: who ended it gave it.
        let records = run.as_ref().map(|run| run.state.attempts.records());
        let last = records.and_then(|records| {
            answer.attempts = records.len().max(answer.attempts);
            records
                .iter()
                .rfind(|record| record.class == Class::Success)
        });
        if let Some(last) = last {
            answer.upstream = last.upstream.clone();
            answer.key = last.key.clone();
        }
        if let Some(run) = &mut run {
            run.add_cost(&mut answer.headers);
        }
        if let Some(run) = &mut run {
            keep(run, &mut answer);
        }
        Ok(answer)
    }

    async fn collect(&self, relay: &mut Relay) -> Result<(Bytes, Losses), FetchFault> {
        let caller = dialects::caller(self.operation);
        let Some(dialect) = dialects::upstream(caller.id()) else {
            return Err(FetchFault::Unreadable("of its dialect".to_owned()));
        };
        let mut events = EventSplitter::new(self.max_event);
        let missing = || FetchFault::Unreadable("of its operation".to_owned());
        let mut collected = CollectedAnswer::new(self.operation).ok_or_else(missing)?;
        while let Some(Ok(piece)) = relay.next().await {
            events.push(piece);
            loop {
                let event = match events.next_event() {
                    Ok(Some(event)) => event,
                    Ok(None) => break,
                    Err(_) => return Err(FetchFault::TooLarge(self.max_event)),
                };
                if event.is_empty() {
                    continue;
                }
                if let Some(error) = dialect.event(self.operation, &event).error {
                    let words = classify::words(None, &HeaderMap::new(), &error.body);
                    return Err(FetchFault::BrokeOff(words));
                }
                collected.add(&event);
            }
        }
        collected.whole(&self.doc).map_err(FetchFault::Unreadable)
    }
}

/// The request ends with this error of ours, and with the words of what happened, where there are some.
fn failed(run: RequestRun, code: ErrorCode, fault: Option<FetchFault>) -> Box<Failed> {
    let verdict = FinalError {
        code,
        ready_at: None,
    };
    let mut failed = run.fail(verdict);
    let tells = matches!(
        code,
        ErrorCode::UpstreamsExhausted | ErrorCode::InvalidUpstreamResponse
    );
    if let Some(fault) = fault.filter(|_| tells) {
        failed.message = format!("{}. {fault}", failed.message);
    }
    failed
}

/// Keeps the answer for equal requests, where they are kept.
fn keep(run: &mut RequestRun, answer: &mut ProxyResponse) {
    let AnswerBody::Full(body) = &answer.body else {
        return;
    };
    let mark = run.keep(&GoneBack {
        status: answer.status,
        headers: &answer.headers,
        body,
        upstream: &answer.upstream,
        key: &answer.key,
        dropped: &answer.dropped,
    });
    if let Some(mark) = mark {
        mark.put(&mut answer.headers);
    }
}

/// The headers of a stream, for a whole answer.
fn as_json(headers: &mut HeaderMap) {
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json);
    for name in [
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        header::CACHE_CONTROL,
    ] {
        headers.remove(name);
    }
}
