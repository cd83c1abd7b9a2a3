//! Requests.

use serde_json::{Map, Value, json};

use super::super::model::ModelRules;
use super::fit;
use super::message::{decode_message, decode_system, encode_messages};
use super::tools::{decode_choice, decode_tools, encode_choice, encode_tool};
use super::turns::Turns;
use super::words::UNKNOWN;
use crate::wire::ir::fields::{Encoder, fill, flag, inside, list, number, put, put_in, take, text};
use crate::wire::ir::{
    ChatRequest, Extra, Loss, Losses, ReasoningConfig, ResponseFormat, SamplingParams,
};

/// Where the fields of `thinking` that the neutral form does not know are kept, so that what is lost has its full name.
const DISPLAY: &str = "thinking.display";

/// Marks that the form of the answer was told by its old name.
const OLD_FORMAT: &str = "output_format.schema";

/// Reads the body of a request.
///
/// # Errors
/// A body that is no object, or a message that is none or has no role.
pub(in crate::wire::anthropic) fn decode_request(body: Value) -> Result<ChatRequest, Loss> {
    let Value::Object(mut fields) = body else {
        return Err(Loss {
            path: String::new(),
            why: "the body is no object",
        });
    };
    let system = decode_system(&mut fields);
    let messages = list(&mut fields, "messages").unwrap_or_default();
    let messages = messages
        .into_iter()
        .enumerate()
        .map(|(at, value)| decode_message(at, value));
    let messages = system
        .map(Ok)
        .into_iter()
        .chain(messages)
        .collect::<Result<_, Loss>>()?;
    let (tool_choice, parallel_tool_calls) = decode_choice(&mut fields);
    let stop = take(&mut fields, "stop_sequences", |value| {
        let words = value.as_array().filter(|words| !words.is_empty())?;
        words
            .iter()
            .map(|word| word.as_str().map(str::to_owned))
            .collect()
    });
    Ok(ChatRequest {
        model: text(&mut fields, "model"),
        messages,
        tools: decode_tools(&mut fields),
        tool_choice,
        parallel_tool_calls,
        sampling: SamplingParams {
            temperature: number(&mut fields, "temperature"),
            top_p: number(&mut fields, "top_p"),
            top_k: number(&mut fields, "top_k"),
            stop: stop.unwrap_or_default(),
            ..SamplingParams::default()
        },
        max_output_tokens: number(&mut fields, "max_tokens"),
        format: decode_format(&mut fields),
        reasoning: decode_reasoning(&mut fields),
        stream: flag(&mut fields, "stream"),
        user: inside(&mut fields, "metadata", |inner| text(inner, "user_id")),
        service_tier: text(&mut fields, "service_tier"),
        extra: fields,
        ..ChatRequest::new(super::super::ID)
    })
}

fn decode_reasoning(fields: &mut Extra) -> ReasoningConfig {
    let effort = inside(fields, "output_config", |inner| text(inner, "effort"));
    let thinking = take(fields, "thinking", |value| {
        let mut inner = value.as_object()?.clone();
        let kind = text(&mut inner, "type")?;
        let budget = number(&mut inner, "budget_tokens");
        let display = inner.remove("display");
        let known = match kind.as_str() {
            "adaptive" | "disabled" => budget.is_none(),
            "enabled" => budget.is_some(),
            _ => false,
        };
        (known && inner.is_empty()).then_some((kind == "disabled", budget, display))
    });
    let Some((off, budget_tokens, display)) = thinking else {
        return ReasoningConfig {
            effort,
            ..ReasoningConfig::default()
        };
    };
    if let Some(display) = display {
        fields.insert(DISPLAY.to_owned(), display);
    }
    ReasoningConfig {
        effort,
        enabled: Some(!off),
        budget_tokens,
        summary: None,
    }
}

/// `output_config.format`, or `output_format` as it was called before, which is marked.
fn decode_format(fields: &mut Extra) -> Option<ResponseFormat> {
    let read = |value: &Value| {
        let mut inner = value.as_object()?.clone();
        text(&mut inner, "type").filter(|kind| kind == "json_schema")?;
        let schema = take(&mut inner, "schema", |value| {
            value.is_object().then(|| value.clone())
        })?;
        inner.is_empty().then_some(ResponseFormat::JsonSchema {
            name: String::new(),
            schema: Some(schema),
            strict: None,
            description: None,
        })
    };
    let format = inside(fields, "output_config", |inner| take(inner, "format", read));
    format.or_else(|| {
        let format = take(fields, "output_format", read)?;
        fields.insert(OLD_FORMAT.to_owned(), Value::Null);
        Some(format)
    })
}

/// Writes the body of a request, and says what has no place in it. `params` are filled in where it does not say.
pub(in crate::wire::anthropic) fn encode_request(
    request: ChatRequest,
    params: &Map<String, Value>,
) -> (Extra, Losses) {
    let mut encoder = Encoder::new(request.origin, super::super::ID, UNKNOWN);
    let fields = match encoder.same {
        true => encode_own(&mut encoder, request),
        false => encode_foreign(&mut encoder, request, params),
    };
    let mut fields = fields;
    for (name, value) in params {
        fields.entry(name).or_insert_with(|| value.clone());
    }
    (fields, encoder.losses)
}

/// What was read from this dialect, as it was.
fn encode_own(encoder: &mut Encoder, request: ChatRequest) -> Extra {
    let rules = ModelRules::of(request.model.as_deref().unwrap_or_default());
    let mut fields = request.extra;
    put(&mut fields, "model", request.model);
    let (system, messages) = encode_messages(encoder, request.messages);
    put(&mut fields, "system", system);
    put(
        &mut fields,
        "messages",
        (!messages.is_empty()).then_some(messages),
    );
    let tools = encode_tools(encoder, &rules, request.tools);
    put(&mut fields, "tools", (!tools.is_empty()).then_some(tools));
    let choice = encode_choice(encoder, request.tool_choice, request.parallel_tool_calls);
    put(&mut fields, "tool_choice", choice);
    let sampling = request.sampling;
    for (name, value) in [
        ("temperature", sampling.temperature),
        ("top_p", sampling.top_p),
        ("top_k", sampling.top_k),
        ("max_tokens", request.max_output_tokens),
    ] {
        put(&mut fields, name, value.map(Value::Number));
    }
    let stop = sampling.stop;
    put(
        &mut fields,
        "stop_sequences",
        (!stop.is_empty()).then_some(stop),
    );
    if let Some(ResponseFormat::JsonSchema { schema, .. }) = request.format {
        let format = json!({"type": "json_schema", "schema": schema});
        match fields.remove(OLD_FORMAT).is_some() {
            true => put(&mut fields, "output_format", Some(format)),
            false => put_in(&mut fields, "output_config", "format", Some(format)),
        }
    }
    encode_reasoning(&mut fields, request.reasoning);
    put(&mut fields, "stream", request.stream);
    put_in(&mut fields, "metadata", "user_id", request.user);
    put(&mut fields, "service_tier", request.service_tier);
    fields
}

fn encode_reasoning(fields: &mut Extra, reasoning: ReasoningConfig) {
    put_in(fields, "output_config", "effort", reasoning.effort);
    let Some(enabled) = reasoning.enabled else {
        return;
    };
    let display = fields.remove(DISPLAY);
    let kind = match (enabled, &reasoning.budget_tokens) {
        (false, _) => "disabled",
        (true, Some(_)) => "enabled",
        (true, None) => "adaptive",
    };
    fill(fields, "thinking", |inner| {
        put(inner, "type", Some(kind));
        put(
            inner,
            "budget_tokens",
            reasoning.budget_tokens.map(Value::Number),
        );
        put(inner, "display", display);
    });
}

fn encode_tools(
    encoder: &mut Encoder,
    rules: &ModelRules,
    tools: Vec<crate::wire::ir::ToolDefinition>,
) -> Vec<Value> {
    let tools = tools.into_iter().enumerate();
    tools
        .filter_map(|(at, tool)| encode_tool(encoder, rules, &format!("tools[{at}]"), tool))
        .collect()
}

/// What was read from another dialect, as the API takes it.
fn encode_foreign(
    encoder: &mut Encoder,
    mut request: ChatRequest,
    params: &Map<String, Value>,
) -> Extra {
    let rules = ModelRules::of(request.model.as_deref().unwrap_or_default());
    fit::read_extensions(&mut request);
    let mut fields = encoder.begin("", std::mem::take(&mut request.extra));
    put(&mut fields, "model", request.model.take());
    let messages = std::mem::take(&mut request.messages);
    let mut turns = Turns::new(encoder, &rules, messages);
    let mut tools = encode_tools(encoder, &rules, std::mem::take(&mut request.tools));
    let declared = !tools.is_empty();
    if !declared {
        // A history with calls is refused where no tool is declared.
        tools = turns.called.iter().map(|name| fit::stub(name)).collect();
    }
    let mut call = fit::FitContext {
        rules,
        declared,
        stubs: !declared && !tools.is_empty(),
        unsigned_loop: turns.unsigned_loop,
        instruction: None,
    };
    fit::format(&mut call, &mut fields, &mut tools, &mut request);
    let choice = fit::choice(encoder, &call, &mut request);
    put(&mut fields, "tools", (!tools.is_empty()).then_some(tools));
    put(&mut fields, "tool_choice", choice);
    fit::limits(encoder, &call, &mut fields, &mut request, params);
    fit::sampling(encoder, &call, &mut fields, &mut request);
    fit::others(encoder, &mut fields, request);
    if let Some(instruction) = call.instruction {
        turns
            .system
            .push(json!({"type": "text", "text": instruction}));
    }
    let (system, messages) = turns.finish();
    put(
        &mut fields,
        "system",
        (!system.is_empty()).then_some(system),
    );
    put(&mut fields, "messages", Some(messages));
    fields
}
