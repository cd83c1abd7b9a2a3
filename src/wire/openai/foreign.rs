//! What upstreams, and servers in front of them, send in place of the dialect when they break down.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use super::envelope::ResponseEnvelope;
use super::fields::word;
use super::inband::{Place, is_certain, is_likely, sounds_wrong, status_of};
use crate::wire::inspection::ErrorDoc;
use crate::wire::inspection::StreamEvent;
use crate::wire::sse::{RawEvent, field};

/// Data as text. Bytes that are no UTF-8 are replaced for the look; they are passed on as they came.
pub(super) fn readable(data: &[u8]) -> Cow<'_, str> {
    let data = data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data);
    // What is text, as nearly everything is, is recognised many bytes at a time.
    match std::str::from_utf8(data) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(data),
    }
}

/// JSON as Python writes it by default, with `null` in place of `NaN`, `Infinity` and `-Infinity` (log probabilities of
/// vLLM and others): JSON has no such numbers. For the look only. `None` when there are none outside of texts.
pub(super) fn finite(text: &str) -> Option<String> {
    const WORDS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];
    let mut out = String::new();
    let (mut taken, mut at, mut inside) = (0, 0, false);
    let bytes = text.as_bytes();
    while let Some(byte) = bytes.get(at) {
        let rest = bytes.get(at..).unwrap_or_default();
        let word = WORDS.iter().find(|word| rest.starts_with(word.as_bytes()));
        match (byte, word) {
            (b'\\', _) if inside => at += 2,
            (b'"', _) => {
                inside = !inside;
                at += 1;
            }
            (_, Some(word)) if !inside => {
                out.push_str(text.get(taken..at)?);
                out.push_str("null");
                at += word.len();
                taken = at;
            }
            _ => at += 1,
        }
    }
    out.push_str(text.get(taken..)?);
    (taken > 0).then_some(out)
}

/// Data that is not a JSON object: a list of errors (Google's), a text in place of JSON, or nothing that makes sense.
pub(super) fn no_object(text: &str, named_error: bool) -> StreamEvent {
    if text.starts_with('[') {
        return if list_error(text) {
            StreamEvent::foreign(ErrorDoc::of_json(text.as_bytes(), None))
        } else {
            StreamEvent::malformed()
        };
    }
    let is_cut = text.starts_with('{');
    let is_page = text.starts_with('<');
    if named_error || (!is_cut && !is_page && sounds_wrong(text)) {
        return StreamEvent::foreign(ErrorDoc::of_words(text));
    }
    StreamEvent::malformed()
}

/// Whether a list has an error in it: Google sends errors in one.
pub(super) fn list_error(json: &str) -> bool {
    serde_json::from_str::<ListErrors>(json).is_ok_and(|ListErrors(any)| any)
}

/// Whether any item of a list is an error. None of them is kept: a list of millions of empty objects would take some
/// hundred times its bytes.
struct ListErrors(bool);

impl<'de> Deserialize<'de> for ListErrors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ErrorItems;
        impl<'de> Visitor<'de> for ErrorItems {
            type Value = ListErrors;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<ListErrors, A::Error> {
                let mut any = false;
                while let Some(item) = items.next_element::<ResponseEnvelope<'de>>()? {
                    any |= is_certain(&item);
                }
                Ok(ListErrors(any))
            }
        }
        deserializer.deserialize_seq(ErrorItems)
    }
}

/// What an upstream, or a server in front of it, wrote between events when it broke down: `error: {…}` (llama.cpp), bare
/// JSON (Google), a line of text, a page. `None` for a field that means nothing here.
pub(super) fn last_words(event: &RawEvent) -> Option<StreamEvent> {
    let mut words = Vec::new();
    for line in event.others() {
        let (name, value) = field(line);
        if name.eq_ignore_ascii_case(b"error") {
            let value = readable(value.trim_ascii());
            if !matches!(&*value, "" | "null" | "{}" | "\"\"") {
                return Some(StreamEvent::foreign(ErrorDoc::of_words(&value)));
            }
            continue;
        }
        let is_name =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let known_form = name.trim_ascii().iter().all(is_name);
        if words.is_empty() && known_form && !sounds_wrong(&String::from_utf8_lossy(name)) {
            continue;
        }
        if !words.is_empty() {
            words.push(b'\n');
        }
        words.extend_from_slice(line);
    }
    let words = readable(words.trim_ascii()).into_owned();
    if words.is_empty() {
        return None;
    }
    let error = match ResponseEnvelope::read(&words) {
        Some(envelope) if is_error(&envelope, None) => {
            ErrorDoc::of_json(words.as_bytes(), status_of(&envelope))
        }
        Some(_) => return Some(StreamEvent::malformed()),
        None => return Some(no_object(&words, false)),
    };
    Some(StreamEvent::foreign(error))
}

/// Whether an event's object is an error: a chunk is one only for certain.
pub(super) fn is_error(envelope: &ResponseEnvelope<'_>, name: Option<&[u8]>) -> bool {
    let is_chunk = envelope.choices.any || word(envelope.object).ends_with(".chunk");
    is_certain(envelope) || (!is_chunk && is_likely(envelope, Place::Stream(name)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_that_are_none_are_replaced_outside_of_texts_only() {
        let odd = r#"{"a":NaN,"b":[-Infinity,Infinity],"NaN":"NaN \" Infinity","c":1}"#;
        let told = finite(odd).unwrap();
        assert_eq!(
            told,
            r#"{"a":null,"b":[null,null],"NaN":"NaN \" Infinity","c":1}"#
        );
        assert_eq!(finite(r#"{"a":"NaN"}"#), None);
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[NaInfity\"\\\\{}:,é-]{0,60}") {
            let _ = finite(&text);
        }
    }
}
