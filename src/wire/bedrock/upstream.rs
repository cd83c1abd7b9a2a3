//! Bedrock's Converse API as an upstream's dialect.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Map, Value};

use super::{Bedrock, ir, look};
use crate::domain::attempt_record::ResponseMeta;
use crate::domain::dialect::Operation;
use crate::domain::secret::ApiKey;
use crate::wire::auth::AuthScheme;
use crate::wire::dialect::{EventDecoder, UpstreamDialect};
use crate::wire::inspection::{Inspection, StreamEvent};
use crate::wire::ir::{ChatAnswer, ChatRequest, Loss, Losses};
use crate::wire::json;
use crate::wire::segment;
use crate::wire::sse::RawEvent;

impl UpstreamDialect for Bedrock {
    fn id(&self) -> &'static str {
        super::ID
    }

    fn path(&self, operation: Operation) -> Option<&'static str> {
        let spec = operation.spec();
        (spec.dialect == super::ID).then_some(spec.path)
    }

    fn full_path(&self) -> &'static str {
        Operation::Converse.path()
    }

    fn call_path(&self, operation: Operation, model: &str, stream: bool) -> Cow<'static, str> {
        let model = segment::escaped(model);
        let method = match operation {
            Operation::CountConverseTokens => "count-tokens",
            _ if stream => "converse-stream",
            _ => "converse",
        };
        format!("/model/{model}/{method}").into()
    }

    fn authenticate(&self, headers: &mut HeaderMap, key: &ApiKey) {
        AuthScheme::Bearer.put(headers, key);
    }

    fn complete_headers(&self, _callers: &HeaderMap, headers: &mut HeaderMap) {
        if headers
            .get(header::ACCEPT)
            .is_some_and(|accept| accept == "text/event-stream")
        {
            let frames = HeaderValue::from_static("application/vnd.amazon.eventstream");
            headers.insert(header::ACCEPT, frames);
        }
    }

    fn inspect(
        &self,
        operation: Operation,
        headers: &HeaderMap,
        body: &Bytes,
        answered: Option<&mut ResponseMeta>,
    ) -> Inspection {
        look::whole(operation, headers, body, answered)
    }

    fn event(&self, _operation: Operation, event: &RawEvent) -> StreamEvent {
        look::event(event)
    }

    fn note(&self, answered: &mut ResponseMeta, event: &RawEvent) {
        look::note(answered, event);
    }

    fn answer_id(&self, headers: &HeaderMap) -> Option<String> {
        look::id_of(headers).map(str::to_owned)
    }

    fn takes_prefill(&self, model: &str) -> bool {
        super::model::ConverseRules::of(model).rules.prefill
    }

    fn trims_prefill(&self) -> bool {
        true
    }

    fn leaves_plain(&self, params: &Map<String, Value>) -> bool {
        !params.contains_key("outputConfig")
    }

    fn conversation(&self) -> Option<Operation> {
        Some(Operation::Converse)
    }

    fn encode_request(&self, request: ChatRequest, params: &Map<String, Value>) -> (Bytes, Losses) {
        let (body, losses) = ir::encode_request(request, params);
        (Value::Object(body).to_string().into(), losses)
    }

    fn decode_answer(&self, body: &[u8]) -> Result<ChatAnswer, Loss> {
        ir::decode_answer(json::value(body).unwrap_or_default())
    }

    fn event_decoder(&self) -> Box<dyn EventDecoder> {
        Box::new(ir::ConverseEvents::default())
    }

    fn counting(&self) -> Option<Operation> {
        Some(Operation::CountConverseTokens)
    }

    fn encode_count(&self, request: ChatRequest) -> Bytes {
        ir::encode_count(request).to_string().into()
    }

    fn decode_count(&self, body: &[u8]) -> Option<u64> {
        look::counted(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_stands_in_the_path() {
        let arn = "arn:aws:bedrock:us-east-1:1:inference-profile/us.x-v1:0";
        for (model, stream, path) in [
            (
                "amazon.nova-pro-v1:0",
                false,
                "/model/amazon.nova-pro-v1%3A0/converse",
            ),
            ("m", true, "/model/m/converse-stream"),
            (
                arn,
                false,
                "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.x-v1%3A0/converse",
            ),
            ("../x?y#z", false, "/model/..%2Fx%3Fy%23z/converse"),
        ] {
            assert_eq!(Bedrock.call_path(Operation::Converse, model, stream), path);
        }
        let count = Bedrock.call_path(Operation::CountConverseTokens, "m", true);
        assert_eq!(count, "/model/m/count-tokens");
    }
}
