//! Answers that are not looked at: sound, pictures, and whatever a provider says to a passed-through request. They go on as
//! they come, from the first byte of them on that shows that there is an answer.

use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, Method, header};

use super::{Attempt, AttemptResult, Early, PipedResponse, is_success};
use crate::dispatch::payload::Payload;
use crate::domain::dialect::BodyForm;
use crate::domain::outcome::{Class, Failure};
use crate::upstream::{UpstreamRequest, UpstreamResponse};
use crate::wire::passing_usage::PassingUsage;
use crate::wire::resource;

/// So much of an answer that may name what it made is held back until all of it is there, in bytes: its caller must not
/// know of a resource before it is known here where that is.
const MOST_HELD: usize = 256 * 1024;

impl Attempt<'_> {
    /// Whether answers to the request may pass without being looked at.
    pub(super) fn is_piped(&self) -> bool {
        self.request.operation.body() != BodyForm::Json
    }

    /// Sends the call, and reads its answer up to where it is clear that it is one.
    pub(super) async fn pipe(&self, call: UpstreamRequest) -> Result<AttemptResult, Early> {
        let timeouts = self.endpoint.timeouts;
        let work = async {
            let reply = self.send(call).await.map_err(|early| self.excused(early))?;
            match self.request.payload.as_ref().and_then(Payload::passed) {
                Some(_) => self.passed(reply).await,
                None => self.media(reply).await,
            }
        };
        self.within(timeouts.response, "answer", work).await
    }

    /// A call that failed because its caller stopped sending is no failure of the upstream's.
    fn excused(&self, early: Early) -> Early {
        let fault = self.request.payload.as_ref().and_then(Payload::fault);
        match (early, fault) {
            (Early::Failed(failure), Some(fault)) => Early::Failed(Failure {
                class: Class::Cancelled,
                detail: fault.to_string(),
                ..failure
            }),
            (early, _) => early,
        }
    }

    /// The answer of a provider to a passed-through request: whatever it is, unless it is a refusal.
    async fn passed(&self, reply: UpstreamResponse) -> Result<AttemptResult, Early> {
        if reply.status >= 400 {
            return Ok(match self.read(reply).await? {
                AttemptResult::Failed(failure, whole) => {
                    AttemptResult::Failed(of_passed(failure), whole)
                }
                other => other,
            });
        }
        let payload = self.request.payload.as_ref();
        let may_create = payload.is_some_and(Payload::may_create);
        let kind = content_type(&reply.headers);
        let most = if !may_create {
            0
        } else if kind.contains("json") {
            MOST_HELD
        } else {
            // The first event of a stream names the answer.
            usize::from(kind.starts_with("text/event-stream"))
        };
        self.hold(reply, most).await
    }

    /// An answer that may be sound or a picture.
    async fn media(&self, reply: UpstreamResponse) -> Result<AttemptResult, Early> {
        let kind = content_type(&reply.headers);
        let is_looked_at = kind.is_empty() || kind.contains("json") || kind.contains("html");
        if !is_success(reply.status) || is_looked_at {
            return self.read(reply).await;
        }
        match self.hold(reply, 1).await? {
            AttemptResult::Piped(piped) if piped.held.is_empty() => {
                let empty = Failure::new(Class::Malformed, "the answer is empty");
                Err(empty.with_status(piped.status).into())
            }
            held => Ok(held),
        }
    }

    /// Reads an answer up to so many bytes, or its end.
    async fn hold(&self, reply: UpstreamResponse, most: usize) -> Result<AttemptResult, Early> {
        let UpstreamResponse {
            status,
            headers,
            body: mut rest,
        } = reply;
        let mut held: Vec<Bytes> = Vec::new();
        let mut length = 0;
        let mut buffered = self.times.buffers.count(0);
        while length < most {
            let Some(piece) = rest.next().await else {
                break;
            };
            let piece = piece.map_err(|error| {
                Failure::new(Class::Network, error.to_string()).with_status(status)
            })?;
            length += piece.len();
            if !buffered.reach(length) {
                return Err(Early::OutOfRoom);
            }
            if !piece.is_empty() {
                held.push(piece);
            }
        }
        // What is read back was counted when it was made.
        let payload = self.request.payload.as_ref();
        let made = payload.is_none_or(|payload| payload.passed().is_none() || payload.may_create());
        let usage = made.then(|| PassingUsage::of(&headers)).flatten();
        let length = self.length(status, &headers);
        Ok(AttemptResult::Piped(Box::new(PipedResponse {
            usage,
            length,
            status,
            headers,
            held,
            rest,
        })))
    }

    /// Bytes of an answer's body in all, as its head tells (RFC 9112, 6.3).
    fn length(&self, status: u16, headers: &HeaderMap) -> Option<u64> {
        let payload = self.request.payload.as_ref();
        let passed = payload.and_then(Payload::passed);
        let is_bare = passed.is_some_and(|call| call.method == Method::HEAD)
            || matches!(status, 100..200 | 204 | 304);
        if is_bare {
            return Some(0);
        }
        let length = headers.get(header::CONTENT_LENGTH)?;
        length.to_str().ok()?.trim().parse().ok()
    }
}

/// What a refusal of a passed-through request means. What is asked for there is not known here: a resource that is missing
/// says nothing about a model, and a key that may not do one thing may do all others.
fn of_passed(failure: Failure) -> Failure {
    let scoped = resource::is_about_scope(&failure.detail);
    let class = match failure.class {
        Class::InvalidKey if failure.status == Some(401) && !scoped => Class::InvalidKey,
        // A proxy's page in place of an answer may be about the path.
        Class::Overloaded | Class::Transient if matches!(failure.status, Some(400..500)) => {
            Class::CallerFault
        }
        Class::RateLimited
        | Class::QuotaExhausted
        | Class::Overloaded
        | Class::Transient
        | Class::Network
        | Class::Timeout
        | Class::Cancelled => failure.class,
        _ => Class::CallerFault,
    };
    Failure { class, ..failure }
}

/// In small letters; empty where it is not said.
fn content_type(headers: &HeaderMap) -> String {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or("");
    kind.trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_resource_says_is_held_against_neither_model_nor_key() {
        let scopes =
            "You have insufficient permissions for this operation. Missing scopes: api.files.write";
        for (class, status, detail, expected) in [
            (Class::ModelGone, 404, "No such File", Class::CallerFault),
            (Class::NotOffered, 404, "", Class::CallerFault),
            (Class::InvalidKey, 403, "forbidden", Class::CallerFault),
            (
                Class::InvalidKey,
                401,
                "Incorrect API key provided",
                Class::InvalidKey,
            ),
            (Class::InvalidKey, 401, scopes, Class::CallerFault),
            (Class::RateLimited, 429, "", Class::RateLimited),
            (Class::Transient, 500, "", Class::Transient),
            (Class::Transient, 404, "", Class::CallerFault),
        ] {
            let failure = Failure::new(class, detail).with_status(status);
            assert_eq!(of_passed(failure).class, expected, "{class:?} {status}");
        }
    }
}
