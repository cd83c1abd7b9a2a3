//! The stage before any upstream is asked, in which an answer that exists already may serve the request, or an equal
//! request that is under way.
//!
//! It comes after admission, so that clients get only answers that they may ask for, and before the first lease,
//! so that an answer found here uses no key.

use http::HeaderValue;

use super::answer::{AnswerBody, ProxyResponse};
use super::costs::COST;
use super::request_run::RequestRun;
use super::request_trace::RequestEnd;
use super::response_cache::{CacheAnswer, PendingAnswer, StoredResponse};
use crate::domain::attempt_record::CacheLookup;
use crate::wire::encoding::whole::readable;

#[cfg(test)]
mod tests;

impl RequestRun {
    /// The answer, if there is one. If there is none and one is to be kept, its place is noted.
    pub(super) async fn lookup(&mut self) -> Option<ProxyResponse> {
        let (found, answer) = match self.find().await {
            CacheAnswer::Excluded => return None,
            CacheAnswer::Missing(pending) => {
                self.state.trace.lookup = CacheLookup::Missed;
                self.state.pending = Some(pending);
                return None;
            }
            CacheAnswer::Kept(answer) => (CacheLookup::Kept, answer),
            CacheAnswer::Joined(answer) => (CacheLookup::Joined, answer),
        };
        let trace = &mut self.state.trace;
        trace.lookup = found;
        trace.ending = Some(RequestEnd::Answered(answer.status));
        if let Some(content) = &mut trace.content {
            content.answer = Some(readable(&answer.headers, &answer.body));
        }
        let mut headers = answer.headers;
        // What it cost was paid by the request that asked for it.
        if headers.contains_key(&COST) {
            headers.insert(COST, HeaderValue::from_static("0"));
        }
        Some(ProxyResponse {
            status: answer.status,
            headers,
            body: AnswerBody::Full(answer.body),
            upstream: answer.upstream,
            key: answer.key,
            attempts: 0,
            dropped: answer.dropped,
        })
    }

    async fn find(&self) -> CacheAnswer {
        let context = &self.context;
        let request = &context.request;
        let cache = context.dispatch.cache.as_ref();
        let Some(cache) = cache.filter(|_| !request.doc.stream() && request.payload.is_none())
        else {
            return CacheAnswer::Excluded;
        };
        let deadline = context.dispatch.clock.instant(request.deadline);
        let found = tokio::time::timeout_at(deadline, cache.get(request, &context.chain)).await;
        // The deadline decides, as it does for a request that was not looked up.
        found.unwrap_or(CacheAnswer::Excluded)
    }
}

/// Gives a whole answer that goes back to the cache, if the request has a place there and the answer is good.
pub(super) fn keep(pending: Option<Box<dyn PendingAnswer>>, answer: &ProxyResponse) {
    let is_good = (200..300).contains(&answer.status);
    if let (Some(pending), AnswerBody::Full(body), true) = (pending, &answer.body, is_good) {
        pending.put(StoredResponse {
            status: answer.status,
            headers: answer.headers.clone(),
            body: body.clone(),
            upstream: answer.upstream.clone(),
            key: answer.key.clone(),
            dropped: answer.dropped.clone(),
        });
    }
}
