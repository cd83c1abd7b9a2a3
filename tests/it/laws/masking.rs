//! Laws of masking: of a key that an answer echoes nothing remains that gives it away, and a document stays one.
//!
//! The input is a line with the number of a key, and the text; `<key>` in it stands for that key, `<u>` for the key in
//! JSON's escapes, `<%>` for the key in those of URLs, `<head>` and `<tail>` for parts of it.

use pointsman::wire::redact::Redactor;
use serde_json::Value;

use super::line;

const KEYS: [&str; 3] = [
    "sk-proj-T3qNz81LmWc0vXbY7KpRe5HaUd2JfGs9",
    "gsk_bQx7Rw2mZt",
    "Zk+9/aa=Yw8",
];
/// So many characters in a row give a key away.
const PIECE: usize = 8;

pub fn hold(data: &[u8]) {
    let (number, text) = line(data);
    let number = usize::from(*number.first().unwrap_or(&0));
    let key = KEYS[number % KEYS.len()];
    let text = planted(text, key);
    let redactor = Redactor::new(Some(key));
    let Some(masked) = redactor.masked(&text) else {
        assert!(!shows(&text, key));
        if let Ok(value) = serde_json::from_slice(&text) {
            look(&value, key, 2);
        }
        return;
    };
    assert!(masked != text);
    assert!(!shows(&masked, key));
    if serde_json::from_slice::<Value>(&text).is_ok() {
        let value = serde_json::from_slice(&masked);
        let value = value.unwrap_or_else(|error| {
            let masked = String::from_utf8_lossy(&masked);
            panic!("no document any more: {error}: {masked}")
        });
        look(&value, key, 2);
    }
}

/// No string shows the key, nor one of a document within a string.
fn look(value: &Value, key: &str, depth: u32) {
    match value {
        Value::String(text) => {
            assert!(!shows(text.as_bytes(), key), "{text}");
            if depth > 0
                && let Ok(inner) = serde_json::from_str(text)
            {
                look(&inner, key, depth - 1);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| look(item, key, depth)),
        Value::Object(fields) => {
            for (name, value) in fields {
                assert!(!shows(name.as_bytes(), key), "{name}");
                look(value, key, depth);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn shows(text: &[u8], key: &str) -> bool {
    let mut pieces = key.as_bytes().windows(PIECE);
    pieces.any(|piece| text.windows(PIECE).any(|part| part == piece))
}

fn planted(text: &[u8], key: &str) -> Vec<u8> {
    let each = |form: &dyn Fn(u8) -> String| key.bytes().map(form).collect::<String>();
    let marks: [(&[u8], String); 5] = [
        (b"<key>", key.to_owned()),
        (b"<u>", each(&|byte| format!("\\u{byte:04x}"))),
        (b"<%>", each(&|byte| format!("%{byte:02X}"))),
        (b"<head>", key[..10].to_owned()),
        (b"<tail>", key[key.len() - 6..].to_owned()),
    ];
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        match marks
            .iter()
            .find(|(fingerprint, _)| rest.starts_with(fingerprint))
        {
            Some((fingerprint, form)) => {
                out.extend_from_slice(form.as_bytes());
                rest = &rest[fingerprint.len()..];
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}
