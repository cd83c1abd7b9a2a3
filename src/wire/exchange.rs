//! How one request and its answer travel between a caller and one upstream.
//!
//! Where the upstream takes the operation as the caller's dialect has it, bytes pass as they came, but for the model's
//! name and missing parameters. Otherwise a conversation goes through the neutral form (`wire/ir`), there and back, event
//! by event; an operation that is no conversation cannot be served there.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Map, Value};

use super::dialect::{CallerDialect, EventDecoder, EventEncoder};
use super::dialects::{self, Dialect};
use super::encoding::whole::readable;
use super::error_body::ErrorBody;
use super::error_doc::{Doc, ErrorField};
use super::inspection::{Inspection, StreamEvent};
use super::ir::{Loss, Losses};
use super::request::RequestDoc;
use super::sse::RawEvent;
use crate::domain::attempt_record::ResponseMeta;
use crate::domain::dialect::Operation;
use crate::domain::error_code;

/// A caller's operation at an upstream that may serve it.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    caller: &'static dyn CallerDialect,
    upstream: Dialect,
    /// What the caller asks for.
    operation: Operation,
    /// What the upstream is asked for.
    own: Operation,
}

/// A call, but for its headers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outgoing {
    /// Where it goes, below the API root.
    pub path: Cow<'static, str>,
    /// The translated body.
    pub body: Bytes,
    /// The parts of the request that the upstream's dialect cannot express.
    pub losses: Losses,
}

impl Exchange {
    /// An operation at an upstream of this dialect; `None` where the upstream has nothing of the kind.
    pub fn new(operation: Operation, upstream: Dialect) -> Option<Self> {
        Self::between(dialects::caller(operation), operation, upstream)
    }

    fn between(
        caller: &'static dyn CallerDialect,
        operation: Operation,
        upstream: Dialect,
    ) -> Option<Self> {
        let own = match upstream.path(operation) {
            Some(_) => operation,
            None => upstream.conversation()?,
        };
        Some(Self {
            caller,
            upstream,
            operation,
            own,
        })
    }

    /// Whether bytes pass as they came.
    pub fn is_identity(&self) -> bool {
        self.own == self.operation
    }

    /// The call for `model`, with `params` filled in where the request does not say.
    ///
    /// # Errors
    /// A request that has no neutral form.
    pub fn outgoing(
        &self,
        doc: &RequestDoc,
        model: &str,
        params: &Map<String, Value>,
    ) -> Result<Outgoing, Loss> {
        let path = self.upstream.call_path(self.own, model, doc.stream());
        if self.is_identity() {
            let body = self.upstream.body(doc, model, params);
            let losses = Losses::new();
            return Ok(Outgoing { path, body, losses });
        }
        let none = || Loss {
            path: String::new(),
            why: "only conversations can be translated",
        };
        let mut request = self
            .caller
            .decode_request(self.operation, doc)
            .ok_or_else(none)??;
        request.model = Some(model.to_owned());
        let (body, losses) = self.upstream.encode_request(request, params);
        Ok(Outgoing { path, body, losses })
    }

    /// Looks at the body of a 2xx, and notes what a good one says of itself.
    pub fn inspect(
        &self,
        headers: &HeaderMap,
        body: &Bytes,
        answered: Option<&mut ResponseMeta>,
    ) -> Inspection {
        self.upstream.inspect(self.own, headers, body, answered)
    }

    /// Looks at one event of a stream.
    pub fn event(&self, event: &RawEvent) -> StreamEvent {
        self.upstream.event(self.own, event)
    }

    /// Adds what an event says of its answer.
    pub fn note(&self, answered: &mut ResponseMeta, event: &RawEvent) {
        self.upstream.note(answered, event);
    }

    /// A whole answer that was found good, as its caller reads it.
    ///
    /// # Errors
    /// An answer that has no neutral form.
    pub fn answer(&self, headers: &mut HeaderMap, body: Bytes) -> Result<Bytes, Loss> {
        if self.is_identity() {
            return Ok(body);
        }
        let body = readable(headers, &body);
        let answer = self.upstream.decode_answer(&body)?;
        headers.remove(header::CONTENT_ENCODING);
        let (body, _) = self.caller.encode_answer(self.operation, answer);
        Ok(body)
    }

    /// An upstream's refusal as its caller reads it: its words in the caller's form.
    pub fn refusal(
        &self,
        status: u16,
        headers: &mut HeaderMap,
        body: Bytes,
        request_id: &str,
    ) -> Bytes {
        if self.is_identity() {
            return body;
        }
        let body = readable(headers, &body);
        let doc = Doc::read(headers, &body);
        headers.remove(header::CONTENT_ENCODING);
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
        self.caller.error(&ErrorBody {
            message: doc.message(),
            kind: error_code::kind_of(status),
            code: doc.first(ErrorField::Code).unwrap_or("upstream_error"),
            param: None,
            request_id,
            attempts: Vec::new(),
            skipped: Vec::new(),
        })
    }

    /// The translation of a streamed answer's events into the caller's; `None` where they pass as they came.
    pub fn translation(&self) -> Option<Translation> {
        (!self.is_identity()).then(|| Translation {
            decoder: self.upstream.event_decoder(),
            encoder: self
                .caller
                .event_encoder(self.operation, self.upstream.id()),
        })
    }
}

/// Turns the events of one streamed answer into those of its caller's dialect.
pub struct Translation {
    decoder: Box<dyn EventDecoder>,
    encoder: Box<dyn EventEncoder>,
}

impl fmt::Debug for Translation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Translation")
    }
}

impl Translation {
    /// What the caller reads in place of this event; `None` for nothing.
    pub fn event(&mut self, event: &RawEvent) -> Option<RawEvent> {
        if event.is_empty() {
            // Comments keep connections open in every dialect.
            return Some(event.clone());
        }
        let items = self.decoder.event(event);
        if items.is_empty() {
            return None;
        }
        let raw = self.encoder.event(items);
        (!raw.is_empty()).then_some(RawEvent { raw })
    }

    /// The parts of the answer so far that the caller's dialect cannot express.
    pub fn losses(&mut self) -> Losses {
        self.encoder.losses()
    }
}

#[cfg(test)]
mod tests;
