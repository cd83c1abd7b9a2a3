//! The Responses API as an upstream's dialect.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Map, Value};

use super::{Responses, ir, rest};
use crate::domain::attempt_record::ResponseMeta;
use crate::domain::dialect::Operation;
use crate::domain::secret::ApiKey;
use crate::wire::dialect::{EventDecoder, UpstreamDialect};
use crate::wire::inspection::{Inspection, StreamEvent};
use crate::wire::ir::{ChatAnswer, ChatRequest, Loss, Losses};
use crate::wire::json;
use crate::wire::openai::generation::fit_sampling;
use crate::wire::openai::{OpenAi, response};
use crate::wire::reasoning::model_reasons;
use crate::wire::sse::RawEvent;

/// With it in `include`, reasoning comes in a form that can be sent back where nothing is stored.
const SEALED: &str = "reasoning.encrypted_content";

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

    fn leaves_plain(&self, params: &Map<String, Value>) -> bool {
        rest::is_plain(params)
    }

    fn conversation(&self) -> Option<Operation> {
        Some(Operation::Responses)
    }

    fn encode_request(
        &self,
        mut request: ChatRequest,
        params: &Map<String, Value>,
    ) -> (Bytes, Losses) {
        let refused = fit(&mut request);
        let (mut body, mut losses) = ir::encode_request(request);
        losses.extend(refused);
        if let Value::Object(fields) = &mut body {
            for (name, value) in params {
                fields.entry(name).or_insert_with(|| value.clone());
            }
            ask_for_reasoning(fields);
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
        Box::new(ir::ResponseEvents::joining())
    }

    fn own_event_decoder(&self) -> Box<dyn EventDecoder> {
        Box::new(ir::ResponseEvents::default())
    }
}

/// Takes out what the model refuses.
fn fit(request: &mut ChatRequest) -> Losses {
    let mut losses = Losses::new();
    let thinks = &request.reasoning;
    let budget = thinks.budget_tokens.as_ref().map(|_| "low");
    let effort = thinks.effort.as_deref().or(budget);
    let model = request.model.as_deref().unwrap_or_default();
    fit_sampling(&mut request.sampling, model, effort, |path, why| {
        let path = path.to_owned();
        losses.push(Loss::new(path, why));
    });
    losses
}

/// Other dialects' callers carry reasoning back without asking for it; the API gives it out in such a form only to those
/// that do. Models that do not reason refuse the wish.
fn ask_for_reasoning(fields: &mut Map<String, Value>) {
    let effort = fields
        .get("reasoning")
        .and_then(|reasoning| reasoning.get("effort"))
        .and_then(Value::as_str);
    let model = fields.get("model").and_then(Value::as_str);
    let reasons = match effort {
        Some(effort) => effort != "none",
        None => model.is_some_and(model_reasons),
    };
    if !reasons {
        return;
    }
    let include = fields
        .entry("include")
        .or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(wishes) = include
        && !wishes.iter().any(|wish| wish == SEALED)
    {
        wishes.push(SEALED.into());
    }
}
