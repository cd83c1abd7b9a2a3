//! Token counts in an answer that passes by unread: found by the names that the fields for them have in each dialect, in
//! whole answers, events and lines alike, however the bytes are cut into pieces.

use http::{HeaderMap, header};
use memchr::memmem;
use serde_json::value::RawValue;

use super::encoding::{Decoder, codings};
use super::usage;
use crate::domain::usage::Usage;

/// How the fields begin that hold an object of counts: `usage`, Gemini's `usageMetadata`, and `usage_info` of Mistral's
/// readers of documents.
const OBJECTS: &[u8] = b"\"usage";
/// How the fields end that hold a count of their own: Ollama's `prompt_eval_count` and `eval_count`.
const COUNTS: &[u8] = b"eval_count\"";
/// The largest object of counts, in bytes.
const LONGEST: usize = 8 * 1024;
/// A piece of a compressed answer may grow to so many bytes; of one that grows more nothing is counted from there on.
const GROWN: usize = 8 * 1024 * 1024;
/// The names of fields are no longer than this, in bytes.
const NAME: usize = 32;

/// What an answer has said so far of its token counts.
#[derive(Debug)]
pub struct PassingUsage {
    decoder: Option<Decoder>,
    /// What may be the beginning of a count, from the pieces before.
    rest: Vec<u8>,
    found: Option<Usage>,
}

impl PassingUsage {
    /// For an answer with these headers; `None` for one in which no counts can be.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        let kind = kind.to_ascii_lowercase();
        let kind = kind.split(';').next()?.trim();
        if !(kind.contains("json") || kind == "text/event-stream") {
            return None;
        }
        let codings = codings(headers).ok()?;
        Some(Self {
            decoder: (!codings.is_empty()).then(|| Decoder::endless(&codings, GROWN)),
            rest: Vec::new(),
            found: None,
        })
    }

    /// The counts so far.
    pub fn found(&self) -> Option<Usage> {
        self.found
    }

    /// Looks at the next piece.
    pub fn push(&mut self, piece: &[u8]) {
        match &mut self.decoder {
            None => self.look(piece),
            Some(decoder) => {
                if let Ok(plain) = decoder.push(piece) {
                    self.look(&plain);
                }
            }
        }
    }

    fn look(&mut self, piece: &[u8]) {
        let mut joined = std::mem::take(&mut self.rest);
        let text = match joined.is_empty() {
            true => piece,
            false => {
                joined.extend_from_slice(piece);
                &joined
            }
        };
        // From there on it is looked at again with the next piece: a name may be cut in two, or a value.
        let mut open = text.len().saturating_sub(NAME);
        for at in memmem::find_iter(text, OBJECTS) {
            match object(text.get(at..).unwrap_or_default()) {
                PassingPart::Whole(counts) => self.add(counts),
                PassingPart::Open => open = open.min(at),
                PassingPart::Other => {}
            }
        }
        for end in memmem::find_iter(text, COUNTS) {
            let from = text.get(..end).unwrap_or_default();
            // Without its beginning it was counted with the piece before.
            let Some(begin) = memchr::memrchr(b'"', from) else {
                continue;
            };
            let name = text.get(begin + 1..end).unwrap_or_default();
            match number(text.get(end + COUNTS.len()..).unwrap_or_default()) {
                PassingPart::Whole(count) => self.add(counted(name, count)),
                PassingPart::Open => open = open.min(begin),
                PassingPart::Other => {}
            }
        }
        if text.len() - open <= LONGEST + NAME {
            self.rest = text.get(open..).unwrap_or_default().to_vec();
        } else {
            self.rest = text
                .get(text.len().saturating_sub(NAME)..)
                .unwrap_or_default()
                .to_vec();
        }
    }

    fn add(&mut self, counts: Option<Usage>) {
        self.found = Usage::latest(self.found, counts);
    }
}

/// What stands at a place of a text that is not all there.
enum PassingPart<T> {
    Whole(T),
    /// It goes on.
    Open,
    /// It is something else.
    Other,
}

/// The object that stands behind a field's name, which the text begins with.
fn object(text: &[u8]) -> PassingPart<Option<Usage>> {
    let name = text.get(1..).unwrap_or_default();
    let Some(end) = memchr::memchr(b'"', name) else {
        return match name.len() < NAME {
            true => PassingPart::Open,
            false => PassingPart::Other,
        };
    };
    if ![&b"usage"[..], b"usageMetadata", b"usage_info"]
        .contains(&name.get(..end).unwrap_or_default())
    {
        return PassingPart::Other;
    }
    let value = match value_of(name.get(end + 1..).unwrap_or_default()) {
        PassingPart::Whole(value) => value,
        PassingPart::Open => return PassingPart::Open,
        PassingPart::Other => return PassingPart::Other,
    };
    if value.first() != Some(&b'{') {
        return PassingPart::Other;
    }
    let mut values = serde_json::Deserializer::from_slice(value).into_iter::<&RawValue>();
    match values.next() {
        Some(Ok(counts)) => {
            let counts = usage::read(counts.get().as_bytes());
            PassingPart::Whole(counts.filter(Usage::tells))
        }
        Some(Err(error)) if error.is_eof() && value.len() < LONGEST => PassingPart::Open,
        _ => PassingPart::Other,
    }
}

/// The number that the text begins with, behind a colon.
fn number(text: &[u8]) -> PassingPart<u64> {
    let value = match value_of(text) {
        PassingPart::Whole(value) => value,
        PassingPart::Open => return PassingPart::Open,
        PassingPart::Other => return PassingPart::Other,
    };
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit());
    let digits = digits.count();
    if digits == value.len() && digits < NAME {
        return PassingPart::Open;
    }
    let number = value
        .get(..digits)
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| digits.parse().ok());
    number.map_or(PassingPart::Other, PassingPart::Whole)
}

/// What follows the colon behind a name.
fn value_of(text: &[u8]) -> PassingPart<&[u8]> {
    let text = text.trim_ascii_start();
    let Some((colon, rest)) = text.split_first() else {
        return PassingPart::Open;
    };
    let rest = rest.trim_ascii_start();
    match (colon, rest.is_empty()) {
        (b':', true) => PassingPart::Open,
        (b':', false) => PassingPart::Whole(rest),
        _ => PassingPart::Other,
    }
}

fn counted(name: &[u8], count: u64) -> Option<Usage> {
    match name {
        b"prompt_" => Some(Usage {
            prompt_tokens: Some(count),
            ..Usage::default()
        }),
        b"" => Some(Usage {
            completion_tokens: Some(count),
            ..Usage::default()
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn passing(kind: &'static str) -> Option<PassingUsage> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        PassingUsage::of(&headers)
    }

    fn found(text: &[u8], piece: usize) -> Option<Usage> {
        let mut passing = passing("application/json").unwrap();
        for piece in text.chunks(piece.max(1)) {
            passing.push(piece);
        }
        passing.found()
    }

    #[test]
    fn counts_are_found_however_the_answer_is_cut() {
        let before = "x".repeat(3 * LONGEST);
        for (text, prompt, answer) in [
            (
                r#"{"usage":{"prompt_tokens":7,"completion_tokens":5}}"#,
                Some(7),
                Some(5),
            ),
            (
                r#"{"usage" : {"input_tokens":4,"cache_read_input_tokens":3,"output_tokens":5}}"#,
                Some(7),
                Some(5),
            ),
            (
                r#"{"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":3,"thoughtsTokenCount":2}}"#,
                Some(7),
                Some(5),
            ),
            (
                r#"{"prompt_eval_count":7,"eval_count":5}"#,
                Some(7),
                Some(5),
            ),
            (
                r#"{"usage":{"tokens":{"input_tokens":7,"output_tokens":5}}}"#,
                Some(7),
                Some(5),
            ),
            (r#"{"usage":{"total_tokens":7}}"#, Some(7), None),
            (
                r#"{"usage":null,"a":{"usage":[1]},"usages":{"input_tokens":1}}"#,
                None,
                None,
            ),
            (r#"{"text":"\"usage\":{\"input_tokens\":9}"}"#, None, None),
        ] {
            let long = format!("{{\"b64_json\":\"{before}\"}}{text}{before}");
            for piece in [1, 2, 3, 7, 30, 1000, usize::MAX] {
                for text in [text, &long] {
                    let usage = found(text.as_bytes(), piece).unwrap_or_default();
                    let seen = (usage.prompt_tokens, usage.completion_tokens);
                    assert_eq!(seen, (prompt, answer), "{text:.80} {piece}");
                }
            }
        }
    }

    #[test]
    fn pages_that_were_read_are_found() {
        let text = br#"{"pages":[],"usage_info":{"pages_processed":29,"doc_size_bytes":1}}"#;
        for piece in [1, 7, 1000] {
            let found = found(text, piece).unwrap();
            assert_eq!(found.details.pages, 29, "{piece}");
        }
    }

    #[test]
    fn only_texts_that_may_have_counts_are_looked_at() {
        for kind in ["audio/mpeg", "text/html", "application/octet-stream"] {
            assert!(passing(kind).is_none(), "{kind}");
        }
        for kind in [
            "application/json",
            "text/event-stream; charset=utf-8",
            "application/x-ndjson",
        ] {
            assert!(passing(kind).is_some(), "{kind}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic_or_are_kept_without_bound(text in "(\"usage(Metadata)?\"|:|\\{|\\}|eval_count\"|[0-9]|\\PC){0,60}", piece in 1usize..20) {
            let mut passing = passing("application/json").unwrap();
            for piece in text.as_bytes().chunks(piece) {
                passing.push(piece);
                prop_assert!(passing.rest.len() <= LONGEST + NAME);
            }
        }
    }
}
