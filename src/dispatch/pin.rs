//! The key that a request must or should go to, because it holds what the request needs; and what an answer tells of what its
//! key holds from now on.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;

use super::affinity_choice::AffinityChoice;
use super::payload::{PassedBody, Payload};
use super::request::Request;
use super::request_run::{RequestContext, RequestRun};
use crate::actors::lease::Lease;
use crate::domain::attempts::Pin;
use crate::domain::dialect::{EventForm, Operation};
use crate::domain::ids::KeyId;
use crate::runtime::spool::Spool;
use crate::wire::resource;
use crate::wire::seals::{self, Seals};

/// A passed-through body is searched for names up to this size, in bytes.
const MOST_SEARCHED: u64 = 1024 * 1024;
/// So long is waited for it.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

impl RequestRun {
    /// Finds the key that holds what the request needs.
    pub(super) async fn pin(&mut self) {
        let request = &self.context.request;
        let dispatch = &self.context.dispatch;
        if let Some(AffinityChoice::Key(key)) = &request.affinity {
            let pin = Pin::of(key.clone());
            self.state.attempts.pin(&pin);
            return;
        }
        if dispatch.affinity.is_empty() {
            return;
        }
        let resource::Needed {
            names,
            sealed,
            thoughts,
        } = needed(request).await;
        if let Some(key) = dispatch.affinity.find(names).await {
            let passed = request.operation == Operation::Passthrough;
            let chain = &self.context.chain.upstreams;
            let elsewhere = !chain
                .iter()
                .any(|upstream| upstream.provider == key.provider);
            // What a path of another provider's happens to be called like.
            if !(passed && elsewhere) {
                self.state.attempts.pin(&Pin::of(key));
            }
            return;
        }
        if let Some(key) = dispatch.affinity.find(sealed).await {
            // What is sealed can be left out.
            self.state.prefers = Some(key.clone());
            self.state.sealed_by = Some(key);
            return;
        }
        if let Some(key) = dispatch.affinity.find(thoughts).await {
            // Its maker knows a signature with any key.
            self.state.prefers = Some(key);
            return;
        }
        if let Some(name) = request.session() {
            let served = dispatch.affinity.find(vec![name]).await;
            self.state.prefers = served.filter(|key| self.context.may_prefer(key));
        }
    }

    /// A lease with the key that is preferred, if it is to be had at once.
    pub(super) async fn preferred_lease(&mut self) -> Option<Lease> {
        let key = self.state.prefers.take()?;
        let mut attempts = self.state.attempts.clone();
        attempts.pin(&Pin::of(key));
        let deadline = self.state.limits.deadline;
        let lease = self.context.lease_now(attempts.ask(), deadline).await;
        lease.inspect(
            |_| tracing::debug!(request_id = %self.context.request.id, "goes to its session's key"),
        )
    }

    /// The request goes to this key: what is sealed for another one is left out.
    pub(super) fn unseal_for(&mut self, key: &KeyId) {
        if self.state.sealed_by.as_ref().is_none_or(|by| by == key) {
            return;
        }
        self.state.sealed_by = None;
        let request = &mut self.context.request;
        let Some(input) = request
            .doc
            .raw("input")
            .and_then(|input| seals::without(input, Seals::OfAccount))
        else {
            return;
        };
        if let Some(doc) = request.doc.with(&[("input", input)]) {
            request.doc = doc;
            request.left_out.add("input.encrypted_content");
        }
    }

    /// An answer came with this key: what it names is there. `said` is all of it, or its beginning.
    pub(super) fn learn(&self, key: &KeyId, said: &[u8]) {
        let request = &self.context.request;
        let affinity = &self.context.dispatch.affinity;
        let creates = match &request.payload {
            Some(payload) => payload.may_create(),
            None => creates(request),
        };
        let mut names = match creates {
            true => resource::made(said),
            false => Vec::new(),
        };
        names.extend(request.session());
        if creates || request.payload.is_none() {
            names.extend(resource::told(said));
        }
        if request.may_be_sealed() {
            names.extend(resource::sealed_in(said));
        }
        affinity.note(names, key.clone());
    }

    /// An event came with this key, in the caller's dialect: what it holds from now on, and what in it only that key can
    /// open, where that was asked for.
    pub(super) fn learn_event(&self, key: &KeyId, event: &[u8], seals: bool) {
        let mut names = resource::told(event);
        if seals {
            names.extend(resource::sealed_in(event));
        }
        if !names.is_empty() {
            self.context.dispatch.affinity.note(names, key.clone());
        }
    }
}

/// Whether what answers the request is kept by its provider under the answer's name.
fn creates(request: &Request) -> bool {
    request.operation.events() == EventForm::Numbered
        && !request.operation.counts()
        && request.doc.raw("store") != Some(b"false")
}

/// The names of what the request may need.
async fn needed(request: &Request) -> resource::Needed {
    let Some(Payload::Passed(call)) = &request.payload else {
        return resource::in_request(request.doc.body());
    };
    let mut names = resource::in_path(&call.path);
    let kind = call.headers.get(http::header::CONTENT_TYPE);
    let json = kind.is_some_and(|kind| String::from_utf8_lossy(kind.as_bytes()).contains("json"));
    if let Some(PassedBody { spool, length }) = call.body.as_ref().filter(|_| json)
        && length.is_some_and(|length| length <= MOST_SEARCHED)
    {
        let reading = tokio::time::timeout(LONGEST_WAIT, whole(spool));
        if let Ok(Some(body)) = reading.await {
            names.extend(resource::in_body(&body));
        }
    }
    resource::Needed {
        names,
        ..resource::Needed::default()
    }
}

/// All of a small body.
async fn whole(spool: &Spool) -> Option<Vec<u8>> {
    let mut pieces = spool.read(0, MOST_SEARCHED);
    let mut all = Vec::new();
    while let Some(piece) = pieces.next().await {
        let piece: Bytes = piece.ok()?;
        all.extend_from_slice(&piece);
    }
    Some(all)
}

impl RequestContext {
    /// Whether the key that served its session last comes before the others. Where its conversation decides where it
    /// goes, that is so only at the upstream that comes first: else bounds would not hold, and nothing would come home.
    fn may_prefer(&self, key: &KeyId) -> bool {
        let routing = &self.dispatch.routing;
        let first = self.chain.upstreams.first();
        let is_first = first.is_some_and(|first| first.provider == key.provider);
        self.session.is_none() || is_first && !routing.is_keyed(&key.provider)
    }
}

impl Request {
    /// Whether its answer may have sealed content in it.
    pub(super) fn may_be_sealed(&self) -> bool {
        let include = self.doc.raw("include").unwrap_or_default();
        self.operation.events() == EventForm::Numbered && resource::asks_for_sealed(include)
    }

    /// The name under which the key of its session is kept.
    fn session(&self) -> Option<Box<str>> {
        let Some(AffinityChoice::Session(session)) = &self.affinity else {
            return None;
        };
        let client = self.client.as_ref().map_or("", |client| client.name());
        // No name of a resource has a space.
        Some(format!("session {client} {session}").into())
    }
}
