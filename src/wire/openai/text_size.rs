//! How much an answer says: the bytes of its text, where no count of tokens came with it.
//!
//! What models write counts: contents, reasoning, refusals, names and arguments of calls; not ids, names of fields, and
//! the data of sounds and images, which tokens have nothing to do with. Nothing is unescaped, and nothing is kept.

use std::fmt;
use std::marker::PhantomData;
use std::ops::ControlFlow;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::fields::{FieldName, is_production};
use crate::wire::json::{self, Text};

/// Fields inside of a content, a call or a part of reasoning that say nothing: names, ids and data.
const SILENT: [&str; 16] = [
    "type",
    "id",
    "call_id",
    "item_id",
    "role",
    "status",
    "format",
    "index",
    "signature",
    "encrypted_content",
    "data",
    "b64_json",
    "url",
    "image_url",
    "annotations",
    "logprobs",
];

/// What a field of a choice or of a message is to the count.
enum SpokenField {
    /// A delta or a message.
    Message,
    /// Contents, refusals, calls.
    Words,
    /// Something else that a model may have written, such as reasoning, which has a new name at each upstream.
    Other,
    Silent,
}

impl SpokenField {
    fn of(name: &str) -> Self {
        match name {
            "delta" | "message" => Self::Message,
            "content" | "text" | "refusal" | "tool_calls" | "function_call" | "audio" => {
                Self::Words
            }
            _ if SILENT.contains(&name) || !is_production(&FieldName::of(name)) => Self::Silent,
            _ => Self::Other,
        }
    }
}

impl<'de> Deserialize<'de> for SpokenField {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct SpokenFieldVisitor;
        impl Visitor<'_> for SpokenFieldVisitor {
            type Value = SpokenField;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field's name")
            }
            fn visit_str<E: Error>(self, name: &str) -> Result<SpokenField, E> {
                Ok(SpokenField::of(name))
            }
        }
        from.deserialize_identifier(SpokenFieldVisitor)
    }
}

/// The bytes that all choices say, added up as they are read.
#[derive(Default)]
struct SpokenChoices(u64);

/// The bytes of text in a choice, or in its delta or message. A field that is there twice counts twice: a reader
/// may take either.
#[derive(Default)]
struct SpokenBytes {
    /// Of its deltas and messages.
    inside: u64,
    words: u64,
    /// The longest of the other fields: some APIs repeat the reasoning under the names that different clients look for.
    longest: u64,
}

impl SpokenBytes {
    fn all(&self) -> u64 {
        // Some say the text of a delta once more beside it.
        self.inside.max(self.words.saturating_add(self.longest))
    }
}

/// Takes in an object's fields or a list's items; anything else says nothing.
trait SpokenParts<'de>: Default {
    fn field<A: MapAccess<'de>>(&mut self, kind: SpokenField, map: &mut A) -> Result<(), A::Error>;

    /// `false` when there is no more.
    fn item<A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error> {
        Ok(seq.next_element::<IgnoredAny>()?.is_some())
    }
}

impl<'de> SpokenParts<'de> for SpokenChoices {
    fn field<A: MapAccess<'de>>(&mut self, _: SpokenField, map: &mut A) -> Result<(), A::Error> {
        map.next_value::<IgnoredAny>().map(drop)
    }
    fn item<A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<bool, A::Error> {
        let choice = seq.next_element::<AnyJson<SpokenBytes>>()?;
        let said = choice.as_ref().map_or(0, |AnyJson(choice)| choice.all());
        self.0 = self.0.saturating_add(said);
        Ok(choice.is_some())
    }
}

impl<'de> SpokenParts<'de> for SpokenBytes {
    fn field<A: MapAccess<'de>>(&mut self, kind: SpokenField, map: &mut A) -> Result<(), A::Error> {
        match kind {
            SpokenField::Message => {
                let AnyJson(message): AnyJson<SpokenBytes> = map.next_value()?;
                self.inside = self.inside.saturating_add(message.all());
            }
            SpokenField::Words => {
                self.words = self.words.saturating_add(said(Some(map.next_value()?)));
            }
            SpokenField::Other => self.longest = self.longest.max(said(Some(map.next_value()?))),
            SpokenField::Silent => {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// Reads any JSON at all.
struct AnyJson<T>(T);

impl<'de, T: SpokenParts<'de>> Deserialize<'de> for AnyJson<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AnyJsonVisitor(PhantomData)).map(Self)
    }
}

struct AnyJsonVisitor<T>(PhantomData<T>);

impl<'de, T: SpokenParts<'de>> Visitor<'de> for AnyJsonVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut all = T::default();
        while let Some(kind) = map.next_key::<SpokenField>()? {
            all.field(kind, &mut map)?;
        }
        Ok(all)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<T, A::Error> {
        let mut all = T::default();
        while all.item(&mut seq)? {}
        Ok(all)
    }
    fn visit_unit<E: Error>(self) -> Result<T, E> {
        Ok(T::default())
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<T, E> {
        Ok(T::default())
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<T, E> {
        Ok(T::default())
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<T, E> {
        Ok(T::default())
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<T, E> {
        Ok(T::default())
    }
    fn visit_str<E: Error>(self, _: &str) -> Result<T, E> {
        Ok(T::default())
    }
}

#[derive(Deserialize)]
struct TextFields<'a> {
    #[serde(default, borrow)]
    choices: Option<&'a RawValue>,
    #[serde(rename = "type", default, borrow)]
    kind: Option<&'a RawValue>,
    #[serde(default, borrow)]
    delta: Option<&'a RawValue>,
    #[serde(default, borrow)]
    output: Option<&'a RawValue>,
}

fn said(value: Option<&RawValue>) -> u64 {
    let mut all = 0;
    let Some(value) = value else { return all };
    let silent = |name: Text<'_>| SILENT.into_iter().any(|silent| name.is(silent));
    // It is never broken off.
    let _ = json::texts(value.get(), silent, |text| {
        all += u64::try_from(text.len()).unwrap_or(u64::MAX);
        ControlFlow::Continue(())
    });
    all
}

/// Bytes of text in a whole answer, or in the data of one event. Zero for other input.
///
/// Of the events of the responses API only those with new text count; others repeat it.
pub fn text_bytes(data: &[u8]) -> u64 {
    let Ok(answer) = serde_json::from_slice::<TextFields<'_>>(data) else {
        return 0;
    };
    let choices = answer.choices.map_or(0, |choices| {
        let read = serde_json::from_str::<AnyJson<SpokenChoices>>(choices.get());
        // Names with halves of surrogates are not read: then all that is no known name counts.
        read.map_or_else(|_| said(Some(choices)), |AnyJson(SpokenChoices(all))| all)
    });
    let kind = answer.kind.map_or("", |kind| kind.get());
    let is_text = kind.ends_with(".delta\"") && !kind.ends_with(".audio.delta\"");
    let delta = said(answer.delta.filter(|_| is_text));
    choices
        .saturating_add(delta)
        .saturating_add(said(answer.output))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_model_writes_counts_once_and_nothing_else_does() {
        for (data, bytes) in [
            (
                r#"{"id":"c","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"hello"}}]}"#,
                5,
            ),
            (
                r#"{"choices":[{"delta":{"content":"a"}},{"delta":{"content":"bc"}}]}"#,
                3,
            ),
            (
                r#"{"choices":[{"delta":{"content":"The"},"text":"The"}]}"#,
                3,
            ),
            (r#"{"choices":[{"text":"completion"}]}"#, 10),
            (
                r#"{"choices":[{"delta":{"content":null,"reasoning":"hmm","reasoning_content":"hmm","reasoning_details":[{"type":"reasoning.text","text":"hmm","format":"x"}]}}]}"#,
                3,
            ),
            (
                r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]}}]}"#,
                8,
            ),
            (
                r#"{"choices":[{"message":{"content":[{"type":"text","text":"abc"}],"refusal":"no"}}]}"#,
                5,
            ),
            (
                r#"{"choices":[{"delta":{"audio":{"id":"x","data":"AAAAAAAA","transcript":"hi"}}}]}"#,
                2,
            ),
            (
                r#"{"choices":[{"delta":{"content":"\u00fc\n\ud834\udd1e"}}]}"#,
                7,
            ),
            (r#"{"choices":[{"delta":{"reasoning_text":"hmm"}}]}"#, 3),
            (
                r#"{"choices":[{"delta":{"content":"a","thinking":"hmm"}}]}"#,
                4,
            ),
            (
                r#"{"choices":[{"delta":{"thoughts":[{"text":"hmm"}],"reasoning":"hmm"}}]}"#,
                3,
            ),
            (r#"{"choices":[{"reasoning_content":"hmm"}]}"#, 3),
            (
                r#"{"choices":[{"delta":{"content":"ab","content":"cd"}}]}"#,
                4,
            ),
            (
                r#"{"choices":[{"delta":{"role":"assistant","provider":"x","tool_call_id":"y","content":"a"},"finish_reason":"stop","index":0,"native_finish_reason":"STOP"}]}"#,
                1,
            ),
            (
                r#"{"choices":[{"delta":{"images":[{"type":"image_url","image_url":{"url":"data:x"}}]}}]}"#,
                0,
            ),
            (r#"{"choices":[{"delta":"bare"}],"output":7}"#, 0),
            (r#"{"choices":{"0":1}}"#, 0),
            (r#"{"choices":[],"usage":{"prompt_tokens":1}}"#, 0),
            (
                r#"{"type":"response.output_text.delta","item_id":"i","delta":"word"}"#,
                4,
            ),
            (
                r#"{"type":"response.function_call_arguments.delta","delta":"{}"}"#,
                2,
            ),
            (r#"{"type":"response.audio.delta","delta":"AAAA"}"#, 0),
            (
                r#"{"type":"response.audio.transcript.delta","delta":"said"}"#,
                4,
            ),
            (
                r#"{"type":"response.output_text.done","text":"word word"}"#,
                0,
            ),
            (
                r#"{"type":"response.completed","response":{"output":[{"content":[{"text":"x"}]}]}}"#,
                0,
            ),
            (
                r#"{"object":"response","output":[{"type":"message","id":"m","role":"assistant","status":"completed","content":[{"type":"output_text","text":"four","annotations":[]}]}]}"#,
                4,
            ),
            (r#"{"data":[{"embedding":[1,2]}]}"#, 0),
            ("[DONE]", 0),
            ("", 0),
        ] {
            assert_eq!(text_bytes(data.as_bytes()), bytes, "{data}");
        }
    }
}
