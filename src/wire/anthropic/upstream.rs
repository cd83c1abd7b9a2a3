//! Anthropic's API, and everything compatible with it, as an upstream's dialect.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::model::ModelRules;
use super::{Anthropic, inspect, ir, rest};
use crate::domain::attempt_record::ResponseMeta;
use crate::domain::dialect::Operation;
use crate::domain::secret::ApiKey;
use crate::wire::auth::AuthScheme;
use crate::wire::dialect::{EventDecoder, SettledDecoder, UpstreamDialect};
use crate::wire::inspection::{Inspection, StreamEvent};
use crate::wire::ir::{ChatAnswer, ChatRequest, Loss, Losses};
use crate::wire::json;
use crate::wire::request::RequestDoc;
use crate::wire::sse::RawEvent;

/// Which version of the API is spoken; the API asks for it in every request.
const VERSION: HeaderName = HeaderName::from_static("anthropic-version");
const USUAL_VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");

impl UpstreamDialect for Anthropic {
    fn id(&self) -> &'static str {
        super::ID
    }

    fn on_google(&self) -> Option<&'static dyn UpstreamDialect> {
        Some(&super::on_google::ON_GOOGLE)
    }

    fn path(&self, operation: Operation) -> Option<&'static str> {
        let spec = operation.spec();
        (spec.dialect == super::ID).then_some(spec.path)
    }

    fn full_path(&self) -> &'static str {
        Operation::Messages.path()
    }

    fn scheme(&self) -> AuthScheme {
        AuthScheme::XApiKey
    }

    fn authenticate(&self, headers: &mut HeaderMap, key: &ApiKey) {
        self.scheme().put(headers, key);
    }

    fn complete_headers(&self, callers: &HeaderMap, headers: &mut HeaderMap) {
        let version = callers.get(VERSION).cloned().unwrap_or(USUAL_VERSION);
        headers.insert(VERSION, version);
    }

    fn body(
        &self,
        _operation: Operation,
        doc: &RequestDoc,
        model: &str,
        params: &Map<String, Value>,
    ) -> Bytes {
        match ir::without_foreign_thoughts(doc) {
            Some(doc) => doc.rewritten(model, params),
            None => doc.rewritten(model, params),
        }
    }

    fn inspect(
        &self,
        operation: Operation,
        headers: &HeaderMap,
        body: &Bytes,
        answered: Option<&mut ResponseMeta>,
    ) -> Inspection {
        inspect::whole(operation, headers, body, answered)
    }

    fn event(&self, _operation: Operation, event: &RawEvent) -> StreamEvent {
        inspect::event_of(event)
    }

    fn note(&self, answered: &mut ResponseMeta, event: &RawEvent) {
        inspect::note(answered, event);
    }

    fn takes_prefill(&self, model: &str) -> bool {
        ModelRules::of(model).prefill
    }

    fn trims_prefill(&self) -> bool {
        true
    }

    fn leaves_plain(&self, params: &Map<String, Value>) -> bool {
        rest::is_plain(params)
    }

    fn conversation(&self) -> Option<Operation> {
        Some(Operation::Messages)
    }

    fn encode_request(&self, request: ChatRequest, params: &Map<String, Value>) -> (Bytes, Losses) {
        let (body, losses) = ir::encode_request(request, params);
        (Value::Object(body).to_string().into(), losses)
    }

    fn decode_answer(&self, body: &[u8]) -> Result<ChatAnswer, Loss> {
        ir::decode_answer(json::value(body).unwrap_or_default()).map(ir::settled)
    }

    fn event_decoder(&self) -> Box<dyn EventDecoder> {
        let inner = ir::MessageDecoder::default();
        Box::new(SettledDecoder::new(inner, ir::settled_items))
    }

    fn own_event_decoder(&self) -> Box<dyn EventDecoder> {
        Box::new(ir::MessageDecoder::default())
    }

    fn counting(&self) -> Option<Operation> {
        Some(Operation::CountMessageTokens)
    }

    fn encode_count(&self, request: ChatRequest) -> Bytes {
        let (mut body, _) = ir::encode_request(request, &Map::new());
        body.retain(|name, _| COUNTED.contains(&name.as_str()));
        Value::Object(body).to_string().into()
    }

    fn decode_count(&self, body: &[u8]) -> Option<u64> {
        json::value(body)?.get("input_tokens")?.as_u64()
    }
}

/// The fields that a call takes which only counts.
const COUNTED: [&str; 6] = [
    "messages",
    "model",
    "system",
    "thinking",
    "tool_choice",
    "tools",
];
