//! Where the top-level fields of a body are, and that there are not too many of them.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Most top-level fields. Requests have some ten, with every provider's extras some hundred; each takes about 60 bytes
/// here, whatever it has in the body.
pub const MAX_FIELDS: usize = 4096;

/// One field of a request.
#[derive(Clone, Debug)]
pub(super) struct RequestField {
    pub(super) name: RawName,
    pub(super) value: Range<usize>,
}

#[derive(Clone, Debug)]
pub(super) enum RawName {
    /// Between its quotes in the body.
    Plain(Range<usize>),
    /// A name that is written with escapes.
    Escaped(Box<str>),
}

/// The object's fields as slices of the body.
pub(super) struct ObjectFields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> ObjectFields<'a> {
    /// Names and values, as they are written in the text.
    pub(super) fn into_pairs(self) -> Vec<(Cow<'a, str>, &'a RawValue)> {
        self.0
    }
}

impl ObjectFields<'_> {
    pub(super) fn locate(self, body: &Bytes) -> Vec<RequestField> {
        let start = body.as_ptr() as usize;
        let range = |part: &str| {
            let from = (part.as_ptr() as usize).saturating_sub(start);
            from..from + part.len()
        };
        let fields = self.0.into_iter().map(|(name, value)| RequestField {
            name: match name {
                Cow::Borrowed(name) => RawName::Plain(range(name)),
                Cow::Owned(name) => RawName::Escaped(name.into_boxed_str()),
            },
            value: range(value.get()),
        });
        fields.collect()
    }
}

impl<'a> ObjectFields<'a> {
    /// Reads a body, and says whether it has too many of them.
    pub(super) fn read(body: &'a [u8], too_many: &mut bool) -> serde_json::Result<Self> {
        fn read<'a, R: serde_json::de::Read<'a>>(
            from: R,
            too_many: &mut bool,
        ) -> serde_json::Result<ObjectFields<'a>> {
            let mut reader = serde_json::Deserializer::new(from);
            let fields = reader.deserialize_map(Object { too_many })?;
            reader.end()?;
            Ok(fields)
        }
        // Read as text once, and not again field by field; what is not text fails with its place.
        match std::str::from_utf8(body) {
            Ok(text) => read(serde_json::de::StrRead::new(text), too_many),
            Err(_) => read(serde_json::de::SliceRead::new(body), too_many),
        }
    }
}

struct Object<'a> {
    too_many: &'a mut bool,
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ObjectFields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::with_capacity(16);
        while let Some((JsonKey(name), value)) = map.next_entry::<JsonKey<'de>, &'de RawValue>()? {
            if fields.len() == MAX_FIELDS {
                *self.too_many = true;
                return Err(A::Error::custom("too many fields"));
            }
            fields.push((name, value));
        }
        Ok(ObjectFields(fields))
    }
}

/// A key, borrowed where it is written without escapes (serde's own `Cow` never borrows).
struct JsonKey<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for JsonKey<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = JsonKey<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(JsonKey(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(JsonKey(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}
