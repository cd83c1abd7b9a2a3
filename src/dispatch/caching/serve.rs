//! Requests that are served by what was there: what goes back, and what is noted of them.

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, header};

use super::found::FoundAnswer;
use super::marks::CacheResult;
use super::place::{CachePlace, RenderedAnswer};
use super::told::ToldStream;
use crate::dispatch::answer::{AnswerBody, ProxyResponse};
use crate::dispatch::costs::COST;
use crate::dispatch::failed::Failed;
use crate::dispatch::request_run::RequestRun;
use crate::dispatch::request_trace::RequestEnd;
use crate::domain::attempt_record::{CacheLookup, SavedByCache};
use crate::domain::attempts::FinalError;
use crate::domain::error_code::ErrorCode;
use crate::store::responses::KeptAnswer;

/// What events are called.
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

impl RequestRun {
    /// The request is answered by what was found.
    pub(in crate::dispatch) fn serve_found(mut self, found: FoundAnswer) -> ProxyResponse {
        let FoundAnswer {
            kept,
            rendered,
            mark,
        } = found;
        let lookup = match mark {
            CacheResult::Stale { .. } => CacheLookup::Stale,
            CacheResult::Coalesced => CacheLookup::Joined,
            _ => CacheLookup::Kept,
        };
        self.note_found(&kept, lookup);
        let mut headers = headers_of(&kept, mark);
        let body = match rendered {
            RenderedAnswer::Whole(body) => {
                self.tell_content(&body);
                AnswerBody::Full(body)
            }
            RenderedAnswer::Events(events, every) => {
                headers.insert(header::CONTENT_TYPE, EVENTS);
                self.state.trace.first_token = Some(self.context.now());
                match every {
                    // All of it is there: the request ends here.
                    None => {
                        let all = Bytes::from(events.concat());
                        AnswerBody::Told(ToldStream::new(stream::iter([all])))
                    }
                    Some(every) => {
                        let events = events.into_iter();
                        // Its caller may leave meanwhile.
                        self.state.trace.ending = None;
                        let paced = stream::unfold(
                            (events, self),
                            move |(mut events, mut run)| async move {
                                let Some(event) = events.next() else {
                                    run.ends_well();
                                    return None;
                                };
                                tokio::time::sleep(every).await;
                                Some((event, (events, run)))
                            },
                        );
                        return answer_of(&kept, headers, AnswerBody::Told(ToldStream::new(paced)));
                    }
                }
            }
        };
        answer_of(&kept, headers, body)
    }

    /// The request ends with this error, or with an answer that was kept for that.
    pub(in crate::dispatch) fn give_up(
        mut self,
        verdict: FinalError,
    ) -> Result<ProxyResponse, Box<Failed>> {
        match self.stale_for(verdict.code) {
            Some(found) => Ok(self.serve_found(found)),
            None => Err(self.fail(verdict)),
        }
    }

    /// What serves in place of an error like this. No caller's own fault is made up for.
    pub(in crate::dispatch) fn stale_for(&mut self, code: ErrorCode) -> Option<FoundAnswer> {
        let is_ours = matches!(
            code,
            ErrorCode::UpstreamsExhausted
                | ErrorCode::UpstreamsRateLimited
                | ErrorCode::CoolingDown
                | ErrorCode::WaitingRoomFull
                | ErrorCode::NoUsableKeys
                | ErrorCode::InvalidUpstreamResponse
                | ErrorCode::DeadlineExceeded
        );
        let mut place = self.state.place.take().filter(|_| is_ours)?;
        let kept = place.stale.take()?;
        let age = CachePlace::age(&kept, self.context.dispatch.clock.wall());
        // It took a while to find out that no upstream can.
        if age >= place.stale_ttl(&kept) {
            return None;
        }
        let rendered = place.form.render(&kept)?;
        Some(FoundAnswer {
            kept,
            rendered,
            mark: CacheResult::Stale { age },
        })
    }

    /// Notes that another request's answer serves this one.
    pub(super) fn note_found(&mut self, kept: &KeptAnswer, lookup: CacheLookup) {
        let trace = &mut self.state.trace;
        trace.lookup = lookup;
        trace.ending = Some(RequestEnd::Answered(kept.status));
        trace.saved = Some(SavedByCache {
            tokens: kept.tokens,
            cost: kept.cost,
        });
    }

    /// All of a stream was taken.
    fn ends_well(&mut self) {
        self.state.trace.ending = Some(RequestEnd::Answered(200));
    }

    fn tell_content(&mut self, body: &Bytes) {
        if let Some(content) = &mut self.state.trace.content {
            content.answer = Some(body.clone());
        }
    }
}

/// The headers of an answer that was there.
pub(super) fn headers_of(kept: &KeptAnswer, mark: CacheResult) -> HeaderMap {
    // With room for those that are added on the way: growing would hash all of them again.
    let mut headers = HeaderMap::with_capacity(16);
    if let Ok(kind) = HeaderValue::try_from(&kept.content_type) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    // What it cost was paid by the request that asked for it.
    headers.insert(COST, HeaderValue::from_static("0"));
    mark.put(&mut headers);
    headers
}

/// An answer without an attempt.
pub(super) fn answer_of(kept: &KeptAnswer, headers: HeaderMap, body: AnswerBody) -> ProxyResponse {
    ProxyResponse {
        status: kept.status,
        headers,
        body,
        upstream: kept.upstream.clone(),
        key: kept.key.clone(),
        attempts: 0,
        dropped: kept.dropped.clone(),
    }
}
