//! Chat completions to the neutral form of `wire/ir` and back.
//!
//! Decoding takes fields out of an object as far as they are what they should be; what is left of the object is its
//! `extra`. Encoding begins with that and puts the fields back in. So nothing can be forgotten: a field is either taken or
//! still there.

mod answer;
mod message;
mod request;
mod stream;
#[cfg(test)]
mod tests;

use serde_json::{Number, Value};

use crate::wire::ir::{CacheMark, Extra, Loss, Losses, lose_all};

pub(super) use answer::{decode_answer, encode_answer};
pub(super) use request::{decode_request, encode_request};
pub(super) use stream::{ChunkDecoder, ChunkEncoder};

/// Why fields of another dialect's own are not carried over.
const UNKNOWN: &str = "chat completions have no field for it";

/// Takes a field out if it can be read as what it should be.
fn take<T>(fields: &mut Extra, name: &str, read: impl FnOnce(&Value) -> Option<T>) -> Option<T> {
    let value = read(fields.get(name)?)?;
    fields.remove(name);
    Some(value)
}

fn text(fields: &mut Extra, name: &str) -> Option<String> {
    // Moved, not copied: an image may be one of these.
    match fields.remove(name)? {
        Value::String(text) => Some(text),
        other => {
            fields.insert(name.to_owned(), other);
            None
        }
    }
}

fn flag(fields: &mut Extra, name: &str) -> Option<bool> {
    take(fields, name, Value::as_bool)
}

fn count(fields: &mut Extra, name: &str) -> Option<u64> {
    take(fields, name, Value::as_u64)
}

fn number(fields: &mut Extra, name: &str) -> Option<Number> {
    take(fields, name, |value| value.as_number().cloned())
}

/// A list with something in it.
fn list(fields: &mut Extra, name: &str) -> Option<Vec<Value>> {
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
fn inside<T>(
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
fn put(fields: &mut Extra, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        fields.insert(name.to_owned(), value.into());
    }
}

/// Fills an object that is a field itself, made where there is none.
fn fill(fields: &mut Extra, name: &str, write: impl FnOnce(&mut Extra)) {
    let mut inner = match fields.remove(name) {
        Some(Value::Object(inner)) => inner,
        _ => Extra::new(),
    };
    write(&mut inner);
    fields.insert(name.to_owned(), Value::Object(inner));
}

/// Puts a field into such an object, if it is there.
fn put_in(fields: &mut Extra, place: &str, name: &str, value: Option<impl Into<Value>>) {
    if value.is_some() {
        fill(fields, place, |inner| put(inner, name, value));
    }
}

/// `{"type": "ephemeral"}`, perhaps with how long.
fn cache_mark(fields: &mut Extra) -> Option<CacheMark> {
    take(fields, "cache_control", |value| {
        let mut mark = value.as_object()?.clone();
        let kind = text(&mut mark, "type")?;
        let ttl = text(&mut mark, "ttl");
        (kind == "ephemeral" && mark.is_empty()).then_some(CacheMark { ttl })
    })
}

fn put_cache_mark(fields: &mut Extra, mark: Option<CacheMark>) {
    if let Some(CacheMark { ttl }) = mark {
        put_in(fields, "cache_control", "type", Some("ephemeral"));
        put_in(fields, "cache_control", "ttl", ttl);
    }
}

/// Writes a body, and notes what has no place in it.
#[derive(Debug)]
struct Encoder {
    /// What is written was read from this dialect.
    same: bool,
    losses: Losses,
}

impl Encoder {
    fn new(origin: &str) -> Self {
        Self {
            same: origin == super::ID,
            losses: Losses::new(),
        }
    }

    /// The fields that an object begins with: its own, or none, if those are another dialect's.
    fn begin(&mut self, path: &str, extra: Extra) -> Extra {
        if self.same {
            return extra;
        }
        lose_all(&mut self.losses, path, &extra, UNKNOWN);
        Extra::new()
    }

    /// Something has no place here.
    fn lose(&mut self, path: impl Into<String>, why: &'static str) {
        self.losses.push(Loss {
            path: path.into(),
            why,
        });
    }
}
