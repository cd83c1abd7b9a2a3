//! OpenAI's API as a caller's dialect.

use bytes::Bytes;
use serde_json::Value;

use super::{
    OpenAi, completions, error, error_event, ir, models, prefill, replay, stream_options, text_size,
};
use crate::domain::dialect::{EventForm, Operation};
use crate::wire::dialect::{CallerDialect, EventEncoder, IdPrefixes};
use crate::wire::error_body::{ErrorBody, Trouble};
use crate::wire::ir::{ChatAnswer, ChatRequest, Loss, Losses};
use crate::wire::json;
use crate::wire::model_entry::ModelEntry;
use crate::wire::pieces::ReplayOptions;
use crate::wire::progress::Progress;
use crate::wire::request::{RequestDoc, RequestError};
use crate::wire::spelling::Spelling;
use crate::wire::sse::RawEvent;

impl CallerDialect for OpenAi {
    fn id(&self) -> &'static str {
        super::ID
    }

    fn parse(&self, _operation: Operation, body: Bytes) -> Result<RequestDoc, RequestError> {
        RequestDoc::parse(body)
    }

    fn streamed(&self, _operation: Operation, doc: &RequestDoc) -> Option<RequestDoc> {
        let options = br#"{"include_usage":true}"#.to_vec();
        doc.with(&[("stream", b"true".to_vec()), ("stream_options", options)])
    }

    fn asks_for_usage(&self, doc: &RequestDoc) -> bool {
        stream_options::asks_for_usage(doc)
    }

    fn error(&self, error: &ErrorBody<'_>) -> Bytes {
        error::to_bytes(error)
    }

    fn error_event(
        &self,
        operation: Operation,
        trouble: Trouble<'_>,
        request_id: &str,
        so_far: &Progress,
    ) -> Bytes {
        error_event::error_event(operation, trouble, request_id, so_far)
    }

    fn error_event_from_body(
        &self,
        operation: Operation,
        body: &[u8],
        kind: &str,
        request_id: &str,
        so_far: &Progress,
    ) -> Bytes {
        error_event::error_event_from_body(operation, body, kind, request_id, so_far)
    }

    fn is_understood(&self, operation: Operation, event: &RawEvent) -> bool {
        error_event::is_understood(operation, event)
    }

    fn repeats_progress(&self, operation: Operation) -> bool {
        operation.events() == EventForm::Numbered
    }

    fn may_be_rescued(&self, operation: Operation, doc: &RequestDoc) -> bool {
        match operation {
            Operation::Chat => prefill::may_be_rescued(doc),
            Operation::Completions => completions::may_be_rescued(doc),
            _ => false,
        }
    }

    fn continued(
        &self,
        operation: Operation,
        doc: &RequestDoc,
        sent: &str,
        spent: u64,
    ) -> Option<RequestDoc> {
        match operation {
            Operation::Chat => prefill::continued(doc, sent, spent),
            Operation::Completions => completions::continued(doc, sent, spent),
            _ => None,
        }
    }

    fn continues_itself(&self, operation: Operation) -> bool {
        operation == Operation::Completions
    }

    fn id_prefixes(&self, operation: Operation) -> IdPrefixes {
        IdPrefixes {
            answer: match operation {
                Operation::Completions => "cmpl-",
                _ => "chatcmpl-",
            },
            call: "call_",
        }
    }

    fn end_mark(&self, operation: Operation) -> Option<Bytes> {
        error_event::end_mark(operation)
    }

    fn text_bytes(&self, data: &[u8]) -> u64 {
        text_size::text_bytes(data)
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

    fn decode_request(
        &self,
        operation: Operation,
        doc: &RequestDoc,
    ) -> Option<Result<ChatRequest, Loss>> {
        let body = || json::value(doc.body()).unwrap_or_default();
        (operation == Operation::Chat).then(|| ir::decode_request(body()).map(ir::settled_request))
    }

    fn encode_answer(
        &self,
        _operation: Operation,
        doc: &RequestDoc,
        answer: ChatAnswer,
    ) -> (Bytes, Losses) {
        let (body, losses) = ir::encode_answer(answer, &ir::CustomTools::of(doc));
        (body.to_string().into(), losses)
    }

    fn event_encoder(
        &self,
        _operation: Operation,
        doc: &RequestDoc,
        origin: &'static str,
    ) -> Box<dyn EventEncoder> {
        match origin {
            super::ID => Box::new(ir::ChunkEncoder::new(origin)),
            _ => {
                let wants_usage = stream_options::asks_for_usage(doc);
                let tools = ir::CustomTools::of(doc);
                Box::new(ir::ForeignChunks::new(wants_usage, tools))
            }
        }
    }

    fn replayed(
        &self,
        operation: Operation,
        answer: Value,
        options: ReplayOptions,
    ) -> Option<Vec<Bytes>> {
        match operation {
            Operation::Chat => replay::chat(answer, options),
            Operation::Completions => replay::completion(answer, options),
            _ => None,
        }
    }
}
