//! Requests for chat completions.

use serde_json::{Value, json};

use super::fields::{
    Encoder, cache_mark, count, encoder, flag, inside, list, number, put, put_cache_mark, put_in,
    take, text,
};
use super::fit::{fit, limit_name};
use super::message::{decode_message, encode_message, role_of};
use crate::wire::ir::{
    ChatMessage, ChatRequest, ChatRole, Extra, Loss, Losses, ReasoningConfig, ResponseFormat,
    SamplingParams, ToolChoice, ToolDefinition,
};
use crate::wire::spelling::Spelling;

/// The names of the limit of tokens, the one that counts first.
const LIMITS: [&str; 2] = ["max_completion_tokens", "max_tokens"];

/// What chat completions call the fields of the neutral form.
pub(in crate::wire::openai) const SPELLING: Spelling = &[
    ("sampling.candidates", "n"),
    ("sampling.", ""),
    ("max_output_tokens", "max_completion_tokens"),
    ("format", "response_format"),
    ("reasoning.effort", "reasoning_effort"),
    ("stream_usage", "stream_options.include_usage"),
];

fn unreadable(path: impl Into<String>, why: &'static str) -> Loss {
    Loss {
        path: path.into(),
        why,
    }
}

/// Reads the body of a request.
///
/// # Errors
/// A body that is no object, or a message that is none or has no role.
pub(in crate::wire::openai) fn decode_request(body: Value) -> Result<ChatRequest, Loss> {
    let Value::Object(mut fields) = body else {
        return Err(unreadable("", "the body is no object"));
    };
    let messages = list(&mut fields, "messages").unwrap_or_default();
    let messages = messages.into_iter().enumerate().map(|(at, value)| {
        let path = || format!("messages[{at}]");
        let Value::Object(mut fields) = value else {
            return Err(unreadable(path(), "a message is an object"));
        };
        let role = text(&mut fields, "role")
            .ok_or_else(|| unreadable(path() + ".role", "a message has a role"))?;
        Ok(decode_message(role_of(&role), fields))
    });
    let messages = messages.collect::<Result<Vec<ChatMessage>, Loss>>()?;
    // Both names may be there: the second one counts only where the first has no value.
    let said = |name: &&str| fields.get(*name).is_some_and(|value| !value.is_null());
    let limit = LIMITS.into_iter().find(said);
    let limit = limit.and_then(|name| number(&mut fields, name));
    let [first, _] = LIMITS;
    if limit.is_some() {
        // It had no value, and the limit is written under its name.
        fields.remove(first);
    }
    Ok(ChatRequest {
        origin: crate::wire::openai::ID,
        model: text(&mut fields, "model"),
        messages,
        tools: decode_tools(&mut fields),
        tool_choice: decode_choice(&mut fields),
        parallel_tool_calls: flag(&mut fields, "parallel_tool_calls"),
        sampling: decode_sampling(&mut fields),
        max_output_tokens: limit,
        format: decode_format(&mut fields),
        reasoning: ReasoningConfig {
            effort: text(&mut fields, "reasoning_effort"),
            ..ReasoningConfig::default()
        },
        stream: flag(&mut fields, "stream"),
        stream_usage: inside(&mut fields, "stream_options", |inner| {
            flag(inner, "include_usage")
        }),
        user: text(&mut fields, "user"),
        metadata: take(&mut fields, "metadata", |value| {
            value.as_object().filter(|all| !all.is_empty()).cloned()
        })
        .unwrap_or_default(),
        service_tier: text(&mut fields, "service_tier"),
        extra: fields,
    })
}

fn decode_sampling(fields: &mut Extra) -> SamplingParams {
    SamplingParams {
        temperature: number(fields, "temperature"),
        top_p: number(fields, "top_p"),
        top_k: number(fields, "top_k"),
        seed: number(fields, "seed"),
        candidates: number(fields, "n"),
        frequency_penalty: number(fields, "frequency_penalty"),
        presence_penalty: number(fields, "presence_penalty"),
        logprobs: flag(fields, "logprobs"),
        top_logprobs: number(fields, "top_logprobs"),
        stop: take(fields, "stop", |value| match value {
            Value::String(word) => Some(vec![word.clone()]),
            Value::Array(words) if !words.is_empty() => words
                .iter()
                .map(|word| word.as_str().map(str::to_owned))
                .collect(),
            _ => None,
        })
        .unwrap_or_default(),
    }
}

/// All of them or none: a list with something else than tools in it stays as it is.
fn decode_tools(fields: &mut Extra) -> Vec<ToolDefinition> {
    let read = |value: &Value| {
        let tools = value.as_array().filter(|tools| !tools.is_empty())?;
        tools.iter().map(decode_tool).collect()
    };
    take(fields, "tools", read).unwrap_or_default()
}

fn decode_tool(value: &Value) -> Option<ToolDefinition> {
    let mut fields = value.as_object()?.clone();
    let kind = text(&mut fields, "type")?;
    if kind == "custom"
        && let Some(tool) = decode_custom(&fields)
    {
        return Some(tool);
    }
    if kind != "function" {
        return Some(ToolDefinition::Native {
            kind,
            extra: fields,
        });
    }
    let (name, description, parameters, strict) = inside(&mut fields, "function", |inner| {
        Some((
            text(inner, "name")?,
            text(inner, "description"),
            take(inner, "parameters", |value| {
                value.is_object().then(|| value.clone())
            }),
            flag(inner, "strict"),
        ))
    })?;
    Some(ToolDefinition::Function {
        name,
        description,
        parameters,
        strict,
        cache: cache_mark(&mut fields),
        extra: fields,
    })
}

fn decode_custom(fields: &Extra) -> Option<ToolDefinition> {
    let mut fields = fields.clone();
    let (name, description, format) = inside(&mut fields, "custom", |inner| {
        let name = text(inner, "name")?;
        let description = text(inner, "description");
        let format = take(inner, "format", flat);
        Some((name, description, format))
    })?;
    Some(ToolDefinition::Custom {
        name,
        description,
        format,
        extra: fields,
    })
}

/// The form of a custom tool's input, without the object in which chat completions wrap a grammar.
fn flat(format: &Value) -> Option<Value> {
    let mut fields = format.as_object()?.clone();
    let kind = text(&mut fields, "type")?;
    match (kind.as_str(), fields.remove("grammar"), fields.is_empty()) {
        ("text", None, true) => Some(format.clone()),
        ("grammar", Some(Value::Object(mut grammar)), true) => {
            let whole = grammar.len() == 2 && grammar.values().all(Value::is_string);
            let known = grammar.contains_key("syntax") && grammar.contains_key("definition");
            grammar.insert("type".to_owned(), kind.into());
            (whole && known).then_some(Value::Object(grammar))
        }
        _ => None,
    }
}

/// The same with that object.
fn wrapped(format: Value) -> Value {
    match format {
        Value::Object(mut fields) if fields.contains_key("definition") => {
            let kind = fields.remove("type");
            json!({"type": kind, "grammar": fields})
        }
        format => format,
    }
}

fn decode_choice(fields: &mut Extra) -> Option<ToolChoice> {
    take(fields, "tool_choice", |value| match value {
        Value::String(word) => match word.as_str() {
            "auto" => Some(ToolChoice::Auto),
            "none" => Some(ToolChoice::Never),
            "required" => Some(ToolChoice::Required),
            _ => None,
        },
        value => {
            let name = value.pointer("/function/name")?.as_str()?;
            (*value == named(name)).then(|| ToolChoice::Named(name.to_owned()))
        }
    })
}

fn named(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name}})
}

fn decode_format(fields: &mut Extra) -> Option<ResponseFormat> {
    take(fields, "response_format", |value| {
        let mut fields = value.as_object()?.clone();
        let format = match text(&mut fields, "type")?.as_str() {
            "text" => ResponseFormat::Text,
            "json_object" => ResponseFormat::JsonObject,
            "json_schema" => inside(&mut fields, "json_schema", |inner| {
                Some(ResponseFormat::JsonSchema {
                    name: text(inner, "name")?,
                    schema: take(inner, "schema", |value| {
                        value.is_object().then(|| value.clone())
                    }),
                    strict: flag(inner, "strict"),
                    description: text(inner, "description"),
                })
            })?,
            _ => return None,
        };
        fields.is_empty().then_some(format)
    })
}

/// Writes the body of a request, and says what has no place in it.
pub(in crate::wire::openai) fn encode_request(mut request: ChatRequest) -> (Value, Losses) {
    let mut encoder = encoder(request.origin);
    let [mut limit, _] = LIMITS;
    let mut own = Extra::new();
    if !encoder.same {
        own = fit(&mut encoder, &mut request);
        limit = limit_name(request.model.as_deref());
    }
    let mut fields = encoder.begin("", request.extra);
    put(&mut fields, "model", request.model);
    let messages = request.messages.into_iter().enumerate();
    let messages: Vec<Value> = messages
        .flat_map(|(at, message)| encode_message(&mut encoder, &format!("messages[{at}]"), message))
        .collect();
    put(
        &mut fields,
        "messages",
        (!messages.is_empty()).then_some(messages),
    );
    let tools = request.tools.into_iter().enumerate();
    let tools: Vec<Value> = tools
        .filter_map(|(at, tool)| encode_tool(&mut encoder, &format!("tools[{at}]"), tool))
        .collect();
    put(&mut fields, "tools", (!tools.is_empty()).then_some(tools));
    let choice = request.tool_choice.map(|choice| match choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::Never => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Named(name) => named(&name),
    });
    put(&mut fields, "tool_choice", choice);
    put(
        &mut fields,
        "parallel_tool_calls",
        request.parallel_tool_calls,
    );
    encode_sampling(&mut fields, request.sampling);
    put(
        &mut fields,
        limit,
        request.max_output_tokens.map(Value::Number),
    );
    put(
        &mut fields,
        "response_format",
        request.format.map(encode_format),
    );
    put(&mut fields, "reasoning_effort", request.reasoning.effort);
    put(&mut fields, "stream", request.stream);
    if let Some(asks) = request.stream_usage {
        put_in(&mut fields, "stream_options", "include_usage", Some(asks));
    }
    put(&mut fields, "user", request.user);
    let metadata = Some(request.metadata).filter(|all| !all.is_empty());
    put(&mut fields, "metadata", metadata);
    put(&mut fields, "service_tier", request.service_tier);
    fields.extend(own);
    (Value::Object(fields), encoder.losses)
}

fn encode_sampling(fields: &mut Extra, sampling: SamplingParams) {
    let numbers = [
        ("temperature", sampling.temperature),
        ("top_p", sampling.top_p),
        ("top_k", sampling.top_k),
        ("seed", sampling.seed),
        ("n", sampling.candidates),
        ("frequency_penalty", sampling.frequency_penalty),
        ("presence_penalty", sampling.presence_penalty),
        ("top_logprobs", sampling.top_logprobs),
    ];
    for (name, value) in numbers {
        put(fields, name, value.map(Value::Number));
    }
    put(fields, "logprobs", sampling.logprobs);
    put(
        fields,
        "stop",
        (!sampling.stop.is_empty()).then_some(sampling.stop),
    );
}

fn encode_tool(encoder: &mut Encoder, path: &str, tool: ToolDefinition) -> Option<Value> {
    match tool {
        ToolDefinition::Function {
            name,
            description,
            parameters,
            strict,
            cache,
            extra,
        } => {
            let mut own = encoder.begin(path, extra);
            put(&mut own, "type", Some("function"));
            put_in(&mut own, "function", "name", Some(name));
            put_in(&mut own, "function", "description", description);
            put_in(&mut own, "function", "parameters", parameters);
            put_in(&mut own, "function", "strict", strict);
            put_cache_mark(&mut own, cache);
            Some(Value::Object(own))
        }
        ToolDefinition::Custom {
            name,
            description,
            format,
            extra,
        } => {
            let mut own = encoder.begin(path, extra);
            put(&mut own, "type", Some("custom"));
            put_in(&mut own, "custom", "name", Some(name));
            put_in(&mut own, "custom", "description", description);
            put_in(&mut own, "custom", "format", format.map(wrapped));
            Some(Value::Object(own))
        }
        ToolDefinition::Native { kind, mut extra } if encoder.same => {
            put(&mut extra, "type", Some(kind));
            Some(Value::Object(extra))
        }
        ToolDefinition::Native { kind, .. } => {
            encoder.lose(format!("{path}.{kind}"), "another provider's own tool");
            None
        }
    }
}

fn encode_format(format: ResponseFormat) -> Value {
    match format {
        ResponseFormat::Text => json!({"type": "text"}),
        ResponseFormat::JsonObject => json!({"type": "json_object"}),
        ResponseFormat::JsonSchema {
            name,
            schema,
            strict,
            description,
        } => {
            let mut fields = Extra::new();
            put(&mut fields, "type", Some("json_schema"));
            put_in(&mut fields, "json_schema", "name", Some(name));
            put_in(&mut fields, "json_schema", "schema", schema);
            put_in(&mut fields, "json_schema", "strict", strict);
            put_in(&mut fields, "json_schema", "description", description);
            Value::Object(fields)
        }
    }
}

/// The role of a message of an answer: some leave it out.
pub(super) fn answering_role(fields: &mut Extra) -> ChatRole {
    text(fields, "role").map_or(ChatRole::Assistant, |role| role_of(&role))
}

/// An index in a list, where there is one.
pub(super) fn index(fields: &mut Extra) -> u64 {
    count(fields, "index").unwrap_or(0)
}
