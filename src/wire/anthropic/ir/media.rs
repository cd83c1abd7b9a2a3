//! Pictures and documents.

use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::wire::ir::fields::{Encoder, inside, text};
use crate::wire::ir::{Extra, MediaSource};

/// The media types of images that the API takes.
const IMAGES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];
/// How a PDF begins, in Base64.
const PDF: &str = "JVBERi";

/// Where a picture or a document is; a source with other fields stays as it is.
pub(super) fn decode_source(fields: &mut Extra, of_words: bool) -> Option<MediaSource> {
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
fn split_data(url: &str) -> Option<(&str, &str)> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    let media = head.strip_suffix(";base64")?;
    Some((media, data))
}

fn base64(media: &str, data: &str) -> Value {
    json!({"type": "base64", "media_type": media, "data": data})
}

/// The source of a picture, where the API takes it.
pub(super) fn encode_image(
    encoder: &mut Encoder,
    path: &str,
    source: MediaSource,
) -> Option<Value> {
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

/// The source of a document, where the API takes it.
pub(super) fn encode_document(
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
