//! Anthropic's API as a caller's dialect.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};

use super::{Anthropic, error, ir, models, replay, rest};
use crate::domain::dialect::Operation;
use crate::wire::dialect::{CallerDialect, EventEncoder, IdPrefixes, SentEvents};
use crate::wire::error_body::{ErrorBody, Trouble};
use crate::wire::ir::{ChatAnswer, ChatRequest, Loss, Losses};
use crate::wire::json;
use crate::wire::model_entry::ModelEntry;
use crate::wire::overlong::Overlong;
use crate::wire::pieces::ReplayOptions;
use crate::wire::progress::Progress;
use crate::wire::request::{RequestDoc, RequestError};
use crate::wire::spelling::Spelling;
use crate::wire::sse::{RawEvent, named_event};

/// What the API calls the fields of the neutral form.
const SPELLING: Spelling = &[
    ("sampling.stop", "stop_sequences"),
    ("sampling.", ""),
    ("max_output_tokens", "max_tokens"),
    ("format", "output_config.format"),
    ("reasoning.effort", "output_config.effort"),
    ("reasoning.budget_tokens", "thinking.budget_tokens"),
    ("reasoning", "thinking"),
    (
        "parallel_tool_calls",
        "tool_choice.disable_parallel_tool_use",
    ),
    ("user", "metadata.user_id"),
    ("*.reasoning", "thinking"),
];

impl CallerDialect for Anthropic {
    fn id(&self) -> &'static str {
        super::ID
    }

    fn is_spoken(&self, _path: &str, headers: &HeaderMap) -> bool {
        headers.contains_key("anthropic-version")
    }

    fn parse(&self, _operation: Operation, body: Bytes) -> Result<RequestDoc, RequestError> {
        RequestDoc::parse(body)
    }

    fn asks_for_usage(&self, _doc: &RequestDoc) -> bool {
        // It is a part of every stream.
        true
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

    fn is_understood(&self, _operation: Operation, _event: &RawEvent) -> bool {
        // An overload sends some of them to sleep for a minute: each error is told in our words.
        false
    }

    fn repeats_progress(&self, _operation: Operation) -> bool {
        false
    }

    fn may_be_rescued(&self, operation: Operation, doc: &RequestDoc) -> bool {
        operation == Operation::Messages && rest::may_be_rescued(doc)
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
        Some(Box::<ir::SentMessage>::default())
    }

    fn id_prefixes(&self, _operation: Operation) -> IdPrefixes {
        IdPrefixes {
            answer: "msg_",
            call: "toolu_",
        }
    }

    fn call_id(&self, id: &str) -> String {
        ir::fitting(id)
    }

    fn too_long(&self, size: Overlong) -> String {
        size.in_anthropics_words()
    }

    fn end_mark(&self, _operation: Operation) -> Option<Bytes> {
        Some(named_event("message_stop", br#"{"type":"message_stop"}"#))
    }

    fn text_bytes(&self, data: &[u8]) -> u64 {
        ir::text_bytes(data)
    }

    fn models(&self, entries: &[ModelEntry]) -> Bytes {
        models::list(entries)
    }

    fn model(&self, entry: &ModelEntry) -> Bytes {
        models::single(entry)
    }

    fn spelling(&self) -> Spelling {
        SPELLING
    }

    fn decode_request(
        &self,
        operation: Operation,
        doc: &RequestDoc,
    ) -> Option<Result<ChatRequest, Loss>> {
        let body = || json::value(doc.body()).unwrap_or_default();
        (operation.spec().dialect == super::ID).then(|| ir::decode_request(body()))
    }

    fn encode_answer(
        &self,
        _operation: Operation,
        _doc: &RequestDoc,
        answer: ChatAnswer,
    ) -> (Bytes, Losses) {
        let (body, losses) = ir::encode_answer(answer);
        (Value::Object(body).to_string().into(), losses)
    }

    fn event_encoder(
        &self,
        _operation: Operation,
        _doc: &RequestDoc,
        origin: &'static str,
    ) -> Box<dyn EventEncoder> {
        Box::new(ir::MessageEncoder::new(origin))
    }

    fn encode_count(&self, _operation: Operation, tokens: u64) -> Bytes {
        json!({"input_tokens": tokens}).to_string().into()
    }

    fn replayed(
        &self,
        operation: Operation,
        answer: Value,
        options: ReplayOptions,
    ) -> Option<Vec<Bytes>> {
        match operation {
            Operation::Messages => replay::message(answer, options),
            _ => None,
        }
    }
}
