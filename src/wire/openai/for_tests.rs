//! Chat completions for the tests of other dialects.

use proptest::prelude::*;
use serde_json::Value;

use super::ir;
use crate::wire::dialect::EventEncoder;
use crate::wire::ir::{ChatAnswer, ChatRequest, Loss, StreamItem};

/// Reads a request.
pub(in crate::wire) fn decode(body: Value) -> Result<ChatRequest, Loss> {
    ir::decode_request(body)
}

/// Reads an answer.
pub(in crate::wire) fn decode_answer(body: Value) -> Result<ChatAnswer, Loss> {
    ir::decode_answer(body)
}

/// Writes an answer.
pub(in crate::wire) fn encode_answer(answer: ChatAnswer) -> Value {
    ir::encode_answer(answer, &ir::CustomTools::default()).0
}

/// Writes a request.
pub(in crate::wire) fn encode(request: ChatRequest) -> (Value, Vec<String>) {
    let (body, losses) = ir::encode_request(request);
    (body, losses.into_iter().map(|loss| loss.path).collect())
}

/// What a chunk says.
pub(in crate::wire) fn decode_chunk(chunk: Value) -> Vec<StreamItem> {
    match chunk {
        Value::Object(fields) => ir::decode_chunk(fields),
        _ => Vec::new(),
    }
}

/// All chunks of a stream of another dialect.
pub(in crate::wire) fn chunks(events: Vec<Vec<StreamItem>>, wants_usage: bool) -> String {
    let mut encoder = ir::ForeignChunks::new(wants_usage, ir::CustomTools::default());
    let all = events.into_iter().map(|items| encoder.event(items));
    all.map(|raw| String::from_utf8_lossy(&raw).into_owned())
        .collect()
}

/// Any request.
pub(in crate::wire) fn any_request() -> BoxedStrategy<Value> {
    ir::any_request()
}
