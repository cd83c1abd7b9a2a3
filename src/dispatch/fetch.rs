//! Whole answers that are fetched as streams, and put together here: the limits on the first token and on silence, hedging and
//! rescue hold for them too. Nothing goes out before all of it is there, so that a stream that breaks off is begun again
//! elsewhere.

use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue, header};

use super::answer::{AnswerBody, ProxyResponse};
use super::failed::Failed;
use super::relay::Relay;
use super::request::Request;
use super::shared::Dispatch;
use crate::domain::chain::Chain;
use crate::domain::dialect::{EventForm, Operation};
use crate::domain::error_code::ErrorCode;
use crate::domain::profile::Fetch;
use crate::domain::time::Time;
use crate::wire::ir::{Assembly, Losses};
use crate::wire::request::RequestDoc;
use crate::wire::sse::EventSplitter;
use crate::wire::{classify, dialects, json, spelling};

/// What is needed to put an answer together.
pub(super) struct Fetched {
    operation: Operation,
    doc: RequestDoc,
    arrived: Time,
}

impl Dispatch {
    /// Makes a request for a whole answer one for a stream, where its target wants that.
    pub(super) fn fetch_as_stream(&self, request: &mut Request, chain: &Chain) -> Option<Fetched> {
        let operation = request.operation;
        let caller = request.caller();
        let conversation = dialects::upstream(caller.id())?.conversation();
        if request.doc.stream() || conversation != Some(operation) {
            return None;
        }
        if !self.fetches(chain) {
            return None;
        }
        let streamed = caller.streamed(operation, &request.doc)?;
        let doc = std::mem::replace(&mut request.doc, streamed);
        request.fetched = true;
        Some(Fetched {
            operation,
            doc,
            arrived: request.arrived,
        })
    }

    /// What the target says; else its providers; else its profile.
    fn fetches(&self, chain: &Chain) -> bool {
        let policy = self.policies.of(&chain.target);
        let said = policy.fetch.or_else(|| {
            let all = 0..chain.upstreams.len();
            let said = all.filter_map(|index| self.endpoint(chain, index)?.fetch);
            said.max()
        });
        said.map_or(policy.profile.is_some(), |fetch| fetch == Fetch::Stream)
    }
}

impl Fetched {
    /// The whole answer.
    ///
    /// # Errors
    /// The stream ended with an error, and nothing else could be had.
    pub(super) async fn whole(
        self,
        answer: ProxyResponse,
        now: impl Fn() -> Time,
    ) -> Result<ProxyResponse, Box<Failed>> {
        let ProxyResponse {
            body,
            mut headers,
            mut dropped,
            ..
        } = answer;
        let relay = match body {
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
        match self.collect(relay).await {
            Ok((body, losses)) => {
                spelling::note_answer(&mut dropped, &losses);
                as_json(&mut headers);
                Ok(ProxyResponse {
                    body: AnswerBody::Full(body),
                    headers,
                    dropped,
                    ..answer
                })
            }
            Err(words) => Err(Box::new(Failed {
                code: match words.contains("deadline") {
                    true => ErrorCode::DeadlineExceeded,
                    false => ErrorCode::UpstreamsExhausted,
                },
                message: format!("the answer broke off, and no upstream had another one: {words}"),
                retry_after: None,
                records: Vec::new(),
                skipped: Box::default(),
                arrived: self.arrived,
                ended: now(),
                param: None,
            })),
        }
    }

    async fn collect(&self, mut relay: Box<Relay>) -> Result<(Bytes, Losses), String> {
        let caller = dialects::caller(self.operation);
        let Some(dialect) = dialects::upstream(caller.id()) else {
            return Err("its dialect cannot be read".to_owned());
        };
        let mut events = EventSplitter::new(usize::MAX);
        let mut decoder = dialect.own_event_decoder();
        let mut assembly = Assembly::new(dialect.id());
        let mut last = None;
        while let Some(Ok(piece)) = relay.next().await {
            events.push(piece);
            while let Ok(Some(event)) = events.next_event() {
                if event.is_empty() {
                    continue;
                }
                if let Some(error) = dialect.event(self.operation, &event).error {
                    return Err(classify::words(None, &HeaderMap::new(), &error.body));
                }
                if self.operation.events() == EventForm::Numbered {
                    last = Some(event);
                } else {
                    assembly.add(decoder.event(&event));
                }
            }
        }
        // The last event of such a stream has the whole answer in it.
        if let Some(event) = last {
            let value = json::value(&event.data()).unwrap_or_default();
            return match value.get("response") {
                Some(whole) => Ok((Bytes::from(whole.to_string()), Losses::new())),
                None => Err("its last event has no answer in it".to_owned()),
            };
        }
        let (answer, mut losses) = assembly.finish().map_err(|error| error.message)?;
        let (body, more) = caller.encode_answer(self.operation, &self.doc, answer);
        losses.extend(more);
        Ok((body, losses))
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
