//! Pictures, sounds and documents, which Converse takes as bytes or from S3: it fetches no addresses.

use std::collections::HashSet;

use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::wire::ir::MediaSource;

/// How a PDF begins, in Base64.
const PDF: &str = "JVBERi";
/// The longest name of a document, in bytes.
const LONGEST_NAME: usize = 200;

const IMAGES: [&str; 4] = ["png", "jpeg", "gif", "webp"];
const SOUNDS: [&str; 15] = [
    "mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a", "mpeg",
    "mpga", "pcm", "webm",
];
/// Media types of documents and what Converse calls their formats, which are the ends of their names too.
const DOCUMENTS: [(&str, &str); 9] = [
    ("application/pdf", "pdf"),
    ("text/csv", "csv"),
    ("application/msword", "doc"),
    (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "docx",
    ),
    ("application/vnd.ms-excel", "xls"),
    (
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "xlsx",
    ),
    ("text/html", "html"),
    ("text/plain", "txt"),
    ("text/markdown", "md"),
];

/// Media type, without its parameters, and data of a `data:` URL in Base64.
fn split_data(url: &str) -> Option<(String, &str)> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    let head = head.strip_suffix(";base64")?;
    let media = head.split(';').next().unwrap_or(head).trim();
    Some((media.to_ascii_lowercase(), data))
}

/// The end of a name, such as `png`.
fn extension(name: &str) -> Option<String> {
    let (_, end) = name.rsplit_once('.')?;
    Some(end.to_ascii_lowercase())
}

fn image_format(word: &str) -> Option<&'static str> {
    let word = if word == "jpg" { "jpeg" } else { word };
    IMAGES.into_iter().find(|format| *format == word)
}

/// A picture.
///
/// # Errors
/// Why it has no place.
pub(super) fn image(source: &MediaSource) -> Result<Value, &'static str> {
    const FORMATS: &str = "Converse takes images as PNG, JPEG, GIF or WebP";
    let MediaSource::Url(url) = source else {
        return Err("a file of another provider");
    };
    if url.starts_with("s3://") {
        let format = extension(url).and_then(|end| image_format(&end));
        let format = format.ok_or(FORMATS)?;
        return Ok(json!({"image": {"format": format, "source": {"s3Location": {"uri": url}}}}));
    }
    let (media, data) = split_data(url).ok_or("Converse fetches no addresses of images")?;
    let format = media.strip_prefix("image/").and_then(image_format);
    let format = format.ok_or(FORMATS)?;
    Ok(json!({"image": {"format": format, "source": {"bytes": data}}}))
}

/// A sound; `None` where Converse does not know its format.
pub(super) fn audio(data: &str, format: &str) -> Option<Value> {
    let format = SOUNDS.into_iter().find(|known| *known == format)?;
    Some(json!({"audio": {"format": format, "source": {"bytes": data}}}))
}

/// The names of documents, of which each may stand once in a request.
#[derive(Debug, Default)]
pub(super) struct DocumentNames(HashSet<String>);

impl DocumentNames {
    /// A name as Converse takes it: letters, digits, single spaces, `-`, `(`, `)`, `[`, `]`.
    fn fitting(&mut self, name: Option<&str>) -> String {
        let name = name.unwrap_or_default();
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        let kept = |c: char| match c.is_ascii_alphanumeric() || "-()[]".contains(c) {
            true => c,
            false => ' ',
        };
        let words: String = stem.chars().map(kept).collect();
        let mut base = words.split_whitespace().collect::<Vec<_>>().join(" ");
        base.truncate(LONGEST_NAME - 8);
        if base.is_empty() {
            "document".clone_into(&mut base);
        }
        let (mut own, mut number) = (base.trim_end().to_owned(), 2_u32);
        while !self.0.insert(own.clone()) {
            own = format!("{} {number}", base.trim_end());
            number += 1;
        }
        own
    }

    /// A document.
    ///
    /// # Errors
    /// Why it has no place.
    pub(super) fn document(
        &mut self,
        source: &MediaSource,
        name: Option<&str>,
    ) -> Result<Value, &'static str> {
        let url = match source {
            MediaSource::FileId(_) => return Err("a file of another provider"),
            MediaSource::Url(url) | MediaSource::Inline(url) => url.as_str(),
        };
        let by_end = |name: &str| {
            let end = extension(name)?;
            let mut known = DOCUMENTS.into_iter().map(|(_, format)| format);
            known.find(|format| *format == end)
        };
        let (format, source) = if let Some((media, data)) = split_data(url) {
            let known = DOCUMENTS.into_iter().find(|(known, _)| *known == media);
            let known = known
                .map(|(_, format)| format)
                .filter(|format| *format != "txt");
            let text = media.starts_with("text/").then_some("txt");
            let format = known.or_else(|| name.and_then(by_end)).or(text);
            (format, json!({"bytes": data}))
        } else if url.starts_with("s3://") {
            (by_end(url), json!({"s3Location": {"uri": url}}))
        } else if url.starts_with("http") {
            return Err("Converse fetches no addresses of documents");
        } else {
            let pdf = url.starts_with(PDF).then_some("pdf");
            let coded = BASE64.decode(url.as_bytes()).is_ok();
            let format = pdf.or_else(|| name.and_then(by_end)).filter(|_| coded);
            (format, json!({"bytes": url}))
        };
        let format = format.ok_or("Converse does not know the form of the document")?;
        let name = self.fitting(name);
        Ok(json!({"document": {"format": format, "name": name, "source": source}}))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn url(text: &str) -> MediaSource {
        MediaSource::Url(text.to_owned())
    }

    #[test]
    fn pictures_are_bytes_or_in_s3() {
        let png = image(&url("data:image/PNG;base64,AA==")).unwrap();
        assert_eq!(
            png,
            json!({"image": {"format": "png", "source": {"bytes": "AA=="}}})
        );
        let jpg = image(&url("data:image/jpg;base64,AA==")).unwrap();
        assert_eq!(jpg["image"]["format"], "jpeg");
        let far = image(&url("s3://bucket/a.webp")).unwrap();
        assert_eq!(
            far["image"]["source"]["s3Location"]["uri"],
            "s3://bucket/a.webp"
        );
        for bad in [
            "https://x/a.png",
            "data:image/svg+xml;base64,AA==",
            "s3://b/a",
        ] {
            assert!(image(&url(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn documents_have_a_format_and_a_name_of_their_own() {
        let mut names = DocumentNames::default();
        let pdf = url("data:application/pdf;base64,JVBERi0=");
        let one = names.document(&pdf, Some("a_b.v2.pdf")).unwrap();
        let other = names.document(&pdf, Some("a b v2.pdf")).unwrap();
        assert_eq!(one["document"]["name"], "a b v2");
        assert_eq!(other["document"]["name"], "a b v2 2");
        let csv = names
            .document(&url("data:text/plain;base64,AA=="), Some("t.csv"))
            .unwrap();
        assert_eq!(csv["document"]["format"], "csv");
        let text = names
            .document(&url("data:text/x-rust;base64,AA=="), None)
            .unwrap();
        assert_eq!(
            (&text["document"]["format"], &text["document"]["name"]),
            (&json!("txt"), &json!("document"))
        );
        let bare = MediaSource::Inline("JVBERi0=".to_owned());
        assert_eq!(
            names.document(&bare, None).unwrap()["document"]["format"],
            "pdf"
        );
        for bad in ["https://x/a.pdf", "data:application/zip;base64,AA==", "?"] {
            assert!(names.document(&url(bad), None).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_name_fits_and_is_used_once(names in prop::collection::vec("\\PC{0,300}", 1..6)) {
            let mut all = DocumentNames::default();
            let mut seen = HashSet::new();
            for name in names {
                let own = all.fitting(Some(&name));
                prop_assert!(!own.is_empty() && own.len() <= LONGEST_NAME && !own.contains("  "));
                prop_assert!(own.chars().all(|c| c.is_ascii_alphanumeric() || " -()[]".contains(c)));
                prop_assert!(seen.insert(own));
            }
        }
    }
}
