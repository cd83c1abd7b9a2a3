//! Items of an input or an output, each as a message of its own.

use serde_json::{Map, Value};

use super::fields::{inside, list, take, text};
use super::seal::Seal;
use crate::wire::ir::{
    ChatMessage, ChatRole, Citation, ContentPart, Extra, MediaSource, PartBody, ReasoningPart,
    ToolCall, ToolCallKind, ToolResult,
};

/// The role of a message that holds an item which is neither words, thoughts nor a call.
pub(super) const OTHER: &str = "item";
/// The field in which such an item stands.
pub(super) const INPUT: &str = "input";
/// The lists of a reasoning item, and the types of what stands in them.
pub(super) const THOUGHTS: [(&str, &str); 2] =
    [("summary", "summary_text"), ("content", "reasoning_text")];

/// The item's type. Messages may leave it out.
pub(super) fn kind(fields: &Extra) -> &str {
    let own = fields
        .get("type")
        .map(|kind| kind.as_str().unwrap_or(OTHER));
    let is_message = || fields.get("role").is_some_and(Value::is_string);
    own.unwrap_or(if is_message() { "message" } else { OTHER })
}

/// The type of words that somebody of this role says.
pub(super) fn words_of(role: &ChatRole) -> &'static str {
    match role {
        ChatRole::Assistant => "output_text",
        _ => "input_text",
    }
}

/// Reads one item.
pub(super) fn decode_item(value: Value) -> ChatMessage {
    let Value::Object(mut fields) = value else {
        return other(value);
    };
    let texts = |names: &[&str]| {
        let mut names = names.iter();
        names.all(|name| fields.get(*name).is_some_and(Value::is_string))
    };
    let (role, part) = match kind(&fields) {
        "message" if texts(&["role"]) => return decode_message(fields),
        "reasoning" => return decode_reasoning(fields),
        "function_call" if texts(&["call_id", "name", "arguments"]) => {
            let call = decode_call(&mut fields, "arguments", ToolCallKind::Function);
            (ChatRole::Assistant, call)
        }
        "custom_tool_call" if texts(&["call_id", "name", "input"]) => {
            let call = decode_call(&mut fields, "input", ToolCallKind::Custom);
            (ChatRole::Assistant, call)
        }
        "function_call_output" | "custom_tool_call_output" if texts(&["call_id"]) => {
            let result = ToolResult {
                call_id: text(&mut fields, "call_id").unwrap_or_default(),
                content: decode_content(&ChatRole::Tool, &mut fields, "output"),
                is_error: None,
            };
            (ChatRole::Tool, PartBody::ToolResult(result))
        }
        _ => return other(Value::Object(fields)),
    };
    ChatMessage {
        role,
        parts: vec![ContentPart::new(part)],
        name: None,
        extra: fields,
    }
}

fn other(value: Value) -> ChatMessage {
    let field = INPUT;
    ChatMessage {
        role: ChatRole::Other(OTHER.to_owned()),
        parts: vec![ContentPart::new(PartBody::Unknown { field, value })],
        name: None,
        extra: Extra::new(),
    }
}

fn decode_call(fields: &mut Extra, input: &str, kind: ToolCallKind) -> PartBody {
    PartBody::ToolCall(ToolCall {
        id: text(fields, "call_id"),
        name: text(fields, "name").unwrap_or_default(),
        arguments: text(fields, input).unwrap_or_default(),
        kind,
        signature: None,
    })
}

fn decode_message(mut fields: Extra) -> ChatMessage {
    let role = match text(&mut fields, "role").unwrap_or_default().as_str() {
        "system" => ChatRole::System,
        "developer" => ChatRole::Developer,
        "user" => ChatRole::User,
        "assistant" => ChatRole::Assistant,
        other => ChatRole::Other(other.to_owned()),
    };
    let parts = decode_content(&role, &mut fields, "content");
    ChatMessage {
        role,
        parts,
        name: None,
        extra: fields,
    }
}

/// A text, or a list of parts with something in it.
fn decode_content(role: &ChatRole, fields: &mut Extra, name: &str) -> Vec<ContentPart> {
    if let Some(text) = text(fields, name) {
        return vec![ContentPart::text(text)];
    }
    let parts = list(fields, name).unwrap_or_default();
    parts
        .into_iter()
        .map(|part| decode_part(role, part))
        .collect()
}

pub(super) fn decode_part(role: &ChatRole, value: Value) -> ContentPart {
    let unknown = |value| {
        let field = "content";
        ContentPart::new(PartBody::Unknown { field, value })
    };
    let Value::Object(mut fields) = value else {
        return unknown(value);
    };
    let kind = fields
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or("")
        .to_owned();
    let body = match kind.as_str() {
        "input_text" | "output_text" | "text" => text(&mut fields, "text").map(|text| {
            let citations = decode_citations(&mut fields);
            PartBody::Text { text, citations }
        }),
        "input_image" => {
            let url = text(&mut fields, "image_url").map(MediaSource::Url);
            let source = url.or_else(|| text(&mut fields, "file_id").map(MediaSource::FileId));
            source.map(|source| PartBody::Image {
                source,
                detail: text(&mut fields, "detail"),
            })
        }
        "input_file" => {
            let inline = text(&mut fields, "file_data").map(MediaSource::Inline);
            let url = inline.or_else(|| text(&mut fields, "file_url").map(MediaSource::Url));
            let source = url.or_else(|| text(&mut fields, "file_id").map(MediaSource::FileId));
            source.map(|source| PartBody::Document {
                source,
                name: text(&mut fields, "filename"),
            })
        }
        "input_audio" => inside(&mut fields, "input_audio", |inner| {
            let is_text = |name| inner.get(name).is_some_and(Value::is_string);
            let whole = is_text("data") && is_text("format");
            let (data, format) = whole.then(|| (text(inner, "data"), text(inner, "format")))?;
            let (data, format) = data.zip(format)?;
            Some(PartBody::Audio { data, format })
        }),
        "refusal" => text(&mut fields, "refusal").map(PartBody::Refusal),
        _ => None,
    };
    let Some(body) = body else {
        return unknown(Value::Object(fields));
    };
    let is_text = matches!(body, PartBody::Text { .. });
    if !is_text || kind == words_of(role) {
        fields.remove("type");
    }
    ContentPart {
        extra: fields,
        ..ContentPart::new(body)
    }
}

fn decode_citations(fields: &mut Extra) -> Vec<Citation> {
    let read = |value: &Value| {
        let all = value.as_array().filter(|all| !all.is_empty())?;
        all.iter().map(decode_citation).collect()
    };
    take(fields, "annotations", read).unwrap_or_default()
}

/// One annotation, if it is the address of a page.
pub(super) fn decode_citation(value: &Value) -> Option<Citation> {
    let mut fields = value.as_object()?.clone();
    text(&mut fields, "type").filter(|kind| kind == "url_citation")?;
    let url = Some(text(&mut fields, "url")?);
    let title = text(&mut fields, "title");
    let ends = ["start_index", "end_index"].map(|name| fields.get(name).and_then(Value::as_u64));
    let span = match ends {
        [Some(start), Some(end)] => {
            fields.remove("start_index");
            fields.remove("end_index");
            Some((start, end))
        }
        _ => None,
    };
    Some(Citation {
        url,
        title,
        span,
        extra: fields,
    })
}

/// One part for each text, and on the last one what seals them.
fn decode_reasoning(mut fields: Extra) -> ChatMessage {
    let mut parts = Vec::new();
    for (name, kind) in THOUGHTS {
        let texts = take(&mut fields, name, |value| texts_of(value, kind));
        parts.extend(texts.into_iter().flatten().map(|text| ReasoningPart {
            text: Some(text),
            field: name,
            ..ReasoningPart::default()
        }));
    }
    if parts.is_empty() {
        parts.push(ReasoningPart::default());
    }
    // What was sealed for a call is no thought; it stays where it is.
    let content = fields.get("encrypted_content").and_then(Value::as_str);
    let content = match content.and_then(Seal::of_call) {
        None => text(&mut fields, "encrypted_content"),
        Some(_) => None,
    };
    if let (Some(content), Some(last)) = (content, parts.last_mut()) {
        Seal::read(content).put_on(last);
    }
    ChatMessage {
        role: ChatRole::Assistant,
        parts: parts
            .into_iter()
            .map(|part| ContentPart::new(PartBody::Reasoning(part)))
            .collect(),
        name: None,
        extra: fields,
    }
}

/// The texts of a list that has nothing else in it.
fn texts_of(value: &Value, kind: &str) -> Option<Vec<String>> {
    let all = value.as_array().filter(|all| !all.is_empty())?;
    let text = |entry: &Value| {
        let mut fields: Map<String, Value> = entry.as_object()?.clone();
        let own = text(&mut fields, "type")?;
        let words = text(&mut fields, "text")?;
        (own == kind && fields.is_empty()).then_some(words)
    };
    all.iter().map(text).collect()
}
