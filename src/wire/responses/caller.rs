//! The Responses API as a caller's dialect.

use bytes::Bytes;
use serde_json::Value;

use super::{Responses, ir, replay, rest};
use crate::domain::dialect::Operation;
use crate::wire::dialect::{CallerDialect, EventEncoder, IdPrefixes, SentEvents};
use crate::wire::error_body::{ErrorBody, Trouble};
use crate::wire::ir::{ChatAnswer, ChatRequest, Loss, Losses};
use crate::wire::json;
use crate::wire::model_entry::ModelEntry;
use crate::wire::openai::OpenAi;
use crate::wire::pieces::ReplayOptions;
use crate::wire::progress::Progress;
use crate::wire::request::{RequestDoc, RequestError};
use crate::wire::seals::{self, Seals};
use crate::wire::spelling::Spelling;
use crate::wire::sse::RawEvent;

/// Fields that refer to what a provider keeps.
const STATE: [&str; 3] = ["previous_response_id", "conversation", "prompt"];

// Errors, lists of models and the end of streams are those of OpenAI's other routes.
impl CallerDialect for Responses {
    fn id(&self) -> &'static str {
        super::ID
    }

    fn parse(&self, _operation: Operation, body: Bytes) -> Result<RequestDoc, RequestError> {
        RequestDoc::parse(body)
    }

    fn asks_for_usage(&self, _doc: &RequestDoc) -> bool {
        false
    }

    fn error(&self, error: &ErrorBody<'_>) -> Bytes {
        OpenAi.error(error)
    }

    fn error_event(
        &self,
        operation: Operation,
        trouble: Trouble<'_>,
        request_id: &str,
        so_far: &Progress,
    ) -> Bytes {
        OpenAi.error_event(operation, trouble, request_id, so_far)
    }

    fn error_event_from_body(
        &self,
        operation: Operation,
        body: &[u8],
        kind: &str,
        request_id: &str,
        so_far: &Progress,
    ) -> Bytes {
        OpenAi.error_event_from_body(operation, body, kind, request_id, so_far)
    }

    fn is_understood(&self, operation: Operation, event: &RawEvent) -> bool {
        OpenAi.is_understood(operation, event)
    }

    fn repeats_progress(&self, _operation: Operation) -> bool {
        true
    }

    fn may_be_rescued(&self, operation: Operation, doc: &RequestDoc) -> bool {
        operation == Operation::Responses && rest::may_be_rescued(doc)
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
        Some(Box::<ir::SentResponse>::default())
    }

    fn id_prefixes(&self, _operation: Operation) -> IdPrefixes {
        IdPrefixes {
            answer: "resp_",
            call: "call_",
        }
    }

    fn without_seals(
        &self,
        _operation: Operation,
        doc: &RequestDoc,
        seals: Seals,
    ) -> Option<RequestDoc> {
        let input = seals::without(doc.raw("input")?, seals)?;
        doc.with(&[("input", input)])
    }

    fn end_mark(&self, operation: Operation) -> Option<Bytes> {
        OpenAi.end_mark(operation)
    }

    fn text_bytes(&self, data: &[u8]) -> u64 {
        OpenAi.text_bytes(data)
    }

    fn models(&self, entries: &[ModelEntry]) -> Bytes {
        OpenAi.models(entries)
    }

    fn model(&self, entry: &ModelEntry) -> Bytes {
        OpenAi.model(entry)
    }

    fn spelling(&self) -> Spelling {
        ir::SPELLING
    }

    fn held_state(&self, _operation: Operation, doc: &RequestDoc) -> Option<&'static str> {
        let said = |name: &&str| doc.raw(name).is_some_and(|raw| raw != b"null");
        STATE.into_iter().find(said).or_else(|| {
            let refers = json::any_item(doc.raw("input")?, |item| {
                memchr::memmem::find(item.get().as_bytes(), b"item_reference").is_some()
                    && kind_of(item.get()).as_deref() == Some("item_reference")
            });
            refers.unwrap_or(false).then_some("input")
        })
    }

    fn decode_request(
        &self,
        operation: Operation,
        doc: &RequestDoc,
    ) -> Option<Result<ChatRequest, Loss>> {
        let body = || json::value(doc.body()).unwrap_or_default();
        let own = operation.spec().dialect == super::ID;
        own.then(|| ir::decode_request(body()).map(ir::settled))
    }

    fn encode_answer(
        &self,
        _operation: Operation,
        doc: &RequestDoc,
        answer: ChatAnswer,
    ) -> (Bytes, Losses) {
        let (body, losses) = ir::encode_answer(doc, answer);
        (body.to_string().into(), losses)
    }

    fn encode_count(&self, _operation: Operation, tokens: u64) -> Bytes {
        let counted =
            serde_json::json!({"object": "response.input_tokens", "input_tokens": tokens});
        counted.to_string().into()
    }

    fn event_encoder(
        &self,
        _operation: Operation,
        doc: &RequestDoc,
        origin: &'static str,
    ) -> Box<dyn EventEncoder> {
        Box::new(ir::ResponseEncoder::new(doc, origin))
    }

    fn replayed(
        &self,
        operation: Operation,
        answer: Value,
        options: ReplayOptions,
    ) -> Option<Vec<Bytes>> {
        match operation {
            Operation::Responses => replay::response(&answer, options),
            _ => None,
        }
    }
}

fn kind_of(item: &str) -> Option<String> {
    let item: Value = serde_json::from_str(item).ok()?;
    item.get("type")?.as_str().map(str::to_owned)
}
