//! Reads JSON of others without building values: a value takes many times its bytes (a small
//! object some 650 bytes), so that a body of 25 MiB could take more than a gibibyte.
//!
//! Strings are scanned, lists are counted, and where a value has to be built it has a bounded number of parts. The
//! input has been validated as JSON before; other input gives some strings or none, and the scan ends.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::ops::ControlFlow;

use memchr::{memchr, memchr2};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

/// A JSON string's inside, as it is written.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    raw: &'a str,
    escaped: bool,
}

impl<'a> Text<'a> {
    /// Text that has no escapes.
    pub fn plain(raw: &'a str) -> Self {
        Self {
            raw,
            escaped: false,
        }
    }

    /// Its characters. Half of a surrogate pair becomes U+FFFD.
    pub fn chars(self) -> impl Iterator<Item = char> {
        let mut rest = self.raw;
        std::iter::from_fn(move || {
            if self.escaped && rest.starts_with('\\') {
                return unescape(&mut rest);
            }
            let first = rest.chars().next()?;
            rest = rest.get(first.len_utf8()..)?;
            Some(first)
        })
    }

    /// Whether it is this.
    pub fn is(self, other: &str) -> bool {
        if self.escaped {
            self.chars().eq(other.chars())
        } else {
            self.raw == other
        }
    }

    /// Whether it begins with this.
    pub fn starts_with(self, other: &str) -> bool {
        if self.escaped {
            self.chars().take(other.chars().count()).eq(other.chars())
        } else {
            self.raw.starts_with(other)
        }
    }

    /// Bytes of what it means.
    pub fn len(self) -> usize {
        if !self.escaped {
            return self.raw.len();
        }
        let (mut rest, mut len) = (self.raw, 0);
        while let Some(at) = memchr(b'\\', rest.as_bytes()) {
            rest = rest.get(at..).unwrap_or_default();
            len += at + unescape(&mut rest).map_or(0, char::len_utf8);
        }
        len + rest.len()
    }

    /// What it means in pieces of at most `most` bytes, cut before a space where there is one in the second half. Only
    /// what is written with escapes is copied, a piece at a time, into `buffer`.
    pub fn pieces(
        self,
        most: usize,
        buffer: &mut String,
        mut each: impl FnMut(&str) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut rest = self.raw;
        if !self.escaped {
            while let Some((piece, behind)) = rest.split_at_checked(cut(rest, most))
                && !piece.is_empty()
            {
                each(piece)?;
                rest = behind;
            }
            return ControlFlow::Continue(());
        }
        buffer.clear();
        loop {
            // One byte more than a piece has: then it is known whether the text goes on behind it.
            while buffer.len() <= most && !rest.is_empty() {
                read(&mut rest, buffer, most + 1 - buffer.len());
            }
            let end = cut(buffer, most);
            match buffer.get(..end) {
                None | Some("") => return ControlFlow::Continue(()),
                Some(piece) => each(piece)?,
            }
            buffer.drain(..end);
        }
    }
}

/// Where a piece of at most `most` bytes ends; at least one character, if there is one.
fn cut(text: &str, most: usize) -> usize {
    let end = text.floor_char_boundary(most);
    if end == text.len() {
        return end;
    }
    let space = text.get(..end).and_then(|piece| piece.rfind(' '));
    let end = space.filter(|at| *at > most / 2).unwrap_or(end);
    end.max(text.chars().next().map_or(0, char::len_utf8))
}

/// Moves about `room` bytes, at least a character, from `rest` to `buffer`.
fn read(rest: &mut &str, buffer: &mut String, room: usize) {
    if rest.starts_with('\\') {
        buffer.extend(unescape(rest));
        return;
    }
    let run = memchr(b'\\', rest.as_bytes()).unwrap_or(rest.len());
    let end = rest.floor_char_boundary(run.min(room));
    let end = end.max(rest.chars().next().map_or(0, char::len_utf8));
    if let Some((run, behind)) = rest.split_at_checked(end) {
        buffer.push_str(run);
        *rest = behind;
    }
}

/// Takes an escape from the front of `rest`, which begins with a backslash.
fn unescape(rest: &mut &str) -> Option<char> {
    let mut behind = rest.get(1..)?.chars();
    let letter = behind.next();
    *rest = behind.as_str();
    Some(match letter? {
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => {
            let high = unit(rest).unwrap_or(0xfffd);
            let mut after = rest.strip_prefix("\\u").unwrap_or_default();
            let low = (0xd800..0xdc00)
                .contains(&high)
                .then(|| unit(&mut after))
                .flatten();
            match low.filter(|low| (0xdc00..0xe000).contains(low)) {
                Some(low) => {
                    *rest = after;
                    let pair = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                    char::from_u32(pair).unwrap_or(char::REPLACEMENT_CHARACTER)
                }
                None => char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER),
            }
        }
        other => other,
    })
}

/// Takes four hexadecimal digits.
fn unit(rest: &mut &str) -> Option<u32> {
    let (digits, behind) = rest.split_at_checked(4)?;
    let unit = u32::from_str_radix(digits, 16).ok()?;
    *rest = behind;
    Some(unit)
}

/// Every string among these values, at any depth, in order; but not names of fields, and nothing in fields whose name
/// is to be skipped. Takes no memory.
pub fn texts<'a>(
    raw: &'a str,
    skip: impl Fn(Text<'a>) -> bool,
    mut each: impl FnMut(Text<'a>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let bytes = raw.as_bytes();
    let mut at = 0;
    while let Some(found) = memchr(b'"', bytes.get(at..).unwrap_or_default()) {
        let start = at + found + 1;
        let Some((end, escaped)) = closing(bytes, start) else {
            break;
        };
        let text = Text {
            raw: raw.get(start..end).unwrap_or_default(),
            escaped,
        };
        let behind = beyond_space(bytes, end + 1);
        // Only a name is followed by a colon.
        if bytes.get(behind) != Some(&b':') {
            each(text)?;
            at = end + 1;
        } else if skip(text) {
            at = beyond_value(bytes, behind + 1);
        } else {
            at = behind + 1;
        }
    }
    ControlFlow::Continue(())
}

/// Where the string that began in front of `start` ends, and whether there are escapes in it.
fn closing(bytes: &[u8], start: usize) -> Option<(usize, bool)> {
    let (mut at, mut escaped) = (start, false);
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        match bytes.get(at)? {
            b'"' => return Some((at, escaped)),
            _ => escaped = true,
        }
        at += 2;
    }
}

fn beyond_space(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest
        .iter()
        .take_while(|byte| byte.is_ascii_whitespace())
        .count()
}

/// Behind the value that begins here; in front of a number or a word, which hide nothing.
fn beyond_value(bytes: &[u8], at: usize) -> usize {
    let mut at = beyond_space(bytes, at);
    let mut depth = 0usize;
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => match closing(bytes, at) {
                Some((end, _)) => at = end + 1,
                None => return bytes.len(),
            },
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ if depth == 0 => return at - 1,
            _ => continue,
        }
        if depth == 0 {
            return at;
        }
    }
    at
}

/// How many values a list has, and those at its ends.
#[derive(Clone, Copy, Debug, Default)]
pub struct List<'a> {
    /// The number of elements.
    pub len: usize,
    /// The first element.
    pub first: Option<&'a RawValue>,
    /// The last element.
    pub last: Option<&'a RawValue>,
}

impl<'a> List<'a> {
    /// `None` when it is no list.
    pub fn of(raw: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(raw).ok()
    }
}

impl<'de> Deserialize<'de> for List<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Values;
        impl<'de> Visitor<'de> for Values {
            type Value = List<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut list = List::default();
                while let Some(value) = seq.next_element::<&RawValue>()? {
                    list.len += 1;
                    list.first = list.first.or(Some(value));
                    list.last = Some(value);
                }
                Ok(list)
            }
        }
        deserializer.deserialize_seq(Values)
    }
}

/// Whether any value of a list fits; `None` when it is no list, or cannot be read.
pub fn any_item(raw: &[u8], fits: impl FnMut(&RawValue) -> bool) -> Option<bool> {
    struct Items<F>(F);
    impl<'de, F: FnMut(&RawValue) -> bool> Visitor<'de> for Items<F> {
        type Value = bool;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<bool, A::Error> {
            let mut any = false;
            while let Some(value) = seq.next_element::<&RawValue>()? {
                any = any || self.0(value);
            }
            Ok(any)
        }
    }
    let mut reader = serde_json::Deserializer::from_slice(raw);
    reader.deserialize_seq(Items(fits)).ok()
}

/// The most parts of a value: with some 650 bytes for the largest of them about 42 MiB. Requests of
/// agents have some thousands.
pub const MOST_PARTS: usize = 65_536;
/// The same for an error: some 2.6 MiB. Errors that validators list field by field have some hundreds of parts.
const MOST_ERROR_PARTS: usize = 4_096;

/// The value in these bytes, of its first [`MOST_PARTS`] parts; `None` when they are not JSON, or nested too deeply.
pub fn value(raw: &[u8]) -> Option<Value> {
    value_of(raw, MOST_PARTS).map(|(value, _)| value)
}

/// The same of an error answer, which has fewer parts.
pub fn error(raw: &[u8]) -> Option<Value> {
    value_of(raw, MOST_ERROR_PARTS).map(|(value, _)| value)
}

/// The object in these bytes; `None` also when it has more than [`MOST_PARTS`] parts, so that what is written again of
/// it lacks nothing.
pub fn whole_object(raw: &[u8]) -> Option<Map<String, Value>> {
    match value_of(raw, MOST_PARTS)? {
        (Value::Object(object), true) => Some(object),
        _ => None,
    }
}

/// The value of its first parts, and whether these are all.
fn value_of(raw: &[u8], parts: usize) -> Option<(Value, bool)> {
    let budget = Budget {
        left: Cell::new(parts),
        exceeded: Cell::new(false),
    };
    let mut reader = serde_json::Deserializer::from_slice(raw);
    let value = Bounded(&budget).deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    Some((value, !budget.exceeded.get()))
}

/// How many parts may still be built, and whether there were more.
struct Budget {
    left: Cell<usize>,
    exceeded: Cell<bool>,
}

/// Builds a value while parts are left; then it only validates.
#[derive(Clone, Copy)]
struct Bounded<'a>(&'a Budget);

impl Bounded<'_> {
    fn take(self) -> bool {
        let left = self.0.left.get();
        self.0.left.set(left.saturating_sub(1));
        left > 0
    }
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while self.take() {
            match seq.next_element_seed(self)? {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {
            self.0.exceeded.set(true);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while self.take() {
            let Some(name) = map.next_key::<Cow<'de, str>>()? else {
                return Ok(Value::Object(fields));
            };
            fields.insert(name.into_owned(), map.next_value_seed(self)?);
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            self.0.exceeded.set(true);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests;
