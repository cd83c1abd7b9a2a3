//! Pictures, sounds and files: `inlineData` and `fileData`.

use serde_json::{Value, json};

use crate::wire::gemini::names::camel;
use crate::wire::ir::fields::{put, text};
use crate::wire::ir::{Extra, MediaSource, PartBody};

/// Media types by the ends of names, for media of which only an address or a name is known.
const BY_NAME: [(&str, &str); 24] = [
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("webp", "image/webp"),
    ("gif", "image/gif"),
    ("heic", "image/heic"),
    ("heif", "image/heif"),
    ("pdf", "application/pdf"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
    ("csv", "text/csv"),
    ("html", "text/html"),
    ("htm", "text/html"),
    ("xml", "text/xml"),
    ("json", "application/json"),
    ("js", "text/javascript"),
    ("py", "text/x-python"),
    ("css", "text/css"),
    ("rtf", "text/rtf"),
    ("mp4", "video/mp4"),
    ("webm", "video/webm"),
    ("mov", "video/mov"),
    ("mp3", "audio/mp3"),
    ("wav", "audio/wav"),
];

/// The media type of a file of this name, or at this address.
fn by_name(name: &str) -> Option<&'static str> {
    let name = name.split(['?', '#']).next()?;
    let (_, end) = name.rsplit_once('.')?;
    let found = BY_NAME
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(end));
    found.map(|(_, kind)| *kind)
}

/// What Google calls it.
fn usual(kind: &str) -> String {
    let kind = kind.trim().to_ascii_lowercase();
    match kind.as_str() {
        "image/jpg" | "image/pjpeg" => "image/jpeg".to_owned(),
        _ => kind,
    }
}

/// Base64 as other dialects take it. Google takes the alphabet for URLs too, in which its SDK for Python writes bytes.
fn usual_base64(mut data: String) -> String {
    if data.contains(['-', '_']) {
        data = data.replace('-', "+").replace('_', "/");
    }
    while data.len() % 4 > 1 {
        data.push('=');
    }
    data
}

/// A data URL's media type and its base64.
fn data_url(url: &str) -> Option<(&str, &str)> {
    let rest = url
        .get(..5)
        .filter(|start| start.eq_ignore_ascii_case("data:"))?;
    let rest = url.get(rest.len()..)?;
    let (head, data) = rest.split_once(',')?;
    let kind = head.strip_suffix(";base64")?;
    // Parameters such as a character set are no part of the type.
    Some((kind.split(';').next().unwrap_or_default(), data))
}

/// What a part with data in it, or an address, is; `None` for what only Google has, such as video.
pub(super) fn decode(fields: &mut Extra) -> Option<PartBody> {
    if let Some(Value::Object(blob)) = fields.get("inlineData") {
        let mut blob = blob.clone();
        let body = decode_inline(&mut blob)?;
        fields.remove("inlineData");
        return Some(body);
    }
    let Some(Value::Object(file)) = fields.get("fileData") else {
        return None;
    };
    let mut file = file.clone();
    let body = decode_file(&mut file)?;
    fields.remove("fileData");
    Some(body)
}

fn decode_inline(blob: &mut Extra) -> Option<PartBody> {
    camel(blob);
    let (kind, data) = (text(blob, "mimeType")?, text(blob, "data")?);
    let data = usual_base64(data);
    let name = text(blob, "displayName");
    if !blob.is_empty() {
        return None;
    }
    let (family, rest) = kind.split_once('/')?;
    let url = || format!("data:{};base64,{data}", usual(&kind));
    Some(match family {
        "image" if name.is_none() => PartBody::Image {
            source: MediaSource::Url(url()),
            detail: None,
        },
        "audio" if name.is_none() => PartBody::Audio {
            data,
            format: match rest {
                "mpeg" => "mp3".to_owned(),
                "x-wav" | "wave" => "wav".to_owned(),
                other => other.to_owned(),
            },
        },
        "video" => return None,
        _ => PartBody::Document {
            source: MediaSource::Url(url()),
            name,
        },
    })
}

/// Only what anybody can fetch: files that Google holds mean nothing elsewhere.
fn decode_file(file: &mut Extra) -> Option<PartBody> {
    camel(file);
    let uri = text(file, "fileUri")?;
    let kind = text(file, "mimeType").map(|kind| usual(&kind));
    let kind = kind.or_else(|| by_name(&uri).map(str::to_owned))?;
    let open = uri.starts_with("https://") || uri.starts_with("http://");
    let held = uri.contains("generativelanguage.googleapis.com") || uri.contains("youtube.com/");
    if !open || held || !file.is_empty() {
        return None;
    }
    let source = MediaSource::Url(uri);
    match kind.split_once('/')?.0 {
        "image" => Some(PartBody::Image {
            source,
            detail: None,
        }),
        "audio" | "video" => None,
        _ => Some(PartBody::Document { source, name: None }),
    }
}

/// The same with the file's name, which only Google's other API takes.
pub(super) fn encode_named(
    source: MediaSource,
    name: Option<String>,
    usual_kind: &'static str,
) -> Result<Extra, &'static str> {
    let mut part = encode(source, name.as_deref(), usual_kind)?;
    if let Some(Value::Object(blob)) = part.get_mut("inlineData") {
        put(blob, "displayName", name);
    }
    Ok(part)
}

/// The part for a picture or a file; an error names why there is none.
pub(super) fn encode(
    source: MediaSource,
    name: Option<&str>,
    usual_kind: &'static str,
) -> Result<Extra, &'static str> {
    let mut part = Extra::new();
    match source {
        MediaSource::FileId(id) if id.contains("://") => {
            part.insert("fileData".to_owned(), json!({"fileUri": id}));
        }
        MediaSource::FileId(_) => return Err("another provider holds this file"),
        MediaSource::Url(url) | MediaSource::Inline(url) => match data_url(&url) {
            Some((kind, data)) => {
                let kind = match kind {
                    "" => kind_of(name, data, usual_kind),
                    kind => usual(kind),
                };
                put(
                    &mut part,
                    "inlineData",
                    Some(json!({"mimeType": kind, "data": data})),
                );
            }
            None if url.contains("://") => {
                let kind = by_name(&url).unwrap_or(usual_kind);
                put(
                    &mut part,
                    "fileData",
                    Some(json!({"mimeType": kind, "fileUri": url})),
                );
            }
            None if url.starts_with("data:") => return Err("a data URL that is no base64"),
            None => {
                let kind = kind_of(name, &url, usual_kind);
                put(
                    &mut part,
                    "inlineData",
                    Some(json!({"mimeType": kind, "data": url})),
                );
            }
        },
    }
    Ok(part)
}

/// Of data without a media type: by the file's name, or by its first bytes.
fn kind_of(name: Option<&str>, data: &str, usual_kind: &'static str) -> String {
    const BEGINNINGS: [(&str, &str); 5] = [
        ("JVBERi0", "application/pdf"),
        ("iVBORw0KGgo", "image/png"),
        ("/9j/", "image/jpeg"),
        ("R0lGOD", "image/gif"),
        ("UklGR", "image/webp"),
    ];
    let named = name.and_then(by_name);
    let begun = || BEGINNINGS.iter().find(|(start, _)| data.starts_with(start));
    let kind = named.or_else(|| begun().map(|(_, kind)| *kind));
    kind.unwrap_or(usual_kind).to_owned()
}

/// The part for a sound.
pub(super) fn encode_audio(data: &str, format: &str) -> Extra {
    let mut part = Extra::new();
    let kind = match format {
        "" => "audio/wav".to_owned(),
        format if format.contains('/') => format.to_owned(),
        format => format!("audio/{format}"),
    };
    put(
        &mut part,
        "inlineData",
        Some(json!({"mimeType": kind, "data": data})),
    );
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(url: &str) -> Value {
        let source = MediaSource::Url(url.to_owned());
        Value::Object(encode(source, None, "image/jpeg").unwrap())
    }

    #[test]
    fn data_urls_go_inside_and_addresses_stay_addresses() {
        assert_eq!(
            url("data:image/jpg;base64,UA=="),
            json!({"inlineData": {"mimeType": "image/jpeg", "data": "UA=="}})
        );
        assert_eq!(
            url("DATA:image/png;charset=x;base64,UA=="),
            json!({"inlineData": {"mimeType": "image/png", "data": "UA=="}})
        );
        assert_eq!(
            url("https://x.example/a.webp?b=c.d"),
            json!({"fileData": {"mimeType": "image/webp", "fileUri": "https://x.example/a.webp?b=c.d"}})
        );
        let bare = encode(
            MediaSource::Inline("JVBERi0xLjc=".to_owned()),
            None,
            "text/plain",
        );
        assert_eq!(bare.unwrap()["inlineData"]["mimeType"], "application/pdf");
        let held = encode(MediaSource::FileId("file-1".to_owned()), None, "text/plain");
        assert!(held.is_err());
    }

    #[test]
    fn what_only_google_holds_is_left_as_it_is() {
        for part in [
            json!({"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/a", "mimeType": "image/png"}}),
            json!({"fileData": {"fileUri": "gs://a/b.png", "mimeType": "image/png"}}),
            json!({"inlineData": {"mimeType": "video/mp4", "data": "UA=="}}),
        ] {
            let Value::Object(mut fields) = part.clone() else {
                unreachable!()
            };
            assert_eq!(decode(&mut fields), None);
            assert_eq!(Value::Object(fields), part);
        }
    }
}
