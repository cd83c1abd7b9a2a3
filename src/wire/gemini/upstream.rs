//! Google's Gemini API as an upstream's dialect.

use std::borrow::Cow;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value, json};

use super::names::bare_model;
use super::{Gemini, ir, look, rest, upstream_body};
use crate::domain::attempt_record::ResponseMeta;
use crate::domain::dialect::Operation;
use crate::domain::secret::ApiKey;
use crate::wire::auth::AuthScheme;
use crate::wire::dialect::{Adapter, EventDecoder, SettledDecoder, UpstreamDialect};
use crate::wire::inspection::{Inspection, StreamEvent};
use crate::wire::ir::{ChatAnswer, ChatRequest, Loss, Losses};
use crate::wire::json::value;
use crate::wire::request::RequestDoc;
use crate::wire::sse::RawEvent;

impl UpstreamDialect for Gemini {
    fn id(&self) -> &'static str {
        super::ID
    }

    fn maker(&self) -> &'static str {
        "google"
    }

    fn on_google(&self) -> Option<&'static dyn UpstreamDialect> {
        Some(&super::on_google::ON_GOOGLE)
    }

    fn path(&self, operation: Operation) -> Option<&'static str> {
        let spec = operation.spec();
        (spec.dialect == super::ID).then_some(spec.path)
    }

    fn full_path(&self) -> &'static str {
        Operation::GenerateContent.path()
    }

    fn call_path(&self, operation: Operation, model: &str, stream: bool) -> Cow<'static, str> {
        let method = operation.method().unwrap_or_default();
        let model = resource(model);
        match stream {
            // Without `alt` a stream is one long list.
            true => format!("/{model}:streamGenerateContent?alt=sse").into(),
            false => format!("/{model}:{method}").into(),
        }
    }

    fn scheme(&self) -> AuthScheme {
        AuthScheme::XGoogApiKey
    }

    fn authenticate(&self, headers: &mut HeaderMap, key: &ApiKey) {
        self.scheme().put(headers, key);
    }

    fn body(
        &self,
        _operation: Operation,
        doc: &RequestDoc,
        model: &str,
        params: &Map<String, Value>,
    ) -> Bytes {
        upstream_body::of(doc, model, params)
    }

    fn inspect(
        &self,
        operation: Operation,
        headers: &HeaderMap,
        body: &Bytes,
        answered: Option<&mut ResponseMeta>,
    ) -> Inspection {
        look::inspect(operation, headers, body, answered)
    }

    fn event(&self, _operation: Operation, event: &RawEvent) -> StreamEvent {
        look::event(event)
    }

    fn note(&self, answered: &mut ResponseMeta, event: &RawEvent) {
        look::note(answered, event);
    }

    fn takes_prefill(&self, _model: &str) -> bool {
        true
    }

    fn leaves_plain(&self, params: &Map<String, Value>) -> bool {
        rest::is_plain(params)
    }

    fn conversation(&self) -> Option<Operation> {
        Some(Operation::GenerateContent)
    }

    fn encode_request(&self, request: ChatRequest, params: &Map<String, Value>) -> (Bytes, Losses) {
        let (body, losses) = ir::encode_request(request);
        let Value::Object(mut fields) = body else {
            return (Bytes::new(), losses);
        };
        upstream_body::fill(&mut fields, params);
        (Value::Object(fields).to_string().into(), losses)
    }

    fn decode_answer(&self, body: &[u8]) -> Result<ChatAnswer, Loss> {
        ir::decode_answer(body, value(body).unwrap_or_default()).map(ir::settled)
    }

    fn event_decoder(&self) -> Box<dyn EventDecoder> {
        let inner = ir::ContentDecoder::default();
        Box::new(SettledDecoder::new(inner, ir::settled_items))
    }

    fn own_event_decoder(&self) -> Box<dyn EventDecoder> {
        Box::new(ir::ContentDecoder::default())
    }

    fn counting(&self) -> Option<Operation> {
        Some(Operation::CountTokens)
    }

    /// With the whole request: of bare contents neither instructions nor tools are counted.
    fn encode_count(&self, request: ChatRequest) -> Bytes {
        let model = request.model.as_deref().map(bare_model);
        let model = format!("models/{}", model.unwrap_or_default());
        let (mut body, _) = ir::encode_request(request);
        if let Value::Object(fields) = &mut body {
            fields.insert("model".to_owned(), model.into());
        }
        json!({"generateContentRequest": body}).to_string().into()
    }

    fn decode_count(&self, body: &[u8]) -> Option<u64> {
        look::total_tokens(body)
    }

    fn adapter(&self, operation: Operation) -> Option<&'static dyn Adapter> {
        (operation == Operation::Embeddings).then_some(&super::embeddings::Embeddings)
    }
}

/// A model in a path: with the collection that it is in, and nothing that could lead elsewhere.
fn resource(model: &str) -> String {
    const TUNED: &str = "tunedModels/";
    let (collection, name) = match model.strip_prefix(TUNED) {
        Some(name) => (TUNED, name),
        None => ("models/", bare_model(model)),
    };
    let mut path = collection.to_owned();
    for byte in name.bytes() {
        match byte {
            b'-' | b'_' | b'.' | b'~' | b':' | b'@' => path.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => path.push(char::from(byte)),
            byte => {
                path.push('%');
                path.push_str(&data_encoding::HEXUPPER.encode(&[byte]));
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_stands_in_the_path() {
        for (model, stream, path) in [
            (
                "gemini-3.5-flash",
                false,
                "/models/gemini-3.5-flash:generateContent",
            ),
            ("models/m", false, "/models/m:generateContent"),
            ("m", true, "/models/m:streamGenerateContent?alt=sse"),
            ("tunedModels/a-1", false, "/tunedModels/a-1:generateContent"),
            (
                "../../x?y#z",
                false,
                "/models/..%2F..%2Fx%3Fy%23z:generateContent",
            ),
        ] {
            assert_eq!(
                Gemini.call_path(Operation::GenerateContent, model, stream),
                path
            );
        }
        let path = Gemini.call_path(Operation::CountTokens, "m", false);
        assert_eq!(path, "/models/m:countTokens");
    }

    #[test]
    fn the_key_stands_in_googles_header() {
        let mut headers = HeaderMap::new();
        Gemini.authenticate(&mut headers, &ApiKey::new("k"));
        assert_eq!(headers["x-goog-api-key"], "k");
        assert!(headers["x-goog-api-key"].is_sensitive() && headers.len() == 1);
    }
}
