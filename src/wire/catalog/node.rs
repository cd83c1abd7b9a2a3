//! JSON of a list, read level by level: what is not asked for is skipped, and numbers keep the digits in which they are
//! written, because prices must not pass through floating point.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::amount;
use crate::wire::stamp;

/// The largest number of tokens that is believed.
const MOST_TOKENS: u64 = 1_000_000_000_000;

/// One value, as it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<'a>(&'a str);

#[derive(Deserialize)]
struct NodeText<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Node<'a> {
    /// The value that a text is.
    pub fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        let raw: &RawValue = serde_json::from_str(text)?;
        Ok(Self(raw.get()))
    }

    /// Its fields, if it is an object.
    pub fn object(self) -> Option<NodeFields<'a>> {
        self.0.starts_with('{').then_some(())?;
        serde_json::from_str(self.0).ok()
    }

    /// Its elements; none if it is no list.
    pub fn items(self) -> impl Iterator<Item = Node<'a>> {
        let is_list = self.0.starts_with('[');
        let raw: Option<Vec<&RawValue>> =
            is_list.then(|| serde_json::from_str(self.0).ok()).flatten();
        let all = raw.unwrap_or_default().into_iter();
        all.map(|raw| Node(raw.get()))
    }

    /// Whether it is a list.
    pub fn is_list(self) -> bool {
        self.0.starts_with('[')
    }

    /// What it says, if it is a string.
    pub fn text(self) -> Option<Cow<'a, str>> {
        self.0.starts_with('"').then_some(())?;
        let NodeText(text) = serde_json::from_str(self.0).ok()?;
        Some(text)
    }

    /// What it says, if it is a string with something in it.
    pub fn name(self) -> Option<Cow<'a, str>> {
        self.text().filter(|text| !text.trim().is_empty())
    }

    /// A number or string, as written.
    pub fn written(self) -> Option<Cow<'a, str>> {
        if self.0.starts_with('"') {
            return self.text();
        }
        let is_number = self
            .0
            .starts_with(|first: char| first.is_ascii_digit() || first == '-');
        is_number.then_some(Cow::Borrowed(self.0))
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        self.0 == "null"
    }

    /// True or false.
    pub fn flag(self) -> Option<bool> {
        match self.0 {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// A number of tokens; zero means that it is not known.
    pub fn tokens(self) -> Option<u64> {
        let tokens = amount::whole(&self.written()?)?;
        (1..=MOST_TOKENS).contains(&tokens).then_some(tokens)
    }

    /// A day, `2026-11-29`: of a text that begins with one, or of seconds since 1970.
    pub fn date(self) -> Option<Box<str>> {
        let written = self.written()?;
        let text = match written.parse::<u64>() {
            Ok(seconds) => {
                let moment = UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
                stamp::rfc3339(moment)
            }
            Err(_) => written.into_owned(),
        };
        let day = text.get(..10)?;
        let fits = |(at, byte): (usize, u8)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        };
        day.bytes().enumerate().all(fits).then(|| day.into())
    }

    /// A number of tokens that may be zero.
    pub fn count(self) -> Option<u64> {
        amount::whole(&self.written()?)
    }
}

/// The fields of an object. It knows which of the first 128 nobody asked for.
#[derive(Debug, Default)]
pub(super) struct NodeFields<'a> {
    fields: Vec<(Cow<'a, str>, &'a RawValue)>,
    asked: Cell<u128>,
}

impl<'a> NodeFields<'a> {
    /// A field that is there and not `null`. Of two with one name the last.
    pub fn get(&self, name: &str) -> Option<Node<'a>> {
        let at = self.fields.iter().rposition(|(field, _)| field == name)?;
        if let Ok(bit) = u32::try_from(at) {
            let bit = 1_u128.checked_shl(bit).unwrap_or(0);
            self.asked.set(self.asked.get() | bit);
        }
        let (_, raw) = self.fields.get(at)?;
        let node = Node(raw.get());
        (!node.is_null()).then_some(node)
    }

    /// The value at a path such as `metadata.pricing.input`.
    pub fn at(&self, path: &str) -> Option<Node<'a>> {
        match path.split_once('.') {
            None => self.get(path),
            Some((head, rest)) => self.get(head)?.object()?.at(rest),
        }
    }

    /// Every field, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Node<'a>)> {
        let all = self.fields.iter();
        all.map(|(name, raw)| (name.as_ref(), Node(raw.get())))
    }

    /// How many fields nobody asked for, and that are not among those that are known to say nothing of use here.
    pub fn unknown(&self, ignored: &[&str]) -> u64 {
        let all = self.fields.iter().enumerate();
        let unknown = all.filter(|(at, (name, _))| {
            let bit = u32::try_from(*at)
                .ok()
                .and_then(|bit| 1_u128.checked_shl(bit));
            let asked = bit.is_none_or(|bit| self.asked.get() & bit != 0);
            !asked && !ignored.contains(&name.as_ref())
        });
        u64::try_from(unknown.count()).unwrap_or(u64::MAX)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for NodeFields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = NodeFields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut object = NodeFields::default();
                while let Some((NodeText(name), value)) =
                    map.next_entry::<NodeText<'de>, &RawValue>()?
                {
                    object.fields.push((name, value));
                }
                Ok(object)
            }
        }
        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// The text with what Python writes for numbers that JSON does not have (`NaN`, `Infinity`) in quotes, so that they are
/// read as what they are: no number. `None` when there is none of these.
pub(super) fn quoted_non_numbers(text: &str) -> Option<String> {
    const WORDS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];
    let mut out = String::new();
    let mut rest = text;
    let mut found = false;
    while let Some(at) = rest.find(['"', 'N', 'I', '-']) {
        let (before, here) = rest.split_at(at);
        out.push_str(before);
        if here.starts_with('"') {
            let end = string_end(here);
            let (string, behind) = here.split_at(end);
            out.push_str(string);
            rest = behind;
            continue;
        }
        match WORDS.iter().find(|word| here.starts_with(**word)) {
            Some(word) => {
                found = true;
                out.push('"');
                out.push_str(word);
                out.push('"');
                rest = here.strip_prefix(word).unwrap_or_default();
            }
            None => {
                let (one, behind) = here.split_at(1);
                out.push_str(one);
                rest = behind;
            }
        }
    }
    out.push_str(rest);
    found.then_some(out)
}

/// Behind the string with which the text begins.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_path_and_numbers_keep_their_digits() {
        let text = r#"{"a": {"b": 0.10}, "n": null, "t": "x\u0041", "w": "131072", "f": 8e3, "a2": [1, {}], "z": 0}"#;
        let object = Node::parse(text).unwrap().object().unwrap();
        assert_eq!(object.at("a.b").unwrap().written().unwrap(), "0.10");
        assert!(object.get("n").is_none() && object.at("a.c.d").is_none());
        assert_eq!(object.get("t").unwrap().text().unwrap(), "xA");
        assert_eq!(object.get("w").unwrap().tokens(), Some(131_072));
        assert_eq!(object.get("f").unwrap().tokens(), Some(8_000));
        assert_eq!(object.get("z").unwrap().tokens(), None);
        assert_eq!(object.unknown(&["a2"]), 0);
        assert_eq!(object.unknown(&[]), 1);
        assert_eq!(object.get("a2").unwrap().items().count(), 2);
    }

    #[test]
    fn words_for_no_number_are_quoted_outside_of_strings_only() {
        let text = r#"{"NaN \" NaN": NaN, "b": -Infinity, "c": [Infinity, -1], "d": "Infinity"}"#;
        let fixed = quoted_non_numbers(text).unwrap();
        assert_eq!(
            fixed,
            r#"{"NaN \" NaN": "NaN", "b": "-Infinity", "c": ["Infinity", -1], "d": "Infinity"}"#
        );
        assert_eq!(quoted_non_numbers(r#"{"NaN": "N"}"#), None);
    }

    #[test]
    fn deep_nesting_is_skipped_without_recursion() {
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        let text = format!(r#"{{"deep": {deep}, "id": "m"}}"#);
        let object = Node::parse(&text).unwrap().object().unwrap();
        assert_eq!(object.get("id").unwrap().text().unwrap(), "m");
    }
}
