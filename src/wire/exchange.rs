//! How one request and its answer travel between a caller and one upstream.
//!
//! Where the upstream takes the operation as the caller's dialect has it, bytes pass as they came, but for the model's
//! name and missing parameters.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value};

use super::dialects::Dialect;
use super::inspection::{Inspection, StreamEvent};
use super::request::RequestDoc;
use super::sse::RawEvent;
use crate::domain::dialect::Operation;
use crate::domain::record::Answered;

/// A caller's operation at an upstream that serves it.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    upstream: Dialect,
    operation: Operation,
    path: &'static str,
}

impl Exchange {
    /// An operation at an upstream of this dialect; `None` where the upstream has nothing of the kind.
    pub fn new(operation: Operation, upstream: Dialect) -> Option<Self> {
        let path = upstream.path(operation)?;
        Some(Self {
            upstream,
            operation,
            path,
        })
    }

    /// The path of the call, below the API root.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// The body of a call for `model`, with `params` filled in where the request does not say.
    pub fn body(&self, doc: &RequestDoc, model: &str, params: &Map<String, Value>) -> Bytes {
        self.upstream.body(doc, model, params)
    }

    /// Looks at the body of a 2xx, and notes what a good one says of itself.
    pub fn inspect(
        &self,
        headers: &HeaderMap,
        body: &Bytes,
        answered: Option<&mut Answered>,
    ) -> Inspection {
        self.upstream
            .inspect(self.operation, headers, body, answered)
    }

    /// Looks at one event of a stream.
    pub fn event(&self, event: &RawEvent) -> StreamEvent {
        self.upstream.event(self.operation, event)
    }

    /// Adds what an event says of its answer.
    pub fn note(&self, answered: &mut Answered, event: &RawEvent) {
        self.upstream.note(answered, event);
    }
}
