//! A request as other dialects take it: turns instead of items, and nothing that only says how the Responses API works.

use std::collections::HashMap;

use serde_json::Value;

use super::answer::image_of;
use super::item::{INPUT, OTHER, kind};
use super::request::includes;
use super::seal::Seal;
use super::tools::{unfold_call, unfolded};
use crate::wire::ir::fields::text;
use crate::wire::ir::{
    ChatMessage, ChatRequest, ChatRole, ContentPart, Extra, PartBody, ToolDefinition,
};

/// Labels of items and parts, which other dialects have no need of.
const LABELS: [&str; 5] = ["id", "status", "type", "logprobs", "object"];
/// Fields and the values with which they ask for what holds everywhere else.
const USUAL: [(&str, &str); 5] = [
    ("store", "false"),
    ("background", "false"),
    ("truncation", "\"disabled\""),
    ("tool_choice", "\"auto\""),
    ("stream_options", "{\"include_obfuscation\":false}"),
];

/// The request with its items put together.
pub(in crate::wire::responses) fn settled(mut request: ChatRequest) -> ChatRequest {
    settle_fields(&mut request);
    let mut items = std::mem::take(&mut request.messages);
    let mut signatures = call_signatures(&mut items);
    let mut all: Vec<ChatMessage> = Vec::with_capacity(items.len() + 1);
    all.extend(instructions(&mut request.extra));
    for item in items {
        let item = with_image(item);
        if item.role == ChatRole::Other(OTHER.to_owned()) {
            name_unknown(item, &mut request.extra);
            continue;
        }
        if let Some(item) = settle_item(item, &mut signatures) {
            push(&mut all, item);
        }
    }
    request.messages = all;
    request.tools = unfolded(request.tools);
    for tool in &mut request.tools {
        if let ToolDefinition::Function { extra, .. } | ToolDefinition::Custom { extra, .. } = tool
        {
            extra.retain(|_, value| *value != Value::Bool(false));
        }
    }
    request
}

fn settle_fields(request: &mut ChatRequest) {
    let extra = &mut request.extra;
    for (name, usual) in USUAL {
        let usual: Option<Value> = serde_json::from_str(usual).ok();
        if extra.get(name) == usual.as_ref() {
            extra.remove(name);
        }
    }
    let mut rest = Vec::new();
    for wish in includes(extra) {
        match wish.as_str() {
            // It comes without being asked for.
            "reasoning.encrypted_content" => {}
            "message.output_text.logprobs" => request.sampling.logprobs = Some(true),
            _ => rest.push(Value::String(wish)),
        }
    }
    if !rest.is_empty() {
        extra.insert("include".to_owned(), rest.into());
    }
    if request.sampling.top_logprobs.is_some() {
        request.sampling.logprobs = Some(true);
    }
    if request.user.is_none() {
        request.user = text(extra, "safety_identifier");
    }
}

/// `instructions`: a text, or a list of items.
fn instructions(extra: &mut Extra) -> Vec<ChatMessage> {
    match extra.remove("instructions") {
        Some(Value::String(words)) if !words.is_empty() => vec![ChatMessage {
            role: ChatRole::System,
            parts: vec![ContentPart::text(words)],
            name: None,
            extra: Extra::new(),
        }],
        Some(Value::Array(items)) => {
            let items = items.into_iter().map(super::item::decode_item);
            let mut none = HashMap::new();
            items
                .filter_map(|item| settle_item(item, &mut none))
                .collect()
        }
        _ => Vec::new(),
    }
}

/// Signatures that were sealed for calls, by the calls' ids.
fn call_signatures(items: &mut [ChatMessage]) -> HashMap<String, String> {
    let sealed = items.iter_mut().filter_map(|item| {
        let content = item.extra.get("encrypted_content")?.as_str()?;
        let sealed = Seal::of_call(content)?;
        item.extra.remove("encrypted_content");
        Some(sealed)
    });
    sealed.collect()
}

/// An item without its labels; `None` where nothing is left of it.
fn settle_item(
    mut item: ChatMessage,
    signatures: &mut HashMap<String, String>,
) -> Option<ChatMessage> {
    let labels = |extra: &mut Extra| extra.retain(|name, _| !LABELS.contains(&name.as_str()));
    for part in &mut item.parts {
        labels(&mut part.extra);
        match &mut part.body {
            PartBody::ToolCall(call) => {
                unfold_call(call, &mut item.extra);
                let id = call.id.as_deref().unwrap_or_default();
                call.signature = signatures.remove(id);
            }
            PartBody::ToolResult(result) => {
                for part in &mut result.content {
                    labels(&mut part.extra);
                }
            }
            _ => {}
        }
    }
    labels(&mut item.extra);
    // What was sealed for a call is on the call.
    item.parts.retain(|part| match &part.body {
        PartBody::Reasoning(thought) => {
            thought.text.is_some() || thought.signature.is_some() || thought.encrypted.is_some()
        }
        _ => true,
    });
    (!item.parts.is_empty()).then_some(item)
}

/// A picture that the model made is a part of what it said.
fn with_image(item: ChatMessage) -> ChatMessage {
    let image = match item.parts.as_slice() {
        [
            ContentPart {
                body: PartBody::Unknown { value, .. },
                ..
            },
        ] => image_of(value),
        _ => None,
    };
    match image {
        Some(image) => ChatMessage {
            role: ChatRole::Assistant,
            parts: vec![ContentPart::new(image)],
            ..item
        },
        None => item,
    }
}

/// What a model said in one turn is one message.
fn push(all: &mut Vec<ChatMessage>, item: ChatMessage) {
    match all.last_mut() {
        Some(last) if last.role == ChatRole::Assistant && item.role == ChatRole::Assistant => {
            last.parts.extend(item.parts);
            for (name, value) in item.extra {
                last.extra.entry(name).or_insert(value);
            }
        }
        _ => all.push(item),
    }
}

/// An item that has no place elsewhere is named by its type, as if it were a field of the request.
fn name_unknown(item: ChatMessage, extra: &mut Extra) {
    for part in item.parts {
        if let PartBody::Unknown { value, .. } = part.body {
            let name = match &value {
                Value::Object(fields) => kind(fields).to_owned(),
                _ => INPUT.to_owned(),
            };
            extra.entry(name).or_insert(value);
        }
    }
}
