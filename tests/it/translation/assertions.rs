//! The assertion language: one check after the other, each failure in words.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::paths::at;

/// What assertions look at.
#[derive(Default)]
pub struct Seen {
    /// What paths lead into.
    pub root: Value,
    /// The headers, by names in small letters.
    pub headers: Value,
    /// The bytes of `root`.
    pub bytes: Vec<u8>,
    /// The client's body as it was sent.
    pub client: Vec<u8>,
    /// The upstream's body as it was sent.
    pub upstream: Vec<u8>,
}

/// What is wrong; nothing if all hold.
pub fn failures(assertions: &Value, seen: &Seen) -> Vec<String> {
    let all = assertions.as_array().into_iter().flatten();
    all.filter_map(|one| failure(one, seen)).collect()
}

fn failure(assertion: &Value, seen: &Seen) -> Option<String> {
    if let Some(ways) = assertion.get("any") {
        let ways = ways.as_array().unwrap();
        let failed: Vec<String> = ways
            .iter()
            .map(|way| failures(way, seen).join(" and "))
            .collect();
        let none = failed.iter().all(|failed| !failed.is_empty());
        return none.then(|| format!("none of: {}", failed.join(" | ")));
    }
    let path = assertion["path"].as_str().unwrap();
    let op = assertion["op"].as_str().unwrap();
    let root = match assertion.get("in").and_then(Value::as_str) {
        Some("headers") => &seen.headers,
        _ => &seen.root,
    };
    let found = at(root, path);
    let wanted = &assertion["value"];
    let holds = match op {
        "same_as_client" => same_spelling(&seen.bytes, &seen.client, &texts(&assertion["except"])),
        "same_as_upstream" => seen.bytes == seen.upstream,
        "same_as_path" => found == at(root, wanted.as_str().unwrap()) && found.is_some(),
        "less_than_path" => {
            let other = at(root, wanted.as_str().unwrap());
            number(found.as_ref()) < number(other.as_ref())
        }
        _ => holds(op, found.as_ref(), wanted),
    };
    (!holds).then(|| {
        let found = found.map_or("nothing".to_owned(), |found| found.to_string());
        format!("{path} {op} {wanted}: found {}", short(&found))
    })
}

fn short(text: &str) -> &str {
    text.get(..text.floor_char_boundary(600)).unwrap()
}

fn holds(op: &str, found: Option<&Value>, wanted: &Value) -> bool {
    let or_null = found.unwrap_or(&Value::Null);
    match op {
        "equals" => equal(or_null, wanted) && (found.is_some() || wanted.is_null()),
        "not_equals" => !equal(or_null, wanted),
        "absent" => or_null.is_null(),
        "present" => !or_null.is_null(),
        "empty" => is_empty(or_null),
        "contains" => contains(or_null, wanted),
        "not_contains" => !contains(or_null, wanted),
        "mentions" => found.is_some() && mentions(or_null, &texts(wanted)),
        "not_mentions" => texts(wanted)
            .iter()
            .all(|text| !mentions(or_null, std::slice::from_ref(text))),
        "matches" => matches(or_null, &whole(wanted.as_str().unwrap())),
        "one_of" => list(wanted).iter().any(|one| equal(or_null, one)),
        "type" => kind(or_null) == wanted || (wanted == "number" && or_null.is_number()),
        "length" => length(or_null) == wanted.as_u64(),
        "max_length" => length(or_null) <= wanted.as_u64() && found.is_some(),
        "gte" => number(found).is_some_and(|found| Some(found) >= wanted.as_f64()),
        "lte" => number(found).is_some_and(|found| Some(found) <= wanted.as_f64()),
        "json_equals" => {
            let read = or_null
                .as_str()
                .and_then(|text| serde_json::from_str(text).ok());
            read.is_some_and(|read: Value| equal(&read, wanted))
        }
        "no_keys" => !keys(or_null).iter().any(|key| texts(wanted).contains(key)),
        "unique" => {
            let all = list(or_null);
            let distinct: BTreeSet<String> = all.iter().map(Value::to_string).collect();
            distinct.len() == all.len() && !all.iter().any(is_empty) && !all.is_empty()
        }
        "subsequence" => {
            let mut all = list(or_null).iter();
            list(wanted)
                .iter()
                .all(|one| all.any(|item| equal(item, one)))
        }
        "starts_with" => match or_null {
            Value::String(text) => text.starts_with(wanted.as_str().unwrap()),
            value => list(value).starts_with(list(wanted)),
        },
        "ends_with" => match or_null {
            Value::String(text) => text.ends_with(wanted.as_str().unwrap()),
            value => list(value).ends_with(list(wanted)),
        },
        other => panic!("no such operation: {other}"),
    }
}

fn whole(pattern: &str) -> Regex {
    Regex::new(&format!("^(?s:{pattern})$")).unwrap()
}

fn matches(value: &Value, pattern: &Regex) -> bool {
    match value {
        Value::Array(items) => !items.is_empty() && items.iter().all(|item| matches(item, pattern)),
        Value::String(text) => pattern.is_match(text),
        _ => false,
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// One text, or several.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(all) => all
            .iter()
            .map(|one| one.as_str().unwrap().to_owned())
            .collect(),
        _ => Vec::new(),
    }
}

fn number(value: Option<&Value>) -> Option<f64> {
    value.and_then(Value::as_f64)
}

fn length(value: &Value) -> Option<u64> {
    let length = match value {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.len(),
        Value::Object(fields) => fields.len(),
        _ => return None,
    };
    Some(length as u64)
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || length(value) == Some(0)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || one.as_f64() == other.as_f64()
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len() && has_fields(one, other)
        }
        (one, other) => one == other,
    }
}

fn has_fields(all: &Map<String, Value>, wanted: &Map<String, Value>) -> bool {
    wanted
        .iter()
        .all(|(name, value)| all.get(name).is_some_and(|own| equal(own, value)))
}

fn contains(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
        (Value::Object(all), Value::Object(wanted)) => has_fields(all, wanted),
        (Value::Array(items), wanted) => items.iter().any(|item| equal(item, wanted)),
        _ => false,
    }
}

fn mentions(value: &Value, texts: &[String]) -> bool {
    let json = value.to_string();
    let mut rest = json.as_str();
    texts.iter().all(|text| {
        // A text may hold what JSON escapes, or be written as JSON already.
        let escaped = Value::from(text.as_str()).to_string();
        let escaped = escaped.trim_matches('"');
        let found = rest
            .find(text.as_str())
            .map(|at| at + text.len())
            .or_else(|| rest.find(escaped).map(|at| at + escaped.len()));
        rest = &rest[found.unwrap_or(0)..];
        found.is_some()
    })
}

fn keys(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| std::iter::once(name.clone()).chain(keys(value)))
            .collect(),
        Value::Array(items) => items.iter().flat_map(keys).collect(),
        _ => Vec::new(),
    }
}

/// Whether both are objects with the same fields in the same order and the same spelling, but for some.
fn same_spelling(one: &[u8], other: &[u8], except: &[String]) -> bool {
    let fields = |bytes: &[u8]| {
        let fields = fields_in_order(bytes);
        let kept = fields
            .into_iter()
            .filter(|(name, _)| !except.contains(name));
        kept.collect::<Vec<_>>()
    };
    fields(one) == fields(other)
}

fn fields_in_order(bytes: &[u8]) -> Vec<(String, String)> {
    struct Fields;
    impl<'de> serde::de::Visitor<'de> for Fields {
        type Value = Vec<(String, String)>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(
            self,
            mut map: A,
        ) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                all.push((name, value.get().to_owned()));
            }
            Ok(all)
        }
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    serde::de::Deserializer::deserialize_map(&mut reader, Fields).unwrap()
}

#[test]
fn each_operation_holds_and_fails() {
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    for (op, value, right, wrong) in [
        ("equals", "[1.0]", "[1]", "[2]"),
        ("contains", r#"{"a":1,"b":2}"#, r#"{"b":2}"#, r#"{"b":3}"#),
        ("contains", r#""hello""#, r#""ell""#, r#""x""#),
        (
            "mentions",
            r#"{"a":"one","b":["two"]}"#,
            r#"["one","two"]"#,
            r#"["two","one"]"#,
        ),
        ("not_mentions", r#""abc""#, r#"["x"]"#, r#"["x","b"]"#),
        ("matches", r#"["ab","b"]"#, r#""a?b""#, r#""b""#),
        ("one_of", "null", "[false,null]", "[false]"),
        ("type", "3", r#""integer""#, r#""string""#),
        ("length", "[1,2]", "2", "3"),
        ("json_equals", r#""{\"a\": 1}""#, r#"{"a":1}"#, r#"{"a":2}"#),
        ("no_keys", r#"[{"a":{"b":1}}]"#, r#"["c"]"#, r#"["b"]"#),
        ("subsequence", "[1,2,3]", "[1,3]", "[3,1]"),
        ("starts_with", "[1,2]", "[1]", "[2]"),
        ("ends_with", r#""ab""#, r#""b""#, r#""a""#),
        ("gte", "3", "3", "4"),
        ("lte", "3", "3", "2"),
    ] {
        let value = json(value);
        assert!(holds(op, Some(&value), &json(right)), "{op} {right}");
        assert!(!holds(op, Some(&value), &json(wrong)), "{op} {wrong}");
    }
    for (op, value, holding) in [
        ("empty", "{}", true),
        ("empty", "0", false),
        ("absent", "null", true),
        ("present", "0", true),
        ("unique", "[1,2]", true),
        ("unique", "[1,1]", false),
        ("unique", r#"[""]"#, false),
    ] {
        assert_eq!(
            holds(op, Some(&json(value)), &Value::Null),
            holding,
            "{op} {value}"
        );
    }
    assert!(same_spelling(
        br#"{"model":"a","x":1.0}"#,
        br#"{"x":1.0,"model":"b"}"#,
        &["model".to_owned()]
    ));
    assert!(!same_spelling(br#"{"x":1}"#, br#"{"x":1.0}"#, &[]));
    assert!(!same_spelling(
        br#"{"a":1,"b":1}"#,
        br#"{"b":1,"a":1}"#,
        &[]
    ));
}
