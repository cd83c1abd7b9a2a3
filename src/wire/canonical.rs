//! One form for all JSON that means the same (after RFC 8785): members sorted by name, numbers by value, strings with no more
//! escapes than they need, no white space. Texts are not normalised, and lists keep their order.
//!
//! Written in one pass beside the bytes that are read: no values are built.

use std::ops::Range;

use memchr::memchr2;

/// Deeper values have no canonical form here. Requests have some ten levels.
const DEEPEST: u16 = 128;
/// Integers beyond are not exact as floating-point numbers, and keep their digits.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Why a text has no canonical form.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotCanonical {
    /// A name is given twice in one object: readers differ in which one they take.
    #[error("a name is given twice")]
    NameTwice,
    /// It is nested too deep.
    #[error("it is nested too deep")]
    TooDeep,
    /// It is no JSON.
    #[error("it is not JSON")]
    NotJson,
}

/// The canonical form of one object, without those of its own members that `skip` names. `skip` is told a member's name and
/// its canonical value.
///
/// # Errors
/// What has no such form.
pub fn object(body: &[u8], skip: impl Fn(&[u8], &[u8]) -> bool) -> Result<Vec<u8>, NotCanonical> {
    let mut writer = CanonicalWriter {
        from: body,
        at: 0,
        out: Vec::with_capacity(body.len()),
        moved: Vec::new(),
        members: Vec::new(),
    };
    writer.blank();
    if writer.next() != Some(b'{') {
        return Err(NotCanonical::NotJson);
    }
    writer.members(0, &skip)?;
    writer.blank();
    match writer.next() {
        None => Ok(writer.out),
        Some(_) => Err(NotCanonical::NotJson),
    }
}

struct CanonicalWriter<'a> {
    from: &'a [u8],
    at: usize,
    out: Vec<u8>,
    /// Members on their way to their place.
    moved: Vec<u8>,
    /// Of all objects that are being written, the innermost one's last.
    members: Vec<Written>,
}

/// Where a member is in what was written: its name, and all of it with its value.
#[derive(Clone)]
struct Written {
    name: Range<usize>,
    all: Range<usize>,
}

/// Keeps every member.
fn none(_: &[u8], _: &[u8]) -> bool {
    false
}

impl CanonicalWriter<'_> {
    fn peek(&self) -> Option<u8> {
        self.from.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: u16) -> Result<(), NotCanonical> {
        if depth > DEEPEST {
            return Err(NotCanonical::TooDeep);
        }
        match self.next().ok_or(NotCanonical::NotJson)? {
            b'"' => self.string(),
            b'{' => self.members(depth, &none),
            b'[' => self.items(depth),
            b't' => self.word(b"rue", b"true"),
            b'f' => self.word(b"alse", b"false"),
            b'n' => self.word(b"ull", b"null"),
            b'-' | b'0'..=b'9' => {
                self.at -= 1;
                self.number()
            }
            _ => Err(NotCanonical::NotJson),
        }
    }

    fn word(&mut self, rest: &[u8], word: &[u8]) -> Result<(), NotCanonical> {
        let behind = self.from.get(self.at..).unwrap_or_default();
        if !behind.starts_with(rest) {
            return Err(NotCanonical::NotJson);
        }
        self.at += rest.len();
        self.out.extend_from_slice(word);
        Ok(())
    }

    /// The items of a list whose bracket was read.
    fn items(&mut self, depth: u16) -> Result<(), NotCanonical> {
        self.out.push(b'[');
        self.blank();
        if self.peek() == Some(b']') {
            self.at += 1;
            self.out.push(b']');
            return Ok(());
        }
        loop {
            self.blank();
            self.value(depth + 1)?;
            self.blank();
            match self.next() {
                Some(b',') => self.out.push(b','),
                Some(b']') => {
                    self.out.push(b']');
                    return Ok(());
                }
                _ => return Err(NotCanonical::NotJson),
            }
        }
    }

    /// The members of an object whose brace was read.
    fn members(
        &mut self,
        depth: u16,
        skip: &impl Fn(&[u8], &[u8]) -> bool,
    ) -> Result<(), NotCanonical> {
        self.out.push(b'{');
        let start = self.out.len();
        let outer = self.members.len();
        self.blank();
        if self.peek() == Some(b'}') {
            self.at += 1;
            self.out.push(b'}');
            return Ok(());
        }
        loop {
            self.blank();
            if self.next() != Some(b'"') {
                return Err(NotCanonical::NotJson);
            }
            if self.members.len() > outer {
                self.out.push(b',');
            }
            let begin = self.out.len();
            self.string()?;
            let name = begin..self.out.len();
            self.blank();
            if self.next() != Some(b':') {
                return Err(NotCanonical::NotJson);
            }
            self.out.push(b':');
            let value = self.out.len();
            self.blank();
            self.value(depth + 1)?;
            let inside = name.start + 1..name.end.saturating_sub(1);
            let told = self.out.get(inside).unwrap_or_default();
            if skip(told, self.out.get(value..).unwrap_or_default()) {
                let comma = usize::from(self.members.len() > outer);
                self.out.truncate(begin - comma);
            } else {
                let all = begin..self.out.len();
                self.members.push(Written { name, all });
            }
            self.blank();
            match self.next() {
                Some(b',') => {}
                Some(b'}') => break,
                _ => return Err(NotCanonical::NotJson),
            }
        }
        self.sort(start, outer)?;
        self.members.truncate(outer);
        self.out.push(b'}');
        Ok(())
    }

    /// Brings what was written since `start`, the members from number `outer` on, into the order of the names.
    fn sort(&mut self, start: usize, outer: usize) -> Result<(), NotCanonical> {
        let name = |out: &[u8], member: &Written| -> Vec<u8> {
            out.get(member.name.clone()).unwrap_or_default().to_vec()
        };
        let out = &self.out;
        let members = self.members.get_mut(outer..).unwrap_or_default();
        let names = members.windows(2).map(|pair| match pair {
            [one, other] => {
                let one = out.get(one.name.clone());
                one.cmp(&out.get(other.name.clone()))
            }
            _ => std::cmp::Ordering::Less,
        });
        if names.clone().all(|order| order == std::cmp::Ordering::Less) {
            return Ok(());
        }
        match members.len() {
            // Few names are compared where they stand.
            0..=32 => members.sort_by(|one, other| {
                let one = out.get(one.name.clone());
                one.cmp(&out.get(other.name.clone()))
            }),
            _ => members.sort_by_cached_key(|member| name(out, member)),
        }
        self.moved.clear();
        let mut before: Option<&[u8]> = None;
        for member in &*members {
            let name = out.get(member.name.clone()).unwrap_or_default();
            if before.replace(name) == Some(name) {
                return Err(NotCanonical::NameTwice);
            }
            if !self.moved.is_empty() {
                self.moved.push(b',');
            }
            let all = out.get(member.all.clone()).unwrap_or_default();
            self.moved.extend_from_slice(all);
        }
        self.out.truncate(start);
        self.out.extend_from_slice(&self.moved);
        Ok(())
    }

    /// A string whose first quote was read.
    fn string(&mut self) -> Result<(), NotCanonical> {
        self.out.push(b'"');
        loop {
            let rest = self.from.get(self.at..).unwrap_or_default();
            let end = memchr2(b'"', b'\\', rest).ok_or(NotCanonical::NotJson)?;
            self.out
                .extend_from_slice(rest.get(..end).unwrap_or_default());
            self.at += end + 1;
            if rest.get(end) == Some(&b'"') {
                self.out.push(b'"');
                return Ok(());
            }
            self.escape()?;
        }
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<(), NotCanonical> {
        match self.next().ok_or(NotCanonical::NotJson)? {
            b'/' => self.out.push(b'/'),
            letter @ (b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.out.extend_from_slice(&[b'\\', letter]);
            }
            b'u' => {
                let unit = self.unit()?;
                let pair = self.low_half(unit);
                match pair.or_else(|| char::from_u32(unit)) {
                    Some(letter) => self.letter(letter),
                    // Half of a pair is no character: it stays as it is, in one spelling.
                    None => self
                        .out
                        .extend_from_slice(format!("\\u{unit:04x}").as_bytes()),
                }
            }
            _ => return Err(NotCanonical::NotJson),
        }
        Ok(())
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Result<u32, NotCanonical> {
        let digits = self.from.get(self.at..self.at + 4);
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let digits = digits.filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        self.at += 4;
        unit.ok_or(NotCanonical::NotJson)
    }

    /// The character that a first half makes with the one that follows, if it does.
    fn low_half(&mut self, high: u32) -> Option<char> {
        if !(0xd800..0xdc00).contains(&high) {
            return None;
        }
        let before = self.at;
        let is_escape = self.from.get(before..before + 2) == Some(b"\\u");
        self.at += 2;
        let low = is_escape.then(|| self.unit().ok()).flatten();
        match low.filter(|low| (0xdc00..0xe000).contains(low)) {
            Some(low) => char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)),
            None => {
                self.at = before;
                None
            }
        }
    }

    fn letter(&mut self, letter: char) {
        match letter {
            '"' => self.out.extend_from_slice(b"\\\""),
            '\\' => self.out.extend_from_slice(b"\\\\"),
            '\u{8}' => self.out.extend_from_slice(b"\\b"),
            '\u{c}' => self.out.extend_from_slice(b"\\f"),
            '\n' => self.out.extend_from_slice(b"\\n"),
            '\r' => self.out.extend_from_slice(b"\\r"),
            '\t' => self.out.extend_from_slice(b"\\t"),
            control if control < ' ' => {
                let text = format!("\\u{:04x}", u32::from(control));
                self.out.extend_from_slice(text.as_bytes());
            }
            letter => {
                let mut buffer = [0; 4];
                self.out
                    .extend_from_slice(letter.encode_utf8(&mut buffer).as_bytes());
            }
        }
    }

    fn number(&mut self) -> Result<(), NotCanonical> {
        let rest = self.from.get(self.at..).unwrap_or_default();
        let is_part = |byte: &u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
        let end = rest
            .iter()
            .position(|byte| !is_part(byte))
            .unwrap_or(rest.len());
        let text = rest.get(..end).unwrap_or_default();
        self.at += end;
        let is_integer = text.iter().all(|byte| matches!(byte, b'-' | b'0'..=b'9'));
        if is_integer {
            let text = if text == b"-0" { b"0" } else { text };
            self.out.extend_from_slice(text);
            return Ok(());
        }
        let text = std::str::from_utf8(text).map_err(|_| NotCanonical::NotJson)?;
        let number: f64 = text.parse().map_err(|_| NotCanonical::NotJson)?;
        let written = match number {
            // Larger than any floating-point number: by its digits.
            number if !number.is_finite() => text.to_owned(),
            // Zero has no sign.
            0.0 => "0".to_owned(),
            number if number.fract() == 0.0 && number.abs() <= EXACT => format!("{number:.0}"),
            number => format!("{number:e}"),
        };
        self.out.extend_from_slice(written.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn of(text: &str) -> Result<String, NotCanonical> {
        let written = object(text.as_bytes(), none)?;
        Ok(String::from_utf8(written).unwrap())
    }

    #[test]
    fn what_means_the_same_has_one_form() {
        for (one, other) in [
            (r#"{"b":1,"a":2}"#, r#" { "a" : 2 , "b" : 1 } "#),
            (r#"{"t":0}"#, r#"{"t":0.0}"#),
            (r#"{"t":0}"#, r#"{"t":-0e0}"#),
            (r#"{"t":100}"#, r#"{"t":1E2}"#),
            (r#"{"t":0.1}"#, r#"{"t":1.0e-1}"#),
            (r#"{"a":"A/\u00e9"}"#, r#"{"\u0061":"\u0041\/é"}"#),
            (r#"{"a":"\ud83d\ude00\n"}"#, "{\"a\":\"😀\\u000A\"}"),
            (r#"{"a":{"d":[],"c":{}}}"#, r#"{"a":{"c":{},"d":[]}}"#),
        ] {
            assert_eq!(of(one).unwrap(), of(other).unwrap(), "{one} {other}");
        }
    }

    #[test]
    fn what_differs_stays_different() {
        for (one, other) in [
            (r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#),
            (r#"{"a":"é"}"#, r#"{"a":"e\u0301"}"#),
            (r#"{"a":9007199254740993}"#, r#"{"a":9007199254740992}"#),
            (r#"{"a":1e400}"#, r#"{"a":1e401}"#),
            (r#"{"a":null}"#, "{}"),
            (r#"{"a":"1"}"#, r#"{"a":1}"#),
            (r#"{"a":"\ud800"}"#, r#"{"a":"\ufffd"}"#),
            (r#"{"a":"\ud800\u0041"}"#, r#"{"a":"\ud801A"}"#),
            (r#"{"a":"\\n"}"#, r#"{"a":"\n"}"#),
        ] {
            assert_ne!(of(one).unwrap(), of(other).unwrap(), "{one} {other}");
        }
    }

    #[test]
    fn members_are_left_out_at_the_top_alone() {
        let skip = |name: &[u8], value: &[u8]| name == b"user" || (name, value) == (b"s", b"false");
        let text = br#"{"user":"x","b":{"user":1},"s":false,"a":1}"#;
        let written = object(text, skip).unwrap();
        assert_eq!(written, br#"{"a":1,"b":{"user":1}}"#);
        assert_eq!(object(br#"{"user":1}"#, skip).unwrap(), b"{}");
        assert_eq!(object(br#"{"s":true}"#, skip).unwrap(), br#"{"s":true}"#);
    }

    #[test]
    fn what_is_ambiguous_has_none() {
        assert_eq!(
            of(r#"{"a":1,"b":2,"\u0061":3}"#),
            Err(NotCanonical::NameTwice)
        );
        assert_eq!(of(r#"{"x":{"a":1,"a":1}}"#), Err(NotCanonical::NameTwice));
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(200), "]".repeat(200));
        assert_eq!(of(&deep), Err(NotCanonical::TooDeep));
        for text in [
            "",
            "[]",
            "{",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":tru}"#,
            "{}x",
            r#"{"a":"\x"}"#,
        ] {
            assert!(of(text).is_err(), "{text}");
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            // Such as every reader reads alike.
            any::<i32>().prop_map(|number| Value::from(f64::from(number) / 8.0)),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_means_what_was_written_and_is_its_own_form(
            members in prop::collection::btree_map("[a-z]{1,4}", any_value(), 0..6),
        ) {
            let mut backwards: Vec<_> = members.clone().into_iter().collect();
            backwards.reverse();
            let value = Value::Object(members.into_iter().collect());
            let other = Value::Object(backwards.into_iter().collect());
            let written = of(&value.to_string()).unwrap();
            let read: Value = serde_json::from_str(&written).unwrap();
            prop_assert_eq!(&of(&read.to_string()).unwrap(), &written);
            let pretty = serde_json::to_string_pretty(&other).unwrap();
            prop_assert_eq!(of(&pretty).unwrap(), written);
        }
    }
}
