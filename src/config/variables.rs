//! Variables and values that may hold keys, wiped when they are let go of.

use std::collections::btree_map::{BTreeMap, Entry};
use std::ops::Deref;

use config::{Value, ValueKind};
use zeroize::Zeroize;

/// Environment variables by name. The values are wiped on drop.
#[derive(Clone, Default)]
pub struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Adds a variable unless it is there.
    pub(super) fn fill_in(&mut self, name: String, mut value: String) {
        match self.0.entry(name) {
            Entry::Occupied(_) => value.zeroize(),
            Entry::Vacant(entry) => {
                entry.insert(value);
            }
        }
    }
}

impl Deref for Variables {
    type Target = BTreeMap<String, String>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl From<BTreeMap<String, String>> for Variables {
    fn from(variables: BTreeMap<String, String>) -> Self {
        Self(variables)
    }
}

impl FromIterator<(String, String)> for Variables {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}

impl Drop for Variables {
    fn drop(&mut self) {
        self.0.values_mut().for_each(Zeroize::zeroize);
    }
}

/// Wipes every text in a tree of values.
pub(super) fn wipe(value: &mut Value) {
    match &mut value.kind {
        ValueKind::String(text) => text.zeroize(),
        ValueKind::Table(table) => table.values_mut().for_each(wipe),
        ValueKind::Array(values) => values.iter_mut().for_each(wipe),
        _ => {}
    }
}

/// Appends without leaving the old text behind where it does not fit.
pub(super) fn push(text: &mut String, more: &str) {
    let needed = text.len() + more.len();
    if needed > text.capacity() {
        let mut longer = String::with_capacity(needed.max(2 * text.capacity()));
        longer.push_str(text);
        text.zeroize();
        *text = longer;
    }
    text.push_str(more);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushing_is_like_pushing() {
        let mut text = String::new();
        for piece in ["", "a", "bc", "", "a much longer piece than that", "d"] {
            push(&mut text, piece);
        }
        assert_eq!(text, "abca much longer piece than thatd");
    }

    #[test]
    fn no_text_is_left_in_a_wiped_tree() {
        let mut value = Value::new(
            None,
            vec![Value::new(None, "sk-secret"), Value::new(None, 1)],
        );
        wipe(&mut value);
        assert!(!format!("{value:?}").contains("sk-secret"));
    }
}
