//! The words of an error for an operator: one line, short, without anything that looks like a key.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::wire::error_doc::{Doc, ErrorField};
use crate::wire::key_forms;

/// The most characters of a detail.
const MAX_CHARS: usize = 300;

const MASK: &str = "[masked]";

/// Text after which a key usually follows, and the known forms of keys. An upstream's error quotes them shortened: a
/// few characters behind the prefix are enough.
static NAMED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let said = r"(?i:(?P<lead>\bkey provided:?\s*|\bbearer\s+|\bapi[_-]?key\s*[=:]\s*)\S+)";
    Regex::new(&format!("{said}|{}", key_forms::pattern(3))).ok()
});

/// Runs long enough to be a key.
static RUN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[A-Za-z0-9+/_=-]{20,}").ok());

/// A description of the failure: the upstream's error text, else one that is made from the status.
pub(super) fn detail(status: Option<u16>, doc: &Doc) -> String {
    let words = one_line(&mask(doc.message()));
    let redirect = matches!(status, Some(300..400));
    if !words.is_empty() && !redirect {
        return words;
    }
    let answer = status.map_or_else(|| "an error".to_owned(), |status| format!("HTTP {status}"));
    if redirect {
        return format!(
            "{answer}, a redirect, which is not followed: write the final URL as base_url"
        );
    }
    match doc.first(ErrorField::Body) {
        Some("html") => return format!("{answer} with an HTML body"),
        Some("empty") => return format!("{answer} with an empty body"),
        Some(_) | None => {}
    }
    let named = [
        ErrorField::Code,
        ErrorField::Type,
        ErrorField::Grpc,
        ErrorField::Cloudflare,
        ErrorField::BaseResp,
    ]
    .into_iter()
    .find_map(|field| doc.first(field));
    match named {
        Some(code) => one_line(&format!("{answer} with code {}", mask(code))),
        None => format!("{answer} without a message"),
    }
}

/// Hides whatever looks like a key. Names of models stay readable: their parts are words and versions.
fn mask(text: &str) -> String {
    let (Some(named), Some(run)) = (NAMED.as_ref(), RUN.as_ref()) else {
        return String::new();
    };
    let text = named.replace_all(text, |found: &Captures<'_>| {
        match (found.name("lead"), found.get(0)) {
            (Some(lead), _) => format!("{}{MASK}", lead.as_str()),
            (None, Some(found)) if !key_forms::is_key(found.as_str()) => found.as_str().to_owned(),
            _ => MASK.to_owned(),
        }
    });
    let text = run.replace_all(&text, |found: &Captures<'_>| {
        let found = found.get(0).map_or("", |found| found.as_str());
        match key_forms::is_random(found) {
            true => MASK.to_owned(),
            false => found.to_owned(),
        }
    });
    text.into_owned()
}

fn one_line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if !line.is_empty() && !word.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    match line.char_indices().nth(MAX_CHARS) {
        None => line,
        Some(_) => line.chars().take(MAX_CHARS - 1).chain(['…']).collect(),
    }
}
