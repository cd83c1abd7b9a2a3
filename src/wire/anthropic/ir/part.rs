//! Blocks of content.

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::carrier::Carried;
use super::message::{decode_content, encode_content};
use super::tools::custom_input;
use super::{ANSWER_TOOL, UNKNOWN};
use crate::wire::ir::fields::{Encoder, cache_mark, flag, inside, list, put, put_cache_mark, text};
use crate::wire::ir::{
    Citation, ContentPart, Extra, MediaSource, PartBody, ReasoningPart, ToolCall, ToolCallKind,
    ToolResult,
};

/// The field in which thoughts stand here, as the neutral form notes it.
pub(super) const THINKING: &str = "thinking";
/// The media types of images that the API takes.
const IMAGES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];
/// How a PDF begins, in Base64.
const PDF: &str = "JVBERi";

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

fn decode_citations(fields: &mut Extra) -> Vec<Citation> {
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
        extra: fields,
    })
}

/// Where a picture or a document is; a source with other fields stays as it is.
fn decode_source(fields: &mut Extra, of_words: bool) -> Option<MediaSource> {
    let source = inside(fields, "source", |inner| {
        let mut own = inner.clone();
        let kind = text(&mut own, "type")?;
        let source = match kind.as_str() {
            "base64" => {
                let media = text(&mut own, "media_type")?;
                let data = text(&mut own, "data")?;
                let url = format!("data:{media};base64,{data}");
                // It must come back as it was.
                let same =
                    split_data(&url) == Some((&*media, &*data)) && !media.starts_with("text/");
                MediaSource::Url(same.then_some(url)?)
            }
            "text" if of_words => {
                let data = text(&mut own, "data")?;
                text(&mut own, "media_type").filter(|media| media == "text/plain")?;
                let data = BASE64.encode(data.as_bytes());
                MediaSource::Url(format!("data:text/plain;base64,{data}"))
            }
            "url" => {
                MediaSource::Url(text(&mut own, "url").filter(|url| !url.starts_with("data:"))?)
            }
            "file" => MediaSource::FileId(text(&mut own, "file_id")?),
            _ => return None,
        };
        own.is_empty().then(|| {
            inner.clear();
            source
        })
    })?;
    Some(source)
}

/// Media type and data of a `data:` URL in Base64.
pub(super) fn split_data(url: &str) -> Option<(&str, &str)> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    let media = head.strip_suffix(";base64")?;
    Some((media, data))
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
            encoder.lose(path, "the Messages API takes no sound");
            return None;
        }
        PartBody::Unknown { value, .. } if encoder.same => return Some(value),
        PartBody::Unknown { .. } => {
            encoder.lose(path, UNKNOWN);
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
pub(super) fn says(part: &ContentPart) -> bool {
    match &part.body {
        PartBody::Text { text, .. } | PartBody::Refusal(text) => !text.trim().is_empty(),
        _ => true,
    }
}

/// Whether a block is a text and nothing more.
pub(super) fn is_plain(block: &Value) -> bool {
    let fields = block.as_object();
    fields.is_some_and(|fields| fields.len() == 2 && fields.contains_key("text"))
}

/// The object that a call is made with. Arguments may be empty, or broken: then they are told as they came.
pub(super) fn input_of(kind: ToolCallKind, arguments: &str) -> Value {
    if kind == ToolCallKind::Custom {
        return custom_input(arguments.to_owned());
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
            encoder.lose(path, "a thought goes back to its maker only");
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

fn base64(media: &str, data: &str) -> Value {
    json!({"type": "base64", "media_type": media, "data": data})
}

fn encode_image(encoder: &mut Encoder, path: &str, source: MediaSource) -> Option<Value> {
    match source {
        MediaSource::FileId(id) if encoder.same => Some(json!({"type": "file", "file_id": id})),
        MediaSource::Url(url) => match split_data(&url) {
            Some((media, data)) if encoder.same => Some(base64(media, data)),
            Some((media, data)) => {
                let media = media
                    .split(';')
                    .next()
                    .unwrap_or(media)
                    .trim()
                    .to_ascii_lowercase();
                let media = if media == "image/jpg" {
                    "image/jpeg"
                } else {
                    &media
                };
                if !IMAGES.contains(&media) {
                    encoder.lose(path, "the Messages API takes no images of this type");
                    return None;
                }
                Some(base64(media, data))
            }
            None if encoder.same || url.starts_with("http") => {
                Some(json!({"type": "url", "url": url}))
            }
            None => {
                encoder.lose(path, "the address of an image is http or https");
                None
            }
        },
        MediaSource::FileId(_) | MediaSource::Inline(_) => {
            encoder.lose(path, "a file of another provider");
            None
        }
    }
}

fn encode_document(
    encoder: &mut Encoder,
    path: &str,
    source: MediaSource,
    name: Option<&str>,
) -> Option<Value> {
    let url = match source {
        MediaSource::FileId(id) if encoder.same => {
            return Some(json!({"type": "file", "file_id": id}));
        }
        MediaSource::FileId(_) => {
            encoder.lose(path, "a file of another provider");
            return None;
        }
        MediaSource::Url(url) | MediaSource::Inline(url) => url,
    };
    if let Some((media, data)) = split_data(&url) {
        if media.starts_with("text/") {
            let decoded = BASE64.decode(data.as_bytes()).ok();
            let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
            if let Some(text) = text {
                return Some(json!({"type": "text", "media_type": "text/plain", "data": text}));
            }
        }
        if encoder.same || media == "application/pdf" {
            return Some(base64(media, data));
        }
    } else if url.starts_with("http") || encoder.same {
        return Some(json!({"type": "url", "url": url}));
    } else if url.starts_with(PDF) || name.is_some_and(|name| name.ends_with(".pdf")) {
        return Some(base64("application/pdf", &url));
    }
    encoder.lose(path, "the Messages API takes documents as PDF or text");
    None
}

/// Whether a call is the answer itself (see [`ANSWER_TOOL`]).
pub(super) fn is_answer(name: &str) -> bool {
    name == ANSWER_TOOL
}
