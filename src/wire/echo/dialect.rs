//! The echo as an upstream's dialect: OpenAI's form, without a network.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value};

use crate::domain::attempt_record::ResponseMeta;
use crate::domain::dialect::Operation;
use crate::domain::rescue::Prefill;
use crate::domain::secret::ApiKey;
use crate::wire::auth::AuthScheme;
use crate::wire::dialect::{EventDecoder, UpstreamDialect};
use crate::wire::inspection::{Inspection, StreamEvent};
use crate::wire::ir::{ChatAnswer, ChatRequest, Loss, Losses};
use crate::wire::openai::OpenAi;
use crate::wire::sse::RawEvent;

/// Takes requests and gives answers in OpenAI's form, and needs neither an address nor a key.
#[derive(Clone, Copy, Debug)]
pub struct EchoDialect;

impl UpstreamDialect for EchoDialect {
    fn id(&self) -> &'static str {
        "echo"
    }

    fn is_remote(&self) -> bool {
        false
    }

    fn path(&self, operation: Operation) -> Option<&'static str> {
        OpenAi.path(operation)
    }

    fn full_path(&self) -> &'static str {
        OpenAi.full_path()
    }

    fn scheme(&self) -> AuthScheme {
        AuthScheme::None
    }

    fn authenticate(&self, _headers: &mut HeaderMap, _key: &ApiKey) {}

    fn inspect(
        &self,
        operation: Operation,
        headers: &HeaderMap,
        body: &Bytes,
        answered: Option<&mut ResponseMeta>,
    ) -> Inspection {
        OpenAi.inspect(operation, headers, body, answered)
    }

    fn event(&self, operation: Operation, event: &RawEvent) -> StreamEvent {
        OpenAi.event(operation, event)
    }

    fn note(&self, answered: &mut ResponseMeta, event: &RawEvent) {
        OpenAi.note(answered, event);
    }

    fn takes_prefill(&self, model: &str) -> bool {
        OpenAi.takes_prefill(model)
    }

    fn marked(&self, body: Bytes, form: Prefill) -> Bytes {
        OpenAi.marked(body, form)
    }

    fn leaves_plain(&self, params: &Map<String, Value>) -> bool {
        OpenAi.leaves_plain(params)
    }

    fn conversation(&self) -> Option<Operation> {
        OpenAi.conversation()
    }

    fn encode_request(&self, request: ChatRequest, params: &Map<String, Value>) -> (Bytes, Losses) {
        OpenAi.encode_request(request, params)
    }

    fn decode_answer(&self, body: &[u8]) -> Result<ChatAnswer, Loss> {
        OpenAi.decode_answer(body)
    }

    fn event_decoder(&self) -> Box<dyn EventDecoder> {
        OpenAi.event_decoder()
    }

    fn own_event_decoder(&self) -> Box<dyn EventDecoder> {
        OpenAi.own_event_decoder()
    }
}
