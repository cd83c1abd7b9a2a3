//! Every key of every test carries a mark, and everything that a test gets to see of the program is searched for it:
//! answers, events, logs, what commands print.
//!
//! Tests speak of keys without the mark (`k1`): it is planted where a configuration or a variable goes in, and taken
//! off where a scripted upstream notes the key of a request.

use std::sync::LazyLock;

use regex::{Captures, Regex};

/// What every key begins with.
pub const MARK: &str = "sk-planted-";

/// `api_key: x` and `api_keys: [x, "y"]` in a line of YAML.
static KEYS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?m)\b(?P<name>api_keys?: *)(?P<value>\[[^\]\n]*\]|"[^"\n]*"|[^\s,}"\[]+)"#)
        .unwrap()
});
/// One key in such a value.
static KEY: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#"[^\s,"\[\]]+"#).unwrap());

/// The key with the mark.
pub fn planted(key: &str) -> String {
    match key.is_empty() || key.starts_with(MARK) || key.contains("${") {
        true => key.to_owned(),
        false => format!("{MARK}{key}"),
    }
}

/// The key as tests know it.
pub fn known(key: &str) -> String {
    key.strip_prefix(MARK).unwrap_or(key).to_owned()
}

/// Marks the keys that a configuration names.
pub fn in_yaml(yaml: &str) -> String {
    let marked = KEYS.replace_all(yaml, |found: &Captures<'_>| {
        let value = each(&found["value"]);
        format!("{}{value}", &found["name"])
    });
    marked.into_owned()
}

/// Marks the keys of a list with commas or lines between them.
pub fn each(keys: &str) -> String {
    let marked = KEY.replace_all(keys, |found: &Captures<'_>| planted(&found[0]));
    marked.into_owned()
}

/// The value of a variable, with marks if its name says that it holds keys.
pub fn in_variable(name: &str, value: &str) -> String {
    let holds_keys = name.contains("_API_KEY") && !name.ends_with("_FILE");
    match holds_keys {
        true => each(value),
        false => value.to_owned(),
    }
}

/// Fails the test if a key is in it.
#[track_caller]
pub fn assert_clean(what: &str, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    if let Some(at) = text.find(MARK) {
        let around = text.get(at.saturating_sub(200)..).unwrap_or(&text);
        let around: String = around.chars().take(400).collect();
        panic!("a key is in {what}: {around}");
    }
}

/// The same for a head.
#[track_caller]
pub fn assert_clean_head(headers: &reqwest::header::HeaderMap) {
    for (name, value) in headers {
        assert_clean(&format!("the header {name}"), value.as_bytes());
    }
}
