//! Whether a 2xx is really an answer to what was asked.

use std::io::Read;

use bytes::Bytes;
use flate2::bufread::{DeflateDecoder, GzDecoder, MultiGzDecoder, ZlibDecoder};
use http::{HeaderMap, header};
use serde_json::value::RawValue;

use super::answered;
use super::envelope::Envelope;
use super::fields::word;
use super::foreign::{finite, list_error, readable as text_of};
use super::inband::{Place, is_certain, is_likely, status_of};
use super::stream::{self, ErrorDoc};
use super::usage::{self, Usage};
use crate::domain::dialect::Operation;
use crate::domain::record::Answered;
use crate::wire::sse::EventSplitter;

/// A compressed answer is inflated for a look up to this size, in bytes; what is larger is believed.
const MAX_INFLATED: u64 = 64 * 1024 * 1024;
/// A compressed answer may grow so much: text seldom grows more than tenfold, what is made to harm a thousandfold.
const MAX_RATIO: u64 = 32;
/// A small answer may grow to so many bytes, whatever the ratio.
const MIN_INFLATED: u64 = 1024 * 1024;

/// What a look at a 2xx found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Inspection {
    /// An answer, and what it used if it says so.
    Good(Option<Usage>),
    /// An error in spite of its status.
    ErrorInside(ErrorDoc),
    /// Neither.
    Malformed(&'static str),
}

/// Looks at the body of a 2xx.
pub fn inspect(operation: Operation, headers: &HeaderMap, body: &Bytes) -> Inspection {
    inspect_closer(operation, headers, body, None)
}

/// Looks at the body of a 2xx, and notes what a good one says of itself.
pub fn inspect_closer(
    operation: Operation,
    headers: &HeaderMap,
    body: &Bytes,
    answered: Option<&mut Answered>,
) -> Inspection {
    if body.is_empty() {
        return Inspection::Malformed("the answer is empty");
    }
    match plain(headers, body) {
        Ok(Some(inflated)) => look(operation, &inflated, answered),
        Ok(None) => look(operation, body, answered),
        Err(Unreadable::Foreign) => Inspection::Good(None),
        Err(Unreadable::Broken | Unreadable::Trailed(_)) => {
            Inspection::Malformed("the answer's compression is broken")
        }
    }
}

fn look(operation: Operation, body: &[u8], answered: Option<&mut Answered>) -> Inspection {
    // Read as text once, and not again field by field.
    let text = text_of(body);
    let text = text.trim_ascii();
    let failed = |status| Inspection::ErrorInside(ErrorDoc::of_json(text.as_bytes(), status));
    let finite_text;
    let envelope = match Envelope::read(text) {
        Some(envelope) => Some(envelope),
        None => {
            finite_text = finite(text);
            finite_text.as_deref().and_then(Envelope::read)
        }
    };
    let Some(envelope) = envelope else {
        if list_error(text) {
            return failed(None);
        }
        return match looks_like_events(text.as_bytes()) {
            Some(true) => events(operation, text),
            _ => Inspection::Malformed("the answer is not a JSON object"),
        };
    };
    let list = |value: Option<&RawValue>| value.is_some_and(|value| value.get().starts_with('['));
    let is_answer = match operation {
        Operation::Chat | Operation::Completions => envelope.choices.any,
        Operation::Embeddings => list(envelope.data),
        Operation::Moderations => list(envelope.results),
        Operation::Responses => list(envelope.output),
    };
    let ended_badly = operation == Operation::Responses && word(envelope.status) == "failed";
    if ended_badly || is_certain(&envelope) || (!is_answer && is_likely(&envelope, Place::Answer)) {
        return failed(status_of(&envelope));
    }
    if !is_answer {
        return Inspection::Malformed("the answer lacks what was asked for");
    }
    if let Some(answered) = answered {
        *answered = Answered {
            id: answered::name(envelope.id),
            model: answered::name(envelope.model),
            finish_reasons: answered::reasons(text),
        };
    }
    let usage = envelope.usage.map(|raw| raw.get().as_bytes());
    Inspection::Good(usage.and_then(usage::read))
}

/// An event stream in place of a whole answer: the error that it tells, if it tells one.
fn events(operation: Operation, text: &str) -> Inspection {
    let mut splitter = EventSplitter::default();
    splitter.push(Bytes::copy_from_slice(text.as_bytes()));
    while let Ok(Some(event)) = splitter.next_event() {
        let said = stream::inspect(operation, &event);
        if let Some(error) = said.error {
            return Inspection::ErrorInside(error);
        }
        if said.content || said.done || said.malformed {
            break;
        }
    }
    Inspection::Malformed("asked for a whole answer, got an event stream")
}

/// Whether an answer that begins like this is an event stream, whatever its label says. `None` when it takes more bytes
/// to tell.
pub fn looks_like_events(start: &[u8]) -> Option<bool> {
    const FIELDS: [&[u8]; 5] = [b"data", b"event", b"id", b"retry", b"error"];
    const MARK: &[u8] = b"\xef\xbb\xbf";
    let start = start.strip_prefix(MARK).unwrap_or(start).trim_ascii_start();
    if MARK.starts_with(start) {
        return None;
    }
    let end = start
        .iter()
        .position(|byte| matches!(byte, b':' | b'\n' | b'\r'));
    match end {
        Some(end) => {
            let name = start.get(..end).unwrap_or_default();
            Some(name.is_empty() || FIELDS.contains(&name))
        }
        None if FIELDS.iter().any(|field| field.starts_with(start)) => None,
        None => Some(false),
    }
}

enum Unreadable {
    /// Compressed in a way that was not asked for: passed on unseen.
    Foreign,
    Broken,
    /// Readable up to bytes that do not belong to it.
    Trailed(Vec<u8>),
}

/// The inflated body when it is compressed. Of bytes behind it nothing is said here.
fn plain(headers: &HeaderMap, body: &Bytes) -> Result<Option<Vec<u8>>, Unreadable> {
    match whole(headers, body) {
        Err(Unreadable::Trailed(inflated)) => Ok(Some(inflated)),
        other => other,
    }
}

/// The same, and all of it: nothing that a more forgiving reader could take for a part of the answer is left.
fn whole(headers: &HeaderMap, body: &Bytes) -> Result<Option<Vec<u8>>, Unreadable> {
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    let Some(encoding) = encodings.next() else {
        return Ok(None);
    };
    if encodings.next().is_some() {
        return Err(Unreadable::Foreign);
    }
    let limit = MAX_INFLATED.min(MIN_INFLATED.max(body.len() as u64 * MAX_RATIO));
    let mut out = Vec::new();
    let mut rest: &[u8] = body;
    let read = match encoding.as_bytes().to_ascii_lowercase().as_slice() {
        b"identity" | b"" => return Ok(None),
        b"gzip" | b"x-gzip" => {
            let all = MultiGzDecoder::new(&mut rest);
            match all.take(limit).read_to_end(&mut out) {
                // Whatever follows the first member is no other one.
                Err(_) => {
                    (out, rest) = (Vec::new(), body);
                    GzDecoder::new(&mut rest).take(limit).read_to_end(&mut out)
                }
                read => read,
            }
        }
        b"deflate" if is_zlib(body) => ZlibDecoder::new(&mut rest)
            .take(limit)
            .read_to_end(&mut out),
        b"deflate" => DeflateDecoder::new(&mut rest)
            .take(limit)
            .read_to_end(&mut out),
        _ => return Err(Unreadable::Foreign),
    };
    match read {
        Ok(size) if size as u64 >= limit => Err(Unreadable::Foreign),
        Ok(_) if !rest.is_empty() => Err(Unreadable::Trailed(out)),
        Ok(_) => Ok(Some(out)),
        Err(_) => Err(Unreadable::Broken),
    }
}

/// Whether what is called `deflate` begins with the head of zlib's format (RFC 1950), as it should (RFC 9110); some send
/// the bare stream (RFC 1951). False for less than two bytes.
pub fn is_zlib(start: &[u8]) -> bool {
    let [first, second, ..] = start else {
        return false;
    };
    first & 0x0f == 8 && u16::from_be_bytes([*first, *second]) % 31 == 0
}

/// A body without the byte order mark at its beginning, which JSON may not have; some upstreams send it.
pub fn unmarked(body: Bytes) -> Bytes {
    match body.starts_with(b"\xef\xbb\xbf") {
        true => body.slice(3..),
        false => body,
    }
}

/// A body as text for a look at an error answer: inflated if need be, the raw bytes when that fails.
pub fn readable(headers: &HeaderMap, body: &Bytes) -> Bytes {
    match plain(headers, body) {
        Ok(Some(inflated)) => unmarked(Bytes::from(inflated)),
        Ok(None) | Err(_) => unmarked(body.clone()),
    }
}

/// A body that can be searched for words: inflated if need be; `None` when it is compressed in a way that cannot
/// be read here, grows too much, or has bytes behind its end.
pub fn searchable(headers: &HeaderMap, body: &Bytes) -> Option<Bytes> {
    match whole(headers, body) {
        Ok(Some(inflated)) => Some(Bytes::from(inflated)),
        Ok(None) => Some(body.clone()),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn see(operation: Operation, body: &str) -> Inspection {
        inspect(
            operation,
            &HeaderMap::new(),
            &Bytes::copy_from_slice(body.as_bytes()),
        )
    }

    #[test]
    fn tool_calls_null_and_empty_content_are_answers() {
        for message in [
            r#"{"role":"assistant","content":null,"tool_calls":[{"id":"c"}]}"#,
            r#"{"role":"assistant","content":""}"#,
        ] {
            let body = format!(
                r#"{{"choices":[{{"message":{message}}}],"usage":{{"prompt_tokens":1,"completion_tokens":2}}}}"#
            );
            let Inspection::Good(usage) = see(Operation::Chat, &body) else {
                panic!("{body}")
            };
            assert_eq!(usage.unwrap().total(), Some(3));
        }
    }

    #[test]
    fn each_operation_has_its_own_shape() {
        assert!(matches!(
            see(Operation::Embeddings, r#"{"data":[]}"#),
            Inspection::Good(None)
        ));
        assert!(matches!(
            see(Operation::Moderations, r#"{"results":[]}"#),
            Inspection::Good(_)
        ));
        assert!(matches!(
            see(Operation::Responses, r#"{"output":[],"error":null}"#),
            Inspection::Good(_)
        ));
        assert!(matches!(
            see(Operation::Chat, r#"{"data":[]}"#),
            Inspection::Malformed(_)
        ));
    }

    #[test]
    fn an_error_under_a_2xx_is_found() {
        for body in [
            r#"{"error":{"message":"Provider returned error","code":502}}"#,
            r#"{"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}}"#,
            r#"{"success":false,"errors":[{"code":3040}]}"#,
            r#"{"code":"429","message":"busy"}"#,
            r#"[{"error":{"code":503,"message":"The model is overloaded."}}]"#,
        ] {
            assert!(
                matches!(see(Operation::Chat, body), Inspection::ErrorInside(_)),
                "{body}"
            );
        }
    }

    #[test]
    fn what_is_no_answer_is_malformed() {
        for body in [
            "",
            "<html>",
            "[]",
            "[[{}]]",
            "{}",
            r#"{"choices":[]}"#,
            r#"{"choices":"#,
            "null",
        ] {
            assert!(
                matches!(see(Operation::Chat, body), Inspection::Malformed(_)),
                "{body}"
            );
        }
    }

    #[test]
    fn a_compressed_answer_is_looked_into() {
        let zip = |text: &str| {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(text.as_bytes()).unwrap();
            Bytes::from(encoder.finish().unwrap())
        };
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_ENCODING,
            http::HeaderValue::from_static("gzip"),
        );
        let good = zip(r#"{"choices":[{}]}"#);
        assert!(matches!(
            inspect(Operation::Chat, &headers, &good),
            Inspection::Good(_)
        ));
        assert!(matches!(
            inspect(Operation::Chat, &headers, &zip("<html>")),
            Inspection::Malformed(_)
        ));
        let cut = good.slice(..good.len() - 9);
        assert!(matches!(
            inspect(Operation::Chat, &headers, &cut),
            Inspection::Malformed(_)
        ));
    }

    #[test]
    fn what_is_searched_is_all_that_the_caller_could_read() {
        let zip = |text: &str| {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.finish().unwrap()
        };
        let shrink = |text: &str| {
            let mut encoder =
                flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.finish().unwrap()
        };
        let encoded = |encodings: &[&'static str]| -> HeaderMap {
            let values = encodings
                .iter()
                .map(|value| http::HeaderValue::from_static(value));
            values
                .map(|value| (header::CONTENT_ENCODING, value))
                .collect()
        };
        let see = |encodings: &[&'static str], body: Vec<u8>| {
            searchable(&encoded(encodings), &Bytes::from(body))
        };
        let two = [zip("{\"a\":"), zip("1}")].concat();
        assert_eq!(see(&["gzip"], two.clone()).unwrap(), "{\"a\":1}");
        assert!(matches!(
            inspect(
                Operation::Chat,
                &encoded(&["gzip"]),
                &Bytes::from([zip("{\"choices\":"), zip("[{}]}")].concat())
            ),
            Inspection::Good(_)
        ));
        assert_eq!(
            see(&["gzip"], [zip("{}"), b"sk-key".to_vec()].concat()),
            None
        );
        assert_eq!(
            see(&["deflate"], [shrink("{}"), b"sk-key".to_vec()].concat()),
            None
        );
        assert_eq!(see(&["deflate"], shrink("{}")).unwrap(), "{}");
        assert_eq!(see(&["identity", "gzip"], two.clone()), None);
        assert_eq!(see(&["gzip", "gzip"], two), None);
    }
}
