//! Fields of JSON that are read without building what stands in them, as routing and accounting look at answers and events.

use serde::Deserialize;
use serde_json::value::RawValue;

/// Longer texts are no names, in bytes.
pub(in crate::wire) const LONGEST_NAME: usize = 256;

/// An object, read into the fields of one of these; a list would fill a struct too.
pub(in crate::wire) fn object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Option<T> {
    let object = json.trim_ascii_start().first() == Some(&b'{');
    object.then(|| serde_json::from_slice(json).ok()).flatten()
}

/// The object in a field; without any fields where there is none.
pub(in crate::wire) fn inner<'a, T: Deserialize<'a> + Default>(raw: Option<&'a RawValue>) -> T {
    let object = raw.and_then(|raw| object(raw.get().as_bytes()));
    object.unwrap_or_default()
}

/// A short text.
pub(in crate::wire) fn name(raw: Option<&RawValue>) -> Option<Box<str>> {
    let raw = raw?.get();
    if raw.len() > LONGEST_NAME {
        return None;
    }
    let text: Box<str> = serde_json::from_str(raw).ok()?;
    (!text.is_empty()).then_some(text)
}

/// Whether something is there: not null, false or empty.
pub(in crate::wire) fn says(raw: Option<&RawValue>) -> bool {
    raw.is_some_and(|raw| !matches!(raw.get(), "null" | "false" | "\"\"" | "[]" | "{}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default, Deserialize, PartialEq, Debug)]
    struct One {
        #[serde(default)]
        own: u64,
    }

    fn raw(json: &str) -> Option<Box<RawValue>> {
        Some(RawValue::from_string(json.to_owned()).unwrap())
    }

    #[test]
    fn a_list_is_no_object() {
        assert_eq!(object(b" {\"own\": 3}"), Some(One { own: 3 }));
        assert_eq!(object::<One>(b"[3]"), None);
        assert_eq!(inner::<One>(raw("[3]").as_deref()), One::default());
        assert_eq!(inner::<One>(None), One::default());
    }

    #[test]
    fn names_are_short_texts() {
        let long = format!("\"{}\"", "x".repeat(LONGEST_NAME));
        for (json, own) in [
            ("\"a\\u0062\"", Some("ab")),
            ("\"\"", None),
            ("3", None),
            (long.as_str(), None),
        ] {
            assert_eq!(name(raw(json).as_deref()).as_deref(), own, "{json}");
        }
    }

    #[test]
    fn nothing_says_nothing() {
        for json in ["null", "false", "\"\"", "[]", "{}"] {
            assert!(!says(raw(json).as_deref()), "{json}");
        }
        assert!(says(raw("0").as_deref()) && !says(None));
    }
}
