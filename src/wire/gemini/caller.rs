//! Google's Gemini API as a caller's dialect.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

use super::tool_names::GeminiToolNames;
use super::{Gemini, error, ir, look, models, replay, rest};
use crate::domain::dialect::Operation;
use crate::wire::dialect::{CallerDialect, EventEncoder, SentEvents};
use crate::wire::error_body::{ErrorBody, Trouble};
use crate::wire::ir::{ChatAnswer, ChatRequest, Loss, Losses};
use crate::wire::json;
use crate::wire::model_entry::ModelEntry;
use crate::wire::overlong::Overlong;
use crate::wire::pieces::ReplayOptions;
use crate::wire::progress::Progress;
use crate::wire::request::{RequestDoc, RequestError};
use crate::wire::spelling::Spelling;
use crate::wire::sse::RawEvent;

impl CallerDialect for Gemini {
    fn id(&self) -> &'static str {
        super::ID
    }

    /// By the version that nobody else has, or by what Google's SDKs call themselves: the newest ones ask below `/v1`.
    fn is_spoken(&self, path: &str, headers: &HeaderMap) -> bool {
        path.starts_with("/v1beta/") || headers.contains_key("x-goog-api-client")
    }

    fn parse(&self, _operation: Operation, body: Bytes) -> Result<RequestDoc, RequestError> {
        RequestDoc::parse(body)
    }

    /// All of its streams end with them.
    fn streamed(&self, _operation: Operation, doc: &RequestDoc) -> Option<RequestDoc> {
        let model = doc.model()?.into_owned();
        doc.clone().routed(&model, true).ok()
    }

    fn asks_for_usage(&self, doc: &RequestDoc) -> bool {
        doc.stream()
    }

    fn error(&self, error: &ErrorBody<'_>) -> Bytes {
        error::to_bytes(error)
    }

    fn error_event(
        &self,
        _operation: Operation,
        trouble: Trouble<'_>,
        request_id: &str,
        _so_far: &Progress,
    ) -> Bytes {
        error::event(trouble, request_id)
    }

    fn error_event_from_body(
        &self,
        _operation: Operation,
        body: &[u8],
        kind: &str,
        request_id: &str,
        _so_far: &Progress,
    ) -> Bytes {
        error::event_from_body(body, kind, request_id)
    }

    /// Never: an error as the data of an event is not seen by Google's own client.
    fn is_understood(&self, _operation: Operation, _event: &RawEvent) -> bool {
        false
    }

    fn repeats_progress(&self, _operation: Operation) -> bool {
        false
    }

    fn may_be_rescued(&self, operation: Operation, doc: &RequestDoc) -> bool {
        operation == Operation::GenerateContent && rest::may_be_rescued(doc)
    }

    fn continued(
        &self,
        _operation: Operation,
        doc: &RequestDoc,
        sent: &str,
        spent: u64,
    ) -> Option<RequestDoc> {
        rest::continued(doc, sent, spent)
    }

    fn sent_events(&self) -> Option<Box<dyn SentEvents>> {
        Some(Box::<ir::SentContent>::default())
    }

    fn too_long(&self, size: Overlong) -> String {
        size.in_googles_words()
    }

    fn end_mark(&self, _operation: Operation) -> Option<Bytes> {
        None
    }

    fn text_bytes(&self, data: &[u8]) -> u64 {
        look::text_bytes(data)
    }

    fn models(&self, entries: &[ModelEntry]) -> Bytes {
        models::list(entries)
    }

    fn model(&self, entry: &ModelEntry) -> Bytes {
        models::single(entry)
    }

    fn spelling(&self) -> Spelling {
        ir::SPELLING
    }

    /// A part of the prompt that only Google has.
    fn held_state(&self, _operation: Operation, doc: &RequestDoc) -> Option<&'static str> {
        let mut names = ["cachedContent", "cached_content"].into_iter();
        let held = names.any(|name| doc.raw(name).is_some_and(|raw| raw.starts_with(b"\"")));
        held.then_some("cachedContent")
    }

    fn decode_request(
        &self,
        operation: Operation,
        doc: &RequestDoc,
    ) -> Option<Result<ChatRequest, Loss>> {
        let is_conversation = matches!(
            operation,
            Operation::GenerateContent | Operation::CountTokens
        );
        is_conversation.then(|| ir::decode_call(doc))
    }

    fn encode_answer(
        &self,
        _operation: Operation,
        doc: &RequestDoc,
        answer: ChatAnswer,
    ) -> (Bytes, Losses) {
        let (body, losses) = ir::encode_answer(answer, &names(doc));
        (body.to_string().into(), losses)
    }

    fn event_encoder(
        &self,
        _operation: Operation,
        doc: &RequestDoc,
        origin: &'static str,
    ) -> Box<dyn EventEncoder> {
        Box::new(ir::ContentEncoder::new(names(doc), origin))
    }

    fn encode_count(&self, _operation: Operation, tokens: u64) -> Bytes {
        serde_json::json!({"totalTokens": tokens})
            .to_string()
            .into()
    }

    fn replayed(
        &self,
        operation: Operation,
        answer: Value,
        options: ReplayOptions,
    ) -> Option<Vec<Bytes>> {
        match operation {
            Operation::GenerateContent => replay::content(answer, options),
            _ => None,
        }
    }
}

/// The names of the request's tools.
fn names(doc: &RequestDoc) -> GeminiToolNames {
    let tools = doc.raw("tools").and_then(json::value).unwrap_or_default();
    ir::tool_names(&tools)
}
