//! Where words are in a file's text.

use std::collections::HashMap;
use std::ops::Range;

/// How deep a file may be nested.
pub(super) const MOST_DEPTH: usize = 64;

/// A word of a text, and where it begins: in bytes, a quotation mark included, and in lines from 1.
#[derive(Clone, Debug)]
pub(super) struct WordSpot {
    pub(super) word: String,
    pub(super) at: usize,
    pub(super) line: usize,
}

/// Where a key and its value are in a text.
#[derive(Clone, Debug)]
pub(super) struct KeySpot {
    pub(super) key: WordSpot,
    /// A text or another single value.
    pub(super) value: Option<WordSpot>,
}

/// Keys by their paths, in small letters.
pub(super) type KeySpots = HashMap<String, KeySpot>;

/// The bytes of a word, without its quotation marks. What is written with escapes, or over several lines, is not touched.
pub(super) fn range(text: &str, spot: &WordSpot) -> Option<Range<usize>> {
    let rest = text.get(spot.at..)?;
    let is_quoted = rest.starts_with(['"', '\'']);
    let start = spot.at + usize::from(is_quoted);
    let range = start..start + spot.word.len();
    (text.get(range.clone())? == spot.word).then_some(range)
}

/// The path of a key of what has this one.
pub(super) fn below(path: &str, key: &str) -> String {
    match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    }
}
