//! Whether a 2xx is really an answer to what was asked.

use std::io::Read;

use bytes::Bytes;
use flate2::bufread::{GzDecoder, MultiGzDecoder, ZlibDecoder};
use http::{HeaderMap, header};
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::answered;
use super::stream::ErrorDoc;
use super::usage::{self, Usage};
use crate::domain::dialect::Operation;
use crate::domain::record::Answered;

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

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(default, borrow)]
    id: Option<&'a RawValue>,
    #[serde(default, borrow)]
    model: Option<&'a RawValue>,
    #[serde(default, borrow)]
    choices: Option<&'a RawValue>,
    #[serde(default, borrow)]
    data: Option<&'a RawValue>,
    #[serde(default, borrow)]
    results: Option<&'a RawValue>,
    #[serde(default, borrow)]
    output: Option<&'a RawValue>,
    #[serde(default, borrow)]
    usage: Option<&'a RawValue>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
    #[serde(default, borrow)]
    errors: Option<&'a RawValue>,
    #[serde(default, borrow)]
    success: Option<&'a RawValue>,
    #[serde(default)]
    base_resp: Option<BaseResp>,
    #[serde(default, borrow)]
    code: Option<&'a RawValue>,
    #[serde(default, borrow)]
    message: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct BaseResp {
    #[serde(default)]
    status_code: i64,
}

/// Whether any of a list's bodies has an error; none of them is kept, however many there are.
struct Errors(bool);

impl<'de> Deserialize<'de> for Errors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bodies;
        impl<'de> Visitor<'de> for Bodies {
            type Value = Errors;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Errors, A::Error> {
                let mut any = false;
                while let Some(body) = seq.next_element::<Body<'de>>()? {
                    any |= body.error.is_some();
                }
                Ok(Errors(any))
            }
        }
        deserializer.deserialize_seq(Bodies)
    }
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
        Ok(Some(inflated)) => look(operation, &Bytes::from(inflated), answered),
        Ok(None) => look(operation, body, answered),
        Err(Unreadable::Foreign) => Inspection::Good(None),
        Err(Unreadable::Broken | Unreadable::Trailed(_)) => {
            Inspection::Malformed("the answer's compression is broken")
        }
    }
}

fn look(operation: Operation, body: &Bytes, answered: Option<&mut Answered>) -> Inspection {
    let is_list = body.trim_ascii_start().first() == Some(&b'[');
    // Read as text once, and not again field by field.
    let text = std::str::from_utf8(body).unwrap_or_default();
    let parsed = serde_json::from_str::<Body<'_>>(text).ok();
    // A list would fill a struct too, field by field; the only list that means something is Google's way
    // of sending an error.
    let Some(parsed) = parsed.filter(|_| !is_list) else {
        return match serde_json::from_slice::<Errors>(body) {
            Ok(Errors(true)) => Inspection::ErrorInside(ErrorDoc {
                status: None,
                body: body.clone(),
            }),
            _ => Inspection::Malformed("the answer is not a JSON object"),
        };
    };
    let there = |value: Option<&RawValue>| value.is_some_and(|value| value.get() != "null");
    let list = |value: Option<&RawValue>| value.is_some_and(|value| value.get().starts_with('['));
    let is_answer = match operation {
        Operation::Chat | Operation::Completions => {
            list(parsed.choices) && parsed.choices.is_some_and(|choices| choices.get() != "[]")
        }
        Operation::Embeddings => list(parsed.data),
        Operation::Moderations => list(parsed.results),
        Operation::Responses => list(parsed.output),
    };
    let refused = parsed.base_resp.is_some_and(|base| base.status_code != 0)
        || (there(parsed.error) && operation != Operation::Responses)
        || (parsed
            .success
            .is_some_and(|success| success.get() == "false")
            && there(parsed.errors));
    let says_error = there(parsed.error) || (there(parsed.code) && there(parsed.message));
    if refused || (!is_answer && says_error) {
        return Inspection::ErrorInside(ErrorDoc {
            status: None,
            body: body.clone(),
        });
    }
    if !is_answer {
        return Inspection::Malformed("the answer lacks what was asked for");
    }
    let usage = parsed.usage.map(|raw| raw.get().as_bytes());
    let usage = usage.and_then(usage::read);
    if let Some(answered) = answered {
        *answered = Answered {
            id: answered::name(parsed.id),
            model: answered::name(parsed.model),
            finish_reasons: parsed
                .choices
                .map_or_else(Vec::new, |choices| answered::finish_reasons(choices.get())),
        };
    }
    Inspection::Good(usage)
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
        b"deflate" => ZlibDecoder::new(&mut rest)
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

/// A body as text for a look at an error answer: inflated if need be, the raw bytes when that fails.
pub fn readable(headers: &HeaderMap, body: &Bytes) -> Bytes {
    match plain(headers, body) {
        Ok(Some(inflated)) => Bytes::from(inflated),
        Ok(None) | Err(_) => body.clone(),
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
