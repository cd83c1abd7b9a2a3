//! A dialect as another company's cloud hosts it: the same API, but for where the model and the version stand.

use std::borrow::Cow;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value};

use super::auth::AuthScheme;
use super::dialect::{Adapter, EventDecoder, UpstreamDialect};
use super::inspection::{Inspection, StreamEvent};
use super::ir::{ChatAnswer, ChatRequest, Loss, Losses};
use super::request::RequestDoc;
use super::sse::RawEvent;
use crate::domain::attempt_record::ResponseMeta;
use crate::domain::dialect::Operation;
use crate::domain::rescue::Prefill;
use crate::domain::secret::ApiKey;

/// A dialect at Google's cloud (Vertex AI).
#[derive(Debug)]
pub(in crate::wire) struct OnGoogle {
    /// The dialect itself.
    pub(in crate::wire) inner: &'static dyn UpstreamDialect,
    /// Whose models these are, as paths there have it.
    pub(in crate::wire) publisher: &'static str,
    /// Where a call goes.
    pub(in crate::wire) path: fn(Operation, &str, bool) -> Cow<'static, str>,
    /// The body of a call there, from that of the dialect.
    pub(in crate::wire) fit: fn(Operation, Bytes) -> Bytes,
    /// Takes out of a request what has no place there, and names it.
    pub(in crate::wire) unfit: fn(&mut ChatRequest) -> Losses,
    /// The same of a body that its caller wrote in the dialect's own form.
    pub(in crate::wire) left_out: fn(&RequestDoc) -> Losses,
    /// What has another form there.
    pub(in crate::wire) adapter: fn(Operation) -> Option<&'static dyn Adapter>,
}

impl UpstreamDialect for OnGoogle {
    fn id(&self) -> &'static str {
        self.inner.id()
    }

    fn maker(&self) -> &'static str {
        "vertex"
    }

    fn on_google(&self) -> Option<&'static dyn UpstreamDialect> {
        self.inner.on_google()
    }

    fn publisher(&self) -> Option<&'static str> {
        Some(self.publisher)
    }

    fn path(&self, operation: Operation) -> Option<&'static str> {
        let path = self.inner.path(operation);
        path.filter(|_| (self.adapter)(operation).is_none())
    }

    fn full_path(&self) -> &'static str {
        self.inner.full_path()
    }

    fn call_path(&self, operation: Operation, model: &str, stream: bool) -> Cow<'static, str> {
        (self.path)(operation, model, stream)
    }

    fn authenticate(&self, headers: &mut HeaderMap, key: &ApiKey) {
        AuthScheme::Bearer.put(headers, key);
    }

    fn body(
        &self,
        operation: Operation,
        doc: &RequestDoc,
        model: &str,
        params: &Map<String, Value>,
    ) -> Bytes {
        let body = self.inner.body(operation, doc, model, params);
        (self.fit)(operation, body)
    }

    fn left_out(&self, _operation: Operation, doc: &RequestDoc) -> Losses {
        (self.left_out)(doc)
    }

    fn inspect(
        &self,
        operation: Operation,
        headers: &HeaderMap,
        body: &Bytes,
        answered: Option<&mut ResponseMeta>,
    ) -> Inspection {
        self.inner.inspect(operation, headers, body, answered)
    }

    fn event(&self, operation: Operation, event: &RawEvent) -> StreamEvent {
        self.inner.event(operation, event)
    }

    fn note(&self, answered: &mut ResponseMeta, event: &RawEvent) {
        self.inner.note(answered, event);
    }

    fn trims_prefill(&self) -> bool {
        self.inner.trims_prefill()
    }

    fn takes_prefill(&self, model: &str) -> bool {
        self.inner.takes_prefill(model)
    }

    fn marked(&self, body: Bytes, form: Prefill) -> Bytes {
        self.inner.marked(body, form)
    }

    fn leaves_plain(&self, params: &Map<String, Value>) -> bool {
        self.inner.leaves_plain(params)
    }

    fn conversation(&self) -> Option<Operation> {
        self.inner.conversation()
    }

    fn encode_request(
        &self,
        mut request: ChatRequest,
        params: &Map<String, Value>,
    ) -> (Bytes, Losses) {
        let unfit = (self.unfit)(&mut request);
        let (body, mut losses) = self.inner.encode_request(request, params);
        losses.extend(unfit);
        let operation = self.conversation();
        (
            operation.map_or_else(Bytes::new, |operation| (self.fit)(operation, body)),
            losses,
        )
    }

    fn decode_answer(&self, body: &[u8]) -> Result<ChatAnswer, Loss> {
        self.inner.decode_answer(body)
    }

    fn event_decoder(&self) -> Box<dyn EventDecoder> {
        self.inner.event_decoder()
    }

    fn own_event_decoder(&self) -> Box<dyn EventDecoder> {
        self.inner.own_event_decoder()
    }

    fn counting(&self) -> Option<Operation> {
        self.inner.counting()
    }

    fn encode_count(&self, request: ChatRequest) -> Bytes {
        let body = self.inner.encode_count(request);
        self.counting()
            .map_or_else(Bytes::new, |operation| (self.fit)(operation, body))
    }

    fn decode_count(&self, body: &[u8]) -> Option<u64> {
        self.inner.decode_count(body)
    }

    fn adapter(&self, operation: Operation) -> Option<&'static dyn Adapter> {
        (self.adapter)(operation)
    }
}
