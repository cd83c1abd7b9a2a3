//! That walking says the same as reading, and that what is built is bounded.

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// All texts, as reading the value finds them.
fn read_texts(value: &Value, skip: &str, all: &mut Vec<String>) {
    match value {
        Value::String(text) => all.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| read_texts(item, skip, all)),
        Value::Object(fields) => {
            for (_, value) in fields.iter().filter(|(name, _)| *name != skip) {
                read_texts(value, skip, all);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn walk_texts(raw: &str, skip: &str) -> Vec<String> {
    let mut all = Vec::new();
    let _ = texts(
        raw,
        |name| name.is(skip),
        |text| {
            let meant: String = text.chars().collect();
            assert_eq!(text.len(), meant.len());
            assert!(text.starts_with(&meant) && text.is(&meant));
            all.push(meant);
            ControlFlow::Continue(())
        },
    );
    all
}

/// In pure ASCII, as some libraries write it.
fn in_ascii(json: &str) -> String {
    let units = |letter: char| -> String {
        let mut units = [0; 2];
        let units = letter.encode_utf16(&mut units);
        units.iter().map(|unit| format!("\\u{unit:04X}")).collect()
    };
    json.chars()
        .map(|letter| {
            if letter.is_ascii() {
                letter.to_string()
            } else {
                units(letter)
            }
        })
        .collect()
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[ \"\\\\{}:,a\\[\\]]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 5, |inner| {
        let name = prop_oneof![
            "[a-c\"\\\\:{}]{0,3}",
            Just("skip".to_owned()),
            any::<String>()
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn walking_finds_the_texts_that_reading_finds(value in any_json()) {
        let mut expected = Vec::new();
        read_texts(&value, "skip", &mut expected);
        let compact = value.to_string();
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        for raw in [&compact, &pretty, &in_ascii(&compact)] {
            prop_assert_eq!(&walk_texts(raw, "skip"), &expected);
        }
    }

    #[test]
    fn pieces_are_the_text_and_are_cut_alike_with_and_without_escapes(
        text in "[ a-zü€𝄞\n\"]{0,200}",
        most in 1usize..40,
    ) {
        let raw = serde_json::to_string(&text).unwrap();
        let inside = &raw[1..raw.len() - 1];
        let ascii = in_ascii(inside);
        let cut = |raw: &str, escaped| {
            let mut all = Vec::new();
            let _ = Text { raw, escaped }.pieces(most, &mut String::new(), |piece| {
                all.push(piece.to_owned());
                ControlFlow::Continue(())
            });
            all
        };
        let plain = cut(&text, false);
        prop_assert_eq!(plain.concat(), text);
        prop_assert!(plain.iter().all(|piece| piece.len() <= most.max(4)));
        prop_assert_eq!(&cut(inside, true), &plain);
        prop_assert_eq!(&cut(&ascii, true), &plain);
    }

    #[test]
    fn anything_at_all_is_walked_to_its_end(raw in any::<String>(), json in "[\"\\\\{}:,\\[\\]ud8 0]{0,60}") {
        walk_texts(&raw, "skip");
        walk_texts(&json, "");
    }

    #[test]
    fn a_value_with_room_for_all_its_parts_is_the_whole_value(value in any_json()) {
        let raw = value.to_string();
        prop_assert_eq!(super::value(raw.as_bytes()), serde_json::from_str(&raw).ok());
    }

    #[test]
    fn a_list_is_counted_as_it_is_read(items in prop::collection::vec(any_json(), 0..6)) {
        let raw = Value::from(items.clone()).to_string();
        let list = List::of(raw.as_bytes()).unwrap();
        prop_assert_eq!(list.len, items.len());
        let read = |raw: Option<&RawValue>| raw.map(|raw| serde_json::from_str::<Value>(raw.get()).unwrap());
        let (first, last) = (read(list.first), read(list.last));
        let reread: Vec<Value> = serde_json::from_str(&raw).unwrap();
        prop_assert_eq!(first.as_ref(), reread.first());
        prop_assert_eq!(last.as_ref(), reread.last());
    }
}

fn parts(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(|item| 1 + parts(item)).sum(),
        Value::Object(fields) => fields.values().map(|value| 1 + parts(value)).sum(),
        _ => 0,
    }
}

#[test]
fn what_is_built_is_bounded_and_what_follows_is_still_checked() {
    let many = json!(vec![json!({"data": "A"}); 1000]).to_string();
    assert!(parts(&value_of(many.as_bytes(), 100).unwrap().0) <= 100);
    let broken = many.replace("]", "");
    assert_eq!(value_of(broken.as_bytes(), 100), None);
    assert_eq!(value_of(b"[1] 2", 100), None);
    let large = format!("[{}0]", "1,".repeat(2 * MOST_PARTS));
    assert!(parts(&value(large.as_bytes()).unwrap()) <= MOST_PARTS);
    assert!(parts(&error(large.as_bytes()).unwrap()) <= MOST_ERROR_PARTS);
    let object = format!(r#"{{"list":{large}}}"#);
    assert_eq!(whole_object(object.as_bytes()), None);
    assert!(whole_object(br#"{"list":[1]}"#).is_some());
    assert_eq!(whole_object(b"[1]"), None);
}

#[test]
fn the_items_of_a_list_are_looked_at_without_keeping_them() {
    let is_two = |item: &RawValue| item.get() == "2";
    assert_eq!(any_item(b"[1,2,3]", is_two), Some(true));
    assert_eq!(any_item(b"[]", is_two), Some(false));
    assert_eq!(any_item(b"[2,", is_two), None);
    assert_eq!(any_item(b"{}", is_two), None);
}

#[test]
fn half_a_surrogate_pair_is_a_replacement_character_and_takes_nothing_with_it() {
    for (raw, meant) in [
        (r#""\ud834\udd1e""#, "𝄞"),
        (r#""\ud834x""#, "\u{fffd}x"),
        (r#""\ud834\n""#, "\u{fffd}\n"),
        (r#""\udd1e\ud834""#, "\u{fffd}\u{fffd}"),
        (r#""\ud834\ud834\udd1e""#, "\u{fffd}𝄞"),
    ] {
        assert_eq!(walk_texts(raw, ""), [meant], "{raw}");
    }
}

#[test]
fn a_skipped_field_is_skipped_with_everything_in_it() {
    let raw = r#"{"skip" : [{"a":"}]\"","b":["x"]},"y"],"k":"1","skip":"z","skip":7,"l":["2"],"sk\u0069p":{"m":"n"},"o":"3"}"#;
    assert_eq!(walk_texts(raw, "skip"), ["1", "2", "3"]);
}
