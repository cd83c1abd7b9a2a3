//! What a JSON object of an upstream holds at its top: the fields of the dialect, and those that speak of errors.
//!
//! One reader for events and whole answers. It allocates nothing, minds neither unknown nor repeated fields nor fields
//! of another type than usual, and reads no text: texts may have halves of surrogates in them.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::fields::{FieldName, fails, is_failure, is_none, is_production, says, tells, word};

/// The fields of one object; of a field that is there twice, the last one.
#[derive(Default, Debug)]
pub(super) struct ResponseEnvelope<'a> {
    /// Whether it has any field at all.
    pub(super) any: bool,
    pub(super) id: Option<&'a RawValue>,
    pub(super) model: Option<&'a RawValue>,
    pub(super) object: Option<&'a RawValue>,
    pub(super) kind: Option<&'a RawValue>,
    pub(super) choices: ChoicesSummary<'a>,
    pub(super) usage: Option<&'a RawValue>,
    pub(super) service_tier: Option<&'a RawValue>,
    pub(super) x_groq: Option<&'a RawValue>,
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
pub(super) struct ChoicesSummary<'a> {
    /// Whether there is at least one.
    pub(super) any: bool,
    /// Whether one of them holds something that the model produced.
    pub(super) produced: bool,
    /// Whether one of them carries an error, or ended by one.
    pub(super) failed: bool,
    /// Those that have a finish reason: one bit each, by index.
    pub(super) finished: u128,
    /// Token counts that are on a choice.
    pub(super) usage: Option<&'a RawValue>,
}

/// A delta, a message, an item or a part.
#[derive(Default, Debug)]
pub(super) struct Piece<'a> {
    pub(super) kind: Option<&'a RawValue>,
    pub(super) produced: bool,
    pub(super) failed: bool,
}

impl<'a> ResponseEnvelope<'a> {
    /// The fields of an object; `None` for anything else.
    pub(super) fn read(json: &'a str) -> Option<Self> {
        // The visitor takes a list or a number as well, for the sake of choices.
        if !json.trim_ascii_start().starts_with('{') {
            return None;
        }
        serde_json::from_str(json).ok()
    }
}

/// What takes in an object's fields, one by one.
trait EnvelopeFields<'de>: Default {
    fn field<A: MapAccess<'de>>(&mut self, name: FieldName, map: &mut A) -> Result<(), A::Error>;

    /// One item, where a list of such objects is meant.
    fn items<A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// Reads an object's fields; anything else is like an object without any.
struct Lenient<T>(PhantomData<T>);

impl<'de, T: EnvelopeFields<'de>> Visitor<'de> for Lenient<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut all = T::default();
        while let Some(name) = map.next_key::<FieldName>()? {
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

macro_rules! lenient {
    ($($object:ident)*) => {$(
        impl<'de> Deserialize<'de> for $object<'de> {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.deserialize_any(Lenient(PhantomData))
            }
        }
    )*};
}
lenient!(ResponseEnvelope ChoicesSummary EnvelopeChoice Piece);

impl<'de> EnvelopeFields<'de> for ResponseEnvelope<'de> {
    fn field<A: MapAccess<'de>>(&mut self, name: FieldName, map: &mut A) -> Result<(), A::Error> {
        self.any = true;
        if matches!(name, FieldName::Choices) {
            self.choices = map.next_value()?;
            return Ok(());
        }
        let value: &'de RawValue = map.next_value()?;
        let place = match name {
            FieldName::Id => &mut self.id,
            FieldName::Model => &mut self.model,
            FieldName::Object => &mut self.object,
            FieldName::Type => &mut self.kind,
            FieldName::Usage => &mut self.usage,
            FieldName::ServiceTier => &mut self.service_tier,
            FieldName::XGroq => &mut self.x_groq,
            FieldName::Data => &mut self.data,
            FieldName::Results => &mut self.results,
            FieldName::Output => &mut self.output,
            FieldName::Response => &mut self.response,
            FieldName::Item => &mut self.item,
            FieldName::Part => &mut self.part,
            FieldName::SequenceNumber => &mut self.sequence_number,
            FieldName::Error => &mut self.error,
            FieldName::Detail => &mut self.detail,
            FieldName::Message => &mut self.message,
            FieldName::Code => &mut self.code,
            FieldName::Status => &mut self.status,
            FieldName::StatusCode => &mut self.status_code,
            FieldName::Success => &mut self.success,
            FieldName::BaseResp => &mut self.base_resp,
            FieldName::Errs => {
                self.errs |= tells(Some(value));
                return Ok(());
            }
            FieldName::Delta | FieldName::Other => {
                self.produced = self.produced || says(value);
                return Ok(());
            }
            FieldName::Choices
            | FieldName::Index
            | FieldName::FinishReason
            | FieldName::Bookkeeping => return Ok(()),
        };
        *place = Some(value);
        Ok(())
    }
}

impl<'de> EnvelopeFields<'de> for ChoicesSummary<'de> {
    fn field<A: MapAccess<'de>>(&mut self, _: FieldName, map: &mut A) -> Result<(), A::Error> {
        map.next_value::<IgnoredAny>().map(drop)
    }

    fn items<A: SeqAccess<'de>>(&mut self, seq: &mut A) -> Result<(), A::Error> {
        while let Some(choice) = seq.next_element::<EnvelopeChoice<'de>>()? {
            self.any = true;
            self.produced |= choice.produced;
            self.usage = choice.usage.or(self.usage);
            let reason = word(choice.finish_reason);
            self.failed |= choice.failed || is_failure(reason);
            if !is_none(reason) {
                let index = choice.index.and_then(|index| index.get().parse().ok());
                self.finished |= 1u128.checked_shl(index.unwrap_or(0)).unwrap_or(0);
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct EnvelopeChoice<'a> {
    index: Option<&'a RawValue>,
    finish_reason: Option<&'a RawValue>,
    usage: Option<&'a RawValue>,
    produced: bool,
    failed: bool,
}

impl<'de> EnvelopeFields<'de> for EnvelopeChoice<'de> {
    fn field<A: MapAccess<'de>>(&mut self, name: FieldName, map: &mut A) -> Result<(), A::Error> {
        match name {
            FieldName::Delta | FieldName::Message => {
                let piece: Piece<'de> = map.next_value()?;
                self.produced |= piece.produced;
                self.failed |= piece.failed;
            }
            FieldName::Index => self.index = Some(map.next_value()?),
            FieldName::FinishReason => self.finish_reason = Some(map.next_value()?),
            FieldName::Usage => self.usage = Some(map.next_value()?),
            name => {
                let value = map.next_value()?;
                self.failed |= matches!(name, FieldName::Error) && fails(Some(value));
                self.produced = self.produced || (is_production(&name) && says(value));
            }
        }
        Ok(())
    }
}

impl<'de> EnvelopeFields<'de> for Piece<'de> {
    fn field<A: MapAccess<'de>>(&mut self, name: FieldName, map: &mut A) -> Result<(), A::Error> {
        let value = map.next_value()?;
        self.failed |= matches!(name, FieldName::Error) && fails(Some(value));
        self.produced = self.produced || (is_production(&name) && says(value));
        if matches!(name, FieldName::Type) {
            self.kind = Some(value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
