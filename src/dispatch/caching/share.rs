//! Equal requests as one call: the first one makes it, in a task of its own, and all of them wait for what comes of it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::oneshot;

use super::flight::{FlightEnd, FlightNews, FlightReader, Flown, StarterFate};
use super::flights::{FlightKey, FlightSeat, MadeFlight};
use super::found::FoundAnswer;
use super::joined::{Reading, StarterGuard, StreamReader};
use super::marks::CacheResult;
use super::place::{CachePlace, RenderedAnswer, content_type};
use super::serve::{answer_of, headers_of};
use crate::dispatch::admission::Admitted;
use crate::dispatch::answer::{AnswerBody, ProxyResponse};
use crate::dispatch::failed::Failed;
use crate::dispatch::relay::Relay;
use crate::dispatch::request::Request;
use crate::dispatch::request_run::RequestRun;
use crate::dispatch::request_trace::RequestEnd;
use crate::dispatch::shared::Dispatch;
use crate::domain::attempt_record::{CacheLookup, SavedByCache};
use crate::domain::attempts::FinalError;
use crate::domain::error_code::ErrorCode;
use crate::domain::time::Time;
use crate::runtime::task;
use crate::store::responses::KeptAnswer;
use crate::wire::cache_key;
use crate::wire::encoding::whole::readable;

/// A request that waits for a call, or makes one. Dropped before it is served, it is noted that its caller left.
pub(in crate::dispatch) struct WaitingRequest {
    dispatch: Arc<Dispatch>,
    parts: Option<WaitingParts>,
}

struct WaitingParts {
    request: Request,
    admitted: Admitted,
    complete: Time,
    place: Box<CachePlace>,
}

/// The call's own answer, on its way to its own caller.
type ForStarter = oneshot::Sender<Result<OwnAnswer, Box<Failed>>>;

/// What its own caller gets of a call.
enum OwnAnswer {
    /// All of it.
    Whole(ProxyResponse),
    /// All but its body, which is read as by everybody.
    Stream(ProxyResponse),
}

impl WaitingRequest {
    fn take(&mut self) -> Option<WaitingParts> {
        self.parts.take()
    }

    /// The run of a request that another one's call serves.
    fn run(&mut self, lookup: CacheLookup) -> Option<(RequestRun, Box<CachePlace>)> {
        let parts = self.take()?;
        let (dispatch, complete) = (&self.dispatch, parts.complete);
        let mut run = RequestRun::new(dispatch, parts.request, parts.admitted, complete);
        run.state.trace.lookup = lookup;
        Some((run, parts.place))
    }
}

impl Drop for WaitingRequest {
    fn drop(&mut self) {
        drop(self.run(CacheLookup::Joined));
    }
}

impl Dispatch {
    /// Serves a request together with those that are equal and under way.
    ///
    /// # Errors
    /// As for a request of its own.
    pub(in crate::dispatch) async fn share(
        self: &Arc<Self>,
        request: Request,
        admitted: Admitted,
        complete: Time,
        place: Box<CachePlace>,
    ) -> Result<ProxyResponse, Box<Failed>> {
        let key = FlightKey {
            key: place.key,
            form: place.form.streams.then(|| {
                let options = request.doc.raw("stream_options").unwrap_or_default();
                cache_key::hash_of(&[options])
            }),
        };
        let (arrived, deadline) = (request.arrived, request.deadline);
        let flights = place.caching.flights().cloned();
        let mut waiting = WaitingRequest {
            dispatch: Arc::clone(self),
            parts: Some(WaitingParts {
                request,
                admitted,
                complete,
                place,
            }),
        };
        let mut failed: Option<(FlightReader, FlightNews)> = None;
        let until = self.clock.instant(deadline);
        loop {
            let seat = match &flights {
                Some(flights) => {
                    let elections = failed.as_ref().map(|(reader, _)| reader.elections.clone());
                    flights.join(key, elections, &self.buffers).await
                }
                None => None,
            };
            let mut reader = match (seat, failed.take()) {
                (Some(FlightSeat::Makes(made, reader)), _) => {
                    let Some(parts) = waiting.take() else {
                        return Err(self.gone(arrived));
                    };
                    return self.make(made, reader, parts).await;
                }
                (Some(FlightSeat::Reads(reader)), _) => reader,
                (Some(FlightSeat::Over), Some((reader, news))) => {
                    return self.joined(waiting, reader, Some(news));
                }
                (Some(FlightSeat::Over) | None, _) => return self.alone(waiting).await,
            };
            let news = tokio::select! {
                biased;
                news = tokio::time::timeout_at(until, reader.first()) => news,
                () = async { self.abort.waiting().await } => return Err(self.gone(arrived)),
            };
            match news {
                // Nothing failed: it is only not there for this one.
                Ok(FlightNews::End(FlightEnd::Apart) | FlightNews::Behind) => {
                    return self.alone(waiting).await;
                }
                Ok(
                    news @ FlightNews::End(
                        FlightEnd::Lost | FlightEnd::Failed { shared: false, .. },
                    ),
                ) if !reader.elections.is_over() => failed = Some((reader, news)),
                news => return self.joined(waiting, reader, news.ok()),
            }
        }
    }

    /// Serves a request by a call of its own that nobody joins.
    async fn alone(
        self: &Arc<Self>,
        mut waiting: WaitingRequest,
    ) -> Result<ProxyResponse, Box<Failed>> {
        let Some(parts) = waiting.take() else {
            return Err(self.gone(self.clock.now()));
        };
        let WaitingParts {
            request,
            admitted,
            complete,
            place,
        } = parts;
        self.serve(request, admitted, complete, Some(place), None)
            .await
    }

    fn gone(&self, arrived: Time) -> Box<Failed> {
        Box::new(Failed::halted(arrived, self.clock.now()))
    }

    /// Serves a request by what came of another one's call; `None`: nothing by its deadline.
    fn joined(
        self: &Arc<Self>,
        mut waiting: WaitingRequest,
        reader: FlightReader,
        news: Option<FlightNews>,
    ) -> Result<ProxyResponse, Box<Failed>> {
        let Some((mut run, place)) = waiting.run(CacheLookup::Joined) else {
            return Err(self.gone(self.clock.now()));
        };
        let end_with = |code| FinalError {
            code,
            ready_at: None,
        };
        match news {
            Some(FlightNews::Begun(told)) => {
                run.note_found(&told, CacheLookup::Joined);
                run.state.trace.ending = None;
                let headers = headers_of(&told, CacheResult::Coalesced);
                let request = &run.context.request;
                let reading = StreamReader {
                    reader,
                    id: Arc::clone(&request.id),
                    operation: request.operation,
                    clock: self.clock,
                    deadline: request.deadline,
                    silence: request.silence,
                    who: Reading::Joined(Box::new(run)),
                };
                let body = AnswerBody::Told(reading.told());
                Ok(answer_of(&told, headers, body))
            }
            Some(FlightNews::End(FlightEnd::Answered(kept))) => {
                let kept = KeptAnswer::clone(&kept);
                Ok(run.serve_found(FoundAnswer {
                    rendered: RenderedAnswer::Whole(kept.body.clone()),
                    kept,
                    mark: CacheResult::Coalesced,
                }))
            }
            Some(FlightNews::End(FlightEnd::Failed { failed, .. })) => {
                run.state.place = Some(place);
                if let Some(found) = run.stale_for(failed.code) {
                    return Ok(run.serve_found(found));
                }
                run.state.trace.ending = Some(RequestEnd::Failed(failed.code));
                Err(Box::new(Failed {
                    arrived: run.context.request.arrived,
                    ..Failed::clone(&failed)
                }))
            }
            None => {
                run.state.place = Some(place);
                run.give_up(end_with(ErrorCode::DeadlineExceeded))
            }
            Some(_) => {
                run.state.place = Some(place);
                run.give_up(end_with(ErrorCode::UpstreamsExhausted))
            }
        }
    }

    /// Makes the call for a request and for all who join, and waits for its own part.
    async fn make(
        self: &Arc<Self>,
        made: MadeFlight,
        reader: FlightReader,
        parts: WaitingParts,
    ) -> Result<ProxyResponse, Box<Failed>> {
        let request = &parts.request;
        let (arrived, deadline, silence) = (request.arrived, request.deadline, request.silence);
        let (id, operation) = (Arc::clone(&request.id), request.operation);
        let begins_by = request.begins_by();
        let fate = StarterFate::default();
        let mut guard = StarterGuard {
            fate: fate.clone(),
            done: false,
        };
        let (starter, own) = oneshot::channel();
        let dispatch = Arc::clone(self);
        task::detach(async move {
            let flight = fate.clone();
            let apart = async {
                flight.goes_apart().await;
                // At once: those who wait lose no time by it.
                made.end(FlightEnd::Apart);
                std::future::pending::<()>().await;
            };
            tokio::select! {
                biased;
                () = dispatch.fly(&made, parts, begins_by, fate, starter) => {}
                () = apart => {}
                // Nobody waits any more: the call is cancelled.
                () = made.given_up() => {}
            }
        });
        let until = self.clock.instant(begins_by);
        let answer = tokio::select! {
            biased;
            answer = own => answer.unwrap_or_else(|_| Err(self.gone(arrived))),
            () = tokio::time::sleep_until(until) => {
                guard.fate.late();
                guard.done = true;
                return Err(self.late(arrived));
            }
        };
        let answer = match answer {
            Ok(OwnAnswer::Stream(answer)) => answer,
            Ok(OwnAnswer::Whole(answer)) => {
                guard.done = true;
                return Ok(answer);
            }
            Err(failed) => {
                guard.done = true;
                return Err(failed);
            }
        };
        let reading = StreamReader {
            reader,
            who: Reading::Starter(guard),
            id,
            operation,
            clock: self.clock,
            deadline,
            silence,
        };
        Ok(ProxyResponse {
            body: AnswerBody::Told(reading.told()),
            ..answer
        })
    }

    /// The call of its own request took too long for its own caller.
    fn late(&self, arrived: Time) -> Box<Failed> {
        Box::new(Failed {
            code: ErrorCode::DeadlineExceeded,
            message: "the request's deadline passed before the answer was there".to_owned(),
            retry_after: None,
            ..Failed::halted(arrived, self.clock.now())
        })
    }

    /// The call: made under the longest deadline that there is, since each of those who wait has its own.
    async fn fly(
        self: &Arc<Self>,
        made: &MadeFlight,
        parts: WaitingParts,
        begins_by: Time,
        fate: StarterFate,
        starter: ForStarter,
    ) {
        let WaitingParts {
            mut request,
            admitted,
            complete,
            place,
        } = parts;
        let longest = self.policy.deadline_of(request.arrived, None);
        request.deadline = longest.max(request.deadline);
        request.begins_within = None;
        request.silence = None;
        let flown = Flown {
            begins_by,
            fate: fate.clone(),
        };
        let served = self
            .serve(request, admitted, complete, Some(place), Some(flown))
            .await;
        let answer = match served {
            Ok(answer) => answer,
            Err(failed) => {
                let shared = is_shared(failed.code.status());
                let end = FlightEnd::Failed {
                    failed: Arc::new(Failed::clone(&failed)),
                    shared,
                };
                // Its own caller is told first: the others may ask again at once.
                drop(starter.send(Err(failed)));
                made.end(end);
                return;
            }
        };
        match answer.body {
            AnswerBody::Stream(relay) if !fate.is_steered() => {
                let answer = ProxyResponse {
                    body: AnswerBody::Full(Bytes::new()),
                    ..answer
                };
                made.writer()
                    .begin(told(&answer, SavedByCache::default(), Bytes::new()));
                drop(starter.send(Ok(OwnAnswer::Stream(answer))));
                read(made, relay, &fate).await;
            }
            AnswerBody::Full(body)
                if !fate.is_steered()
                    && for_all(answer.status)
                    && !CacheResult::is_stale(&answer.headers) =>
            {
                let plain = readable(&answer.headers, &body);
                let answer = ProxyResponse {
                    body: AnswerBody::Full(body),
                    ..answer
                };
                let kept = told(&answer, fate.spent(), plain);
                drop(starter.send(Ok(OwnAnswer::Whole(answer))));
                made.end(FlightEnd::Answered(Arc::new(kept)));
            }
            body => {
                // An upstream's own refusal, or a kept answer because the call failed: it is this request's alone. The others
                // have looked for such an answer themselves.
                let answer = ProxyResponse { body, ..answer };
                drop(starter.send(Ok(OwnAnswer::Whole(answer))));
                made.end(if fate.is_steered() {
                    FlightEnd::Apart
                } else {
                    FlightEnd::Lost
                });
            }
        }
    }
}

/// Reads a stream to its end for all who read it.
async fn read(made: &MadeFlight, mut relay: Box<Relay>, fate: &StarterFate) {
    let mut joinable = true;
    while let Some(Ok(piece)) = relay.next().await {
        // Nothing here waits for a socket, and the upstream may talk without a pause: timers have their turn, as they have
        // where a stream is written.
        tokio::task::yield_now().await;
        let goes_on = made.writer().push(piece, joinable);
        if joinable && !goes_on {
            made.close();
        }
        joinable = goes_on;
    }
    made.end(match relay.ending() {
        Some(RequestEnd::Answered(_)) => FlightEnd::Whole(fate.spent()),
        Some(RequestEnd::Cut(code) | RequestEnd::Failed(code)) => FlightEnd::Cut(code),
        None => FlightEnd::Cut(ErrorCode::Draining),
    });
}

/// What others are told of an answer that used so much.
fn told(answer: &ProxyResponse, used: SavedByCache, body: Bytes) -> KeptAnswer {
    KeptAnswer {
        stored: SystemTime::UNIX_EPOCH,
        ttl: Duration::ZERO,
        status: answer.status,
        content_type: content_type(&answer.headers),
        upstream: answer.upstream.clone(),
        key: answer.key.clone(),
        dropped: answer.dropped.clone(),
        has_usage: true,
        tokens: used.tokens,
        cost: used.cost,
        body,
    }
}

/// Whether an answer of this status is everybody's.
fn for_all(status: u16) -> bool {
    (200..300).contains(&status) || is_shared(status)
}

/// Whether an answer of this status is the request's own fault, so that all that are equal get it.
fn is_shared(status: u16) -> bool {
    matches!(status, 400 | 404 | 405 | 409 | 413 | 415 | 422)
}
