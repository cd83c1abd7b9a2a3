//! What a JSON object of an upstream holds at its top: the fields of the dialect, and those that speak of errors.
//!
//! One reader for events and whole answers. It allocates nothing, minds neither unknown nor repeated fields nor fields
//! of another type than usual, and reads no text: texts may have halves of surrogates in them.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Fields beside what a model produces, in a chunk, a choice, a delta, or an item of a response.
const BOOKKEEPING: [&str; 47] = [
    "avg_logprobs",
    "channel",
    "choices",
    "content_filter_offsets",
    "content_filter_result",
    "content_filter_results",
    "created",
    "created_at",
    "event",
    "finish_details",
    "finish_reason",
    "flags",
    "id",
    "index",
    "logprobs",
    "matched_stop",
    "metadata",
    "model",
    "modelVersion",
    "name",
    "native_finish_reason",
    "obfuscation",
    "object",
    "output_index",
    "p",
    "phase",
    "prompt_filter_results",
    "prompt_logprobs",
    "prompt_token_ids",
    "provider",
    "recipient",
    "response",
    "role",
    "seed",
    "sequence_number",
    "service_tier",
    "status",
    "stop_reason",
    "system_fingerprint",
    "time_info",
    "timings",
    "token_ids",
    "type",
    "usage",
    "warning",
    "warnings",
    "x_groq",
];

/// The fields of one object; of a field that is there twice, the last one.
#[derive(Default, Debug)]
pub(super) struct Envelope<'a> {
    /// Whether it has any field at all.
    pub(super) any: bool,
    pub(super) id: Option<&'a RawValue>,
    pub(super) model: Option<&'a RawValue>,
    pub(super) object: Option<&'a RawValue>,
    pub(super) kind: Option<&'a RawValue>,
    pub(super) choices: Choices<'a>,
    pub(super) usage: Option<&'a RawValue>,
    pub(super) data: Option<&'a RawValue>,
    pub(super) results: Option<&'a RawValue>,
    pub(super) output: Option<&'a RawValue>,
    pub(super) response: Option<&'a RawValue>,
    pub(super) item: Option<&'a RawValue>,
    pub(super) part: Option<&'a RawValue>,
    pub(super) sequence_number: Option<&'a RawValue>,
    pub(super) error: Option<&'a RawValue>,
    /// A field whose name speaks of an error, such as `errors` or `errorMessage`, and that holds something.
    pub(super) errs: bool,
    pub(super) detail: Option<&'a RawValue>,
    pub(super) message: Option<&'a RawValue>,
    pub(super) code: Option<&'a RawValue>,
    pub(super) status: Option<&'a RawValue>,
    pub(super) status_code: Option<&'a RawValue>,
    pub(super) success: Option<&'a RawValue>,
    pub(super) base_resp: Option<&'a RawValue>,
    /// Whether a field that is none of these holds what a model may have produced.
    pub(super) produced: bool,
}

/// All choices of a chunk or an answer in one.
#[derive(Default, Debug)]
pub(super) struct Choices<'a> {
    /// Whether there is at least one.
    pub(super) any: bool,
    /// Whether one of them holds something that the model produced.
    pub(super) produced: bool,
    /// Whether one of them carries an error, or ended by one.
    pub(super) failed: bool,
    /// Those that have a finish reason: one bit each, by index.
    pub(super) finished: u64,
    /// Token counts that stand on a choice.
    pub(super) usage: Option<&'a RawValue>,
}

/// A delta, a message, an item or a part.
#[derive(Default, Debug)]
pub(super) struct Piece<'a> {
    pub(super) kind: Option<&'a RawValue>,
    pub(super) produced: bool,
    pub(super) failed: bool,
}

impl<'a> Envelope<'a> {
    /// The fields of an object; `None` for anything else.
    pub(super) fn read(json: &'a str) -> Option<Self> {
        // The visitor takes a list or a number as well, for the sake of choices.
        if !json.trim_ascii_start().starts_with('{') {
            return None;
        }
        serde_json::from_str(json).ok()
    }
}

/// Whether a value says anything: not null, false, zero or empty, nor a list or an object of such.
pub(super) fn tells(value: Option<&RawValue>) -> bool {
    value.is_some_and(|value| holds(value.get(), true))
}

/// Whether a value is, or has in it, a text that is not empty. Numbers and flags (ids of tokens, say) are no text.
fn says(value: &RawValue) -> bool {
    let json = value.get();
    match json.as_bytes().first() {
        Some(b'"') => json.len() > 2,
        Some(b'{' | b'[') => holds(json, false),
        _ => false,
    }
}

/// Whether well-formed JSON has a value that is a text with something in it, or, with `scalars`, true or a number other
/// than zero.
fn holds(json: &str, scalars: bool) -> bool {
    let mut rest = json.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'"' => {
                let mut at = 0;
                while let Some(found) = rest
                    .get(at..)
                    .and_then(|rest| memchr::memchr2(b'"', b'\\', rest))
                {
                    at += found;
                    if rest.get(at) == Some(&b'"') {
                        break;
                    }
                    at += 2;
                }
                rest = rest.get(at + 1..).unwrap_or_default();
                let is_name = rest.trim_ascii_start().first() == Some(&b':');
                if at > 0 && !is_name {
                    return true;
                }
            }
            b't' | b'1'..=b'9' if scalars => return true,
            _ => {}
        }
    }
    false
}

/// A short word in JSON, without its quotes: for comparison with known ones.
pub(super) fn word(value: Option<&RawValue>) -> &str {
    let json = value.map_or("", RawValue::get);
    let inside = json
        .strip_prefix('"')
        .and_then(|json| json.strip_suffix('"'));
    inside.unwrap_or_default()
}

/// A number in JSON, be it written as one or as a text.
pub(super) fn number(value: Option<&RawValue>) -> Option<i64> {
    value?.get().trim_matches('"').parse().ok()
}

/// Whether a choice ends for this reason because something went wrong, and not because the answer is complete, long
/// enough or refused. Of DeepSeek (`insufficient_system_resource`), Z.ai (`network_error`), OpenRouter and Mistral
/// (`error`), vLLM and SGLang (`abort`), Cohere (`ERROR`, `TIMEOUT`), and what others make of these.
fn is_failure(reason: &str) -> bool {
    const REASONS: [&str; 10] = [
        "insufficient_system_resource",
        "abort",
        "aborted",
        "timeout",
        "failed",
        "failure",
        "overloaded",
        "unavailable",
        "exception",
        "interrupted",
    ];
    let ends = reason.len().saturating_sub("error".len());
    let error = reason
        .get(ends..)
        .is_some_and(|end| end.eq_ignore_ascii_case("error"));
    error
        || REASONS
            .iter()
            .any(|known| reason.eq_ignore_ascii_case(known))
}

/// A field's name, compared where it stands.
enum Name {
    Id,
    Model,
    Object,
    Type,
    Choices,
    Usage,
    Data,
    Results,
    Output,
    Response,
    Item,
    Part,
    SequenceNumber,
    Error,
    Detail,
    Message,
    Code,
    Status,
    StatusCode,
    Success,
    BaseResp,
    Index,
    Delta,
    FinishReason,
    /// Beside what a model produces.
    Bookkeeping,
    /// It speaks of an error.
    Errs,
    Other,
}

impl Name {
    fn of(name: &str) -> Self {
        match name {
            "id" => Self::Id,
            "model" => Self::Model,
            "object" => Self::Object,
            "type" | "__type" => Self::Type,
            "choices" => Self::Choices,
            "usage" => Self::Usage,
            "data" => Self::Data,
            "results" => Self::Results,
            "output" => Self::Output,
            "response" => Self::Response,
            "item" => Self::Item,
            "part" => Self::Part,
            "sequence_number" => Self::SequenceNumber,
            "error" => Self::Error,
            "detail" => Self::Detail,
            "message" | "msg" | "Message" => Self::Message,
            "code" => Self::Code,
            "status" => Self::Status,
            "status_code" | "statusCode" | "http_code" => Self::StatusCode,
            "success" => Self::Success,
            "base_resp" => Self::BaseResp,
            "index" => Self::Index,
            "delta" => Self::Delta,
            "finish_reason" => Self::FinishReason,
            name if BOOKKEEPING.contains(&name) || name.ends_with("_id") => Self::Bookkeeping,
            name if is_about_errors(name) => Self::Errs,
            _ => Self::Other,
        }
    }
}

/// Whether a field's name speaks of an error: `errors`, `err`, `error_msg`, `ErrorMessage`, `exception`.
fn is_about_errors(name: &str) -> bool {
    let starts = |part: &str| {
        name.get(..part.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(part))
    };
    starts("error") || starts("exception") || name.eq_ignore_ascii_case("err")
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Name;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field's name")
            }
            fn visit_str<E: Error>(self, name: &str) -> Result<Name, E> {
                Ok(Name::of(name))
            }
        }
        from.deserialize_identifier(Reader)
    }
}

/// What takes in an object's fields, one by one.
trait Fields<'de>: Default {
    fn field<A: MapAccess<'de>>(&mut self, name: Name, map: &mut A) -> Result<(), A::Error>;

    /// One item, where a list of such objects is meant.
    fn items<A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// Reads an object's fields; anything else is like an object without any.
struct Lenient<T>(PhantomData<T>);

impl<'de, T: Fields<'de>> Visitor<'de> for Lenient<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut all = T::default();
        while let Some(name) = map.next_key::<Name>()? {
            all.field(name, &mut map)?;
        }
        Ok(all)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<T, A::Error> {
        let mut all = T::default();
        all.items(&mut seq)?;
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

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Lenient(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Choices<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Lenient(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Choice<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Lenient(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Piece<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Lenient(PhantomData))
    }
}

impl<'de> Fields<'de> for Envelope<'de> {
    fn field<A: MapAccess<'de>>(&mut self, name: Name, map: &mut A) -> Result<(), A::Error> {
        self.any = true;
        if matches!(name, Name::Choices) {
            self.choices = map.next_value()?;
            return Ok(());
        }
        let value: &'de RawValue = map.next_value()?;
        let place = match name {
            Name::Id => &mut self.id,
            Name::Model => &mut self.model,
            Name::Object => &mut self.object,
            Name::Type => &mut self.kind,
            Name::Usage => &mut self.usage,
            Name::Data => &mut self.data,
            Name::Results => &mut self.results,
            Name::Output => &mut self.output,
            Name::Response => &mut self.response,
            Name::Item => &mut self.item,
            Name::Part => &mut self.part,
            Name::SequenceNumber => &mut self.sequence_number,
            Name::Error => &mut self.error,
            Name::Detail => &mut self.detail,
            Name::Message => &mut self.message,
            Name::Code => &mut self.code,
            Name::Status => &mut self.status,
            Name::StatusCode => &mut self.status_code,
            Name::Success => &mut self.success,
            Name::BaseResp => &mut self.base_resp,
            Name::Errs => {
                self.errs |= tells(Some(value));
                return Ok(());
            }
            Name::Delta | Name::Other => {
                self.produced = self.produced || says(value);
                return Ok(());
            }
            Name::Choices | Name::Index | Name::FinishReason | Name::Bookkeeping => return Ok(()),
        };
        *place = Some(value);
        Ok(())
    }
}

impl<'de> Fields<'de> for Choices<'de> {
    fn field<A: MapAccess<'de>>(&mut self, _: Name, map: &mut A) -> Result<(), A::Error> {
        map.next_value::<IgnoredAny>().map(drop)
    }

    fn items<A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<(), A::Error> {
        while let Some(choice) = seq.next_element::<Choice<'de>>()? {
            self.any = true;
            self.produced |= choice.produced;
            self.usage = choice.usage.or(self.usage);
            let reason = word(choice.finish_reason);
            self.failed |= choice.failed || is_failure(reason);
            if !reason.is_empty() {
                let index = choice.index.and_then(|index| index.get().parse().ok());
                self.finished |= 1u64.checked_shl(index.unwrap_or(0)).unwrap_or(0);
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Choice<'a> {
    index: Option<&'a RawValue>,
    finish_reason: Option<&'a RawValue>,
    usage: Option<&'a RawValue>,
    produced: bool,
    failed: bool,
}

impl<'de> Fields<'de> for Choice<'de> {
    fn field<A: MapAccess<'de>>(&mut self, name: Name, map: &mut A) -> Result<(), A::Error> {
        match name {
            Name::Delta | Name::Message => {
                let piece: Piece<'de> = map.next_value()?;
                self.produced |= piece.produced;
                self.failed |= piece.failed;
            }
            Name::Index => self.index = Some(map.next_value()?),
            Name::FinishReason => self.finish_reason = Some(map.next_value()?),
            Name::Usage => self.usage = Some(map.next_value()?),
            name => {
                let value = map.next_value()?;
                self.failed |= matches!(name, Name::Error) && tells(Some(value));
                self.produced = self.produced || (is_production(&name) && says(value));
            }
        }
        Ok(())
    }
}

impl<'de> Fields<'de> for Piece<'de> {
    fn field<A: MapAccess<'de>>(&mut self, name: Name, map: &mut A) -> Result<(), A::Error> {
        let value = map.next_value()?;
        self.failed |= matches!(name, Name::Error) && tells(Some(value));
        self.produced = self.produced || (is_production(&name) && says(value));
        if matches!(name, Name::Type) {
            self.kind = Some(value);
        }
        Ok(())
    }
}

/// Whether such a field of a choice, a delta or an item may hold what the model produced: all may that are not known to
/// be beside it, for reasoning, tools and media have a new name at each upstream.
fn is_production(name: &Name) -> bool {
    !matches!(
        name,
        Name::Id
            | Name::Model
            | Name::Object
            | Name::Type
            | Name::Usage
            | Name::SequenceNumber
            | Name::Error
            | Name::Errs
            | Name::Code
            | Name::Status
            | Name::StatusCode
            | Name::Success
            | Name::Index
            | Name::FinishReason
            | Name::Bookkeeping
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn read(json: &str) -> Envelope<'_> {
        Envelope::read(json).unwrap_or_else(|| panic!("{json}"))
    }

    #[test]
    fn odd_types_repeated_names_and_broken_texts_are_read() {
        for choices in [
            "null",
            "1",
            "1.5",
            "true",
            r#""x""#,
            "{}",
            "[]",
            r#"{"a":[1]}"#,
        ] {
            assert!(!read(&format!(r#"{{"choices":{choices}}}"#)).choices.any);
        }
        for choice in [
            "null",
            "1",
            r#""x""#,
            "[1]",
            "{}",
            r#"{"delta":[1]}"#,
            r#"{"delta":null}"#,
        ] {
            let json = format!(r#"{{"choices":[{choice}]}}"#);
            let choices = read(&json).choices;
            assert!(choices.any && !choices.produced, "{json}");
        }
        let twice =
            read(r#"{"id":"a","id":"b","choices":[],"choices":[{"delta":{"x":"\ud800"}}]}"#);
        assert_eq!(word(twice.id), "b");
        assert!(twice.choices.produced);
        for json in ["", "1", "[]", "null", r#""x""#, "{", r#"{"a":1}{}"#] {
            assert!(Envelope::read(json).is_none(), "{json}");
        }
    }

    #[test]
    fn bookkeeping_is_no_production_and_all_else_is() {
        for delta in [
            r#"{"role":"assistant","name":"n"}"#,
            r#"{"content":null,"tool_calls":[],"refusal":""}"#,
            r#"{"provider_specific_fields":{"refusal":null,"list":[{}]}}"#,
            r#"{"token_id":5,"token_ids":[1,2],"done":false}"#,
            r#"{"conversation_id":"c","id":"x"}"#,
        ] {
            let json = format!(r#"{{"choices":[{{"delta":{delta}}}]}}"#);
            assert!(!read(&json).choices.produced, "{json}");
        }
        for choice in [
            r#"{"delta":{"reasoning_text":"x"}}"#,
            r#"{"delta":{"thinking":{"blocks":[{"n":0,"text":"x"}]}}}"#,
            r#"{"delta":{"audio":{"data":"UklG"}}}"#,
            r#"{"delta":{"images":[{"image_url":{"url":"data:"}}]}}"#,
            r#"{"delta":{"escaped":"\""}}"#,
            r#"{"message":{"content":"x"}}"#,
            r#"{"text":"x"}"#,
            r#"{"text":"","reasoning":"x"}"#,
        ] {
            let json = format!(r#"{{"choices":[{choice}]}}"#);
            assert!(read(&json).choices.produced, "{json}");
        }
    }

    #[test]
    fn finish_reasons_are_bits_by_index() {
        let json = r#"{"choices":[{"index":2,"finish_reason":"stop"},{"finish_reason":"x"},{"index":70,"finish_reason":"x"},{"index":1,"finish_reason":null}]}"#;
        assert_eq!(read(json).choices.finished, 0b101);
    }

    fn filled(value: &Value) -> bool {
        match value {
            Value::Null | Value::Bool(false) => false,
            Value::Bool(true) => true,
            Value::Number(number) => number.as_i64() != Some(0),
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => items.iter().any(filled),
            Value::Object(fields) => fields.values().any(filled),
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-3i64..3).prop_map(Value::from),
            prop_oneof![Just(String::new()), "[a\"\\\\:{]{0,3}"].prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            let fields = prop::collection::vec(("[a\"\\\\:]{0,2}", inner.clone()), 0..4);
            prop_oneof![
                prop::collection::vec(inner, 0..4).prop_map(Value::from),
                fields.prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_filled_is_what_a_whole_reader_would_say(value in json(), pretty in any::<bool>()) {
            let text = match pretty {
                true => serde_json::to_string_pretty(&value),
                false => serde_json::to_string(&value),
            }
            .unwrap();
            prop_assert_eq!(holds(&text, true), filled(&value), "{}", text);
        }
    }
}
