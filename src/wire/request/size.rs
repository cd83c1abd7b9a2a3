//! How large a prompt is, without reading it: the bytes of its text, and a flat amount for images, sounds and files.
//! Base64 has nothing to do with what they cost: three megabytes of it are some hundred tokens.
//!
//! One search for a word each over the prompt's bytes; nothing is unescaped and nothing allocated.

use std::sync::LazyLock;

use memchr::memchr;
use memchr::memmem::Finder;

/// The most tokens that an image, a sound or a file counts for. Providers charge from 85 to some 1,600 for an
/// image, and about 1,000 for half a minute of sound.
const FLAT: u64 = 1000;
/// `data:` and the media type are looked for in this many bytes before the data.
const LONGEST_TYPE: usize = 256;
/// An address begins at most this many bytes after `image_url`.
const NEAR: usize = 64;
/// The text before the data in a data URL.
const MARK: &[u8] = b";base64,";
/// The field that names an image by its address.
const REMOTE: &[u8] = b"\"image_url\"";

// Prepared once: preparing a search costs more than the search of a short prompt.
static DATA_FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"data"));
static MARK_FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(MARK));
static REMOTE_FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(REMOTE));
static ADDRESS_FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"http"));

/// The size of a prompt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct PromptSize {
    /// Bytes, but for those of images, sounds and files.
    pub(super) text: usize,
    /// Tokens of these, roughly.
    pub(super) media: u64,
}

impl PromptSize {
    /// Adds JSON that is nothing but text.
    pub(super) fn add_text(&mut self, raw: &[u8]) {
        self.text += raw.len();
    }

    /// Adds JSON that may hold images, sounds and files.
    pub(super) fn add(&mut self, raw: &[u8]) {
        self.text += raw.len();
        let mut behind = 0;
        for at in DATA_FINDER.find_iter(raw) {
            // Not inside of the last one.
            if at < behind {
                continue;
            }
            let Some((start, length)) = blob(raw, at) else {
                continue;
            };
            behind = start + length;
            self.text -= length;
            let tokens = u64::try_from(length / 4).unwrap_or(u64::MAX);
            self.media += tokens.min(FLAT);
        }
        for at in REMOTE_FINDER.find_iter(raw) {
            let after = raw.get(at + REMOTE.len()..).unwrap_or_default();
            let near = after.get(..after.len().min(NEAR)).unwrap_or_default();
            let is_key = after.trim_ascii_start().first() == Some(&b':');
            if is_key && ADDRESS_FINDER.find(near).is_some() {
                self.media += FLAT;
            }
        }
    }
}

/// Where the blob begins whose mark is the `data` at this place, and how long it is: what follows `"data:…;base64,`,
/// or the value of `"data"` or `"file_data"`. Quotes inside of a text are escaped, so that no text looks like these.
fn blob(raw: &[u8], at: usize) -> Option<(usize, usize)> {
    let (before, after) = (raw.get(..at)?, raw.get(at + 4..)?);
    let opens = |before: &[u8]| before.ends_with(b"\"") && !before.ends_with(b"\\\"");
    let data = match after.first()? {
        b':' if opens(before) => {
            let head = after.get(..after.len().min(LONGEST_TYPE))?;
            // No further than to the end of the text.
            let head = head.get(..memchr(b'"', head).unwrap_or(head.len()))?;
            after.get(MARK_FINDER.find(head)? + MARK.len()..)?
        }
        b'"' if opens(before.strip_suffix(b"file_").unwrap_or(before)) => {
            let value = after.get(1..)?.trim_ascii_start().strip_prefix(b":")?;
            value.trim_ascii_start().strip_prefix(b"\"")?
        }
        _ => return None,
    };
    let data_at = raw.len() - data.len();
    let data = data.get(..memchr(b'"', data)?)?;
    let encoded = data.is_ascii() && memchr(b' ', data).is_none() && !data.ends_with(b"\\");
    encoded.then_some((data_at, data.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(json: &str) -> (usize, u64) {
        let mut size = PromptSize::default();
        size.add(json.as_bytes());
        (json.len() - size.text, size.media)
    }

    #[test]
    fn data_counts_flat_however_it_is_written() {
        let large = "AAAA+/==".repeat(10_000);
        let slashed = large.replace('/', r"\/");
        for (json, bytes) in [
            (
                format!(r#"{{"url":"data:image/png;base64,{large}"}}"#),
                80_000,
            ),
            (
                format!(r#"{{"url":"data:image\/png;base64,{slashed}"}}"#),
                90_000,
            ),
            (format!(r#"{{"data" : "{large}","format":"wav"}}"#), 80_000),
            (
                format!(r#"{{"file_data":"data:application/pdf;base64,{large}"}}"#),
                80_000 + "data:application/pdf;base64,".len(),
            ),
        ] {
            assert_eq!(size(&json), (bytes, FLAT), "{json:.60}");
            assert_eq!(size(&format!("[{json},{json}]")), (2 * bytes, 2 * FLAT));
        }
    }

    #[test]
    fn what_is_small_is_not_dearer_than_its_bytes_and_a_remote_image_has_a_price() {
        assert_eq!(size(r#"{"data":"AAAAAAAA"}"#), (8, 2));
        for json in [
            r#"{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}"#,
            r#"{"type":"image_url","image_url":{"detail":"low","url":"https://example.com/a.png"}}"#,
            r#"{"type":"input_image","image_url": "https://example.com/a.png"}"#,
        ] {
            assert_eq!(size(json), (0, FLAT), "{json}");
        }
    }

    #[test]
    fn text_stays_text() {
        for json in [
            r#"{"content":"my data: none; see \"data:image/png;base64,AAAA\" and \"data\":\"AAAA\""}"#,
            r#"{"content":"data: please write a long text; base64, if you can"}"#,
            r#"{"content":"data:text/plain;base64,not really"}"#,
            r#"["data", "data"]"#,
            r#"{"data":["a"],"file_data":null,"data"#,
            r#"{"url":"data:"#,
            r#"{"url":"data:image/png;base64,AAAA"#,
            r#"{"content":"\"image_url\":\"http"}"#,
        ] {
            assert_eq!(size(json), (0, 0), "{json}");
        }
    }
}
