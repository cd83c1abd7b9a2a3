//! Parts of messages and results, written.

use serde_json::Value;

use super::fields::{Encoder, UNKNOWN, fill, put};
use super::item::words_of;
use crate::wire::ir::{ChatRole, Citation, ContentPart, Extra, MediaSource, PartBody};

/// Writes a part of a message or of a result; `None` for one that has no place here.
pub(super) fn encode_part(
    encoder: &mut Encoder,
    path: &str,
    role: &ChatRole,
    part: ContentPart,
) -> Option<Value> {
    let ContentPart { body, cache, extra } = part;
    let mut own = encoder.begin(path, extra);
    if cache.is_some() {
        encoder.lose(format!("{path}.cache_control"), UNKNOWN);
    }
    match body {
        PartBody::Text { text, citations } => {
            own.entry("type").or_insert(words_of(role).into());
            put(&mut own, "text", Some(text));
            put_citations(encoder, path, &mut own, citations);
        }
        PartBody::Image {
            source: MediaSource::FileId(_),
            ..
        }
        | PartBody::Document {
            source: MediaSource::FileId(_),
            ..
        } if !encoder.same => {
            let why = "a file that only the other provider has";
            encoder.lose_part(path, body.word(), why);
            return None;
        }
        PartBody::Image { source, detail } => {
            put(&mut own, "type", Some("input_image"));
            let (field, value) = match source {
                MediaSource::FileId(id) => ("file_id", id),
                MediaSource::Url(url) | MediaSource::Inline(url) => ("image_url", url),
            };
            put(&mut own, field, Some(value));
            put(&mut own, "detail", detail);
        }
        PartBody::Document { source, name } => {
            put_file(encoder, &mut own, source, name);
        }
        PartBody::Audio { data, format } => {
            put(&mut own, "type", Some("input_audio"));
            fill(&mut own, "input_audio", |inner| {
                put(inner, "data", Some(data));
                put(inner, "format", Some(format));
            });
        }
        PartBody::Refusal(words) => {
            put(&mut own, "type", Some("refusal"));
            put(&mut own, "refusal", Some(words));
        }
        PartBody::Unknown { value, .. } if encoder.same => return Some(value),
        body @ (PartBody::Unknown { .. }
        | PartBody::ToolCall(_)
        | PartBody::ToolResult(_)
        | PartBody::Reasoning(_)) => {
            encoder.lose_part(path, body.word(), "the Responses API has no such part");
            return None;
        }
    }
    Some(Value::Object(own))
}

/// A file, by what is known of it.
fn put_file(encoder: &Encoder, own: &mut Extra, source: MediaSource, name: Option<String>) {
    put(own, "type", Some("input_file"));
    let is_data = |url: &str| !encoder.same && url.starts_with("data:");
    let (field, value) = match source {
        MediaSource::FileId(id) => ("file_id", id),
        MediaSource::Url(url) if !is_data(&url) => ("file_url", url),
        MediaSource::Url(data) | MediaSource::Inline(data) => ("file_data", data),
    };
    put(own, field, Some(value));
    // Required beside the data of a file.
    let unnamed = (!encoder.same && field == "file_data").then(|| "file".to_owned());
    put(own, "filename", name.or(unnamed));
}

/// Where words are from: only what tells which words those are.
fn put_citations(encoder: &mut Encoder, path: &str, own: &mut Extra, citations: Vec<Citation>) {
    let (all, same) = (citations.len(), encoder.same);
    let kept = citations
        .into_iter()
        .filter(|one| same || one.span.is_some());
    let citations: Vec<Value> = kept
        .map(|one| encode_citation(encoder, path, one))
        .collect();
    if citations.len() < all {
        let why = "a citation tells which words it is about";
        encoder.lose(format!("{path}.citations"), why);
    }
    put(
        own,
        "annotations",
        (!citations.is_empty()).then_some(citations),
    );
}

fn encode_citation(encoder: &mut Encoder, path: &str, citation: Citation) -> Value {
    let mut own = encoder.begin(&format!("{path}.citations"), citation.extra);
    put(&mut own, "type", Some("url_citation"));
    put(&mut own, "url", citation.url);
    put(&mut own, "title", citation.title);
    if let Some((start, end)) = citation.span {
        put(&mut own, "start_index", Some(start));
        put(&mut own, "end_index", Some(end));
    }
    Value::Object(own)
}
