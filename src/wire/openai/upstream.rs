//! OpenAI's API, and everything compatible with it, as an upstream's dialect.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value};

use super::{OpenAi, answered, embeddings, ir, prefill, response, stream};
use crate::domain::attempt_record::ResponseMeta;
use crate::domain::dialect::Operation;
use crate::domain::rescue::Prefill;
use crate::domain::secret::ApiKey;
use crate::wire::auth::AuthScheme;
use crate::wire::dialect::{Adapter, EventDecoder, UpstreamDialect};
use crate::wire::inspection::{Inspection, StreamEvent};
use crate::wire::ir::{ChatAnswer, ChatRequest, Loss, Losses};
use crate::wire::json;
use crate::wire::sse::RawEvent;

impl UpstreamDialect for OpenAi {
    fn id(&self) -> &'static str {
        super::ID
    }

    /// Nearly everybody speaks it, each failing in words of its own.
    fn maker(&self) -> &'static str {
        ""
    }

    fn path(&self, operation: Operation) -> Option<&'static str> {
        let spec = operation.spec();
        let own = [super::ID, crate::wire::responses::ID];
        own.contains(&spec.dialect).then_some(spec.path)
    }

    fn is_doubtful(&self, operation: Operation) -> bool {
        operation == Operation::Responses
    }

    fn full_path(&self) -> &'static str {
        Operation::Chat.path()
    }

    fn authenticate(&self, headers: &mut HeaderMap, key: &ApiKey) {
        AuthScheme::Bearer.put(headers, key);
    }

    fn inspect(
        &self,
        operation: Operation,
        headers: &HeaderMap,
        body: &Bytes,
        answered: Option<&mut ResponseMeta>,
    ) -> Inspection {
        response::inspect_closer(operation, headers, body, answered)
    }

    fn event(&self, operation: Operation, event: &RawEvent) -> StreamEvent {
        stream::inspect(operation, event)
    }

    fn note(&self, answered: &mut ResponseMeta, event: &RawEvent) {
        answered::note(answered, event);
    }

    fn takes_prefill(&self, _model: &str) -> bool {
        true
    }

    fn marked(&self, body: Bytes, form: Prefill) -> Bytes {
        prefill::marked(&body, form).unwrap_or(body)
    }

    fn leaves_plain(&self, params: &Map<String, Value>) -> bool {
        prefill::leaves_plain(params)
    }

    fn conversation(&self) -> Option<Operation> {
        Some(Operation::Chat)
    }

    fn encode_request(&self, request: ChatRequest, params: &Map<String, Value>) -> (Bytes, Losses) {
        let (mut body, losses) = ir::encode_request(request);
        if let Value::Object(fields) = &mut body {
            for (name, value) in params {
                fields.entry(name).or_insert_with(|| value.clone());
            }
        }
        (body.to_string().into(), losses)
    }

    fn decode_answer(&self, body: &[u8]) -> Result<ChatAnswer, Loss> {
        ir::decode_answer(json::value(body).unwrap_or_default()).map(ir::settled)
    }

    fn event_decoder(&self) -> Box<dyn EventDecoder> {
        Box::new(ir::ChunkDecoder::settling())
    }

    fn own_event_decoder(&self) -> Box<dyn EventDecoder> {
        Box::new(ir::ChunkDecoder::default())
    }

    fn adapter(&self, operation: Operation) -> Option<&'static dyn Adapter> {
        embeddings::adapter(operation)
    }
}
