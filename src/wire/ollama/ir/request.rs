//! Requests.

use serde_json::{Map, Value, json};

use super::conversation::Conversation;
use super::options::{complete, encode_sampling, take_extensions};
use super::think::encode_reasoning;
use super::words::UNKNOWN;
use crate::wire::ir::fields::{Encoder, put, put_in};
use crate::wire::ir::{
    AllowedTools, ChatRequest, Extra, Losses, ResponseFormat, ToolChoice, ToolDefinition,
};

/// Writes the body of a request, and says what has no place in it. `params` are filled in where it does not say.
pub(in crate::wire::ollama) fn encode_request(
    mut request: ChatRequest,
    params: &Map<String, Value>,
) -> (Extra, Losses) {
    let mut encoder = Encoder::new(request.origin, super::super::ID, UNKNOWN);
    let mut body = Extra::new();
    if let Some(allowed) = AllowedTools::take(&mut request) {
        allowed.apply(&mut request);
    }
    // Words are all that there is here.
    if request.extra.get("modalities") == Some(&json!(["text"])) {
        request.extra.remove("modalities");
    }
    let model = request.model.unwrap_or_default();
    let mut extra = request.extra;
    take_extensions(&mut extra, &mut body);
    let _ = encoder.begin("", extra);
    let mut conversation = Conversation::new(&mut encoder);
    for (at, message) in request.messages.into_iter().enumerate() {
        conversation.message(&format!("messages[{at}]"), message);
    }
    put(&mut body, "messages", Some(conversation.finish()));
    encode_tools(&mut encoder, &mut body, request.tools, request.tool_choice);
    if request.parallel_tool_calls == Some(false) && body.contains_key("tools") {
        encoder.lose("parallel_tool_calls", UNKNOWN);
    }
    encode_sampling(
        &mut encoder,
        &mut body,
        request.sampling,
        request.max_output_tokens,
    );
    encode_format(&mut body, request.format);
    encode_reasoning(&mut encoder, &mut body, &request.reasoning, &model);
    put(&mut body, "model", Some(model));
    // Without a word it streams.
    put(&mut body, "stream", Some(request.stream == Some(true)));
    encode_others(
        &mut encoder,
        request.user,
        &request.metadata,
        request.service_tier,
    );
    complete(&mut body, params);
    (body, encoder.losses)
}

/// Who asks, notes and the queue: a server of one's own knows none of these.
fn encode_others(
    encoder: &mut Encoder,
    user: Option<String>,
    metadata: &Extra,
    tier: Option<String>,
) {
    if user.is_some_and(|user| !user.is_empty()) {
        encoder.lose("user", UNKNOWN);
    }
    if !metadata.is_empty() {
        encoder.lose("metadata", UNKNOWN);
    }
    let usual = |tier: &str| matches!(tier, "auto" | "default" | "standard" | "standard_only" | "");
    if tier.is_some_and(|tier| !usual(&tier)) {
        encoder.lose("service_tier", UNKNOWN);
    }
}

/// The tools. Ollama cannot be told which of them must be called: that none may be is said by having none, and one that
/// must be stands alone.
fn encode_tools(
    encoder: &mut Encoder,
    body: &mut Extra,
    tools: Vec<ToolDefinition>,
    choice: Option<ToolChoice>,
) {
    let mut all = Vec::with_capacity(tools.len());
    for (at, tool) in tools.into_iter().enumerate() {
        let path = format!("tools[{at}]");
        match tool.into_function() {
            ToolDefinition::Function {
                name,
                description,
                parameters,
                strict,
                cache,
                extra,
            } => {
                let _ = encoder.begin(&path, extra);
                if strict == Some(true) {
                    encoder.lose(format!("{path}.strict"), UNKNOWN);
                }
                if cache.is_some() {
                    encoder.lose(format!("{path}.cache_control"), UNKNOWN);
                }
                all.push((name, description, parameters));
            }
            ToolDefinition::Native { kind, .. } => {
                encoder.lose(format!("{path}.{kind}"), "another provider's own tool");
            }
            ToolDefinition::Custom { .. } => {}
        }
    }
    match choice {
        Some(ToolChoice::Never) => return,
        Some(ToolChoice::Required) if !all.is_empty() => encoder.lose("tool_choice", UNKNOWN),
        Some(ToolChoice::Named(wanted)) if all.iter().any(|(name, ..)| *name == wanted) => {
            all.retain(|(name, ..)| *name == wanted);
            encoder.lose("tool_choice", UNKNOWN);
        }
        _ => {}
    }
    let tools = all.into_iter().map(|(name, description, parameters)| {
        // Templates go through the properties.
        let parameters = parameters.unwrap_or_else(|| json!({"type": "object", "properties": {}}));
        let mut tool = Extra::new();
        put(&mut tool, "type", Some("function"));
        put_in(&mut tool, "function", "name", Some(name));
        put_in(&mut tool, "function", "description", description);
        put_in(&mut tool, "function", "parameters", Some(parameters));
        Value::Object(tool)
    });
    let tools: Vec<Value> = tools.collect();
    put(body, "tools", (!tools.is_empty()).then_some(tools));
}

/// The form of the answer, where none is asked for in Ollama's own words.
fn encode_format(body: &mut Extra, format: Option<ResponseFormat>) {
    let format = match format {
        None | Some(ResponseFormat::Text) => return,
        Some(ResponseFormat::JsonSchema {
            schema: Some(schema),
            ..
        }) => schema,
        Some(ResponseFormat::JsonObject | ResponseFormat::JsonSchema { .. }) => json!("json"),
    };
    body.entry("format").or_insert(format);
}
