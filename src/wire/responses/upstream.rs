//! The Responses API as an upstream's dialect.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value};

use super::{Responses, ir};
use crate::domain::attempt_record::ResponseMeta;
use crate::domain::dialect::Operation;
use crate::domain::rescue::Prefill;
use crate::domain::secret::ApiKey;
use crate::wire::dialect::{EventDecoder, UpstreamDialect};
use crate::wire::inspection::{Inspection, StreamEvent};
use crate::wire::ir::{ChatAnswer, ChatRequest, Loss, Losses};
use crate::wire::json;
use crate::wire::openai::{OpenAi, response};
use crate::wire::request::RequestDoc;
use crate::wire::sse::RawEvent;

/// The fields that a call takes which only counts.
const COUNTED: [&str; 9] = [
    "input",
    "instructions",
    "model",
    "parallel_tool_calls",
    "reasoning",
    "text",
    "tool_choice",
    "tools",
    "truncation",
];

impl UpstreamDialect for Responses {
    fn id(&self) -> &'static str {
        super::ID
    }

    fn path(&self, operation: Operation) -> Option<&'static str> {
        (operation.spec().dialect == super::ID).then(|| operation.path())
    }

    fn full_path(&self) -> &'static str {
        Operation::Responses.path()
    }

    fn authenticate(&self, headers: &mut HeaderMap, key: &ApiKey) {
        OpenAi.authenticate(headers, key);
    }

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

    fn may_be_rescued(&self, _operation: Operation, _doc: &RequestDoc) -> bool {
        false
    }

    fn continued(
        &self,
        _doc: &RequestDoc,
        _model: &str,
        _sent: &str,
        _spent: u64,
        _form: Prefill,
    ) -> Option<RequestDoc> {
        None
    }

    fn conversation(&self) -> Option<Operation> {
        Some(Operation::Responses)
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
        ir::decode_answer(json::value(body).unwrap_or_default())
    }

    fn counting(&self) -> Option<Operation> {
        Some(Operation::CountResponseTokens)
    }

    fn encode_count(&self, request: ChatRequest) -> Bytes {
        let (mut body, _) = ir::encode_request(request);
        if let Value::Object(fields) = &mut body {
            fields.retain(|name, _| COUNTED.contains(&name.as_str()));
        }
        body.to_string().into()
    }

    fn decode_count(&self, body: &[u8]) -> Option<u64> {
        response::counted(body)
    }

    fn event_decoder(&self) -> Box<dyn EventDecoder> {
        Box::new(ir::ResponseEvents::default())
    }
}
