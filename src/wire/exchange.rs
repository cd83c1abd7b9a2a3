//! How one request and its answer travel between a caller and one upstream.
//!
//! Where the upstream takes the operation as the caller's dialect has it, bytes pass as they came, but for the model's
//! name and missing parameters. Otherwise a conversation goes through the neutral form (`wire/ir`), there and back, event
//! by event; an operation that is no conversation cannot be served there.

mod events;
mod given_ids;
mod head;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Map, Value};

use super::dialect::{CallerDialect, EventDecoder, EventEncoder};
use super::dialects::{self, Dialect};
use super::encoding::whole::readable;
use super::error_body::ErrorBody;
use super::error_doc::{Doc, ErrorField};
use super::inspection::{Inspection, StreamEvent};
use super::ir::{Loss, Losses, MediaSource, MessageShape, StreamItem};
use super::item_splice::ItemSplice;
use super::request::RequestDoc;
use super::seals::Seals;
use super::spelling;
use super::sse::RawEvent;
use super::transcript::Transcript;
use super::unfit::Unfit;
use crate::domain::attempt_record::ResponseMeta;
use crate::domain::dialect::{EventForm, Operation};
use crate::domain::dropped::Dropped;
use crate::domain::error_code;

pub use self::events::OutgoingEvents;
use self::given_ids::GivenIds;
pub use self::head::AttemptStamp;
use self::head::{AnswerHead, AskedCalls};

/// What is named of a request whose sealed content was left out.
const SEALED: &str = "input.encrypted_content";

/// A caller's operation at an upstream that may serve it.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    caller: &'static dyn CallerDialect,
    upstream: Dialect,
    /// What the caller asks for.
    operation: Operation,
    /// What the upstream is asked for.
    own: Operation,
    /// Custom tools go as functions.
    plain_tools: bool,
    /// What is sealed stays out.
    unsealed: bool,
}

/// A call, but for its headers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outgoing {
    /// Where it goes, below the API root.
    pub path: Cow<'static, str>,
    /// The translated body.
    pub body: Bytes,
    /// The parts of the request that the upstream's dialect cannot express, in the caller's words.
    pub dropped: Dropped,
    /// Whether it was translated and has custom tools in it, which not every upstream knows.
    pub has_custom_tools: bool,
}

impl Exchange {
    /// An operation at an upstream of this dialect; `None` where the upstream has nothing of the kind.
    pub fn new(operation: Operation, upstream: Dialect) -> Option<Self> {
        Self::between(dialects::caller(operation), operation, upstream)
    }

    /// The same at an upstream that does not have the operation although its dialect does: translated.
    pub fn translated(operation: Operation, upstream: Dialect) -> Option<Self> {
        let own = upstream.conversation().filter(|own| *own != operation)?;
        Some(Self {
            own,
            ..Self::new(operation, upstream)?
        })
    }

    fn between(
        caller: &'static dyn CallerDialect,
        operation: Operation,
        upstream: Dialect,
    ) -> Option<Self> {
        let own = match upstream.path(operation) {
            Some(_) => operation,
            None if operation.counts() => upstream.counting()?,
            None => match upstream.adapter(operation) {
                Some(adapter) => adapter.own(),
                None => upstream.conversation()?,
            },
        };
        Some(Self {
            caller,
            upstream,
            operation,
            own,
            plain_tools: false,
            unsealed: false,
        })
    }

    /// The same for an upstream that knows no tools but functions.
    #[must_use]
    pub fn with_plain_tools(self) -> Self {
        Self {
            plain_tools: true,
            ..self
        }
    }

    /// The same for an upstream that cannot open what is sealed in the request.
    #[must_use]
    pub fn without_seals(self) -> Self {
        Self {
            unsealed: true,
            ..self
        }
    }

    /// An operation whose bytes are not looked at here: nothing of them is translated.
    pub fn of_bytes(operation: Operation, upstream: Dialect) -> Self {
        Self {
            caller: dialects::caller(operation),
            upstream,
            operation,
            own: operation,
            plain_tools: false,
            unsealed: false,
        }
    }

    /// Whether bytes pass as they came.
    pub fn is_identity(&self) -> bool {
        self.own == self.operation
    }

    /// Whether nothing in the upstream's streams marks their end.
    pub fn ends_silently(&self) -> bool {
        self.own.events() == EventForm::Answers
    }

    /// Whether the upstream's streams are lines and no events.
    pub fn streams_lines(&self) -> bool {
        self.upstream.streams_lines()
    }

    /// The call for `model`, with `params` filled in where the request does not say.
    ///
    /// # Errors
    /// A request that cannot be said to the upstream; with `rejects` also one of which something would be left out.
    pub fn outgoing(
        &self,
        doc: &RequestDoc,
        model: &str,
        params: &Map<String, Value>,
        rejects: bool,
    ) -> Result<Outgoing, Unfit> {
        let path = self.upstream.call_path(self.own, model, doc.stream());
        if self.is_identity() {
            let mut losses = self.upstream.left_out(self.own, doc);
            let seals = match self.unsealed {
                true => Seals::All,
                false => Seals::Carried,
            };
            let open = self.caller.without_seals(self.operation, doc, seals);
            if open.is_some() {
                losses.push(Loss::new(SEALED, "nobody there can open it"));
            }
            let doc = open.as_ref().unwrap_or(doc);
            let body = self.upstream.body(self.own, doc, model, params);
            return self.fit(path, body, false, &losses, rejects);
        }
        if let Some(adapter) = self.upstream.adapter(self.operation) {
            let made = adapter.request(doc, model, params);
            let (body, losses) = made.map_err(Unfit::Unreadable)?;
            return self.fit(path, body, false, &losses, rejects);
        }
        let request = self.caller.decode_request(self.operation, doc);
        let request = request.ok_or(Unfit::NoSuchOperation)?;
        if let Some(field) = self.caller.held_state(self.operation, doc) {
            return Err(Unfit::Elsewhere(field));
        }
        let mut request = request.map_err(Unfit::Unreadable)?;
        request.model = Some(model.to_owned());
        request.tell_calls_apart();
        if self.operation.counts() {
            let body = self.upstream.encode_count(request);
            return self.fit(path, body, false, &Losses::new(), rejects);
        }
        if self.plain_tools {
            request.make_tools_plain();
        }
        let has_custom_tools = request.has_custom_tools();
        request.drop_placeholder_signatures();
        let shape = MessageShape::of(&request);
        let sealed = self.unsealed && request.drop_sealed();
        let (body, mut losses) = self.upstream.encode_request(request, params);
        if sealed {
            losses.push(Loss::new(SEALED, "nobody there can open it"));
        }
        self.sayable(&shape, &losses)?;
        self.fit(path, body, has_custom_tools, &losses, rejects)
    }

    /// Whether a request can do without what has no place in it. A file that only its provider has is what the request is
    /// about, and a message of the user of which nothing is left asks for nothing.
    fn sayable(&self, shape: &MessageShape, losses: &Losses) -> Result<(), Unfit> {
        let spelling = self.caller.spelling();
        let words = losses
            .iter()
            .filter(|loss| loss.part)
            .filter_map(|loss| loss.path.rsplit('.').next());
        let [held, _] = MediaSource::HELD;
        if words
            .into_iter()
            .any(|word| MediaSource::HELD.contains(&word))
        {
            let own = spelling::of_item(held, spelling);
            return Err(Unfit::Elsewhere(own.unwrap_or(held)));
        }
        if shape.is_emptied(losses) {
            let mut dropped = Dropped::default();
            spelling::note_request(&mut dropped, losses, spelling);
            return Err(Unfit::NothingLeft(dropped));
        }
        Ok(())
    }

    /// A call of which this was left out; with `rejects` only if that is nothing.
    fn fit(
        &self,
        path: Cow<'static, str>,
        body: Bytes,
        has_custom_tools: bool,
        losses: &Losses,
        rejects: bool,
    ) -> Result<Outgoing, Unfit> {
        let mut dropped = Dropped::default();
        spelling::note_request(&mut dropped, losses, self.caller.spelling());
        match rejects && !dropped.is_empty() {
            true => Err(Unfit::NoPlace(dropped)),
            false => Ok(Outgoing {
                path,
                body,
                dropped,
                has_custom_tools,
            }),
        }
    }

    /// Adds what the caller's headers say that has its place in the upstream's body.
    pub fn complete(&self, call: &mut Outgoing, model: &str, callers: &HeaderMap) {
        if self.is_identity() || self.operation.counts() {
            return;
        }
        let mut losses = Losses::new();
        let body = std::mem::take(&mut call.body);
        call.body = self
            .upstream
            .complete_body(model, callers, body, &mut losses);
        spelling::note_request(&mut call.dropped, &losses, self.caller.spelling());
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

    /// A whole answer that was found good, as its caller reads it. What of it has no place there is added to `dropped`.
    /// `stamp`: of what ids are made that it lacks.
    ///
    /// # Errors
    /// An answer that has no neutral form.
    pub fn answer(
        &self,
        doc: &RequestDoc,
        headers: &mut HeaderMap,
        body: Bytes,
        stamp: AttemptStamp,
        dropped: &mut Dropped,
    ) -> Result<Bytes, Loss> {
        if self.is_identity() {
            return Ok(body);
        }
        let body = readable(headers, &body);
        if let Some(adapter) = self.upstream.adapter(self.operation) {
            let body = adapter.answer(doc, &body)?;
            headers.remove(header::CONTENT_ENCODING);
            return Ok(body);
        }
        if self.operation.counts() {
            let none = || Loss::new("", "the answer has no count of tokens");
            let tokens = self.upstream.decode_count(&body).ok_or_else(none)?;
            headers.remove(header::CONTENT_ENCODING);
            return Ok(self.caller.encode_count(self.operation, tokens));
        }
        let mut answer = self.upstream.decode_answer(&body)?;
        self.head(doc, headers, stamp).whole(&mut answer);
        answer.join_texts();
        headers.remove(header::CONTENT_ENCODING);
        let (body, losses) = self.caller.encode_answer(self.operation, doc, answer);
        spelling::note_answer(dropped, &losses);
        Ok(body)
    }

    /// An upstream's refusal as its caller reads it: its words in the caller's form. `retry_after`: when it says that asking
    /// again may help.
    pub fn refusal(
        &self,
        status: u16,
        headers: &mut HeaderMap,
        body: Bytes,
        retry_after: Option<Duration>,
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
            status,
            retry_after: retry_after.filter(|_| status == 429 || status >= 500),
            kind: error_code::kind_of(status),
            code: doc.first(ErrorField::Code).unwrap_or("upstream_error"),
            param: None,
            request_id,
            attempts: Vec::new(),
            skipped: Vec::new(),
        })
    }

    /// The translation of the events of a streamed answer to the request `doc`, which came with these headers, into the
    /// caller's; `None` where they pass as they came. `stamp`: of what ids are made that the answer lacks.
    pub fn translation(
        &self,
        doc: &RequestDoc,
        headers: &HeaderMap,
        stamp: AttemptStamp,
    ) -> Option<Translation> {
        (!self.is_identity()).then(|| Translation {
            head: Some(self.head(doc, headers, stamp)),
            decoder: self.upstream.event_decoder(),
            encoder: self
                .caller
                .event_encoder(self.operation, doc, self.upstream.id()),
            splice: None,
            diverged: false,
        })
    }

    fn head(&self, doc: &RequestDoc, headers: &HeaderMap, stamp: AttemptStamp) -> AnswerHead {
        AnswerHead::new(
            self.upstream.answer_id(headers),
            doc.model().map(Cow::into_owned),
            self.caller.id_prefixes(self.operation),
            stamp,
            AskedCalls {
                caller: self.caller,
                given: GivenIds::of(doc.body()),
            },
        )
    }

    /// The translation of the events of an answer that goes on behind what was `sent` of another one; `None` where chunks
    /// stand by themselves. `stamp`: of what the ids of calls are made.
    pub fn resumed(
        &self,
        doc: &RequestDoc,
        sent: &Transcript,
        splice: ItemSplice,
        stamp: AttemptStamp,
    ) -> Option<Translation> {
        let own = dialects::upstream(self.caller.id()).filter(|_| self.is_identity());
        let (decoder, origin) = match own {
            Some(own) => (own.own_event_decoder(), own.id()),
            None => (self.upstream.event_decoder(), self.upstream.id()),
        };
        let head = || self.head(doc, &HeaderMap::new(), stamp).behind();
        Some(Translation {
            head: own.is_none().then(head),
            decoder,
            encoder: sent.resumed(doc, origin)?,
            splice: Some(splice),
            diverged: false,
        })
    }
}

/// Turns the events of one streamed answer into those of its caller's dialect.
pub struct Translation {
    /// What the answer gets that it does not tell; `None` where it goes on in its own dialect.
    head: Option<AnswerHead>,
    decoder: Box<dyn EventDecoder>,
    encoder: Box<dyn EventEncoder>,
    /// Where it goes on with another answer.
    splice: Option<ItemSplice>,
    diverged: bool,
}

impl fmt::Debug for Translation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Translation")
    }
}

impl Translation {
    /// What the caller reads in place of this event.
    pub fn event(&mut self, event: &RawEvent) -> OutgoingEvents {
        if event.is_empty() {
            // Comments keep connections open in every dialect.
            return OutgoingEvents::One(Some(event.clone()));
        }
        let mut items = self.decoder.event(event);
        if items.is_empty() {
            return OutgoingEvents::One(None);
        }
        if let Some(head) = &mut self.head {
            head.stream(&mut items);
        }
        self.written(items)
    }

    /// What the caller reads where the stream ended without its end mark and the answer is whole all the same.
    pub fn end(&mut self) -> OutgoingEvents {
        let mut items = vec![StreamItem::End];
        if let Some(head) = &mut self.head {
            head.stream(&mut items);
        }
        self.written(items)
    }

    /// Whether it was to go on with another answer and takes another way: nothing more of it goes out.
    pub fn is_diverged(&self) -> bool {
        self.diverged
    }

    fn written(&mut self, mut items: Vec<StreamItem>) -> OutgoingEvents {
        if let Some(splice) = &mut self.splice {
            match splice.items(items).filter(|_| !self.diverged) {
                Some(new) if !new.is_empty() => items = new,
                Some(_) => return OutgoingEvents::One(None),
                None => {
                    self.diverged = true;
                    return OutgoingEvents::One(None);
                }
            }
        }
        OutgoingEvents::several(self.encoder.event(items))
    }

    /// Adds what the upstream said and the caller's dialect cannot say, since this was last asked.
    pub fn note_losses(&mut self, dropped: &mut Dropped) {
        spelling::note_answer(dropped, &self.encoder.losses());
    }
}

#[cfg(test)]
mod tests;
