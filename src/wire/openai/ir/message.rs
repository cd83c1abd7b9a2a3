//! Messages and their parts.

use serde_json::{Value, json};

use super::citation::{decode_citations, encode_citation};
use super::fields::{Encoder, cache_mark, fill, inside, list, put, put_cache_mark, put_in, text};
use super::makers::{format_of, maker};
use crate::wire::ir::{
    ChatMessage, ChatRole, ContentPart, Extra, MediaSource, PartBody, ReasoningPart, ToolCall,
    ToolCallKind, ToolResult,
};

/// Why a part of another dialect's own is not carried over.
pub(super) const NO_PART: &str = "chat completions have no such part";
/// Why a file is not carried over.
const HELD: &str = "chat completions take files by their contents, or by a name that only the other provider knows";
/// The fields of reasoning, by the APIs that have them: DeepSeek's, OpenRouter's old one, OpenRouter's list.
const REASONING: &str = "reasoning_content";
const REASONING_OLD: &str = "reasoning";
const REASONING_LIST: &str = "reasoning_details";

pub(super) fn role_of(word: &str) -> ChatRole {
    match word {
        "system" => ChatRole::System,
        "developer" => ChatRole::Developer,
        "user" => ChatRole::User,
        "assistant" => ChatRole::Assistant,
        "tool" => ChatRole::Tool,
        other => ChatRole::Other(other.to_owned()),
    }
}

pub(super) fn word_of(role: ChatRole) -> String {
    match role {
        ChatRole::System => "system".to_owned(),
        ChatRole::Developer => "developer".to_owned(),
        ChatRole::User => "user".to_owned(),
        ChatRole::Assistant => "assistant".to_owned(),
        ChatRole::Tool => "tool".to_owned(),
        ChatRole::Other(other) => other,
    }
}

/// A message of this role from the other fields of its object.
pub(super) fn decode_message(role: ChatRole, mut fields: Extra) -> ChatMessage {
    let mut parts = decode_reasoning(&mut fields);
    let name = text(&mut fields, "name");
    let content = decode_content(&mut fields);
    let call_id = match role {
        ChatRole::Tool => text(&mut fields, "tool_call_id"),
        _ => None,
    };
    match call_id {
        Some(call_id) => {
            let content = content.unwrap_or_default();
            parts.push(ContentPart::new(PartBody::ToolResult(ToolResult {
                call_id,
                content,
                is_error: None,
            })));
        }
        None => parts.extend(content.unwrap_or_default()),
    }
    let refusal = text(&mut fields, "refusal").map(PartBody::Refusal);
    parts.extend(refusal.map(ContentPart::new));
    let calls = list(&mut fields, "tool_calls").unwrap_or_default();
    parts.extend(calls.into_iter().map(decode_call));
    if let Some(PartBody::Text { citations, .. }) = sole_text(&mut parts) {
        *citations = decode_citations(&mut fields);
    }
    ChatMessage {
        role,
        parts,
        name,
        extra: fields,
    }
}

/// The only text of a message: what annotations are about.
fn sole_text(parts: &mut [ContentPart]) -> Option<&mut PartBody> {
    let mut texts = parts
        .iter_mut()
        .map(|part| &mut part.body)
        .filter(|body| matches!(body, PartBody::Text { .. }));
    let first = texts.next();
    first.filter(|_| texts.next().is_none())
}

fn decode_reasoning(fields: &mut Extra) -> Vec<ContentPart> {
    let mut parts = Vec::new();
    for field in [REASONING, REASONING_OLD] {
        if let Some(text) = text(fields, field) {
            let reasoning = ReasoningPart {
                text: Some(text),
                field,
                ..ReasoningPart::default()
            };
            parts.push(ContentPart::new(PartBody::Reasoning(reasoning)));
        }
    }
    let details = list(fields, REASONING_LIST).unwrap_or_default();
    parts.extend(details.into_iter().map(decode_detail));
    parts
}

pub(super) fn decode_detail(value: Value) -> ContentPart {
    let Value::Object(mut fields) = value else {
        return unknown(REASONING_LIST, value);
    };
    let reasoning = ReasoningPart {
        text: text(&mut fields, "text"),
        signature: text(&mut fields, "signature"),
        encrypted: text(&mut fields, "data"),
        id: text(&mut fields, "id"),
        maker: maker(&fields),
        field: REASONING_LIST,
    };
    ContentPart {
        extra: fields,
        ..ContentPart::new(PartBody::Reasoning(reasoning))
    }
}

fn unknown(field: &'static str, value: Value) -> ContentPart {
    ContentPart::new(PartBody::Unknown { field, value })
}

/// A text, or a list of parts with something in it.
fn decode_content(fields: &mut Extra) -> Option<Vec<ContentPart>> {
    if let Some(text) = text(fields, "content") {
        return Some(vec![ContentPart::text(text)]);
    }
    let parts = list(fields, "content")?;
    Some(parts.into_iter().map(decode_part).collect())
}

fn decode_part(value: Value) -> ContentPart {
    let Value::Object(mut fields) = value else {
        return unknown("content", value);
    };
    let kind = fields.get("type").and_then(Value::as_str).unwrap_or("");
    let body = match kind {
        "text" => text(&mut fields, "text").map(|text| PartBody::Text {
            text,
            citations: Vec::new(),
        }),
        "image_url" => inside(&mut fields, "image_url", |inner| {
            let url = text(inner, "url")?;
            let detail = text(inner, "detail");
            let source = MediaSource::Url(url);
            Some(PartBody::Image { source, detail })
        }),
        "input_audio" => inside(&mut fields, "input_audio", |inner| {
            let (data, format) = both(inner, "data", "format")?;
            Some(PartBody::Audio { data, format })
        }),
        "file" => inside(&mut fields, "file", |inner| {
            let inline = text(inner, "file_data").map(MediaSource::Inline);
            let source = inline.or_else(|| text(inner, "file_id").map(MediaSource::FileId))?;
            let name = text(inner, "filename");
            Some(PartBody::Document { source, name })
        }),
        // Beside other parts: one that is a field of the message has no type.
        "refusal" => text(&mut fields, "refusal").map(PartBody::Refusal),
        _ => None,
    };
    let Some(body) = body else {
        return unknown("content", Value::Object(fields));
    };
    if !matches!(body, PartBody::Refusal(_)) {
        fields.remove("type");
    }
    ContentPart {
        cache: cache_mark(&mut fields),
        body,
        extra: fields,
    }
}

/// Two texts, or none of them.
fn both(fields: &mut Extra, one: &str, other: &str) -> Option<(String, String)> {
    let is_text = |name| fields.get(name).is_some_and(Value::is_string);
    if !is_text(one) || !is_text(other) {
        return None;
    }
    text(fields, one).zip(text(fields, other))
}

fn decode_call(value: Value) -> ContentPart {
    let Value::Object(mut fields) = value else {
        return unknown("tool_calls", value);
    };
    let kind = match fields.get("type").and_then(Value::as_str) {
        Some("custom") => ToolCallKind::Custom,
        Some("function") => ToolCallKind::Function,
        // Some leave it out.
        None if !fields.contains_key("type") => ToolCallKind::Function,
        _ => return unknown("tool_calls", Value::Object(fields)),
    };
    let (place, input) = places(kind);
    let said = inside(&mut fields, place, |inner| both(inner, "name", input));
    let Some((name, arguments)) = said else {
        return unknown("tool_calls", Value::Object(fields));
    };
    fields.remove("type");
    let call = ToolCall {
        id: text(&mut fields, "id"),
        name,
        arguments,
        kind,
        signature: signature(&mut fields),
    };
    ContentPart {
        extra: fields,
        ..ContentPart::new(PartBody::ToolCall(call))
    }
}

/// The fields of a call's name and input.
pub(super) const fn places(kind: ToolCallKind) -> (&'static str, &'static str) {
    match kind {
        ToolCallKind::Function => ("function", "arguments"),
        ToolCallKind::Custom => ("custom", "input"),
    }
}

/// Google's signature of the reasoning that led to a call.
pub(super) fn signature(fields: &mut Extra) -> Option<String> {
    inside(fields, "extra_content", |content| {
        inside(content, "google", |google| {
            text(google, "thought_signature")
        })
    })
}

pub(super) fn put_signature(fields: &mut Extra, signature: Option<String>) {
    if let Some(signature) = signature {
        fill(fields, "extra_content", |content| {
            put_in(content, "google", "thought_signature", Some(signature));
        });
    }
}

/// A message as chat completions have it; a message with results of tools beside other parts becomes several.
pub(super) fn encode_message(
    encoder: &mut Encoder,
    path: &str,
    message: ChatMessage,
) -> Vec<Value> {
    let mut fields = encoder.begin(path, message.extra);
    let is_tool = message.role == ChatRole::Tool;
    let is_answer = message.role == ChatRole::Assistant;
    put(&mut fields, "role", Some(word_of(message.role)));
    put(&mut fields, "name", message.name);
    let mut all = Vec::new();
    let mut lists = Lists::default();
    let mut others = message.parts.is_empty();
    for (at, part) in message.parts.into_iter().enumerate() {
        let path = format!("{path}.content[{at}]");
        match part.body {
            PartBody::ToolResult(result) if is_tool => {
                fields.extend(encoder.begin(&path, part.extra));
                encode_result(encoder, &path, &mut fields, result);
            }
            PartBody::ToolResult(result) => {
                let mut own = encoder.begin(&path, part.extra);
                put(&mut own, "role", Some("tool"));
                encode_result(encoder, &path, &mut own, result);
                all.push(Value::Object(own));
            }
            body
            @ (PartBody::Image { .. } | PartBody::Audio { .. } | PartBody::Document { .. })
                if is_answer && !encoder.same =>
            {
                others = true;
                let word = body.word().to_owned();
                match image_of(body) {
                    Some(image) => lists.images.push(image),
                    None => encoder.lose_part(&path, &word, NO_PART),
                }
            }
            body => {
                others = true;
                let part = ContentPart { body, ..part };
                lists.add(encoder, &path, &mut fields, part);
            }
        }
    }
    lists.put(&mut fields);
    if others || is_tool {
        if !encoder.same && fields.get("role").is_some_and(|role| role == "assistant") {
            // Required, if there are no calls.
            fields.entry("content").or_insert(Value::Null);
        }
        all.push(Value::Object(fields));
    }
    all
}

/// A picture that the model made, as OpenRouter and others have it; `None` for anything else.
pub(super) fn image_of(body: PartBody) -> Option<Value> {
    match body {
        PartBody::Image {
            source: MediaSource::Url(url) | MediaSource::Inline(url),
            ..
        } => Some(json!({"type": "image_url", "image_url": {"url": url}})),
        _ => None,
    }
}

fn encode_result(encoder: &mut Encoder, path: &str, fields: &mut Extra, result: ToolResult) {
    put(fields, "tool_call_id", Some(result.call_id));
    if result.is_error == Some(true) {
        encoder.lose(
            format!("{path}.is_error"),
            "a tool's result has no mark of an error",
        );
    }
    let mut lists = Lists::default();
    for (at, part) in result.content.into_iter().enumerate() {
        lists.add(encoder, &format!("{path}.content[{at}]"), fields, part);
    }
    lists.put(fields);
}

/// The lists of a message, as they fill up.
#[derive(Default)]
struct Lists {
    content: Vec<Value>,
    calls: Vec<Value>,
    details: Vec<Value>,
    citations: Vec<Value>,
    images: Vec<Value>,
}

impl Lists {
    fn add(&mut self, encoder: &mut Encoder, path: &str, fields: &mut Extra, part: ContentPart) {
        let ContentPart { body, cache, extra } = part;
        let mut own = encoder.begin(path, extra);
        match body {
            PartBody::Text { text, citations } => {
                put(&mut own, "type", Some("text"));
                put(&mut own, "text", Some(text));
                let citations = citations
                    .into_iter()
                    .map(|citation| encode_citation(encoder, path, citation));
                self.citations.extend(citations);
            }
            PartBody::Image { source, detail } => {
                if matches!(source, MediaSource::FileId(_)) && !encoder.same {
                    return encoder.lose(format!("{path}.file_id"), HELD);
                }
                put(&mut own, "type", Some("image_url"));
                let (MediaSource::Url(url) | MediaSource::FileId(url) | MediaSource::Inline(url)) =
                    source;
                put_in(&mut own, "image_url", "url", Some(url));
                put_in(&mut own, "image_url", "detail", detail);
            }
            PartBody::Audio { data, format } => {
                put(&mut own, "type", Some("input_audio"));
                put_in(&mut own, "input_audio", "data", Some(data));
                put_in(&mut own, "input_audio", "format", Some(format));
            }
            PartBody::Document { source, name } => {
                let is_address = |source: &MediaSource| match source {
                    MediaSource::Url(url) => !url.starts_with("data:"),
                    MediaSource::FileId(_) => true,
                    MediaSource::Inline(_) => false,
                };
                if is_address(&source) && !encoder.same {
                    return encoder.lose(format!("{path}.file"), HELD);
                }
                put(&mut own, "type", Some("file"));
                let (field, value) = match source {
                    MediaSource::FileId(id) => ("file_id", id),
                    MediaSource::Inline(data) | MediaSource::Url(data) => ("file_data", data),
                };
                put_in(&mut own, "file", field, Some(value));
                // Hosts refuse the data of a file that has no name.
                let unnamed = (!encoder.same && field == "file_data").then(|| "file".to_owned());
                put_in(&mut own, "file", "filename", name.or(unnamed));
            }
            PartBody::ToolCall(call) => return self.calls.push(encode_call(own, call)),
            PartBody::Reasoning(reasoning) => return self.reason(own, fields, reasoning),
            PartBody::Refusal(words) if own.contains_key("type") => {
                put(&mut own, "refusal", Some(words));
            }
            PartBody::Refusal(words) => return put(fields, "refusal", Some(words)),
            PartBody::Unknown { field, value } if encoder.same => {
                return match field {
                    "tool_calls" => self.calls.push(value),
                    REASONING_LIST => self.details.push(value),
                    _ => self.content.push(value),
                };
            }
            body @ (PartBody::Unknown { .. } | PartBody::ToolResult(_)) => {
                return encoder.lose_part(path, body.word(), NO_PART);
            }
        }
        put_cache_mark(&mut own, cache);
        self.content.push(Value::Object(own));
    }

    fn reason(&mut self, mut own: Extra, fields: &mut Extra, reasoning: ReasoningPart) {
        let ReasoningPart {
            text,
            signature,
            encrypted,
            id,
            maker,
            field,
        } = reasoning;
        if field == REASONING || field == REASONING_OLD {
            return put(fields, field, text);
        }
        let foreign = field != REASONING_LIST;
        if foreign {
            // Words go where every client looks for them, and what only the provider reads beside them.
            if let Some(text) = &text {
                let before = fields.get(REASONING).and_then(Value::as_str).unwrap_or("");
                // The parts of a summary are paragraphs.
                let between = match field {
                    "summary" if !before.is_empty() => "\n\n",
                    _ => "",
                };
                let all = format!("{before}{between}{text}");
                put(fields, REASONING, Some(all));
            }
            if signature.is_none() && encrypted.is_none() {
                return;
            }
            let kind = if encrypted.is_some() {
                "reasoning.encrypted"
            } else {
                "reasoning.text"
            };
            put(&mut own, "type", Some(kind));
            let format = maker.map(|maker| format_of(&maker).to_owned());
            put(&mut own, "format", format);
        }
        put(&mut own, "text", text);
        put(&mut own, "signature", signature);
        put(&mut own, "data", encrypted);
        put(&mut own, "id", id);
        self.details.push(Value::Object(own));
    }

    fn put(self, fields: &mut Extra) {
        let mut content = self.content;
        let plain = match content.as_mut_slice() {
            // What upstreams understand best, and all that some do.
            [Value::Object(part)] if is_plain(part) => part.get_mut("text").map(Value::take),
            _ => None,
        };
        let lists = [
            ("tool_calls", self.calls),
            (REASONING_LIST, self.details),
            ("annotations", self.citations),
            ("images", self.images),
            (
                "content",
                if plain.is_some() { Vec::new() } else { content },
            ),
        ];
        for (name, list) in lists {
            put(fields, name, (!list.is_empty()).then_some(list));
        }
        put(fields, "content", plain);
    }
}

/// A part that is a text and nothing more.
fn is_plain(part: &Extra) -> bool {
    let is = |name: &str, wanted: fn(&str) -> bool| {
        part.get(name).and_then(Value::as_str).is_some_and(wanted)
    };
    part.len() == 2 && is("type", |kind| kind == "text") && is("text", |_| true)
}

fn encode_call(mut own: Extra, call: ToolCall) -> Value {
    let (place, input) = places(call.kind);
    put(&mut own, "id", call.id);
    put(&mut own, "type", Some(place));
    put_in(&mut own, place, "name", Some(call.name));
    put_in(&mut own, place, input, Some(call.arguments));
    put_signature(&mut own, call.signature);
    Value::Object(own)
}
