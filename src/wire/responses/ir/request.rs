//! Requests, read.

use serde_json::Value;

use super::fields::{flag, inside, list, number, take, text};
use super::item::decode_item;
use super::tools::{decode_choice, decode_tools};
use crate::wire::ir::{
    ChatMessage, ChatRequest, ChatRole, ContentPart, Extra, Loss, ReasoningConfig, ResponseFormat,
    SamplingParams,
};
use crate::wire::spelling::Spelling;

/// What the Responses API calls the fields of the neutral form.
pub(in crate::wire::responses) const SPELLING: Spelling = &[
    ("sampling.candidates", "n"),
    ("sampling.", ""),
    ("messages", "input"),
    ("format", "text.format"),
    ("stream_usage", "stream_options"),
];

/// Reads the body of a request, item by item.
///
/// # Errors
/// A body that is no object, or an input that is neither a text nor a list of items.
pub(in crate::wire::responses) fn decode_request(body: Value) -> Result<ChatRequest, Loss> {
    let unreadable = |path: &str, why| Loss {
        path: path.to_owned(),
        why,
    };
    let Value::Object(mut fields) = body else {
        return Err(unreadable("", "the body is no object"));
    };
    let messages = match fields.remove("input") {
        Some(Value::String(text)) => vec![ChatMessage {
            role: ChatRole::User,
            parts: vec![ContentPart::text(text)],
            name: None,
            extra: Extra::new(),
        }],
        Some(Value::Array(items)) => {
            let odd = items.iter().position(|item| !item.is_object());
            if let Some(at) = odd {
                return Err(unreadable(&format!("input[{at}]"), "an item is an object"));
            }
            items.into_iter().map(decode_item).collect()
        }
        None | Some(Value::Null) => Vec::new(),
        Some(_) => {
            return Err(unreadable(
                "input",
                "the input is a text or a list of items",
            ));
        }
    };
    Ok(ChatRequest {
        origin: crate::wire::responses::ID,
        model: text(&mut fields, "model"),
        messages,
        tools: decode_tools(&mut fields),
        tool_choice: decode_choice(&mut fields),
        parallel_tool_calls: flag(&mut fields, "parallel_tool_calls"),
        sampling: SamplingParams {
            temperature: number(&mut fields, "temperature"),
            top_p: number(&mut fields, "top_p"),
            top_logprobs: number(&mut fields, "top_logprobs"),
            ..SamplingParams::default()
        },
        max_output_tokens: number(&mut fields, "max_output_tokens"),
        format: inside(&mut fields, "text", decode_format),
        reasoning: decode_thinking(&mut fields),
        stream: flag(&mut fields, "stream"),
        stream_usage: None,
        user: text(&mut fields, "user"),
        metadata: take(&mut fields, "metadata", |value| {
            value.as_object().filter(|all| !all.is_empty()).cloned()
        })
        .unwrap_or_default(),
        service_tier: text(&mut fields, "service_tier"),
        extra: fields,
    })
}

fn decode_thinking(fields: &mut Extra) -> ReasoningConfig {
    let said = inside(fields, "reasoning", |inner| {
        let (effort, summary) = (text(inner, "effort"), text(inner, "summary"));
        (effort.is_some() || summary.is_some()).then_some((effort, summary))
    });
    let (effort, summary) = said.unwrap_or_default();
    ReasoningConfig {
        effort,
        summary,
        ..ReasoningConfig::default()
    }
}

fn decode_format(fields: &mut Extra) -> Option<ResponseFormat> {
    take(fields, "format", |value| {
        let mut fields = value.as_object()?.clone();
        let format = match text(&mut fields, "type")?.as_str() {
            "text" => ResponseFormat::Text,
            "json_object" => ResponseFormat::JsonObject,
            "json_schema" => ResponseFormat::JsonSchema {
                name: text(&mut fields, "name")?,
                schema: take(&mut fields, "schema", |value| {
                    value.is_object().then(|| value.clone())
                }),
                strict: flag(&mut fields, "strict"),
                description: text(&mut fields, "description"),
            },
            _ => return None,
        };
        // What says nothing has no place in the neutral form.
        fields.retain(|_, value| !value.is_null());
        fields.is_empty().then_some(format)
    })
}

/// The texts of a list in `include`.
pub(super) fn includes(fields: &mut Extra) -> Vec<String> {
    let all = list(fields, "include").unwrap_or_default();
    let texts = all.into_iter().filter_map(|one| match one {
        Value::String(text) => Some(text),
        _ => None,
    });
    texts.collect()
}
