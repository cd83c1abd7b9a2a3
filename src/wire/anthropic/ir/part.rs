//! Blocks of content.

use serde_json::{Value, json};

use super::carrier::Carried;
use super::media::{decode_source, encode_document, encode_image};
use super::words::{ANSWER_TOOL, UNKNOWN};
use crate::wire::ir::fields::{Encoder, cache_mark, flag, list, put, put_cache_mark, text};
use crate::wire::ir::{
    Citation, ContentPart, Extra, PartBody, ReasoningPart, ToolCall, ToolCallKind, ToolResult,
};

/// The field in which thoughts stand here, as the neutral form notes it.
pub(super) const THINKING: &str = "thinking";
/// The parts of a content, which may be a text alone: that is marked.
pub(super) fn decode_content(fields: &mut Extra) -> Vec<ContentPart> {
    if let Some(text) = text(fields, "content") {
        fields.insert("content".to_owned(), Value::Null);
        return vec![ContentPart::text(text)];
    }
    list(fields, "content")
        .map(decode_parts)
        .unwrap_or_default()
}

/// The same back: a text alone where it was one.
pub(super) fn encode_content(
    encoder: &mut Encoder,
    path: &str,
    fields: &mut Extra,
    parts: Vec<ContentPart>,
) {
    let was_text = fields.get("content") == Some(&Value::Null);
    let mut blocks: Vec<Value> = parts
        .into_iter()
        .enumerate()
        .filter_map(|(at, part)| encode_part(encoder, &format!("{path}.content[{at}]"), part))
        .collect();
    let content = match blocks.as_mut_slice() {
        [] => return,
        [block] if was_text && is_plain(block) => block.get_mut("text").map(Value::take),
        _ => Some(Value::Array(blocks)),
    };
    put(fields, "content", content);
}

/// All blocks of a list. What another provider wants back with a call is joined to it.
pub(super) fn decode_parts(blocks: Vec<Value>) -> Vec<ContentPart> {
    let mut parts = Vec::with_capacity(blocks.len());
    let mut signature: Option<String> = None;
    for block in blocks {
        let mut part = decode_part(block);
        if let PartBody::Reasoning(reasoning) = &mut part.body {
            let place = match reasoning.encrypted.is_some() {
                true => &mut reasoning.encrypted,
                false => &mut reasoning.signature,
            };
            if let Some(carried) = place.as_deref().and_then(Carried::read) {
                if carried.of_call {
                    signature = carried.signature;
                    continue;
                }
                reasoning.signature = carried.signature;
                reasoning.encrypted = carried.encrypted;
                reasoning.id = carried.id;
                reasoning.maker = carried.maker.map(Into::into);
            }
        }
        if let PartBody::ToolCall(call) = &mut part.body {
            call.signature = signature.take();
        }
        parts.push(part);
    }
    parts
}

fn unknown(value: Value) -> ContentPart {
    ContentPart::new(PartBody::Unknown {
        field: "content",
        value,
    })
}

fn decode_part(value: Value) -> ContentPart {
    let Value::Object(mut fields) = value else {
        return unknown(value);
    };
    let kind = fields.get("type").and_then(Value::as_str).unwrap_or("");
    let body = match kind {
        "text" => text(&mut fields, "text").map(|text| PartBody::Text {
            text,
            citations: decode_citations(&mut fields),
        }),
        "image" => decode_source(&mut fields, false).map(|source| PartBody::Image {
            source,
            detail: None,
        }),
        "document" => decode_source(&mut fields, true).map(|source| PartBody::Document {
            source,
            name: text(&mut fields, "title"),
        }),
        "tool_use" => decode_call(&mut fields).map(PartBody::ToolCall),
        "tool_result" => text(&mut fields, "tool_use_id").map(|call_id| {
            PartBody::ToolResult(ToolResult {
                call_id,
                content: decode_content(&mut fields),
                is_error: flag(&mut fields, "is_error"),
            })
        }),
        THINKING => text(&mut fields, THINKING).map(|thought| {
            PartBody::Reasoning(ReasoningPart {
                text: Some(thought),
                signature: text(&mut fields, "signature"),
                maker: Some(super::super::ID.into()),
                field: THINKING,
                ..ReasoningPart::default()
            })
        }),
        "redacted_thinking" => text(&mut fields, "data").map(|data| {
            PartBody::Reasoning(ReasoningPart {
                encrypted: Some(data),
                maker: Some(super::super::ID.into()),
                field: THINKING,
                ..ReasoningPart::default()
            })
        }),
        _ => None,
    };
    let Some(body) = body else {
        return unknown(Value::Object(fields));
    };
    fields.remove("type");
    ContentPart {
        cache: cache_mark(&mut fields),
        body,
        extra: fields,
    }
}

/// A call's input is an object; anything else stays as it is.
pub(super) fn decode_call(fields: &mut Extra) -> Option<ToolCall> {
    let input = fields.get("input").filter(|input| input.is_object())?;
    let arguments = input.to_string();
    let name = text(fields, "name")?;
    fields.remove("input");
    Some(ToolCall {
        id: text(fields, "id"),
        name,
        arguments,
        kind: ToolCallKind::Function,
        signature: None,
    })
}

pub(super) fn decode_citations(fields: &mut Extra) -> Vec<Citation> {
    let all = list(fields, "citations").unwrap_or_default();
    if !all.iter().all(Value::is_object) {
        fields.insert("citations".to_owned(), Value::Array(all));
        return Vec::new();
    }
    all.into_iter().filter_map(decode_citation).collect()
}

/// One place that words are from: a page has an address, a document of the request has none.
pub(super) fn decode_citation(value: Value) -> Option<Citation> {
    let Value::Object(mut fields) = value else {
        return None;
    };
    Some(Citation {
        url: text(&mut fields, "url"),
        title: text(&mut fields, "title"),
        span: None,
        extra: fields,
    })
}

/// A block, as far as there is one for the part.
pub(super) fn encode_part(encoder: &mut Encoder, path: &str, part: ContentPart) -> Option<Value> {
    let ContentPart { body, cache, extra } = part;
    let mut own = match &body {
        // What stands beside a thought tells of its maker.
        PartBody::Reasoning(_) if !encoder.same => Extra::new(),
        _ => encoder.begin(path, extra),
    };
    let kind = match body {
        PartBody::Text { text, citations } => {
            put(&mut own, "text", Some(text));
            let citations = encode_citations(encoder, path, citations);
            put(
                &mut own,
                "citations",
                (!citations.is_empty()).then_some(citations),
            );
            "text"
        }
        PartBody::Refusal(text) => {
            put(&mut own, "text", Some(text));
            "text"
        }
        PartBody::Image { source, detail } => {
            if detail.is_some_and(|detail| detail != "auto") {
                encoder.lose(format!("{path}.detail"), UNKNOWN);
            }
            let source = encode_image(encoder, path, source)?;
            put(&mut own, "source", Some(source));
            "image"
        }
        PartBody::Document { source, name } => {
            let source = encode_document(encoder, path, source, name.as_deref())?;
            put(&mut own, "source", Some(source));
            put(&mut own, "title", name);
            "document"
        }
        PartBody::ToolCall(call) => encode_call(encoder, path, &mut own, call),
        PartBody::ToolResult(result) => encode_result(encoder, path, &mut own, result),
        PartBody::Reasoning(thought) => encode_thought(encoder, path, &mut own, thought)?,
        PartBody::Audio { .. } => {
            encoder.lose_part(path, "audio", "the Messages API takes no sound");
            return None;
        }
        PartBody::Unknown { value, .. } if encoder.same => return Some(value),
        unknown @ PartBody::Unknown { .. } => {
            encoder.lose_part(path, unknown.word(), UNKNOWN);
            return None;
        }
    };
    put(&mut own, "type", Some(kind));
    put_cache_mark(&mut own, cache);
    Some(Value::Object(own))
}

fn encode_call(encoder: &mut Encoder, path: &str, own: &mut Extra, call: ToolCall) -> &'static str {
    if call.signature.is_some() {
        encoder.lose(format!("{path}.signature"), "only its maker can read it");
    }
    put(own, "id", call.id);
    put(own, "input", Some(input_of(call.kind, &call.arguments)));
    put(own, "name", Some(call.name));
    "tool_use"
}

fn encode_result(
    encoder: &mut Encoder,
    path: &str,
    own: &mut Extra,
    result: ToolResult,
) -> &'static str {
    put(own, "tool_use_id", Some(result.call_id));
    let failed = result.is_error.filter(|failed| encoder.same || *failed);
    put(own, "is_error", failed);
    let content = match encoder.same {
        true => result.content,
        false => result.content.into_iter().filter(says).collect(),
    };
    encode_content(encoder, path, own, content);
    "tool_result"
}

/// Whether a part is more than white space, which the API refuses.
pub(in crate::wire) fn says(part: &ContentPart) -> bool {
    match &part.body {
        PartBody::Text { text, .. } | PartBody::Refusal(text) => !text.trim().is_empty(),
        _ => true,
    }
}

/// Whether a block is a text and nothing more.
fn is_plain(block: &Value) -> bool {
    let fields = block.as_object();
    fields.is_some_and(|fields| fields.len() == 2 && fields.contains_key("text"))
}

/// What a tool is called with that takes any text elsewhere, as
/// [`into_function`](crate::wire::ir::ToolDefinition::into_function) has it.
pub(super) fn custom_input(text: &str) -> Value {
    json!({"input": text})
}

/// The object that a call is made with. Arguments may be empty, or broken: then they are told as they came.
pub(in crate::wire) fn input_of(kind: ToolCallKind, arguments: &str) -> Value {
    if kind == ToolCallKind::Custom {
        return custom_input(arguments);
    }
    match serde_json::from_str::<Value>(arguments) {
        Ok(object @ Value::Object(_)) => object,
        _ if arguments.trim().is_empty() => json!({}),
        Ok(Value::Null) => json!({}),
        Ok(other) => json!({"arguments": other}),
        Err(_) => json!({"arguments": arguments}),
    }
}

/// A thought that Anthropic signed; one of another maker would make it refuse the whole request.
fn encode_thought(
    encoder: &mut Encoder,
    path: &str,
    own: &mut Extra,
    thought: ReasoningPart,
) -> Option<&'static str> {
    let ours = |maker: &str| maker == super::super::ID;
    let known = thought.maker.as_deref().map(ours);
    let signed = thought
        .signature
        .as_deref()
        .is_some_and(|signature| !signature.is_empty());
    if encoder.same {
        let kind = match thought.encrypted {
            Some(data) => {
                put(own, "data", Some(data));
                "redacted_thinking"
            }
            None => {
                put(own, THINKING, thought.text);
                put(own, "signature", thought.signature);
                THINKING
            }
        };
        return Some(kind);
    }
    match thought.encrypted {
        Some(data) if known == Some(true) => {
            put(own, "data", Some(data));
            Some("redacted_thinking")
        }
        // Of makers that are not told only Anthropic signs thoughts in words.
        None if signed && known.unwrap_or(true) => {
            put(own, THINKING, Some(thought.text.unwrap_or_default()));
            put(own, "signature", thought.signature);
            Some(THINKING)
        }
        _ => {
            let word = PartBody::Reasoning(thought);
            encoder.lose_part(path, word.word(), "a thought goes back to its maker only");
            None
        }
    }
}

fn encode_citations(encoder: &mut Encoder, path: &str, citations: Vec<Citation>) -> Vec<Value> {
    if !encoder.same && !citations.is_empty() {
        // Those of pages need what only Anthropic's search gives.
        encoder.lose(format!("{path}.citations"), UNKNOWN);
        return Vec::new();
    }
    let write = |citation: Citation| {
        let mut own = citation.extra;
        put(&mut own, "url", citation.url);
        put(&mut own, "title", citation.title);
        Value::Object(own)
    };
    citations.into_iter().map(write).collect()
}

/// Whether a call is the answer itself (see [`ANSWER_TOOL`]).
pub(in crate::wire) fn is_answer(name: &str) -> bool {
    name == ANSWER_TOOL
}
