use proptest::prelude::*;
use serde_json::Value;

use super::super::fields::{BOOKKEEPING, holds};
use super::*;

fn read(json: &str) -> ResponseEnvelope<'_> {
    ResponseEnvelope::read(json).unwrap_or_else(|| panic!("{json}"))
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
    let twice = read(r#"{"id":"a","id":"b","choices":[],"choices":[{"delta":{"x":"\ud800"}}]}"#);
    assert_eq!(word(twice.id), "b");
    assert!(twice.choices.produced);
    for json in ["", "1", "[]", "null", r#""x""#, "{", r#"{"a":1}{}"#] {
        assert!(ResponseEnvelope::read(json).is_none(), "{json}");
    }
}

#[test]
fn bookkeeping_is_no_production_and_all_else_is() {
    assert!(BOOKKEEPING.is_sorted());
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
    let json = r#"{"choices":[{"index":2,"finish_reason":"stop"},{"finish_reason":"x"},{"index":70,"finish_reason":"x"},{"index":128,"finish_reason":"x"},{"index":1,"finish_reason":null}]}"#;
    assert_eq!(read(json).choices.finished, (1 << 70) | 0b101);
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
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }
        .unwrap();
        prop_assert_eq!(holds(&text, true), filled(&value), "{}", text);
    }
}
