//! Fields of JSON objects, taken out and put in, for the decoders and encoders of all dialects.
//!
//! A decoder takes a field out only where it is what it should be; what it leaves behind is the object's `extra`.

use serde_json::{Number, Value};

use super::loss::{Extra, Loss, Losses, lose_all, lose_counts};
use super::part::CacheMark;

/// Takes a field out if it can be read as what it should be.
pub(in crate::wire) fn take<T>(
    fields: &mut Extra,
    name: &str,
    read: impl FnOnce(&Value) -> Option<T>,
) -> Option<T> {
    let value = read(fields.get(name)?)?;
    fields.remove(name);
    Some(value)
}

/// A text.
pub(in crate::wire) fn text(fields: &mut Extra, name: &str) -> Option<String> {
    // Moved, not copied: an image may be one of these.
    match fields.remove(name)? {
        Value::String(text) => Some(text),
        other => {
            fields.insert(name.to_owned(), other);
            None
        }
    }
}

/// True or false.
pub(in crate::wire) fn flag(fields: &mut Extra, name: &str) -> Option<bool> {
    take(fields, name, Value::as_bool)
}

/// A whole number from 0.
pub(in crate::wire) fn count(fields: &mut Extra, name: &str) -> Option<u64> {
    take(fields, name, Value::as_u64)
}

/// Any number, as it was written.
pub(in crate::wire) fn number(fields: &mut Extra, name: &str) -> Option<Number> {
    take(fields, name, |value| value.as_number().cloned())
}

/// A list with something in it.
pub(in crate::wire) fn list(fields: &mut Extra, name: &str) -> Option<Vec<Value>> {
    match fields.remove(name)? {
        Value::Array(all) if !all.is_empty() => Some(all),
        other => {
            fields.insert(name.to_owned(), other);
            None
        }
    }
}

/// Takes fields out of an object that is a field itself, which goes too once nothing is left of it. `read` that finds
/// nothing must have taken nothing.
pub(in crate::wire) fn inside<T>(
    fields: &mut Extra,
    name: &str,
    read: impl FnOnce(&mut Extra) -> Option<T>,
) -> Option<T> {
    let Some(Value::Object(inner)) = fields.get_mut(name) else {
        return None;
    };
    let value = read(inner)?;
    if inner.is_empty() {
        fields.remove(name);
    }
    Some(value)
}

/// Puts a field in, if it is there.
pub(in crate::wire) fn put(fields: &mut Extra, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        fields.insert(name.to_owned(), value.into());
    }
}

/// Fills an object that is a field itself, made where there is none.
pub(in crate::wire) fn fill(fields: &mut Extra, name: &str, write: impl FnOnce(&mut Extra)) {
    let mut inner = match fields.remove(name) {
        Some(Value::Object(inner)) => inner,
        _ => Extra::new(),
    };
    write(&mut inner);
    fields.insert(name.to_owned(), Value::Object(inner));
}

/// Puts a field into such an object, if it is there.
pub(in crate::wire) fn put_in(
    fields: &mut Extra,
    place: &str,
    name: &str,
    value: Option<impl Into<Value>>,
) {
    if value.is_some() {
        fill(fields, place, |inner| put(inner, name, value));
    }
}

/// `{"type": "ephemeral"}`, perhaps with how long.
pub(in crate::wire) fn cache_mark(fields: &mut Extra) -> Option<CacheMark> {
    take(fields, "cache_control", |value| {
        let mut fingerprint = value.as_object()?.clone();
        let kind = text(&mut fingerprint, "type")?;
        let ttl = text(&mut fingerprint, "ttl");
        (kind == "ephemeral" && fingerprint.is_empty()).then_some(CacheMark { ttl })
    })
}

/// Writes it as [`cache_mark`] reads it.
pub(in crate::wire) fn put_cache_mark(fields: &mut Extra, fingerprint: Option<CacheMark>) {
    if let Some(CacheMark { ttl }) = fingerprint {
        put_in(fields, "cache_control", "type", Some("ephemeral"));
        put_in(fields, "cache_control", "ttl", ttl);
    }
}

/// Writes a body, and notes what has no place in it.
#[derive(Debug)]
pub(in crate::wire) struct Encoder {
    /// What is written was read from this dialect.
    pub(in crate::wire) same: bool,
    /// Why a field of another dialect has no place here.
    unknown: &'static str,
    /// What had none.
    pub(in crate::wire) losses: Losses,
}

impl Encoder {
    /// For what was read from `origin` and is written in the dialect `own`; `unknown` says why a field of another
    /// dialect has no place there.
    pub(in crate::wire) fn new(origin: &str, own: &str, unknown: &'static str) -> Self {
        Self {
            same: origin == own,
            unknown,
            losses: Losses::new(),
        }
    }

    /// The fields that an object begins with: its own, or none, if those are another dialect's.
    pub(in crate::wire) fn begin(&mut self, path: &str, extra: Extra) -> Extra {
        if self.same {
            return extra;
        }
        lose_all(&mut self.losses, path, &extra, self.unknown);
        Extra::new()
    }

    /// The same for an object of counts.
    pub(in crate::wire) fn begin_usage(&mut self, extra: Extra) -> Extra {
        if self.same {
            return extra;
        }
        lose_counts(&mut self.losses, "usage", &extra, self.unknown);
        Extra::new()
    }

    /// Something has no place here.
    pub(in crate::wire) fn lose(&mut self, path: impl Into<String>, why: &'static str) {
        self.losses.push(Loss::new(path, why));
    }

    /// A whole part of a message has no place here: it is named by a word for what it is.
    pub(in crate::wire) fn lose_part(&mut self, path: &str, word: &str, why: &'static str) {
        self.losses.push(Loss {
            part: true,
            ..Loss::new(format!("{path}.{word}"), why)
        });
    }
}
