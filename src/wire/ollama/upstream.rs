//! Ollama's own API as an upstream's dialect.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Map, Value};

use super::{Ollama, embeddings, ir, look};
use crate::domain::attempt_record::ResponseMeta;
use crate::domain::dialect::Operation;
use crate::domain::secret::ApiKey;
use crate::wire::auth::AuthScheme;
use crate::wire::dialect::{Adapter, EventDecoder, UpstreamDialect};
use crate::wire::inspection::{Inspection, StreamEvent};
use crate::wire::ir::{ChatAnswer, ChatRequest, Loss, Losses};
use crate::wire::sse::RawEvent;

/// What URLs end with that are the roots of Ollama's OpenAI form, or of the API as its documentation has it. Both stand
/// for the server.
const ROOTS: [&str; 2] = ["/v1", "/api"];

impl UpstreamDialect for Ollama {
    fn id(&self) -> &'static str {
        super::ID
    }

    fn path(&self, operation: Operation) -> Option<&'static str> {
        let spec = operation.spec();
        (spec.dialect == super::ID).then_some(spec.path)
    }

    fn full_path(&self) -> &'static str {
        Operation::OllamaChat.path()
    }

    fn root<'a>(&self, url: &'a str) -> &'a str {
        let mut roots = ROOTS.iter().filter_map(|end| url.strip_suffix(end));
        roots.next().unwrap_or(url).trim_end_matches('/')
    }

    fn streams_lines(&self) -> bool {
        true
    }

    fn authenticate(&self, headers: &mut HeaderMap, key: &ApiKey) {
        AuthScheme::Bearer.put(headers, key);
    }

    fn complete_headers(&self, _callers: &HeaderMap, headers: &mut HeaderMap) {
        if headers
            .get(header::ACCEPT)
            .is_some_and(|accept| accept == "text/event-stream")
        {
            let lines = HeaderValue::from_static("application/x-ndjson");
            headers.insert(header::ACCEPT, lines);
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

    fn takes_prefill(&self, _model: &str) -> bool {
        true
    }

    fn leaves_plain(&self, params: &Map<String, Value>) -> bool {
        !params.contains_key("format") && !params.contains_key("tools")
    }

    fn conversation(&self) -> Option<Operation> {
        Some(Operation::OllamaChat)
    }

    fn encode_request(&self, request: ChatRequest, params: &Map<String, Value>) -> (Bytes, Losses) {
        let (body, losses) = ir::encode_request(request, params);
        (Value::Object(body).to_string().into(), losses)
    }

    fn decode_answer(&self, body: &[u8]) -> Result<ChatAnswer, Loss> {
        ir::decode_answer(body)
    }

    fn event_decoder(&self) -> Box<dyn EventDecoder> {
        Box::new(ir::LineDecoder::default())
    }

    fn adapter(&self, operation: Operation) -> Option<&'static dyn Adapter> {
        (operation == Operation::Embeddings).then_some(&embeddings::OllamaEmbeddings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_of_other_forms_stand_for_the_server() {
        for (url, root) in [
            ("http://localhost:11434", "http://localhost:11434"),
            ("http://localhost:11434/v1", "http://localhost:11434"),
            ("https://ollama.com/api", "https://ollama.com"),
            ("https://h/ollama/v1", "https://h/ollama"),
            ("https://h/ollama", "https://h/ollama"),
        ] {
            assert_eq!(Ollama.root(url), root);
        }
    }
}
